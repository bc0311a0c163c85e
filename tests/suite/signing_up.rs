//! Signing up: attempts, their links, and who may.

use std::time::Duration;

use user_management::proto;

use crate::acme::ACME;
use crate::client::{metadata, reason, violations};
use crate::mailbox::token_of;
use crate::site::{PASSWORD, Site};

const EMAIL: &str = "ann@acme.test";

async fn sign_up(site: &Site, password: &str, name: &str) {
    site.mails_settled().await;
    let (email, password, display_name) = (EMAIL.to_owned(), password.to_owned(), name.to_owned());
    let request = proto::SignUpRequest { email, password, display_name };
    site.nobody().await.identity.sign_up(request).await.expect("anybody may sign up");
}

/// Signs up and answers the token of the mail.
async fn attempt(site: &Site, password: &str, name: &str) -> String {
    sign_up(site, password, name).await;
    site.mailed_token(EMAIL).await
}

async fn confirm(site: &Site, token: &str, password: &str) -> Result<proto::User, tonic::Status> {
    let request = proto::ConfirmEmailRequest { token: token.to_owned(), password: password.to_owned() };
    let answer = site.nobody().await.identity.confirm_email(request).await;
    answer.map(|answer| answer.into_inner().user.expect("a user"))
}

async fn sign_in(site: &Site, password: &str) -> Result<(), tonic::Status> {
    let request = proto::SignInRequest { email: EMAIL.to_owned(), password: password.to_owned() };
    site.nobody().await.identity.sign_in(request).await.map(|_| ())
}

#[tokio::test]
async fn attempts_live_side_by_side_and_each_takes_the_password_of_its_own() {
    let site = Site::start().await;
    let stranger = attempt(&site, "the stranger's password", "Not Ann").await;
    let own = attempt(&site, PASSWORD, "Ann").await;
    assert_ne!(stranger, own);
    let refused = confirm(&site, &stranger, PASSWORD).await.expect_err("refused");
    assert_eq!((reason(&refused).as_str(), metadata(&refused, "attempts_left").as_str()), ("PASSWORD_MISMATCH", "4"));
    let user = confirm(&site, &own, PASSWORD).await.expect("confirmed");
    assert_eq!((user.email.as_str(), user.display_name.as_str(), user.active), (EMAIL, "Ann", true));
    let refused = confirm(&site, &stranger, "the stranger's password").await.expect_err("refused");
    assert_eq!(reason(&refused), "LINK_EXPIRED", "the address's other attempts ended");
    sign_in(&site, PASSWORD).await.expect("the confirmed attempt's password");
    assert_eq!(reason(&sign_in(&site, "the stranger's password").await.expect_err("refused")), "SIGN_IN_FAILED");
}

#[tokio::test]
async fn confirming_twice_answers_the_same_user_and_makes_one() {
    let site = Site::start().await;
    let token = attempt(&site, PASSWORD, "Ann").await;
    let first = confirm(&site, &token, PASSWORD).await.expect("confirmed");
    let last = site.operator().await.last_event().await;
    assert_eq!(confirm(&site, &token, PASSWORD).await.expect("again"), first);
    let refused = confirm(&site, &token, "something else").await.expect_err("refused");
    assert_eq!(reason(&refused), "LINK_EXPIRED", "a spent link is nothing to try passwords at");
    assert_eq!(site.operator().await.last_event().await, last);
}

#[tokio::test]
async fn nobody_can_sign_in_before_the_address_is_confirmed() {
    let site = Site::start().await;
    let token = attempt(&site, PASSWORD, "Ann").await;
    assert_eq!(reason(&sign_in(&site, PASSWORD).await.expect_err("refused")), "SIGN_IN_FAILED");
    confirm(&site, &token, PASSWORD).await.expect("confirmed");
    sign_in(&site, PASSWORD).await.expect("signed in");
}

#[tokio::test]
async fn five_wrong_passwords_end_the_link_and_no_person() {
    let site = Site::start().await;
    let tried = attempt(&site, PASSWORD, "Ann").await;
    for left in ["4", "3", "2", "1"] {
        let refused = confirm(&site, &tried, "something else").await.expect_err("refused");
        assert_eq!((reason(&refused).as_str(), metadata(&refused, "attempts_left").as_str()), ("PASSWORD_MISMATCH", left));
    }
    for password in ["something else", PASSWORD] {
        assert_eq!(reason(&confirm(&site, &tried, password).await.expect_err("refused")), "LINK_EXPIRED");
    }
    let token = attempt(&site, PASSWORD, "Ann").await;
    confirm(&site, &token, PASSWORD).await.expect("the address can sign up anew");
    for _ in 0..6 {
        assert_eq!(reason(&sign_in(&site, "something else").await.expect_err("refused")), "SIGN_IN_FAILED");
    }
    sign_in(&site, PASSWORD).await.expect("wrong passwords don't lock a person out");
}

