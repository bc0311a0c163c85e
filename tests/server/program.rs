//! The program as it is started: exit codes, what standard error says, signals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use futures_util::stream;
use rustix::process::{Pid, Signal, kill_process};
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use user_management::domain::clock::Clock;
use user_management::domain::head::heads_in;
use user_management::proto::operations_client::OperationsClient;
use user_management::proto::user_management_client::UserManagementClient;
use user_management::proto::{GetAccountRequest, GetServerInfoRequest};

use crate::harness::LONG;
use crate::tls;

/// What the program says if somebody else listens where it should.
pub(crate) const IN_USE: &str = "the address is in use";

/// After 1970 began; its first second counts too.
const YEAR_3000: Duration = Duration::from_hours(9_028_800);

/// The program, with the sockets of a directory alone.
pub(crate) fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_user-management"));
    command.env_clear().current_dir(directory).env("USER_MANAGEMENT_GRPC__LISTEN", "").stderr(Stdio::piped());
    command
}

/// The same with the certificate and the key of the directory.
fn secured(directory: &Path) -> Command {
    let mut command = program(directory);
    command.env("USER_MANAGEMENT_GRPC__TLS__CERTIFICATE", "cert.pem").env("USER_MANAGEMENT_GRPC__TLS__KEY", "key.pem");
    command
}

/// An address of this host where nobody listens now. Somebody may before it is used: then the program ends with [`IN_USE`].
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The address at which the program takes TCP connections, if a line of its log tells it.
pub(crate) fn listens_at(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("tcp:")?;
    address.split(['"', ' ', '\n']).next()?.parse().ok()
}

/// What metrics say.
pub(crate) fn measured(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("user_management_requests_total"), "{text}");
    text
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A running program, killed if the test ends before it.
pub(crate) struct Started {
    pub(crate) child: Child,
    /// Until something in it is listened for.
    stderr: Option<BufReader<ChildStderr>>,
}

