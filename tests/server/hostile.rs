//! Peers that mean harm, against the real program. All of 127.0.0.0/8 are this host's, and each address of it is a peer of its own.

pub(crate) mod assaults;
mod handshakes;
mod held;
pub(crate) mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use futures_util::stream;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_types::StatusExt as _;
use user_management::config::Config;

use crate::harness::{LONG, Running, health_of};
use crate::program::{IN_USE, Started, free_address, listens_at, measured, program};
use crate::tls::{self, Authority, BOTH};
use assaults::Assault;
use wire::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, Wire};

/// The program with a TCP listener, and these settings as it takes them from its environment.
struct Site {
    program: Started,
    tcp: SocketAddr,
    metrics: SocketAddr,
    /// With TLS.
    authority: Option<Authority>,
    /// What it says when the time of its shutdown is over.
    cut_off: Receiver<String>,
    directory: tempfile::TempDir,
}

impl Site {
    fn start(settings: &[(&str, &str)]) -> Self {
        Self::in_a(tempfile::tempdir().unwrap(), None, settings)
    }

    /// One whose listener speaks TLS.
    fn secured(settings: &[(&str, &str)]) -> Self {
        let (directory, authority) = (tempfile::tempdir().unwrap(), tls::authority());
        tls::settings(directory.path(), &authority);
        let files = [("GRPC__TLS__CERTIFICATE", "cert.pem"), ("GRPC__TLS__KEY", "key.pem")];
        Self::in_a(directory, Some(authority), &[settings, &files[..]].concat())
    }

    fn in_a(directory: tempfile::TempDir, authority: Option<Authority>, settings: &[(&str, &str)]) -> Self {
        let (mut program, line, metrics) = loop {
            let metrics = free_address();
            let mut command = program(directory.path());
            command.env("USER_MANAGEMENT_GRPC__LISTEN", "127.0.0.1:0").env("USER_MANAGEMENT_LOG__FILTER", "info");
            command.env("USER_MANAGEMENT_METRICS__LISTEN", metrics.to_string());
            command.envs(settings.iter().map(|(key, value)| (format!("USER_MANAGEMENT_{key}"), value)));
            let mut program = Started::new(command);
            match program.find("tcp:127.0.0.1:") {
                Ok(line) => break (program, line, metrics),
                Err(said) => assert!(said.contains(IN_USE), "it ended: {said}"),
            }
        };
        let tcp = listens_at(&line).expect("an address");
        program.read_until("serving");
        let cut_off = program.listen_for("closing what is still open");
        Self { program, tcp, metrics, authority, cut_off, directory }
    }

    async fn client(&self) -> Channel {
        match &self.authority {
            None => Endpoint::from_shared(format!("http://{}", self.tcp)).unwrap().connect().await.expect("connected"),
            Some(authority) => tls::connect_to(self.tcp, tls::client(authority, None, BOTH)).await.expect("connected"),
        }
    }

    async fn operator(&self) -> Channel {
        let socket = self.directory.path().join("user-management-data/grpc.sock");
        Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap().connect().await.expect("connected")
    }

    /// Whoever is no part of it is answered, on a connection of before and on new ones.
    async fn answers(&self, earlier: &Channel) {
        for channel in [earlier.clone(), self.client().await, self.operator().await] {
            assert_eq!(health_of(channel, "").await.expect("answered"), ServingStatus::Serving);
        }
    }

