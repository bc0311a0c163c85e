//! The password of a relay, which the program is told and tells the relay alone.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use user_management::proto::operations_client::OperationsClient;
use user_management::proto::user_management_client::UserManagementClient;
use user_management::proto::{self, DeliveryState, Privilege};

use super::{Secrets, by_socket, files_below, started};
use crate::harness::LONG;
use crate::program::program;
use crate::tls;
use crate::tls_relay::{Begins, Login, TlsRelay};

const USER: &str = "mailer";
const PASSWORD: &str = "hunter2 and all the others";

/// A mail goes to a relay, which takes the password or not; answers what was said of it, and by `check-config`.
async fn mailing(directory: &Path, relay: &TlsRelay, expected: (DeliveryState, &str)) -> Vec<u8> {
    tls::write_private(&directory.join("relay.pem"), relay.certificate.as_bytes());
    let configured = || {
        let mut command = program(directory);
        let (port, security) = (relay.address.port().to_string(), "implicit-tls");
        let smtp = [("HOST", "localhost"), ("PORT", &port), ("SECURITY", security), ("CA_FILE", "relay.pem")];
        let smtp = [&smtp[..], &[("USERNAME", USER), ("PASSWORD", PASSWORD)]].concat();
        command.envs(smtp.iter().map(|(key, value)| (format!("USER_MANAGEMENT_MAIL__SMTP__{key}"), value)));
        command.env("USER_MANAGEMENT_MAIL__TRANSPORT", "smtp").env("USER_MANAGEMENT_MAIL__FROM", "noreply@acme.test");
        command.env("USER_MANAGEMENT_WEB__PUBLIC_URL", "https://users.acme.test").env("USER_MANAGEMENT_LOG__FILTER", "trace");
        command
    };
    let (mut server, _) = started(configured(), directory).await.unwrap_or_else(|said| panic!("it ended: {said}"));
    let channel = by_socket(directory).await;
    let (mut users, mut operations) = (UserManagementClient::new(channel.clone()), OperationsClient::new(channel));
    let account = proto::CreateAccountRequest { name: "acme".to_owned(), ..Default::default() };
    users.create_account(account).await.unwrap();
    let (account, email) = ("acme".to_owned(), "ann@acme.test".to_owned());
    let invite = proto::InviteUserRequest { account, email, privilege: Privilege::Admin.into(), ..Default::default() };
    users.invite_user(invite).await.unwrap();
    let begun = Instant::now();
    let tried = loop {
        let mails = operations.list_mail(proto::ListMailRequest::default()).await.unwrap().into_inner();
        let [mail] = &mails.mails[..] else { panic!("one mail: {mails:?}") };
        if mail.attempts > 0 && !mail.last_reply.is_empty() {
            assert_eq!((mail.state(), mail.last_reply.as_str()), expected);
            break mails;
        }
        assert!(begun.elapsed() < LONG, "nobody tries: {mails:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let info = operations.get_server_info(proto::GetServerInfoRequest {}).await.unwrap().into_inner();
    let explained = configured().arg("check-config").output().unwrap();
    assert!(String::from_utf8_lossy(&explained.stdout).contains("mail.smtp.password"));
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    [format!("{tried:?} {info:?}").into_bytes(), explained.stdout, explained.stderr].concat()
}

#[tokio::test]
async fn the_password_of_a_relay_is_in_no_log_answer_data_or_explanation_whether_the_relay_takes_or_repeats_it() {
    let mut secrets = Secrets::default();
    secrets.keep("the relay's password", PASSWORD);
    secrets.keep("the password as it is sent", &STANDARD.encode(PASSWORD));
    let sent = secrets.keep("user and password as they are sent", &STANDARD.encode(format!("\0{USER}\0{PASSWORD}")));
    for (login, expected) in
        [(Login::Taken, (DeliveryState::Sent, "250 taken")), (Login::RefusedWithAnEcho, (DeliveryState::Queued, "AUTH: 535"))]
    {
        let directory = tempfile::tempdir().unwrap();
        let relay = TlsRelay::start("localhost", Begins::AtOnce, login);
        let said = mailing(directory.path(), &relay, expected).await;
        assert_eq!(relay.credentials().as_ref(), Some(&sent), "what is searched for is what was sent");
        assert_eq!(secrets.found_in(&said), [""; 0], "in answers");
        for file in files_below(directory.path()) {
            assert_eq!(secrets.found_in(&std::fs::read(&file).unwrap()), [""; 0], "in {}", file.display());
        }
    }
}
