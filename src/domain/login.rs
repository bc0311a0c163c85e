//! Logins: what the links that change one are for.

use super::token::LinkKind;

/// What a link that changes a login does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Sets another password.
    ResetPassword = 1,
    /// Sets the first password of a login that an operator made.
    SetPassword = 2,
    /// Changes the address to the one that the link was mailed to.
    ChangeEmail = 3,
}

impl LinkPurpose {
    /// The purpose of a stored code.
    #[must_use]
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::ResetPassword),
            2 => Some(Self::SetPassword),
            3 => Some(Self::ChangeEmail),
            _ => None,
        }
    }

    /// What its token is for.
    #[must_use]
    pub const fn kind(self) -> LinkKind {
        match self {
            Self::ResetPassword | Self::SetPassword => LinkKind::Password,
            Self::ChangeEmail => LinkKind::AddressChange,
        }
    }

    /// The code that is stored.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}
