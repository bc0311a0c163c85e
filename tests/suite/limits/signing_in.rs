//! Typing passwords: strangers are slowed down, and nobody is locked out by them.

use std::time::Duration;

use user_management::app::caller::{Caller, Credentials};
use user_management::domain::email::Email;
use user_management::domain::error::Error;
use user_management::domain::event::Door;
use user_management::domain::id::TraceId;
use user_management::domain::password::Password;
use user_management::domain::peer::Peer;
use user_management::proto;

use super::{Reached, reached};
use crate::client::{Client, Identified, reason};
use crate::site::{PASSWORD, Site};

const ANN: &str = "ann@acme.test";

async fn site(limits: &str) -> Site {
    Site::with(&format!("signup = 'open'\n{limits}")).await
}

fn tries(limit: &str, subject: &str, minutes: u64) -> Reached {
    Reached {
        reason: "TRIES_EXHAUSTED".to_owned(),
        limit: limit.to_owned(),
        subject: subject.to_owned(),
        retry: Duration::from_mins(minutes),
    }
}

#[tokio::test]
async fn strangers_who_guess_at_an_address_are_slowed_down_and_looked_at_again_with_time() {
    let site = site("limits.sign_in_failures_per_address = 3").await;
    site.confirmed(ANN).await;
    site.stranger(2).await.guess(ANN, 2).await;
    let mut other = site.stranger(3).await;
    other.guess(ANN, 1).await;
    for password in ["not the password", PASSWORD] {
        let refused = other.try_password(ANN, password).await.expect_err("refused");
        assert_eq!(reached(&refused), tries("sign_in_failures_per_address", "address", 20), "the password isn't looked at");
    }
    other.guess("bob@acme.test", 1).await;
    site.clock.advance(Duration::from_mins(20));
    other.try_password(ANN, PASSWORD).await.expect("signed in");
    other.try_password(ANN, PASSWORD).await.expect("right passwords aren't counted, and the peer is known now");
}

#[tokio::test]
async fn an_address_without_a_login_is_limited_and_answered_like_one_with() {
    let site = site("limits.sign_in_failures_per_address = 3").await;
    site.confirmed(ANN).await;
    let mut stranger = site.stranger(2).await;
    for (email, spelled) in [(ANN, "ANN@acme.test"), ("none@acme.test", "None@Acme.test")] {
        stranger.guess(email, 3).await;
        let refused = stranger.try_password(spelled, "not the password").await.expect_err("refused");
        assert_eq!(reached(&refused), tries("sign_in_failures_per_address", "address", 20));
        assert_eq!(refused.message(), "too many wrong passwords were tried for this address; try again in 20 minutes");
    }
}

#[tokio::test]
async fn a_person_gets_in_where_they_are_known_however_much_strangers_guess() {
    let site = site("limits.sign_in_failures_per_address = 3\nlimits.known_device_days = 10").await;
    let ann = site.person(ANN).await;
    let mut stranger = site.stranger(2).await;
    stranger.guess(ANN, 3).await;
    assert_eq!(reason(&stranger.try_password(ANN, PASSWORD).await.expect_err("refused")), "TRIES_EXHAUSTED");
    site.sign_in(ANN).await;
    let mut by_session = Client::new(site.channel_from(3).await, Identified::by(&ann.token));
    by_session.try_password(ANN, PASSWORD).await.expect("a session of theirs says who it is");
    // their own wrong passwords count for themselves, where they made them
    let mut at_home = site.nobody().await;
    for _ in 0..20 {
        let refused = at_home.try_password(ANN, "not the password").await.expect_err("refused");
        assert_eq!(reached(&refused), tries("sign_in_failures_per_address", "address", 20), "what strangers hear");
    }
    assert_eq!(reason(&at_home.try_password(ANN, PASSWORD).await.expect_err("refused")), "TRIES_EXHAUSTED");
    by_session.try_password(ANN, PASSWORD).await.expect("and nowhere else");
    site.clock.advance(Duration::from_hours(10 * 24));
    stranger.guess(ANN, 3).await;
    let refused = site.nobody().await.try_password(ANN, PASSWORD).await.expect_err("refused");
    assert_eq!(reason(&refused), "TRIES_EXHAUSTED", "they weren't there for long");
}

