//! History: appending to it, reading it, and checking that it is whole.

mod listing;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Actor, Encoded, Event, Personal, Salted};
use crate::domain::id::AccountId;

use super::tx::Tail;
pub use listing::{Which, newest, span};

/// Appends events with the personal values that stand beside them, each kind of row in one statement.
pub(super) async fn append(connection: &mut SqliteConnection, events: &[(Event, Encoded)]) -> Result<(), Error> {
    let rows: Vec<serde_json::Value> = events.iter().map(|(event, encoded)| row(event, encoded)).collect();
    let rows = serde_json::to_string(&rows).map_err(Error::internal)?;
    sqlx::query!(
        "insert into events (seq, time, kind, account, bytes, hash)
         select value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3), unhex(value ->> 4), unhex(value ->> 5) from json_each(?)",
        rows
    )
    .execute(&mut *connection)
    .await?;
    let values: Vec<serde_json::Value> = events.iter().flat_map(|(event, encoded)| personal_values(event, encoded)).collect();
    if values.is_empty() {
        return Ok(());
    }
    let values = serde_json::to_string(&values).map_err(Error::internal)?;
    sqlx::query!(
        "insert into personal_values (seq, slot, salt, value, subject)
         select value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, unhex(value ->> 4) from json_each(?)",
        values
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn row(event: &Event, encoded: &Encoded) -> serde_json::Value {
    let account = event.change.account().map(|account| super::hex(account.as_bytes()));
    serde_json::json!([
        event.seq,
        event.time.as_micros(),
        event.change.kind(),
        account,
        super::hex(&encoded.bytes),
        super::hex(&encoded.hash)
    ])
}

/// The client's address is the caller's; every other value is about the person whom the event is about, who is the caller too when nobody
/// was signed in.
fn personal_values(event: &Event, encoded: &Encoded) -> Vec<serde_json::Value> {
    let person = event.change.person().unwrap_or([0; 16]);
    let caller = match (event.on_behalf_of, event.actor) {
        (Some(user), _) | (None, Actor::User { user, .. } | Actor::ApiToken { user, .. }) => *user.as_bytes(),
        (None, Actor::Anonymous) => person,
        (None, Actor::Server | Actor::Operator(_) | Actor::Service(_)) => [0; 16],
    };
    let callers = usize::from(event.client.is_some());
    let values = encoded.personal.iter().enumerate().filter_map(|(slot, personal)| {
        let known = personal.known.as_ref()?;
        let subject = if slot < callers { caller } else { person };
        Some(serde_json::json!([event.seq, slot, super::hex(&known.salt), known.value, super::hex(&subject)]))
    });
    values.collect()
}

/// The end of history.
pub(super) async fn tail(connection: &mut SqliteConnection) -> Result<Tail, Error> {
    let last = sqlx::query!(r#"select seq, time as "time: Timestamp", hash from events order by seq desc limit 1"#)
        .fetch_optional(connection)
        .await?;
    let Some(last) = last else { return Ok(Tail::START) };
    let seq = u64::try_from(last.seq).map_err(Error::internal)?;
    let hash = last.hash.try_into().map_err(|_| Error::internal("an event's hash has another length"))?;
    Ok(Tail { seq, hash, time: last.time })
}

/// Reads events after `after`, oldest first.
pub async fn after(connection: &mut SqliteConnection, after: u64, limit: i64) -> Result<Vec<Event>, Error> {
    let after = i64::try_from(after).map_err(Error::internal)?;
    let rows = sqlx::query!("select seq, bytes from events where seq > ? order by seq limit ?", after, limit)
        .fetch_all(&mut *connection)
        .await?;
    decode(connection, rows.into_iter().map(|row| (row.seq, row.bytes)).collect()).await
}

async fn decode(connection: &mut SqliteConnection, rows: Vec<(i64, Vec<u8>)>) -> Result<Vec<Event>, Error> {
    decode_each(connection, rows).await?.into_iter().collect()
}

async fn decode_each(connection: &mut SqliteConnection, rows: Vec<(i64, Vec<u8>)>) -> Result<Vec<Result<Event, Error>>, Error> {
    let seqs = serde_json::to_string(&rows.iter().map(|(seq, _)| seq).collect::<Vec<_>>()).map_err(Error::internal)?;
    let values = sqlx::query!(
        "select seq, slot, salt, value from personal_values where seq in (select value from json_each(?)) order by seq, slot",
        seqs
    )
    .fetch_all(connection)
    .await?;
    let mut personal: BTreeMap<i64, Vec<Option<Salted>>> = BTreeMap::new();
    for row in values {
        let slots = personal.entry(row.seq).or_default();
        let slot = usize::try_from(row.slot).map_err(Error::internal)?;
        slots.resize(slot, None);
        let salt = row.salt.try_into().map_err(|_| Error::internal("a salt has another length"))?;
        slots.push(Some(Salted { salt, value: row.value }));
    }
    let event =
        |(seq, bytes): (i64, Vec<u8>)| Event::decode(&bytes, personal.remove(&seq).unwrap_or_default()).map_err(Error::internal);
    Ok(rows.into_iter().map(event).collect())
}

/// What a walk over all of history found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// How many events there are.
    pub events: u64,
    /// The first one that doesn't stand on the one before, or whose bytes, columns or values aren't the ones that were hashed.
    pub first_broken: Option<u64>,
}

/// Walks all of history and checks numbers, hashes, links, the columns to search by, and the personal values that are still there.
pub async fn verify(connection: &mut SqliteConnection) -> Result<Whole, Error> {
    let mut seen = Tail::START;
    loop {
        let from = i64::try_from(seen.seq).map_err(Error::internal)?;
        let rows = sqlx::query!(
            r#"select seq, time as "time: Timestamp", kind, account as "account: AccountId", bytes, hash,
                      actor as "actor: Vec<u8>", subject as "subject: Vec<u8>"
                 from events where seq > ? order by seq limit 1000"#,
            from
        )
        .fetch_all(&mut *connection)
        .await?;
        if rows.is_empty() {
            return Ok(Whole { events: seen.seq, first_broken: None });
        }
        let events = decode_each(connection, rows.iter().map(|row| (row.seq, row.bytes.clone())).collect()).await?;
        for (row, event) in rows.iter().zip(events) {
            let digest: [u8; 32] = Sha256::digest(&row.bytes).into();
            let whole = event.ok().filter(|event| {
                let linked = event.seq == seen.seq + 1 && event.previous == seen.hash && event.time >= seen.time;
                let found_by = i64::try_from(event.seq) == Ok(row.seq)
                    && (event.time, i64::from(event.change.kind()), event.change.account()) == (row.time, row.kind, row.account)
                    && row.actor.as_deref() == Some(&event.actor.mark())
                    && row.subject.as_deref() == event.change.subject().as_ref().map(|subject| &subject.as_bytes()[..]);
                linked && found_by && row.hash[..] == digest[..] && event.encode().personal.iter().all(Personal::is_whole)
            });
            let Some(event) = whole else { return Ok(Whole { events: seen.seq, first_broken: Some(seen.seq + 1) }) };
            seen = Tail { seq: event.seq, hash: digest, time: event.time };
        }
    }
}
