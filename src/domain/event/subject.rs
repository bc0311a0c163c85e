//! What an event is about.

use super::{Actor, Change, EmailChangeState};
use crate::domain::id::{ApiTokenId, InvitationId, LoginLinkId, MailId, ServiceId, SessionId, UserId};

/// What an event is about, other than an account or the server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum Subject {
    Invitation(InvitationId),
    User(UserId),
    Session(SessionId),
    LoginLink(LoginLinkId),
    Service(ServiceId),
    ApiToken(ApiTokenId),
    Mail(MailId),
}

impl Subject {
    /// The bytes of its id, as the store's column to search by reads them out of an event.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Invitation(id) => id.as_bytes(),
            Self::User(id) => id.as_bytes(),
            Self::Session(id) => id.as_bytes(),
            Self::LoginLink(id) => id.as_bytes(),
            Self::Service(id) => id.as_bytes(),
            Self::ApiToken(id) => id.as_bytes(),
            Self::Mail(id) => id.as_bytes(),
        }
    }

    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let user = text.parse().map(Self::User).ok();
        user.or_else(|| text.parse().map(Self::Invitation).ok())
            .or_else(|| text.parse().map(Self::Session).ok())
            .or_else(|| text.parse().map(Self::LoginLink).ok())
            .or_else(|| text.parse().map(Self::Service).ok())
            .or_else(|| text.parse().map(Self::ApiToken).ok())
            .or_else(|| text.parse().map(Self::Mail).ok())
    }
}

/// As the contract shows it.
impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invitation(id) => id.fmt(f),
            Self::User(id) => id.fmt(f),
            Self::Session(id) => id.fmt(f),
            Self::LoginLink(id) => id.fmt(f),
            Self::Service(id) => id.fmt(f),
            Self::ApiToken(id) => id.fmt(f),
            Self::Mail(id) => id.fmt(f),
        }
    }
}

impl Change {
    /// What it is about; none when that is the account or the server itself.
    ///
    /// The store's column to search by finds it in the bytes by the number of the kind, so a kind of another layout has to be told to its
    /// migration; verifying history holds the two against each other.
    #[must_use]
    pub const fn subject(&self) -> Option<Subject> {
        match self {
            Self::EditionSet(_)
            | Self::LinkKeyRotated(_)
            | Self::HistoryTrimmed(_)
            | Self::AccountCreated(_)
            | Self::AccountUpdated(_)
            | Self::AccountClosed(_)
            | Self::AccountReopened(_)
            | Self::AccountLeftWithoutAdmin(_) => None,
            Self::InvitationCreated(state)
            | Self::InvitationRenewed(state)
            | Self::InvitationResent(state)
            | Self::InvitationWithdrawn(state)
            | Self::InvitationAccepted(state)
            | Self::InvitationIgnored(state)
            | Self::InvitationUpdated(state)
            | Self::InvitationLinkReturned(state) => Some(Subject::Invitation(state.invitation)),
            Self::MemberJoined(state)
            | Self::MemberPrivilegeChanged(state)
            | Self::MemberRolesAssigned(state)
            | Self::MemberRemoved(state)
            | Self::MemberLeft(state) => Some(Subject::User(state.user)),
            Self::UserCreated(state)
            | Self::SuperAdminGranted(state)
            | Self::SuperAdminRevoked(state)
            | Self::UserUpdated(state)
            | Self::UserEmailChanged(EmailChangeState { user: state, .. })
            | Self::UserDeactivated(state)
            | Self::UserReactivated(state) => Some(Subject::User(state.user)),
            Self::UserPasswordChanged(state) | Self::UserPasswordReset(state) | Self::SessionsRevoked(state) => {
                Some(Subject::User(state.user))
            }
            Self::UserDeleted(state) => Some(Subject::User(state.user)),
            Self::LoginLinkMade(state) => Some(Subject::LoginLink(state.link)),
            Self::SessionStarted(state) | Self::SessionEnded(state) => Some(Subject::Session(state.session)),
            Self::ServiceCreated(state) | Self::ServiceRevoked(state) | Self::ServiceExpiring(state) => {
                Some(Subject::Service(state.service))
            }
            Self::ApiTokenCreated(state) | Self::ApiTokenEnded(state) | Self::ApiTokenExpiring(state) => {
                Some(Subject::ApiToken(state.api_token))
            }
            Self::MailRetried(state) => Some(Subject::Mail(state.mail)),
        }
    }
}

impl Actor {
    /// Who it is, without the session, token or right that they acted by: how the canonical layout begins an actor, and what the store's column
    /// to search by reads out of an event.
    #[must_use]
    pub fn mark(self) -> Vec<u8> {
        match self {
            Self::Server => vec![1],
            Self::Anonymous => vec![2],
            Self::Operator(uid) => [&[3][..], &uid.to_be_bytes()].concat(),
            Self::User { user, .. } | Self::ApiToken { user, .. } => [&[4][..], user.as_bytes()].concat(),
            Self::Service(service) => [&[5][..], service.as_bytes()].concat(),
        }
    }

    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "server" => return Some(Self::Server),
            "anonymous" => return Some(Self::Anonymous),
            _ => {}
        }
        if let Some(uid) = text.strip_prefix("operator:") {
            let known = |actor: &Self| actor.to_string() == text;
            return uid.parse().ok().map(Self::Operator).filter(known);
        }
        let user = text.parse().ok().map(|user| Self::User { user, session: None, as_operator: false });
        user.or_else(|| text.parse().ok().map(Self::Service))
    }
}

/// As the contract shows it.
impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Operator(uid) => write!(f, "operator:{uid}"),
            Self::User { user, .. } | Self::ApiToken { user, .. } => user.fmt(f),
            Self::Service(service) => service.fmt(f),
        }
    }
}
