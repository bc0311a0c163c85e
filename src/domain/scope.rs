//! What a service may call.

/// One scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Reads of accounts, members and invitations.
    UsersRead = 0,
    /// Changes of accounts, members and invitations.
    UsersWrite = 1,
    /// Acting for a person with `x-act-as`.
    UsersActAs = 2,
    /// Permission checks.
    AccessCheck = 3,
    /// Following changes.
    AccessWatch = 4,
    /// Reading events, mail and services.
    OperationsRead = 5,
}

impl Scope {
    /// All, in the order of their bits.
    pub const ALL: [Self; 6] =
        [Self::UsersRead, Self::UsersWrite, Self::UsersActAs, Self::AccessCheck, Self::AccessWatch, Self::OperationsRead];

    /// As the contract spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UsersRead => "users.read",
            Self::UsersWrite => "users.write",
            Self::UsersActAs => "users.act_as",
            Self::AccessCheck => "access.check",
            Self::AccessWatch => "access.watch",
            Self::OperationsRead => "operations.read",
        }
    }

    /// The scope of a spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// A set of scopes, stored and hashed as its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ScopeSet(u32);

impl ScopeSet {
    /// The bits that are stored.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set of stored bits; none if other bits are set.
    #[must_use]
    pub fn from_bits(bits: i64) -> Option<Self> {
        u32::try_from(bits).ok().filter(|bits| *bits < 1 << Scope::ALL.len()).map(Self)
    }

    /// Whether it holds the scope.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What it holds.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | (1 << scope as u8)))
    }
}