#[tokio::test]
async fn a_person_whose_address_is_under_attack_gets_in_anywhere_by_a_link_from_a_mail() {
    let site = site("limits.sign_in_failures_per_address = 3").await;
    site.confirmed(ANN).await;
    site.stranger(2).await.guess(ANN, 3).await;
    let mut abroad = site.stranger(9).await;
    assert_eq!(reason(&abroad.try_password(ANN, PASSWORD).await.expect_err("refused")), "TRIES_EXHAUSTED");
    let request = proto::RequestPasswordResetRequest { email: ANN.to_owned() };
    abroad.identity.request_password_reset(request).await.expect("answered");
    let token = site.mailed_token(ANN).await;
    let request = proto::ResetPasswordRequest { token, password: "hammer and tongs".to_owned() };
    abroad.identity.reset_password(request).await.expect("the password is set");
    abroad.try_password(ANN, "hammer and tongs").await.expect("signed in");
}

#[tokio::test]
async fn a_peer_pays_for_wrong_passwords_alone_and_people_who_are_known_there_get_in() {
    let site = site("limits.sign_in_failures_per_peer = 3").await;
    for email in [ANN, "bob@acme.test"] {
        site.confirmed(email).await;
    }
    let mut office = site.stranger(2).await;
    for _ in 0..5 {
        office.try_password(ANN, PASSWORD).await.expect("signed in");
    }
    for guessed in ["one@acme.test", "two@acme.test", "no address"] {
        office.guess(guessed, 1).await;
    }
    let refused = office.try_password("bob@acme.test", PASSWORD).await.expect_err("refused");
    assert_eq!(reached(&refused), tries("sign_in_failures_per_peer", "peer", 20));
    office.try_password(ANN, PASSWORD).await.expect("she was there before");
    site.stranger(3).await.try_password("bob@acme.test", PASSWORD).await.expect("another peer has its own");
    site.operator().await.guess("bob@acme.test", 5).await;
    site.clock.advance(Duration::from_mins(20));
    office.try_password("bob@acme.test", PASSWORD).await.expect("signed in");
}

#[tokio::test]
async fn where_the_peers_and_the_addresss_tries_are_used_up_a_retry_waits_for_both() {
    let site = site("limits.sign_in_failures_per_peer = 2\nlimits.sign_in_failures_per_address = 1").await;
    let mut stranger = site.stranger(2).await;
    stranger.guess(ANN, 1).await;
    stranger.guess("bob@acme.test", 1).await;
    let refused = stranger.try_password(ANN, "not the password").await.expect_err("refused");
    assert_eq!(reached(&refused), tries("sign_in_failures_per_address", "address", 60), "the peer's comes back in half of that");
    let refused = stranger.try_password("cy@acme.test", "not the password").await.expect_err("refused");
    assert_eq!(reached(&refused), tries("sign_in_failures_per_peer", "peer", 30));
}

#[tokio::test]
async fn whoever_shares_a_peer_can_not_tell_who_is_known_there_and_tries_at_those_count_too() {
    let site = site("limits.sign_in_failures_per_peer = 3").await;
    let known = [ANN, "bob@acme.test", "cy@acme.test", "di@acme.test"];
    for email in known {
        site.confirmed(email).await;
    }
    let mut office = site.nobody().await;
    for email in &known[1..] {
        office.guess(email, 1).await;
    }
    let sharing = office.clone();
    let refusal =
        async |email: &str, password: &str| reached(&sharing.clone().try_password(email, password).await.expect_err("refused"));
    let used_up = tries("sign_in_failures_per_peer", "peer", 20);
    for email in [ANN, "none@acme.test", "no address"] {
        assert_eq!(refusal(email, "not the password").await, used_up, "{email}");
    }
    office.try_password(ANN, PASSWORD).await.expect("the right password of who is known there");
    // whoever shares the peer can use up what is kept for those: three times as much again
    for email in ["1@acme.test", "2@acme.test", "3@acme.test", "4@acme.test", "5@acme.test", "6@acme.test"] {
        assert_eq!(refusal(email, "not the password").await, used_up);
    }
    assert_eq!(refusal(ANN, PASSWORD).await, used_up, "attempts are capped in total");
    site.stranger(2).await.try_password(ANN, PASSWORD).await.expect("elsewhere she gets in");
    site.clock.advance(Duration::from_mins(7));
    office.try_password(ANN, PASSWORD).await.expect("and here when one has come back");
}

