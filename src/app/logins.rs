//! What a person does about their own login: another password, another address, another name.
//!
//! A password is compared and hashed before the write, and the write makes sure that the one which was compared is still the present one:
//! whatever ends with a password can't slip past its change. Every change of a login tells its owner by mail.

use std::sync::Arc;

use secrecy::SecretString;

use super::App;
use super::admission::InPerson;
use super::api_tokens::record_ended;
use super::caller::Caller;
use super::limits::Paid;
use super::passwords::{COMPARISONS, Match};
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::event::{Change, EmailChangeState, LoginState};
use crate::domain::id::{AddressId, LoginLinkId, MailId, UserId};
use crate::domain::login::LinkPurpose;
use crate::domain::name::DisplayName;
use crate::domain::password::{InvalidPassword, Password};
use crate::domain::token::{LinkKind, LinkToken};
use crate::store::login_links::{self, LoginLink, NewAddress};
use crate::store::mails::{self, About, Kind, Owed};
use crate::store::requests::{Terms, once};
use crate::store::users::{self, User};
use crate::store::{Tx, addresses, api_tokens, devices, sessions};

/// Passwords that may be tried at one link that changes an address.
const TRIES: i64 = 5;

impl App {
    /// Takes what a person chose for their login; its owner's address and name must not be what it is made of.
    pub fn choose_password(&self, text: &str, context: &[&str]) -> Result<Password, InvalidPassword> {
        self.passwords.choose(text, context)
    }

    /// Has a link mailed that sets another password, if the address has a login: the same work and answer for every address.
    pub async fn request_password_reset(&self, caller: &Caller, email: Email) -> Result<(), Error> {
        let (requests, pace) = (self.requests_of(caller), self.pace_of(caller));
        self.store
            .write(caller.anonymous_origin(), async move |tx| {
                if let Some(requests) = requests {
                    requests.spend(tx, 1).await?;
                }
                let address = addresses::mention(tx, &email).await?;
                let mail = MailId::new(tx.now(), tx.random()?);
                let owed = Owed { kind: Kind::PasswordReset, about: About::Address, address, recipient: email.as_typed() };
                mails::owe_paced(tx, mail, owed, pace).await
            })
            .await
    }

    /// Sets the password by a link, and ends every session, personal token and other such link.
    pub async fn reset_password(&self, caller: &Caller, token: SecretString, text: &str) -> Result<User, Error> {
        let token = LinkToken::parse(&token).filter(|token| token.kind() == LinkKind::Password).ok_or(Error::LinkInvalid)?;
        let (link, user) = self.open_link(&token).await?;
        let context = [user.email.as_str(), user.display_name.as_str()];
        let password = self.choose_password(text, &context).map_err(|error| Error::field("password", &error))?;
        self.pay_for_link(caller)?;
        let (hash, peer) = (self.passwords.hash(caller.peer(), password).await?, caller.peer());
        self.store
            .write(caller.anonymous_origin(), async move |tx| {
                if !login_links::take(tx, link.id).await? {
                    return Err(Error::LinkExpired);
                }
                let user = users::by_id(tx.sql(), link.user).await?.filter(|user| user.active).ok_or(Error::LinkExpired)?;
                if !users::set_password(tx, user.id, &hash, None).await? {
                    return Err(Error::LinkExpired);
                }
                // whoever has the mailbox isn't held up by strangers' wrong passwords from here on
                devices::note(tx, user.id, peer).await?;
                sessions::end_all(tx, user.id, None).await?;
                end_password_links(tx, user.id).await?;
                // whoever resets a password has lost it, perhaps to somebody who made tokens since
                let ended = api_tokens::end_all(tx, user.id).await?;
                tx.record(Change::UserPasswordReset(LoginState { user: user.id, kept: None })).await?;
                record_ended(tx, &ended).await?;
                if link.purpose == LinkPurpose::ResetPassword {
                    tell(tx, Kind::PasswordChanged, user.id, user.address, &user.email).await?;
                }
                Ok(user)
            })
            .await
    }

    /// Changes the password by the present one, and ends every session but this and every link that sets a password.
    pub async fn change_password(&self, caller: &Caller, person: InPerson, typed: Password, text: &str) -> Result<(), Error> {
        for _ in 0..COMPARISONS {
            if self.try_change_password(caller, &person, typed.clone(), text).await? {
                return Ok(());
            }
        }
        Err(Error::PasswordWrong)
    }

