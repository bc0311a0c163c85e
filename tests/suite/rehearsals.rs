//! `validate_only`: what would happen, with every refusal, and nothing done.

use user_management::proto::{self, AccessReason, Privilege, Role};

use crate::acme::ACME;
use crate::client::reason;
use crate::site::Site;

#[tokio::test]
async fn a_rehearsed_change_tells_its_effects_and_leaves_everything_as_it_was() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[Role::Alerts]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let before = site.app().view().seq();
    let request = proto::RemoveMemberRequest {
        account: ACME.to_owned(),
        user: bob.id.clone(),
        validate_only: true,
        request_id: "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11".to_owned(),
        ..Default::default()
    };
    for _ in 0..2 {
        let answer = as_ann.users.remove_member(request.clone()).await.expect("ann may").into_inner();
        assert_eq!(answer.effects[0].lost.len(), 3, "view and what the role opened");
        assert_eq!(answer.member.expect("as they last were").user, bob.id);
    }
    let request = proto::InviteUserRequest {
        account: ACME.to_owned(),
        email: "eve@acme.test".to_owned(),
        privilege: Privilege::Normal.into(),
        validate_only: true,
        ..Default::default()
    };
    let invitation = as_ann.users.invite_user(request).await.expect("ann may").into_inner().invitation.expect("as it would be");
    assert_eq!(invitation.state(), proto::InvitationState::Pending);
    site.mails_settled().await;
    assert_eq!((site.app().view().seq(), site.mails_to("eve@acme.test").len()), (before, 0));
    let check = proto::CheckAccessRequest {
        account: ACME.to_owned(),
        user: bob.id.clone(),
        permission: proto::Permission::RespondToAlerts.into(),
        ..Default::default()
    };
    assert_eq!(as_ann.access.check_access(check).await.expect("answered").into_inner().reason(), AccessReason::Granted);
    // the id of a rehearsal is free for the change itself
    let request = proto::RemoveMemberRequest {
        account: ACME.to_owned(),
        user: bob.id,
        request_id: "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11".to_owned(),
        ..Default::default()
    };
    as_ann.users.remove_member(request).await.expect("ann may");
    assert_eq!(site.app().view().seq(), before + 1);
}

#[tokio::test]
async fn a_rehearsal_answers_no_link_since_it_makes_none() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let invite = proto::InviteUserRequest {
        account: ACME.to_owned(),
        email: "eve@acme.test".to_owned(),
        privilege: Privilege::Normal.into(),
        return_link: true,
        validate_only: true,
        ..Default::default()
    };
    let invited = operator.users.invite_user(invite).await.expect("as it would be").into_inner();
    assert!(invited.link.is_none() && !invited.secret_already_shown);
    assert!(invited.invitation.expect("an invitation").delivery.is_none(), "no mail would go");
    let create = proto::CreateUserRequest {
        email: "eve@acme.test".to_owned(),
        display_name: "Eve".to_owned(),
        return_link: true,
        validate_only: true,
        ..Default::default()
    };
    let made = operator.users.create_user(create).await.expect("as it would be").into_inner();
    assert!(made.link.is_none() && !made.secret_already_shown);
}

#[tokio::test]
async fn a_rehearsal_is_refused_as_the_change_would_be() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let leave = proto::LeaveAccountRequest { account: ACME.to_owned(), validate_only: true, ..Default::default() };
    let refused = site.bearer(&ann.token).await.identity.leave_account(leave.clone()).await.expect_err("the last admin");
    assert_eq!(reason(&refused), "LAST_ADMIN");
    let lost = site.bearer(&bob.token).await.identity.leave_account(leave).await.expect("bob may").into_inner().effects;
    assert_eq!(lost[0].user, bob.id);
    let update = proto::UpdateAccountRequest { account: ACME.to_owned(), validate_only: true, ..Default::default() };
    let refused = site.bearer(&bob.token).await.users.update_account(update).await.expect_err("not an admin");
    assert_eq!(reason(&refused), "ACCESS_DENIED");
}
