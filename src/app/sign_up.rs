//! Signing up: an attempt, its mail, and the confirmation that makes a user of it.
//!
//! Attempts for one address live side by side, each confirmed by its own link and the password typed at that sign-up, so that nobody's
//! attempt can be taken over by another's. `SignUp` and `ResendConfirmation` do the same work for every address; the delivery worker decides
//! afterwards which mail goes, if any. What strangers may cause by them is limited (`app::limits`).

use std::sync::Arc;

use secrecy::SecretString;

use super::App;
use super::caller::Caller;
use super::limits::{Place, check_waiting, place_of};
use super::passwords::Match;
use crate::config::Signup;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::error::Error;
use crate::domain::event::Change;
use crate::domain::id::{AddressId, MailId, SignUpId, UserId};
use crate::domain::name::DisplayName;
use crate::domain::password::Password;
use crate::domain::token::{LinkKind, LinkToken};
use crate::store::mails::{self, About, Kind, Owed, Pace};
use crate::store::sign_ups::{self, SignUp, State};
use crate::store::users::{self, User};
use crate::store::{Tx, addresses, devices, invitations};

/// Passwords that may be tried at one link.
const TRIES: i64 = 5;

impl App {
    /// Begins a sign-up; answers when its link ends.
    pub async fn sign_up(
        &self,
        caller: &Caller,
        email: Email,
        password: Password,
        display_name: DisplayName,
    ) -> Result<Timestamp, Error> {
        let hash = self.hash_sign_up(caller, password).await?;
        let (lifetime, limits, pace) = (self.link.confirmation, self.limits.config, self.pace_of(caller));
        let (requests, peer) = (self.requests_of(caller), caller.peer().to_bytes());
        self.store
            .write(caller.anonymous_origin(), async move |tx| {
                let now = tx.now();
                let limited = requests.is_some();
                if let Some(requests) = requests {
                    requests.spend(tx, 1).await?;
                    check_waiting(tx.sql(), now, &limits, &peer).await?;
                }
                let address = addresses::mention(tx, &email).await?;
                let room = if limited { place_of(tx, &limits, address, &peer).await? } else { Place::Free };
                let ended = if let Place::Of(ended) = room { ended } else { SignUpId::from_bytes([0; 16]) };
                sign_ups::end(tx, ended).await?;
                let invited = invitations::any_open(tx.sql(), address, now).await?;
                let attempt = SignUp {
                    id: SignUpId::new(now, tx.random()?),
                    address,
                    email: email.as_typed().to_owned(),
                    display_name: display_name.as_str().to_owned(),
                    password: hash,
                    nonce: tx.random()?,
                    invited,
                    // where there is no place it has ended already, so that the same is written, and counted, as where there is one
                    state: if room == Place::None { State::Ended } else { State::Open },
                    tries: 0,
                    user: None,
                    created: now,
                    expires: now.plus(lifetime),
                };
                sign_ups::insert(tx, &attempt, limited.then_some(&peer[..])).await?;
                let (kind, about) = match room {
                    Place::Free | Place::Of(_) => (Kind::SignUp, About::SignUp(attempt.id)),
                    // the links of those who wait
                    Place::None => (Kind::ConfirmationAgain, About::Address),
                };
                owe(tx, kind, about, address, &email, pace).await?;
                Ok(attempt.expires)
            })
            .await
    }

    /// Has the links of an address's open attempts mailed again.
    pub async fn resend_confirmation(&self, caller: &Caller, email: Email) -> Result<(), Error> {
        let (requests, pace) = (self.requests_of(caller), self.pace_of(caller));
        self.store
            .write(caller.anonymous_origin(), async move |tx| {
                if let Some(requests) = requests {
                    requests.spend(tx, 1).await?;
                }
                let address = addresses::mention(tx, &email).await?;
                owe(tx, Kind::ConfirmationAgain, About::Address, address, &email, pace).await
            })
            .await
    }

