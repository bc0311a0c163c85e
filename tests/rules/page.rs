//! The product's page, said a second time: question by question and in words, where `domain::policy` computes sets.
//!
//! Shares nothing with the policy. What the page leaves open is answered as the rules of the house do.

use user_management::domain::edition::Edition;
use user_management::domain::permission::Permission;
use user_management::domain::policy::{Person, Place, decide};
use user_management::domain::privilege::Privilege;
use user_management::domain::role::Role;

use super::words;

/// A member as the page would describe them.
struct Member {
    on_inside: bool,
    column: &'static str,
    roles: Vec<&'static str>,
}

/// "Alerts - Users with this role can respond to alerts and modify alert rules", and so on: the option and its role.
const OPTIONS: [(&str, &str); 7] = [
    ("MANAGE_USERS", "Admin"),
    ("RESPOND_TO_ALERTS", "Alerts"),
    ("MODIFY_ALERT_RULES", "Alerts"),
    ("MODIFY_CHECKS", "Data"),
    ("MODIFY_TEMPLATES", "Data"),
    ("MODIFY_GRAPHS", "Trending"),
    ("MODIFY_WORKSHEETS", "Trending"),
];

fn answer(member: &Member, option: &str) -> &'static str {
    // "Users with an assigned role can still view all of the pages"
    let Some((_, role)) = OPTIONS.iter().find(|(name, _)| *name == option) else {
        return "GRANTED";
    };
    let assigned = member.roles.contains(role);
    // "Admin - Users with this role can add, remove, or modify the privilege settings of other users", on both editions
    if *role == "Admin" {
        return if assigned || member.column == "Admin" { "GRANTED" } else { denial(member) };
    }
    // "Besides the Admin role, these roles are not available on Circonus SaaS accounts. Normal users have access to all of the
    // privileges of the Alerts, Data, and Trending roles, and Read-Only users have access to none of those privileges."
    if !member.on_inside {
        return match member.column {
            "Admin" | "Normal" => "GRANTED",
            _ if assigned => "ROLE_OFF_IN_EDITION",
            // no role could help there, whatever others the member has
            _ => "PRIVILEGE_TOO_LOW",
        };
    }
    // "Users with roles have access to options as appropriate to their role, but do not have access to options assigned to
    // other roles."
    match (member.roles.is_empty(), member.column) {
        (false, _) if assigned => "GRANTED",
        (true, "Admin" | "Normal") => "GRANTED",
        _ => denial(member),
    }
}

/// The role to ask for is missing among others, or there is no role at all that counts.
fn denial(member: &Member) -> &'static str {
    let counts = |role: &&str| member.on_inside || *role == "Admin";
    if member.roles.iter().any(counts) { "ROLE_MISSING" } else { "PRIVILEGE_TOO_LOW" }
}

#[test]
fn all_96_rows_are_decided_as_the_page_says() {
    let mut compared = 0;
    for (edition, standing) in words::rows() {
        let column = match standing.privilege {
            Privilege::Admin => "Admin",
            Privilege::Normal => "Normal",
            Privilege::ReadOnly => "Read-Only",
        };
        let roles = standing.roles.iter().map(|role| match role {
            Role::Admin => "Admin",
            Role::Alerts => "Alerts",
            Role::Data => "Data",
            Role::Trending => "Trending",
        });
        let member = Member { on_inside: edition == Edition::Inside, column, roles: roles.collect() };
        let person = Person::User { active: true, super_admin: false, member: Some(standing) };
        for permission in Permission::ALL {
            let expected = answer(&member, permission.as_str());
            let decided = decide(edition, person, Place::Open, permission).map_or_else(words::reason, |()| "GRANTED");
            assert_eq!(decided, expected, "{} {standing:?} {}", edition.as_str(), permission.as_str());
            assert_eq!(standing.permissions(edition).contains(permission), expected == "GRANTED", "{edition:?} {standing:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 96 * 8);
}

#[test]
fn the_sentences_of_the_page_hold_for_the_members_that_they_name() {
    let inside = |column, roles: &[&'static str]| Member { on_inside: true, column, roles: roles.to_vec() };
    let saas = |column, roles: &[&'static str]| Member { on_inside: false, column, roles: roles.to_vec() };
    for (member, option, expected) in [
        // "users with the Data role can still view graphs, although only users with the Trending role can edit them"
        (inside("Normal", &["Data"]), "VIEW", "GRANTED"),
        (inside("Normal", &["Data"]), "MODIFY_GRAPHS", "ROLE_MISSING"),
        (inside("Read-Only", &["Trending"]), "MODIFY_GRAPHS", "GRANTED"),
        (saas("Normal", &["Data"]), "MODIFY_GRAPHS", "GRANTED"),
        (saas("Read-Only", &["Trending"]), "MODIFY_GRAPHS", "ROLE_OFF_IN_EDITION"),
        (inside("Read-Only", &[]), "MODIFY_GRAPHS", "PRIVILEGE_TOO_LOW"),
        // managing users and nothing else
        (inside("Read-Only", &["Admin"]), "MANAGE_USERS", "GRANTED"),
        (inside("Normal", &["Admin"]), "MODIFY_CHECKS", "ROLE_MISSING"),
    ] {
        assert_eq!(answer(&member, option), expected, "{} {:?} {option}", member.column, member.roles);
    }
}
