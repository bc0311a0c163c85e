//! History: appending to it, reading it, and checking that it is whole.

mod erased;
mod listing;
mod present;
mod trim;
mod verify;

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Actor, Encoded, Event, Hash, Salted};

use super::tx::Tail;
pub use listing::{Which, newest, span};
pub use present::{Difference, Object, differences};
pub use trim::{Due, Prefix, checkpoint, due, first, newest_by, trim};
pub use verify::{Broken, Walked, verify};

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

fn personal_values(event: &Event, encoded: &Encoded) -> Vec<serde_json::Value> {
    let values = encoded.personal.iter().enumerate().filter_map(|(slot, personal)| {
        let known = personal.known.as_ref()?;
        Some(serde_json::json!([event.seq, slot, super::hex(&known.salt), known.value, super::hex(&whose(event, slot))]))
    });
    values.collect()
}

/// With whom a personal value is erased. The client's address is the caller's; every other value is about the person whom the event is about, who
/// is the caller too when nobody was signed in.
fn whose(event: &Event, slot: usize) -> [u8; 16] {
    let person = event.change.person().unwrap_or([0; 16]);
    if slot >= usize::from(event.client.is_some()) {
        return person;
    }
    match (event.on_behalf_of, event.actor) {
        (Some(user), _) | (None, Actor::User { user, .. } | Actor::ApiToken { user, .. }) => *user.as_bytes(),
        (None, Actor::Anonymous) => person,
        (None, Actor::Server | Actor::Operator(_) | Actor::Service(_)) => [0; 16],
    }
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

/// The number and hash of the last event.
pub async fn last(connection: &mut SqliteConnection) -> Result<(u64, Hash), Error> {
    tail(connection).await.map(|tail| (tail.seq, tail.hash))
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

/// An event as it is stored, with the personal values that are still there, by slot.
pub struct Stored {
    /// Its number.
    pub seq: u64,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub hash: Hash,
    /// The values, in the order of their digests; none where one was erased.
    pub personal: Vec<Option<Salted>>,
}

/// Reads events from a number on, oldest first, as they are stored; from the first that is left where that one was dropped.
pub async fn stored(connection: &mut SqliteConnection, from: u64, limit: i64) -> Result<Vec<Stored>, Error> {
    let from = i64::try_from(from).unwrap_or(i64::MAX).max(trim::before_first(connection).await? + 1);
    let rows = sqlx::query!("select seq, bytes, hash from events where seq >= ? order by seq limit ?", from, limit)
        .fetch_all(&mut *connection)
        .await?;
    let mut personal = personal(connection, rows.iter().map(|row| row.seq)).await?;
    let stored = rows.into_iter().map(|row| {
        Ok(Stored {
            seq: u64::try_from(row.seq).map_err(Error::internal)?,
            hash: row.hash.try_into().map_err(|_| Error::internal("an event's hash has another length"))?,
            personal: personal.remove(&row.seq).unwrap_or_else(|| Some(Vec::new())).unwrap_or_default(),
            bytes: row.bytes,
        })
    });
    stored.collect()
}

async fn decode_each(connection: &mut SqliteConnection, rows: Vec<(i64, Vec<u8>)>) -> Result<Vec<Result<Event, Error>>, Error> {
    let mut personal = personal(connection, rows.iter().map(|(seq, _)| *seq)).await?;
    let event = |(seq, bytes): (i64, Vec<u8>)| {
        let values = personal.remove(&seq).unwrap_or_else(|| Some(Vec::new()));
        let values = values.ok_or_else(|| Error::internal("personal values beside an event that it has no room for"))?;
        Event::decode(&bytes, values).map_err(Error::internal)
    };
    Ok(rows.into_iter().map(event).collect())
}

/// More personal values than any event has.
const SLOTS: usize = 16;

/// The personal values of some events, by their numbers; of one, none at all where something else stands there.
async fn personal(
    connection: &mut SqliteConnection,
    seqs: impl Iterator<Item = i64>,
) -> Result<BTreeMap<i64, Option<Vec<Option<Salted>>>>, Error> {
    let seqs = super::json_codes(seqs);
    let values = sqlx::query!(
        "select seq, slot, salt, value from personal_values where seq in (select value from json_each(?)) order by seq, slot",
        seqs
    )
    .fetch_all(connection)
    .await?;
    let mut personal = BTreeMap::new();
    for row in values {
        let slots = personal.entry(row.seq).or_insert_with(|| Some(Vec::new()));
        let salted = row.salt.try_into().ok().map(|salt| Salted { salt, value: row.value });
        let slot = usize::try_from(row.slot).ok().filter(|slot| *slot < SLOTS);
        match (slots.as_mut(), slot, salted) {
            (Some(values), Some(slot), Some(salted)) => {
                values.resize(slot, None);
                values.push(Some(salted));
            }
            _ => *slots = None,
        }
    }
    Ok(personal)
}
