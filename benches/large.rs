//! What a site of a million events costs whoever runs it: starting, walking all of history, looking at the other edition, erasing a person. And how
//! long others wait meanwhile for a check and for a change.
//!
//! ```text
//! cargo bench --bench large [-- <events>]
//! ```
//!
//! The site is made by the RPCs that everybody uses: people who are invited, sign in and join, and are then moved a thousand at once until there
//! are enough events. Beside each cost stands what the machine takes for the same bytes without the service: reading and hashing them, or
//! copying the file.

#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use sha2::{Digest as _, Sha256};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use user_management::config::Config;
use user_management::domain::clock::Clock;
use user_management::proto::access_client::AccessClient;
use user_management::proto::identity_client::IdentityClient;
use user_management::proto::operations_client::OperationsClient;
use user_management::proto::user_management_client::UserManagementClient;
use user_management::proto::{self, Privilege};
use user_management::serve::Service;

const PEOPLE: u32 = 20_000;

/// Callers at once while the site is made.
const AT_ONCE: usize = 8;

const PASSWORD: &str = "correct horse battery";

/// No limit ends the making, and hashes cost next to nothing.
const SETTINGS: &str = "limits.sign_in_failures_per_peer = 0\nlimits.link_uses_per_peer = 0\nlimits.invitations_per_grantor = 0\n\
     limits.invitations_per_account = 0\npassword.memory_kib = 64\npassword.iterations = 1\n";

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(asked.unwrap_or(1_000_000)));
}

async fn measure(events: u64) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let data = directory.path().join("data");
    let database = data.join("user-management.db");
    let site = Site::start(&data).await;
    let began = Instant::now();
    let users = site.fill(events).await;
    eprintln!("made in {:.0?}", began.elapsed());
    let head = site.head().await;
    site.stop();
    let bytes = std::fs::metadata(&database).expect("a database").len();
    println!("{head} events, {} members, {} MiB\n", users.len(), bytes >> 20);

    let (scanned, copied) = (scan(&database).await, copy(&database, &directory.path().join("copy")));
    let began = Instant::now();
    let site = Site::start(&data).await;
    let started = began.elapsed();
    println!(
        "| what | takes, s | beside, s | ratio | most that a check waits, ms | most that a change waits, ms | memory more, MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    println!("| the machine | | reading and hashing all events {scanned:.1}, copying the file {copied:.1} | | | | |");
    println!("| start | {:.1} | {scanned:.1} | {:.2} | | | |", started.as_secs_f64(), started.as_secs_f64() / scanned);
    let erased = users.last().expect("people").clone();
    site.tell("quiet, 5 s", 5.0, async { tokio::time::sleep(Duration::from_secs(5)).await }).await;
    site.tell("VerifyEvents", scanned, async {
        let found = site.operations().verify_events(proto::VerifyEventsRequest::default()).await;
        let found = found.map(|found| found.into_inner().first_broken);
        if !matches!(found, Ok(0)) {
            println!("VerifyEvents: {found:?}");
        }
    })
    .await;
    site.tell("PreviewEdition, first page", scanned, async {
        let request = proto::PreviewEditionRequest { page_size: 1000, ..Default::default() };
        site.operations().preview_edition(request).await.expect("the operator may");
    })
    .await;
    site.tell("DeleteUser", copied, async {
        let request = proto::DeleteUserRequest { user: erased, ..Default::default() };
        site.users().delete_user(request).await.expect("the operator may");
    })
    .await;
    site.stop();
}

/// A running service with its data.
struct Site {
    channel: Channel,
    stop: DropGuard,
    thread: std::thread::JoinHandle<()>,
}

