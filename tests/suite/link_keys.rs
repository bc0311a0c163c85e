//! Another key for the links of mails: what becomes of links that were mailed, and what a start finds.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use user_management::proto::{self, EventKind, Privilege};

use crate::acme::ACME;
use crate::client::{Client, reason};
use crate::site::{BEGINNING, PASSWORD, Site};

/// A day.
const DAY: Duration = Duration::from_hours(24);

/// Whom everybody invites.
const BOB: &str = "bob@acme.test";

impl Client {
    async fn rotate(&mut self, now: bool) -> proto::RotateLinkKeyResponse {
        let request = proto::RotateLinkKeyRequest { now, ..Default::default() };
        self.operations.rotate_link_key(request).await.expect("the operator may").into_inner()
    }
}

impl Site {
    /// With an account whose invitations never end.
    async fn with_lasting_invitations() -> Self {
        let site = Self::with("invitation.lifetime_days = 0").await;
        site.account(ACME).await;
        site
    }

    async fn opens(&self, token: &str) -> bool {
        match self.nobody().await.preview(token).await {
            Ok(_) => true,
            Err(refused) => {
                assert_eq!(reason(&refused), "LINK_INVALID", "{refused:?}");
                false
            }
        }
    }

    fn key_file(&self) -> PathBuf {
        self.data_dir().join("link.key")
    }
}

/// When a week has passed since the beginning.
fn in_a_week() -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: BEGINNING.plus(7 * DAY).as_micros() / 1_000_000, nanos: 0 }
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn links_mailed_before_count_for_a_week_and_new_ones_are_made_with_the_new_key() {
    let mut site = Site::with_lasting_invitations().await;
    let (invitation, old) = site.invited(ACME, BOB, Privilege::Normal, &[]).await;
    let before = std::fs::read_to_string(site.key_file()).expect("readable");
    let rotated = site.operator().await.rotate(false).await;
    assert_eq!((rotated.number, rotated.former_links_end_time), (2, Some(in_a_week())));
    let (_, new) = site.invited(ACME, "eve@acme.test", Privilege::Normal, &[]).await;
    assert_eq!(mode(&site.key_file()), 0o600);
    assert!(
        std::fs::read_to_string(site.key_file())
            .expect("readable")
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with(before.trim_end()))
    );

    for _ in 0..2 {
        assert!(site.opens(&old).await && site.opens(&new).await);
        site.restart(None).await;
    }
    let event = site.operator().await.events_after(0).await.into_iter().find(|event| event.kind() == EventKind::LinkKeyRotated);
    let event = event.expect("recorded");
    assert_eq!((event.actor.as_str(), event.link_key_number, event.expire_time), ("operator:0", 2, Some(in_a_week())));

    site.clock.advance(7 * DAY);
    assert!(!site.opens(&old).await && site.opens(&new).await);
    let bob = site.person(BOB).await;
    site.bearer(&bob.token).await.accept_named(&invitation.id).await.expect("a signed-in person needs no link");
}

#[tokio::test]
async fn a_key_that_somebody_may_know_ends_with_its_links_at_once() {
    let mut site = Site::with_lasting_invitations().await;
    let (invitation, first) = site.invited(ACME, BOB, Privilege::Normal, &[]).await;
    site.operator().await.rotate(false).await;
    let (_, second) = site.invited(ACME, "eve@acme.test", Privilege::Normal, &[]).await;
    let rotated = site.operator().await.rotate(true).await;
    assert_eq!((rotated.number, rotated.former_links_end_time), (3, None));
    for _ in 0..2 {
        assert!(!site.opens(&first).await && !site.opens(&second).await);
        site.restart(None).await;
    }
    assert_eq!(std::fs::read_to_string(site.key_file()).expect("readable").lines().count(), 1, "the old keys are gone");
    let request = proto::ResendInvitationRequest { account: ACME.to_owned(), invitation: invitation.id, ..Default::default() };
    site.operator().await.users.resend_invitation(request).await.expect("sent again");
    assert!(site.opens(&site.mailed_token(BOB).await).await);
}

#[tokio::test]
async fn a_sign_up_and_a_reset_from_before_a_rotation_are_finished_after_it() {
    let site = Site::with("signup = 'open'").await;
    let ann = site.person("ann@acme.test").await;
    let (email, password, display_name) = (BOB.to_owned(), PASSWORD.to_owned(), "Bob".to_owned());
    let sign_up = proto::SignUpRequest { email, password, display_name };
    site.nobody().await.identity.sign_up(sign_up).await.expect("anybody may");
    let confirmation = site.mailed_token(BOB).await;
    let reset = proto::RequestPasswordResetRequest { email: ann.email.clone() };
    site.nobody().await.identity.request_password_reset(reset).await.expect("anybody may");
    let reset = site.mailed_token(&ann.email).await;
    site.operator().await.rotate(false).await;
    site.nobody().await.confirm(&confirmation, PASSWORD).await.expect("confirmed");
    let request = proto::ResetPasswordRequest { token: reset, password: "hammer and tongs".to_owned() };
    site.nobody().await.identity.reset_password(request).await.expect("set");
}