impl Started {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().map(BufReader::new);
        Self { child, stderr }
    }

    /// Reads what it logs until a line holds the text; that line.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        self.find(text).unwrap_or_else(|said| panic!("it ended without {text:?}: {said}"))
    }

    /// The same; all that it said if it ended before.
    pub(crate) fn find(&mut self, text: &str) -> Result<String, String> {
        let stderr = self.stderr.as_mut().unwrap();
        let mut said = String::new();
        loop {
            let before = said.len();
            if stderr.read_line(&mut said).unwrap() == 0 {
                return Err(said);
            }
            if said[before..].contains(text) {
                return Ok(said.split_off(before));
            }
        }
    }

    /// Reads what it logs from now on, for it stands still when nobody does; the lines that hold the text are handed on until it ends.
    pub(crate) fn listen_for(&mut self, text: &'static str) -> Receiver<String> {
        let stderr = self.stderr.take().unwrap();
        let (hand, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok).filter(|line| line.contains(text)) {
                // nobody may want to know
                let _ = hand.send(line);
            }
        });
        lines
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bad_configuration_is_one_line_for_each_problem_and_exit_code_2() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["check-config"][..], &["serve"][..], &[][..]] {
        let mut command = program(directory.path());
        command.args(arguments).env("USER_MANAGEMENT_SINGUP", "open").env("USER_MANAGEMENT_LIMITS__CONNECTIONS", "none");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            said(&output),
            "user-management: limits.connections (environment variable USER_MANAGEMENT_LIMITS__CONNECTIONS): \
             must be a whole number from 1 to 100000\n\
             user-management: singup (environment variable USER_MANAGEMENT_SINGUP): unknown key\n"
        );
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn check_config_prints_what_counts_and_serves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let output = program(directory.path()).args(["check-config", "--edition", "saas"]).output().unwrap();
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("edition = \"saas\"  # flag --edition\n"), "{text}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn what_others_could_read_or_bend_is_told_by_check_config_as_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Started::new(program(directory.path()));
    server.read_until("serving");
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    let set = |path: &str, mode: u32| {
        std::fs::set_permissions(directory.path().join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let refused = |path: &str, mode: u32, what: &str| {
        let right = std::fs::metadata(directory.path().join(path)).unwrap().permissions().mode();
        set(path, mode);
        for argument in ["check-config", "serve"] {
            let output = program(directory.path()).arg(argument).output().unwrap();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{argument} {path}");
            let lines = said(&output);
            let first = lines.lines().next().unwrap();
            assert!(first.contains(path) && first.contains(what), "{argument}: {lines}");
            // what is wrong with a directory is so for each that lies in it, of which the start tells the first
            assert!(lines.lines().count() == 1 || argument == "check-config", "{argument}: {lines}");
        }
        set(path, right);
    };
    refused("user-management-data/user-management.db", 0o666, "can be read or written by other users; make it 0600");
    refused("user-management-data/mail", 0o777, "can be written by other users; make it 0700");
    refused("user-management-data", 0o770, "can be written by other users; make it 0700");
    refused("user-management-data/link.key", 0o644, "can be read by other users; make it 0600");
    let place = directory.path().canonicalize().unwrap();
    refused("", 0o777, &format!("lies below {}, which everybody may write", place.display()));
    set("", 0o700);
    let key = directory.path().join("user-management-data/link.key");
    let right = std::fs::read(&key).unwrap();
    std::fs::write(&key, "junk").unwrap();
    refused("user-management-data/link.key", 0o600, "must hold a number and 64 hexadecimal digits");
    std::fs::remove_file(&key).unwrap();
    std::fs::write(directory.path().join("none.pem"), "").unwrap();
    set("none.pem", 0o600);
    let files = [("GRPC__TLS__CERTIFICATE", "none.pem"), ("GRPC__TLS__KEY", "none.pem"), ("MAIL__TEMPLATES", "nowhere")];
    let files = files.map(|(key, value)| (format!("USER_MANAGEMENT_{key}"), value));
    let output = program(directory.path()).arg("check-config").envs(files).output().unwrap();
    let all = said(&output);
    assert!(output.status.code() == Some(1) && all.lines().count() == 3, "{all}");
    for fault in ["link.key is missing", "mail: the template directory nowhere", "can't use none.pem for TLS"] {
        assert!(all.contains(fault), "{all}");
    }
    // nobody writes into it, so reading would wait for ever
    rustix::fs::mknodat(rustix::fs::CWD, &key, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    refused("user-management-data/link.key", 0o600, "it is no plain file");
    std::fs::remove_file(&key).unwrap();
    let output = program(directory.path()).arg("check-config").output().unwrap();
    assert!(output.status.code() == Some(1) && said(&output).contains("is missing beside an existing database"), "{output:?}");
    std::fs::write(&key, right).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    set("", 0o1777);
    let output = program(directory.path()).arg("check-config").output().unwrap();
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""), "nobody deletes what isn't theirs in a sticky one");
    // root may look on behalf of whom the directory belongs to
    if rustix::process::geteuid().is_root() {
        let data = directory.path().join("user-management-data");
        let within = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
        for path in within.chain([data.clone()]) {
            std::os::unix::fs::chown(path, Some(65_534), None).unwrap();
        }
        let looks = |command: &mut Command| {
            let output = command.arg("check-config").output().unwrap();
            assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""));
        };
        looks(&mut program(directory.path()));
        // and where there is no data, can't say whose the directories beside it have to be
        let settings = [("DATA_DIR", "nowhere"), ("GRPC__SOCKET", "user-management-data/grpc.sock")];
        let settings = settings.into_iter().chain([("MAIL__DIRECTORY__PATH", "user-management-data/mail")]);
        looks(program(directory.path()).envs(settings.map(|(key, value)| (format!("USER_MANAGEMENT_{key}"), value))));
    } else {
        crate::skipped("for want of root: check-config on behalf of another user");
    }
}

