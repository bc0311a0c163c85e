//! How far time tells a stranger which addresses have a login: the four calls that take an address from anybody, for addresses with a login and
//! without, in random order over one connection. With a low cost of passwords, where a difference would show, and with the default one.
//!
//! ```text
//! cargo bench --bench outsiders
//! ```
//!
//! `auc` is how often, of one call of each kind, the one with a login takes longer: 0.5 tells nothing. `advantage` is how much better than by
//! chance the best threshold tells them apart: 0 tells nothing, 1 everything. Each stands beside the same of two halves of the addresses with
//! a login, which is what noise makes of addresses that don't differ.

#![allow(clippy::indexing_slicing, clippy::cast_precision_loss, reason = "three groups of some thousand times")]

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use user_management::config::Config;
use user_management::domain::clock::Clock;
use user_management::proto::identity_client::IdentityClient;
use user_management::proto::user_management_client::UserManagementClient;
use user_management::proto::{
    CreateUserRequest, RequestPasswordResetRequest, ResendConfirmationRequest, ResetPasswordRequest, SignInRequest, SignUpRequest,
};
use user_management::serve::Service;

/// Addresses of each group: two with a login, one without.
const ADDRESSES: u64 = 20;

const GROUPS: [&str; 3] = ["login", "other", "none-"];

const PASSWORD: &str = "correct horse battery";

/// No limit ends the measuring.
const WITHOUT_LIMITS: &str = "limits.sign_in_failures_per_address = 0\nlimits.sign_in_failures_per_peer = 0\n\
     limits.sign_in_failures_per_device = 0\nlimits.link_uses_per_peer = 0\nlimits.mails_per_peer = 0\n\
     limits.mails_per_recipient_hour = 0\nlimits.mails_per_recipient_day = 0\nlimits.sign_ups_per_peer = 0\nlimits.sign_ups = 0\n";

#[derive(Clone, Copy, Debug)]
enum Call {
    SignIn,
    SignUp,
    ResendConfirmation,
    RequestPasswordReset,
}

const CALLS: [Call; 4] = [Call::SignIn, Call::SignUp, Call::ResendConfirmation, Call::RequestPasswordReset];

impl Call {
    /// Makes the call; answers how long it took.
    async fn time(self, identity: &mut IdentityClient<Channel>, email: String) -> Duration {
        let (password, display_name) = (PASSWORD.to_owned(), "Somebody".to_owned());
        let began = Instant::now();
        match self {
            Self::SignIn => {
                let request = SignInRequest { email, password: "not the password".to_owned() };
                identity.sign_in(request).await.map(|_| ()).expect_err("a wrong password");
            }
            Self::SignUp => drop(identity.sign_up(SignUpRequest { email, password, display_name }).await.expect("anybody may")),
            Self::ResendConfirmation => {
                identity.resend_confirmation(ResendConfirmationRequest { email }).await.expect("anybody may");
            }
            Self::RequestPasswordReset => {
                identity.request_password_reset(RequestPasswordResetRequest { email }).await.expect("anybody may");
            }
        }
        began.elapsed()
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    for (cost, settings, samples) in [
        ("64 KiB, 1 pass", "password.memory_kib = 64\npassword.iterations = 1\n", 1000),
        ("the default: 19 MiB, 2 passes", "", 200),
    ] {
        println!("passwords of {cost}; {samples} calls of each group, milliseconds");
        println!("                      with a login            without                  with : without       with : with");
        println!("                      median   p90    p99     median   p90    p99      auc    advantage     auc    advantage");
        runtime.block_on(measured(settings, samples));
    }
}

async fn measured(settings: &str, samples: usize) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let data = directory.path().join("data");
    let top = format!("data_dir = '{}'\nsignup = \"open\"\ngrpc.listen = [\"127.0.0.1:0\"]\n", data.display());
    let config = Config::from_toml(&format!("{top}{WITHOUT_LIMITS}{settings}")).expect("a configuration");
    let (ready, bound) = tokio::sync::oneshot::channel();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let service = Service::bind(&config, Clock::System).await.expect("the service starts");
            let tcp = service.addresses().tcp.first().map(ToString::to_string).expect("a TCP address");
            let _ = ready.send((service.addresses().socket.clone(), tcp));
            service.run(stopped).await.expect("the service runs");
        });
    });
    let (socket, tcp) = bound.await.expect("addresses");
    let operator =
        Endpoint::from_shared(format!("unix:{}", socket.display())).expect("an address").connect().await.expect("open");
    make_logins(&operator).await;
    let stranger = Endpoint::from_shared(format!("http://{tcp}")).expect("an address").connect().await.expect("open");
    let mut identity = IdentityClient::new(stranger.clone());
    for call in CALLS {
        let times = interleaved(call, &mut identity, samples).await;
        report(call, times);
    }
    stop.cancel();
    drop((operator, stranger, identity));
    server.join().expect("the service ends");
}

