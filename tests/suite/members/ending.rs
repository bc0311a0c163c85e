//! Removing and leaving: access ends with the answer, and nothing else does.

use user_management::proto::{self, AccessReason, Permission, Privilege, Role};

use crate::acme::{ACME, effect};
use crate::client::reason;
use crate::site::Site;

#[tokio::test]
async fn removing_somebody_ends_their_access_with_the_answer_and_touches_nothing_else() {
    let site = Site::start().await;
    for account in [ACME, "other"] {
        site.account(account).await;
    }
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    site.join("other", &bob, Privilege::Admin, &[]).await;
    let mut as_bob = site.bearer(&bob.token).await;
    as_bob.member(&bob.id).await.expect("he reads");
    let mut operator = site.operator().await;
    let removed = operator.remove(&bob.email).await.expect("removed");
    let lost = [Permission::View, Permission::RespondToAlerts, Permission::ModifyAlertRules];
    assert_eq!(effect(&removed.effects), (vec![], lost.to_vec()));
    assert_eq!(reason(&as_bob.member(&bob.id).await.expect_err("refused")), "ACCESS_DENIED");
    let request =
        proto::CheckAccessRequest { account: ACME.to_owned(), user: bob.id.clone(), permission: 1, ..Default::default() };
    let check = operator.access.check_access(request).await.expect("answered").into_inner();
    assert_eq!((check.allowed, check.reason()), (false, AccessReason::NotAMember));

    let me = as_bob.identity.get_me(proto::GetMeRequest {}).await.expect("the session goes on").into_inner();
    assert_eq!(me.user.map(|user| (user.id, user.active)), Some((bob.id.clone(), true)));
    let memberships: Vec<_> = me.memberships.iter().map(|each| (each.account.as_str(), each.privilege())).collect();
    assert_eq!(memberships, [("other", Privilege::Admin)]);
    site.sign_in(&bob.email).await;
    assert_eq!(reason(&operator.remove(&bob.id).await.expect_err("refused")), "MEMBER_NOT_FOUND");
}

#[tokio::test]
async fn whoever_left_is_out_at_once_and_an_account_that_is_not_theirs_is_like_none() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::ReadOnly, &[]).await;
    let mut as_bob = site.bearer(&bob.token).await;
    as_bob.leave().await.expect("left");
    assert_eq!(reason(&as_bob.member(&bob.id).await.expect_err("refused")), "ACCESS_DENIED");
    let again = as_bob.leave().await.expect_err("refused");
    let request = proto::LeaveAccountRequest { account: "nowhere".to_owned(), ..Default::default() };
    let unknown = as_bob.identity.leave_account(request).await.expect_err("refused");
    assert_eq!((again.code(), again.message()), (unknown.code(), unknown.message()));
    assert_eq!(reason(&again), "ACCESS_DENIED");
    assert_eq!(reason(&site.operator().await.member(&bob.id).await.expect_err("gone")), "MEMBER_NOT_FOUND");
}

#[tokio::test]
async fn a_super_admin_who_is_removed_loses_nothing_by_it_and_the_answer_says_so() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let root = site.member(ACME, "root@site.test", Privilege::ReadOnly, &[]).await;
    let mut operator = site.operator().await;
    let request = proto::SetSuperAdminRequest { user: root.id.clone(), super_admin: true, ..Default::default() };
    operator.operations.set_super_admin(request).await.expect("set");
    let removed = operator.remove(&root.id).await.expect("removed");
    assert_eq!(effect(&removed.effects), (vec![], vec![]));
    site.bearer(&root.token).await.member("ann@acme.test").await.expect("the mark opens every account");
    assert!(operator.members().await.iter().all(|member| member.user != root.id), "not listed as a member");
}
