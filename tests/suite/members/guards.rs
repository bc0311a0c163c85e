//! What nobody may do: raise themself, or take the last Admin away.

use user_management::proto::{self, Permission, Privilege, Role};

use crate::acme::{ACME, effect};
use crate::client::{metadata, reason};
use crate::site::Site;

#[tokio::test]
async fn ones_own_privilege_and_roles_can_be_lowered_and_not_raised() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    // an Admin whose roles leave out Data
    let bea = site.member(ACME, "bea@acme.test", Privilege::Admin, &[Role::Alerts]).await;
    let mut as_bea = site.bearer(&bea.token).await;
    let refused = as_bea.assign(&bea.id, &[Role::Alerts, Role::Data]).await.expect_err("refused");
    assert_eq!(reason(&refused), "SELF_GRANT");
    assert!(metadata(&refused, "gained").contains("MODIFY_CHECKS"));
    let refused = as_bea.move_to(&bea.email, Privilege::Admin).await.expect_err("the column opens more than her roles");
    assert_eq!(reason(&refused), "SELF_GRANT");
    let request =
        proto::AssignRolesRequest { account: ACME.to_owned(), user: bea.id.clone(), allow_widening: true, ..Default::default() };
    assert_eq!(reason(&as_bea.users.assign_roles(request).await.expect_err("refused")), "SELF_GRANT");
    let lowered = as_bea.move_to(&bea.id, Privilege::ReadOnly).await.expect("lowered");
    let lost = [Permission::ManageUsers, Permission::RespondToAlerts, Permission::ModifyAlertRules];
    assert_eq!(effect(&lowered.effects), (vec![], lost.to_vec()));
    assert_eq!(reason(&as_bea.move_to(&bea.id, Privilege::Admin).await.expect_err("no way back")), "ACCESS_DENIED");
}

#[tokio::test]
async fn a_person_can_not_raise_themself_through_a_service_or_as_a_super_admin() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bea = site.member(ACME, "bea@acme.test", Privilege::ReadOnly, &[Role::Admin]).await;
    let service = site.service("tool", &["users.write", "users.act_as"], "").await;
    let refused = site.acting(&service, &bea.id).await.move_to(&bea.id, Privilege::Admin).await.expect_err("refused");
    assert_eq!(reason(&refused), "SELF_GRANT");
    let request = proto::SetSuperAdminRequest { user: bea.id.clone(), super_admin: true, ..Default::default() };
    site.operator().await.operations.set_super_admin(request).await.expect("set");
    let refused = site.bearer(&bea.token).await.move_to(&bea.id, Privilege::Admin).await.expect_err("refused");
    assert_eq!(reason(&refused), "SELF_GRANT");
    site.bearer(&service).await.move_to(&bea.id, Privilege::Admin).await.expect("the service itself is somebody else");
}

#[tokio::test]
async fn what_is_dormant_on_saas_counts_as_raising_oneself_too() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bea = site.member(ACME, "bea@acme.test", Privilege::Normal, &[Role::Admin, Role::Alerts]).await;
    site.restart(Some("signup = \"open\"\nedition = \"saas\"")).await;
    // without the dormant role she would have Data and Trending too when the edition is Inside again
    let request =
        proto::AssignRolesRequest { account: ACME.to_owned(), user: bea.id.clone(), clear_dormant: true, ..Default::default() };
    let refused = site.bearer(&bea.token).await.users.assign_roles(request).await.expect_err("refused");
    assert_eq!(reason(&refused), "SELF_GRANT");
}

#[tokio::test]
async fn the_last_active_manager_stays_whatever_a_member_or_service_or_operator_tries() {
    let site = Site::start().await;
    site.account(ACME).await;
    // by the role alone: the Admin column is not the only way to manage users
    let ann = site.member(ACME, "ann@acme.test", Privilege::ReadOnly, &[Role::Admin]).await;
    site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let mut operator = site.operator().await;
    let service = site.service("tool", &["users.write"], "").await;
    let last = operator.last_event().await;
    let mut as_service = site.bearer(&service).await;
    let refusals = [
        as_ann.leave().await.expect_err("leaving"),
        as_ann.remove(&ann.id).await.map(|_| ()).expect_err("removing oneself"),
        as_ann.move_to(&ann.id, Privilege::ReadOnly).await.map(|_| ()).expect_err("moving, which clears the role"),
        as_ann.assign(&ann.id, &[]).await.map(|_| ()).expect_err("roles"),
        as_service.remove(&ann.id).await.map(|_| ()).expect_err("a service"),
        operator.assign(&ann.id, &[Role::Alerts]).await.map(|_| ()).expect_err("the operator"),
    ];
    for refused in refusals {
        assert_eq!((reason(&refused).as_str(), metadata(&refused, "accounts").as_str()), ("LAST_ADMIN", ACME));
    }
    assert_eq!(operator.last_event().await, last, "nothing was done");
    assert!(!operator.account().await.admin_missing);
    operator.move_to("bob@acme.test", Privilege::Admin).await.expect("another Admin");
    as_ann.leave().await.expect("now she may");
    assert!(!operator.account().await.admin_missing);
}

#[tokio::test]
async fn a_deactivated_manager_does_not_count_as_the_one_who_stays() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.member(ACME, "bea@acme.test", Privilege::Admin, &[]).await;
    site.underneath("update users set active = 0 where email = 'bea@acme.test'").await;
    site.restart(None).await;
    let refused = site.bearer(&ann.token).await.leave().await.expect_err("refused");
    assert_eq!(reason(&refused), "LAST_ADMIN");
    let bea = site.operator().await.member("bea@acme.test").await.expect("still a member");
    assert_eq!((bea.active, bea.permissions.len()), (false, 0));
}

#[tokio::test]
async fn an_account_shows_that_it_has_no_admin_until_the_first_one_accepts() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    assert!(operator.account().await.admin_missing);
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    assert!(operator.account().await.admin_missing);
    let (invitation, _) = site.invited(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    assert!(operator.account().await.admin_missing, "an invitation is no Admin");
    // without an Admin to lose, members come and go
    site.bearer(&bob.token).await.leave().await.expect("left");
    let ann = site.person("ann@acme.test").await;
    let accepted = site.bearer(&ann.token).await.accept_named(&invitation.id).await.expect("accepted");
    assert!(!accepted.account.expect("an account").admin_missing);
    assert!(!operator.account().await.admin_missing);
}

#[tokio::test]
async fn a_super_admin_can_not_make_a_membership_of_the_mark() {
    let site = Site::start().await;
    site.account(ACME).await;
    let sue = site.person("sue@acme.test").await;
    let request = proto::SetSuperAdminRequest { user: sue.id.clone(), super_admin: true, ..Default::default() };
    site.operator().await.operations.set_super_admin(request).await.expect("set");
    let mut as_sue = site.bearer(&sue.token).await;
    let refused = as_sue.invite("SUE@acme.test", Privilege::ReadOnly, &[]).await.expect_err("her own address");
    assert_eq!(reason(&refused), "SELF_GRANT");
    let (invitation, _) = site.invited(ACME, &sue.email, Privilege::Admin, &[]).await;
    assert_eq!(reason(&as_sue.resend(&invitation.id).await.expect_err("she would be the grantor")), "SELF_GRANT");
    as_sue.invite("bob@acme.test", Privilege::Normal, &[]).await.expect("somebody else");
    as_sue.accept_named(&invitation.id).await.expect("what the operator grants");
}
