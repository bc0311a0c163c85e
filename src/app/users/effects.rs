//! What a change of a login, or of the super-admin mark, does to what its person may do: told account by account where they are a member, and
//! by number where they have everything by the mark alone, since there may be any number of accounts.

use crate::app::App;
use crate::domain::id::{AccountId, UserId};
use crate::domain::permission::PermissionSet;
use crate::domain::policy::{self, Effect, Person, Place};
use crate::store::members::Member;
use crate::store::users::User;

/// What a change of a login did.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(from = "Kept")]
pub struct LoginChange {
    /// Whose.
    pub user: UserId,
    /// What they gained and lost, in each account that they are a member of, or were.
    pub effects: Vec<(AccountId, Effect)>,
    /// Other open accounts, where they gained or lost what the mark opens.
    pub other_accounts: u64,
    /// Accounts that have no active member left who may manage their users.
    pub left_without_admin: Vec<String>,
}

/// What is kept of a change for its retry, as each release kept it.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Kept {
    Whole {
        user: UserId,
        effects: Vec<(AccountId, Effect)>,
        /// Not kept by 0.1.
        #[serde(default)]
        other_accounts: u64,
        left_without_admin: Vec<String>,
    },
    /// All that 0.1 kept of giving a login back, and of the mark.
    Bare(UserId),
}

impl From<Kept> for LoginChange {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Whole { user, effects, other_accounts, left_without_admin } => {
                Self { user, effects, other_accounts, left_without_admin }
            }
            Kept::Bare(user) => Self::nothing(user),
        }
    }
}

impl LoginChange {
    /// Nothing was to be changed.
    pub(super) const fn nothing(user: UserId) -> Self {
        Self { user, effects: Vec::new(), other_accounts: 0, left_without_admin: Vec::new() }
    }
}

impl App {
    /// What lies between two states of a user with some memberships; who is deleted has no later one.
    pub(super) fn login_change(&self, before: &User, after: Option<&User>, memberships: &[Member]) -> LoginChange {
        let between = |member| Effect::between(self.rights(Some(before), member), self.rights(after, member));
        let effects = memberships.iter().map(|member| (member.membership.account, between(Some(member)))).collect();
        let other_accounts = if between(None) == Effect::default() { 0 } else { self.open_accounts_besides(memberships) };
        LoginChange { effects, other_accounts, ..LoginChange::nothing(before.id) }
    }

    /// What a user may do where they are a member, or else in any other open account.
    fn rights(&self, user: Option<&User>, member: Option<&Member>) -> PermissionSet {
        let person = user.map_or(Person::Unknown, |user| Person::User {
            active: user.active,
            super_admin: user.super_admin,
            member: member.map(|member| member.membership.standing()),
        });
        let place = if member.is_some_and(|member| member.account_closed) { Place::Closed } else { Place::Open };
        policy::all_permissions(self.edition, person, place).unwrap_or_default()
    }

    /// How many open accounts there are in which somebody has none of their memberships. Counted in the directory, which has the number at hand
    /// and is as new as what was last answered.
    fn open_accounts_besides(&self, memberships: &[Member]) -> u64 {
        let view = self.directory.view();
        let own = memberships.iter().filter(|member| view.place(Some(member.membership.account)) == Place::Open).count();
        u64::try_from(view.open_accounts().saturating_sub(own)).unwrap_or(u64::MAX)
    }
}
