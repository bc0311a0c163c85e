//! The edition of the product: which roles have effect.

use super::role::{Role, RoleSet};

/// One value for the whole server, recorded with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edition {
    /// On-premise: every role can be assigned.
    Inside = 1,
    /// Hosted: the Admin role alone can be assigned, others are dormant.
    Saas = 2,
}

impl Edition {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inside, Self::Saas];

    /// The roles that can be assigned and have effect.
    #[must_use]
    pub fn roles(self) -> RoleSet {
        match self {
            Self::Inside => RoleSet::ALL,
            Self::Saas => RoleSet::from_iter([Role::Admin]),
        }
    }

    /// The code that is stored and hashed.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The edition of a stored code.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|edition| i64::from(edition.code()) == code)
    }

    /// As configuration and command line spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Saas => "saas",
        }
    }
}

impl std::str::FromStr for Edition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|edition| edition.as_str() == text)
            .ok_or_else(|| format!("unknown edition {text:?}: inside or saas"))
    }
}
