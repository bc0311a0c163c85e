//! The columns that members stand in.

/// Exactly one for each member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Privilege {
    /// Manages users and does all work.
    Admin = 1,
    /// Does all work.
    Normal = 2,
    /// Views.
    ReadOnly = 3,
}

impl Privilege {
    /// From the highest to the lowest.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Normal, Self::ReadOnly];

    /// The code that is stored and hashed.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The privilege of a stored code.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|privilege| i64::from(privilege.code()) == code)
    }

    /// As the product's screen and REST API spell it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Normal => "Normal",
            Self::ReadOnly => "Read Only",
        }
    }
}
