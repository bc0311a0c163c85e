//! Passwords: what is taken as one.

use secrecy::{ExposeSecret as _, SecretString};

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Fewer than 8 characters, the least that NIST SP 800-63B takes.
    #[error("must have at least 8 characters")]
    TooShort,
    /// More than 256 characters.
    #[error("must have at most 256 characters")]
    TooLong,
}

/// A password for a login: 8 to 256 characters of any kind. Has no `Debug`.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes what a person chose.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        match text.chars().count() {
            ..8 => Err(InvalidPassword::TooShort),
            8..=256 => Ok(Self(SecretString::from(text))),
            _ => Err(InvalidPassword::TooLong),
        }
    }

    /// Takes what a person typed to be compared: whatever is no password matches none.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        let end = text.char_indices().nth(257).map_or(text.len(), |(end, _)| end);
        Self(SecretString::from(text.get(..end).unwrap_or_default()))
    }

    /// The bytes to hash.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}
