//! Changing what an invitation offers.

use std::time::Duration;

use tonic::{Response, Status};
use user_management::proto::{self, EventKind, HeldReason, InvitationState, Privilege, Role};

use crate::acme::ACME;
use crate::client::{Client, reason};
use crate::site::Site;

async fn update(
    client: &mut Client,
    invitation: &str,
    privilege: Privilege,
    roles: &[Role],
) -> Result<proto::Invitation, Status> {
    let request = proto::UpdateInvitationRequest {
        account: ACME.to_owned(),
        invitation: invitation.to_owned(),
        privilege: privilege.into(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        ..Default::default()
    };
    client
        .users
        .update_invitation(request)
        .await
        .map(Response::into_inner)
        .map(|answer| answer.invitation.expect("an invitation"))
}

#[tokio::test]
async fn an_edited_invitation_keeps_link_and_lifetime_and_who_previewed_it_before_is_told_to_look_again() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let (invitation, token) = site.invited(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let bob = site.person("bob@acme.test").await;
    let mut as_bob = site.bearer(&bob.token).await;
    let seen = as_bob.preview(&token).await.expect("a preview");
    let mut as_ann = site.bearer(&ann.token).await;
    let edited = update(&mut as_ann, &invitation.id, Privilege::ReadOnly, &[Role::Alerts]).await.expect("ann may");
    assert_eq!((edited.expire_time, edited.send_count), (invitation.expire_time, 1));
    assert_eq!((edited.privilege(), edited.granted_by.as_str()), (Privilege::ReadOnly, ann.id.as_str()));
    let before = site.operator().await.last_event().await;
    update(&mut as_ann, &invitation.id, Privilege::ReadOnly, &[Role::Alerts]).await.expect("the same again");
    assert_eq!(site.operator().await.last_event().await, before, "changes nothing");
    let stale = proto::AcceptInvitationRequest { token: token.clone(), etag: seen.etag, ..Default::default() };
    assert_eq!(reason(&as_bob.identity.accept_invitation(stale).await.expect_err("it changed")), "ETAG_MISMATCH");
    let accepted = as_bob.accept(&token).await.expect("by the same link");
    assert_eq!(accepted.member.expect("a member").privilege(), Privilege::ReadOnly);
    let refused = update(&mut as_ann, &invitation.id, Privilege::Admin, &[]).await.expect_err("answered");
    assert_eq!(reason(&refused), "INVITATION_ANSWERED");
    let kinds: Vec<_> = site.operator().await.events_after(0).await.iter().map(proto::Event::kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::InvitationUpdated).count(), 1);
}

#[tokio::test]
async fn an_expired_invitation_stays_expired_when_it_is_edited() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (invitation, _) = site.invited(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    site.clock.advance(Duration::from_hours(8 * 24));
    let edited = update(&mut site.operator().await, &invitation.id, Privilege::Admin, &[]).await.expect("the operator may");
    assert_eq!(edited.state(), InvitationState::Expired);
}

#[tokio::test]
async fn whoever_edits_a_held_invitation_stands_behind_it_and_nobody_edits_their_own_in() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bea = site.member(ACME, "bea@acme.test", Privilege::Admin, &[]).await;
    let invitation = site.bearer(&ann.token).await.invite("bob@acme.test", Privilege::Normal, &[]).await.expect("invited");
    let mut operator = site.operator().await;
    operator.move_to(&ann.id, Privilege::Normal).await.expect("moved");
    assert_eq!(operator.invitation(&invitation.id).await.held_reason(), HeldReason::GrantorLacksManageUsers);
    let edited = update(&mut site.bearer(&bea.token).await, &invitation.id, Privilege::Normal, &[]).await.expect("bea may");
    assert_eq!((edited.held_reason(), edited.granted_by.as_str()), (HeldReason::Unspecified, bea.id.as_str()));
    // a super-admin would make a membership of the mark
    let sue = site.person("sue@site.test").await;
    let mark = proto::SetSuperAdminRequest { user: sue.id.clone(), super_admin: true, ..Default::default() };
    operator.operations.set_super_admin(mark).await.expect("the operator may");
    let own = operator.invite(&sue.email, Privilege::ReadOnly, &[]).await.expect("invited");
    let refused = update(&mut site.bearer(&sue.token).await, &own.id, Privilege::Admin, &[]).await.expect_err("refused");
    assert_eq!(reason(&refused), "SELF_GRANT");
}

#[tokio::test]
async fn an_edit_and_an_answer_at_once_leave_one_of_two_whole_outcomes() {
    let site = Site::start().await;
    site.account(ACME).await;
    site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.person("bob@acme.test").await;
    let (mut operator, mut as_bob) = (site.operator().await, site.bearer(&bob.token).await);
    for _ in 0..50 {
        let invitation = operator.clone().invite(&bob.email, Privilege::Normal, &[]).await.expect("invited");
        let (edited, accepted) =
            tokio::join!(update(&mut operator, &invitation.id, Privilege::ReadOnly, &[]), as_bob.accept_named(&invitation.id));
        let member = accepted.expect("his").member.expect("a member");
        let expected = if edited.is_ok() { Privilege::ReadOnly } else { Privilege::Normal };
        assert_eq!(member.privilege(), expected);
        operator.remove(&bob.id).await.expect("removed");
    }
}