    /// Tells it to end and waits until it is gone; whether it waited for its deadline, and then closed what was still open.
    fn ends_by_its_deadline(mut self) -> bool {
        self.program.signal(Signal::TERM);
        let (mut said, end) = (0, Instant::now() + LONG);
        loop {
            match self.cut_off.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(_) => said += 1,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it goes on"),
            }
        }
        assert!(self.program.child.wait().unwrap().success());
        said == 1
    }

    /// The most memory that it ever used, in bytes.
    fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells");
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// How long it has computed, in hundredths of a second.
    fn computed(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.program.child.id())).unwrap();
        // behind the name, which may hold anything: the 12th and the 13th tell the time in the program and in the kernel for it
        let (_, figures) = stat.rsplit_once(')').expect("Linux tells");
        figures.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    /// How often anything was counted: calls, refusals, connections and their ends.
    async fn counted(&self) -> u64 {
        let metrics = self.metrics;
        let text = apart(move || measured(metrics)).await;
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        let counters = samples.filter(|(name, _)| name.split('{').next().is_some_and(|name| name.ends_with("_total")));
        counters.map(|(_, count)| count.parse::<u64>().expect("a number")).sum()
    }
}

/// Nothing ends of itself before a test does, but for a shutdown.
const UNHURRIED: [(&str, &str); 3] =
    [("LIMITS__SHUTDOWN_SECONDS", "1"), ("LIMITS__HANDSHAKE_SECONDS", "3600"), ("LIMITS__REQUEST_SECONDS", "3600")];

const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

#[tokio::test]
async fn whatever_one_peer_does_others_are_answered_and_the_server_ends_in_time() {
    let site = Site::start(&UNHURRIED);
    let earlier = site.client().await;
    let mut held = Vec::new();
    // each from a peer of its own, for the one before has its share until the server hears that it left
    for (number, (name, assault)) in (10..).zip(assaults::ALL) {
        eprintln!("{name}");
        let to = site.tcp;
        drop(std::mem::replace(&mut held, apart(move || assault(to, Ipv4Addr::new(127, 0, 0, number))).await));
        site.answers(&earlier).await;
    }
    // all at once, as far as there is room
    for (number, (_, assault)) in (3..7).zip(assaults::ALL.into_iter().skip(2)) {
        let to = site.tcp;
        held.extend(apart(move || assault(to, Ipv4Addr::new(127, 0, 0, number))).await);
    }
    assert!(apart(move || site.ends_by_its_deadline()).await, "they go on");
    drop(held);
}

/// The most memory that a site comes to use while many peers do this, until it is at rest: it uses no more, computes nothing, and
/// counts none but those who look at it.
async fn used_by(site: &Site, assault: Assault, to: SocketAddr) -> usize {
    const CHECKS: u64 = 100;
    const WINDOW: Duration = Duration::from_secs(2);
    /// A tenth of the window, in hundredths of a second.
    const LITTLE: u64 = 20;
    let before = site.memory();
    let mut peers = JoinSet::new();
    for number in 2..6 {
        peers.spawn_blocking(move || assault(to, Ipv4Addr::new(127, 0, 0, number)));
    }
    let held = peers.join_all().await;
    // who is refused is read slowly, so what they sent may still be on its way
    let (begun, mut seen) = (Instant::now(), None);
    let used = loop {
        assert!(begun.elapsed() < 3 * LONG, "it doesn't come to rest");
        // each core goes through what came before this
        for _ in 0..CHECKS {
            assert_eq!(health_of(site.operator().await, "").await.expect("answered"), ServingStatus::Serving);
        }
        let computed = site.computed();
        tokio::time::sleep(WINDOW).await;
        let works = site.computed() - computed > LITTLE;
        let (used, counted) = (site.memory() - before, site.counted().await);
        // each check is a call and a connection
        if !works && seen == Some((used, counted - 2 * CHECKS)) {
            break used;
        }
        seen = Some((used, counted));
    };
    drop(held);
    used
}

/// What the README says that nobody makes the server use more of.
fn stated_bound(settings: &str) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::from_toml(&format!("data_dir = '{}'\n{settings}", directory.path().display())).expect("valid");
    config.limits.most_memory(std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get))
}

