//! Deleting a person while a mail that tells of them is just being written.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use user_management::proto::{self, DeliveryState, Privilege};

use super::erasure::files_with;
use crate::acme::ACME;
use crate::client::Client;
use crate::site::Site;

/// Runs a test on a runtime with one thread for work that blocks, which is where mails are written: who takes it holds them up.
fn with_one_thread_to_write(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.expect("a runtime").block_on(test);
}

async fn states(operator: &mut Client) -> Vec<(String, DeliveryState)> {
    let request = proto::ListMailRequest::default();
    let mails = operator.operations.list_mail(request).await.expect("listed").into_inner().mails;
    mails.iter().map(|mail| (mail.recipient.clone(), mail.state())).collect()
}

/// Another Admin than who invited.
const OTHER_ADMIN: &str = "quixotina.other@acme.test";

/// A site where a mail waits, of an invitation by the one and to the other, and a session of [`OTHER_ADMIN`]: the next change has it delivered,
/// signing in too.
async fn mail_waits(by: &str, to: &str) -> (Site, String) {
    let site = Site::start().await;
    site.account(ACME).await;
    let other = site.member(ACME, OTHER_ADMIN, Privilege::Admin, &[]).await;
    let grantor = site.member(ACME, by, Privilege::Admin, &[]).await;
    site.confirmed(to).await;
    let away = site.data_dir().join("away");
    std::fs::rename(site.mail_dir(), &away).expect("moved away");
    site.bearer(&grantor.token).await.invite(to, Privilege::Normal, &[]).await.expect("invited");
    site.mails_settled().await;
    std::fs::rename(&away, site.mail_dir()).expect("moved back");
    site.clock.advance(Duration::from_hours(1));
    (site, other.token)
}

/// Deletes somebody after it was decided what the mail that waits says, and before it is written.
async fn deleted_meanwhile(site: &Site, user: &str) {
    let (release, held) = mpsc::channel::<()>();
    let holding = spawn_blocking(move || held.recv());
    let meanwhile = async {
        let mut operator = site.operator().await;
        while !states(&mut operator).await.iter().any(|(_, state)| *state == DeliveryState::Sending) {}
        for _ in 0..20 {
            // reading takes as long as reading what the mail says
            states(&mut operator).await;
        }
        operator.delete(user, false).await.expect("the operator may");
        release.send(()).expect("held");
        holding.await.expect("no panic").expect("released");
    };
    let (delivered, ()) = tokio::join!(site.app().deliver_next(), meanwhile);
    assert!(delivered.expect("delivered"));
}

#[test]
fn whoever_invited_somebody_is_in_no_mail_that_was_written_while_they_were_deleted() {
    with_one_thread_to_write(async {
        let (site, _) = mail_waits("zebulon.grantor@acme.test", "kim@acme.test").await;
        deleted_meanwhile(&site, "zebulon.grantor@acme.test").await;
        assert!(states(&mut site.operator().await).await.contains(&("kim@acme.test".to_owned(), DeliveryState::Sent)));
        assert_eq!(files_with(&site.data_dir(), "zebulon"), Vec::<PathBuf>::new());
    });
}

#[test]
fn whoever_was_invited_is_in_no_mail_that_was_written_while_they_were_deleted() {
    with_one_thread_to_write(async {
        let (site, _) = mail_waits("kim@acme.test", "zebulon.invited@acme.test").await;
        deleted_meanwhile(&site, "zebulon.invited@acme.test").await;
        assert_eq!(files_with(&site.data_dir(), "zebulon"), Vec::<PathBuf>::new());
    });
}

#[tokio::test]
async fn a_mail_that_goes_after_whoever_invited_was_deleted_names_nobody_and_stays() {
    let (site, _) = mail_waits("zebulon.grantor@acme.test", "kim@acme.test").await;
    site.operator().await.delete("zebulon.grantor@acme.test", false).await.expect("the operator may");
    while site.app().deliver_next().await.expect("the queue is worked on") {}
    site.app().erase_mail_files().await;
    let invitations: Vec<_> = files_with(&site.mail_dir(), "invites you").into_iter().filter(is_to_kim).collect();
    assert_eq!(invitations.len(), 1);
    assert_eq!(files_with(&site.data_dir(), "zebulon"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_mail_is_forgotten_with_the_one_whom_it_names_and_not_with_whom_it_would_have_named_before_an_edit() {
    let (site, editor) = mail_waits("zebulon.first@acme.test", "kim@acme.test").await;
    let mut operator = site.operator().await;
    let invitation = operator.invited().await.pop().expect("invited").id;
    let request = proto::UpdateInvitationRequest {
        account: ACME.to_owned(),
        invitation,
        privilege: Privilege::ReadOnly.into(),
        ..Default::default()
    };
    site.bearer(&editor).await.users.update_invitation(request).await.expect("an Admin may");
    while site.app().deliver_next().await.expect("the queue is worked on") {}
    site.mails_settled().await;
    let told = |name: &str| files_with(&site.mail_dir(), name).into_iter().filter(is_to_kim).count();
    assert_eq!((told("zebulon first"), told("quixotina other")), (0, 1));
    operator.delete("zebulon.first@acme.test", false).await.expect("the operator may");
    assert_eq!(told("quixotina other"), 1, "it says nothing of who was deleted");
    operator.delete(OTHER_ADMIN, true).await.expect("the operator may");
    assert_eq!(files_with(&site.data_dir(), "quixotina"), Vec::<PathBuf>::new());
}

fn is_to_kim(file: &PathBuf) -> bool {
    std::fs::read_to_string(file).is_ok_and(|mail| mail.contains("To: kim@acme.test"))
}
