//! Links that are answered to whoever asked for them instead of being mailed: once, and on record. For sites without mail.

use secrecy::SecretString;

use crate::domain::clock::Timestamp;
use crate::domain::token::LinkKind;
use crate::store::requests::Terms;

/// How a link reaches the person whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// By mail.
    Mail,
    /// By whoever asked for it: it is answered, once and on record, and not mailed.
    Answer,
}

impl HandOver {
    /// What `return_link` asks for.
    #[must_use]
    pub const fn asked(return_link: bool) -> Self {
        if return_link { Self::Answer } else { Self::Mail }
    }

    /// Whether there is a link to answer: a rehearsal makes none.
    pub(super) fn answers(self, terms: &Terms) -> bool {
        self == Self::Answer && !terms.validate_only
    }
}

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