#[tokio::test]
async fn the_right_password_at_the_fifth_try_confirms() {
    let site = Site::start().await;
    let token = attempt(&site, PASSWORD, "Ann").await;
    for _ in 0..4 {
        confirm(&site, &token, "something else").await.expect_err("refused");
    }
    confirm(&site, &token, PASSWORD).await.expect("confirmed");
}

#[tokio::test]
async fn an_attempt_ends_after_a_day() {
    let site = Site::start().await;
    let (early, late) = (attempt(&site, PASSWORD, "Ann").await, attempt(&site, "another password", "Ann").await);
    site.clock.advance(Duration::from_hours(24) - Duration::from_micros(1));
    site.app().purge().await;
    confirm(&site, &early, "something else").await.map_err(|refused| reason(&refused)).expect_err("refused");
    site.clock.advance(Duration::from_micros(1));
    for (token, password) in [(&early, PASSWORD), (&late, "another password")] {
        assert_eq!(reason(&confirm(&site, token, password).await.expect_err("refused")), "LINK_EXPIRED");
    }
    site.clock.advance(Duration::from_hours(25));
    site.app().purge().await;
    assert_eq!(reason(&confirm(&site, &early, PASSWORD).await.expect_err("refused")), "LINK_INVALID", "forgotten by then");
}

#[tokio::test]
async fn an_address_with_a_login_gets_a_mail_that_says_so_and_the_same_answer() {
    let site = Site::start().await;
    let token = attempt(&site, PASSWORD, "Ann").await;
    confirm(&site, &token, PASSWORD).await.expect("confirmed");
    sign_up(&site, "a stranger's password", "Come to the dark side").await;
    site.mails_settled().await;
    let mails = site.mails_to(EMAIL);
    assert_eq!(mails.len(), 2);
    assert_eq!(token_of(&mails[1]), None, "no link that could confirm anything");
    assert!(mails[1].contains("login"), "{}", mails[1]);
    assert!(!mails[1].contains("dark side"), "no text of a stranger's: {}", mails[1]);
    let request = proto::ResendConfirmationRequest { email: EMAIL.to_owned() };
    site.nobody().await.identity.resend_confirmation(request).await.expect("the same answer");
    site.mails_settled().await;
    let mails = site.mails_to(EMAIL);
    assert_eq!((mails.len(), token_of(&mails[2])), (3, None));
    sign_in(&site, PASSWORD).await.expect("the login is as it was");
}

#[tokio::test]
async fn the_confirmation_mail_again_brings_the_links_of_all_open_attempts() {
    let site = Site::start().await;
    let mut tokens = Vec::new();
    for password in ["the first password", "the second password"] {
        tokens.push(attempt(&site, password, "Ann").await);
        site.clock.advance(Duration::from_mins(1));
    }
    let request = proto::ResendConfirmationRequest { email: "ANN@acme.test".to_owned() };
    site.nobody().await.identity.resend_confirmation(request).await.expect("answered");
    site.mails_settled().await;
    let again = site.mails_to(EMAIL).pop().expect("a mail");
    for token in &tokens {
        assert!(again.replace("=\r\n", "").contains(token.as_str()), "the links stay good: {again}");
    }
    confirm(&site, &tokens[0], "the first password").await.expect("confirmed");
    let request = proto::ResendConfirmationRequest { email: "nobody@acme.test".to_owned() };
    site.nobody().await.identity.resend_confirmation(request).await.expect("the same answer");
    site.mails_settled().await;
    assert!(site.mails_to("nobody@acme.test").is_empty());
}

#[tokio::test]
async fn where_sign_up_takes_an_invitation_it_must_be_open_at_sign_up_and_at_confirmation() {
    let site = Site::with("signup = \"invited\"").await;
    site.account(ACME).await;
    sign_up(&site, PASSWORD, "Ann").await;
    site.mails_settled().await;
    assert!(site.mails_to(EMAIL).is_empty(), "no invitation, no mail");
    let mut operator = site.operator().await;
    let invitation = operator.invite("Ann@acme.test", proto::Privilege::Normal, &[]).await.expect("invited");
    let token = attempt(&site, PASSWORD, "Ann").await;
    operator.withdraw(&invitation.id).await.expect("withdrawn");
    assert_eq!(reason(&confirm(&site, &token, PASSWORD).await.expect_err("refused")), "SIGN_UP_CLOSED");
    operator.invite(EMAIL, proto::Privilege::Normal, &[]).await.expect("invited anew");
    site.clock.advance(Duration::from_hours(23));
    confirm(&site, &token, PASSWORD).await.expect("there is an open one again");
}

