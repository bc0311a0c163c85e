//! What a permission check costs: in memory at 1,000 and 1,000,000 memberships beside a look-up in a plain hash map, and over gRPC beside the
//! cheapest call that the same server answers, its health check.
//!
//! ```text
//! cargo bench --bench check_access
//! ```

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use user_management::config::Config;
use user_management::directory::Directory;
use user_management::domain::clock::{Clock, Timestamp};
use user_management::domain::edition::Edition;
use user_management::domain::event::{AccountState, Actor, Change, Door, Event, MemberState, Personal, UserState};
use user_management::domain::id::{AccountId, AddressId, Epoch, EventId, TraceId, UserId};
use user_management::domain::permission::Permission;
use user_management::domain::policy::Standing;
use user_management::domain::privilege::Privilege;
use user_management::domain::role::RoleSet;
use user_management::proto::access_client::AccessClient;
use user_management::proto::{self, CheckAccessRequest};
use user_management::serve::Service;
use user_management::store::{DataDir, Opened, server::Recorded};

/// Members of one account.
const ACCOUNT: u32 = 1000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    println!("in memory                  a check   hash map   ratio");
    for members in [1_000, 1_000_000] {
        let directory = runtime.block_on(filled(members));
        let (check, plain) = in_memory(&directory, members);
        println!("{members:>9} memberships  {check:>7.0} ns {plain:>7.0} ns  {:>5.1}x", check / plain);
    }
    println!("\nover gRPC, calls/s        a check   health check   ratio");
    let (checks, healths) = runtime.block_on(over_grpc());
    println!("1 connection, 64 calls  {checks:>9.0}  {healths:>13.0}  {:>5.2}x", checks / healths);
}

fn id(number: u32) -> [u8; 16] {
    (u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes()
}

/// A directory with one user for each membership, a thousand in each account.
async fn filled(members: u32) -> Directory {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let opened = Opened::open(DataDir::lock(&directory.path().join("data")).expect("a lock")).await.expect("a database");
    let recorded = Recorded { epoch: Epoch::from_bytes([1; 16]), edition: Edition::Inside };
    let filled = Directory::load(&mut opened.read().await.expect("a connection"), recorded).await.expect("a directory");
    for first in (0..members).step_by(10_000) {
        let last = members.min(first + 10_000);
        let changes = (first..last).flat_map(|number| {
            let (account, user) = (AccountId::from_bytes(id(number / ACCOUNT)), UserId::from_bytes(id(number)));
            let opened = number.is_multiple_of(ACCOUNT).then(|| {
                Change::AccountCreated(AccountState {
                    account,
                    name: format!("account-{}", number / ACCOUNT),
                    display_name: String::new(),
                    timezone: "UTC".to_owned(),
                    closed: false,
                })
            });
            let email = Personal::new(&format!("user-{number}@acme.test"), [0; 16]);
            let user_state = UserState {
                user,
                address: AddressId::from_bytes(id(number)),
                display_name: email.clone(),
                email,
                active: true,
                super_admin: false,
            };
            let standing = Standing { privilege: Privilege::Normal, roles: RoleSet::EMPTY };
            let joined = MemberState { account, user, standing, joined: Timestamp::from_micros(0), invitation: None };
            opened.into_iter().chain([Change::UserCreated(user_state), Change::MemberJoined(joined)])
        });
        let events: Vec<Event> = changes.map(event).collect();
        filled.apply(&events);
    }
    filled
}

fn event(change: Change) -> Event {
    Event {
        seq: 1,
        id: EventId::from_bytes([0; 16]),
        time: Timestamp::from_micros(0),
        actor: Actor::Server,
        on_behalf_of: None,
        client: None,
        door: Door::Inside,
        trace: TraceId::from_bytes([0; 16]),
        change,
        previous: [0; 32],
    }
}

/// Nanoseconds of a check and of a plain look-up, for the same users in the same order.
fn in_memory(directory: &Directory, members: u32) -> (f64, f64) {
    const ROUNDS: u32 = 300_000;
    let numbers: Vec<u32> = (0..ROUNDS).map(|round| round.wrapping_mul(2_654_435_761) % members).collect();
    let plain: HashMap<(AccountId, UserId), Standing> = (0..members)
        .map(|number| {
            let key = (AccountId::from_bytes(id(number / ACCOUNT)), UserId::from_bytes(id(number)));
            (key, Standing { privilege: Privilege::Normal, roles: RoleSet::EMPTY })
        })
        .collect();
    let began = Instant::now();
    for number in &numbers {
        let (account, user) = (AccountId::from_bytes(id(number / ACCOUNT)), UserId::from_bytes(id(*number)));
        assert!(black_box(directory.view().allows(account, user, Permission::ModifyGraphs)));
    }
    let check = began.elapsed();
    let began = Instant::now();
    for number in &numbers {
        let key = (AccountId::from_bytes(id(number / ACCOUNT)), UserId::from_bytes(id(*number)));
        assert!(black_box(plain.get(&key)).is_some());
    }
    let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(ROUNDS);
    (each(check), each(began.elapsed()))
}

/// Calls a second of each kind, over one connection with 64 calls under way.
async fn over_grpc() -> (f64, f64) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let data = directory.path().join("data");
    let config = format!("data_dir = '{}'\ngrpc.listen = [\"127.0.0.1:0\"]\n", data.display());
    let config = Config::from_toml(&config).expect("a configuration");
    let (ready, bound) = tokio::sync::oneshot::channel();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let service = Service::bind(&config, Clock::System).await.expect("the service starts");
            let _ = ready.send(service.addresses().socket.clone());
            service.run(stopped).await.expect("the service runs");
        });
    });
    let socket = bound.await.expect("an address");
    let channel = Endpoint::from_shared(format!("unix:{}", socket.display())).expect("an address").connect().await.expect("open");
    let request = proto::CreateAccountRequest { name: "acme".to_owned(), ..Default::default() };
    let mut users = proto::user_management_client::UserManagementClient::new(channel.clone());
    users.create_account(request).await.expect("the operator creates");
    let check = |channel: Channel| async move {
        let request = CheckAccessRequest {
            account: "acme".to_owned(),
            user: "ann@acme.test".to_owned(),
            permission: 2,
            ..Default::default()
        };
        AccessClient::new(channel).check_access(request).await.expect("answered");
    };
    let health = |channel: Channel| async move {
        HealthClient::new(channel).check(HealthCheckRequest::default()).await.expect("answered");
    };
    // in turn, twice: the first round warms up
    let _ = rate(&channel, check).await;
    let _ = rate(&channel, health).await;
    let rates = (rate(&channel, check).await, rate(&channel, health).await);
    stop.cancel();
    drop((channel, users));
    server.join().expect("the service ends");
    rates
}

async fn rate<F: Future<Output = ()> + Send>(
    channel: &Channel,
    call: impl Fn(Channel) -> F + Copy + Send + Sync + 'static,
) -> f64 {
    let tasks = TaskTracker::new();
    let began = Instant::now();
    let end = began + Duration::from_secs(2);
    let done = Arc::new(std::sync::atomic::AtomicU32::new(0));
    for _ in 0..64 {
        let (channel, done) = (channel.clone(), Arc::clone(&done));
        tasks.spawn(async move {
            while Instant::now() < end {
                call(channel.clone()).await;
                done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
    }
    tasks.close();
    tasks.wait().await;
    f64::from(done.load(std::sync::atomic::Ordering::Relaxed)) / began.elapsed().as_secs_f64()
}
