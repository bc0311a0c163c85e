//! What goes with a mail that is owed, decided when it is about to be sent: what was withdrawn, answered or replaced since doesn't go.

mod logins;

use super::App;
use super::invitations::{ANSWERED_FIRST, WITHDRAWN_FIRST};
use crate::config::{MOST_SIGN_UPS_PER_ADDRESS, Signup};
use crate::domain::error::Error;
use crate::domain::id::{InvitationId, SignUpId, UserId};
use crate::domain::invitation::State as InvitationState;
use crate::domain::name::{DisplayName, Timezone};
use crate::domain::token::LinkKind;
use crate::mail::{ConfirmationLink, Letter};
use crate::store::mails::{Kind, Mail};
use crate::store::sign_ups::{self, SignUp};
use crate::store::{invitations, services, users};

/// Open sign-ups whose links one mail brings: as many as may wait.
const LINKS: u32 = MOST_SIGN_UPS_PER_ADDRESS;

/// What is to be done with a mail.
pub(super) enum Decision {
    /// Send this to that address: the one that is stored with what the letter is about, not the one that a stranger typed.
    Send(Letter, String),
    /// The same, and it tells the name of that user, who isn't the one that it goes to.
    SendNaming(UserId, Letter, String),
    Drop(&'static str),
}

impl App {
    /// Decides what goes, if anything still does.
    pub(super) async fn decide(&self, mail: &Mail) -> Result<Decision, Error> {
        match (mail.kind, mail.invitation, mail.sign_up) {
            (Kind::Invitation, Some(invitation), _) => self.decide_invitation(mail, invitation).await,
            (Kind::SignUp, _, Some(sign_up)) => self.decide_sign_up(mail, sign_up).await,
            (Kind::ConfirmationAgain, ..) => self.decide_again(mail).await,
            (Kind::Invitation | Kind::SignUp, ..) => Ok(Decision::Drop("what it was for is gone")),
            _ => self.decide_login(mail).await,
        }
    }

    async fn decide_invitation(&self, mail: &Mail, id: InvitationId) -> Result<Decision, Error> {
        let mut connection = self.store.read().await?;
        let Some(invitation) = invitations::by_id(&mut connection, id).await? else {
            return Ok(Decision::Drop("the invitation is gone"));
        };
        if invitation.mail != Some(mail.id) {
            return Ok(Decision::Drop("a newer mail was asked for"));
        }
        match invitation.state_at(self.now()) {
            InvitationState::Pending => {}
            InvitationState::Expired => return Ok(Decision::Drop("the invitation expired first")),
            InvitationState::Withdrawn => return Ok(Decision::Drop(WITHDRAWN_FIRST)),
            InvitationState::Accepted | InvitationState::Ignored => return Ok(Decision::Drop(ANSWERED_FIRST)),
        }
        let (granted_by, named) = match (invitation.grantor.user, invitation.grantor.service) {
            (Some(user), _) => users::by_id(&mut connection, user).await?.map(|user| (user.display_name, Some(user.id))),
            (None, Some(service)) => services::by_id(&mut connection, service).await?.map(|service| (service.name, None)),
            (None, None) => None,
        }
        .unzip();
        let named = named.flatten();
        let grantor = named.map_or_else(|| "a service".to_owned(), |user| user.to_string());
        let letter = Letter::Invitation {
            edition: self.edition,
            account: told(&invitation.account_display_name, &invitation.account_name)?,
            granted_by: granted_by.map(|name| told(&name, &grantor)).transpose()?,
            privilege: invitation.privilege,
            roles: invitation.roles,
            expires: invitation.expires,
            timezone: Timezone::parse(&invitation.account_timezone).unwrap_or_else(|_| Timezone::utc()),
            token: self.link_token(LinkKind::Invitation, *invitation.id.as_bytes(), &invitation.nonce),
        };
        Ok(match named {
            Some(user) => Decision::SendNaming(user, letter, invitation.email),
            None => Decision::Send(letter, invitation.email),
        })
    }

    /// Decides what follows a sign-up: nobody but the owner of the mailbox learns which it was.
    async fn decide_sign_up(&self, mail: &Mail, id: SignUpId) -> Result<Decision, Error> {
        let mut connection = self.store.read().await?;
        let Some(attempt) = sign_ups::by_id(&mut connection, id).await? else {
            return Ok(Decision::Drop("the sign-up is gone"));
        };
        if let Some(decision) = self.unless_wanted(&mut connection, mail).await? {
            return Ok(decision);
        }
        if attempt.state != sign_ups::State::Open || attempt.expires <= self.now() {
            return Ok(Decision::Drop("the sign-up ended first"));
        }
        if self.signup() == Signup::Invited && !attempt.invited {
            return Ok(Decision::Drop("the address had no invitation when it signed up"));
        }
        Ok(Decision::Send(Letter::Confirmation(self.confirmation(&attempt)), attempt.email))
    }

    async fn decide_again(&self, mail: &Mail) -> Result<Decision, Error> {
        let mut connection = self.store.read().await?;
        if let Some(decision) = self.unless_wanted(&mut connection, mail).await? {
            return Ok(decision);
        }
        let mut attempts = sign_ups::open_of(&mut connection, mail.address, self.now(), LINKS.into()).await?;
        attempts.retain(|attempt| self.signup() != Signup::Invited || attempt.invited);
        let Some(to) = attempts.last().map(|attempt| attempt.email.clone()) else {
            return Ok(Decision::Drop("the address has no open sign-up"));
        };
        // where the case of a mailbox matters, each spelling is somebody else's
        attempts.retain(|attempt| attempt.email == to);
        let links = attempts.iter().rev().map(|attempt| self.confirmation(attempt)).collect();
        Ok(Decision::Send(Letter::ConfirmationAgain(links), to))
    }

    /// What to do instead of sending links that confirm an address; none if they are wanted.
    async fn unless_wanted(
        &self,
        connection: &mut sqlx::sqlite::SqliteConnection,
        mail: &Mail,
    ) -> Result<Option<Decision>, Error> {
        if let Some(user) = users::by_address(connection, mail.address).await? {
            let since = user.created > mail.created;
            return Ok(Some(if since {
                Decision::Drop("the address was confirmed first")
            } else {
                Decision::Send(Letter::LoginExists, user.email)
            }));
        }
        let wanted = match self.signup() {
            Signup::Open => true,
            Signup::Invited => invitations::any_open(connection, mail.address, self.now()).await?,
            Signup::Closed => false,
        };
        Ok((!wanted).then_some(Decision::Drop("sign-up isn't open to the address")))
    }

    fn confirmation(&self, attempt: &SignUp) -> ConfirmationLink {
        let token = self.link_token(LinkKind::Confirmation, *attempt.id.as_bytes(), &attempt.nonce);
        ConfirmationLink { requested: attempt.created, token, expires: attempt.expires }
    }
}

/// What is told of something by its stored name, or by the other where the name was taken by rules that let more pass than the present ones.
fn told(stored: &str, otherwise: &str) -> Result<DisplayName, Error> {
    DisplayName::parse(stored).or_else(|_| DisplayName::parse(otherwise)).map_err(Error::internal)
}
