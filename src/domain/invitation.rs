//! The states of an invitation, and why an open one may be held.

use super::clock::Timestamp;
use super::edition::Edition;
use super::role::RoleSet;

/// What is stored. Expiry is derived by the clock, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Unanswered.
    Pending = 1,
    /// The person became a member.
    Accepted = 2,
    /// The person declined.
    Ignored = 3,
    /// Taken back.
    Withdrawn = 4,
}

impl Stored {
    const ALL: [Self; 4] = [Self::Pending, Self::Accepted, Self::Ignored, Self::Withdrawn];

    /// The code that is stored and hashed.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The state of a stored code.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| i64::from(state.code()) == code)
    }

    /// What a reader sees at `now`.
    #[must_use]
    pub fn at(self, now: Timestamp, expires: Option<Timestamp>) -> State {
        match self {
            Self::Pending if expires.is_some_and(|expires| expires <= now) => State::Expired,
            Self::Pending => State::Pending,
            Self::Accepted => State::Accepted,
            Self::Ignored => State::Ignored,
            Self::Withdrawn => State::Withdrawn,
        }
    }
}

/// What a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting for the answer.
    Pending = 1,
    /// The person became a member.
    Accepted = 2,
    /// The person declined.
    Ignored = 3,
    /// Taken back.
    Withdrawn = 4,
    /// Unanswered past its time.
    Expired = 5,
}

impl State {
    /// As errors spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Ignored => "IGNORED",
            Self::Withdrawn => "WITHDRAWN",
            Self::Expired => "EXPIRED",
        }
    }
}

/// Why an unanswered invitation can't be accepted at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Its grantor may not manage the account's users any more.
    GrantorLacksManageUsers = 1,
    /// The service that granted it isn't entitled any more.
    ServiceNotEntitled = 2,
    /// It carries a role that the edition has off.
    RoleOffInEdition = 3,
    /// The account is closed.
    AccountClosed = 4,
}

impl Held {
    /// As errors spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GrantorLacksManageUsers => "GRANTOR_LACKS_MANAGE_USERS",
            Self::ServiceNotEntitled => "SERVICE_NOT_ENTITLED",
            Self::RoleOffInEdition => "ROLE_OFF_IN_EDITION",
            Self::AccountClosed => "ACCOUNT_CLOSED",
        }
    }
}

/// What holds a grant now, judged as if its grantor made it at this moment.
///
/// `user_manages` and `service_entitled` are none where no user or service granted: the host's operator is always entitled. An
/// invitation from a service that acted for a user takes both.
#[must_use]
pub fn held(
    edition: Edition,
    account_closed: bool,
    roles: RoleSet,
    user_manages: Option<bool>,
    service_entitled: Option<bool>,
) -> Option<Held> {
    if account_closed {
        Some(Held::AccountClosed)
    } else if service_entitled == Some(false) {
        Some(Held::ServiceNotEntitled)
    } else if user_manages == Some(false) {
        Some(Held::GrantorLacksManageUsers)
    } else if !roles.minus(edition.roles()).is_empty() {
        Some(Held::RoleOffInEdition)
    } else {
        None
    }
}
