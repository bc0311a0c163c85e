//! What the invited person does: looking, accepting, ignoring.

use std::time::Duration;

use user_management::proto::{self, InvitationState, Privilege, Role};

use crate::acme::ACME;
use crate::client::{metadata, reason};
use crate::site::Site;

#[tokio::test]
async fn anybody_with_the_link_may_look_as_often_as_they_like_and_only_the_first_look_is_noted() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (invitation, token) = site.invited(ACME, "ann@acme.test", Privilege::Normal, &[Role::Data]).await;
    let mut operator = site.operator().await;
    let last = operator.last_event().await;
    site.clock.advance(Duration::from_mins(1));
    let eve = site.person("eve@evil.test").await;
    let mut nobody = site.nobody().await;
    let shown = nobody.preview(&token).await.expect("shown");
    assert_eq!(
        (shown.id.as_str(), shown.account.as_str(), shown.email.as_str()),
        (invitation.id.as_str(), ACME, "ann@acme.test")
    );
    assert_eq!((shown.privilege(), shown.roles().collect::<Vec<_>>()), (Privilege::Normal, vec![Role::Data]));
    assert_eq!(shown.granted_by_name, "the operator of this site");
    let opened = operator.invitation(&invitation.id).await.first_opened_time.expect("noted");
    site.clock.advance(Duration::from_mins(1));
    site.bearer(&eve.token).await.preview(&token).await.expect("shown to a stranger who holds it");
    nobody.preview(&format!(" {token}\n")).await.expect("shown however it was pasted");
    let seen = operator.invitation(&invitation.id).await;
    assert_eq!((seen.first_opened_time, &seen.etag), (Some(opened), &invitation.etag));
    let kinds: Vec<_> = operator.events_after(last).await.iter().map(proto::Event::kind).collect();
    let by_eve = [proto::EventKind::UserCreated, proto::EventKind::SessionStarted];
    assert_eq!(kinds, by_eve, "looking is no event");
    operator.resend(&invitation.id).await.expect("sent again");
    assert_eq!(operator.invitation(&invitation.id).await.first_opened_time, None, "the new link was opened by nobody");
    let ann = site.person("ann@acme.test").await;
    site.bearer(&ann.token).await.accept_named(&invitation.id).await.expect("no look has spent it");
}

#[tokio::test]
async fn a_link_says_what_became_of_its_invitation() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut nobody = site.nobody().await;
    let ann = site.person("ann@acme.test").await;
    let (accepted, token) = site.invited(ACME, &ann.email, Privilege::Normal, &[]).await;
    site.bearer(&ann.token).await.accept_named(&accepted.id).await.expect("accepted");
    assert_eq!(nobody.preview(&token).await.expect("shown").state(), InvitationState::Accepted);
    let bob = site.person("bob@acme.test").await;
    let (ignored, token) = site.invited(ACME, &bob.email, Privilege::Normal, &[]).await;
    let told = site.bearer(&bob.token).await.ignore_named(&ignored.id).await.expect("ignored");
    assert_eq!(told.state(), InvitationState::Ignored);
    assert_eq!(nobody.preview(&token).await.expect("shown").state(), InvitationState::Ignored);
    let (withdrawn, token) = site.invited(ACME, "cy@acme.test", Privilege::Normal, &[]).await;
    site.operator().await.withdraw(&withdrawn.id).await.expect("withdrawn");
    assert_eq!(nobody.preview(&token).await.expect("shown").state(), InvitationState::Withdrawn);
    let (_, token) = site.invited(ACME, "dee@acme.test", Privilege::Normal, &[]).await;
    site.clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(nobody.preview(&token).await.expect("shown").state(), InvitationState::Expired, "before choosing a password");
}