#[tokio::test]
async fn a_stolen_session_is_no_way_to_guess_the_password() {
    let site = site("limits.sign_in_failures_per_device = 3\nlimits.link_uses_per_peer = 3").await;
    let (ann, bob) = (site.person(ANN).await, site.person("bob@acme.test").await);
    let mut thief = site.bearer(&ann.token).await;
    let change = |password: &str| proto::ChangePasswordRequest {
        password: password.to_owned(),
        new_password: "hammer and tongs".to_owned(),
    };
    for _ in 0..3 {
        let refused = thief.identity.change_password(change("a guess")).await.expect_err("refused");
        assert_eq!(reason(&refused), "PASSWORD_WRONG");
    }
    let refused = thief.identity.change_password(change(PASSWORD)).await.expect_err("refused");
    assert_eq!(reached(&refused), tries("sign_in_failures_per_device", "user", 20));
    assert_eq!(refused.message(), "too many wrong passwords were typed in your sessions; try again in 20 minutes");
    let refused = thief.change_email("eve@evil.test", PASSWORD).await.expect_err("refused");
    assert_eq!(reason(&refused), "TRIES_EXHAUSTED");
    site.sign_in(ANN).await;
    // nor of keeping others at the peer from changing theirs
    site.bearer(&bob.token).await.identity.change_password(change(PASSWORD)).await.expect("changed");
}

#[tokio::test]
async fn a_peer_pays_for_the_links_that_it_uses_and_not_for_those_it_makes_up() {
    let site = site("limits.link_uses_per_peer = 2").await;
    let mut nobody = site.nobody().await;
    for email in [ANN, "bob@acme.test", "cy@acme.test"] {
        let request =
            proto::SignUpRequest { email: email.to_owned(), password: PASSWORD.to_owned(), display_name: "Somebody".to_owned() };
        nobody.identity.sign_up(request).await.expect("anybody may sign up");
    }
    let confirm = |token: &str| proto::ConfirmEmailRequest { token: token.to_owned(), password: PASSWORD.to_owned() };
    for _ in 0..5 {
        let refused = nobody.identity.confirm_email(confirm("AgAAAAEBkyJ3vgB7")).await.expect_err("refused");
        assert_eq!(reason(&refused), "LINK_INVALID");
    }
    for email in [ANN, "bob@acme.test"] {
        nobody.identity.confirm_email(confirm(&site.mailed_token(email).await)).await.expect("confirmed");
    }
    let token = site.mailed_token("cy@acme.test").await;
    let refused = nobody.identity.confirm_email(confirm(&token)).await.expect_err("refused");
    assert_eq!(reached(&refused), tries("link_uses_per_peer", "peer", 30));
    site.clock.advance(Duration::from_mins(30));
    nobody.identity.confirm_email(confirm(&token)).await.expect("confirmed");
}

#[tokio::test]
async fn all_addresses_of_an_ipv6_network_are_one_peer() {
    let site = site("limits.sign_in_failures_per_peer = 3").await;
    // there is but one such address on a loopback interface, so this looks beneath the wire
    let at = |address: &str| -> Caller {
        let credentials = Credentials {
            authorization: Vec::new(),
            certificate_names: Vec::new(),
            operators_socket_uid: None,
            forwarded: false,
            act_as: Vec::new(),
            client: Some(address.to_owned()),
            peer: Peer::of_address(address.parse().expect("an address")),
            door: Door::Tcp,
            trace: TraceId::from_bytes([0; 16]),
        };
        site.app().caller(&credentials).expect("nobody")
    };
    let guess = async |address: &str, email: &str| {
        let email = Email::parse(email).expect("an address");
        site.app().sign_in(&at(address), Some(email), Password::typed("a guess")).await.err().expect("refused")
    };
    for (address, email) in
        [("2001:db8::1", "a@acme.test"), ("2001:db8::2", "b@acme.test"), ("2001:db8::ffff:0:0:1", "c@acme.test")]
    {
        assert!(matches!(guess(address, email).await, Error::SignInFailed), "{address}");
    }
    assert!(matches!(guess("2001:db8::4", "d@acme.test").await, Error::LimitReached(_)));
    assert!(matches!(guess("2001:db8:0:1::4", "d@acme.test").await, Error::SignInFailed), "another network");
}