#[tokio::test]
async fn memory_stays_under_the_stated_bound_whatever_many_peers_do() {
    let small = [
        ("connections", 128),
        ("connections_per_peer", 32),
        ("calls", 128),
        ("calls_per_peer", 64),
        ("message_bytes", 256 << 10),
        ("buffered_bytes", 8 << 20),
        ("buffered_bytes_per_peer", 4 << 20),
    ];
    let settings: Vec<_> = small.iter().map(|(key, value)| format!("limits.{key} = {value}\n")).collect();
    let variables = small.map(|(key, value)| (format!("LIMITS__{}", key.to_uppercase()), value.to_string()));
    let on_a_small_host = [&UNHURRIED[..], &variables.each_ref().map(|(key, value)| (key.as_str(), value.as_str()))].concat();
    let all: &[&str] = &[""];
    for (settings, bound, which) in [
        (&UNHURRIED[..], stated_bound(""), all),
        (&on_a_small_host, stated_bound(&settings.concat()), &["requests that stall", "answers"]),
    ] {
        for (name, assault) in assaults::ALL.into_iter().filter(|(name, _)| which.iter().any(|which| name.starts_with(which))) {
            // what is held is held on, as if it came again and again
            let site = Site::start(settings);
            let used = used_by(&site, assault, site.tcp).await;
            eprintln!("{name}: {} MiB of {}", used >> 20, bound >> 20);
            assert!(used < bound, "{name}: {used}");
        }
    }
}

#[tokio::test]
async fn a_peer_gets_no_more_connections_than_its_share() {
    let server = Running::start("limits.connections_per_peer = 2");
    let to = server.addresses.tcp[0];
    let mut others = apart(move || [0; 3].map(|_| Wire::open(to, HOSTILE, &[]))).await;
    let closed = apart(move || {
        let last = others[2].closed(LONG);
        (last, others)
    });
    assert_eq!(closed.await.0, Some(Vec::new()), "one too many: it isn't spoken to");
    let client = server.tcp().connect().await.expect("connected");
    assert_eq!(health_of(client, "").await.unwrap(), ServingStatus::Serving, "another peer");
}