impl Site {
    async fn start(data: &Path) -> Self {
        let config = format!("data_dir = '{}'\ngrpc.listen = []\n{SETTINGS}", data.display());
        let config = Config::from_toml(&config).expect("a configuration");
        let (ready, bound) = tokio::sync::oneshot::channel();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let service = Service::bind(&config, Clock::System).await.expect("the service starts");
                let _ = ready.send(service.addresses().socket.clone());
                service.run(stopped).await.expect("the service runs");
            });
        });
        let socket: PathBuf = bound.await.expect("an address");
        Self { channel: connect(&socket).await, stop: stop.drop_guard(), thread }
    }

    fn stop(self) {
        drop((self.channel, self.stop));
        self.thread.join().expect("it ends");
    }

    fn users(&self) -> UserManagementClient<Channel> {
        UserManagementClient::new(self.channel.clone())
    }

    fn operations(&self) -> OperationsClient<Channel> {
        OperationsClient::new(self.channel.clone())
    }

    async fn head(&self) -> u64 {
        let info = self.operations().get_server_info(proto::GetServerInfoRequest {}).await.expect("the operator may");
        info.into_inner().revision.expect("a revision").seq
    }

    /// Makes people, and moves them until there are so many events; answers their ids.
    async fn fill(&self, events: u64) -> Vec<String> {
        let request = proto::CreateAccountRequest { name: "site".to_owned(), ..Default::default() };
        self.users().create_account(request).await.expect("the operator may");
        let joined = (0..PEOPLE).map(|number| join(self.channel.clone(), format!("user{number}@site.test")));
        let users: Vec<String> = stream::iter(joined).buffer_unordered(AT_ONCE).collect().await;
        let mut column = Privilege::ReadOnly;
        while self.head().await < events {
            for some in users.chunks(1000) {
                let update = |user: &String| proto::MemberUpdate {
                    user: user.clone(),
                    change: Some(proto::member_update::Change::Move(proto::MoveMember {
                        privilege: column.into(),
                        keep_roles: false,
                    })),
                    ..Default::default()
                };
                let updates = some.iter().map(update).collect();
                let request = proto::BatchUpdateMembersRequest { account: "site".to_owned(), updates, ..Default::default() };
                self.users().batch_update_members(request).await.expect("the operator may");
            }
            column = if column == Privilege::Normal { Privilege::ReadOnly } else { Privilege::Normal };
        }
        users
    }

    /// Does something, and says how long it took and others waited meanwhile.
    async fn tell(&self, what: &str, beside: f64, work: impl Future<Output = ()>) {
        let before = memory("VmRSS:");
        // the most from now on
        std::fs::write("/proc/self/clear_refs", "5").expect("the kernel lets it be counted anew");
        let done = CancellationToken::new();
        let timed = async {
            let began = Instant::now();
            work.await;
            done.cancel();
            began.elapsed().as_secs_f64()
        };
        let (took, check, change) = tokio::join!(timed, self.checks(&done), self.changes(&done));
        let more = memory("VmHWM:").saturating_sub(before) >> 10;
        println!(
            "| {what} | {took:.2} | {beside:.1} | {:.2} | {:.1} | {:.1} | {more} |",
            took / beside,
            check.as_secs_f64() * 1e3,
            change.as_secs_f64() * 1e3
        );
    }

    /// Asks for one right again and again; answers how long it waited at most.
    async fn checks(&self, done: &CancellationToken) -> Duration {
        let mut access = AccessClient::new(self.channel.clone());
        let request = proto::CheckAccessRequest {
            account: "site".to_owned(),
            user: "user0@site.test".to_owned(),
            permission: proto::Permission::View.into(),
            ..Default::default()
        };
        let mut most = Duration::ZERO;
        while !done.is_cancelled() {
            let began = Instant::now();
            access.check_access(request.clone()).await.expect("the operator may");
            most = most.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        most
    }

    /// Changes an account again and again; answers how long it waited at most.
    async fn changes(&self, done: &CancellationToken) -> Duration {
        let mut users = self.users();
        let mut most = Duration::ZERO;
        for number in 0.. {
            if done.is_cancelled() {
                break;
            }
            let display_name = Some(format!("Site {number}"));
            let request = proto::UpdateAccountRequest { account: "site".to_owned(), display_name, ..Default::default() };
            let began = Instant::now();
            users.update_account(request).await.expect("the operator may");
            most = most.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        most
    }
}

async fn connect(socket: &Path) -> Channel {
    Endpoint::from_shared(format!("unix:{}", socket.display())).expect("an address").connect().await.expect("a connection")
}

/// Makes a login, invites it and accepts; answers the user's id.
async fn join(channel: Channel, email: String) -> String {
    let (mut users, mut identity) = (UserManagementClient::new(channel.clone()), IdentityClient::new(channel.clone()));
    let request = proto::CreateUserRequest {
        email: email.clone(),
        display_name: "Somebody".to_owned(),
        return_link: true,
        ..Default::default()
    };
    let made = users.create_user(request).await.expect("the operator may").into_inner();
    let request = proto::ResetPasswordRequest { token: made.link.expect("a link").token, password: PASSWORD.to_owned() };
    identity.reset_password(request).await.expect("a password is set");
    let request = proto::InviteUserRequest {
        account: "site".to_owned(),
        email: email.clone(),
        privilege: Privilege::Normal.into(),
        return_link: true,
        ..Default::default()
    };
    let invited = users.invite_user(request).await.expect("the operator may").into_inner();
    let request = proto::SignInRequest { email, password: PASSWORD.to_owned() };
    let session = identity.sign_in(request).await.expect("it is theirs").into_inner().session_token;
    let bearer: MetadataValue<_> = format!("Bearer {session}").parse().expect("a header");
    let mut person = IdentityClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    });
    let request =
        proto::AcceptInvitationRequest { invitation: invited.invitation.expect("an invitation").id, ..Default::default() };
    person.accept_invitation(request).await.expect("it is theirs");
    made.user.expect("a user").id
}

/// A line of what the kernel says of this process, in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Seconds that reading and hashing all events takes.
async fn scan(database: &Path) -> f64 {
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("the database opens");
    let began = Instant::now();
    {
        let mut rows = sqlx::query_as::<_, (Vec<u8>,)>("select bytes from events order by seq").fetch(&mut connection);
        let mut hash = Sha256::new();
        while let Some(row) = rows.next().await {
            hash.update(Sha256::digest(row.expect("a row").0));
        }
        std::hint::black_box(hash.finalize());
    }
    let took = began.elapsed().as_secs_f64();
    connection.close().await.expect("closed");
    took
}

/// Seconds that copying a file takes, until it is on the disk.
fn copy(from: &Path, to: &Path) -> f64 {
    let began = Instant::now();
    let bytes = std::fs::read(from).expect("readable");
    let mut file = File::create(to).expect("made");
    file.write_all(&bytes).and_then(|()| file.sync_all()).expect("written");
    began.elapsed().as_secs_f64()
}