    /// Turns the attempt that token and password match into a user, or gives a user the address that the token was mailed to. Repeating a
    /// sign-up's answers the same user.
    pub async fn confirm_email(
        self: &Arc<Self>,
        caller: &Caller,
        token: SecretString,
        password: Password,
    ) -> Result<User, Error> {
        let token = LinkToken::parse(&token).ok_or(Error::LinkInvalid)?;
        match token.kind() {
            LinkKind::Confirmation => {}
            LinkKind::AddressChange => return self.confirm_new_address(caller, &token, password).await,
            LinkKind::Invitation | LinkKind::Password => return Err(Error::LinkInvalid),
        }
        let id = SignUpId::from_bytes(token.object());
        let attempt = sign_ups::by_id(&mut *self.store.read().await?, id).await?;
        let attempt = attempt.filter(|attempt| self.is_link(&token, &attempt.nonce)).ok_or(Error::LinkInvalid)?;
        let ended = match attempt.state {
            State::Open => attempt.expires <= self.now(),
            State::Confirmed => false,
            State::Ended => true,
        };
        if ended {
            return Err(Error::LinkExpired);
        }
        self.pay_for_link(caller)?;
        let (origin, peer) = (caller.anonymous_origin(), caller.peer());
        let tries = self.store.write(origin.clone(), async move |tx| sign_ups::take_try(tx, id, TRIES).await).await?;
        let tries = tries.ok_or(Error::LinkExpired)?;
        let compared = self.passwords.compare(caller.peer(), password, attempt.password.clone()).await;
        match compared {
            // a spent link is nothing to try passwords at
            Ok(Match::No) if tries >= TRIES || attempt.state == State::Confirmed => {
                self.store.write(origin, async move |tx| sign_ups::end(tx, id).await).await?;
                return Err(Error::LinkExpired);
            }
            Ok(Match::No) => return Err(Error::PasswordMismatch { attempts_left: u32::try_from(TRIES - tries).unwrap_or(0) }),
            // five *wrong* passwords end a link: one that matched, or that nobody had time to compare, isn't one
            Ok(Match::Yes | Match::Outdated) | Err(_) => {
                self.store.write(origin.clone(), async move |tx| sign_ups::give_back_try(tx, id).await).await?;
            }
        }
        compared?;
        let signup = self.signup;
        self.store
            .write(origin, async move |tx| {
                let user = confirm(tx, signup, &attempt).await?;
                devices::note(tx, user.id, peer).await?;
                Ok(user)
            })
            .await
    }

    /// Whether an address may sign up now.
    pub(super) const fn signup(&self) -> Signup {
        self.signup
    }
}

async fn confirm(tx: &mut Tx, signup: Signup, attempt: &SignUp) -> Result<User, Error> {
    let now = tx.now();
    // the same attempt confirmed twice at once answers one user, whatever became of their invitation since
    if let Some(user) = sign_ups::by_id(tx.sql(), attempt.id).await?.and_then(|attempt| attempt.user) {
        return users::by_id(tx.sql(), user).await?.ok_or_else(|| Error::internal("a confirmed user isn't in the store"));
    }
    match signup {
        Signup::Open => {}
        Signup::Invited if attempt.invited && invitations::any_open(tx.sql(), attempt.address, now).await? => {}
        Signup::Invited | Signup::Closed => return Err(Error::SignUpClosed),
    }
    let user = User {
        id: UserId::new(now, tx.random()?),
        address: attempt.address,
        email: attempt.email.clone(),
        display_name: attempt.display_name.clone(),
        active: true,
        super_admin: false,
        created: now,
        version: tx.next_version(),
    };
    if !users::insert(tx, &user, Some(&attempt.password)).await? {
        return Err(Error::LoginExists);
    }
    if !sign_ups::confirm(tx, attempt, user.id).await? {
        return Err(Error::LinkExpired);
    }
    let state = user.state(tx)?;
    tx.record(Change::UserCreated(state)).await?;
    Ok(user)
}

async fn owe(tx: &mut Tx, kind: Kind, about: About, address: AddressId, email: &Email, pace: Option<Pace>) -> Result<(), Error> {
    let mail = MailId::new(tx.now(), tx.random()?);
    mails::owe_paced(tx, mail, Owed { kind, about, address, recipient: email.as_typed() }, pace).await
}
