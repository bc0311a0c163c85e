//! What a member may do, one thing at a time.

/// One thing that a role or privilege opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See all pages.
    View = 1,
    /// Add, remove, or modify the privilege settings of other users.
    ManageUsers = 2,
    /// Respond to alerts.
    RespondToAlerts = 3,
    /// Modify alert rules.
    ModifyAlertRules = 4,
    /// Modify checks.
    ModifyChecks = 5,
    /// Modify templates.
    ModifyTemplates = 6,
    /// Modify graphs.
    ModifyGraphs = 7,
    /// Modify worksheets.
    ModifyWorksheets = 8,
}

impl Permission {
    /// All, in the order of the contract.
    pub const ALL: [Self; 8] = [
        Self::View,
        Self::ManageUsers,
        Self::RespondToAlerts,
        Self::ModifyAlertRules,
        Self::ModifyChecks,
        Self::ModifyTemplates,
        Self::ModifyGraphs,
        Self::ModifyWorksheets,
    ];

    /// The code of the contract.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// As errors spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "VIEW",
            Self::ManageUsers => "MANAGE_USERS",
            Self::RespondToAlerts => "RESPOND_TO_ALERTS",
            Self::ModifyAlertRules => "MODIFY_ALERT_RULES",
            Self::ModifyChecks => "MODIFY_CHECKS",
            Self::ModifyTemplates => "MODIFY_TEMPLATES",
            Self::ModifyGraphs => "MODIFY_GRAPHS",
            Self::ModifyWorksheets => "MODIFY_WORKSHEETS",
        }
    }
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct PermissionSet(u16);

impl PermissionSet {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// Whether it holds the permission.
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u8) != 0
    }

    /// This with one more.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | (1 << permission as u8))
    }

    /// What either holds.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What this holds and the other doesn't.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What it holds, in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// The names, joined by commas: as errors spell a set.
impl std::fmt::Display for PermissionSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, permission) in self.iter().enumerate() {
            write!(f, "{}{}", if position == 0 { "" } else { "," }, permission.as_str())?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{self}}}")
    }
}
