//! A whole run of the real program, with everything logged that can be, and then a search for every secret that it made or was told.

mod relay;

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::Signal;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use user_management::proto::identity_client::IdentityClient;
use user_management::proto::operations_client::OperationsClient;
use user_management::proto::user_management_client::UserManagementClient;
use user_management::proto::{self, Privilege};

use crate::harness::LONG;
use crate::program::{IN_USE, Started, free_address, listens_at, measured, program};
use crate::tls;

/// What nobody may find, and what it is.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn keep(&mut self, what: &'static str, secret: &str) -> String {
        assert!(secret.len() >= 8, "{what} isn't one: {secret:?}");
        self.0.push((what, secret.to_owned()));
        secret.to_owned()
    }

    /// Those that stand in some bytes, as text or as the bytes that the text stands for.
    fn found_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        let holds = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
        let raw = |secret: &str| URL_SAFE_NO_PAD.decode(secret.rsplit('_').next().unwrap_or_default()).ok();
        let hex = |secret: &str| {
            let digits = secret.rsplit(' ').next().unwrap_or_default().trim();
            let pairs = (0..digits.len() / 2).map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok());
            pairs.collect::<Option<Vec<u8>>>()
        };
        let is_there = |secret: &str| {
            // 24 bytes of a token are as good as all of them to whoever looks for it here
            let parts = [raw(secret), hex(secret)].into_iter().flatten().filter_map(|bytes| bytes.get(..24).map(<[u8]>::to_vec));
            std::iter::once(secret.as_bytes().to_vec()).chain(parts).any(|needle| holds(&needle))
        };
        self.0.iter().filter(|(_, secret)| is_there(secret)).map(|(what, _)| *what).collect()
    }
}

/// A request with a bearer token.
fn with<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let bearer: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

/// Waits for a mail to an address with a subject that begins so, and returns its token.
fn mailed(mails: &Path, to: &str, subject: &str) -> String {
    mailed_beside(mails, to, subject, None)
}

