//! Signing up and asking for mails without being signed in.

use std::time::Duration;

use tonic::Status;
use user_management::proto;

use super::{Reached, reached};
use crate::client::{Client, reason};
use crate::site::{PASSWORD, Site};

const ANN: &str = "ann@acme.test";
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

async fn site(limits: &str) -> Site {
    Site::with(&format!("signup = 'open'\n{limits}")).await
}

fn requests(limit: &str, subject: &str, retry: Duration) -> Reached {
    let (reason, limit, subject) = ("REQUESTS_EXHAUSTED".to_owned(), limit.to_owned(), subject.to_owned());
    Reached { reason, limit, subject, retry }
}

impl Client {
    async fn sign_up(&mut self, email: &str, password: &str) -> Result<proto::SignUpResponse, Status> {
        let request =
            proto::SignUpRequest { email: email.to_owned(), password: password.to_owned(), display_name: "Somebody".to_owned() };
        self.identity.sign_up(request).await.map(tonic::Response::into_inner)
    }
}

#[tokio::test]
async fn what_a_peer_has_mailed_is_limited_over_a_restart_and_given_back_after_an_hour() {
    let mut site = site("limits.mails_per_peer = 3").await;
    let mut stranger = site.stranger(2).await;
    let reset = proto::RequestPasswordResetRequest { email: ANN.to_owned() };
    let again = proto::ResendConfirmationRequest { email: ANN.to_owned() };
    stranger.sign_up("bob@acme.test", PASSWORD).await.expect("anybody may sign up");
    stranger.identity.request_password_reset(reset.clone()).await.expect("answered");
    stranger.identity.resend_confirmation(again.clone()).await.expect("answered");
    site.clock.advance(Duration::from_mins(10));
    for restarted in [false, true] {
        if restarted {
            site.restart(None).await;
        }
        let mut stranger = site.stranger(2).await;
        let mut refused = Vec::new();
        for email in [ANN, "none@acme.test"] {
            refused.push(stranger.sign_up(email, PASSWORD).await.expect_err("refused"));
        }
        refused.push(stranger.identity.request_password_reset(reset.clone()).await.expect_err("refused"));
        refused.push(stranger.identity.resend_confirmation(again.clone()).await.expect_err("refused"));
        for refused in refused {
            assert_eq!(reached(&refused), requests("mails_per_peer", "peer", Duration::from_mins(50)));
        }
        site.stranger(3).await.identity.request_password_reset(reset.clone()).await.expect("another peer has its own");
        site.operator().await.identity.request_password_reset(reset.clone()).await.expect("nothing limits the operator");
    }
    site.clock.advance(Duration::from_mins(50));
    site.stranger(2).await.sign_up(ANN, PASSWORD).await.expect("anybody may sign up");
}

#[tokio::test]
async fn a_peer_has_so_many_sign_ups_kept_and_learns_nothing_from_what_became_of_them() {
    let site = site("limits.sign_ups_per_peer = 2").await;
    let mut nobody = site.nobody().await;
    nobody.sign_up(ANN, PASSWORD).await.expect("anybody may sign up");
    site.clock.advance(HOUR);
    nobody.sign_up("bob@acme.test", PASSWORD).await.expect("anybody may sign up");
    let refused = nobody.sign_up("cy@acme.test", PASSWORD).await.expect_err("refused");
    assert_eq!(reached(&refused), requests("sign_ups_per_peer", "peer", 23 * HOUR));
    let token = site.mailed_token(ANN).await;
    nobody.confirm(&token, PASSWORD).await.expect("confirmed");
    let refused = nobody.sign_up("cy@acme.test", PASSWORD).await.expect_err("refused");
    assert_eq!(reached(&refused), requests("sign_ups_per_peer", "peer", 23 * HOUR), "as if it weren't");
    site.clock.advance(23 * HOUR);
    nobody.sign_up("cy@acme.test", PASSWORD).await.expect("there is room");
}

