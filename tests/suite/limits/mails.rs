//! Mail to somebody who may not want it: put off where it is too much, and never refused.

use std::time::Duration;

use user_management::proto::{self, DeliveryState, Privilege};

use crate::acme::ACME;
use crate::client::{Client, reason};
use crate::mailbox::token_of;
use crate::site::{PASSWORD, Site};

const BOB: &str = "bob@acme.test";
const HOUR: Duration = Duration::from_hours(1);

async fn site(limits: &str) -> Site {
    Site::with(&format!("signup = 'open'\n{limits}")).await
}

async fn ask_for_reset(client: &mut Client, email: &str) {
    let request = proto::RequestPasswordResetRequest { email: email.to_owned() };
    client.identity.request_password_reset(request).await.expect("the same answer, always");
}

async fn ask_for_confirmation(client: &mut Client, email: &str) {
    let request = proto::ResendConfirmationRequest { email: email.to_owned() };
    client.identity.resend_confirmation(request).await.expect("the same answer, always");
}

/// The mails to an address: state, what was said of it last, and in how many minutes it is due.
async fn outbox(site: &Site, email: &str) -> Vec<(DeliveryState, String, Option<i64>)> {
    site.mails_settled().await;
    let request = proto::ListMailRequest::default();
    let mails = site.operator().await.operations.list_mail(request).await.expect("listed").into_inner().mails;
    let now = site.app().now().as_micros() / 1_000_000;
    let of_it = mails.into_iter().filter(|mail| mail.recipient.eq_ignore_ascii_case(email));
    let mut all: Vec<_> = of_it
        .map(|mail| {
            let due = mail.next_attempt_time.map(|time| (time.seconds - now) / 60);
            (mail.state(), mail.last_reply, due)
        })
        .collect();
    all.sort_by_key(|(state, reply, due)| (*state as i32, *due, reply.clone()));
    all
}

fn waiting(minutes: i64) -> (DeliveryState, String, Option<i64>) {
    (DeliveryState::Queued, "put off, since much went to this address lately".to_owned(), Some(minutes))
}

fn made_way() -> (DeliveryState, String, Option<i64>) {
    (DeliveryState::Dropped, "a newer mail of its kind took its place".to_owned(), None)
}

#[tokio::test]
async fn mail_beyond_the_pace_is_put_off_and_several_of_a_kind_become_one() {
    let site = site("limits.mails_per_recipient_hour = 3").await;
    site.confirmed(BOB).await;
    let mut nobody = site.nobody().await;
    for _ in 0..5 {
        ask_for_reset(&mut nobody, BOB).await;
    }
    ask_for_confirmation(&mut nobody, BOB).await;
    ask_for_confirmation(&mut site.stranger(2).await, "BOB@acme.test").await;
    let all = outbox(&site, BOB).await;
    assert_eq!(all.len(), 8);
    assert_eq!(all[..2], [waiting(60), waiting(60)], "a reset and a confirmation");
    assert_eq!(all[5..], [made_way(), made_way(), made_way()]);
    assert_eq!(site.mails_to(BOB).len(), 3);
    site.clock.advance(Duration::from_mins(59));
    site.mails_settled().await;
    assert_eq!(site.mails_to(BOB).len(), 3);
    let request = proto::ListMailRequest::default();
    let queue = site.operator().await.operations.list_mail(request).await.expect("listed").into_inner().queue.expect("told");
    assert_eq!((queue.queued, queue.oldest_queued_time), (2, None), "none is late: strangers can't make an operator be called");
    site.clock.advance(Duration::from_mins(1));
    let token = loop {
        // the worker looks at its queue once a minute of the host's, or when a mail is owed
        site.operator().await.resume_mail().await;
        site.mails_settled().await;
        if site.mails_to(BOB).len() == 5 {
            break site.mails_to(BOB).iter().rev().find_map(|mail| token_of(mail)).expect("a reset's link");
        }
    };
    let request = proto::ResetPasswordRequest { token, password: "hammer and tongs".to_owned() };
    nobody.identity.reset_password(request).await.expect("it was wanted an hour later, so its link is good");
}

