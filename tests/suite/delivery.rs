//! How the outbox empties, against a relay that speaks SMTP.

use std::time::Duration;

use user_management::proto::{self, DeliveryState, Privilege};

use crate::acme::ACME;
use crate::client::Client;
use crate::site::{BEGINNING, Site};
use crate::smtp_sink::{Answer, At, Script, SmtpSink};

/// A site whose mail goes to the sink, so many at once; a silent relay is waited for longer than any test.
async fn site(sink: &SmtpSink, concurrent: usize) -> Site {
    let port = sink.address().port();
    let site = Site::with(&format!(
        "signup = 'open'\nweb.public_url = 'https://site.test'\n\
         mail = {{ transport = 'smtp', from = 'noreply@site.test', concurrent = {concurrent}, \
         smtp = {{ host = '127.0.0.1', port = {port}, security = 'plaintext', timeout_seconds = 3600 }} }}"
    ))
    .await;
    site.account(ACME).await;
    site
}

async fn invite(operator: &mut Client, email: &str) {
    operator.invite(email, Privilege::Normal, &[]).await.expect("invited");
}

async fn outbox(operator: &mut Client) -> (Vec<proto::Mail>, proto::MailQueue) {
    let answer = operator.operations.list_mail(proto::ListMailRequest::default()).await.expect("listed").into_inner();
    (answer.mails, answer.queue.expect("the state of the queue"))
}

async fn mail_to(operator: &mut Client, email: &str) -> proto::Mail {
    outbox(operator).await.0.into_iter().find(|mail| mail.recipient == email).expect("a mail to them")
}

/// Waits until the attempt under way at a mail has ended.
async fn settled(operator: &mut Client, email: &str, state: DeliveryState) -> proto::Mail {
    loop {
        let mail = mail_to(operator, email).await;
        if mail.state() == state && mail.attempts > 0 {
            return mail;
        }
        tokio::task::yield_now().await;
    }
}

async fn retry(operator: &mut Client, email: &str) {
    let mail = mail_to(operator, email).await.id;
    operator.operations.retry_mail(proto::RetryMailRequest { mail, ..Default::default() }).await.expect("due now");
}

#[tokio::test]
async fn a_recipient_on_whom_the_relay_falls_silent_holds_up_no_other() {
    let sink = SmtpSink::start(Script::accepting().about("ivy@acme.test", At::Rcpt, Answer::Silence));
    let site = site(&sink, 2).await;
    let mut operator = site.operator().await;
    invite(&mut operator, "ivy@acme.test").await;
    sink.wait_for_silence(1);
    // more for the same mailbox wait behind the first, and leave the other place free
    for account in ["beta", "gamma"] {
        site.account(account).await;
        let (account, email) = (account.to_owned(), "ivy@acme.test".to_owned());
        let request = proto::InviteUserRequest { account, email, privilege: Privilege::Normal.into(), ..Default::default() };
        operator.users.invite_user(request).await.expect("invited");
    }
    for email in ["ann@acme.test", "bob@acme.test", "cy@acme.test"] {
        invite(&mut operator, email).await;
    }
    let messages = sink.wait_for(3);
    let mut sent: Vec<&String> = messages.iter().flat_map(|message| &message.to).collect();
    sent.sort();
    assert_eq!(sent, ["ann@acme.test", "bob@acme.test", "cy@acme.test"]);
    for email in sent {
        settled(&mut operator, email, DeliveryState::Sent).await;
    }
    let (_, queue) = outbox(&mut operator).await;
    assert_eq!((queue.queued, queue.failed, queue.last_fault.as_str()), (3, 0, ""));
    assert_eq!(queue.oldest_queued_time.map(|time| time.seconds), Some(BEGINNING.as_micros() / 1_000_000));
    assert_eq!(sink.conversations(), 4, "one with ivy, three with the others");
}

#[tokio::test]
async fn no_more_mails_are_handed_over_at_once_than_are_allowed() {
    let sink = SmtpSink::start(Script::accepting().at(At::Content, Answer::Hold("250 2.0.0 taken".to_owned())));
    let site = site(&sink, 2).await;
    let mut operator = site.operator().await;
    let emails = ["ann@acme.test", "bob@acme.test", "cy@acme.test", "dan@acme.test"];
    for email in emails {
        invite(&mut operator, email).await;
    }
    sink.wait_for_silence(2);
    assert_eq!(sink.conversations(), 2);
    sink.release();
    sink.wait_for(4);
    for email in emails {
        let mail = settled(&mut operator, email, DeliveryState::Sent).await;
        assert_eq!((mail.attempts, mail.last_reply.as_str()), (1, "250 2.0.0 taken"));
    }
}

