//! Sessions: signing in and out, and who one is.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::App;
use super::admission::{InPerson, Oneself};
use super::caller::Caller;
use super::limits::Paid;
use super::page::{Page, PageRequest, Query};
use super::passwords::{COMPARISONS, Match};
use crate::directory::Session;
use crate::domain::clock::Timestamp;
use crate::domain::email::Email;
use crate::domain::error::{Error, Takes};
use crate::domain::event::{Actor, Change, Origin, SessionState};
use crate::domain::id::{SessionId, UserId};
use crate::domain::password::Password;
use crate::domain::token::{Bearer, TokenDigest};
use crate::store::members::{self, Member};
use crate::store::requests::{Terms, once};
use crate::store::users::{self, User};
use crate::store::{self, Tx, devices, sessions};

/// Sessions of one person at once: more than anybody has devices, and few enough to list.
const MOST: usize = 100;

/// How many make way in one write, where an older release let somebody have more: each sign-in makes one, so they become fewer.
const MAKE_WAY: usize = 10;

/// A new session.
pub struct SignedInNow {
    /// Its token, shown once.
    pub token: SecretString,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// Who signed in.
    pub user: User,
}

impl App {
    /// Makes a session for a confirmed address and its password; an unknown address costs and answers what a wrong password does.
    pub async fn sign_in(&self, caller: &Caller, email: Option<Email>, password: Password) -> Result<SignedInNow, Error> {
        let typist = self.typist(caller, email.as_ref()).await?;
        let paid = typist.map(|typist| self.limits.tries.pay(typist, self.clock.now())).transpose()?;
        let mut made = Ok(None);
        for _ in 0..COMPARISONS {
            made = self.try_sign_in(caller, email.as_ref(), password.clone(), paid.as_ref()).await;
            if !matches!(made, Ok(None)) {
                break;
            }
        }
        let made = made.and_then(|made| made.ok_or(Error::SignInFailed));
        match (made, paid) {
            (Err(Error::SignInFailed), Some(paid)) => Err(paid.lost()),
            (made, Some(paid)) => {
                paid.give_back();
                made
            }
            (made, None) => made,
        }
    }

    /// The same; none if the password's hash was replaced after it had been compared.
    async fn try_sign_in(
        &self,
        caller: &Caller,
        email: Option<&Email>,
        password: Password,
        paid: Option<&Paid<'_>>,
    ) -> Result<Option<SignedInNow>, Error> {
        let login = match email {
            Some(email) => users::login(&mut *self.store.read().await?, email.folded()).await?,
            None => None,
        };
        let (user, hash) = login.map_or((None, None), |login| (Some(login.user), login.password));
        // made for everybody, so that it takes as long
        let stand_in = self.passwords.stand_in(email.map_or("", Email::folded));
        let (known, hash) = (hash.is_some(), hash.unwrap_or(stand_in));
        let compared = self.passwords.compare(caller.peer(), password.clone(), hash.clone()).await?;
        let opens = paid.is_none_or(Paid::opens);
        let user = user.filter(|_| opens && known && compared != Match::No).ok_or(Error::SignInFailed)?;
        let anew = match compared {
            Match::Outdated => Some(self.passwords.hash(caller.peer(), password).await?),
            Match::No | Match::Yes => None,
        };
        let token = Bearer::Session.token(store::random()?);
        let digest = TokenDigest::of(token.expose_secret());
        // the clock's own moment, not history's, which doesn't go back with a clock that was ahead
        let (authenticated, lifetime) = (self.clock.now(), self.session.lifetime);
        let origin = Origin {
            actor: Actor::User { user, session: None, as_operator: false },
            on_behalf_of: None,
            ..caller.origin().clone()
        };
        let (peer, before) = (caller.peer(), self.last_uses(user, authenticated));
        let made = self
            .store
            .write(origin, async move |tx| {
                let user = users::by_id(tx.sql(), user).await?.filter(|user| user.active).ok_or(Error::SignInFailed)?;
                // a password that was changed since it was compared opens nothing
                if users::password(tx.sql(), user.id).await?.as_ref() != Some(&hash) {
                    return Ok(None);
                }
                if let Some(anew) = anew {
                    users::set_password(tx, user.id, &anew, Some(&hash)).await?;
                }
                let session = SessionState {
                    session: SessionId::new(tx.now(), tx.random()?),
                    user: user.id,
                    token: digest,
                    authenticated,
                    expires: authenticated.plus(lifetime),
                };
                make_way(tx, user.id, authenticated, &before).await?;
                sessions::insert(tx, &session).await?;
                devices::note(tx, user.id, peer).await?;
                tx.record(Change::SessionStarted(session)).await?;
                Ok(Some((user, session.expires)))
            })
            .await?;
        Ok(made.map(|(user, expires)| SignedInNow { token, expires, user }))
    }

