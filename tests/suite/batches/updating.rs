//! `BatchUpdateMembers`: all or none, judged on the whole.

use tonic::{Response, Status};
use user_management::proto::member_update::Change;
use user_management::proto::{self, EventKind, Permission, Privilege, Role};

use crate::acme::ACME;
use crate::client::{Client, metadata, reason, violations};
use crate::site::Site;

fn moved(user: &str, privilege: Privilege) -> proto::MemberUpdate {
    let change = Change::Move(proto::MoveMember { privilege: privilege.into(), keep_roles: false });
    proto::MemberUpdate { user: user.to_owned(), change: Some(change), ..Default::default() }
}

fn given(user: &str, roles: &[Role]) -> proto::MemberUpdate {
    let roles = roles.iter().map(|role| (*role).into()).collect();
    let change = Change::SetRoles(proto::SetRoles { roles, ..Default::default() });
    proto::MemberUpdate { user: user.to_owned(), change: Some(change), ..Default::default() }
}

fn removed(user: &str) -> proto::MemberUpdate {
    proto::MemberUpdate { user: user.to_owned(), change: Some(Change::Remove(true)), ..Default::default() }
}

async fn update(client: &mut Client, updates: Vec<proto::MemberUpdate>) -> Result<proto::BatchUpdateMembersResponse, Status> {
    let request = proto::BatchUpdateMembersRequest { account: ACME.to_owned(), updates, ..Default::default() };
    client.users.batch_update_members(request).await.map(Response::into_inner)
}

#[tokio::test]
async fn members_are_moved_given_roles_and_removed_together_with_what_each_gained_and_lost() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    let cy = site.member(ACME, "cy@acme.test", Privilege::ReadOnly, &[]).await;
    let dee = site.member(ACME, "dee@acme.test", Privilege::Normal, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let before = site.operator().await.last_event().await;
    let updates = vec![
        moved(&bob.email, Privilege::ReadOnly),
        given(&cy.id, &[Role::Data]),
        removed(&dee.id),
        moved(&ann.id, Privilege::Admin),
    ];
    let answer = update(&mut as_ann, updates).await.expect("ann may");
    assert_eq!(answer.members.iter().map(|member| member.user.as_str()).collect::<Vec<_>>(), [&bob.id, &cy.id, &dee.id, &ann.id]);
    let effects: Vec<_> = answer.effects.iter().map(|effect| (effect.gained.len(), effect.lost.len())).collect();
    assert_eq!(effects, [(0, 2), (2, 0), (0, 7), (0, 0)]);
    assert_eq!((answer.members[0].privilege(), answer.members[0].roles.len()), (Privilege::ReadOnly, 0));
    let mut operator = site.operator().await;
    let events = operator.events_after(before).await;
    let kinds: Vec<_> = events.iter().map(|event| (event.kind(), event.subject.clone())).collect();
    assert_eq!(
        kinds,
        [
            (EventKind::MemberPrivilegeChanged, bob.id.clone()),
            (EventKind::MemberRolesAssigned, cy.id.clone()),
            (EventKind::MemberRemoved, dee.id.clone()),
        ]
    );
    for (user, allowed) in [(&bob.id, false), (&cy.id, true), (&dee.id, false)] {
        let permission = Permission::ModifyChecks.into();
        let check = proto::CheckAccessRequest { account: ACME.to_owned(), user: user.clone(), permission, ..Default::default() };
        assert_eq!(operator.access.check_access(check).await.expect("answered").into_inner().allowed, allowed);
    }
    for (member, event) in answer.members.iter().zip(&events).take(2) {
        assert_eq!(operator.member(&member.user).await.expect("a member").etag, member.etag);
        assert!(member.etag.ends_with(&format!("-{:x}", event.seq)));
    }
}

#[tokio::test]
async fn one_that_can_not_be_made_is_named_and_none_is_made() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[Role::Admin]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let before = site.operator().await.last_event().await;
    let stale = proto::MemberUpdate { etag: "stale".to_owned(), ..removed(&bob.id) };
    for (second, expected) in [
        (removed("nobody@acme.test"), "MEMBER_NOT_FOUND"),
        (given(&ann.id, &[Role::Admin, Role::Data]), "SELF_GRANT"),
        (moved(&ann.id, Privilege::ReadOnly), "LAST_ADMIN"),
    ] {
        let refused = update(&mut as_ann, vec![removed(&bob.id), second]).await.expect_err("refused");
        assert_eq!(reason(&refused), expected);
        let entry = if expected == "LAST_ADMIN" { "" } else { "1" };
        assert_eq!(metadata(&refused, "entry"), entry, "{expected}");
    }
    for (first, expected) in [(stale, "ETAG_MISMATCH"), (given(&bob.id, &[]), "ROLES_WIDEN")] {
        let refused = update(&mut as_ann, vec![first, removed(&ann.id)]).await.expect_err("refused");
        assert_eq!((reason(&refused).as_str(), metadata(&refused, "entry").as_str()), (expected, "0"));
    }
    let twice = update(&mut as_ann, vec![removed(&bob.id), moved("BOB@acme.test", Privilege::Admin)]).await.expect_err("refused");
    assert_eq!(violations(&twice), ["updates[1].user"]);
    let malformed = vec![moved("no one", Privilege::Unspecified), proto::MemberUpdate { user: bob.id, ..Default::default() }];
    let refused = update(&mut as_ann, malformed).await.expect_err("refused");
    assert_eq!(violations(&refused), ["updates[0].user", "updates[0].privilege", "updates[1].change"]);
    assert_eq!(violations(&update(&mut as_ann, Vec::new()).await.expect_err("refused")), ["updates"]);
    assert_eq!(site.operator().await.last_event().await, before);
}

#[tokio::test]
async fn two_admins_can_be_exchanged_in_one_batch_which_no_order_of_single_calls_by_the_last_could() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    operator.move_to(&ann.id, Privilege::Normal).await.expect_err("the last admin");
    update(&mut operator, vec![removed(&ann.id), moved(&bob.id, Privilege::Admin)]).await.expect("on the whole there is one");
    assert!(!operator.account().await.admin_missing);
    let refused = update(&mut operator, vec![moved(&bob.id, Privilege::ReadOnly)]).await.expect_err("refused");
    assert_eq!((reason(&refused).as_str(), metadata(&refused, "accounts").as_str()), ("LAST_ADMIN", ACME));
}

#[tokio::test]
async fn a_retried_batch_answers_what_the_first_did_and_changes_nothing() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    let request = proto::BatchUpdateMembersRequest {
        account: ACME.to_owned(),
        updates: vec![removed(&bob.email)],
        request_id: "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11".to_owned(),
        ..Default::default()
    };
    let first = operator.users.batch_update_members(request.clone()).await.expect("removed").into_inner();
    let last = operator.last_event().await;
    assert_eq!(operator.users.batch_update_members(request).await.expect("replayed").into_inner(), first);
    assert_eq!(operator.last_event().await, last);
}
