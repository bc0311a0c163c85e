//! Who may do what: the decision, as one pure function of edition, privilege and roles.
//!
//! The product's page says: "Users with roles have access to options as appropriate to their role, but do not have access to
//! options assigned to other roles." So on Inside, roles *replace* the work part of what the privilege opens, in both directions.

use super::edition::Edition;
use super::permission::{Permission, PermissionSet};
use super::privilege::Privilege;
use super::role::{Role, RoleSet};

/// The six permissions of the Alerts, Data and Trending roles.
fn work() -> PermissionSet {
    RoleSet::from_iter([Role::Alerts, Role::Data, Role::Trending]).opens()
}

/// What an active member of an open account may do.
#[must_use]
pub fn permissions(edition: Edition, privilege: Privilege, roles: RoleSet) -> PermissionSet {
    let effective = roles.intersection(edition.roles());
    let narrowed = edition == Edition::Inside && !effective.is_empty();
    let base_work = match privilege {
        Privilege::Admin | Privilege::Normal if !narrowed => work(),
        Privilege::Admin | Privilege::Normal | Privilege::ReadOnly => PermissionSet::EMPTY,
    };
    let manages = match privilege {
        Privilege::Admin => PermissionSet::EMPTY.with(Permission::ManageUsers),
        Privilege::Normal | Privilege::ReadOnly => PermissionSet::EMPTY,
    };
    base_work.union(manages).union(effective.opens()).with(Permission::View)
}

/// What a super-admin may do in every open account.
#[must_use]
pub fn super_admin_permissions() -> PermissionSet {
    work().with(Permission::ManageUsers).with(Permission::View)
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Standing {
    /// The column.
    pub privilege: Privilege,
    /// All stored roles, dormant ones too.
    pub roles: RoleSet,
}

impl Standing {
    /// What the member may do while active, in an open account.
    #[must_use]
    pub fn permissions(self, edition: Edition) -> PermissionSet {
        permissions(edition, self.privilege, self.roles)
    }

    /// Whether going from here to `to` gives nothing in either edition: what people may do to themselves.
    #[must_use]
    pub fn only_lowered_by(self, to: Self) -> bool {
        Edition::ALL.into_iter().all(|edition| to.permissions(edition).minus(self.permissions(edition)).is_empty())
    }
}

/// Whom a check asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Nobody known.
    Unknown,
    /// A user, with their membership of the account if there is one.
    User {
        /// The login isn't deactivated.
        active: bool,
        /// Marked super-admin.
        super_admin: bool,
        /// Where they stand in the account.
        member: Option<Standing>,
    },
}

/// Where a check asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// No such account.
    Unknown,
    /// A closed account.
    Closed,
    /// An open account.
    Open,
}

/// Why a check came out as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Allowed.
    Granted = 1,
    /// No such user.
    UnknownUser = 2,
    /// No such account.
    UnknownAccount = 3,
    /// Not a member.
    NotAMember = 4,
    /// The login is deactivated.
    Deactivated = 5,
    /// The account is closed.
    AccountClosed = 6,
    /// The column doesn't open it, and there are no roles that could.
    PrivilegeTooLow = 7,
    /// There are roles, and none opens it.
    RoleMissing = 8,
    /// A role that the edition has off would open it.
    RoleOffInEdition = 9,
    /// No personal token that counts and is for the account.
    TokenInvalid = 10,
    /// The token's owner has the permission, and the token's cap doesn't.
    TokenCapped = 11,
}

/// What opens a permission, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Standing in the column.
    Privilege(Privilege),
    /// Holding the role.
    Role(Role),
    /// Being a super-admin.
    SuperAdmin,
    /// Being a member at all.
    Membership,
}

/// Everything that the person may do in the place; nothing comes with the reason why.
pub fn all_permissions(edition: Edition, person: Person, place: Place) -> Result<PermissionSet, Reason> {
    let Person::User { active, super_admin, member } = person else {
        return Err(if place == Place::Unknown { Reason::UnknownAccount } else { Reason::UnknownUser });
    };
    match place {
        Place::Unknown => return Err(Reason::UnknownAccount),
        _ if !active => return Err(Reason::Deactivated),
        Place::Closed if member.is_some() || super_admin => return Err(Reason::AccountClosed),
        Place::Closed | Place::Open => {}
    }
    let own = member.map(|standing| standing.permissions(edition));
    let lent = super_admin.then(super_admin_permissions);
    match (own, lent) {
        (None, None) => Err(Reason::NotAMember),
        (own, lent) => Ok(own.unwrap_or_default().union(lent.unwrap_or_default())),
    }
}