#[tokio::test]
async fn sign_ups_and_resets_from_before_end_at_once_too_where_the_key_may_be_known_and_are_asked_for_again() {
    let site = Site::with("signup = 'open'").await;
    let ann = site.person("ann@acme.test").await;
    let mut nobody = site.nobody().await;
    let (email, password, display_name) = (BOB.to_owned(), PASSWORD.to_owned(), "Bob".to_owned());
    nobody.identity.sign_up(proto::SignUpRequest { email, password, display_name }).await.expect("anybody may");
    let confirmation = site.mailed_token(BOB).await;
    nobody.request_reset(&ann.email).await;
    let reset = site.mailed_token(&ann.email).await;
    site.operator().await.rotate(true).await;
    assert_eq!(reason(&nobody.confirm(&confirmation, PASSWORD).await.expect_err("ended")), "LINK_INVALID");
    assert_eq!(reason(&nobody.reset(&reset, "hammer and tongs").await.expect_err("ended")), "LINK_INVALID");
    site.sign_in(&ann.email).await;
    let again = proto::ResendConfirmationRequest { email: BOB.to_owned() };
    nobody.identity.resend_confirmation(again).await.expect("anybody may");
    nobody.confirm(&site.mailed_token(BOB).await, PASSWORD).await.expect("confirmed");
    site.clock.advance(Duration::from_hours(1));
    nobody.request_reset(&ann.email).await;
    nobody.reset(&site.mailed_token(&ann.email).await, "hammer and tongs").await.expect("set");
}

#[tokio::test]
async fn mails_that_wait_while_the_key_is_exchanged_go_with_links_that_are_good() {
    let site = Site::with("signup = 'open'\ninvitation.lifetime_days = 0").await;
    site.account(ACME).await;
    let away = site.data_dir().join("away");
    std::fs::rename(site.mail_dir(), &away).expect("moved away");
    let mut operator = site.operator().await;
    operator.invite(BOB, Privilege::Normal, &[]).await.expect("invited");
    let (email, password, display_name) = ("ann@acme.test".to_owned(), PASSWORD.to_owned(), "Ann".to_owned());
    site.nobody().await.identity.sign_up(proto::SignUpRequest { email, password, display_name }).await.expect("anybody may");
    site.mails_settled().await;
    operator.rotate(true).await;
    std::fs::rename(&away, site.mail_dir()).expect("moved back");
    let waiting = operator.operations.list_mail(proto::ListMailRequest::default()).await.expect("listed").into_inner().mails;
    assert_eq!(waiting.iter().map(proto::Mail::state).collect::<Vec<_>>(), [proto::DeliveryState::Queued; 2]);
    for mail in waiting {
        let retry = proto::RetryMailRequest { mail: mail.id, ..Default::default() };
        operator.operations.retry_mail(retry).await.expect("due now");
    }
    assert!(site.opens(&site.mailed_token(BOB).await).await);
    let confirmation = site.mailed_token("ann@acme.test").await;
    site.nobody().await.confirm(&confirmation, PASSWORD).await.expect("confirmed");
}

#[tokio::test]
async fn a_rotation_that_was_cut_short_is_finished_by_the_next_start() {
    let mut site = Site::with_lasting_invitations().await;
    let before = std::fs::read(site.key_file()).expect("readable");
    site.operator().await.rotate(false).await;
    let (_, token) = site.invited(ACME, BOB, Privilege::Normal, &[]).await;
    site.stop().await;
    // as a crash between the commit and the last step leaves them
    let draft = site.data_dir().join("link.key.part");
    std::fs::rename(site.key_file(), &draft).expect("moved");
    std::fs::write(site.key_file(), &before).expect("written");
    std::fs::set_permissions(site.key_file(), std::fs::Permissions::from_mode(0o600)).expect("set");
    site.restart(None).await;
    assert!(!draft.exists() && site.opens(&token).await);
    let last = site.operator().await.last_event().await;
    // one that was prepared and never recorded is none
    std::fs::write(&draft, &before).expect("written");
    site.restart(None).await;
    assert!(site.opens(&token).await);
    assert_eq!(site.operator().await.last_event().await, last);
    site.operator().await.rotate(false).await;
    assert!(!draft.exists());
}

