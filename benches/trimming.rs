//! How long the writer is held by one slice of dropped history, and how long 100,000 events take to go, in a history of 200,000: of 20,000 people, each
//! invited, joined, given roles, and signed in and out, so that three of ten events are kept.
//!
//! ```text
//! cargo bench --bench trimming [-- <events a slice>...]
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use user_management::app::App;
use user_management::config::Config;
use user_management::domain::clock::{Clock, Timestamp};
use user_management::domain::event::{
    Actor, Change, Door, Event, Grantor, Hash, InvitationState, MemberState, Origin, Personal, SessionState, UserState,
};
use user_management::domain::id::{AccountId, AddressId, EventId, InvitationId, SessionId, TraceId, UserId};
use user_management::domain::invitation::Stored;
use user_management::domain::policy::Standing;
use user_management::domain::privilege::Privilege;
use user_management::domain::role::RoleSet;
use user_management::domain::token::TokenDigest;
use user_management::store::Tuning;
use user_management::store::events::{self, Due};

const PEOPLE: u32 = 20_000;

const BEGINNING: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn main() {
    let mut slices: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    if slices.is_empty() {
        slices = vec![500, 1000, 2000, 5000];
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("| events a slice | read before, ms | writer held, ms: median | most | 100,000 events, s | kept |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for slice in slices {
        runtime.block_on(measure(slice));
    }
}

async fn measure(slice: u32) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let config = Config::from_toml(&format!("data_dir = '{}'", folder.path().display())).expect("a configuration");
    let app = App::open(&config, Clock::set_to(BEGINNING), Tuning::default()).await.expect("it opens");
    app.close().await;
    drop(app);
    fill(&folder.path().join("user-management.db")).await;
    let app = App::open(&config, Clock::set_to(BEGINNING), Tuning::default()).await.expect("it opens");
    let before = moment(100_000);
    let (mut read, mut held, mut kept) = (Vec::new(), Vec::new(), 0);
    let began = Instant::now();
    loop {
        let looked = Instant::now();
        let due = events::due(&mut app.store().read().await.expect("read"), before, slice).await.expect("read");
        let Due::Prefix(prefix) = due else { break };
        read.push(looked.elapsed());
        let wrote = Instant::now();
        let trimmed = app.store().write(origin(), async move |tx| events::trim(tx, prefix).await).await.expect("dropped");
        held.push(wrote.elapsed());
        kept = trimmed.kept;
    }
    let all = began.elapsed().as_secs_f64();
    app.close().await;
    let (read, most, held) = (median(read), held.iter().max().map_or(0.0, milliseconds), median(held));
    println!("| {slice} | {read:.1} | {held:.1} | {most:.1} | {all:.1} | {kept} |");
}

fn origin() -> Origin {
    Origin { actor: Actor::Server, on_behalf_of: None, client: None, door: Door::Inside, trace: TraceId::from_bytes([0; 16]) }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, milliseconds)
}

fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn moment(number: u64) -> Timestamp {
    BEGINNING.plus(Duration::from_secs(number))
}

/// Appends to the history that a service began; nothing of it has a row, as nothing needs one to go.
async fn fill(database: &Path) {
    let options = SqliteConnectOptions::new().filename(database).foreign_keys(false).pragma("cache_size", "-400000");
    let mut connection = SqliteConnection::connect_with(&options).await.expect("the database opens");
    let (mut seq, hash): (i64, Vec<u8>) =
        sqlx::query_as("select seq, hash from events order by seq desc limit 1").fetch_one(&mut connection).await.expect("begun");
    let mut previous: Hash = hash.try_into().expect("a hash");
    sqlx::raw_sql("begin").execute(&mut connection).await.expect("begun");
    for first in (0..PEOPLE).step_by(1000) {
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for change in (first..first + 1000).flat_map(life) {
            seq += 1;
            let number = u64::try_from(seq).expect("positive");
            let event = Event {
                seq: number,
                id: EventId::from_bytes(id(1, u32::try_from(seq).expect("few"))),
                time: moment(number),
                actor: Actor::Anonymous,
                on_behalf_of: None,
                client: Some(Personal::new("192.0.2.1", [7; 16])),
                door: Door::Tcp,
                trace: TraceId::from_bytes([0; 16]),
                change,
                previous,
            };
            let encoded = event.encode();
            previous = encoded.hash;
            let account = event.change.account().map(|account| hex(account.as_bytes()));
            let (bytes, hash) = (hex(&encoded.bytes), hex(&encoded.hash));
            rows.push(serde_json::json!([seq, event.time.as_micros(), event.change.kind(), account, bytes, hash]));
            for (slot, known) in encoded.personal.iter().filter_map(|personal| personal.known.as_ref()).enumerate() {
                values.push(serde_json::json!([seq, slot, hex(&known.salt), known.value]));
            }
        }
        sqlx::query(
            "insert into events (seq, time, kind, account, bytes, hash)
             select value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3), unhex(value ->> 4), unhex(value ->> 5) from json_each(?)",
        )
        .bind(serde_json::Value::Array(rows).to_string())
        .execute(&mut connection)
        .await
        .expect("appended");
        sqlx::query(
            "insert into personal_values (seq, slot, salt, value, subject)
             select value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, zeroblob(16) from json_each(?)",
        )
        .bind(serde_json::Value::Array(values).to_string())
        .execute(&mut connection)
        .await
        .expect("appended");
    }
    sqlx::raw_sql("commit").execute(&mut connection).await.expect("committed");
    connection.close().await.expect("closed");
}

/// The ten events of one person.
fn life(person: u32) -> Vec<Change> {
    let (user, address) = (UserId::from_bytes(id(2, person)), AddressId::from_bytes(id(3, person)));
    let account = AccountId::from_bytes(id(4, 1));
    let standing = Standing { privilege: Privilege::Normal, roles: RoleSet::EMPTY };
    let email = || Personal::new("somebody@acme.test", [8; 16]);
    let invitation = InvitationState {
        invitation: InvitationId::from_bytes(id(5, person)),
        account,
        address,
        email: email(),
        standing,
        state: Stored::Pending,
        grantor: Grantor { user: None, service: None },
        expires: None,
        send_count: 1,
        answered_by: None,
    };
    let display_name = Personal::new("Somebody", [9; 16]);
    let login = UserState { user, address, email: email(), display_name, active: true, super_admin: false };
    let member = MemberState { account, user, standing, joined: BEGINNING, invitation: Some(invitation.invitation) };
    let accepted = InvitationState { state: Stored::Accepted, answered_by: Some(user), ..invitation.clone() };
    let mut life = vec![
        Change::InvitationCreated(invitation),
        Change::UserCreated(login),
        Change::InvitationAccepted(accepted),
        Change::MemberJoined(member),
        Change::MemberRolesAssigned(member),
    ];
    for number in 0..3 {
        let session = SessionState {
            session: SessionId::from_bytes(id(6 + number, person)),
            user,
            token: TokenDigest::from_bytes([0; 32]),
            authenticated: BEGINNING,
            expires: BEGINNING,
        };
        life.push(Change::SessionStarted(session));
        if number < 2 {
            life.push(Change::SessionEnded(session));
        }
    }
    life
}

fn id(first: u8, number: u32) -> [u8; 16] {
    (u128::from(number) | u128::from(first) << 120).to_be_bytes()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
