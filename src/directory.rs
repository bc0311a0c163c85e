//! The answers to "may X do Y in Z?", in memory, always as new as the last commit.
//!
//! A [`View`] is one consistent state of everything that permission checks and authentication need. The writer's thread makes the next one
//! from the events that it has just committed and puts it in place before anybody is answered; readers take the present one without a lock
//! and never wait for a write. The maps share what didn't change, so the next view costs what changed.

mod api_tokens;
mod domains;
mod load;
mod sessions;
mod used;

use std::ops::Bound;
use std::sync::Arc;

use arc_swap::ArcSwap;
use imbl::OrdMap;

use crate::domain::clock::Timestamp;
use crate::domain::edition::Edition;
use crate::domain::email::Email;
use crate::domain::event::{Change, Event, MemberState, ServiceState, UserState};
use crate::domain::id::{AccountId, Epoch, ServiceId, SessionId, UserId};
use crate::domain::permission::Permission;
use crate::domain::policy::{self, Person, Place, Standing};
use crate::domain::scope::ScopeSet;
use crate::domain::token::TokenDigest;
pub use api_tokens::ApiToken;
use domains::Domains;
pub use sessions::Session;
use used::Used;

/// An account, as checks need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it grants anything.
    pub closed: bool,
}

/// A user, as checks need them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The address they hold, in the form that equality is judged on.
    pub folded: Arc<str>,
    /// Whether they may sign in and have permissions.
    pub active: bool,
    /// Whether they are judged as an Admin everywhere.
    pub super_admin: bool,
}

/// A service, as authentication needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Which.
    pub id: ServiceId,
    /// What it may call.
    pub scopes: ScopeSet,
    /// The account that it is bound to.
    pub account: Option<AccountId>,
    /// When it stops counting.
    pub expires: Option<Timestamp>,
}

impl Service {
    /// Whether it counts at a moment; a revoked one isn't in the directory at all.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// One consistent state.
#[derive(Clone)]
pub struct View {
    epoch: Epoch,
    seq: u64,
    time: Timestamp,
    edition: Edition,
    accounts: OrdMap<AccountId, Account>,
    open_accounts: usize,
    names: OrdMap<Arc<str>, AccountId>,
    users: OrdMap<UserId, User>,
    addresses: OrdMap<Arc<str>, UserId>,
    members: OrdMap<(AccountId, UserId), Standing>,
    sessions: OrdMap<TokenDigest, Session>,
    /// The tokens of each user's sessions, so that they can be ended together.
    sessions_of: OrdMap<(UserId, SessionId), TokenDigest>,
    services: OrdMap<ServiceId, Service>,
    tokens: OrdMap<TokenDigest, ServiceId>,
    certificates: OrdMap<Arc<str>, ServiceId>,
    api_tokens: OrdMap<TokenDigest, ApiToken>,
    domains: Domains,
}

impl View {
    /// Which history this is.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// All services that weren't revoked, expired ones too.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// The last event that is in it.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// When the last event in it happened: the clock can't be right if it says less.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The edition that the data is served as.
    #[must_use]
    pub const fn edition(&self) -> Edition {
        self.edition
    }

    /// The account of a name.
    #[must_use]
    pub fn account_named(&self, name: &str) -> Option<AccountId> {
        self.names.get(name).copied()
    }

    /// An account.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// How many accounts are open.
    #[must_use]
    pub const fn open_accounts(&self) -> usize {
        self.open_accounts
    }

    /// A user.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.users.get(&id)
    }

    /// The user who holds an address now.
    #[must_use]
    pub fn holder(&self, email: &Email) -> Option<UserId> {
        self.addresses.get(email.folded()).copied()
    }

    /// Where a member stands.
    #[must_use]
    pub fn standing(&self, account: AccountId, user: UserId) -> Option<Standing> {
        self.members.get(&(account, user)).copied()
    }

