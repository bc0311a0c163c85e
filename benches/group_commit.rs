//! Group commit against one commit for each write, at 1, 16 and 64 callers, on this disk and with an fsync of 4 ms; and whether pinning the
//! writer to a core holds while the other cores answer checks.
//!
//! ```text
//! cargo bench --bench group_commit
//! ```
//!
//! A write is an invitation of a new address: some ten statements, one event with its personal values, one mail in the outbox. Every figure is
//! beside the one that it is compared with, from runs in turn, since machines are noisy. `SECONDS` sets how long each run takes (2).

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use user_management::app::App;
use user_management::app::UserRef;
use user_management::app::access::{About, Named};
use user_management::app::accounts::NewAccount;
use user_management::app::admission::Needs;
use user_management::app::caller::{Caller, Credentials};
use user_management::app::returned::HandOver;
use user_management::config::Config;
use user_management::domain::clock::Clock;
use user_management::domain::email::Email;
use user_management::domain::event::Door;
use user_management::domain::id::TraceId;
use user_management::domain::name::{DisplayName, Slug, Timezone};
use user_management::domain::peer::Peer;
use user_management::domain::permission::Permission;
use user_management::domain::policy::Standing;
use user_management::domain::privilege::Privilege;
use user_management::domain::role::RoleSet;
use user_management::store::Tuning;
use user_management::store::requests::Terms;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [group, pinned, callers, load] = &arguments[..] {
        let tuning = Tuning { group: group.parse().expect("a group"), pinned: pinned == "pinned" };
        println!("{}", measure(tuning, callers.parse().expect("callers"), load == "checks"));
        return;
    }
    let shim = compile_shim();
    println!("writes/s                        one by one     in groups   ratio");
    for (disk, delay) in [("this disk", None), ("fsync of 4 ms", Some("4000"))] {
        for callers in [1, 16, 64] {
            let single = run(1, true, callers, false, delay.zip(shim.as_ref()));
            let grouped = run(128, true, callers, false, delay.zip(shim.as_ref()));
            println!("{disk:<14} {callers:>3} callers    {single:>12.0}  {grouped:>12.0}  {:>5.1}x", grouped / single);
        }
    }
    println!("\nwrites/s, groups, 64 callers      unpinned        pinned   ratio");
    for (beside, load) in [("nothing beside", false), ("checks beside", true)] {
        let free = run(128, false, 64, load, None);
        let pinned = run(128, true, 64, load, None);
        println!("{beside:<28}  {free:>12.0}  {pinned:>12.0}  {:>5.1}x", pinned / free);
    }
}

/// Runs one measurement in a process of its own, so that the shim and the pinning concern it alone.
fn run(group: u32, pinned: bool, callers: u32, load: bool, delay: Option<(&str, &PathBuf)>) -> f64 {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let pinned = if pinned { "pinned" } else { "free" };
    command.args([&*group.to_string(), pinned, &callers.to_string(), if load { "checks" } else { "nothing" }]);
    if let Some((micros, shim)) = delay {
        command.env("LD_PRELOAD", shim).env("FSYNC_DELAY_US", micros);
    }
    let output = command.output().expect("the measurement runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a rate")
}

/// Compiles what makes fsync slow.
fn compile_shim() -> Option<PathBuf> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fsync.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
    let done = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&target).args([source, "-ldl"]).status();
    done.is_ok_and(|status| status.success()).then_some(target)
}

fn measure(tuning: Tuning, callers: u32, checks: bool) -> f64 {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk");
    let data = directory.path().join("data");
    let config = Config::from_toml(&format!("data_dir = '{}'", data.display())).expect("a configuration");
    let seconds = std::env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let app = App::open(&config, Clock::System, tuning).await.expect("the application opens");
        let operator = operator(&app);
        let new = NewAccount {
            name: Slug::parse("acme").expect("a name"),
            display_name: DisplayName::parse("Acme").expect("a name"),
            timezone: Timezone::utc(),
        };
        app.create_account(app.operator(&operator).expect("an operator"), new, Terms::default()).await.expect("an account");
        let stop = Arc::new(AtomicBool::new(false));
        let checker = checks.then(|| check_until(Arc::clone(&app), operator.clone(), Arc::clone(&stop)));
        let written = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let end = began + Duration::from_secs_f64(seconds);
        let tasks = tokio_util::task::TaskTracker::new();
        for caller in 0..callers {
            let (app, operator, written) = (Arc::clone(&app), operator.clone(), Arc::clone(&written));
            tasks.spawn(async move {
                let grant = Standing { privilege: Privilege::Normal, roles: RoleSet::EMPTY };
                for number in 0.. {
                    if Instant::now() >= end {
                        break;
                    }
                    let email = Email::parse(&format!("user-{caller}-{number}@acme.test")).expect("an address");
                    let manager = app.admit(&operator, "acme", Needs::MANAGE).expect("a manager");
                    app.invite(manager, email, grant, HandOver::Mail, Terms::default()).await.expect("an invitation");
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        tasks.close();
        tasks.wait().await;
        let rate = f64::from(u32::try_from(written.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        if let Some(checker) = checker {
            checker.join().expect("the checks end");
        }
        app.close().await;
        rate
    })
}

/// Answers checks without a pause, as a busy server's other cores do.
fn check_until(app: Arc<App>, operator: Caller, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let about = About::User(UserRef::Email(Email::parse("user-0-0@acme.test").expect("an address")));
        while !stop.load(Ordering::Relaxed) {
            let question = app.question(&operator, "acme", Named::User("user-0-0@acme.test")).expect("a question");
            std::hint::black_box(app.check(&question, &about, Permission::ModifyGraphs)).expect("an answer");
        }
    })
}

fn operator(app: &App) -> Caller {
    app.caller(&Credentials {
        authorization: Vec::new(),
        certificate_names: Vec::new(),
        operators_socket_uid: Some(0),
        forwarded: false,
        act_as: Vec::new(),
        client: None,
        peer: Peer::Uid(0),
        door: Door::OperatorsSocket,
        trace: TraceId::from_bytes([0; 16]),
    })
    .expect("the operator")
}