#[tokio::test]
async fn calls_beyond_a_share_are_refused_with_what_to_do_until_others_end() {
    let server = Running::start("limits.calls_per_peer = 2\nlimits.calls = 3");
    let channel = server.tcp().connect().await.expect("connected");
    let open = async |channel: Channel| {
        ServerReflectionClient::new(channel).server_reflection_info(stream::pending()).await.map(tonic::Response::into_inner)
    };
    let (first, second) = (open(channel.clone()).await.expect("one"), open(channel.clone()).await.expect("two"));
    let refused = health_of(channel.clone(), "").await.expect_err("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let info = refused.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.metadata["limit"].as_str()), ("REQUESTS_EXHAUSTED", "limits.calls_per_peer"));
    assert!(info.metadata["trace_id"].starts_with("trc_"));
    assert!(refused.get_details_retry_info().is_some() && refused.get_details_quota_failure().is_some());
    let tools = server.tools_socket().connect().await.expect("connected");
    let third = open(tools.clone()).await.expect("another peer");
    let busy = health_of(tools, "").await.expect_err("all together have too many");
    assert_eq!((busy.code(), busy.get_details_error_info().unwrap().reason), (Code::Unavailable, "BUSY".to_owned()));
    let operator = server.socket().connect().await.expect("connected");
    assert_eq!(health_of(operator, "").await.unwrap(), ServingStatus::Serving, "operators are apart");
    drop((first, second, third));
    // the server hears of it a moment later
    let again = async { while health_of(channel.clone(), "").await.is_err() {} };
    tokio::time::timeout(LONG, again).await.expect("answered again");
}

#[tokio::test]
async fn requests_and_answers_beyond_a_share_of_bytes_are_refused() {
    let server = Running::start("limits.message_bytes = 1024\nlimits.buffered_bytes_per_peer = 1024");
    let channel = server.tcp().connect().await.expect("connected");
    let mut client = ServerReflectionClient::new(channel.clone());
    let question = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(tonic_reflection::pb::v1::server_reflection_request::MessageRequest::FileContainingSymbol(
            "circonus.usermanagement.v1.Operations".to_owned(),
        )),
    };
    let mut answers = client.server_reflection_info(stream::iter([question])).await.expect("begun").into_inner();
    let refused = answers.message().await.expect_err("the contract has more");
    assert_eq!(refused.get_details_error_info().unwrap().metadata["limit"], "limits.buffered_bytes_per_peer");
    // a question that is too long for the share is told so as well, though the conversation doesn't say it by itself
    let long = tonic_reflection::pb::v1::ServerReflectionRequest { host: "x".repeat(1500), message_request: None };
    let mut answers = client.server_reflection_info(stream::iter([long])).await.expect("begun").into_inner();
    let refused = answers.message().await.expect_err("too long");
    assert_eq!(refused.get_details_error_info().unwrap().metadata["limit"], "limits.buffered_bytes_per_peer");
    // one holds nearly all of it by a request whose end doesn't come, so there is no room for another, which would be answered by itself
    let to = server.addresses.tcp[0];
    let begin = |stream| wire::frame(HEADERS, END_HEADERS, stream, &wire::call("/grpc.health.v1.Health/Check"));
    let unknown_field = wire::message(&[&[0x7a, 198, 1][..], &[0; 198]].concat());
    let whole = |stream| [begin(stream), wire::frame(DATA, END_STREAM, stream, &unknown_field)].concat();
    let held = [begin(1), wire::frame(DATA, 0, 1, &[&[0, 0, 0, 4, 0][..], &[0; 900]].concat())].concat();
    let answer = async |request: Vec<u8>| {
        apart(move || {
            let mut wire = Wire::open(to, Ipv4Addr::LOCALHOST, &[]);
            assert!(wire.send(&request));
            (wire.answered(LONG), wire)
        })
        .await
    };
    let data = |frames: &[wire::Frame]| frames.iter().filter(|(kind, _)| *kind == DATA).count();
    assert_eq!(data(&answer(whole(1)).await.0), 1, "it is answered");
    let (frames, held) = answer([held, whole(3)].concat()).await;
    assert_eq!(data(&frames), 0, "one of them is refused");
    drop(held);
    let again = async { while health_of(channel.clone(), "").await.is_err() {} };
    tokio::time::timeout(LONG, again).await.expect("what was held is given back");
}

/// Whether the server ends a connection of which nothing is read: it doesn't take more, once it has.
fn ended_unread(mut wire: Wire) {
    let ping = wire::frame(PING, 0, 0, &[0; 8]);
    let begun = Instant::now();
    loop {
        match std::io::Write::write_all(&mut wire.0, &ping) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe) => return,
            // it is full, and takes nothing until it ends
            Ok(()) | Err(_) => std::thread::yield_now(),
        }
        assert!(begun.elapsed() < LONG, "it goes on");
    }
}

