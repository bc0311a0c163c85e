//! Passwords: what is taken as one, how they change, and what ends with the old one.

use std::time::Duration;

use user_management::proto::{self, EventKind};

use super::OTHER;
use crate::client::{reason, violations};
use crate::site::{PASSWORD, Site};

#[tokio::test]
async fn a_reset_link_sets_the_password_once_and_ends_every_session_and_every_other_link() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let mut nobody = site.nobody().await;
    nobody.request_reset("Ann@acme.test").await;
    let token = site.mailed_token("ann@acme.test").await;
    let request = proto::SendPasswordResetRequest { user: ann.id.clone(), return_link: true, ..Default::default() };
    let other = site.operator().await.users.send_password_reset(request).await.expect("the operator may").into_inner();
    let other = other.link.expect("a link").token;

    assert_eq!(nobody.reset(&token, OTHER).await.expect("set").id, ann.id);
    assert!(!site.counts(&ann).await, "a session of before");
    assert_eq!(site.try_sign_in(&ann.email, PASSWORD).await.err(), Some("SIGN_IN_FAILED".to_owned()));
    site.try_sign_in(&ann.email, OTHER).await.expect("by the new one");
    for token in [&token, &other] {
        let refused = nobody.reset(token, "another good password").await.expect_err("used up or ended");
        assert_eq!(reason(&refused), "LINK_EXPIRED");
    }
    site.mails_settled().await;
    let told = site.mails_to(&ann.email).pop().expect("mails");
    assert!(told.contains("Your Circonus password was changed"), "{told}");
}

#[tokio::test]
async fn who_asks_for_a_reset_twice_gets_the_same_link_twice_and_a_stranger_gets_nothing() {
    let site = Site::start().await;
    site.confirmed("ann@acme.test").await;
    let mut nobody = site.nobody().await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        nobody.request_reset("ann@acme.test").await;
        tokens.push(site.mailed_token("ann@acme.test").await);
    }
    assert_eq!(tokens[0], tokens[1]);
    nobody.request_reset("eve@evil.test").await;
    site.mails_settled().await;
    assert_eq!(site.mails_to("eve@evil.test").len(), 0);
}

#[tokio::test]
async fn a_reset_link_ends_after_its_hour_and_a_mail_that_comes_too_late_is_not_sent() {
    let site = Site::start().await;
    site.confirmed("ann@acme.test").await;
    let mut nobody = site.nobody().await;
    nobody.request_reset("ann@acme.test").await;
    let token = site.mailed_token("ann@acme.test").await;
    site.clock.advance(Duration::from_hours(1));
    assert_eq!(reason(&nobody.reset(&token, OTHER).await.expect_err("too late")), "LINK_EXPIRED");
    let (there, away, before) = (site.mail_dir(), site.data_dir().join("away"), site.mails_to("ann@acme.test").len());
    std::fs::rename(&there, &away).expect("moved away");
    nobody.request_reset("ann@acme.test").await;
    site.mails_settled().await;
    std::fs::rename(&away, &there).expect("moved back");
    site.clock.advance(Duration::from_hours(7));
    while site.app().deliver_next().await.expect("the queue is worked on") {}
    site.mails_settled().await;
    assert_eq!(site.mails_to("ann@acme.test").len(), before);
}

#[tokio::test]
async fn changing_the_password_takes_the_present_one_and_ends_every_other_session_and_open_resets() {
    let site = Site::start().await;
    let here = site.person("ann@acme.test").await;
    let there = site.sign_in("ann@acme.test").await;
    site.nobody().await.request_reset("ann@acme.test").await;
    let token = site.mailed_token("ann@acme.test").await;
    let mut as_ann = site.bearer(&here.token).await;
    let refused = as_ann.change_password("not the present one", OTHER).await.expect_err("refused");
    assert_eq!(reason(&refused), "PASSWORD_WRONG");
    as_ann.change_password(PASSWORD, OTHER).await.expect("changed");
    assert!(site.counts(&here).await && !site.counts(&there).await);
    assert_eq!(reason(&site.nobody().await.reset(&token, PASSWORD).await.expect_err("ended")), "LINK_EXPIRED");
    site.try_sign_in("ann@acme.test", OTHER).await.expect("by the new one");
    let last =
        site.operator().await.events_after(0).await.into_iter().rfind(|event| event.kind() == EventKind::UserPasswordChanged);
    let event = last.expect("recorded");
    assert_eq!((event.subject.as_str(), event.kept_session.as_str()), (here.id.as_str(), event.session.as_str()));
    site.mails_settled().await;
    assert!(site.mails_to("ann@acme.test").pop().expect("mails").contains("Your Circonus password was changed"));
}

