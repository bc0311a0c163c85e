//! Mail against a relay that speaks SMTP.

#[path = "suite/skipped.rs"]
mod skipped;
#[allow(dead_code, reason = "tests of the whole service use the rest of it")]
#[path = "suite/smtp_sink.rs"]
mod smtp_sink;
#[allow(dead_code, reason = "tests of the whole program use the rest of it")]
#[path = "suite/tls_relay.rs"]
mod tls_relay;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use smtp_sink::{Answer, At, Script, SmtpSink};
use tls_relay::{Begins, Login, TlsRelay};
use user_management::config::mail::{MailTransport, SmtpSecurity, SmtpSettings};
use user_management::domain::clock::Timestamp;
use user_management::domain::email::Email;
use user_management::mail::{ConfirmationLink, Letter, OpenError, Rendered, Renderer, SendFault, Transport};
use user_management::ownership::own_or_root;

const TOKEN: &str = "AQAAAAEBkyJ3vgB7u5tGxQpZ2mL8kR4sT6vW0yX1zA3bC5dE7fG9hI-jK_lM2nO4pQ6rS8t";

fn settings(port: u16) -> SmtpSettings {
    SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        security: SmtpSecurity::Plaintext,
        credentials: None,
        ca_file: None,
        timeout: Duration::from_secs(10),
    }
}

fn mail() -> Rendered {
    let renderer = Renderer::new("https://site.test", "Circonus <no-reply@site.test>").expect("valid");
    let link = ConfirmationLink {
        requested: Timestamp::from_micros(0),
        token: SecretString::from(TOKEN),
        expires: Timestamp::from_micros(86_400_000_000),
    };
    let ann = Email::parse("Ann@acme.test").expect("valid");
    renderer.render(&Letter::Confirmation(link), &ann, "mail_1@site.test", Timestamp::from_micros(0)).expect("rendered")
}

async fn send(settings: SmtpSettings) -> Result<String, SendFault> {
    Transport::open(&MailTransport::Smtp(settings), &own_or_root()).expect("opened").send(&mail()).await
}

async fn send_to(sink: &SmtpSink) -> Result<String, SendFault> {
    send(settings(sink.address().port())).await
}

fn login(settings: SmtpSettings) -> SmtpSettings {
    SmtpSettings { credentials: Some(("mailer".to_owned(), SecretString::from("secret"))), ..settings }
}