#[tokio::test]
async fn accepting_works_by_token_and_by_id_and_again_for_the_same_person() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.person("ann@acme.test").await;
    let bob = site.person("BOB@acme.test").await;
    let (by_id, spare) = site.invited(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let (other, by_token) = site.invited(ACME, "bob@ACME.test", Privilege::Normal, &[Role::Alerts]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let mut as_bob = site.bearer(&bob.token).await;
    let first = as_ann.accept_named(&by_id.id).await.expect("accepted");
    assert!(!first.account.as_ref().expect("an account").admin_missing);
    assert_eq!(first.effects[0].gained.len(), 8);
    for again in [as_ann.accept_named(&by_id.id).await.expect("again"), as_ann.accept(&spare).await.expect("again, by the link")]
    {
        assert_eq!((&again.account, &again.member), (&first.account, &first.member));
        assert!(again.effects[0].gained.is_empty(), "nothing was gained by that call");
    }
    let second = as_bob.accept(&by_token).await.expect("accepted").member.expect("a member");
    assert_eq!((second.user, second.roles), (bob.id, vec![Role::Alerts.into()]));
    assert_eq!(site.operator().await.invitation(&other.id).await.state(), InvitationState::Accepted);
    let refused = as_ann.ignore_named(&by_id.id).await.expect_err("refused");
    assert_eq!(
        (reason(&refused).as_str(), metadata(&refused, "state").as_str()),
        ("INVITATION_ANSWERED", "INVITATION_STATE_ACCEPTED")
    );
}

#[tokio::test]
async fn only_the_confirmed_address_counts_and_a_wrong_person_is_told_what_they_may_know() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (invitation, token) = site.invited(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let eve = site.person("eve@evil.test").await;
    let mut as_eve = site.bearer(&eve.token).await;
    let by_link = as_eve.accept(&token).await.expect_err("refused");
    assert_eq!(reason(&by_link), "INVITATION_FOR_ANOTHER_ADDRESS");
    assert!(!by_link.message().contains("ann@acme.test"), "{}", by_link.message());
    let request = proto::IgnoreInvitationRequest { token: token.clone(), ..Default::default() };
    let by_link = as_eve.identity.ignore_invitation(request).await.expect_err("refused");
    assert_eq!(reason(&by_link), "INVITATION_FOR_ANOTHER_ADDRESS");
    assert_eq!(reason(&as_eve.accept_named(&invitation.id).await.expect_err("refused")), "ACCESS_DENIED");
    assert_eq!(reason(&as_eve.ignore_named(&invitation.id).await.expect_err("refused")), "ACCESS_DENIED");
    let plus = site.person("ann+1@acme.test").await;
    let refused = site.bearer(&plus.token).await.accept(&token).await.expect_err("refused");
    assert_eq!(reason(&refused), "INVITATION_FOR_ANOTHER_ADDRESS");
    assert_eq!(site.operator().await.invitation(&invitation.id).await.state(), InvitationState::Pending);
}

#[tokio::test]
async fn ignoring_is_final_and_frees_the_address() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.person("ann@acme.test").await;
    let (invitation, token) = site.invited(ACME, &ann.email, Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let first = as_ann.ignore_named(&invitation.id).await.expect("ignored");
    assert_eq!(as_ann.ignore_named(&invitation.id).await.expect("again"), first);
    let refused = as_ann.accept(&token).await.expect_err("refused");
    assert_eq!(
        (reason(&refused).as_str(), metadata(&refused, "state").as_str()),
        ("INVITATION_ANSWERED", "INVITATION_STATE_IGNORED")
    );
    let mut operator = site.operator().await;
    assert!(operator.invited().await.is_empty() && operator.members().await.is_empty());
    operator.invite(&ann.email, Privilege::Normal, &[]).await.expect("the address is free");
}

#[tokio::test]
async fn an_expired_invitation_can_be_ignored_but_not_accepted() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (invitation, token) = site.invited(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    site.clock.advance(Duration::from_hours(7 * 24));
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    assert_eq!(reason(&as_ann.accept(&token).await.expect_err("refused")), "INVITATION_EXPIRED");
    let ignored = as_ann.ignore_named(&invitation.id).await.expect("ignored");
    assert_eq!(ignored.state(), InvitationState::Ignored);
}

#[tokio::test]
async fn naming_the_etag_accepts_exactly_what_was_previewed() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (invitation, token) = site.invited(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let shown = site.nobody().await.preview(&token).await.expect("shown");
    assert_eq!(shown.etag, invitation.etag);
    let changed = site.operator().await.resend(&invitation.id).await.expect("sent again");
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    let mut request = proto::AcceptInvitationRequest { invitation: invitation.id, etag: shown.etag, ..Default::default() };
    let refused = as_ann.identity.accept_invitation(request.clone()).await.expect_err("refused");
    assert_eq!((reason(&refused), metadata(&refused, "etag")), ("ETAG_MISMATCH".to_owned(), changed.etag.clone()));
    request.etag = changed.etag;
    as_ann.identity.accept_invitation(request).await.expect("accepted");
}

#[tokio::test]
async fn an_answer_is_final_for_somebody_who_was_removed_since() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.person("ann@acme.test").await;
    let (invitation, token) = site.invited(ACME, &ann.email, Privilege::Normal, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    as_ann.accept(&token).await.expect("accepted");
    site.operator().await.remove(&ann.id).await.expect("removed");
    for refused in [as_ann.accept(&token).await, as_ann.accept_named(&invitation.id).await] {
        assert_eq!(reason(&refused.expect_err("an old link brings nobody back")), "INVITATION_ANSWERED");
    }
    assert!(site.operator().await.members().await.is_empty());
}