#[tokio::test]
async fn a_reset_that_was_asked_for_before_the_password_changed_or_the_login_was_taken_away_brings_no_link_after_it() {
    let site = Site::start().await;
    let (ann, bob) = (site.person("ann@acme.test").await, site.person("bob@acme.test").await);
    let (mut nobody, mut operator) = (site.nobody().await, site.operator().await);
    site.mails_settled().await;
    let away = site.data_dir().join("away");
    std::fs::rename(site.mail_dir(), &away).expect("moved away");
    for person in [&ann, &bob] {
        nobody.request_reset(&person.email).await;
    }
    // each has a link now, whose mail waits
    site.mails_settled().await;
    site.bearer(&ann.token).await.change_password(PASSWORD, OTHER).await.expect("changed");
    let user = bob.id.clone();
    operator.users.deactivate_user(proto::DeactivateUserRequest { user, ..Default::default() }).await.expect("taken away");
    let user = bob.id.clone();
    operator.users.reactivate_user(proto::ReactivateUserRequest { user, ..Default::default() }).await.expect("given back");
    std::fs::rename(&away, site.mail_dir()).expect("moved back");
    site.clock.advance(Duration::from_mins(30));
    while site.app().deliver_next().await.expect("the queue is worked on") {}
    site.mails_settled().await;
    for person in [&ann, &bob] {
        let mails = site.mails_to(&person.email);
        assert!(!mails.iter().any(|mail| mail.contains("/reset-password#")), "{}", person.email);
    }
    nobody.request_reset(&ann.email).await;
    assert_eq!(nobody.reset(&site.mailed_token(&ann.email).await, PASSWORD).await.expect("asked for since").id, ann.id);
}

#[tokio::test]
async fn what_is_guessed_early_or_made_of_ones_own_name_is_no_password_wherever_one_is_chosen() {
    let site = Site::start().await;
    let ann = site.person("ann.smith@acme.test").await;
    site.nobody().await.request_reset(&ann.email).await;
    let token = site.mailed_token(&ann.email).await;
    let (mut nobody, mut as_ann) = (site.nobody().await, site.bearer(&ann.token).await);
    for weak in ["short", "password123", "Ann.Smith-1", "circonus inside"] {
        let request =
            proto::SignUpRequest { email: ann.email.clone(), password: weak.to_owned(), display_name: "Ann Smith".to_owned() };
        let refused = nobody.identity.sign_up(request).await.expect_err("refused");
        assert_eq!(violations(&refused), ["password"], "{weak}");
        assert_eq!(violations(&nobody.reset(&token, weak).await.expect_err("refused")), ["password"], "{weak}");
        assert_eq!(violations(&as_ann.change_password(PASSWORD, weak).await.expect_err("refused")), ["new_password"], "{weak}");
    }
    nobody.reset(&token, OTHER).await.expect("what was refused didn't use the link up");
}

#[tokio::test]
async fn a_site_may_ask_for_longer_passwords() {
    let site = Site::with("signup = \"open\"\npassword.minimum_length = 15").await;
    let request = |password: &str| proto::SignUpRequest {
        email: "ann@acme.test".to_owned(),
        password: password.to_owned(),
        display_name: "Ann".to_owned(),
    };
    let mut nobody = site.nobody().await;
    let refused = nobody.identity.sign_up(request("blue moon hum")).await.expect_err("13 characters");
    assert!(refused.message().contains("at least 15 characters"), "{refused:?}");
    nobody.identity.sign_up(request("blue moon humming")).await.expect("17 characters");
}

#[tokio::test]
async fn a_link_that_two_use_at_once_sets_one_password() {
    let site = Site::start().await;
    site.confirmed("ann@acme.test").await;
    for _ in 0..20 {
        let request =
            proto::SendPasswordResetRequest { user: "ann@acme.test".to_owned(), return_link: true, ..Default::default() };
        let made = site.operator().await.users.send_password_reset(request).await.expect("the operator may").into_inner();
        let token = made.link.expect("a link").token;
        let (mut one, mut other) = (site.nobody().await, site.nobody().await);
        let (first, second) = tokio::join!(one.reset(&token, PASSWORD), other.reset(&token, OTHER));
        let (won, lost, refused) = match (first, second) {
            (Ok(_), Err(refused)) => (PASSWORD, OTHER, refused),
            (Err(refused), Ok(_)) => (OTHER, PASSWORD, refused),
            (first, second) => panic!("one of the two: {first:?} {second:?}"),
        };
        assert_eq!(reason(&refused), "LINK_EXPIRED");
        assert!(site.try_sign_in("ann@acme.test", won).await.is_ok());
        assert!(site.try_sign_in("ann@acme.test", lost).await.is_err());
    }
}

#[tokio::test]
async fn a_sign_in_whose_password_is_changed_while_it_is_compared_opens_nothing() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    let (mut from, mut to) = (PASSWORD, OTHER);
    for _ in 0..20 {
        let (late, changed) = tokio::join!(site.try_sign_in(&ann.email, from), as_ann.change_password(from, to));
        changed.expect("changed");
        if let Ok(late) = late {
            assert!(!site.counts(&late).await, "a session that was made by the old password");
        }
        (from, to) = (to, from);
    }
}
