//! How long a well-behaved client waits while one peer attacks: checks of a tool, one after the other, over TCP, against the program.
//!
//! The program and the tool share a core, and the attacker has another, as if on another host: where they mix, the kernel lets a tool wait for
//! milliseconds while the attacker computes, whoever is attacked. An attack costs the host something even where nobody listens to it. So each is
//! made on nobody, on a sink beside, which reads and forgets, and on the program, one after the other in five turns: told are the medians, of the
//! ratios those within a turn. A virtual machine whose host takes the core away measures its neighbours; such a window is made again, and how many were is
//! told.
//!
//! ```text
//! cargo bench --bench hostile
//! cargo bench --bench hostile -- streams stall
//! ```
//!
//! The second takes only the attacks with one of these in their name. An attacker is a process of its own (this one again, with other arguments), so that it can
//! be ended wherever it is.

// what the tests of the server attack with
#[path = "../tests/server/hostile/assaults.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, reason = "shared with tests")]
mod assaults;
#[path = "../tests/server/hostile/wire.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, reason = "shared with tests")]
mod wire;

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use core_affinity::CoreId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use user_management::proto::access_client::AccessClient;
use user_management::proto::operations_client::OperationsClient;
use user_management::proto::user_management_client::UserManagementClient;
use user_management::proto::{CheckAccessRequest, CreateAccountRequest, CreateServiceRequest, Permission};

const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// How long each attack goes on, each time.
const WINDOW: Duration = Duration::from_secs(2);
/// How often sink and program take turns.
const TURNS: usize = 5;
/// Hundredths of a second that the host may take of a window: half a percent, which is half of what p99 leaves out.
const LET_PASS: u64 = 1;
/// Windows of an attack that are made again at most.
const MADE_AGAIN: u32 = 30;
/// After an attack on the program: until it has ended the connections, and forgiven their peer.
const REST: Duration = Duration::from_secs(3);
/// Between a check and the next: a tool that has other things to do.
const PAUSE: Duration = Duration::from_micros(500);

/// Says that the attack and the target named behind it are to be carried out.
const ATTACK: &str = "--attack";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name, target, ..] = arguments.as_slice()
        && first == ATTACK
    {
        confine(1);
        attack(name, target.parse().expect("an address"));
    }
    confine(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let site = Site::start();
    let sink = sink();
    println!(
        "a check's time, us                    quiet       attack on a sink   attack on the program   to quiet    to sink    windows"
    );
    println!(
        "                                   p50    p99        p50    p99           p50    p99        p99        p99    made again"
    );
    let wanted: Vec<_> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    for (name, _) in assaults::ALL.into_iter().filter(|(name, _)| is_wanted(name)) {
        let mut turns = Vec::new();
        let mut stolen = 0;
        for _ in 0..TURNS {
            let turn = [None, Some(sink), Some(site.tcp)].map(|target| {
                loop {
                    let before = taken_away();
                    let attack = target.map(|target| Attack::begin(name, target));
                    let figures = Figures::of(runtime.block_on(site.checks()));
                    drop(attack);
                    let taken = taken_away() - before;
                    if target == Some(site.tcp) {
                        std::thread::sleep(REST);
                    }
                    if taken <= LET_PASS || stolen == MADE_AGAIN {
                        break figures;
                    }
                    stolen += 1;
                }
            });
            turns.push(Turn(turn));
        }
        let [quiet, beside, attacked] = [Turn::quiet, Turn::beside, Turn::attacked].map(|kind| Figures::typical(&turns, kind));
        let to = |kind: fn(&Turn) -> Figures| median(turns.iter().map(|turn| ratio(turn.attacked().p99, kind(turn).p99)));
        println!(
            "{name:<32} {:>6} {:>6}     {:>6} {:>6}        {:>6} {:>6}     {:>5.2}x     {:>5.2}x {stolen:>10}",
            quiet.p50,
            quiet.p99,
            beside.p50,
            beside.p99,
            attacked.p50,
            attacked.p99,
            to(Turn::quiet),
            to(Turn::beside)
        );
    }
}

/// How long the host of this virtual machine has kept the first core from it, in hundredths of a second; 0 where nobody says.
fn taken_away() -> u64 {
    let told = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = told.lines().find_map(|line| line.strip_prefix("cpu0 ")).unwrap_or_default();
    first.split(' ').nth(7).and_then(|stolen| stolen.parse().ok()).unwrap_or_default()
}

/// Keeps this process, and those that it starts, on one core.
fn confine(number: usize) {
    assert!(core_affinity::set_for_current(CoreId { id: number }), "there is no such core");
}

/// What checks took in one window, in microseconds.
#[derive(Clone, Copy)]
struct Figures {
    p50: u128,
    p99: u128,
}

impl Figures {
    fn of(mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        let at = |percent: usize| waits.get(waits.len() * percent / 100).map_or(0, Duration::as_micros);
        Self { p50: at(50), p99: at(99) }
    }

    /// The medians of the windows of a kind, so that one that something else disturbed says nothing.
    fn typical(turns: &[Turn], kind: fn(&Turn) -> Self) -> Self {
        let median = |figure: fn(&Self) -> u128| median(turns.iter().map(|turn| figure(&kind(turn))));
        Self { p50: median(|figures| figures.p50), p99: median(|figures| figures.p99) }
    }
}

