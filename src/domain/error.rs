//! The one error: what can be refused or go wrong, with what the caller needs to mend it.
//!
//! `api::status` turns it into a status in one exhaustive match; the contract's `ErrorReason` describes each for callers.

use std::time::Duration;

use super::edition::Edition;
use super::id::{InvitationId, MailId, ServiceId, UserId};
use super::invitation::{Held, State};
use super::limit::Reached;
use super::name::Slug;
use super::permission::{Permission, PermissionSet};
use super::role::RoleSet;
use super::scope::Scope;

/// A field of a request that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's name in the request, such as `roles[1]`.
    pub field: String,
    /// What it must be.
    pub description: String,
}

/// What a call takes; told in a refusal, since it depends on the call alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A permission in the account.
    Permission(Permission),
    /// A scope, without being bound to another account.
    Scope(Scope),
    /// To be the person that it is about.
    Oneself,
}

/// Why an operation gave no answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the contract's ErrorReason documents each, for callers and readers alike")]
pub enum Error {
    #[error("the call takes a signed-in caller")]
    CredentialsMissing,
    #[error("the bearer token is malformed, unknown, expired or revoked, or the certificate names two services")]
    CredentialsInvalid,
    #[error("no user has this confirmed address and password")]
    SignInFailed,

    #[error("it isn't there, isn't yours, or isn't allowed")]
    AccessDenied(Takes),
    #[error("the service lacks the scope {}", .0.as_str())]
    ScopeMissing(Scope),
    #[error("the call is for operators: use the operators' socket, or sign in again as a super-admin")]
    OperatorRequired,
    #[error("the call takes a person's own session; a personal token doesn't open it")]
    SessionRequired,
    #[error("the invitation is for another address than yours; sign in as the person who was invited")]
    InvitationForAnotherAddress,

    #[error("{} of the request can't be taken: {}", fields(.0.len()), list(.0))]
    FieldsInvalid(Vec<Violation>),
    #[error("x-act-as can't be taken: {0}")]
    ActAsInvalid(&'static str),
    #[error("the page token is none that this query answered")]
    PageTokenInvalid,
    #[error("the request_id was used for a call with other content")]
    RequestIdReused,

    #[error("there is no account {0:?}")]
    AccountNotFound(String),
    #[error("nobody in the account has the id or address {0:?}")]
    MemberNotFound(String),
    #[error("there is no user {0:?}")]
    UserNotFound(String),
    #[error("there is no invitation {0:?} in the account")]
    InvitationNotFound(String),
    #[error("there is no service {0:?}")]
    ServiceNotFound(String),
    #[error("there is no mail {0:?}")]
    MailNotFound(String),
    #[error("the link is mistyped or was replaced by a newer mail; use the newest mail's link or ask for a new one")]
    LinkInvalid,
    #[error("the token is none of this server's, or was forgotten after it ended; it opens nothing")]
    TokenNotFound,

    #[error("the account name {0} is taken")]
    AccountExists(Slug),
    #[error("the address has a pending invitation, {0}")]
    InvitationExists(InvitationId),
    #[error("the address belongs to a member, {0}")]
    MemberExists(UserId),
    #[error("the address belongs to a user, {0}")]
    UserExists(UserId),
    #[error("there is a service with this name or certificate name, {0}")]
    ServiceExists(ServiceId),

    #[error("{} would lose the last active member who may manage users; make somebody else an Admin first", names(.0))]
    LastAdmin(Vec<Slug>),
    #[error("the edition {} doesn't have the roles {roles}", .edition.as_str())]
    RoleOffInEdition { roles: RoleSet, edition: Edition },
    #[error("this would give {0}, which none of the roles opens; set allow_widening if that is meant")]
    RolesWiden(PermissionSet),
    #[error("one's own privilege and roles can only be lowered; this would give {0}")]
    SelfGrant(PermissionSet),
    #[error("the account {0} is closed")]
    AccountClosed(Slug),
    #[error("the invitation {0} was answered: {state}", state = .1.as_str())]
    InvitationAnswered(InvitationId, State),
    #[error("the invitation {0} was withdrawn")]
    InvitationWithdrawn(InvitationId),
    #[error("the invitation {0} has expired; ask for it to be sent again")]
    InvitationExpired(InvitationId),
    #[error("the invitation {0} can't be accepted at present: {reason}", reason = .1.as_str())]
    InvitationHeld(InvitationId, Held),
    #[error("the link has ended; ask for a new one")]
    LinkExpired,
    #[error("the password isn't the one that the link takes; {attempts_left} more tries")]
    PasswordMismatch { attempts_left: u32 },
    #[error("the password isn't the present one")]
    PasswordWrong,
    #[error("the user {0} is deactivated; reactivate the login first")]
    UserDeactivated(UserId),
    #[error("this site takes no sign-up of this address without an open invitation")]
    SignUpClosed,
    #[error("the address has a login; sign in")]
    LoginExists,
    #[error("the mail {0} isn't waiting or failed: {1}")]
    MailNotRetryable(MailId, &'static str),
    #[error("the file of the link key can't be changed: {0}")]
    LinkKeyFile(String),

    #[error("the object changed since it was read")]
    EtagMismatch { etag: String },

    #[error("entry {position}: {error}")]
    Entry { position: usize, error: Box<Error> },

    #[error("{0}")]
    LimitReached(Reached),

    #[error("too much is being done at once")]
    Busy { retry_after: Duration },
    #[error("the server is shutting down")]
    Draining,
    #[error("the data can't be written or read at present")]
    Storage(#[source] Cause),
    #[error("a fault of the server")]
    Internal(#[source] Cause),
}

/// What lies beneath a fault: for the log, never for the caller.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// A fault that has no error of its own.
    #[must_use]
    pub fn internal(what: impl Into<Cause>) -> Self {
        Self::Internal(what.into())
    }

    /// One field that can't be taken.
    #[must_use]
    pub fn field(field: impl Into<String>, description: &impl ToString) -> Self {
        Self::FieldsInvalid(vec![Violation { field: field.into(), description: description.to_string() }])
    }
}

/// How many things of one kind an error tells one by one: it travels in headers, of which common clients take 8 KiB, and who sends hundreds of
/// them wrong has one mistake.
pub const TOLD: usize = 20;

fn fields(count: usize) -> String {
    if count == 1 { "one field".to_owned() } else { format!("{count} fields") }
}

fn list(violations: &[Violation]) -> String {
    let told = violations.iter().take(TOLD).map(|violation| format!("{} {}", violation.field, violation.description));
    told.chain(and_more(violations.len())).collect::<Vec<_>>().join("; ")
}

fn names(accounts: &[Slug]) -> String {
    let told = accounts.iter().take(TOLD).map(ToString::to_string);
    told.chain(and_more(accounts.len())).collect::<Vec<_>>().join(", ")
}

fn and_more(count: usize) -> Option<String> {
    count.checked_sub(TOLD).filter(|more| *more > 0).map(|more| format!("and {more} more"))
}

/// An error with everything beneath it, in one line: for the log.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