fn address(group: &str, number: u64) -> String {
    format!("{group}-{number:02}@acme.test")
}

async fn make_logins(operator: &Channel) {
    let (mut users, mut identity) = (UserManagementClient::new(operator.clone()), IdentityClient::new(operator.clone()));
    for group in &GROUPS[..2] {
        for number in 0..ADDRESSES {
            let (email, display_name) = (address(group, number), "Somebody".to_owned());
            let request = CreateUserRequest { email, display_name, return_link: true, ..Default::default() };
            let link = users.create_user(request).await.expect("the operator may").into_inner().link.expect("a link");
            let request = ResetPasswordRequest { token: link.token, password: PASSWORD.to_owned() };
            identity.reset_password(request).await.expect("a password is set");
        }
    }
}

/// Times of each group, in milliseconds, of calls in random order after one round that warms up.
async fn interleaved(call: Call, identity: &mut IdentityClient<Channel>, samples: usize) -> [Vec<f64>; 3] {
    for number in 0..ADDRESSES {
        for group in GROUPS {
            call.time(identity, address(group, number)).await;
        }
    }
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).expect("random bytes");
    let mut dice = u64::from_le_bytes(seed) | 1;
    let mut roll = |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % sides
    };
    let mut times: [Vec<f64>; 3] = Default::default();
    while times.iter().any(|times| times.len() < samples) {
        let group = usize::try_from(roll(3)).expect("small");
        let took = call.time(identity, address(GROUPS[group], roll(ADDRESSES))).await;
        if times[group].len() < samples {
            times[group].push(took.as_secs_f64() * 1e3);
        }
    }
    times
}

fn report(call: Call, [mut one, mut other, mut none]: [Vec<f64>; 3]) {
    for times in [&mut one, &mut other, &mut none] {
        times.sort_by(f64::total_cmp);
    }
    let at = |times: &[f64], percent: usize| times[(times.len() - 1) * percent / 100];
    let shape = |times: &[f64]| format!("{:>6.2} {:>6.2} {:>6.2}", at(times, 50), at(times, 90), at(times, 99));
    let told = |(auc, advantage): (f64, f64)| format!("{auc:>6.3} {advantage:>9.3}");
    let mut logins = [&one[..], &other[..]].concat();
    logins.sort_by(f64::total_cmp);
    let name = format!("{call:?}");
    println!(
        "{name:<20} {}    {}    {}     {}",
        shape(&logins),
        shape(&none),
        told(told_apart(&logins, &none)),
        told(told_apart(&one, &other))
    );
}

/// How well two sorted samples can be told apart: the share of pairs in which the first is greater (Mann and Whitney), and the greatest
/// difference of their distributions (Kolmogorov and Smirnov).
fn told_apart(first: &[f64], second: &[f64]) -> (f64, f64) {
    let share = |count: usize, of: usize| count as f64 / of as f64;
    let mut greater = 0.0;
    let mut advantage: f64 = 0.0;
    for time in first {
        let (below, up_to) = (second.partition_point(|other| other < time), second.partition_point(|other| other <= time));
        greater += share(below, second.len()) + share(up_to - below, second.len()) / 2.0;
        let own = first.partition_point(|other| other <= time);
        advantage = advantage.max((share(own, first.len()) - share(up_to, second.len())).abs());
        let own = first.partition_point(|other| other < time);
        advantage = advantage.max((share(own, first.len()) - share(below, second.len())).abs());
    }
    (greater / first.len() as f64, advantage)
}