#[test]
fn a_configuration_that_others_could_write_is_taken_by_no_command() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("site.toml");
    std::fs::write(&file, "signup = 'open'").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    for argument in ["check-config", "serve", "status"] {
        let output = program(directory.path()).args([argument, "--config", "site.toml"]).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{argument}: {said}");
        assert!(
            said.starts_with("user-management: site.toml: can be written by other users") && said.lines().count() == 1,
            "{said}"
        );
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was made");
}

#[test]
fn a_second_server_is_told_so_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Started::new(program(directory.path()));
    first.read_until("serving");
    let refused = |command: &mut Command, why: &str| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let line = said(&output);
        assert!(line.starts_with("user-management: ") && line.contains(why), "{line}");
        assert_eq!(line.lines().count(), 1);
    };
    refused(&mut program(directory.path()), "is in use by another server or command");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let taken_by_us = std::net::TcpListener::bind(&taken).unwrap();
    refused(program(directory.path()).args(["--data-dir", "another", "--listen", &taken]), "is another server running?");
    drop(taken_by_us);
    first.signal(Signal::TERM);
    assert!(first.child.wait().unwrap().success(), "the first one ends in order");
}

#[test]
fn the_head_of_history_is_logged_at_the_start_and_at_the_end_as_a_word_that_is_found_again_whatever_else_is_logged() {
    for filter in ["info", "error", "off", "user_management=warn,user_management::head=off"] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program(directory.path());
        command.env("USER_MANAGEMENT_LOG__FILTER", filter);
        let mut server = Started::new(command);
        server.read_until("the head of history");
        // signals are listened for before anything is logged
        server.signal(Signal::TERM);
        let mut rest = String::new();
        server.stderr.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        assert!(server.child.wait().unwrap().success());
        let told = heads_in(&rest);
        assert_eq!(told.iter().map(|head| head.seq).collect::<Vec<_>>(), [1], "{filter}: {rest}");
    }
}

