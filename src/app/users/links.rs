//! Logins that operators make, and passwords that they have reset: by a link that is mailed, or answered once.

use super::{find, load};
use crate::app::admission::Operator;
use crate::app::logins::make_link;
use crate::app::returned::{HandOver, Returned};
use crate::app::{App, UserRef};
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::{MailId, UserId};
use crate::domain::login::LinkPurpose;
use crate::domain::name::DisplayName;
use crate::store::login_links::{self, LoginLink};
use crate::store::mails::{self, About, Kind, Owed, Pace};
use crate::store::requests::{Terms, once};
use crate::store::users::{self, User};
use crate::store::{Tx, addresses};

/// A user whose login was made or opened.
pub struct Linked {
    /// The user.
    pub user: User,
    /// The link, if it was to be answered.
    pub returned: Option<Returned>,
}

impl App {
    /// Makes a login without a password, and the link that sets its first one.
    pub async fn create_user(
        &self,
        operator: Operator,
        email: Email,
        display_name: DisplayName,
        hand_over: HandOver,
        terms: Terms,
    ) -> Result<Linked, Error> {
        let lifetime = self.link.confirmation;
        let make = async move |tx: &mut Tx| {
            let address = addresses::mention(tx, &email).await?;
            if let Some(user) = users::by_address(tx.sql(), address).await? {
                return Err(Error::UserExists(user.id));
            }
            let user = User {
                id: UserId::new(tx.now(), tx.random()?),
                address,
                email: email.as_typed().to_owned(),
                display_name: display_name.as_str().to_owned(),
                active: true,
                super_admin: false,
                created: tx.now(),
                version: tx.next_version(),
            };
            if !users::insert(tx, &user, None).await? {
                return Err(Error::internal("a user came between inside one transaction"));
            }
            let state = user.state(tx)?;
            tx.record(Change::UserCreated(state)).await?;
            let link = make_link(tx, user.id, LinkPurpose::SetPassword, None, tx.now().plus(lifetime)).await?;
            Ok((user, link))
        };
        self.link(operator, hand_over, terms, make).await
    }

    /// Makes a link that sets another password for an active user; the present one counts until it is used.
    pub async fn send_password_reset(
        &self,
        operator: Operator,
        user: UserRef,
        hand_over: HandOver,
        terms: Terms,
    ) -> Result<Linked, Error> {
        let lifetimes = self.link;
        let make = async move |tx: &mut Tx| {
            let user = find(tx, &user).await?;
            if !user.active {
                return Err(Error::UserDeactivated(user.id));
            }
            let (purpose, lifetime) = match users::password(tx.sql(), user.id).await? {
                None => (LinkPurpose::SetPassword, lifetimes.confirmation),
                Some(_) => (LinkPurpose::ResetPassword, lifetimes.reset),
            };
            let link = make_link(tx, user.id, purpose, None, tx.now().plus(lifetime)).await?;
            Ok((user, link))
        };
        self.link(operator, hand_over, terms, make).await
    }

    /// Makes a link of a user, records it, and mails it or answers it.
    async fn link<F>(&self, operator: Operator, hand_over: HandOver, terms: Terms, make: F) -> Result<Linked, Error>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<(User, LoginLink), Error> + Send + 'static,
    {
        let (answers, pace) = (hand_over.answers(&terms), self.pace_of(operator.caller()));
        let (user, link, replayed) = self
            .store
            .write(operator.origin(), async move |tx| {
                operator.confirm(tx).await?;
                let work = async |tx: &mut Tx| {
                    let (user, link) = make(tx).await?;
                    let id = link.id;
                    record(tx, &user, link, hand_over, pace).await?;
                    Ok((user.id, id))
                };
                let done = once(tx, &terms, work).await?;
                let (user, link) = done.outcome;
                Ok((load(tx, user).await?, login_links::by_id(tx.sql(), link).await?, done.replayed))
            })
            .await?;
        let returned = answers.then(|| {
            Returned::of(link.filter(|_| !replayed).map(|link| {
                let kind = link.purpose.kind();
                (kind, self.link_token(kind, *link.id.as_bytes(), &link.nonce), Some(link.expires))
            }))
        });
        Ok(Linked { user, returned })
    }
}

/// Owes the mail of a link unless it is answered, and records that it was made.
async fn record(tx: &mut Tx, user: &User, mut link: LoginLink, hand_over: HandOver, pace: Option<Pace>) -> Result<(), Error> {
    if hand_over == HandOver::Mail {
        let kind = match link.purpose {
            LinkPurpose::SetPassword => Kind::SetPassword,
            LinkPurpose::ResetPassword => Kind::PasswordReset,
            LinkPurpose::ChangeEmail => Kind::AddressChange,
        };
        let mail = MailId::new(tx.now(), tx.random()?);
        let owed = Owed { kind, about: About::Link(link.id, user.id), address: user.address, recipient: &user.email };
        mails::owe_paced(tx, mail, owed, pace).await?;
        link.expires = login_links::begin_with(tx, link.id, mail).await?;
    }
    let state = link.event_state(tx, hand_over == HandOver::Answer)?;
    tx.record(Change::LoginLinkMade(state)).await
}
