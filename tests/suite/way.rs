//! The main job: from an emailed invitation to an enforced permission.

use user_management::proto::{self, AccessReason, Permission, Privilege, Role};

use crate::client::{Client, reason};
use crate::site::{PASSWORD, Site};

async fn check(client: &mut Client, user: &str, permission: Permission) -> proto::CheckAccessResponse {
    let request = proto::CheckAccessRequest {
        account: "acme".to_owned(),
        user: user.to_owned(),
        permission: permission.into(),
        ..Default::default()
    };
    client.access.check_access(request).await.expect("the check is answered").into_inner()
}

#[tokio::test]
async fn an_invited_address_becomes_a_member_whose_permissions_follow_every_change_at_once() {
    let site = Site::with("edition = \"inside\"").await;
    let mut operator = site.operator().await;
    site.account("acme").await;
    let (_, invited) = site.invited("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    let request = proto::AcceptInvitationRequest { token: invited, ..Default::default() };
    let accepted = as_ann.identity.accept_invitation(request).await.expect("ann accepts").into_inner();
    assert!(!accepted.account.expect("an account").admin_missing);

    let request = proto::InviteUserRequest {
        account: "acme".to_owned(),
        email: "bob@acme.test".to_owned(),
        privilege: Privilege::Normal.into(),
        roles: vec![Role::Alerts.into()],
        ..Default::default()
    };
    as_ann.users.invite_user(request).await.expect("ann may invite");
    site.mails_settled().await;
    let request = proto::ListInvitationsRequest { account: "acme".to_owned(), ..Default::default() };
    let listed = operator.users.list_invitations(request).await.expect("listed").into_inner().invitations;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].state(), proto::InvitationState::Pending);
    assert_eq!(listed[0].delivery.as_ref().map(proto::Delivery::state), Some(proto::DeliveryState::Sent));
    let bob = site.person("bob@acme.test").await;
    let request = proto::AcceptInvitationRequest { invitation: listed[0].id.clone(), ..Default::default() };
    site.bearer(&bob.token).await.identity.accept_invitation(request).await.expect("bob accepts");

    let denied = check(&mut operator, "bob@acme.test", Permission::ModifyGraphs).await;
    assert_eq!((denied.allowed, denied.reason()), (false, AccessReason::RoleMissing));
    let would = proto::Grant { source: Some(proto::grant::Source::Role(Role::Trending.into())) };
    assert_eq!(denied.would_be_allowed_with, [would]);

    let request = proto::AssignRolesRequest {
        account: "acme".to_owned(),
        user: "bob@acme.test".to_owned(),
        roles: vec![Role::Data.into(), Role::Trending.into()],
        ..Default::default()
    };
    let assigned = as_ann.users.assign_roles(request).await.expect("ann may assign").into_inner();
    assert_eq!(assigned.effects[0].user, bob.id);
    assert!(assigned.effects[0].gained().any(|gained| gained == Permission::ModifyGraphs));
    assert!(assigned.effects[0].lost().any(|lost| lost == Permission::RespondToAlerts));
    assert!(check(&mut operator, &bob.id, Permission::ModifyGraphs).await.allowed);

    let request = proto::ChangePrivilegeRequest {
        account: "acme".to_owned(),
        user: bob.id.clone(),
        privilege: Privilege::ReadOnly.into(),
        ..Default::default()
    };
    let moved = as_ann.users.change_privilege(request).await.expect("ann may move").into_inner();
    assert!(moved.member.expect("a member").roles.is_empty());
    let denied = check(&mut operator, &bob.id, Permission::ModifyGraphs).await;
    assert_eq!(denied.reason(), AccessReason::PrivilegeTooLow);

    let request = proto::RemoveMemberRequest { account: "acme".to_owned(), user: bob.email.clone(), ..Default::default() };
    as_ann.users.remove_member(request).await.expect("ann may remove");
    assert_eq!(check(&mut operator, &bob.id, Permission::View).await.reason(), AccessReason::NotAMember);
}

#[tokio::test]
async fn where_sign_up_is_by_invitation_a_stranger_gets_no_mail_and_the_same_answer() {
    let site = Site::with("edition = \"inside\"").await;
    let request =
        proto::SignUpRequest { email: "eve@evil.test".to_owned(), password: PASSWORD.to_owned(), display_name: "Eve".to_owned() };
    site.nobody().await.identity.sign_up(request).await.expect("the answer tells nothing");
    site.mails_settled().await;
    assert!(site.mails_to("eve@evil.test").is_empty());
}

#[tokio::test]
async fn what_is_not_signed_in_is_told_so() {
    let site = Site::start().await;
    let refused = site.nobody().await.users.list_accounts(proto::ListAccountsRequest::default()).await;
    assert_eq!(reason(&refused.expect_err("refused")), "CREDENTIALS_MISSING");
}