#[tokio::test]
async fn answers_that_are_not_taken_end_their_connection_and_no_other() {
    let server = Running::start("limits.request_seconds = 1");
    let to = server.addresses.tcp[0];
    // with its windows closed, while it reads
    let mut windows = apart(move || assaults::closed_windows(to, HOSTILE)).await;
    apart(move || assert!(windows[0].closed(LONG).is_some())).await;
    assert!(server.closed_early("untaken") > 0, "not for saying nothing");
    // with its windows open, while it doesn't
    let site = Site::start(&[("LIMITS__REQUEST_SECONDS", "1")]);
    let (earlier, to) = (site.client().await, site.tcp);
    let mut unread = apart(move || assaults::nothing_read(to, HOSTILE)).await;
    apart(move || ended_unread(unread.swap_remove(0))).await;
    // who has nothing to take is left alone
    let server = Running::start("limits.request_seconds = 1");
    let idle = server.tcp().connect().await.expect("connected");
    let request = tonic_health::pb::HealthCheckRequest::default();
    let mut watch = HealthClient::new(idle.clone()).watch(request).await.unwrap().into_inner();
    watch.message().await.expect("the present state");
    assert!(tokio::time::timeout(Duration::from_millis(2500), watch.message()).await.is_err(), "it stays open");
    // but for who holds a place with questions that don't come
    let mut silent =
        ServerReflectionClient::new(idle.clone()).server_reflection_info(stream::pending()).await.unwrap().into_inner();
    let rested = tokio::time::timeout(LONG, silent.message()).await.expect("ended").expect_err("refused");
    assert_eq!((rested.code(), rested.get_details_error_info().unwrap().reason.as_str()), (Code::DeadlineExceeded, "PROTOCOL"));
    assert_eq!(health_of(idle, "").await.unwrap(), ServingStatus::Serving);
    assert_eq!(server.closed_early("untaken"), 0);
    // who takes nothing of what isn't part of an answer holds memory too
    let to = server.addresses.tcp[0];
    apart(move || ended_unread(Wire::open(to, HOSTILE, &[]))).await;
    assert_eq!(server.closed_early("untaken"), 1);
    site.answers(&earlier).await;
}

#[tokio::test]
async fn floods_end_the_connection_that_they_come_on() {
    let site = Site::start(&[]);
    let earlier = site.client().await;
    let to = site.tcp;
    let resets = apart(move || assaults::resets(to, HOSTILE)[0].closed(LONG)).await.expect("ended");
    assert!(resets.iter().any(|(kind, _)| *kind == GOAWAY), "{resets:?}");
    let headers = apart(move || assaults::headers(to, HOSTILE)[0].closed(LONG)).await;
    assert!(headers.is_some(), "header fields without end");
    let frames = apart(move || assaults::small_frames(to, HOSTILE)[0].closed(LONG)).await;
    assert!(frames.is_some(), "frames of a byte");
    site.answers(&earlier).await;
}

#[tokio::test]
async fn what_unpacks_to_more_than_was_sent_is_refused() {
    let site = Site::start(&[]);
    let to = site.tcp;
    let answer = async |headers: Vec<u8>, data: Vec<u8>| {
        let call = [wire::frame(HEADERS, END_HEADERS, 1, &headers), wire::frame(DATA, END_STREAM, 1, &data)].concat();
        apart(move || {
            let mut wire = Wire::open(to, HOSTILE, &[]);
            assert!(wire.send(&call));
            wire.answered(LONG)
        })
        .await
    };
    let sign_up = || wire::call("/circonus.usermanagement.v1.Identity/SignUp");
    let compressed = [&[1][..], &100_u32.to_be_bytes(), &[0x1f; 100]].concat();
    // an answer that is headers and their end is a refusal
    let refused = |frames: &[wire::Frame]| frames.iter().any(|(kind, flags)| *kind == HEADERS && flags & END_STREAM != 0);
    assert!(
        refused(&answer([sign_up(), wire::field("grpc-encoding", "gzip")].concat(), compressed.clone()).await),
        "a compressed message"
    );
    assert!(refused(&answer(sign_up(), compressed).await), "one that doesn't say how");
    assert!(refused(&answer(sign_up(), vec![0, 255, 255, 255, 255]).await), "a message of 4 GiB");
    // a field that is named in one byte each time (RFC 7541, 6.1), after it was put into the table once
    let field = [&[0x40, 1][..], b"x", &[0x7f, 0xc9, 0x1d], &[b'y'; 3912]].concat();
    let again = [sign_up(), field, vec![0xbe; 8000]].concat();
    let frames = answer(again, wire::message(&[])).await;
    let ended = frames.iter().any(|(kind, _)| *kind == GOAWAY);
    assert!(refused(&frames) || ended, "header fields of 30 MB in 12 KB: {frames:?}");
}