#[tokio::test]
async fn asking_again_sends_the_same_open_reset_link_again() {
    let site = site("").await;
    site.confirmed(BOB).await;
    let mut nobody = site.nobody().await;
    ask_for_reset(&mut nobody, BOB).await;
    let first = site.mailed_token(BOB).await;
    site.clock.advance(Duration::from_mins(10));
    ask_for_reset(&mut nobody, BOB).await;
    assert_eq!((site.mailed_token(BOB).await, site.mails_to(BOB).len()), (first.clone(), 3));
    // whose time is nearly over, and who reads the mail minutes later needs some
    site.clock.advance(Duration::from_mins(30));
    ask_for_reset(&mut nobody, BOB).await;
    let second = site.mailed_token(BOB).await;
    assert_ne!(second, first);
    site.clock.advance(Duration::from_mins(59));
    let request = proto::ResetPasswordRequest { token: second, password: "hammer and tongs".to_owned() };
    nobody.identity.reset_password(request).await.expect("it has all of its hour");
}

#[tokio::test]
async fn the_pace_is_the_same_for_an_address_without_a_login_and_outlives_a_restart() {
    let mut site = site("limits.mails_per_recipient_hour = 0\nlimits.mails_per_recipient_day = 3").await;
    site.confirmed(BOB).await;
    let mut nobody = site.nobody().await;
    ask_for_confirmation(&mut nobody, "none@acme.test").await;
    for email in [BOB, "none@acme.test"] {
        ask_for_confirmation(&mut nobody, email).await;
        ask_for_confirmation(&mut nobody, email).await;
    }
    for email in [BOB, "none@acme.test"] {
        assert!(outbox(&site, email).await.iter().all(|(state, ..)| *state != DeliveryState::Queued));
    }
    site.clock.advance(HOUR);
    site.restart(None).await;
    let mut nobody = site.nobody().await;
    for email in [BOB, "none@acme.test"] {
        ask_for_confirmation(&mut nobody, email).await;
        assert_eq!(outbox(&site, email).await[0], waiting(12 * 60), "{email}");
    }
}

#[tokio::test]
async fn however_many_strangers_ask_for_a_reset_goes_within_the_hour() {
    let site = site("limits.mails_per_recipient_day = 3").await;
    site.confirmed(BOB).await;
    let mut nobody = site.nobody().await;
    for email in [BOB, "none@acme.test"] {
        for _ in 0..6 {
            ask_for_reset(&mut nobody, email).await;
            ask_for_confirmation(&mut nobody, email).await;
        }
        let all = outbox(&site, email).await;
        assert_eq!(all[..2], [waiting(60), waiting(12 * 60)], "{email}: a reset, and a confirmation within half a day");
    }
    let before = site.mails_to(BOB).len();
    site.clock.advance(HOUR);
    site.operator().await.resume_mail().await;
    let token = site.mailed_token(BOB).await;
    assert_eq!(site.mails_to(BOB).len(), before + 1);
    ask_for_reset(&mut nobody, BOB).await;
    assert_eq!(outbox(&site, BOB).await[0], waiting(60), "the next goes an hour later");
    let request = proto::ResetPasswordRequest { token, password: "hammer and tongs".to_owned() };
    nobody.identity.reset_password(request).await.expect("it is good");
}

#[tokio::test]
async fn every_sign_up_gets_its_own_mail_however_many_strangers_make() {
    let site = site("limits.mails_per_recipient_hour = 1").await;
    let sign_up = |password: &str| proto::SignUpRequest {
        email: BOB.to_owned(),
        password: password.to_owned(),
        display_name: "Somebody".to_owned(),
    };
    let mut stranger = site.stranger(2).await;
    stranger.identity.sign_up(sign_up("the stranger's password")).await.expect("anybody may sign up");
    site.nobody().await.identity.sign_up(sign_up(PASSWORD)).await.expect("anybody may sign up");
    stranger.identity.sign_up(sign_up("another of the stranger's")).await.expect("anybody may sign up");
    let all = outbox(&site, BOB).await;
    assert_eq!((all.len(), &all[..2]), (3, &[waiting(60), waiting(120)][..]));
    site.clock.advance(HOUR);
    site.operator().await.resume_mail().await;
    let token = site.mailed_token(BOB).await;
    let request = proto::ConfirmEmailRequest { token, password: PASSWORD.to_owned() };
    site.nobody().await.identity.confirm_email(request).await.expect("it is the second one's own");
}

