//! Links that are answered to whoever asked for them instead of being mailed: once, and on record. For sites without mail.

use secrecy::SecretString;

use crate::domain::clock::Timestamp;
use crate::domain::token::LinkKind;

/// A link that was to be answered.
pub enum Returned {
    /// The link, this once.
    Link {
        /// What it is for.
        kind: LinkKind,
        /// Its token.
        token: SecretString,
        /// When it ends; none for never.
        expires: Option<Timestamp>,
    },
    /// It was answered to an earlier call with the same request id.
    AlreadyShown,
}

impl Returned {
    /// Takes the link, if this call is the one that answers it.
    pub(super) fn of(link: Option<(LinkKind, SecretString, Option<Timestamp>)>) -> Self {
        link.map_or(Self::AlreadyShown, |(kind, token, expires)| Self::Link { kind, token, expires })
    }
}
