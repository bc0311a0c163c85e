//! Sending again, taking back, and how the mail fares.

use std::time::Duration;

use user_management::proto::{self, DeliveryState, InvitationState, Privilege};

use crate::acme::ACME;
use crate::client::{metadata, reason};
use crate::site::{BEGINNING, Site};

const DAY: i64 = 24 * 60 * 60;

#[tokio::test]
async fn sending_again_makes_a_new_link_and_lifetime_under_the_same_id_and_ends_the_old_link() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (first, old) = site.invited(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    site.clock.advance(Duration::from_hours(24));
    let mut operator = site.operator().await;
    let again = operator.resend(&first.id).await.expect("sent again");
    assert_eq!((&again.id, again.send_count, again.state()), (&first.id, 2, InvitationState::Pending));
    let seconds = BEGINNING.as_micros() / 1_000_000 + 8 * DAY;
    assert_eq!(again.expire_time.map(|time| time.seconds), Some(seconds));
    let new = site.mailed_token("ann@acme.test").await;
    assert_eq!(site.mails_to("ann@acme.test").len(), 2);
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    assert_eq!(reason(&as_ann.accept(&old).await.expect_err("refused")), "LINK_INVALID");
    as_ann.accept(&new).await.expect("accepted");
}

#[tokio::test]
async fn an_expired_invitation_can_be_sent_again_and_accepted() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (first, _) = site.invited(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    site.clock.advance(Duration::from_hours(24 * 30));
    let mut operator = site.operator().await;
    assert_eq!(operator.invited().await[0].state(), InvitationState::Expired, "still listed");
    assert_eq!(operator.resend(&first.id).await.expect("sent again").state(), InvitationState::Pending);
    let token = site.mailed_token("ann@acme.test").await;
    let ann = site.person("ann@acme.test").await;
    site.bearer(&ann.token).await.accept(&token).await.expect("accepted");
}

#[tokio::test]
async fn a_mail_that_was_not_sent_yet_is_dropped_when_its_link_ends() {
    let site = Site::start().await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    // nothing can be written where the mails should go
    std::fs::remove_dir_all(site.mail_dir()).expect("removed");
    std::fs::write(site.mail_dir(), "in the way").expect("written");
    let kept = operator.invite("ann@acme.test", Privilege::Normal, &[]).await.expect("invited");
    let gone = operator.invite("bob@acme.test", Privilege::Normal, &[]).await.expect("invited");
    site.mails_settled().await;
    let waiting = operator.invitation(&kept.id).await.delivery.expect("a delivery");
    assert_eq!((waiting.state(), waiting.attempts), (DeliveryState::Queued, 1), "shown as not sent");
    assert!(!waiting.last_reply.is_empty() && waiting.next_attempt_time.is_some());
    assert_eq!(operator.invitation(&kept.id).await.sent_time, None);

    operator.withdraw(&gone.id).await.expect("withdrawn");
    std::fs::remove_file(site.mail_dir()).expect("removed");
    std::fs::create_dir(site.mail_dir()).expect("made");
    let resent = operator.resend(&kept.id).await.expect("sent again");
    site.clock.advance(Duration::from_hours(1));
    for mail in operator.operations.list_mail(proto::ListMailRequest::default()).await.expect("listed").into_inner().mails {
        let request = proto::RetryMailRequest { mail: mail.id, ..Default::default() };
        // those that are settled already refuse it
        let _ = operator.operations.retry_mail(request).await;
    }
    site.mails_settled().await;
    let mails = operator.operations.list_mail(proto::ListMailRequest::default()).await.expect("listed").into_inner().mails;
    let states = |to: &str| {
        let mut states: Vec<_> = mails.iter().filter(|mail| mail.recipient == to).map(proto::Mail::state).collect();
        states.sort_unstable();
        states
    };
    assert_eq!(states("ann@acme.test"), [DeliveryState::Sent, DeliveryState::Dropped], "the newest link alone is mailed");
    assert_eq!(states("bob@acme.test"), [DeliveryState::Dropped]);
    assert_eq!(site.mails_to("ann@acme.test").len(), 1);
    let sent = operator.invitation(&resent.id).await;
    assert!(sent.sent_time.is_some() && sent.delivery.expect("a delivery").next_attempt_time.is_none());
}

#[tokio::test]
async fn what_the_relay_said_is_for_those_who_may_manage_users() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::ReadOnly, &[]).await;
    let (invitation, _) = site.invited(ACME, "cy@acme.test", Privilege::Normal, &[]).await;
    let told = site.bearer(&ann.token).await.invitation(&invitation.id).await.delivery.expect("a delivery");
    assert_eq!((told.state(), told.attempts), (DeliveryState::Sent, 1));
    assert!(!told.last_reply.is_empty());
    let mut as_bob = site.bearer(&bob.token).await;
    for seen in [as_bob.invitation(&invitation.id).await, as_bob.invited().await.remove(0)] {
        let seen = seen.delivery.expect("how far it has come is for every member");
        assert_eq!((seen.state(), seen.attempts, seen.last_reply.as_str()), (DeliveryState::Sent, 1, ""));
    }
}

