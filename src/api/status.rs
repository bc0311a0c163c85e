//! The one place where an error becomes a status: a code, a reason of the contract's `ErrorReason`, and what helps to mend it.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tracing::{error, info, warn};

use crate::domain::error::{Error, TOLD, Takes, chain};
use crate::domain::id::TraceId;
use crate::domain::limit::Reached;
use crate::domain::permission::PermissionSet;
use crate::domain::role::Role;
use crate::proto::{EntryError, ErrorReason};

/// `ErrorInfo.domain` of every error.
pub const DOMAIN: &str = "usermanagement.circonus";

/// What clients are told of an error. A fault is logged here, once, with everything beneath it.
#[must_use]
pub fn of(error: &Error, trace: TraceId) -> Status {
    match error {
        Error::Internal(_) => error!(trace = %trace, error = %chain(error), "a fault of the server"),
        Error::Storage(_) => error!(trace = %trace, error = %chain(error), "the storage can't be used"),
        Error::Busy { .. } => warn!(trace = %trace, %error, "a request was turned away"),
        Error::LimitReached(reached) => info!(trace = %trace, limit = reached.limit.key(), "a limit was reached"),
        _ => {}
    }
    unlogged(error, trace)
}

/// The same for what there may be too much of for the log.
#[must_use]
pub fn unlogged(error: &Error, trace: TraceId) -> Status {
    let Told { code, reason, metadata, details } = tell(error);
    build(code, reason, metadata, details, error.to_string(), trace)
}

/// What is told of one entry of a batch that nothing was done for.
#[must_use]
pub fn of_entry(error: &Error) -> EntryError {
    let Told { code, reason, metadata, details } = tell(error);
    let mut metadata = metadata;
    if let Some(bad) = details.bad_request() {
        let fields = bad.field_violations.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>().join(",");
        metadata.insert("fields".to_owned(), fields);
    }
    EntryError { code: code.into(), reason: reason.into(), message: error.to_string(), metadata }
}