async fn sign_up(client: &mut Client, email: &str) {
    let (email, password, display_name) = (email.to_owned(), PASSWORD.to_owned(), "Somebody".to_owned());
    client.identity.sign_up(proto::SignUpRequest { email, password, display_name }).await.expect("anybody may sign up");
}

#[tokio::test]
async fn who_invites_and_withdraws_over_and_over_keeps_nobodys_mail_back() {
    let site = site("limits.mails_per_recipient_hour = 2\nlimits.mails_per_recipient_day = 3").await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let mut manager = site.bearer(&ann.token).await;
    for _ in 0..20 {
        let invitation = manager.invite(BOB, Privilege::Normal, &[]).await.expect("invited");
        site.mails_settled().await;
        manager.withdraw(&invitation.id).await.expect("withdrawn");
    }
    sign_up(&mut site.nobody().await, BOB).await;
    let all = outbox(&site, BOB).await;
    assert_eq!((all.len(), &all[0]), (21, &waiting(60)), "the two that went are all that counts");
    let withdrawn = (DeliveryState::Dropped, "the invitation was withdrawn first".to_owned(), None);
    assert_eq!(all.iter().filter(|mail| **mail == withdrawn).count(), 18);
}

#[tokio::test]
async fn mail_to_an_address_goes_within_half_a_day_unless_many_cause_it_at_once() {
    const MANY: usize = 22;
    let site = site("limits.mails_per_recipient_day = 1").await;
    let service = site.service("tool", &["users.write"], "").await;
    let mut tool = site.bearer(&service).await;
    ask_for_confirmation(&mut site.nobody().await, BOB).await;
    for number in 0..MANY {
        let account = format!("acme{number}");
        site.account(&account).await;
        let (email, privilege) = (BOB.to_owned(), Privilege::Normal.into());
        let request = proto::InviteUserRequest { account, email, privilege, ..Default::default() };
        tool.users.invite_user(request).await.expect("invited");
    }
    sign_up(&mut site.nobody().await, BOB).await;
    let half = waiting(12 * 60);
    let all = outbox(&site, BOB).await;
    assert_eq!(all[..21], vec![half.clone(); 21], "twenty invitations and the sign-up");
    assert_eq!(all[21..23], [waiting(36 * 60), waiting(60 * 60)], "as the pace lets them");
    // what goes by the pace alone keeps nobody else back once those before it have gone
    assert!(site.mails_to(BOB).is_empty(), "asking for the links of nobody brings none");
    site.clock.advance(12 * HOUR);
    site.operator().await.resume_mail().await;
    site.mails_settled().await;
    assert_eq!(site.mails_to(BOB).len(), 21);
    ask_for_confirmation(&mut site.nobody().await, BOB).await;
    assert_eq!(outbox(&site, BOB).await[0], half);
}

#[tokio::test]
async fn what_the_pace_lets_go_and_sign_ups_keep_nothing_else_back_for_longer() {
    let site =
        site("limits.mails_per_recipient_hour = 10\nlimits.mails_per_recipient_day = 30\nlimits.sign_ups_per_address = 20").await;
    let service = site.service("tool", &["users.write"], "").await;
    let mut tool = site.bearer(&service).await;
    let mut invite = async |number: usize| {
        let account = format!("acme{number}");
        site.account(&account).await;
        let (email, privilege) = (BOB.to_owned(), Privilege::Normal.into());
        let request = proto::InviteUserRequest { account, email, privilege, ..Default::default() };
        tool.users.invite_user(request).await.expect("invited");
    };
    for number in 0..30 {
        invite(number).await;
    }
    for _ in 0..20 {
        sign_up(&mut site.nobody().await, BOB).await;
    }
    invite(30).await;
    let due = |minutes: i64, count: usize| std::iter::repeat_n(waiting(minutes), count);
    let expected: Vec<_> = due(60, 10).chain(due(120, 10)).chain(due(12 * 60, 21)).collect();
    assert_eq!(outbox(&site, BOB).await[..41], expected);
}

