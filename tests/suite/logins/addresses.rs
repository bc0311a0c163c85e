//! Changing the address: a link to the new one, the password, and a word to the old one.

use user_management::proto::{Event, EventKind, Privilege};

use crate::acme::ACME;
use crate::client::reason;
use crate::site::{PASSWORD, Site};

#[tokio::test]
async fn the_new_address_counts_once_its_link_and_the_password_say_so_and_the_old_one_is_told() {
    let site = Site::start().await;
    site.account(ACME).await;
    let here = site.member(ACME, "ann@acme.test", Privilege::Normal, &[]).await;
    let there = site.sign_in(&here.email).await;
    site.nobody().await.request_reset(&here.email).await;
    let reset = site.mailed_token(&here.email).await;
    let mut as_ann = site.bearer(&here.token).await;
    assert_eq!(reason(&as_ann.change_email("Ann@new.test", "not hers").await.expect_err("refused")), "PASSWORD_WRONG");
    as_ann.change_email("Ann@new.test", PASSWORD).await.expect("a link is on its way");
    let token = site.mailed_token("ann@new.test").await;
    assert_eq!(as_ann.me().await.expect("still signed in").email, "ann@acme.test");

    let mut nobody = site.nobody().await;
    assert_eq!(reason(&nobody.confirm(&token, "not hers").await.expect_err("refused")), "PASSWORD_MISMATCH");
    let user = nobody.confirm(&token, PASSWORD).await.expect("confirmed");
    assert_eq!((user.id.as_str(), user.email.as_str()), (here.id.as_str(), "Ann@new.test"));
    assert!(site.counts(&here).await, "the session that asked for it");
    assert!(!site.counts(&there).await, "another session");
    assert_eq!(reason(&nobody.reset(&reset, PASSWORD).await.expect_err("ended")), "LINK_EXPIRED");
    assert_eq!(site.try_sign_in("ann@acme.test", PASSWORD).await.err(), Some("SIGN_IN_FAILED".to_owned()));
    site.try_sign_in("ann@new.test", PASSWORD).await.expect("by the new one");
    let mut operator = site.operator().await;
    assert_eq!(operator.member("ann@new.test").await.expect("a member").user, here.id);
    assert_eq!(reason(&operator.member("ann@acme.test").await.expect_err("nobody's now")), "MEMBER_NOT_FOUND");
    site.mails_settled().await;
    let told = site.mails_to("ann@acme.test").pop().expect("mails");
    assert!(told.contains("address of your Circonus login was changed") && !told.contains("new.test"), "{told}");
    let kinds: Vec<_> = operator.events_after(0).await.iter().map(Event::kind).collect();
    assert!(kinds.contains(&EventKind::LoginLinkMade) && kinds.contains(&EventKind::UserEmailChanged));
    // the address that was left is free, for somebody else
    let other = site.person("ann@acme.test").await;
    assert_ne!(other.id, here.id);
}

#[tokio::test]
async fn an_address_that_has_a_login_looks_like_any_other_and_its_owner_alone_is_told() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    site.confirmed("bob@acme.test").await;
    site.bearer(&ann.token).await.change_email("bob@acme.test", PASSWORD).await.expect("the same answer");
    site.mails_settled().await;
    let told = site.mails_to("bob@acme.test").pop().expect("mails");
    assert!(told.contains("already have a Circonus login"), "{told}");
}

#[tokio::test]
async fn an_address_that_got_a_login_in_the_meantime_stays_its() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    site.bearer(&ann.token).await.change_email("new@acme.test", PASSWORD).await.expect("a link is on its way");
    let token = site.mailed_token("new@acme.test").await;
    site.operator().await.create_user("new@acme.test", false).await.expect("made");
    let refused = site.nobody().await.confirm(&token, PASSWORD).await.expect_err("taken");
    assert_eq!(reason(&refused), "LOGIN_EXISTS");
    assert_eq!(site.bearer(&ann.token).await.me().await.expect("nothing changed").email, "ann@acme.test");
}

#[tokio::test]
async fn five_wrong_passwords_end_the_link_and_nothing_else() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    site.bearer(&ann.token).await.change_email("new@acme.test", PASSWORD).await.expect("a link is on its way");
    let token = site.mailed_token("new@acme.test").await;
    let mut nobody = site.nobody().await;
    let mut reasons = Vec::new();
    for _ in 0..6 {
        reasons.push(reason(&nobody.confirm(&token, "not hers").await.expect_err("wrong")));
    }
    assert_eq!(reasons[..4], ["PASSWORD_MISMATCH"; 4]);
    assert_eq!(reasons[4..], ["LINK_EXPIRED"; 2]);
    assert_eq!(reason(&nobody.confirm(&token, PASSWORD).await.expect_err("ended")), "LINK_EXPIRED");
    assert!(site.counts(&ann).await);
}

#[tokio::test]
async fn the_newest_change_counts_and_ends_the_ones_before() {
    let site = Site::start().await;
    let ann = site.person("ann@acme.test").await;
    let mut as_ann = site.bearer(&ann.token).await;
    as_ann.change_email("one@acme.test", PASSWORD).await.expect("a link is on its way");
    let one = site.mailed_token("one@acme.test").await;
    as_ann.change_email("two@acme.test", PASSWORD).await.expect("a link is on its way");
    let two = site.mailed_token("two@acme.test").await;
    let mut nobody = site.nobody().await;
    assert_eq!(reason(&nobody.confirm(&one, PASSWORD).await.expect_err("ended")), "LINK_EXPIRED");
    nobody.confirm(&two, PASSWORD).await.expect("confirmed");
}

#[tokio::test]
async fn an_invitation_of_the_former_address_is_answered_by_nobody_who_left_it() {
    let site = Site::start().await;
    site.account(ACME).await;
    let ann = site.person("ann@acme.test").await;
    let (invitation, token) = site.invited(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let mut as_ann = site.bearer(&ann.token).await;
    as_ann.change_email("ann@new.test", PASSWORD).await.expect("a link is on its way");
    let link = site.mailed_token("ann@new.test").await;
    site.nobody().await.confirm(&link, PASSWORD).await.expect("confirmed");
    assert_eq!(reason(&as_ann.accept(&token).await.expect_err("refused")), "INVITATION_FOR_ANOTHER_ADDRESS");
    assert_eq!(reason(&as_ann.accept_named(&invitation.id).await.expect_err("refused")), "ACCESS_DENIED");
}