    /// The same; false if the password's hash was replaced after it had been compared.
    async fn try_change_password(&self, caller: &Caller, person: &InPerson, typed: Password, text: &str) -> Result<bool, Error> {
        let (user, hash) = self.login_of(person.signed_in.user).await?;
        let context = [user.email.as_str(), user.display_name.as_str()];
        let password = self.choose_password(text, &context).map_err(|error| Error::field("new_password", &error))?;
        // a right password is given back, and what the new one costs wouldn't be paid for; a wrong one is paid for in the session
        let paid = self.pay_for_change(caller)?;
        let compared = self.compare_in_session(caller, user.id, typed, hash.clone()).await;
        if let Ok(Match::No) | Err(_) = compared {
            paid.into_iter().for_each(Paid::give_back);
        }
        if compared? == Match::No {
            return Err(Error::PasswordWrong);
        }
        let new = self.passwords.hash(caller.peer(), password).await?;
        let person = person.clone();
        self.store
            .write(person.origin(), async move |tx| {
                person.confirm(tx).await?;
                if !users::set_password(tx, user.id, &new, Some(&hash)).await? {
                    return Ok(false);
                }
                let kept = Some(person.signed_in.session);
                sessions::end_all(tx, user.id, kept).await?;
                end_password_links(tx, user.id).await?;
                tx.record(Change::UserPasswordChanged(LoginState { user: user.id, kept })).await?;
                tell(tx, Kind::PasswordChanged, user.id, user.address, &user.email).await?;
                Ok(true)
            })
            .await
    }

    /// Has a link mailed to another address that makes it the login's; answers when it ends. The same work and answer whether or not the
    /// address has a login.
    pub async fn change_email(
        &self,
        caller: &Caller,
        person: InPerson,
        email: Email,
        typed: Password,
    ) -> Result<Timestamp, Error> {
        let (user, hash) = self.login_of(person.signed_in.user).await?;
        let (changes, pace) = (self.address_changes_of(user.id), self.pace_of(caller));
        changes.check(&mut *self.store.read().await?, self.now(), 1).await?;
        if self.compare_in_session(caller, user.id, typed, hash).await? == Match::No {
            return Err(Error::PasswordWrong);
        }
        let lifetime = self.link.confirmation;
        self.store
            .write(person.origin(), async move |tx| {
                person.confirm(tx).await?;
                changes.spend(tx, 1).await?;
                let address = addresses::mention(tx, &email).await?;
                let to = NewAddress { address, email: email.as_typed().to_owned(), session: person.signed_in.session };
                login_links::end_for_address(tx, user.id).await?;
                let link = make_link(tx, user.id, LinkPurpose::ChangeEmail, Some(to), tx.now().plus(lifetime)).await?;
                let state = link.event_state(tx, false)?;
                tx.record(Change::LoginLinkMade(state)).await?;
                let mail = MailId::new(tx.now(), tx.random()?);
                let about = About::Link(link.id, user.id);
                let owed = Owed { kind: Kind::AddressChange, about, address, recipient: email.as_typed() };
                mails::owe_paced(tx, mail, owed, pace).await?;
                Ok(link.expires)
            })
            .await
    }

    /// Makes the address that a link was mailed to the login's, by the login's password; ends every session but the one that asked for it,
    /// and every other link of the login.
    pub(super) async fn confirm_new_address(
        self: &Arc<Self>,
        caller: &Caller,
        token: &LinkToken,
        typed: Password,
    ) -> Result<User, Error> {
        for _ in 0..COMPARISONS {
            if let Some(user) = self.try_confirm_new_address(caller, token, typed.clone()).await? {
                return Ok(user);
            }
        }
        Err(Error::LinkExpired)
    }

    /// The same; none if the password's hash was replaced after it had been compared.
    async fn try_confirm_new_address(&self, caller: &Caller, token: &LinkToken, typed: Password) -> Result<Option<User>, Error> {
        let (link, user) = self.open_link(token).await?;
        self.pay_for_link(caller)?;
        let origin = caller.anonymous_origin();
        let id = link.id;
        let tries = self.store.write(origin.clone(), async move |tx| login_links::take_try(tx, id, TRIES).await).await?;
        let tries = tries.ok_or(Error::LinkExpired)?;
        let hash = users::password(&mut *self.store.read().await?, user.id).await?.ok_or(Error::LinkExpired)?;
        let compared = self.passwords.compare(caller.peer(), typed, hash.clone()).await;
        match compared {
            Ok(Match::No) if tries >= TRIES => {
                self.store.write(origin, async move |tx| login_links::end(tx, id).await).await?;
                return Err(Error::LinkExpired);
            }
            Ok(Match::No) => return Err(Error::PasswordMismatch { attempts_left: u32::try_from(TRIES - tries).unwrap_or(0) }),
            Ok(Match::Yes | Match::Outdated) | Err(_) => {
                self.store.write(origin.clone(), async move |tx| login_links::give_back_try(tx, id).await).await?;
            }
        }
        compared?;
        self.store.write(origin, async move |tx| move_to_new_address(tx, &link, &hash).await).await
    }

