//! Roles: finer modifications of a privilege.

use super::permission::{Permission, PermissionSet};

/// One of the four roles of the product's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Add, remove, or modify the privilege settings of other users.
    Admin = 1,
    /// Respond to alerts and modify alert rules.
    Alerts = 2,
    /// Modify checks or templates.
    Data = 3,
    /// Change graphs and worksheets.
    Trending = 4,
}

impl Role {
    /// All, in the order of the contract.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Alerts, Self::Data, Self::Trending];

    /// What the role opens when it has effect.
    #[must_use]
    pub fn opens(self) -> PermissionSet {
        PermissionSet::from_iter(match self {
            Self::Admin => [Permission::ManageUsers; 2],
            Self::Alerts => [Permission::RespondToAlerts, Permission::ModifyAlertRules],
            Self::Data => [Permission::ModifyChecks, Permission::ModifyTemplates],
            Self::Trending => [Permission::ModifyGraphs, Permission::ModifyWorksheets],
        })
    }

    /// As errors and mails spell it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Alerts => "Alerts",
            Self::Data => "Data",
            Self::Trending => "Trending",
        }
    }
}

/// A set of roles, stored and hashed as its bits: 0 Admin, 1 Alerts, 2 Data, 3 Trending.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct RoleSet(u8);

impl RoleSet {
    /// No role.
    pub const EMPTY: Self = Self(0);
    /// All four.
    pub const ALL: Self = Self(0b1111);

    /// The bits that are stored.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of stored bits; none if other bits are set.
    #[must_use]
    pub fn from_bits(bits: i64) -> Option<Self> {
        u8::try_from(bits).ok().filter(|bits| bits & !Self::ALL.0 == 0).map(Self)
    }

    /// Whether it holds the role.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << (role as u8 - 1)) != 0
    }

    /// This with one more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | (1 << (role as u8 - 1)))
    }

    /// What both hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What either holds.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What this holds and the other doesn't.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it holds no role.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What it holds, in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }

    /// What all its roles together open when they have effect.
    #[must_use]
    pub fn opens(self) -> PermissionSet {
        self.iter().fold(PermissionSet::EMPTY, |open, role| open.union(role.opens()))
    }
}

impl FromIterator<Role> for RoleSet {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// The labels, joined by commas: as errors and mails spell a set.
impl std::fmt::Display for RoleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, role) in self.iter().enumerate() {
            write!(f, "{}{}", if position == 0 { "" } else { "," }, role.label())?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for RoleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{self}}}")
    }
}
