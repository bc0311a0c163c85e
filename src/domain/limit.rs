//! The limits on what callers may cause, by the configuration key of each.

use std::time::Duration;

/// A limit that refuses, by the code that is stored with what was used up of it. Those that only delay mail have no refusal to be named in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Wrong passwords for one address, wherever they were typed.
    SignInPerAddress = 1,
    /// Wrong passwords from one peer.
    SignInPerPeer = 2,
    /// Wrong passwords for one address from one peer.
    SignInPerDevice = 3,
    /// Passwords that one peer has compared or hashed with links from mails, or hashed to change theirs.
    LinksPerPeer = 4,
    /// Mails that one peer asks for without being signed in.
    RequestsPerPeer = 5,
    /// Sign-ups of one peer that haven't expired.
    SignUpsPerPeer = 6,
    /// Sign-ups of everybody that haven't expired.
    SignUps = 7,
    /// Invitations by one person or service.
    InvitationsPerGrantor = 8,
    /// Invitations into one account.
    InvitationsPerAccount = 9,
    /// New addresses that one person has a link mailed to.
    AddressChangesPerUser = 10,
    /// Personal tokens that one person makes.
    ApiTokensPerUser = 11,
    /// Calls of one peer at once. It is counted in memory alone, as is the next.
    CallsPerPeer = 12,
    /// Bytes of one peer's requests and answers at once.
    BytesPerPeer = 13,
    /// Wrong passwords that one person types in their sessions: as many as for one address from one peer, by the same key.
    InSessionsPerUser = 14,
}

impl Limit {
    /// The configuration key.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::SignInPerAddress => "limits.sign_in_failures_per_address",
            Self::SignInPerPeer => "limits.sign_in_failures_per_peer",
            Self::SignInPerDevice | Self::InSessionsPerUser => "limits.sign_in_failures_per_device",
            Self::LinksPerPeer => "limits.link_uses_per_peer",
            Self::RequestsPerPeer => "limits.mails_per_peer",
            Self::SignUpsPerPeer => "limits.sign_ups_per_peer",
            Self::SignUps => "limits.sign_ups",
            Self::InvitationsPerGrantor => "limits.invitations_per_grantor",
            Self::InvitationsPerAccount => "limits.invitations_per_account",
            Self::AddressChangesPerUser => "limits.address_changes_per_user",
            Self::ApiTokensPerUser => "limits.api_tokens_per_user",
            Self::CallsPerPeer => "limits.calls_per_peer",
            Self::BytesPerPeer => "limits.buffered_bytes_per_peer",
        }
    }

    /// What there was too much of.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::SignInPerAddress => "too many wrong passwords were tried for this address",
            Self::SignInPerPeer => "too many wrong passwords came from where you are",
            Self::SignInPerDevice => "too many wrong passwords were typed for this address where you are",
            Self::LinksPerPeer => "too many links were used, or passwords changed, from where you are",
            Self::RequestsPerPeer => "too many mails were asked for from where you are",
            Self::SignUpsPerPeer => "too many sign-ups came from where you are",
            Self::SignUps => "too many people signed up of late",
            Self::InvitationsPerGrantor => "the caller's invitations of a day are used up",
            Self::InvitationsPerAccount => "the account's invitations of a day are used up",
            Self::AddressChangesPerUser => "the changes of address that may be asked for in a day are used up",
            Self::ApiTokensPerUser => "the personal tokens that may be made in a day are used up",
            Self::CallsPerPeer => "too many calls at once come from where you are",
            Self::BytesPerPeer => "requests and answers at once from where you are have too many bytes",
            Self::InSessionsPerUser => "too many wrong passwords were typed in your sessions",
        }
    }

    /// Whether it is about typing passwords.
    #[must_use]
    pub const fn is_of_tries(self) -> bool {
        matches!(
            self,
            Self::SignInPerAddress | Self::SignInPerPeer | Self::SignInPerDevice | Self::LinksPerPeer | Self::InSessionsPerUser
        )
    }

    /// Whether it is about inviting.
    #[must_use]
    pub const fn is_of_invitations(self) -> bool {
        matches!(self, Self::InvitationsPerGrantor | Self::InvitationsPerAccount)
    }
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which.
    pub limit: Limit,
    /// Whose, as the caller may know: `address`, `peer`, `site`, or a kind and a name, such as `account:acme`.
    pub subject: String,
    /// How much of what was asked for would still be granted now.
    pub left: u64,
    /// When all of it may be; of what is more than the limit itself, a whole window.
    pub retry_after: Duration,
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.limit.what())?;
        if self.left > 0 {
            write!(f, " but for {}", self.left)?;
        }
        let seconds = self.retry_after.as_secs();
        match (seconds / 3600, seconds.div_ceil(60)) {
            (0, 0 | 1) => f.write_str("; try again in a minute"),
            (0, minutes) => write!(f, "; try again in {minutes} minutes"),
            (..) => write!(f, "; try again in {} hours", seconds.div_ceil(3600)),
        }
    }
}