    /// When the sessions of a person were last used; none of those that ended by time.
    fn last_uses(&self, user: UserId, now: Timestamp) -> BTreeMap<SessionId, Option<Timestamp>> {
        let view = self.directory.view();
        let all = view.sessions_of(user, SessionId::from_bytes([0; 16]));
        all.map(|session| (session.id, session.counts(now, self.session.idle).then(|| session.last_used()))).collect()
    }

    /// Ends the calling session.
    pub async fn sign_out(&self, person: InPerson) -> Result<(), Error> {
        let session = self.directory.view().session(&person.signed_in.token).cloned().ok_or(Error::CredentialsInvalid)?;
        let state = SessionState {
            session: session.id,
            user: session.user,
            token: person.signed_in.token,
            authenticated: session.authenticated,
            expires: session.expires,
        };
        self.store
            .write(person.origin(), async move |tx| {
                if sessions::end(tx, state.session).await? {
                    tx.record(Change::SessionEnded(state)).await?;
                }
                Ok(())
            })
            .await
    }

    /// Lists a person's sessions that count, in the order in which they were begun.
    pub fn sessions(&self, person: &InPerson, page: &PageRequest) -> Result<Page<Session>, Error> {
        let user = person.signed_in.user;
        let query = Query::of("sessions").with(user.as_bytes());
        let after = SessionId::from_bytes(query.after(page)?.unwrap_or([0; 16]));
        let now = self.clock.now();
        let limit = usize::try_from(Query::limit(page)).unwrap_or(usize::MAX);
        let view = self.directory.view();
        let live = view.sessions_of(user, after).filter(|session| session.counts(now, self.session.idle));
        let entries = live.take(limit).cloned().collect();
        Ok(query.page(page, entries, |session: &Session| session.id.as_bytes().to_vec()))
    }

    /// Ends a session of a person's; doing it again changes nothing.
    pub async fn revoke_session(&self, person: InPerson, session: SessionId, terms: Terms) -> Result<(), Error> {
        self.store
            .write(person.origin(), async move |tx| {
                person.confirm(tx).await?;
                once(tx, &terms, async |tx| {
                    let found = sessions::by_id(tx, session).await?;
                    // somebody else's is like one that isn't there
                    let state =
                        found.filter(|found| found.user == person.signed_in.user).ok_or(Error::AccessDenied(Takes::Oneself))?;
                    if sessions::end(tx, state.session).await? {
                        tx.record(Change::SessionEnded(state)).await?;
                    }
                    Ok(())
                })
                .await?;
                Ok(())
            })
            .await
    }

    /// Answers who a person is and what they are a member of.
    pub async fn me(&self, oneself: Oneself) -> Result<(User, Vec<Member>), Error> {
        let mut connection = self.store.read().await?;
        let user = users::by_id(&mut connection, oneself.user).await?.ok_or(Error::AccessDenied(Takes::Oneself))?;
        let mut memberships = members::of_user(&mut connection, user.id).await?;
        memberships.retain(|member| oneself.within.is_none_or(|account| account == member.membership.account));
        Ok((user, memberships))
    }
}

/// Has sessions of a person make way for one more, those that were idle for longest, unless fewer than the most are there. Of those that ended by
/// being idle, which are kept until they expire, as many stay and the oldest end, or a program that signs in at each run would leave thousands. What
/// counts is judged inside the write, since many sign-ins may share a view of `before`; those begun since were used last.
async fn make_way(
    tx: &mut Tx,
    user: UserId,
    now: Timestamp,
    before: &BTreeMap<SessionId, Option<Timestamp>>,
) -> Result<(), Error> {
    let all = sessions::live_of(tx, user, now).await?;
    let (ended, mut live): (Vec<_>, Vec<_>) = all.into_iter().partition(|session| before.get(session) == Some(&None));
    let beyond = (live.len() + 1).saturating_sub(MOST).min(MAKE_WAY);
    let forgotten = ended.len().saturating_sub(MOST).min(MAKE_WAY);
    live.sort_by_key(|session| before.get(session).copied().flatten().map_or((true, None), |used| (false, Some(used))));
    for session in live.into_iter().take(beyond).chain(ended.into_iter().take(forgotten)) {
        end(tx, session).await?;
    }
    Ok(())
}

/// Ends a session; false if it isn't there or was ended before.
pub(super) async fn end(tx: &mut Tx, session: SessionId) -> Result<bool, Error> {
    let Some(state) = sessions::by_id(tx, session).await? else { return Ok(false) };
    let ended = sessions::end(tx, session).await?;
    if ended {
        tx.record(Change::SessionEnded(state)).await?;
    }
    Ok(ended)
}