/// The decision about one permission.
pub fn decide(edition: Edition, person: Person, place: Place, permission: Permission) -> Result<(), Reason> {
    if all_permissions(edition, person, place)?.contains(permission) {
        return Ok(());
    }
    let Person::User { member: Some(standing), .. } = person else {
        return Err(Reason::NotAMember);
    };
    let dormant = standing.roles.minus(edition.roles());
    if dormant.opens().contains(permission) {
        return Err(Reason::RoleOffInEdition);
    }
    // on SaaS the Admin role doesn't narrow, and no role could open work: it is the column that is too low
    let holds_some = !standing.roles.intersection(edition.roles()).is_empty();
    let some_would_do = edition.roles().opens().contains(permission);
    Err(if holds_some && some_would_do { Reason::RoleMissing } else { Reason::PrivilegeTooLow })
}

/// What a personal token leaves of its owner's permissions: what its cap opens too, or all of them without one. Both change with the edition.
#[must_use]
pub fn within(edition: Edition, cap: Option<Standing>, permissions: PermissionSet) -> PermissionSet {
    cap.map_or(permissions, |cap| permissions.intersection(cap.permissions(edition)))
}

/// The decision about one permission, for whoever has it by a personal token with this cap.
pub fn decide_within(
    edition: Edition,
    cap: Option<Standing>,
    person: Person,
    place: Place,
    permission: Permission,
) -> Result<(), Reason> {
    decide(edition, person, place, permission)?;
    let left = within(edition, cap, PermissionSet::EMPTY.with(permission));
    if left.is_empty() { Err(Reason::TokenCapped) } else { Ok(()) }
}

/// What grants a permission that was decided to be allowed.
#[must_use]
pub fn granted_via(edition: Edition, person: Person, permission: Permission) -> Vec<Grant> {
    let Person::User { super_admin, member, .. } = person else { return Vec::new() };
    let mut via = Vec::new();
    if let Some(standing) = member.filter(|standing| standing.permissions(edition).contains(permission)) {
        let roles = standing.roles.intersection(edition.roles());
        let by_role = roles.iter().filter(|role| role.opens().contains(permission)).map(Grant::Role);
        if permission == Permission::View {
            via.push(Grant::Membership);
        }
        // the privilege opens what it still opens when only the roles that don't are held
        let others: RoleSet = roles.iter().filter(|role| !role.opens().contains(permission)).collect();
        let bare = permissions(edition, standing.privilege, others);
        let narrowed = edition == Edition::Inside && !roles.is_empty() && permission != Permission::ManageUsers;
        if permission != Permission::View && !narrowed && bare.contains(permission) {
            via.push(Grant::Privilege(standing.privilege));
        }
        via.extend(by_role);
    }
    if super_admin {
        via.push(Grant::SuperAdmin);
    }
    via
}

/// What single change would grant a member a permission that was denied: one more role, or another column with the same roles.
#[must_use]
pub fn would_grant(edition: Edition, standing: Standing, permission: Permission) -> Vec<Grant> {
    let grants = |to: Standing| to.permissions(edition).contains(permission);
    let roles = edition.roles().minus(standing.roles).iter();
    let by_role = roles.filter(|role| grants(Standing { roles: standing.roles.with(*role), ..standing })).map(Grant::Role);
    let privileges = Privilege::ALL.into_iter().rev().filter(|privilege| *privilege != standing.privilege);
    let by_privilege =
        privileges.filter(|privilege| grants(Standing { privilege: *privilege, ..standing })).map(Grant::Privilege);
    by_role.chain(by_privilege).collect()
}

/// What a change did to one person's permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Effect {
    /// Had not before, has now.
    pub gained: PermissionSet,
    /// Had before, has no longer.
    pub lost: PermissionSet,
}

impl Effect {
    /// The difference between two sets.
    #[must_use]
    pub fn between(before: PermissionSet, after: PermissionSet) -> Self {
        Self { gained: after.minus(before), lost: before.minus(after) }
    }
}