#[tokio::test]
async fn another_key_that_a_deployment_brought_is_recorded_and_one_that_was_changed_meanwhile_is_not_overwritten() {
    let mut site = Site::with_lasting_invitations().await;
    let (_, old) = site.invited(ACME, BOB, Privilege::Normal, &[]).await;
    let file = site.key_file();
    let said = site.operate(&format!("rotate-link-key --file {}", file.display())).await;
    assert!(said.err.contains("the service takes it at its next start"), "{said:?}");
    assert!(said.done().starts_with("links are made with key 2; those mailed before count until "));
    let refused = site.operate("rotate-link-key").await.refused(1);
    assert_eq!(
        refused,
        "LINK_KEY_FILE: the file of the link key can't be changed: it holds another key than the one in force: restart the service to take that"
    );
    let last = site.operator().await.last_event().await;
    site.restart(None).await;
    assert!(site.opens(&old).await);
    let recorded = site.operator().await.events_after(last).await;
    let [event] = &recorded[..] else { panic!("one: {recorded:?}") };
    assert_eq!((event.kind(), event.actor.as_str(), event.link_key_number), (EventKind::LinkKeyRotated, "server", 2));
    site.restart(None).await;
    assert_eq!(site.operator().await.last_event().await, event.seq, "the same key is no change");

    let said = site.operate("rotate-link-key --now --yes").await.done();
    assert_eq!(said, "links are made with key 3; those mailed before count no more\n");
    assert!(!site.opens(&old).await);
    site.stop().await;
    let said = site.operate("rotate-link-key --json").await.done();
    assert!(said.contains(r#""number":4"#), "{said}");
    site.restart(None).await;
    assert_eq!(site.operator().await.rotate(false).await.number, 5);
}

#[tokio::test]
async fn a_retry_rotates_nothing_again() {
    let site = Site::with_lasting_invitations().await;
    let request =
        proto::RotateLinkKeyRequest { request_id: "7b1a6f0e-5a53-4be4-8a4c-000000000001".to_owned(), ..Default::default() };
    let mut operator = site.operator().await;
    for _ in 0..2 {
        let answer = operator.operations.rotate_link_key(request.clone()).await.expect("rotated, or so already").into_inner();
        assert_eq!(answer.number, 2);
    }
    assert!(!site.data_dir().join("link.key.part").exists());
}

/// A site where a rotation was recorded and not put in force, as when whoever asked went away at that moment: under a `request_id`, with the
/// token of a link that the new key makes.
async fn with_an_unfinished_rotation(request: &proto::RotateLinkKeyRequest) -> (Site, String) {
    let mut site = Site::with_lasting_invitations().await;
    let before = (std::fs::read(site.key_file()).expect("readable"), site.recorded_key().await);
    site.operator().await.operations.rotate_link_key(request.clone()).await.expect("rotated");
    let (_, token) = site.invited(ACME, BOB, Privilege::Normal, &[]).await;
    let after = (std::fs::read(site.key_file()).expect("readable"), site.recorded_key().await);
    site.stop().await;
    site.write_key("link.key", &before.0);
    site.record_key(&before.1).await;
    site.restart(None).await;
    site.write_key("link.key.part", &after.0);
    site.record_key(&after.1).await;
    assert!(!site.opens(&token).await, "the former key is in force");
    (site, token)
}

impl Site {
    fn write_key(&self, name: &str, content: &[u8]) {
        let path = self.data_dir().join(name);
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("set");
    }

    async fn recorded_key(&self) -> Vec<u8> {
        sqlx::query_scalar("select link_key from server").fetch_one(&mut self.database().await).await.expect("recorded")
    }

    async fn record_key(&self, digest: &[u8]) {
        let set = sqlx::query("update server set link_key = ?").bind(digest);
        set.execute(&mut self.database().await).await.expect("the statement runs");
    }
}

#[tokio::test]
async fn a_rotation_whose_caller_went_away_is_finished_by_its_retry_and_by_housekeeping() {
    let request_id = "7b1a6f0e-5a53-4be4-8a4c-000000000002".to_owned();
    let request = proto::RotateLinkKeyRequest { request_id, ..Default::default() };
    let (site, token) = with_an_unfinished_rotation(&request).await;
    let answer = site.operator().await.operations.rotate_link_key(request.clone()).await.expect("done").into_inner();
    assert!(answer.number == 2 && site.opens(&token).await, "what is answered is in force");
    assert!(!site.data_dir().join("link.key.part").exists());

    let (site, token) = with_an_unfinished_rotation(&request).await;
    site.app().finish_rotation().await.expect("finished");
    assert!(site.opens(&token).await);
    assert_eq!(site.operator().await.rotate(false).await.number, 3);
}