#[tokio::test]
async fn sign_ups_whose_places_come_back_sooner_than_their_mails_go_are_no_flood() {
    let limits = "limits.mails_per_recipient_day = 1\nlimits.sign_ups_per_address = 20\nlink.confirmation_hours = 1";
    let site = site(limits).await;
    ask_for_confirmation(&mut site.nobody().await, BOB).await;
    for _ in 0..20 {
        sign_up(&mut site.nobody().await, BOB).await;
    }
    site.clock.advance(HOUR);
    sign_up(&mut site.nobody().await, BOB).await;
    let all = outbox(&site, BOB).await;
    assert_eq!((&all[..21], all.len()), (&[vec![waiting(11 * 60); 20], vec![waiting(35 * 60)]].concat()[..], 22));
}

#[tokio::test]
async fn a_sign_up_that_was_put_off_brings_a_link_that_has_half_of_its_time_left() {
    let site = site("limits.mails_per_recipient_day = 1").await;
    ask_for_confirmation(&mut site.stranger(2).await, BOB).await;
    sign_up(&mut site.nobody().await, BOB).await;
    assert_eq!(outbox(&site, BOB).await[0], waiting(12 * 60));
    site.clock.advance(12 * HOUR);
    site.operator().await.resume_mail().await;
    let token = site.mailed_token(BOB).await;
    site.clock.advance(11 * HOUR);
    let request = proto::ConfirmEmailRequest { token, password: PASSWORD.to_owned() };
    site.nobody().await.identity.confirm_email(request).await.expect("it is good for half a day");
}

#[tokio::test]
async fn an_invitation_that_was_put_off_and_sent_again_goes_once_with_the_newest_link() {
    let site = site("limits.mails_per_recipient_hour = 1").await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    ask_for_reset(&mut site.nobody().await, BOB).await;
    let mut manager = site.bearer(&ann.token).await;
    let invitation = manager.invite(BOB, Privilege::Normal, &[]).await.expect("invited, though the mail waits");
    manager.resend(&invitation.id).await.expect("sent again");
    assert_eq!(outbox(&site, BOB).await[0], waiting(60));
    let shown = manager.invitation(&invitation.id).await.delivery.expect("a delivery");
    assert_eq!((shown.state(), shown.attempts), (DeliveryState::Queued, 0));
    assert!(site.mails_to(BOB).is_empty());
    site.clock.advance(HOUR);
    site.operator().await.resume_mail().await;
    let token = site.mailed_token(BOB).await;
    assert_eq!(site.mails_to(BOB).len(), 1);
    manager.preview(&token).await.expect("the link is the newest");
    // the operator's mails wait for nobody, and hold none up
    site.operator().await.resend(&invitation.id).await.expect("sent again");
    site.mails_settled().await;
    assert_eq!(site.mails_to(BOB).len(), 2);
    assert_eq!(reason(&manager.preview(&token).await.expect_err("refused")), "LINK_INVALID");
}