#[tokio::test]
async fn sighup_loads_certificates_anew_and_does_no_harm_without_any() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Started::new(program(directory.path()));
    server.read_until("serving");
    server.signal(Signal::HUP);
    server.read_until("there are none in use");
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    tls::settings(directory.path(), &tls::authority());
    std::fs::write(directory.path().join("ca.pem"), tls::certificate_within(2000, YEAR_3000).0).unwrap();
    let mut command = secured(directory.path());
    command.env("USER_MANAGEMENT_GRPC__TLS__CLIENT_CA", "ca.pem");
    let mut server = Started::new(command);
    server.read_until("serving");
    let socket = directory.path().join("user-management-data/grpc.sock");
    let channel = Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap().connect().await.expect("connected");
    let open = ServerReflectionClient::new(channel.clone()).server_reflection_info(stream::pending()).await.expect("a stream");
    server.signal(Signal::HUP);
    server.read_until("certificates were loaded anew");
    std::fs::write(directory.path().join("key.pem"), "half").unwrap();
    server.signal(Signal::HUP);
    server.read_until("the old ones stay in use");
    let mut operations = OperationsClient::new(channel);
    let info = operations.get_server_info(GetServerInfoRequest {}).await.expect("answered").into_inner();
    let tls = info.tls.expect("TLS");
    assert_eq!(tls.client_ca_expire_time.map(|time| time.seconds), Some(YEAR_3000.as_secs().cast_signed() + 1));
    assert!(tls.last_fault.contains("key.pem") && tls.certificate_expire_time.is_some(), "{tls:?}");
    let output = program(directory.path()).arg("status").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let until = "certificates  until 4096-01-01T00:00:01Z, authorities until 3000-01-01T00:00:01Z\n";
    assert!(told.contains(until) && told.contains("needs attention: certificates weren't"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    drop(open);
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn what_expires_within_two_weeks_is_told_at_the_start_and_at_a_reload_and_needs_attention() {
    let directory = tempfile::tempdir().unwrap();
    let days = |days: u64| {
        let end = Clock::System.now().plus(Duration::from_hours(24 * days)).as_micros();
        let (certificate, key) = tls::certificate_within(2000, Duration::from_micros(end.try_into().unwrap()));
        for (name, text) in [("cert.pem", certificate), ("key.pem", key)] {
            tls::write_private(&directory.path().join(name), text.as_bytes());
        }
    };
    let status = || {
        let output = program(directory.path()).arg("status").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    days(5);
    let mut server = Started::new(secured(directory.path()));
    let warned = server.read_until("a certificate expires soon");
    assert!(warned.contains("WARN") && warned.contains("grpc.tls.certificate"), "{warned}");
    let (code, told) = status();
    assert!(code == Some(1) && told.contains("needs attention: the server's certificate expires in "), "{told}");
    days(13);
    server.signal(Signal::HUP);
    server.read_until("certificates were loaded anew");
    server.read_until("a certificate expires soon");
    days(15);
    server.signal(Signal::HUP);
    server.read_until("certificates were loaded anew");
    let (code, told) = status();
    assert!(code == Some(0) && told.contains("all is well"), "{told}");
    server.signal(Signal::TERM);
    let mut rest = String::new();
    server.stderr.as_mut().unwrap().read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("expires soon"), "{rest}");
}

#[test]
fn a_certificate_that_does_not_count_yet_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = tls::certificate_within(2900, YEAR_3000);
    for (name, text) in [("cert.pem", certificate), ("key.pem", key)] {
        tls::write_private(&directory.path().join(name), text.as_bytes());
    }
    let mut server = Started::new(secured(directory.path()));
    let told = server.read_until("a certificate doesn't count yet");
    assert!(told.contains("ERROR") && told.contains("2900-01-01"), "{told}");
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
}

#[tokio::test]
async fn sighup_reads_nothing_of_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    tls::settings(directory.path(), &tls::authority());
    let file = directory.path().join("site.toml");
    let configure = |filter: &str, certificate: &str, bytes: u32| {
        let files = format!("grpc.tls = {{ certificate = '{certificate}', key = 'key.pem' }}");
        std::fs::write(
            &file,
            format!("log.filter = '{filter}'\nlimits.message_bytes = {bytes}\nlimits.shutdown_seconds = 1\n{files}"),
        )
        .unwrap();
    };
    configure("info", "cert.pem", 1024);
    let mut command = program(directory.path());
    command.args(["--config", "site.toml"]);
    let mut server = Started::new(command);
    server.read_until("serving");
    configure("trace", "another.pem", 4096);
    server.signal(Signal::HUP);
    server.read_until("certificates were loaded anew");
    let socket = directory.path().join("user-management-data/grpc.sock");
    let channel = Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap().connect().await.expect("connected");
    let request = GetAccountRequest { account: "x".repeat(2000) };
    let refused = UserManagementClient::new(channel).get_account(request).await.expect_err("too long");
    assert_eq!(refused.code(), Code::OutOfRange);
    std::fs::write(&file, "no configuration").unwrap();
    server.signal(Signal::HUP);
    server.read_until("certificates were loaded anew");
    server.signal(Signal::TERM);
    let mut rest = String::new();
    server.stderr.as_mut().unwrap().read_to_string(&mut rest).unwrap();
    assert!(rest.contains("ended") && !rest.contains("TRACE") && !rest.contains("DEBUG"), "{rest}");
    assert!(server.child.wait().unwrap().success());
}

#[tokio::test]
async fn a_second_signal_ends_the_program_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = program(directory.path());
    command.env("USER_MANAGEMENT_LIMITS__SHUTDOWN_SECONDS", "3600");
    let mut server = Started::new(command);
    server.read_until("serving");
    let socket = directory.path().join("user-management-data/grpc.sock");
    let channel = Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap().connect().await.expect("connected");
    let open = ServerReflectionClient::new(channel).server_reflection_info(stream::pending()).await.expect("a stream");
    server.signal(Signal::INT);
    server.read_until("shutting down");
    assert!(server.child.try_wait().unwrap().is_none(), "the open stream keeps it");
    server.signal(Signal::TERM);
    server.read_until("ended at once by a second signal");
    assert!(server.child.wait().unwrap().success());
    drop(open);
}