/// The same, of another mail than that with a token.
fn mailed_beside(mails: &Path, to: &str, subject: &str, known: Option<&str>) -> String {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        let files = std::fs::read_dir(mails).into_iter().flatten().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "eml")) {
            let mail = std::fs::read_to_string(file).unwrap();
            let is_another = known.is_none_or(|known| !mail.contains(known));
            if is_another && mail.contains(&format!("\r\nTo: {to}\r\n")) && mail.contains(&format!("Subject: {subject}")) {
                return mail.split("Token:\r\n").nth(1).unwrap().lines().next().unwrap().to_owned();
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no mail to {to} with {subject:?}");
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// What each refusal says to its caller, in all its parts.
fn told(refused: Result<impl std::fmt::Debug, Status>) -> Vec<u8> {
    let status = refused.expect_err("refused");
    [status.message().as_bytes(), status.details(), format!("{status:?}").as_bytes()].concat()
}

/// Ann signs up and in, makes a token, mistypes, changes and resets her password; an operator makes tools and another link key. Returns what
/// refusals and lists said. People come over TLS, the operator by the socket.
async fn live(channel: Channel, by_tls: Channel, directory: &Path, secrets: &mut Secrets) -> Vec<u8> {
    let mails = directory.join("user-management-data/mail");
    let (mut users, mut identity, mut operations) =
        (UserManagementClient::new(channel.clone()), IdentityClient::new(by_tls), OperationsClient::new(channel));
    let mut said = Vec::new();
    let account = proto::CreateAccountRequest { name: "acme".to_owned(), display_name: "Acme".to_owned(), ..Default::default() };
    users.create_account(account).await.unwrap();
    let ann = || "ann@acme.test".to_owned();
    let invite = proto::InviteUserRequest {
        account: "acme".to_owned(),
        email: ann(),
        privilege: Privilege::Admin.into(),
        request_id: "11111111-1111-4111-8111-111111111111".to_owned(),
        return_link: true,
        ..Default::default()
    };
    let invited = users.invite_user(invite.clone()).await.unwrap().into_inner();
    secrets.keep("the link of an invitation", &invited.link.unwrap().token);
    assert!(users.invite_user(invite).await.unwrap().into_inner().secret_already_shown);
    let first = secrets.keep("a password", "correct horse battery");
    let sign_up = proto::SignUpRequest { email: ann(), password: first.clone(), display_name: "Ann".to_owned() };
    identity.sign_up(sign_up).await.unwrap();
    secrets.keep("the link of a confirmation", &mailed(&mails, "ann@acme.test", "Confirm your address"));
    identity.resend_confirmation(proto::ResendConfirmationRequest { email: ann() }).await.unwrap();
    let again = mailed(&mails, "ann@acme.test", "Your confirmation links");
    let token = secrets.keep("the link of a confirmation that was sent again", &again);
    let mistyped = secrets.keep("a mistyped password", "correct hoarse battery");
    let wrong = proto::ConfirmEmailRequest { token: token.clone(), password: mistyped.clone() };
    said.extend(told(identity.confirm_email(wrong).await));
    identity.confirm_email(proto::ConfirmEmailRequest { token, password: first.clone() }).await.unwrap();
    said.extend(told(identity.sign_in(proto::SignInRequest { email: ann(), password: mistyped }).await));
    // typed into the wrong field
    let swapped = proto::SignInRequest { email: first.clone(), password: ann() };
    said.extend(told(identity.sign_in(swapped).await));
    let sign_in = proto::SignInRequest { email: ann(), password: first.clone() };
    let session = identity.sign_in(sign_in).await.unwrap().into_inner().session_token;
    let session = secrets.keep("a session", &session);
    let accept = proto::AcceptInvitationRequest { invitation: invited.invitation.unwrap().id, ..Default::default() };
    identity.accept_invitation(with(accept, &session)).await.unwrap();
    let personal = proto::CreateApiTokenRequest { account: "acme".to_owned(), name: "backup".to_owned(), ..Default::default() };
    let personal = identity.create_api_token(with(personal, &session)).await.unwrap().into_inner().token;
    let personal = secrets.keep("a personal token", &personal);
    said.extend(told(operations.list_services(with(proto::ListServicesRequest::default(), &personal)).await));
    said.extend(told(users.get_account(with(proto::GetAccountRequest { account: personal }, &format!("{session}x"))).await));
    let second = secrets.keep("another password", "hammer and tongs, they say");
    let change = proto::ChangePasswordRequest { password: first, new_password: second.clone() };
    identity.change_password(with(change, &session)).await.unwrap();
    let change = proto::ChangeEmailRequest { email: "ann@new.test".to_owned(), password: second };
    identity.change_email(with(change, &session)).await.unwrap();
    secrets.keep("the link of a new address", &mailed(&mails, "ann@new.test", "Confirm your new address"));
    let service = proto::CreateServiceRequest {
        name: "alerting".to_owned(),
        scopes: vec!["access.check".to_owned()],
        ..Default::default()
    };
    let service = operations.create_service(service).await.unwrap().into_inner().token;
    let service = secrets.keep("a service's token", &service);
    said.extend(told(users.get_account(with(proto::GetAccountRequest { account: "acme".to_owned() }, &service)).await));
    // found in somebody's log
    let leaked = |token: String| proto::RevokeTokenRequest {
        token,
        request_id: "22222222-2222-4222-8222-222222222222".to_owned(),
        ..Default::default()
    };
    said.extend(told(operations.revoke_token(leaked(format!("{service}x"))).await));
    said.extend(format!("{:?}", operations.revoke_token(leaked(service)).await.unwrap().into_inner()).into_bytes());
    identity.request_password_reset(proto::RequestPasswordResetRequest { email: ann() }).await.unwrap();
    let reset = secrets.keep("the link of a reset", &mailed(&mails, "ann@acme.test", "Choose a new password"));
    let third = secrets.keep("a third password", "tongs and hammer, they said");
    let weak = secrets.keep("a weak password", "ann@acme.test1");
    said.extend(told(identity.reset_password(proto::ResetPasswordRequest { token: reset.clone(), password: weak }).await));
    identity.reset_password(proto::ResetPasswordRequest { token: reset, password: third }).await.unwrap();
    let (email, display_name) = ("bob@acme.test".to_owned(), "Bob".to_owned());
    let bob = proto::CreateUserRequest { email, display_name, return_link: true, ..Default::default() };
    let link = users.create_user(bob).await.unwrap().into_inner().link.unwrap();
    secrets.keep("the link that sets a password", &link.token);
    secrets.keep("the link key", std::fs::read_to_string(directory.join("user-management-data/link.key")).unwrap().trim());
    operations.rotate_link_key(proto::RotateLinkKeyRequest::default()).await.unwrap();
    secrets.keep("another link key", std::fs::read_to_string(directory.join("user-management-data/link.key")).unwrap().trim());
    let mails = operations.list_mail(proto::ListMailRequest::default()).await.unwrap().into_inner();
    let events = operations.list_events(proto::ListEventsRequest::default()).await.unwrap().into_inner();
    said.extend(format!("{mails:?} {events:?}").into_bytes());
    said
}

/// Invitations are mailed, sent again and made by the batch, and an operator sends Bob links.
async fn link(channel: Channel, directory: &Path, secrets: &mut Secrets) {
    let mails = directory.join("user-management-data/mail");
    let mut users = UserManagementClient::new(channel);
    let (account, kim, invited) = (|| "acme".to_owned(), "kim@acme.test", "You are invited to Acme");
    let privilege = Privilege::Normal.into();
    let invite = proto::InviteUserRequest { account: account(), email: kim.to_owned(), privilege, ..Default::default() };
    let invitation = users.invite_user(invite).await.unwrap().into_inner().invitation.unwrap().id;
    let first = secrets.keep("the link of a mailed invitation", &mailed(&mails, kim, invited));
    let resend = proto::ResendInvitationRequest { account: account(), invitation, ..Default::default() };
    users.resend_invitation(resend).await.unwrap();
    secrets.keep("the link of an invitation that was sent again", &mailed_beside(&mails, kim, invited, Some(&first)));
    let entry = |email: &str| proto::Invitee { email: email.to_owned(), privilege, roles: Vec::new() };
    let invitees = vec![entry("lee@acme.test"), entry("mia@acme.test")];
    let batch = proto::BatchInviteUsersRequest { account: account(), invitees, return_link: true, ..Default::default() };
    for result in users.batch_invite_users(batch).await.unwrap().into_inner().results {
        secrets.keep("the link of a batch", &result.link.unwrap().token);
    }
    let reset = proto::SendPasswordResetRequest { user: "bob@acme.test".to_owned(), ..Default::default() };
    users.send_password_reset(reset.clone()).await.unwrap();
    secrets.keep("the link of an operator's reset", &mailed(&mails, "bob@acme.test", "Choose a"));
    let reset = proto::SendPasswordResetRequest { return_link: true, ..reset };
    let link = users.send_password_reset(reset).await.unwrap().into_inner().link.unwrap();
    secrets.keep("the link of an operator's reset", &link.token);
}

/// Starts the program with its log in a file and waits until it serves; what it logged until then, or all that it said if it
/// ended.
async fn started(mut command: Command, directory: &Path) -> Result<(Started, String), String> {
    let log = directory.join("log");
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut server = Started::new(command);
    let begun = Instant::now();
    loop {
        // before its log is read, so that its last word is there
        let ended = server.child.try_wait().unwrap();
        let said = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
        if said.contains(" serving ") {
            return Ok((server, said));
        }
        if ended.is_some() {
            return Err(said);
        }
        assert!(begun.elapsed() < LONG, "it doesn't serve: {said}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The operators' way in.
async fn by_socket(directory: &Path) -> Channel {
    let socket = directory.join("user-management-data/grpc.sock");
    Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap().connect().await.expect("connected")
}

/// A whole run with a filter of the log, which goes on; answers what was said.
async fn run(filter: &str, directory: &Path, secrets: &mut Secrets) -> (Started, Vec<u8>) {
    let authority = tls::authority();
    tls::settings(directory, &authority);
    let key = std::fs::read_to_string(directory.join("key.pem")).unwrap();
    secrets.keep("the TLS key", key.lines().nth(1).unwrap());
    let (server, logged, metrics) = loop {
        let metrics = free_address();
        let mut command = program(directory);
        command.env("USER_MANAGEMENT_LOG__FILTER", filter).env("USER_MANAGEMENT_METRICS__LISTEN", metrics.to_string());
        command.env("USER_MANAGEMENT_GRPC__LISTEN", "127.0.0.1:0");
        command.env("USER_MANAGEMENT_GRPC__TLS__CERTIFICATE", "cert.pem").env("USER_MANAGEMENT_GRPC__TLS__KEY", "key.pem");
        match started(command, directory).await {
            Ok((server, logged)) => break (server, logged, metrics),
            Err(said) => assert!(said.contains(IN_USE), "it ended: {said}"),
        }
    };
    let listen = logged.lines().find_map(listens_at).expect("an address");
    let by_tls = tls::connect_to(listen, tls::client(&authority, None, tls::BOTH)).await.unwrap();
    let channel = by_socket(directory).await;
    let mut said = live(channel.clone(), by_tls, directory, secrets).await;
    link(channel, directory, secrets).await;
    said.extend(measured(metrics).into_bytes());
    (server, said)
}

#[tokio::test]
async fn no_secret_of_a_whole_run_is_in_its_log_data_mails_answers_metrics_or_exports() {
    let directory = tempfile::tempdir().unwrap();
    let mut secrets = Secrets::default();
    let (mut server, said) = run("trace", directory.path(), &mut secrets).await;
    assert_eq!(secrets.found_in(&said), [""; 0], "in answers");
    for (what, arguments) in
        [("an export", &["events", "export"][..]), ("the status", &["status"]), ("a list", &["mail", "list"])]
    {
        let output = program(directory.path()).args(arguments).output().unwrap();
        assert!(!output.stdout.is_empty(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(secrets.found_in(&[output.stdout, output.stderr].concat()), [""; 0], "in {what}");
    }
    // while it runs: the database's log is there
    let data = directory.path().join("user-management-data");
    for file in files_below(&data).into_iter().filter(|file| !file.ends_with("grpc.sock")) {
        let mut bytes = Vec::new();
        std::fs::File::open(&file).unwrap().read_to_end(&mut bytes).unwrap();
        let name = file.strip_prefix(&data).unwrap().display().to_string();
        let found = secrets.found_in(&bytes);
        if name == "link.key" {
            assert!(found.contains(&"another link key"), "the search finds what is there: {found:?}");
        } else if name.starts_with("mail/") {
            assert!(found.iter().all(|what| what.starts_with("the link of a")), "{found:?} in {name}");
        } else {
            assert_eq!(found, [""; 0], "in {name}");
        }
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{name} is its owner's alone");
    }
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    let logged = std::fs::read(directory.path().join("log")).unwrap();
    assert!(String::from_utf8_lossy(&logged).contains("TRACE"), "all that can be is logged");
    assert_eq!(secrets.found_in(&logged), [""; 0], "in the log");
}

#[tokio::test]
async fn no_address_is_in_the_log_of_a_whole_run_unless_it_is_asked_for_more_than_usual() {
    let directory = tempfile::tempdir().unwrap();
    let mut secrets = Secrets::default();
    let (mut server, _) = run("info", directory.path(), &mut secrets).await;
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    let logged = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(logged.contains("INFO"), "{logged}");
    for domain in ["@acme.test", "@new.test"] {
        assert!(!logged.contains(domain), "{logged}");
    }
    assert_eq!(secrets.found_in(logged.as_bytes()), [""; 0], "in the log");
}

/// Whom the kernel lets at a process's memory: its own user, unless the process forbids that; then root.
fn owner_of_memory(child: &Child) -> u32 {
    std::fs::metadata(format!("/proc/{}/mem", child.id())).unwrap().uid()
}

#[test]
fn its_memory_goes_into_no_core_dump_and_is_for_no_other_process_of_its_user_to_read() {
    const NOBODY: u32 = 65_534;
    let directory = tempfile::tempdir().unwrap();
    let (mut command, mut another) = (program(directory.path()), Command::new("cat"));
    another.stdin(Stdio::piped()).stdout(Stdio::null());
    // root may read all memory, so it is tried as somebody else, who may not come to where the program was built
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        let copy = directory.path().join("program");
        std::fs::copy(env!("CARGO_BIN_EXE_user-management"), &copy).unwrap();
        // what can't be read isn't dumped anyhow
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        command = Command::new(&copy);
        command.env_clear().current_dir(directory.path()).env("USER_MANAGEMENT_GRPC__LISTEN", "").stderr(Stdio::piped());
        command.uid(NOBODY).gid(NOBODY);
        another.uid(NOBODY).gid(NOBODY);
    }
    let user = if is_root { NOBODY } else { rustix::process::geteuid().as_raw() };
    let mut server = Started::new(command);
    server.read_until("serving");
    assert_eq!(owner_of_memory(&server.child), 0);
    let mut another = another.spawn().unwrap();
    assert_eq!(owner_of_memory(&another), user, "as of any program that doesn't forbid it");
    drop(another.stdin.take());
    another.wait().unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("Linux tells");
    assert_eq!(cores.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}