fn build(
    code: Code,
    reason: ErrorReason,
    mut metadata: HashMap<String, String>,
    mut details: ErrorDetails,
    message: String,
    trace: TraceId,
) -> Status {
    metadata.insert("trace_id".to_owned(), trace.to_string());
    let reason = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

struct Told {
    code: Code,
    reason: ErrorReason,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Told {
    fn new(code: Code, reason: ErrorReason) -> Self {
        Self { code, reason, metadata: HashMap::new(), details: ErrorDetails::new() }
    }

    fn with(mut self, key: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Says how many there are beyond those that are told one by one.
    fn and_more(self, count: usize) -> Self {
        if count > TOLD { self.with("more", &(count - TOLD)) } else { self }
    }

    /// Adds what the state would have to be.
    fn precondition(mut self, subject: &(impl ToString + ?Sized), description: &(impl ToString + ?Sized)) -> Self {
        let kind = self.reason.as_str_name().trim_start_matches("ERROR_REASON_");
        self.details.add_precondition_failure_violation(kind, subject.to_string(), description.to_string());
        self
    }

    /// Adds whose limit was reached.
    fn quota(mut self, subject: &str, description: &Error) -> Self {
        self.details.add_quota_failure_violation(subject, description.to_string());
        self
    }

    fn retry(mut self, after: Duration) -> Self {
        self.details.set_retry_info(Some(after));
        self
    }
}

#[allow(clippy::too_many_lines, reason = "one exhaustive match is the point: no error can be without its status")]
fn tell(error: &Error) -> Told {
    use Code::{
        Aborted, AlreadyExists, FailedPrecondition, Internal, InvalidArgument, NotFound, PermissionDenied, ResourceExhausted,
        Unauthenticated, Unavailable,
    };
    use ErrorReason as Reason;
    match error {
        Error::CredentialsMissing => Told::new(Unauthenticated, Reason::CredentialsMissing),
        Error::CredentialsInvalid => Told::new(Unauthenticated, Reason::CredentialsInvalid),
        Error::SignInFailed => Told::new(Unauthenticated, Reason::SignInFailed),

        Error::AccessDenied(takes) => {
            let told = Told::new(PermissionDenied, Reason::AccessDenied);
            match takes {
                Takes::Permission(permission) => told.with("permission", &format!("PERMISSION_{}", permission.as_str())),
                Takes::Scope(scope) => told.with("scope", scope.as_str()),
                Takes::Oneself => told,
            }
        }
        Error::ScopeMissing(scope) => Told::new(PermissionDenied, Reason::ScopeMissing).with("scope", scope.as_str()),
        Error::OperatorRequired => Told::new(PermissionDenied, Reason::OperatorRequired),
        Error::SessionRequired => Told::new(PermissionDenied, Reason::SessionRequired),
        Error::InvitationForAnotherAddress => Told::new(PermissionDenied, Reason::InvitationForAnotherAddress),

        Error::FieldsInvalid(violations) => {
            let mut told = Told::new(InvalidArgument, Reason::FieldsInvalid);
            for violation in violations.iter().take(TOLD) {
                told.details.add_bad_request_violation(&violation.field, &violation.description);
            }
            told.and_more(violations.len())
        }
        Error::ActAsInvalid(_) => Told::new(InvalidArgument, Reason::ActAsInvalid),
        Error::PageTokenInvalid => {
            let mut told = Told::new(InvalidArgument, Reason::PageTokenInvalid);
            told.details.add_bad_request_violation("page_token", error.to_string());
            told
        }
        Error::RequestIdReused => {
            let mut told = Told::new(InvalidArgument, Reason::RequestIdReused);
            told.details.add_bad_request_violation("request_id", error.to_string());
            told
        }

        Error::AccountNotFound(name) => Told::new(NotFound, Reason::AccountNotFound).with("account", name),
        Error::MemberNotFound(user) => Told::new(NotFound, Reason::MemberNotFound).with("user", user),
        Error::UserNotFound(user) => Told::new(NotFound, Reason::UserNotFound).with("user", user),
        Error::InvitationNotFound(id) => Told::new(NotFound, Reason::InvitationNotFound).with("invitation", id),
        Error::ServiceNotFound(id) => Told::new(NotFound, Reason::ServiceNotFound).with("service", id),
        Error::MailNotFound(id) => Told::new(NotFound, Reason::MailNotFound).with("mail", id),
        Error::LinkInvalid => Told::new(NotFound, Reason::LinkInvalid),
        Error::TokenNotFound => Told::new(NotFound, Reason::TokenNotFound),

        Error::AccountExists(name) => Told::new(AlreadyExists, Reason::AccountExists).with("account", name),
        Error::InvitationExists(id) => Told::new(AlreadyExists, Reason::InvitationExists).with("invitation", id),
        Error::MemberExists(user) => Told::new(AlreadyExists, Reason::MemberExists).with("user", user),
        Error::UserExists(user) => Told::new(AlreadyExists, Reason::UserExists).with("user", user),
        Error::ServiceExists(id) => Told::new(AlreadyExists, Reason::ServiceExists).with("service", id),

        Error::LastAdmin(accounts) => {
            let names = accounts.iter().take(TOLD).map(ToString::to_string).collect::<Vec<_>>().join(",");
            // the longest names have room in the message and beside it, and nowhere else
            let told = Told::new(FailedPrecondition, Reason::LastAdmin).with("accounts", &names);
            told.precondition("accounts", "each needs an active member who may manage users").and_more(accounts.len())
        }
        Error::RoleOffInEdition { roles, edition } => Told::new(FailedPrecondition, Reason::RoleOffInEdition)
            .with("roles", &roles.iter().map(role_name).collect::<Vec<_>>().join(","))
            .with("edition", &format!("EDITION_{}", edition.as_str().to_uppercase()))
            .precondition(edition.as_str(), error),
        Error::RolesWiden(gained) => {
            Told::new(FailedPrecondition, Reason::RolesWiden).with("gained", &permissions(*gained)).precondition("roles", error)
        }
        Error::SelfGrant(gained) => {
            Told::new(FailedPrecondition, Reason::SelfGrant).with("gained", &permissions(*gained)).precondition("user", error)
        }
        Error::AccountClosed(name) => {
            Told::new(FailedPrecondition, Reason::AccountClosed).with("account", name).precondition(name, error)
        }
        Error::InvitationAnswered(id, state) => Told::new(FailedPrecondition, Reason::InvitationAnswered)
            .with("invitation", id)
            .with("state", &format!("INVITATION_STATE_{}", state.as_str()))
            .precondition(id, error),
        Error::InvitationWithdrawn(id) => {
            Told::new(FailedPrecondition, Reason::InvitationWithdrawn).with("invitation", id).precondition(id, error)
        }
        Error::InvitationExpired(id) => {
            Told::new(FailedPrecondition, Reason::InvitationExpired).with("invitation", id).precondition(id, error)
        }
        Error::InvitationHeld(id, held) => Told::new(FailedPrecondition, Reason::InvitationHeld)
            .with("invitation", id)
            .with("held_reason", &format!("HELD_REASON_{}", held.as_str()))
            .precondition(id, error),
        Error::LinkExpired => Told::new(FailedPrecondition, Reason::LinkExpired).precondition("token", error),
        Error::PasswordMismatch { attempts_left } => Told::new(FailedPrecondition, Reason::PasswordMismatch)
            .with("attempts_left", attempts_left)
            .precondition("password", error),
        Error::PasswordWrong => Told::new(FailedPrecondition, Reason::PasswordWrong).precondition("password", error),
        Error::UserDeactivated(user) => {
            Told::new(FailedPrecondition, Reason::UserDeactivated).with("user", user).precondition(user, error)
        }
        Error::SignUpClosed => Told::new(FailedPrecondition, Reason::SignUpClosed).precondition("email", error),
        Error::LoginExists => Told::new(FailedPrecondition, Reason::LoginExists).precondition("email", error),
        Error::MailNotRetryable(id, state) => Told::new(FailedPrecondition, Reason::MailNotRetryable)
            .with("mail", id)
            .with("state", &format!("DELIVERY_STATE_{state}"))
            .precondition(id, error),

        Error::LinkKeyFile(_) => Told::new(FailedPrecondition, Reason::LinkKeyFile).precondition("link_key_file", error),

        Error::EtagMismatch { etag } => Told::new(Aborted, Reason::EtagMismatch).with("etag", etag),

        Error::Entry { position, error } => tell(error).with("entry", position),

        Error::LimitReached(reached) => {
            let Reached { limit, subject, left, retry_after } = reached;
            let told = if limit.is_of_tries() {
                Told::new(ResourceExhausted, Reason::TriesExhausted)
            } else if limit.is_of_invitations() {
                Told::new(ResourceExhausted, Reason::InvitationsExhausted).with("left", left)
            } else {
                Told::new(ResourceExhausted, Reason::RequestsExhausted)
            };
            told.with("limit", limit.key()).quota(subject, error).retry(*retry_after)
        }

        Error::Busy { retry_after } => Told::new(Unavailable, Reason::Busy).retry(*retry_after),
        Error::Draining => Told::new(Unavailable, Reason::Draining),
        Error::Storage(_) => Told::new(Unavailable, Reason::StorageUnavailable).retry(Duration::from_secs(1)),
        Error::Internal(_) => Told::new(Internal, Reason::Internal),
    }
}

fn permissions(set: PermissionSet) -> String {
    set.iter().map(|permission| format!("PERMISSION_{}", permission.as_str())).collect::<Vec<_>>().join(",")
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Admin => "ROLE_ADMIN",
        Role::Alerts => "ROLE_ALERTS",
        Role::Data => "ROLE_DATA",
        Role::Trending => "ROLE_TRENDING",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::Slug;

    #[test]
    fn the_longest_names_of_accounts_without_admin_fit_into_headers() {
        let accounts = (10..31).map(|number| Slug::parse(&format!("{number}{}", "a".repeat(61))).expect("a name"));
        let status = of(&Error::LastAdmin(accounts.collect()), TraceId::from_bytes([7; 16]));
        let answer = status.into_http::<()>();
        let size: usize = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        assert!(size > 4096 && size < 8192, "common clients take 8 KiB: {size}");
    }
}