    /// Changes what a person is called.
    pub async fn update_me(
        self: &Arc<Self>,
        person: InPerson,
        display_name: Option<DisplayName>,
        etag: String,
        terms: Terms,
    ) -> Result<User, Error> {
        let app = Arc::clone(self);
        let id = person.signed_in.user;
        self.store
            .write(person.origin(), async move |tx| {
                person.confirm(tx).await?;
                once(tx, &terms, async |tx| {
                    let mut user = present(tx, id).await?;
                    app.check_etag(&etag, user.version)?;
                    let Some(name) = display_name.filter(|name| name.as_str() != user.display_name) else { return Ok(()) };
                    name.as_str().clone_into(&mut user.display_name);
                    user.version = tx.next_version();
                    users::update(tx, &user).await?;
                    let state = user.state(tx)?;
                    tx.record(Change::UserUpdated(state)).await
                })
                .await?;
                present(tx, id).await
            })
            .await
    }

    /// The link of a token with its user, if it can still be used.
    async fn open_link(&self, token: &LinkToken) -> Result<(LoginLink, User), Error> {
        let mut connection = self.store.read().await?;
        let link = login_links::by_id(&mut connection, LoginLinkId::from_bytes(token.object())).await?;
        let link = link.filter(|link| link.purpose.kind() == token.kind() && self.is_link(token, &link.nonce));
        let link = link.ok_or(Error::LinkInvalid)?;
        if !link.is_open_at(self.now()) {
            return Err(Error::LinkExpired);
        }
        let user = users::by_id(&mut connection, link.user).await?.filter(|user| user.active).ok_or(Error::LinkExpired)?;
        Ok((link, user))
    }

    /// A user who can sign in by a password, with its hash.
    async fn login_of(&self, user: UserId) -> Result<(User, String), Error> {
        let mut connection = self.store.read().await?;
        let found = users::by_id(&mut connection, user).await?.ok_or(Error::CredentialsInvalid)?;
        Ok((found, users::password(&mut connection, user).await?.ok_or(Error::CredentialsInvalid)?))
    }
}

/// Gives a user the address of a link; none, and nothing done, if the password that was compared isn't the present one.
async fn move_to_new_address(tx: &mut Tx, link: &LoginLink, compared: &str) -> Result<Option<User>, Error> {
    let to = link.to.as_ref().ok_or_else(|| Error::internal("a link that changes an address names none"))?;
    let mut user = users::by_id(tx.sql(), link.user).await?.filter(|user| user.active).ok_or(Error::LinkExpired)?;
    if users::password(tx.sql(), user.id).await?.as_deref() != Some(compared) {
        return Ok(None);
    }
    if !login_links::take(tx, link.id).await? {
        return Err(Error::LinkExpired);
    }
    let (former, told) = (user.address, std::mem::replace(&mut user.email, to.email.clone()));
    user.address = to.address;
    user.version = tx.next_version();
    if !users::move_to(tx, &user, former).await? {
        return Err(Error::LoginExists);
    }
    let kept = Some(to.session);
    sessions::end_all(tx, user.id, kept).await?;
    login_links::end_all(tx, user.id).await?;
    let state = EmailChangeState { user: user.state(tx)?, former, kept };
    tx.record(Change::UserEmailChanged(state)).await?;
    tell(tx, Kind::AddressChanged, user.id, former, &told).await?;
    Ok(Some(user))
}

/// Makes a link of a user.
pub(super) async fn make_link(
    tx: &mut Tx,
    user: UserId,
    purpose: LinkPurpose,
    to: Option<NewAddress>,
    expires: Timestamp,
) -> Result<LoginLink, Error> {
    let link = LoginLink {
        id: LoginLinkId::new(tx.now(), tx.random()?),
        user,
        purpose,
        to,
        nonce: tx.random()?,
        state: login_links::State::Open,
        created: tx.now(),
        expires,
    };
    login_links::insert(tx, &link).await?;
    Ok(link)
}

/// Owes a mail that tells a user what was changed of their login.
pub(super) async fn tell(tx: &mut Tx, kind: Kind, user: UserId, address: AddressId, recipient: &str) -> Result<(), Error> {
    let mail = MailId::new(tx.now(), tx.random()?);
    mails::owe(tx, mail, Owed { kind, about: About::User(user), address, recipient }).await
}

/// Ends what could still set a user's password: open links, and requests whose link isn't made before its mail goes.
pub(super) async fn end_password_links(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    login_links::end_for_password(tx, user).await?;
    mails::drop_requested_resets(tx, user).await
}

async fn present(tx: &mut Tx, user: UserId) -> Result<User, Error> {
    users::by_id(tx.sql(), user).await?.ok_or(Error::CredentialsInvalid)
}