#[tokio::test]
async fn an_expired_invitation_opens_no_sign_up() {
    let site = Site::with("signup = \"invited\"").await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    operator.invite(EMAIL, proto::Privilege::Normal, &[]).await.expect("invited");
    site.mails_settled().await;
    site.clock.advance(Duration::from_hours(7 * 24) - Duration::from_hours(1));
    let token = attempt(&site, PASSWORD, "Ann").await;
    site.clock.advance(Duration::from_hours(1));
    assert_eq!(reason(&confirm(&site, &token, PASSWORD).await.expect_err("refused")), "SIGN_UP_CLOSED");
    let mails = site.mails_to(EMAIL).len();
    sign_up(&site, PASSWORD, "Ann").await;
    site.mails_settled().await;
    assert_eq!(site.mails_to(EMAIL).len(), mails);
}

#[tokio::test]
async fn where_sign_up_is_closed_not_even_an_invited_address_gets_in() {
    let mut site = Site::start().await;
    site.account(ACME).await;
    let token = attempt(&site, PASSWORD, "Ann").await;
    site.restart(Some("signup = \"closed\"")).await;
    site.operator().await.invite(EMAIL, proto::Privilege::Normal, &[]).await.expect("invited");
    site.mails_settled().await;
    assert_eq!(reason(&confirm(&site, &token, PASSWORD).await.expect_err("refused")), "SIGN_UP_CLOSED");
    let mails = site.mails_to(EMAIL).len();
    sign_up(&site, PASSWORD, "Ann").await;
    site.mails_settled().await;
    assert_eq!(site.mails_to(EMAIL).len(), mails);
}

#[tokio::test]
async fn an_invitations_link_confirms_no_address() {
    let site = Site::start().await;
    site.account(ACME).await;
    let (_, invited) = site.invited(ACME, EMAIL, proto::Privilege::Normal, &[]).await;
    let token = attempt(&site, PASSWORD, "Ann").await;
    assert_eq!(reason(&confirm(&site, &invited, PASSWORD).await.expect_err("refused")), "LINK_INVALID");
    assert_eq!(reason(&site.nobody().await.preview(&token).await.expect_err("refused")), "LINK_INVALID");
    assert_eq!(violations(&confirm(&site, "", "").await.expect_err("refused")), ["token", "password"]);
}

#[tokio::test]
async fn a_password_that_was_right_is_not_counted_against_the_link() {
    let site = Site::with("edition = \"inside\"\nsignup = \"invited\"").await;
    site.account("acme").await;
    let (invitation, _) = site.invited("acme", EMAIL, proto::Privilege::Normal, &[]).await;
    let token = attempt(&site, PASSWORD, "Ann").await;
    let mut operator = site.operator().await;
    let id = invitation.id;
    let withdraw = proto::WithdrawInvitationRequest { account: "acme".to_owned(), invitation: id, ..Default::default() };
    operator.users.withdraw_invitation(withdraw).await.expect("withdrawn");
    for _ in 0..7 {
        assert_eq!(reason(&confirm(&site, &token, PASSWORD).await.expect_err("refused")), "SIGN_UP_CLOSED");
    }
    site.invited("acme", EMAIL, proto::Privilege::Normal, &[]).await;
    confirm(&site, &token, PASSWORD).await.expect("invited again");
}

#[tokio::test]
async fn who_signed_up_before_being_invited_signs_up_again() {
    let site = Site::with("edition = \"inside\"\nsignup = \"invited\"").await;
    site.account("acme").await;
    sign_up(&site, PASSWORD, "Ann").await;
    site.mails_settled().await;
    site.invited("acme", EMAIL, proto::Privilege::Normal, &[]).await;
    let request = proto::ResendConfirmationRequest { email: EMAIL.to_owned() };
    site.nobody().await.identity.resend_confirmation(request).await.expect("the same answer");
    site.mails_settled().await;
    assert_eq!(site.mails_to(EMAIL).len(), 1, "the invitation alone: the attempt was nobody's who was asked in");
    let token = attempt(&site, PASSWORD, "Ann").await;
    confirm(&site, &token, PASSWORD).await.expect("confirmed");
}

#[tokio::test]
async fn links_go_to_the_address_that_signed_up_and_not_as_somebody_else_spells_it() {
    let site = Site::start().await;
    attempt(&site, PASSWORD, "Ann").await;
    let spelled = "ANN@acme.test";
    let again = async |count: usize| {
        let request = proto::ResendConfirmationRequest { email: spelled.to_owned() };
        site.nobody().await.identity.resend_confirmation(request).await.expect("the same answer");
        site.mails_settled().await;
        let mails = site.mails_to(EMAIL);
        assert_eq!(mails.len(), count);
        assert!(mails.iter().all(|mail| !mail.contains("ANN@")), "{mails:?}");
        mails.last().cloned().expect("a mail")
    };
    let token = token_of(&again(2).await).expect("a link");
    confirm(&site, &token, PASSWORD).await.expect("confirmed");
    // a login's own mail goes to its own spelling too
    assert_eq!(token_of(&again(3).await), None);
}
