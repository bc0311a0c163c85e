//! What goes with mails about logins: links that change one, and what tells of a change.

use super::{Decision, told};
use crate::app::logins::make_link;
use crate::app::{App, server_origin};
use crate::domain::error::Error;
use crate::domain::id::{MailId, UserId};
use crate::domain::login::LinkPurpose;
use crate::mail::{Letter, PasswordLink};
use crate::store::login_links::{self, LoginLink};
use crate::store::mails::{self, Kind, Mail};
use crate::store::{accounts, api_tokens, users};

impl App {
    pub(super) async fn decide_login(&self, mail: &Mail) -> Result<Decision, Error> {
        let at = mail.created;
        let letter = match mail.kind {
            Kind::PasswordChanged => Letter::PasswordChanged { at },
            Kind::AddressChanged => Letter::AddressChanged { at },
            Kind::SuperAdminGranted => Letter::SuperAdminGranted { at },
            Kind::SuperAdminRevoked => Letter::SuperAdminRevoked { at },
            Kind::ApiTokenCreated => return self.decide_api_token(mail).await,
            Kind::PasswordReset | Kind::SetPassword | Kind::AddressChange => return self.decide_login_link(mail).await,
            Kind::Invitation | Kind::SignUp | Kind::ConfirmationAgain => {
                return Err(Error::internal("a mail about no login was taken for one"));
            }
        };
        Ok(Decision::Send(letter, mail.recipient.clone()))
    }

    /// Tells of a new personal token, whatever became of it since.
    async fn decide_api_token(&self, mail: &Mail) -> Result<Decision, Error> {
        let mut connection = self.store.read().await?;
        let token = match mail.api_token {
            Some(id) => api_tokens::by_id(&mut connection, id).await?,
            None => None,
        };
        let Some(token) = token else { return Ok(Decision::Drop("the token is gone")) };
        let account = accounts::by_id(&mut connection, token.account).await?;
        let account = account.ok_or_else(|| Error::internal("a token's account isn't in the store"))?;
        let letter = Letter::ApiTokenCreated {
            name: told(&token.name, &token.id.to_string())?,
            account: told(&account.display_name, &account.name)?,
            at: token.created,
            expires: token.expires,
        };
        Ok(Decision::Send(letter, mail.recipient.clone()))
    }

    async fn decide_login_link(&self, mail: &Mail) -> Result<Decision, Error> {
        let link = match (mail.link, mail.kind) {
            (None, Kind::PasswordReset) => return self.decide_requested_reset(mail).await,
            (None, _) => None,
            (Some(link), _) => login_links::by_id(&mut *self.store.read().await?, link).await?,
        };
        let Some(link) = link.filter(|link| link.is_open_at(self.now())) else {
            return Ok(Decision::Drop("the link ended first"));
        };
        if let Some(to) = &link.to {
            let holder = users::by_address(&mut *self.store.read().await?, to.address).await?;
            if let Some(holder) = holder.filter(|holder| holder.id != link.user) {
                // told to the owner of the mailbox alone: whoever asked hears nothing of it
                return Ok(Decision::Send(Letter::LoginExists, holder.email));
            }
            let token = self.link_token(link.purpose.kind(), *link.id.as_bytes(), &link.nonce);
            return Ok(Decision::Send(Letter::AddressChange { token, expires: link.expires }, to.email.clone()));
        }
        match users::by_id(&mut *self.store.read().await?, link.user).await? {
            Some(user) if user.active => Ok(Decision::Send(self.password_letter(&link), user.email)),
            Some(_) | None => Ok(Decision::Drop("the login was taken away first")),
        }
    }

    /// Decides what follows a reset that anybody may ask for: nobody but the owner of the mailbox learns whether there is a login.
    async fn decide_requested_reset(&self, mail: &Mail) -> Result<Decision, Error> {
        if mail.wanted_since().plus(self.link.reset) <= self.now() {
            return Ok(Decision::Drop("nobody waits for it any more"));
        }
        let user = users::by_address(&mut *self.store.read().await?, mail.address).await?;
        let Some(user) = user.filter(|user| user.active) else {
            return Ok(Decision::Drop("the address has no active login"));
        };
        match self.reset_link(mail.id, user.id).await? {
            Some(link) => Ok(Decision::Send(self.password_letter(&link), user.email)),
            None => Ok(Decision::Drop("the password was changed or the login taken away first")),
        }
    }

    /// The open link of a user that sets a password, or a new one: who asks twice gets the same link twice, while enough of its time is left
    /// to use it.
    async fn reset_link(&self, mail: MailId, user: UserId) -> Result<Option<LoginLink>, Error> {
        let lifetime = self.link.reset;
        self.store
            .write(server_origin(), async move |tx| {
                let now = tx.now();
                // a request ends with the password that it was made about
                let wanted = mails::is_in_flight(tx, mail).await?;
                if !wanted || users::by_id(tx.sql(), user).await?.is_none_or(|user| !user.active) {
                    return Ok(None);
                }
                let open = login_links::open_for_password(tx.sql(), user, now).await?;
                if let Some(open) = open.filter(|open| now.plus(lifetime / 2) <= open.expires) {
                    return Ok(Some(open));
                }
                make_link(tx, user, LinkPurpose::ResetPassword, None, now.plus(lifetime)).await.map(Some)
            })
            .await
    }

    fn password_letter(&self, link: &LoginLink) -> Letter {
        let token = self.link_token(link.purpose.kind(), *link.id.as_bytes(), &link.nonce);
        let password = PasswordLink { token, expires: link.expires };
        match link.purpose {
            LinkPurpose::SetPassword => Letter::SetPassword(password),
            LinkPurpose::ResetPassword | LinkPurpose::ChangeEmail => Letter::PasswordReset(password),
        }
    }
}