#[tokio::test]
async fn sign_ups_are_kept_up_to_a_total_and_nobodys_is_ended_for_anothers() {
    let mut site = site("limits.sign_ups = 3").await;
    let emails = ["a@acme.test", "b@acme.test", "c@acme.test"];
    for (last, email) in (2..).zip(emails) {
        site.stranger(last).await.sign_up(email, PASSWORD).await.expect("anybody may sign up");
    }
    site.restart(None).await;
    let refused = site.stranger(9).await.sign_up(ANN, PASSWORD).await.expect_err("refused");
    assert_eq!(reached(&refused), requests("sign_ups", "site", DAY));
    site.operator().await.sign_up(ANN, PASSWORD).await.expect("nothing limits the operator");
    let token = site.mailed_token(emails[0]).await;
    site.nobody().await.confirm(&token, PASSWORD).await.expect("it waits still");
    site.clock.advance(DAY);
    site.stranger(9).await.sign_up(ANN, PASSWORD).await.expect("there is room");
}

#[tokio::test]
async fn strangers_can_not_take_all_places_of_an_address_or_end_the_owners_sign_up() {
    let site = site("limits.sign_ups_per_address = 3").await;
    let mut stranger = site.stranger(2).await;
    let mut tokens = Vec::new();
    for password in ["stranger's first", "stranger's second", "stranger's third"] {
        stranger.sign_up(ANN, password).await.expect("anybody may sign up");
        tokens.push(site.mailed_token(ANN).await);
        site.clock.advance(Duration::from_secs(1));
    }
    let answer = site.nobody().await.sign_up(ANN, PASSWORD).await.expect("the owner gets a place");
    let own = site.mailed_token(ANN).await;
    site.clock.advance(Duration::from_secs(1));
    let placeless = stranger.sign_up(ANN, "stranger's fourth").await.expect("the same answer");
    assert_ne!(placeless.expire_time, None);
    assert_ne!(placeless.expire_time, answer.expire_time, "a day from now, as if it had one");
    site.mails_settled().await;
    let again = site.mails_to(ANN).pop().expect("a mail").replace("=\r\n", "");
    assert!(again.contains(&own) && again.contains(&tokens[0]) && !again.contains(&tokens[2]), "{again}");
    let refused = stranger.confirm(&tokens[2], "stranger's third").await.expect_err("refused");
    assert_eq!(reason(&refused), "LINK_EXPIRED", "the newest of the peer that had most made way");
    site.nobody().await.confirm(&own, PASSWORD).await.expect("confirmed");
}

#[tokio::test]
async fn a_person_has_so_many_links_mailed_to_new_addresses_in_a_day() {
    let mut site = site("limits.address_changes_per_user = 2").await;
    let ann = site.person(ANN).await;
    let mut as_ann = site.bearer(&ann.token).await;
    for email in ["one@evil.test", "two@evil.test"] {
        as_ann.change_email(email, PASSWORD).await.expect("mailed");
    }
    site.restart(None).await;
    let refused = site.bearer(&ann.token).await.change_email("three@evil.test", PASSWORD).await.expect_err("refused");
    assert_eq!(reached(&refused), requests("address_changes_per_user", "user", DAY));
    site.clock.advance(DAY);
    let ann = site.sign_in(ANN).await;
    site.bearer(&ann.token).await.change_email("three@evil.test", PASSWORD).await.expect("mailed");
}

#[tokio::test]
async fn a_person_makes_so_many_personal_tokens_in_a_day_and_a_rehearsal_uses_none_up() {
    let mut site = site("limits.api_tokens_per_user = 2").await;
    site.account("acme").await;
    let ann = site.member("acme", ANN, proto::Privilege::Admin, &[]).await;
    let request = |name: &str, validate_only| proto::CreateApiTokenRequest {
        account: "acme".to_owned(),
        name: name.to_owned(),
        validate_only,
        ..Default::default()
    };
    let mut as_ann = site.bearer(&ann.token).await;
    for name in ["one", "two"] {
        as_ann.identity.create_api_token(request(name, true)).await.expect("rehearsed");
        as_ann.identity.create_api_token(request(name, false)).await.expect("made");
    }
    site.restart(None).await;
    for validate_only in [true, false] {
        let mut as_ann = site.bearer(&ann.token).await;
        let refused = as_ann.identity.create_api_token(request("three", validate_only)).await.expect_err("refused");
        assert_eq!(reached(&refused), requests("api_tokens_per_user", "user", DAY));
    }
    site.clock.advance(DAY);
    let ann = site.sign_in(ANN).await;
    site.bearer(&ann.token).await.identity.create_api_token(request("three", false)).await.expect("made");
}
