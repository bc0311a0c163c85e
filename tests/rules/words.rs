//! Every standing that a member can have, and how the reviewed file spells what stands in it.

use user_management::domain::edition::Edition;
use user_management::domain::permission::PermissionSet;
use user_management::domain::policy::{Grant, Reason, Standing};
use user_management::domain::privilege::Privilege;
use user_management::domain::role::RoleSet;

/// All 48 standings: by column from the highest, then by the bits of the roles.
pub(super) fn standings() -> Vec<Standing> {
    let roles = (0..16).map(|bits| RoleSet::from_bits(bits).expect("four bits are four roles"));
    let roles: Vec<RoleSet> = roles.collect();
    let column = |privilege| roles.iter().map(move |roles| Standing { privilege, roles: *roles });
    Privilege::ALL.into_iter().flat_map(column).collect()
}

/// All 96 rows: every standing in both editions.
pub(super) fn rows() -> Vec<(Edition, Standing)> {
    Edition::ALL.into_iter().flat_map(|edition| standings().into_iter().map(move |standing| (edition, standing))).collect()
}

pub(super) fn edition(edition: Edition) -> &'static str {
    match edition {
        Edition::Inside => "Inside",
        Edition::Saas => "SaaS",
    }
}

/// The roles; in brackets those that the edition has off.
pub(super) fn roles(edition: Edition, roles: RoleSet) -> String {
    if roles.is_empty() {
        return "–".to_owned();
    }
    let spelled = roles.iter().map(|role| {
        let off = edition == Edition::Saas && role.label() != "Admin";
        if off { format!("({})", role.label()) } else { role.label().to_owned() }
    });
    spelled.collect::<Vec<_>>().join(" ")
}

pub(super) fn permissions(set: PermissionSet) -> String {
    if set.is_empty() { "nothing".to_owned() } else { set.to_string().replace(',', " ") }
}

pub(super) const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Granted => "GRANTED",
        Reason::UnknownUser => "UNKNOWN_USER",
        Reason::UnknownAccount => "UNKNOWN_ACCOUNT",
        Reason::NotAMember => "NOT_A_MEMBER",
        Reason::Deactivated => "DEACTIVATED",
        Reason::AccountClosed => "ACCOUNT_CLOSED",
        Reason::PrivilegeTooLow => "PRIVILEGE_TOO_LOW",
        Reason::RoleMissing => "ROLE_MISSING",
        Reason::RoleOffInEdition => "ROLE_OFF_IN_EDITION",
        Reason::TokenInvalid => "TOKEN_INVALID",
        Reason::TokenCapped => "TOKEN_CAPPED",
    }
}

pub(super) fn grants(grants: &[Grant]) -> String {
    let spelled = grants.iter().map(|grant| match grant {
        Grant::Privilege(privilege) => format!("the column {}", privilege.label()),
        Grant::Role(role) => format!("the role {}", role.label()),
        Grant::SuperAdmin => "being a super-admin".to_owned(),
        Grant::Membership => "being a member".to_owned(),
    });
    spelled.collect::<Vec<_>>().join(", ")
}