#[tokio::test]
async fn pending_and_expired_invitations_can_be_taken_back_for_good() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (expired, old) = site.invited(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    site.clock.advance(Duration::from_hours(24 * 8));
    let (pending, new) = site.invited(ACME, "bob@acme.test", Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    let last = operator.last_event().await;
    for invitation in [&expired, &pending] {
        let first = operator.withdraw(&invitation.id).await.expect("withdrawn");
        assert_eq!(first.state(), InvitationState::Withdrawn);
        assert_eq!(operator.withdraw(&invitation.id).await.expect("again"), first, "idempotent");
        let refused = operator.resend(&invitation.id).await.expect_err("refused");
        assert_eq!(
            (reason(&refused).as_str(), metadata(&refused, "invitation")),
            ("INVITATION_WITHDRAWN", invitation.id.clone())
        );
    }
    assert_eq!(operator.last_event().await, last + 2, "one event each");
    assert!(operator.invited().await.is_empty());
    for (email, token) in [("ann@acme.test", old), ("bob@acme.test", new)] {
        let person = site.person(email).await;
        let refused = site.bearer(&person.token).await.accept(&token).await.expect_err("refused");
        assert_eq!(reason(&refused), "INVITATION_WITHDRAWN");
    }
}

#[tokio::test]
async fn what_was_answered_can_be_neither_sent_again_nor_taken_back() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.person("ann@acme.test").await;
    let bob = site.person("bob@acme.test").await;
    let (accepted, _) = site.invited(ACME, &ann.email, Privilege::Normal, &[]).await;
    let (ignored, _) = site.invited(ACME, &bob.email, Privilege::Normal, &[]).await;
    site.bearer(&ann.token).await.accept_named(&accepted.id).await.expect("accepted");
    site.bearer(&bob.token).await.ignore_named(&ignored.id).await.expect("ignored");
    let mut operator = site.operator().await;
    for (id, state) in [(&accepted.id, "INVITATION_STATE_ACCEPTED"), (&ignored.id, "INVITATION_STATE_IGNORED")] {
        let resent = operator.resend(id).await.expect_err("refused");
        let withdrawn = operator.withdraw(id).await.expect_err("refused");
        for refused in [resent, withdrawn] {
            assert_eq!((reason(&refused).as_str(), metadata(&refused, "state").as_str()), ("INVITATION_ANSWERED", state));
        }
    }
}

#[tokio::test]
async fn a_stale_etag_stops_sending_again_and_taking_back() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (read, _) = site.invited(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    let mut operator = site.operator().await;
    let present = operator.resend(&read.id).await.expect("sent again").etag;
    let (account, invitation, etag) = (ACME.to_owned(), read.id, read.etag);
    let request = proto::WithdrawInvitationRequest { account, invitation, etag, ..Default::default() };
    let refused = operator.users.withdraw_invitation(request.clone()).await.expect_err("refused");
    assert_eq!((reason(&refused), metadata(&refused, "etag")), ("ETAG_MISMATCH".to_owned(), present.clone()));
    let proto::WithdrawInvitationRequest { account, invitation, etag, .. } = request.clone();
    let resend = proto::ResendInvitationRequest { account, invitation, etag, ..Default::default() };
    assert_eq!(reason(&operator.users.resend_invitation(resend).await.expect_err("refused")), "ETAG_MISMATCH");
    let request = proto::WithdrawInvitationRequest { etag: present, ..request };
    operator.users.withdraw_invitation(request).await.expect("withdrawn");
}

#[tokio::test]
async fn a_name_that_was_taken_by_looser_rules_holds_up_no_mail_and_stands_in_none() {
    let site = Site::start().await;
    site.account("acme").await;
    let ann = site.member("acme", "ann@acme.test", Privilege::Admin, &[]).await;
    site.underneath("update accounts set display_name = 'win at evil.example'").await;
    site.underneath("update users set display_name = 'evil.example'").await;
    site.bearer(&ann.token).await.invite("bob@acme.test", Privilege::Normal, &[]).await.expect("invited");
    site.mailed_token("bob@acme.test").await;
    let mail = site.mails_to("bob@acme.test").pop().expect("a mail");
    assert!(mail.contains("Subject: You are invited to acme") && mail.contains(&ann.id) && !mail.contains("evil"), "{mail}");
}