fn fault_of_the_deployment(outcome: Result<String, SendFault>) -> String {
    match outcome {
        Err(SendFault::Deployment(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_relay_gets_the_mail_as_it_was_rendered() {
    let sink = SmtpSink::start(Script::accepting());
    assert_eq!(send_to(&sink).await, Ok("250 2.0.0 taken".to_owned()));
    let messages = sink.wait_for(1);
    assert_eq!(messages[0].from, "no-reply@site.test");
    assert_eq!(messages[0].to, ["Ann@acme.test"]);
    assert_eq!(messages[0].content.trim_end().as_bytes(), mail().bytes().trim_ascii_end());
    assert_eq!(messages[0].header("message-id").as_deref(), Some("<mail_1@site.test>"));
    assert_eq!(messages[0].tokens(), [TOKEN]);
    assert_eq!(messages[0].credentials, None);
}

#[tokio::test]
async fn only_a_permanent_reply_to_recipient_or_content_is_final() {
    for at in [At::Rcpt, At::Data, At::Content] {
        let sink = SmtpSink::start(Script::accepting().say(at, "550 5.1.1 no such user"));
        assert_eq!(send_to(&sink).await, Err(SendFault::Refused("550 5.1.1 no such user".to_owned())), "{at:?}");
        assert!(sink.messages().is_empty());
    }
    for (at, phase) in [(At::Greeting, "connecting"), (At::Mail, "MAIL FROM")] {
        let sink = SmtpSink::start(Script::accepting().say(at, "554 5.7.1 go away"));
        assert_eq!(fault_of_the_deployment(send_to(&sink).await), format!("{phase}: 554 5.7.1 go away"));
    }
}

#[tokio::test]
async fn a_temporary_reply_defers_the_mail() {
    for at in [At::Mail, At::Rcpt, At::Data, At::Content] {
        let sink = SmtpSink::start(Script::accepting().say(at, "451 4.7.1 greylisted"));
        assert_eq!(send_to(&sink).await, Err(SendFault::Deferred("451 4.7.1 greylisted".to_owned())), "{at:?}");
        sink.follow(Script::accepting());
        assert!(send_to(&sink).await.is_ok());
        assert_eq!(sink.messages().len(), 1);
    }
}

#[tokio::test]
async fn a_relay_that_answers_out_of_turn_has_not_taken_the_mail() {
    for (at, line, phase) in
        [(At::Mail, "354 go ahead", "MAIL FROM"), (At::Rcpt, "354 go ahead", "RCPT TO"), (At::Data, "250 2.0.0 taken", "DATA")]
    {
        let sink = SmtpSink::start(Script::accepting().say(at, line));
        assert_eq!(fault_of_the_deployment(send_to(&sink).await), format!("{phase}: answered out of turn: {line}"));
    }
    // it may have been taken, so that trying again has to end some day
    let sink = SmtpSink::start(Script::accepting().say(At::Content, "354 go ahead"));
    assert_eq!(send_to(&sink).await, Err(SendFault::Deferred("message: answered out of turn: 354 go ahead".to_owned())));
}

#[tokio::test]
async fn a_relay_too_busy_to_greet_would_be_so_to_every_mail() {
    let sink = SmtpSink::start(Script::accepting().say(At::Greeting, "421 4.3.2 too many connections"));
    assert_eq!(fault_of_the_deployment(send_to(&sink).await), "connecting: 421 4.3.2 too many connections");
}

#[tokio::test]
async fn credentials_are_sent_and_wrong_or_unwanted_or_missing_ones_are_the_deployments_fault() {
    let sink = SmtpSink::start(Script::accepting().offering_auth());
    let with_login = || send(login(settings(sink.address().port())));
    assert!(with_login().await.is_ok());
    // base64 of \0mailer\0secret
    assert_eq!(sink.wait_for(1)[0].credentials.as_deref(), Some("AG1haWxlcgBzZWNyZXQ="));

    sink.follow(Script::accepting().offering_auth().say(At::Auth, "535 5.7.8 bad credentials"));
    assert_eq!(fault_of_the_deployment(with_login().await), "AUTH: 535");
    for echo in ["501 AUTH PLAIN AG1haWxlcgBzZWNyZXQ=", "AUTH PLAIN AG1haWxlcgBzZWNyZXQ=", "535-secret\r\n535 secret"] {
        sink.follow(Script::accepting().offering_auth().say(At::Auth, echo));
        let told = fault_of_the_deployment(with_login().await);
        assert!(told.starts_with("AUTH: ") && !told.contains("AG1h") && !told.contains("secret"), "{told}");
    }
    sink.follow(Script::accepting());
    assert!(fault_of_the_deployment(with_login().await).starts_with("AUTH: "));
    sink.follow(Script::accepting().say(At::Rcpt, "530 5.7.0 authentication required"));
    assert_eq!(fault_of_the_deployment(send_to(&sink).await), "RCPT TO: 530 5.7.0 authentication required");
    assert_eq!(sink.messages().len(), 1);
}

#[tokio::test]
async fn a_silent_relay_costs_the_timeout_and_no_more() {
    for (at, phase) in [(At::Greeting, "connecting"), (At::Rcpt, "RCPT TO"), (At::Content, "message")] {
        let sink = SmtpSink::start(Script::accepting().at(at, Answer::Silence));
        let begun = Instant::now();
        let timeout = Duration::from_millis(250);
        let outcome = send(SmtpSettings { timeout, ..settings(sink.address().port()) }).await;
        assert_eq!(fault_of_the_deployment(outcome), format!("{phase}: no answer within 0.25 s"));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_mail_that_was_taken_stays_sent_when_the_farewell_is_not_answered() {
    for answer in [Answer::Silence, Answer::Drop, Answer::Say("500 5.5.1 what".to_owned())] {
        let sink = SmtpSink::start(Script::accepting().at(At::Quit, answer));
        assert_eq!(send_to(&sink).await, Ok("250 2.0.0 taken".to_owned()));
    }
}

#[tokio::test]
async fn a_repetition_after_a_lost_reply_has_the_same_message_id() {
    let sink = SmtpSink::start(Script::accepting().at(At::Content, Answer::Drop));
    assert!(fault_of_the_deployment(send_to(&sink).await).starts_with("message: "));
    sink.follow(Script::accepting());
    assert!(send_to(&sink).await.is_ok());
    let messages = sink.wait_for(2);
    assert_eq!(messages[0], messages[1]);
    assert_eq!(sink.conversations(), 2);
}

#[tokio::test]
async fn no_relay_and_no_name_are_faults_of_the_deployment() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    assert!(fault_of_the_deployment(send(settings(free.port())).await).starts_with("connecting: "));
    let nowhere = SmtpSettings { host: "relay.invalid".to_owned(), timeout: Duration::from_secs(5), ..settings(25) };
    assert!(fault_of_the_deployment(send(nowhere).await).starts_with("connecting: "));
}

#[tokio::test]
async fn a_relay_without_starttls_gets_neither_credentials_nor_mail() {
    let sink = SmtpSink::start(Script::accepting().offering_auth());
    let settings = SmtpSettings { security: SmtpSecurity::StartTls, ..login(settings(sink.address().port())) };
    assert!(fault_of_the_deployment(send(settings).await).starts_with("STARTTLS: "));
    assert!(sink.messages().is_empty());
}

/// Sends through a relay whose certificate is for `name`; answers the outcome and what the relay heard.
async fn send_through(name: &str, begins: Begins) -> (Result<String, SendFault>, Vec<String>) {
    let relay = TlsRelay::start(name, begins, Login::Taken);
    let directory = tempfile::tempdir().expect("a directory");
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, &relay.certificate).expect("written");
    let security = if matches!(begins, Begins::AtOnce) { SmtpSecurity::ImplicitTls } else { SmtpSecurity::StartTls };
    let settings = SmtpSettings {
        host: "localhost".to_owned(),
        security,
        ca_file: Some(ca),
        timeout: Duration::from_secs(5),
        ..login(settings(relay.address.port()))
    };
    (send(settings).await, relay.heard())
}

#[tokio::test]
async fn credentials_and_mail_go_through_tls_with_the_configured_ca() {
    let through_tls = ["EHLO in TLS", "AUTH in TLS", "MAIL in TLS", "RCPT in TLS", "DATA in TLS", "QUIT in TLS"];
    let (outcome, heard) = send_through("localhost", Begins::AtOnce).await;
    assert_eq!(outcome, Ok("250 taken".to_owned()));
    assert_eq!(heard, through_tls);
    let (outcome, heard) = send_through("localhost", Begins::WhenAsked).await;
    assert_eq!(outcome, Ok("250 taken".to_owned()));
    assert_eq!(heard[..2], ["EHLO", "STARTTLS"]);
    assert_eq!(heard[2..], through_tls);
}

#[tokio::test]
async fn a_certificate_for_another_name_gets_nothing() {
    for begins in [Begins::AtOnce, Begins::WhenAsked] {
        let (outcome, heard) = send_through("other.test", begins).await;
        assert!(fault_of_the_deployment(outcome).contains("certificate"));
        assert!(!heard.iter().any(|command| command.ends_with("in TLS")), "{heard:?}");
    }
}

#[tokio::test]
async fn a_reply_added_in_the_clear_is_not_taken_for_one_that_came_through_tls() {
    let (outcome, heard) = send_through("localhost", Begins::WhenAskedBehindALine).await;
    assert!(fault_of_the_deployment(outcome).starts_with("STARTTLS: "));
    assert_eq!(heard, ["EHLO", "STARTTLS"]);
}

#[test]
fn a_password_does_not_cross_the_network_in_the_clear() {
    let remote = SmtpSettings { host: "relay.test".to_owned(), ..login(settings(25)) };
    assert!(matches!(Transport::open(&MailTransport::Smtp(remote), &own_or_root()), Err(OpenError::CredentialsInTheClear)));
}

#[test]
fn a_ca_file_that_is_missing_empty_or_damaged_is_found_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    let open = || {
        let settings = SmtpSettings { security: SmtpSecurity::StartTls, ca_file: Some(path.clone()), ..settings(587) };
        Transport::open(&MailTransport::Smtp(settings), &own_or_root()).err()
    };
    assert!(matches!(open(), Some(OpenError::CaFile { .. })));
    for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, content).expect("written");
        assert!(matches!(open(), Some(OpenError::CaCertificates(_))), "{content}");
    }
    let ca = rcgen::generate_simple_self_signed(vec!["relay.test".to_owned()]).expect("a certificate");
    std::fs::write(&path, ca.cert.pem()).expect("written");
    assert!(open().is_none());
}

/// Runs `send-test-mail` against a relay; answers its exit code and what it printed.
fn test_mail(sink: &SmtpSink, address: &str) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_user-management"));
    command.env_clear().current_dir(directory.path()).args(["send-test-mail", address]);
    for (key, value) in [
        ("WEB__PUBLIC_URL", "https://site.test"),
        ("MAIL__FROM", "Circonus <no-reply@site.test>"),
        ("MAIL__REPLY_TO", "Help <help@site.test>"),
        ("MAIL__TRANSPORT", "smtp"),
        ("MAIL__SMTP__HOST", "127.0.0.1"),
        ("MAIL__SMTP__SECURITY", "plaintext"),
        ("MAIL__SMTP__PORT", &sink.address().port().to_string()),
    ] {
        command.env(format!("USER_MANAGEMENT_{key}"), value);
    }
    let output = command.output().expect("run");
    assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0, "it made something");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_test_mail_tells_what_the_relay_said_or_what_is_wrong() {
    let sink = SmtpSink::start(Script::accepting());
    let sent = test_mail(&sink, "ann@acme.test");
    assert_eq!(sent, (Some(0), "ann@acme.test: 250 2.0.0 taken\n".to_owned(), String::new()));
    let messages = sink.wait_for(1);
    assert_eq!(messages[0].to, ["ann@acme.test"]);
    assert_eq!(messages[0].header("subject").as_deref(), Some("Test mail from https://site.test"));
    assert_eq!(messages[0].header("reply-to").as_deref(), Some("Help <help@site.test>"));
    assert_eq!(messages[0].header("auto-submitted").as_deref(), Some("auto-generated"));

    for (at, line, said) in [
        (At::Rcpt, "550 5.1.1 no such user", "refused: 550 5.1.1 no such user"),
        (At::Rcpt, "451 4.7.1 later", "deferred: 451 4.7.1 later"),
        (At::Greeting, "554 5.7.1 go away", "connecting: 554 5.7.1 go away"),
    ] {
        sink.follow(Script::accepting().say(at, line));
        let failed = (Some(1), String::new(), format!("user-management: the mail wasn't taken: {said}\n"));
        assert_eq!(test_mail(&sink, "ann@acme.test"), failed);
    }
    let (code, _, said) = test_mail(&sink, "ann@-v");
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn a_test_mail_by_root_runs_nobody_elses_program() {
    if !rustix::process::geteuid().is_root() {
        return skipped::skipped("for want of root: a program of another user");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let (program, ran) = (directory.path().join("sendmail"), directory.path().join("ran"));
    std::fs::write(&program, format!("#!/bin/sh\ntouch {}\n", ran.display())).expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let run = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_user-management"));
        command.env_clear().current_dir(directory.path()).args(["send-test-mail", "ann@acme.test"]);
        for (key, value) in [
            ("WEB__PUBLIC_URL", "https://site.test"),
            ("MAIL__FROM", "no-reply@site.test"),
            ("MAIL__TRANSPORT", "sendmail"),
            ("MAIL__SENDMAIL__COMMAND", program.to_str().expect("UTF-8")),
        ] {
            command.env(format!("USER_MANAGEMENT_{key}"), value);
        }
        let output = command.output().expect("run");
        (output.status.success(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (is_sent, said) = run();
    assert!(is_sent && std::fs::remove_file(&ran).is_ok(), "{said}");
    std::os::unix::fs::chown(&program, Some(65_534), None).expect("given away");
    // not of whom the data belongs to either
    let data = directory.path().join("user-management-data");
    for there in [false, true] {
        if there {
            std::fs::create_dir(&data).expect("made");
            std::os::unix::fs::chown(&data, Some(65_534), None).expect("given away");
        }
        let (is_sent, said) = run();
        assert!(!is_sent && said.contains("belongs to uid 65534 instead of uid 0") && !ran.exists(), "{said}");
    }
}
