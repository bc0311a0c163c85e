//! The whole model as one document, `access.md`, that a product manager can read and approve.

use std::fmt::Write as _;

use user_management::domain::edition::Edition;
use user_management::domain::permission::Permission;
use user_management::domain::policy::{Person, Place, Reason, Standing, all_permissions, decide, granted_via, would_grant};
use user_management::domain::privilege::Privilege;
use user_management::domain::role::{Role, RoleSet};

use super::reviewed::assert_reviewed;
use super::words;

#[test]
fn the_model_is_the_one_that_was_reviewed() {
    let mut document = INTRODUCTION.to_owned();
    for edition in Edition::ALL {
        write_members(&mut document, edition);
    }
    write_callers(&mut document);
    write_explanations(&mut document);
    assert_reviewed("access.md", &document);
}

const INTRODUCTION: &str = "\
# Who may do what

Made by `UPDATE_EXPECT=1 cargo test --test rules` and reviewed by people: a change of this file is a change of the product.

The tables tell what an active member of an open account may do. Roles in brackets are dormant: kept, without effect.
";

fn write_members(document: &mut String, edition: Edition) {
    let _ = writeln!(document, "\n## Members on {}\n", words::edition(edition));
    let heads = ["view", "manage users", "respond to alerts", "alert rules", "checks", "templates", "graphs", "worksheets"];
    let _ = writeln!(document, "| column | roles | {} |", heads.join(" | "));
    let _ = writeln!(document, "| --- | --- |{}", " :-: |".repeat(heads.len()));
    for standing in words::standings() {
        let held = standing.permissions(edition);
        let marks = Permission::ALL.map(|permission| if held.contains(permission) { "✓" } else { " " });
        let (column, roles) = (standing.privilege.label(), words::roles(edition, standing.roles));
        let _ = writeln!(document, "| {column} | {roles} | {} |", marks.join(" | "));
    }
}

/// Everybody whose answer isn't told by their standing alone. None of them holds a role, so that the edition doesn't matter.
fn callers() -> [(&'static str, Person); 8] {
    let standing = |privilege| Standing { privilege, roles: RoleSet::EMPTY };
    let user =
        |active, super_admin, member: Option<Privilege>| Person::User { active, super_admin, member: member.map(standing) };
    [
        ("an unknown user", Person::Unknown),
        ("a user who is no member", user(true, false, None)),
        ("an Admin member", user(true, false, Some(Privilege::Admin))),
        ("a deactivated user who is no member", user(false, false, None)),
        ("a deactivated Admin member", user(false, false, Some(Privilege::Admin))),
        ("a super-admin who is no member", user(true, true, None)),
        ("a super-admin who is a Read Only member", user(true, true, Some(Privilege::ReadOnly))),
        ("a deactivated super-admin", user(false, true, None)),
    ]
}

const PLACES: [(&str, Place); 3] =
    [("an open account", Place::Open), ("a closed account", Place::Closed), ("an unknown account", Place::Unknown)];

fn write_callers(document: &mut String) {
    document.push_str("\n## Special callers, on both editions\n\n| who | where | may | reason |\n| --- | --- | --- | --- |\n");
    for (who, person) in callers() {
        for (place, at) in PLACES {
            let (may, reason) = match all_permissions(Edition::Inside, person, at) {
                Ok(set) => (words::permissions(set), Reason::Granted),
                Err(reason) => ("nothing".to_owned(), reason),
            };
            let _ = writeln!(document, "| {who} | {place} | {may} | {} |", words::reason(reason));
        }
    }
}

#[test]
fn special_callers_are_answered_alike_on_both_editions() {
    for (who, person) in callers() {
        for (place, at) in PLACES {
            let [inside, saas] = Edition::ALL.map(|edition| all_permissions(edition, person, at));
            assert_eq!(inside, saas, "{who} in {place}");
        }
    }
}

fn write_explanations(document: &mut String) {
    use Permission::{ManageUsers, ModifyAlertRules, ModifyChecks, ModifyGraphs, RespondToAlerts, View};
    use Privilege::{Admin, Normal, ReadOnly};
    let cases: &[(Edition, Privilege, &[Role], Permission)] = &[
        (Edition::Inside, Normal, &[], ModifyGraphs),
        (Edition::Inside, Normal, &[], ManageUsers),
        (Edition::Inside, Normal, &[Role::Alerts], View),
        (Edition::Inside, Normal, &[Role::Alerts], ModifyAlertRules),
        (Edition::Inside, Normal, &[Role::Alerts], ModifyGraphs),
        (Edition::Inside, Normal, &[Role::Admin], ModifyGraphs),
        (Edition::Inside, Admin, &[Role::Admin], ManageUsers),
        (Edition::Inside, Admin, &[Role::Data], ManageUsers),
        (Edition::Inside, Admin, &[Role::Data], ModifyGraphs),
        (Edition::Inside, ReadOnly, &[], ModifyChecks),
        (Edition::Inside, ReadOnly, &[Role::Admin], ManageUsers),
        (Edition::Inside, ReadOnly, &[Role::Data, Role::Trending], ModifyGraphs),
        (Edition::Inside, ReadOnly, &[Role::Data, Role::Trending], ManageUsers),
        (Edition::Saas, Normal, &[Role::Alerts], ModifyGraphs),
        (Edition::Saas, Normal, &[Role::Alerts], ManageUsers),
        (Edition::Saas, Normal, &[Role::Admin], ManageUsers),
        (Edition::Saas, ReadOnly, &[], RespondToAlerts),
        (Edition::Saas, ReadOnly, &[Role::Alerts], RespondToAlerts),
        (Edition::Saas, ReadOnly, &[Role::Alerts], ModifyGraphs),
        (Edition::Saas, ReadOnly, &[Role::Admin], ModifyGraphs),
        (Edition::Saas, ReadOnly, &[Role::Admin, Role::Alerts], RespondToAlerts),
    ];
    document.push_str("\n## How answers are explained\n\n");
    document.push_str("| edition | column | roles | asked | reason | granted by | would be granted by |\n");
    document.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for (edition, privilege, roles, permission) in cases.iter().copied() {
        let standing = Standing { privilege, roles: roles.iter().copied().collect() };
        let person = Person::User { active: true, super_admin: false, member: Some(standing) };
        let (reason, via, would) = match decide(edition, person, Place::Open, permission) {
            Ok(()) => (Reason::Granted, granted_via(edition, person, permission), Vec::new()),
            Err(reason) => (reason, Vec::new(), would_grant(edition, standing, permission)),
        };
        let cells = [
            words::edition(edition).to_owned(),
            privilege.label().to_owned(),
            words::roles(edition, standing.roles),
            permission.as_str().to_owned(),
            words::reason(reason).to_owned(),
            words::grants(&via),
            words::grants(&would),
        ];
        let _ = writeln!(document, "| {} |", cells.join(" | "));
    }
}
