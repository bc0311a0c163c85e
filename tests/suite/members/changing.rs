//! What moving and assigning do, exactly.

use user_management::proto::{self, Permission, Privilege, Role};

use crate::acme::{ACME, effect};
use crate::client::{metadata, reason};
use crate::site::{Person, Site};

const ALERTS: [Permission; 2] = [Permission::RespondToAlerts, Permission::ModifyAlertRules];
const DATA: [Permission; 2] = [Permission::ModifyChecks, Permission::ModifyTemplates];
const TRENDING: [Permission; 2] = [Permission::ModifyGraphs, Permission::ModifyWorksheets];

/// A site whose Admin is not the one who is changed.
async fn with(privilege: Privilege, roles: &[Role]) -> (Site, Person) {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", privilege, roles).await;
    (site, bob)
}

fn assign(user: &str, roles: &[Role]) -> proto::AssignRolesRequest {
    proto::AssignRolesRequest {
        account: ACME.to_owned(),
        user: user.to_owned(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn moving_to_a_column_gives_exactly_what_the_column_says() {
    let (site, bob) = with(Privilege::Normal, &[Role::Alerts]).await;
    let mut operator = site.operator().await;
    let moved = operator.move_to(&bob.id, Privilege::ReadOnly).await.expect("moved");
    assert_eq!(effect(&moved.effects), (vec![], ALERTS.to_vec()));
    let member = moved.member.expect("a member");
    assert_eq!((member.privilege(), member.roles.len()), (Privilege::ReadOnly, 0));
    assert_eq!(member.permissions().collect::<Vec<_>>(), [Permission::View]);
    assert_eq!(moved.effects[0].user, bob.id);

    let moved = operator.move_to(&bob.email, Privilege::Admin).await.expect("moved");
    let everything = [&[Permission::ManageUsers][..], &ALERTS, &DATA, &TRENDING].concat();
    assert_eq!(effect(&moved.effects), (everything, vec![]));
    assert_eq!(operator.member(&bob.id).await.expect("a member"), moved.member.expect("a member"));
}

#[tokio::test]
async fn moving_clears_roles_even_within_the_column_and_says_what_that_gives() {
    let (site, bob) = with(Privilege::Normal, &[Role::Alerts]).await;
    let moved = site.operator().await.move_to(&bob.id, Privilege::Normal).await.expect("moved");
    assert_eq!(effect(&moved.effects), ([&DATA[..], &TRENDING].concat(), vec![]));
    assert!(moved.member.expect("a member").roles.is_empty());
}

#[tokio::test]
async fn keep_roles_keeps_them_dormant_ones_too() {
    let (mut site, bob) = with(Privilege::Normal, &[Role::Admin, Role::Alerts]).await;
    let mut request = proto::ChangePrivilegeRequest {
        account: ACME.to_owned(),
        user: bob.id.clone(),
        privilege: Privilege::ReadOnly.into(),
        keep_roles: true,
        ..Default::default()
    };
    let kept = site.operator().await.users.change_privilege(request.clone()).await.expect("moved").into_inner();
    assert_eq!(effect(&kept.effects), (vec![], vec![]), "on Inside the roles say it all");
    assert_eq!(kept.member.expect("a member").roles().collect::<Vec<_>>(), [Role::Admin, Role::Alerts]);
    site.restart(Some("signup = \"open\"\nedition = \"saas\"")).await;
    request.privilege = Privilege::Normal.into();
    let kept = site.operator().await.users.change_privilege(request.clone()).await.expect("moved").into_inner();
    assert_eq!(effect(&kept.effects).0, [&ALERTS[..], &DATA, &TRENDING].concat(), "on SaaS the column does");
    let member = kept.member.expect("a member");
    assert_eq!((member.roles, member.dormant_roles), (vec![Role::Admin.into()], vec![Role::Alerts.into()]));
    request.keep_roles = false;
    let cleared = site.operator().await.users.change_privilege(request).await.expect("moved").into_inner();
    assert_eq!(effect(&cleared.effects).1, [Permission::ManageUsers]);
    let member = cleared.member.expect("a member");
    assert_eq!((member.roles.len(), member.dormant_roles.len()), (0, 0), "dormant ones are cleared too");
}

#[tokio::test]
async fn assigning_replaces_the_whole_set_and_says_what_was_gained_and_lost() {
    let (site, bob) = with(Privilege::Normal, &[Role::Alerts]).await;
    let mut operator = site.operator().await;
    let assigned = operator.assign(&bob.id, &[Role::Trending, Role::Data]).await.expect("assigned");
    assert_eq!(effect(&assigned.effects), ([&DATA[..], &TRENDING].concat(), ALERTS.to_vec()));
    let member = assigned.member.expect("a member");
    assert_eq!(member.roles().collect::<Vec<_>>(), [Role::Data, Role::Trending]);
    let assigned = operator.assign(&bob.id, &[Role::Admin]).await.expect("assigned");
    assert_eq!(effect(&assigned.effects), (vec![Permission::ManageUsers], [&DATA[..], &TRENDING].concat()));
}

#[tokio::test]
async fn what_none_of_the_roles_opens_is_given_only_when_that_is_meant() {
    let (site, bob) = with(Privilege::Normal, &[Role::Alerts]).await;
    let mut operator = site.operator().await;
    let before = operator.member(&bob.id).await.expect("a member");
    let refused = operator.assign(&bob.id, &[]).await.expect_err("refused");
    assert_eq!(reason(&refused), "ROLES_WIDEN");
    let gained = metadata(&refused, "gained");
    for permission in ["MODIFY_CHECKS", "MODIFY_TEMPLATES", "MODIFY_GRAPHS", "MODIFY_WORKSHEETS"] {
        assert!(gained.contains(permission), "{gained} has {permission}");
    }
    assert!(!gained.contains("ALERT"), "{gained}: those were there before");
    assert_eq!(operator.member(&bob.id).await.expect("a member"), before);
    let request = proto::AssignRolesRequest { allow_widening: true, ..assign(&bob.id, &[]) };
    let assigned = operator.users.assign_roles(request).await.expect("meant").into_inner();
    assert_eq!(effect(&assigned.effects), ([&DATA[..], &TRENDING].concat(), vec![]));
    operator.move_to(&bob.id, Privilege::ReadOnly).await.expect("moved");
    operator.assign(&bob.id, &[Role::Data]).await.expect("a role opens that");
    operator.assign(&bob.id, &[]).await.expect("a Read-Only member loses the role and gains nothing");
}

#[tokio::test]
async fn on_saas_dormant_roles_stay_unless_they_are_cleared_and_can_not_be_assigned() {
    let (mut site, bob) = with(Privilege::ReadOnly, &[Role::Admin, Role::Data, Role::Trending]).await;
    site.restart(Some("signup = \"open\"\nedition = \"saas\"")).await;
    let mut operator = site.operator().await;
    let refused = operator.assign(&bob.id, &[Role::Admin, Role::Alerts, Role::Data]).await.expect_err("refused");
    assert_eq!(reason(&refused), "ROLE_OFF_IN_EDITION");
    assert_eq!(metadata(&refused, "roles"), "ROLE_ALERTS,ROLE_DATA");
    assert_eq!(metadata(&refused, "edition"), "EDITION_SAAS");
    let assigned = operator.assign(&bob.id, &[]).await.expect("assigned");
    assert_eq!(effect(&assigned.effects), (vec![], vec![Permission::ManageUsers]));
    let member = assigned.member.expect("a member");
    assert_eq!((member.roles().count(), member.dormant_roles().collect::<Vec<_>>()), (0, vec![Role::Data, Role::Trending]));
    let request = proto::AssignRolesRequest { clear_dormant: true, ..assign(&bob.id, &[Role::Admin]) };
    let member = operator.users.assign_roles(request).await.expect("assigned").into_inner().member.expect("a member");
    assert_eq!((member.roles().collect::<Vec<_>>(), member.dormant_roles.len()), (vec![Role::Admin], 0));
}

#[tokio::test]
async fn a_change_to_what_is_already_so_changes_neither_etag_nor_history() {
    let (site, bob) = with(Privilege::Normal, &[Role::Alerts]).await;
    let mut operator = site.operator().await;
    let before = operator.member(&bob.id).await.expect("a member");
    let last = operator.last_event().await;
    let assigned = operator.assign(&bob.id, &[Role::Alerts]).await.expect("assigned");
    assert_eq!(effect(&assigned.effects), (vec![], vec![]));
    assert_eq!(assigned.member, Some(before));
    assert_eq!(operator.last_event().await, last);
}

#[tokio::test]
async fn a_stale_etag_is_answered_with_the_present_one_and_changes_nothing() {
    let (site, bob) = with(Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    let read = operator.member(&bob.id).await.expect("a member").etag;
    let present = operator.assign(&bob.id, &[Role::Data]).await.expect("assigned").member.expect("a member");
    assert_ne!(present.etag, read);
    let (account, user) = (ACME.to_owned(), bob.id.clone());
    let moving = proto::ChangePrivilegeRequest {
        account: account.clone(),
        user: user.clone(),
        privilege: Privilege::Admin.into(),
        etag: read.clone(),
        ..Default::default()
    };
    let assigning = proto::AssignRolesRequest { etag: read.clone(), ..assign(&bob.id, &[Role::Alerts]) };
    let removing = proto::RemoveMemberRequest { account, user, etag: read, ..Default::default() };
    let refusals = [
        operator.users.change_privilege(moving.clone()).await.expect_err("refused"),
        operator.users.assign_roles(assigning).await.expect_err("refused"),
        operator.users.remove_member(removing).await.expect_err("refused"),
    ];
    for refused in refusals {
        assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(metadata(&refused, "etag"), present.etag);
    }
    assert_eq!(operator.member(&bob.id).await.expect("a member"), present);
    let moving = proto::ChangePrivilegeRequest { etag: present.etag, ..moving };
    operator.users.change_privilege(moving).await.expect("the present etag counts");
}