/// A window of each kind, one after the other.
struct Turn([Figures; 3]);

impl Turn {
    const fn quiet(&self) -> Figures {
        let Self([quiet, ..]) = self;
        *quiet
    }

    const fn beside(&self) -> Figures {
        let Self([_, beside, _]) = self;
        *beside
    }

    const fn attacked(&self) -> Figures {
        let Self([.., attacked]) = self;
        *attacked
    }
}

/// Of an odd number of figures.
fn median<T: PartialOrd + Copy>(figures: impl Iterator<Item = T>) -> T {
    let mut figures: Vec<T> = figures.collect();
    figures.sort_unstable_by(|one, other| one.partial_cmp(other).expect("no figure is NaN"));
    *figures.get(figures.len() / 2).expect("there are some")
}

#[allow(clippy::cast_precision_loss, reason = "microseconds of a few seconds")]
fn ratio(one: u128, other: u128) -> f64 {
    one as f64 / other.max(1) as f64
}

/// Attacks again and again, for ever.
fn attack(name: &str, target: SocketAddr) -> ! {
    let (_, assault) = assaults::ALL.into_iter().find(|(other, _)| *other == name).expect("such an attack");
    loop {
        drop(assault(target, HOSTILE));
    }
}

/// One peer that attacks until this is dropped.
struct Attack(Child);

impl Attack {
    fn begin(name: &str, target: SocketAddr) -> Self {
        let program = std::env::current_exe().expect("this program");
        Self(Command::new(program).args([ATTACK, name, &target.to_string()]).spawn().expect("started"))
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        let ended = self.0.try_wait().expect("a process of ours");
        assert_eq!(ended, None, "it attacks to the end");
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes connections, reads and forgets; only a ping is answered, since an attack waits for that.
fn sink() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("its address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let [question, answer] = [0, 1].map(|flags| Bytes::from(wire::frame(wire::PING, flags, 0, &[0; 8])));
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let mut reading = tokio::task::JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (question, answer) = (question.clone(), answer.clone());
                reading.spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while let Some(read) = stream.read(&mut buffer).await.ok().and_then(|count| buffer.get(..count)) {
                        if read.is_empty() || read.ends_with(&question) && stream.write_all(&answer).await.is_err() {
                            break;
                        }
                    }
                });
                while reading.try_join_next().is_some() {}
            }
        });
    });
    address
}

/// The program, with an account and a tool that may ask about it.
struct Site {
    program: Child,
    tcp: SocketAddr,
    token: String,
    _directory: tempfile::TempDir,
}

impl Site {
    fn start() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_user-management"));
        command.env_clear().current_dir(directory.path()).stderr(Stdio::piped());
        command.env("USER_MANAGEMENT_GRPC__LISTEN", "127.0.0.1:0");
        let mut program = command.spawn().expect("started");
        let mut logged = BufReader::new(program.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("tcp:127.0.0.1:") {
            line.clear();
            assert_ne!(logged.read_line(&mut line).expect("a line"), 0, "it ended");
        }
        let port = line.rsplit("127.0.0.1:").next().unwrap_or_default().trim_matches(|other: char| !other.is_ascii_digit());
        let tcp = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().expect("a port")));
        while !line.contains("serving") {
            line.clear();
            assert_ne!(logged.read_line(&mut line).expect("a line"), 0, "it ended");
        }
        std::thread::spawn(move || std::io::copy(&mut logged, &mut std::io::sink()));
        let socket = directory.path().join("user-management-data/grpc.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let token = runtime.block_on(async {
            let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).expect("an address");
            let channel = endpoint.connect().await.expect("connected");
            let account = CreateAccountRequest { name: "acme".to_owned(), display_name: "Acme".to_owned(), ..Default::default() };
            UserManagementClient::new(channel.clone()).create_account(account).await.expect("an account");
            let scopes = vec!["access.check".to_owned()];
            let service = CreateServiceRequest { name: "tool".to_owned(), scopes, ..Default::default() };
            OperationsClient::new(channel).create_service(service).await.expect("a service").into_inner().token
        });
        Self { program, tcp, token, _directory: directory }
    }

    /// Checks, one after the other, for one window; how long each took.
    async fn checks(&self) -> Vec<Duration> {
        let channel: Channel =
            Endpoint::from_shared(format!("http://{}", self.tcp)).expect("an address").connect().await.expect("connected");
        let mut access = AccessClient::new(channel);
        let bearer: MetadataValue<_> = format!("Bearer {}", self.token).parse().expect("a header");
        let mut waits = Vec::new();
        let end = Instant::now() + WINDOW;
        while Instant::now() < end {
            let mut request = Request::new(CheckAccessRequest {
                account: "acme".to_owned(),
                user: "ann@acme.test".to_owned(),
                permission: Permission::View.into(),
                ..Default::default()
            });
            request.metadata_mut().insert("authorization", bearer.clone());
            let begun = Instant::now();
            access.check_access(request).await.expect("answered");
            waits.push(begun.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        waits
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
