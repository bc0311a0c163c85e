//! Data of a size, written straight into the tables: what a service with so many of everything would have.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use user_management::domain::clock::Timestamp;
use user_management::domain::event::{Actor, Change, Door, Event, MemberState, SessionState};
use user_management::domain::id::{AccountId, EventId, InvitationId, ServiceId, SessionId, TraceId, UserId};
use user_management::domain::policy::Standing;
use user_management::domain::privilege::Privilege;
use user_management::domain::role::RoleSet;
use user_management::domain::token::TokenDigest;

/// The time of the last entry; each is a second after the one before.
const LAST: i64 = 1_900_000_000;

/// One account has all members, invitations and events, which is harder on its lists than a thousand smaller ones. One in fifty has what
/// filters look for, so that a page of twenty is full at a thousand already.
const STATEMENTS: [&str; 8] = [
    "create temp table numbers (n integer primary key)",
    "insert into numbers with recursive counted(n) as (select 1 union all select n + 1 from counted where n < ?) select n from counted",
    "insert into accounts (id, name, display_name, timezone, closed, has_manager, created, version)
     select unhex(printf('a%031x', n)), printf('account-%07d', n), 'Account', 'UTC', n % 50 = 0, n % 50 <> 1, n, 1 from numbers",
    // addresses come in no order, ids in the order of their making
    "insert into addresses (id, folded)
     select unhex(printf('b%031x', n)), printf('%08x-%d@acme.test', n * 2654435761 % 4294967296, n) from numbers",
    "insert into users (id, address, email, folded, display_name, active, super_admin, created, version)
     select unhex(printf('c%031x', n)), unhex(printf('b%031x', n)), printf('%08x-%d@acme.test', n * 2654435761 % 4294967296, n),
            printf('%08x-%d@acme.test', n * 2654435761 % 4294967296, n), 'Somebody', n % 50 <> 2, n % 50 = 3, n, 1
       from numbers",
    "insert into members (account, user, privilege, roles, joined, version)
     select unhex(printf('a%031x', 1)), unhex(printf('c%031x', n)), case n % 50 when 4 then 1 when 5 then 3 else 2 end,
            case n % 50 when 6 then 1 when 7 then 2 when 8 then 6 else 0 end, n, 1
       from numbers",
    "insert into mails (id, kind, invitation, address, recipient, state, created, due)
     select unhex(printf('d%031x', n)), 1, unhex(printf('e%031x', n)), unhex(printf('b%031x', n)), 'somebody@acme.test',
            iif(n % 50 = 9, 4, 3), n, n
       from numbers",
    "insert into invitations (id, account, address, email, privilege, state, grantor_user, nonce, created, expires, send_count, mail, version, folded)
     select unhex(printf('e%031x', n)), unhex(printf('a%031x', 1)), unhex(printf('b%031x', n)), 'somebody@acme.test', 2,
            case n % 50 when 10 then 2 when 11 then 4 else 1 end, iif(n % 50 = 12, unhex(printf('c%031x', 2)), null), zeroblob(16), n,
            iif(n % 50 = 13, 1, null), 1, unhex(printf('d%031x', n)), 1,
            printf('%08x-%d@acme.test', n * 2654435761 % 4294967296, n)
       from numbers",
];

/// Writes as much of everything into a database that a service made and left.
pub(crate) async fn fill(database: &Path, size: u32) {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .foreign_keys(false)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Off)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Off)
        .pragma("cache_size", "-400000");
    let mut connection = SqliteConnection::connect_with(&options).await.expect("the database opens");
    sqlx::raw_sql("begin").execute(&mut connection).await.expect("begun");
    for statement in STATEMENTS {
        let query = sqlx::query(statement);
        let query = if statement.contains('?') { query.bind(size) } else { query };
        query.execute(&mut connection).await.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    // what their mails have come to is read from these when an invitation is sent
    sqlx::raw_sql("update invitations set mail = mail").execute(&mut connection).await.expect("delivered");
    for first in (1..=size).step_by(10_000) {
        let rows: Vec<serde_json::Value> = (first..=size.min(first + 9_999)).map(row).collect();
        sqlx::query(
            "insert into events (seq, time, kind, account, bytes, hash)
             select value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3), unhex(value ->> 4), zeroblob(32) from json_each(?)",
        )
        .bind(serde_json::Value::Array(rows).to_string())
        .execute(&mut connection)
        .await
        .expect("appended");
    }
    sqlx::raw_sql("commit").execute(&mut connection).await.expect("committed");
    connection.close().await.expect("closed");
}

/// The blob that `unhex(printf('x%031x', number))` gives.
fn id(first: u8, number: u32) -> [u8; 16] {
    (u128::from(number) | u128::from(first) << 120).to_be_bytes()
}

/// An event as its row: the service's own first one stands before them.
fn row(number: u32) -> serde_json::Value {
    let user = UserId::from_bytes(id(0xc0, number));
    let state = MemberState {
        account: AccountId::from_bytes(id(0xa0, 1)),
        // the same twenty people again and again, among many
        user: if number % 50 == 14 { UserId::from_bytes(id(0xc0, 1)) } else { user },
        standing: Standing { privilege: Privilege::Normal, roles: RoleSet::EMPTY },
        joined: Timestamp::from_micros(0),
        invitation: Some(InvitationId::from_bytes(id(0xe0, number))),
    };
    let started = SessionState {
        session: SessionId::from_bytes(id(0xf0, number)),
        user,
        token: TokenDigest::from_bytes([0; 32]),
        authenticated: Timestamp::from_micros(0),
        expires: Timestamp::from_micros(0),
    };
    let change = match number % 50 {
        15 => Change::MemberRemoved(state),
        16 => Change::SessionStarted(started),
        _ => Change::MemberJoined(state),
    };
    let event = Event {
        seq: u64::from(number) + 1,
        id: EventId::from_bytes(id(0x10, number)),
        time: Timestamp::from_micros((LAST + i64::from(number)) * 1_000_000),
        actor: if number % 50 == 17 { Actor::Service(ServiceId::from_bytes(id(0x20, 1))) } else { Actor::Operator(0) },
        on_behalf_of: None,
        client: None,
        door: Door::OperatorsSocket,
        trace: TraceId::from_bytes(id(0x30, number)),
        change,
        previous: [0; 32],
    };
    let account = event.change.account().map(|account| hex(account.as_bytes()));
    serde_json::json!([event.seq, event.time.as_micros(), event.change.kind(), account, hex(&event.encode().bytes)])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The moment of the event with a number, in seconds.
pub(crate) fn moment(number: u32) -> i64 {
    LAST + i64::from(number)
}
