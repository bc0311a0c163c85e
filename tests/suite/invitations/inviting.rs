//! Who can be invited, and when again.

use std::time::Duration;

use user_management::proto::{self, InvitationState, Privilege, Role};

use crate::acme::ACME;
use crate::client::{metadata, reason};
use crate::site::{BEGINNING, Site};

#[tokio::test]
async fn an_address_has_one_unanswered_invitation_however_it_is_spelled() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    let plain = operator.invite("Ann@Acme.test", Privilege::Normal, &[]).await.expect("invited");
    let international = operator.invite("ann@bücher.example", Privilege::Normal, &[]).await.expect("another address");
    let variants = [
        ("ann@acme.TEST", &plain),
        ("ANN@ACME.TEST", &plain),
        ("ann@xn--bcher-kva.example", &international),
        ("Ann@BÜCHER.example", &international),
    ];
    for (variant, pending) in variants {
        let refused = operator.invite(variant, Privilege::Admin, &[]).await.expect_err(variant);
        assert_eq!(reason(&refused), "INVITATION_EXISTS", "{variant}");
        assert_eq!(metadata(&refused, "invitation"), pending.id, "{variant}");
    }
    assert_eq!(operator.invited().await.len(), 2);
    assert_eq!(operator.invitation(&plain.id).await.email, "Ann@Acme.test", "stored as typed");
}

#[tokio::test]
async fn addresses_that_only_look_alike_are_invited_side_by_side() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    for email in ["alice@acme.test", "ice@acme.test", "ice+ops@acme.test", "ice@acme.test.example", "_ce@acme.test"] {
        operator.invite(email, Privilege::Normal, &[]).await.expect(email);
    }
}

#[tokio::test]
async fn another_account_may_invite_the_same_address() {
    let site = Site::start().await;
    for account in [ACME, "other"] {
        site.account(account).await;
        site.invited(account, "ann@acme.test", Privilege::Normal, &[]).await;
        site.clock.advance(Duration::from_secs(1));
    }
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    let mine = as_ann.identity.list_my_invitations(proto::ListMyInvitationsRequest {}).await.expect("listed").into_inner();
    assert_eq!(mine.invitations.iter().map(|each| each.account.as_str()).collect::<Vec<_>>(), ["other", ACME], "newest first");
}

#[tokio::test]
async fn a_member_can_not_be_invited_until_they_are_none_any_more() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    let refused = operator.invite("ANN@acme.test", Privilege::Admin, &[]).await.expect_err("refused");
    assert_eq!((reason(&refused).as_str(), metadata(&refused, "user")), ("MEMBER_EXISTS", ann.id.clone()));
    operator.remove(&ann.id).await.expect("removed");
    let (_, token) = site.invited(ACME, "ann@acme.test", Privilege::ReadOnly, &[]).await;
    let accepted = site.bearer(&ann.token).await.accept(&token).await.expect("accepted the next second");
    assert_eq!(accepted.member.expect("a member").privilege(), Privilege::ReadOnly);
}

#[tokio::test]
async fn inviting_an_address_whose_invitation_expired_renews_that_one() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (first, old) = site.invited(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    site.clock.advance(Duration::from_hours(7 * 24) - Duration::from_micros(1));
    let mut operator = site.operator().await;
    let refused = operator.invite("ann@acme.test", Privilege::Normal, &[]).await.expect_err("refused");
    assert_eq!(reason(&refused), "INVITATION_EXISTS", "pending to its last moment");
    site.clock.advance(Duration::from_micros(1));
    assert_eq!(operator.invitation(&first.id).await.state(), InvitationState::Expired);

    let (renewed, new) = site.invited(ACME, "ANN@acme.test", Privilege::Normal, &[Role::Data]).await;
    assert_eq!((&renewed.id, renewed.state(), renewed.send_count), (&first.id, InvitationState::Pending, 2));
    assert_eq!((renewed.privilege(), renewed.roles().collect::<Vec<_>>()), (Privilege::Normal, vec![Role::Data]));
    assert_eq!((renewed.email.as_str(), renewed.create_time), ("ANN@acme.test", first.create_time));
    let seconds = BEGINNING.as_micros() / 1_000_000 + 14 * 24 * 60 * 60;
    assert_eq!(renewed.expire_time.map(|time| time.seconds), Some(seconds), "its lifetime begins anew");
    assert_ne!((&renewed.etag, &new), (&first.etag, &old));

    assert_eq!(reason(&operator.preview(&old).await.expect_err("refused")), "LINK_INVALID");
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    assert_eq!(reason(&as_ann.accept(&old).await.expect_err("refused")), "LINK_INVALID");
    let accepted = as_ann.accept(&new).await.expect("accepted").member.expect("a member");
    assert_eq!((accepted.privilege(), accepted.roles), (Privilege::Normal, vec![Role::Data.into()]));
}

#[tokio::test]
async fn an_invitation_that_was_answered_or_withdrawn_makes_room_for_a_new_one() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.person("ann@acme.test").await;
    let mut operator = site.operator().await;
    let (ignored, _) = site.invited(ACME, &ann.email, Privilege::Normal, &[]).await;
    site.bearer(&ann.token).await.ignore_named(&ignored.id).await.expect("ignored");
    let (withdrawn, _) = site.invited(ACME, &ann.email, Privilege::Normal, &[]).await;
    operator.withdraw(&withdrawn.id).await.expect("withdrawn");
    let (accepted, _) = site.invited(ACME, &ann.email, Privilege::Normal, &[]).await;
    let ids = [&ignored.id, &withdrawn.id, &accepted.id];
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "each is an invitation of its own");
    site.bearer(&ann.token).await.accept_named(&accepted.id).await.expect("accepted");
}

#[tokio::test]
async fn a_lifetime_of_zero_means_never() {
    let site = Site::with("signup = \"open\"\ninvitation.lifetime_days = 0").await;
    site.account(ACME).await;
    let (invitation, token) = site.invited(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    assert_eq!(invitation.expire_time, None);
    site.clock.advance(Duration::from_hours(24 * 3650));
    assert_eq!(site.operator().await.invitation(&invitation.id).await.state(), InvitationState::Pending);
    let ann = site.person("ann@acme.test").await;
    site.bearer(&ann.token).await.accept(&token).await.expect("accepted after ten years");
}

#[tokio::test]
async fn an_open_invitation_does_not_stand_in_the_way_of_signing_up() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (invitation, token) = site.invited(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    let ann = site.person("ann@acme.test").await;
    let unanswered = site.operator().await.invitation(&invitation.id).await;
    assert_eq!(unanswered.state(), InvitationState::Pending, "signing up answers nothing");
    site.bearer(&ann.token).await.accept(&token).await.expect("accepted");
}