#[tokio::test]
async fn a_manager_is_not_told_until_when_mail_waits_that_others_put_off() {
    let site = site("limits.mails_per_recipient_hour = 1").await;
    site.account(ACME).await;
    let ann = site.member(ACME, "ann@acme.test", Privilege::Admin, &[]).await;
    let service = site.service("tool", &["users.read", "users.write"], ACME).await;
    ask_for_reset(&mut site.nobody().await, BOB).await;
    site.mails_settled().await;
    let rehearsed = async |token: &str, email: &str| {
        let request = proto::InviteUserRequest {
            account: ACME.to_owned(),
            email: email.to_owned(),
            privilege: Privilege::Normal.into(),
            validate_only: true,
            ..Default::default()
        };
        let answer = site.bearer(token).await.users.invite_user(request).await.expect("it would be done").into_inner();
        answer.invitation.and_then(|invitation| invitation.delivery).expect("a delivery")
    };
    for token in [&ann.token, &service] {
        let (busy, quiet) = (rehearsed(token, BOB).await, rehearsed(token, "cy@acme.test").await);
        assert_eq!(busy, quiet);
        assert_eq!((busy.next_attempt_time, busy.last_reply.as_str()), (None, ""));
    }
    let invitation = site.bearer(&ann.token).await.invite(BOB, Privilege::Normal, &[]).await.expect("invited").id;
    let delivery = async |mut client: Client| client.invitation(&invitation).await.delivery.expect("a delivery");
    let seen = delivery(site.bearer(&ann.token).await).await;
    assert_eq!((seen.state(), seen.next_attempt_time, seen.last_reply.as_str()), (DeliveryState::Queued, None, ""));
    let everywhere = site.service("everywhere", &["users.read", "users.write", "operations.read"], "").await;
    for client in [site.operator().await, site.bearer(&everywhere).await] {
        let seen = delivery(client).await;
        assert!(seen.next_attempt_time.is_some() && seen.last_reply.starts_with("put off"), "{seen:?}");
    }
}

#[tokio::test]
async fn what_a_super_admins_session_sends_waits_like_others_and_its_link_counts_from_then() {
    let site = site("limits.mails_per_recipient_hour = 1").await;
    let sue = site.person("sue@site.test").await;
    let mark = proto::SetSuperAdminRequest { user: sue.id.clone(), super_admin: true, ..Default::default() };
    site.operator().await.operations.set_super_admin(mark).await.expect("the operator may");
    site.confirmed(BOB).await;
    let mut as_sue = site.bearer(&sue.token).await;
    let reset = proto::SendPasswordResetRequest { user: BOB.to_owned(), ..Default::default() };
    for _ in 0..2 {
        as_sue.users.send_password_reset(reset.clone()).await.expect("she is an operator");
    }
    assert_eq!(outbox(&site, BOB).await[0], waiting(60), "a reset an hour, whoever asks for it");
    let sent = site.mails_to(BOB).len();
    site.operator().await.users.send_password_reset(reset).await.expect("the operator may");
    site.mails_settled().await;
    assert_eq!(site.mails_to(BOB).len(), sent + 1, "what comes over the operators' socket waits for nothing");
    site.clock.advance(HOUR);
    site.operator().await.resume_mail().await;
    let token = site.mailed_token(BOB).await;
    assert_eq!(site.mails_to(BOB).len(), sent + 2);
    site.clock.advance(HOUR.saturating_sub(Duration::from_micros(1)));
    let request = proto::ResetPasswordRequest { token, password: "hammer and tongs".to_owned() };
    site.nobody().await.identity.reset_password(request).await.expect("it has all of its hour");

    ask_for_reset(&mut site.nobody().await, "cy@acme.test").await;
    let sue = site.sign_in("sue@site.test").await;
    let request =
        proto::CreateUserRequest { email: "cy@acme.test".to_owned(), display_name: "Cy".to_owned(), ..Default::default() };
    site.bearer(&sue.token).await.users.create_user(request).await.expect("she is an operator");
    assert_eq!(outbox(&site, "cy@acme.test").await[0], waiting(60));
}

impl Client {
    /// Wakes the worker by a mail that is owed: a clock that is set wakes nobody.
    async fn resume_mail(&mut self) {
        let request = proto::CreateUserRequest {
            email: format!("wake{}@acme.test", self.last_event().await),
            display_name: "Nobody".to_owned(),
            ..Default::default()
        };
        self.users.create_user(request).await.expect("created");
    }
}