    /// The members of the accounts between two, by account and user, after one of them if it is given.
    pub fn members_between(
        &self,
        (first, last): (AccountId, AccountId),
        after: Option<(AccountId, UserId)>,
    ) -> impl Iterator<Item = (AccountId, UserId, Standing)> {
        let from = after.map_or(Bound::Included((first, UserId::from_bytes([0; 16]))), Bound::Excluded);
        let until = Bound::Included((last, UserId::from_bytes([0xff; 16])));
        self.members.range((from, until)).map(|((account, user), standing)| (*account, *user, *standing))
    }

    /// A service that isn't revoked.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(&id)
    }

    /// The service of a token.
    #[must_use]
    pub fn service_of_token(&self, token: &TokenDigest) -> Option<&Service> {
        self.service(*self.tokens.get(token)?)
    }

    /// The service of a name in a client certificate.
    #[must_use]
    pub fn service_of_certificate(&self, name: &str) -> Option<&Service> {
        self.service(*self.certificates.get(name)?)
    }

    /// A user as a check sees them in an account.
    #[must_use]
    pub fn person(&self, account: Option<AccountId>, user: Option<UserId>) -> Person {
        let Some((id, user)) = user.and_then(|id| Some((id, self.user(id)?))) else { return Person::Unknown };
        let member = account.and_then(|account| self.standing(account, id));
        Person::User { active: user.active, super_admin: user.super_admin, member }
    }

    /// An account as a check sees it.
    #[must_use]
    pub fn place(&self, account: Option<AccountId>) -> Place {
        match account.and_then(|id| self.account(id)) {
            None => Place::Unknown,
            Some(account) if account.closed => Place::Closed,
            Some(_) => Place::Open,
        }
    }

    /// Whether a user has a permission in an account.
    #[must_use]
    pub fn allows(&self, account: AccountId, user: UserId, permission: Permission) -> bool {
        let (person, place) = (self.person(Some(account), Some(user)), self.place(Some(account)));
        policy::decide(self.edition, person, place, permission).is_ok()
    }

    fn apply(&mut self, event: &Event) {
        (self.seq, self.time) = (event.seq, event.time);
        match &event.change {
            Change::EditionSet(data) => (self.epoch, self.edition) = (data.epoch, data.edition),
            Change::AccountCreated(state)
            | Change::AccountUpdated(state)
            | Change::AccountClosed(state)
            | Change::AccountReopened(state) => {
                self.insert_account(state.account, state.name.as_str().into(), state.closed);
            }
            Change::MemberJoined(member) | Change::MemberPrivilegeChanged(member) | Change::MemberRolesAssigned(member) => {
                if self.members.insert((member.account, member.user), member.standing).is_none()
                    && let Some(user) = self.users.get(&member.user)
                {
                    self.domains.joined(member.account, &user.folded);
                }
            }
            Change::MemberRemoved(MemberState { account, user, .. }) | Change::MemberLeft(MemberState { account, user, .. }) => {
                if self.members.remove(&(*account, *user)).is_some()
                    && let Some(user) = self.users.get(user)
                {
                    self.domains.left(*account, &user.folded);
                }
            }
            Change::UserCreated(state)
            | Change::SuperAdminGranted(state)
            | Change::UserUpdated(state)
            | Change::UserReactivated(state) => self.apply_user(state),
            Change::SuperAdminRevoked(state) | Change::UserDeactivated(state) => {
                self.apply_user(state);
                self.end_sessions(state.user, None);
            }
            Change::UserEmailChanged(state) => {
                self.apply_user(&state.user);
                self.end_sessions(state.user.user, state.kept);
            }
            Change::UserPasswordChanged(state) | Change::UserPasswordReset(state) | Change::SessionsRevoked(state) => {
                self.end_sessions(state.user, state.kept);
            }
            Change::UserDeleted(state) => {
                if let Some(user) = self.users.remove(&state.user) {
                    self.addresses.remove(&user.folded);
                }
                self.end_sessions(state.user, None);
            }
            Change::SessionStarted(state) => self.insert_session(*state, state.authenticated),
            Change::SessionEnded(state) => {
                self.sessions.remove(&state.token);
                self.sessions_of.remove(&(state.user, state.session));
            }
            Change::ServiceCreated(state) => self.insert_service(state),
            Change::ServiceRevoked(state) => self.remove_service(state),
            Change::ApiTokenCreated(state) => self.insert_api_token(state),
            Change::ApiTokenEnded(state) => {
                self.api_tokens.remove(&state.token);
            }
            Change::InvitationCreated(state) => self.apply_invited(state),
            Change::InvitationWithdrawn(state) | Change::InvitationAccepted(state) | Change::InvitationIgnored(state) => {
                self.apply_answered(state);
            }
            Change::InvitationRenewed(_)
            | Change::InvitationResent(_)
            | Change::InvitationUpdated(_)
            | Change::InvitationLinkReturned(_)
            | Change::AccountLeftWithoutAdmin(_)
            | Change::LoginLinkMade(_)
            | Change::ServiceExpiring(_)
            | Change::ApiTokenExpiring(_)
            | Change::MailRetried(_)
            | Change::LinkKeyRotated(_)
            | Change::HistoryTrimmed(_) => {}
        }
    }

    fn insert_account(&mut self, id: AccountId, name: Arc<str>, closed: bool) {
        self.names.insert(Arc::clone(&name), id);
        let before = self.accounts.insert(id, Account { name, closed });
        self.open_accounts += usize::from(!closed);
        self.open_accounts -= usize::from(before.is_some_and(|before| !before.closed));
    }

    fn apply_user(&mut self, state: &UserState) {
        // an erased address has no holder any more; what else the event says counts all the same
        let folded: Arc<str> = Email::parse(state.email.value()).map(|email| email.folded().into()).unwrap_or_default();
        if let Some(before) = self.users.get(&state.user)
            && before.folded != folded
        {
            let before = Arc::clone(&before.folded);
            self.addresses.remove(&before);
            self.move_domain(state.user, &before, &folded);
        }
        if !folded.is_empty() {
            self.addresses.insert(Arc::clone(&folded), state.user);
        }
        self.users.insert(state.user, User { folded, active: state.active, super_admin: state.super_admin });
    }

    fn insert_service(&mut self, state: &ServiceState) {
        let id = state.service;
        self.services.insert(id, Service { id, scopes: state.scopes, account: state.account, expires: state.expires });
        if let Some(token) = state.token {
            self.tokens.insert(token, id);
        }
        if let Some(name) = &state.certificate {
            self.certificates.insert(name.as_str().into(), id);
        }
    }

    fn remove_service(&mut self, state: &ServiceState) {
        self.services.remove(&state.service);
        if let Some(token) = &state.token {
            self.tokens.remove(token);
        }
        if let Some(name) = &state.certificate {
            self.certificates.remove(name.as_str());
        }
    }

    /// Whether two views answer every check alike: what a test compares after a random history.
    #[must_use]
    pub fn same_answers(&self, other: &Self) -> bool {
        let sessions = |view: &Self| view.sessions.iter().map(|(token, session)| (*token, session.id)).collect::<Vec<_>>();
        (self.epoch, self.seq, self.edition) == (other.epoch, other.seq, other.edition)
            && self.accounts == other.accounts
            && self.open_accounts == other.open_accounts
            && self.names == other.names
            && self.users == other.users
            && self.addresses == other.addresses
            && self.members == other.members
            && self.services == other.services
            && self.tokens == other.tokens
            && self.certificates == other.certificates
            && self.api_tokens == other.api_tokens
            && self.domains == other.domains
            && sessions(self) == sessions(other)
            && self.sessions_of == other.sessions_of
    }
}

/// The present view, and the way to the next.
pub struct Directory {
    present: ArcSwap<View>,
}

impl Directory {
    /// The present state: contains every change that was answered before it was asked for.
    #[must_use]
    pub fn view(&self) -> arc_swap::Guard<Arc<View>> {
        self.present.load()
    }

    /// The present state, to be kept for longer than a check.
    #[must_use]
    pub fn snapshot(&self) -> Arc<View> {
        self.present.load_full()
    }

    /// Takes in what was just committed, in order. Only the writer's thread calls it, so no update can be lost.
    pub fn apply(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut next = View::clone(&self.present.load());
        for event in events {
            next.apply(event);
        }
        self.present.store(Arc::new(next));
    }
}