#[tokio::test]
async fn mails_that_wait_for_a_silent_relay_again_leave_a_place_for_a_new_one() {
    let later = "451 4.7.1 later".to_owned();
    let first = |email, answer: &Answer| Script::accepting().about(email, At::Rcpt, answer.clone());
    let sink = SmtpSink::start(Script::accepting().say(At::Rcpt, &later));
    let site = site(&sink, 2).await;
    let mut operator = site.operator().await;
    for email in ["ivy@acme.test", "joe@acme.test"] {
        invite(&mut operator, email).await;
        assert_eq!(settled(&mut operator, email, DeliveryState::Queued).await.last_reply, later);
    }
    sink.follow(first("ivy@acme.test", &Answer::Silence).about("joe@acme.test", At::Rcpt, Answer::Silence));
    retry(&mut operator, "ivy@acme.test").await;
    sink.wait_for_silence(1);
    retry(&mut operator, "joe@acme.test").await;
    invite(&mut operator, "ann@acme.test").await;
    assert_eq!(sink.wait_for(1)[0].to, ["ann@acme.test"]);
    assert_eq!(sink.conversations(), 4, "joe's second attempt waits for a place that ann's first one may take");
}

#[tokio::test]
async fn a_mail_under_way_is_not_handed_over_again_when_the_clock_ends_its_lease() {
    let sink = SmtpSink::start(Script::accepting().about("ivy@acme.test", At::Rcpt, Answer::Silence));
    let site = site(&sink, 4).await;
    let mut operator = site.operator().await;
    invite(&mut operator, "ivy@acme.test").await;
    sink.wait_for_silence(1);
    site.clock.advance(Duration::from_hours(24));
    invite(&mut operator, "ann@acme.test").await;
    sink.wait_for(1);
    settled(&mut operator, "ann@acme.test", DeliveryState::Sent).await;
    assert_eq!(sink.conversations(), 2);
    assert_eq!(mail_to(&mut operator, "ivy@acme.test").await.attempts, 1);
}

#[tokio::test]
async fn what_the_relay_took_before_a_crash_is_sent_again_under_the_same_message_id_and_ends_sent() {
    let sink = SmtpSink::start(Script::accepting().at(At::Content, Answer::Silence).taking_anyway());
    let site = site(&sink, 4).await;
    invite(&mut site.operator().await, "ann@acme.test").await;
    // the relay has the message, and the service not its word yet
    sink.wait_for(1);
    sink.wait_for_silence(1);
    let after = site.after_a_crash().await;
    sink.follow(Script::accepting());
    let messages = sink.wait_for(2);
    assert_eq!(messages[0], messages[1]);
    let mut operator = after.operator().await;
    let mail = settled(&mut operator, "ann@acme.test", DeliveryState::Sent).await;
    assert_eq!((mail.attempts, Some(mail.message_id)), (2, messages[1].header("message-id")));
}

#[tokio::test]
async fn a_relay_that_takes_a_mail_and_denies_it_gets_it_again_under_the_same_message_id() {
    let lie = "451 4.3.0 try again";
    let sink = SmtpSink::start(Script::accepting().say(At::Content, lie).taking_anyway());
    let site = site(&sink, 4).await;
    let mut operator = site.operator().await;
    invite(&mut operator, "ann@acme.test").await;
    assert_eq!(settled(&mut operator, "ann@acme.test", DeliveryState::Queued).await.last_reply, lie);
    sink.follow(Script::accepting());
    retry(&mut operator, "ann@acme.test").await;
    let messages = sink.wait_for(2);
    assert_eq!(messages[0], messages[1]);
    assert_eq!(settled(&mut operator, "ann@acme.test", DeliveryState::Sent).await.attempts, 2);
}

