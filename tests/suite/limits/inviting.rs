//! Invitations: so many a day by whoever grants them, and into an account.

use std::time::Duration;

use tonic::Status;
use user_management::proto::{self, Privilege};

use super::{Reached, reached};
use crate::acme::ACME;
use crate::client::{Client, metadata};
use crate::site::{Person, Site};

const DAY: Duration = Duration::from_hours(24);

/// A site with an account and its Admin.
async fn site(limits: &str) -> (Site, Person) {
    let site = Site::with(&format!("signup = 'open'\n{limits}")).await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    (site, ann)
}

fn exhausted(status: &Status, limit: &str, subject: &str, left: &str) {
    let (reason, limit, subject) = ("INVITATIONS_EXHAUSTED".to_owned(), limit.to_owned(), subject.to_owned());
    assert_eq!(reached(status), Reached { reason, limit, subject, retry: DAY });
    assert_eq!(metadata(status, "left"), left);
}

fn batch(from: usize, to: usize) -> proto::BatchInviteUsersRequest {
    let invitee = |number: usize| proto::Invitee {
        email: format!("person{number}@acme.test"),
        privilege: Privilege::Normal.into(),
        ..Default::default()
    };
    proto::BatchInviteUsersRequest { account: ACME.to_owned(), invitees: (from..to).map(invitee).collect(), ..Default::default() }
}

async fn invite_all(client: &mut Client, request: proto::BatchInviteUsersRequest) -> Result<usize, Status> {
    let results = client.users.batch_invite_users(request).await?.into_inner().results;
    Ok(results.iter().filter(|each| matches!(each.outcome, Some(proto::invite_result::Outcome::Invitation(_)))).count())
}

#[tokio::test]
async fn a_person_invites_so_many_a_day_resends_counted_and_a_restart_forgets_none() {
    let (mut site, ann) = site("limits.invitations_per_grantor = 3").await;
    let bob = site.member(ACME, "bob@acme.test", Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    let first = as_ann.invite("one@acme.test", Privilege::Normal, &[]).await.expect("invited");
    as_ann.resend(&first.id).await.expect("sent again");
    as_ann.invite("one@acme.test", Privilege::Normal, &[]).await.expect_err("refusals aren't counted");
    as_ann.invite("two@acme.test", Privilege::Normal, &[]).await.expect("invited");
    let subject = format!("user:{}", ann.id);
    exhausted(&as_ann.resend(&first.id).await.expect_err("refused"), "invitations_per_grantor", &subject, "0");
    site.restart(None).await;
    let mut as_ann = site.bearer(&ann.token).await;
    for validate_only in [true, false] {
        let request = proto::InviteUserRequest {
            account: ACME.to_owned(),
            email: "three@acme.test".to_owned(),
            privilege: Privilege::Normal.into(),
            validate_only,
            ..Default::default()
        };
        let refused = as_ann.users.invite_user(request).await.expect_err("refused");
        exhausted(&refused, "invitations_per_grantor", &subject, "0");
    }
    as_ann.withdraw(&first.id).await.expect("taking back isn't limited");
    site.bearer(&bob.token).await.invite("three@acme.test", Privilege::Normal, &[]).await.expect("bob has his own");
    site.operator().await.invite("four@acme.test", Privilege::Normal, &[]).await.expect("nothing limits the operator");
    site.clock.advance(DAY);
    site.app().purge().await;
    let ann = site.sign_in(&ann.email).await;
    site.bearer(&ann.token).await.invite("five@acme.test", Privilege::Normal, &[]).await.expect("a day later");
}

#[tokio::test]
async fn a_batch_beyond_what_is_left_is_refused_as_a_whole_and_told_how_much_is() {
    let (site, ann) = site("limits.invitations_per_grantor = 5").await;
    let mut as_ann = site.bearer(&ann.token).await;
    as_ann.invite("person0@acme.test", Privilege::Normal, &[]).await.expect("invited");
    let subject = format!("user:{}", ann.id);
    let before = site.operator().await.last_event().await;
    exhausted(&invite_all(&mut as_ann, batch(1, 6)).await.expect_err("refused"), "invitations_per_grantor", &subject, "4");
    assert_eq!((site.operator().await.last_event().await, as_ann.invited().await.len()), (before, 1));
    let rehearsal = proto::BatchInviteUsersRequest { validate_only: true, ..batch(1, 5) };
    for _ in 0..2 {
        assert_eq!(invite_all(&mut as_ann, rehearsal.clone()).await.expect("it would be done"), 4);
    }
    // the first of these is pending, and counts for nothing
    let request_id = "7b1a6f0e-5a53-4be4-8a4c-5a7f4b2f8a11".to_owned();
    let request = proto::BatchInviteUsersRequest { request_id, ..batch(0, 5) };
    for _ in 0..2 {
        assert_eq!(invite_all(&mut as_ann, request.clone()).await.expect("done once, and answered again"), 4);
    }
    let refused = as_ann.invite("six@acme.test", Privilege::Normal, &[]).await.expect_err("refused");
    exhausted(&refused, "invitations_per_grantor", &subject, "0");
}

#[tokio::test]
async fn people_and_services_share_what_an_account_may_invite_in_a_day() {
    let (site, ann) = site("limits.invitations_per_account = 3\nlimits.invitations_per_grantor = 2").await;
    let tool = site.service("tool", &["users.write"], ACME).await;
    let mut as_tool = site.bearer(&tool).await;
    for email in ["one@acme.test", "two@acme.test"] {
        as_tool.invite(email, Privilege::Normal, &[]).await.expect("invited");
    }
    let refused = as_tool.invite("three@acme.test", Privilege::Normal, &[]).await.expect_err("refused");
    assert!(reached(&refused).subject.starts_with("service:svc_"), "{refused:?}");
    let mut as_ann = site.bearer(&ann.token).await;
    as_ann.invite("three@acme.test", Privilege::Normal, &[]).await.expect("invited");
    let refused = as_ann.invite("four@acme.test", Privilege::Normal, &[]).await.expect_err("refused");
    exhausted(&refused, "invitations_per_account", "account:acme", "0");
    site.account("other").await;
    site.join("other", &ann, Privilege::Admin, &[]).await;
    let request = proto::InviteUserRequest {
        account: "other".to_owned(),
        email: "four@acme.test".to_owned(),
        privilege: Privilege::Normal.into(),
        ..Default::default()
    };
    as_ann.users.invite_user(request).await.expect("another account has its own");
}

#[tokio::test]
async fn an_admin_invites_a_thousand_by_one_batch_unless_told_otherwise() {
    let (site, ann) = site("").await;
    let mut as_ann = site.bearer(&ann.token).await;
    assert_eq!(invite_all(&mut as_ann, batch(0, 1000)).await.expect("invited"), 1000);
}