#[tokio::test]
async fn a_fault_of_the_deployment_is_told_with_the_queue_until_a_mail_gets_through_and_fails_none() {
    let sink = SmtpSink::start(Script::accepting().say(At::Greeting, "554 5.7.1 go away"));
    let site = site(&sink, 4).await;
    let mut operator = site.operator().await;
    invite(&mut operator, "ann@acme.test").await;
    let mail = settled(&mut operator, "ann@acme.test", DeliveryState::Queued).await;
    let due = mail.next_attempt_time.expect("another attempt").seconds - BEGINNING.as_micros() / 1_000_000;
    assert!((30..=60).contains(&due), "{due} s");
    let (_, queue) = outbox(&mut operator).await;
    assert_eq!((queue.queued, queue.last_fault.as_str()), (1, "connecting: 554 5.7.1 go away"));
    let info = operator.operations.get_server_info(proto::GetServerInfoRequest {}).await.expect("answered").into_inner();
    assert_eq!(info.mail_queue, Some(queue));

    sink.follow(Script::accepting().about("bob@acme.test", At::Rcpt, Answer::Say("550 5.1.1 no such user".to_owned())));
    site.clock.advance(Duration::from_mins(1));
    invite(&mut operator, "bob@acme.test").await;
    assert_eq!(settled(&mut operator, "bob@acme.test", DeliveryState::Failed).await.last_reply, "550 5.1.1 no such user");
    // woken by bob's, the worker finds that ann's is due too
    settled(&mut operator, "ann@acme.test", DeliveryState::Sent).await;
    let (_, queue) = outbox(&mut operator).await;
    assert_eq!((queue.queued, queue.failed, queue.last_fault.as_str(), queue.oldest_queued_time), (0, 1, "", None));
}

#[tokio::test]
async fn an_invitation_that_was_withdrawn_while_its_mail_waited_is_not_sent_any_more() {
    let sink = SmtpSink::start(Script::accepting().say(At::Rcpt, "451 4.7.1 later"));
    let site = site(&sink, 4).await;
    let mut operator = site.operator().await;
    let invitation = operator.invite("ann@acme.test", Privilege::Normal, &[]).await.expect("invited");
    settled(&mut operator, "ann@acme.test", DeliveryState::Queued).await;
    operator.withdraw(&invitation.id).await.expect("withdrawn");
    sink.follow(Script::accepting());
    retry(&mut operator, "ann@acme.test").await;
    let mail = settled(&mut operator, "ann@acme.test", DeliveryState::Dropped).await;
    assert_eq!(mail.last_reply, "the invitation was withdrawn first");
    assert_eq!((sink.conversations(), sink.messages().len()), (1, 0));
}

#[tokio::test]
async fn mail_goes_through_the_hosts_own_program_which_refuses_and_defers_by_its_exit_code() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("sendmail");
    let place = directory.path().display();
    let text = format!(
        "mail=$(cat)\nfor to; do :; done\ncase $to in bob@*) echo no such user >&2; exit 67;; esac\n\
         [ -e {place}/up ] || exit 75\nprintf '%s\\n' \"$mail\" >{place}/$to\n"
    );
    std::fs::write(&script, text).expect("written");
    let site = Site::with(&format!(
        "web.public_url = 'https://site.test'\nmail = {{ transport = 'sendmail', from = 'noreply@site.test', \
         sendmail = {{ command = '/bin/sh', arguments = ['{}'] }} }}",
        script.display()
    ))
    .await;
    site.account(ACME).await;
    let mut operator = site.operator().await;
    invite(&mut operator, "ann@acme.test").await;
    invite(&mut operator, "bob@acme.test").await;
    let mail = settled(&mut operator, "ann@acme.test", DeliveryState::Queued).await;
    assert_eq!(mail.last_reply, "exit code 75 (EX_TEMPFAIL):");
    let mail = settled(&mut operator, "bob@acme.test", DeliveryState::Failed).await;
    assert_eq!(mail.last_reply, "exit code 67 (EX_NOUSER): no such user");
    std::fs::write(directory.path().join("up"), "").expect("written");
    retry(&mut operator, "ann@acme.test").await;
    let mail = settled(&mut operator, "ann@acme.test", DeliveryState::Sent).await;
    let sent = std::fs::read_to_string(directory.path().join("ann@acme.test")).expect("the program took it");
    assert!(sent.contains(&format!("\nMessage-ID: {}\n", mail.message_id)), "{sent}");
}
