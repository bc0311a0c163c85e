//! Dropping the beginning of history, so that what is left proves itself and the present as before.
//!
//! What goes is all up to one event, the checkpoint, but for the last event about each thing that is there: those stay in the table, below the
//! checkpoint, and no list shows them. So there is no second place for what was kept: the same indexes find the last event about a thing, personal
//! values stay beside their events and are erased there, and the present is held against them as if nothing had been dropped.
//!
//! Where the checkpoint is, its hash and a digest of what was kept is said by an event, `HistoryTrimmed`, and nowhere else: it is part of the
//! chain, so nobody can move the checkpoint or exchange what was kept without breaking what is left. Dropping goes in slices, each a write of its own
//! with its own such event, so that others wait for little and a crash leaves a shorter drop behind, which is as whole as a longer one.
//!
//! Nothing is dropped that isn't whole, since it shows that somebody was at it ([`due`]), and what was kept is compared with its digest before a new
//! one is made.

use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;
use tracing::error;

use super::verify::next_whole;
use super::{Broken, Hash};
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Change, Event, Malformed, TrimState};
use crate::store::{Tx, changed_all, json_codes};

/// A beginning of what is left of history, by its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The number of that event.
    pub until: u64,
    /// Its hash.
    pub hash: Hash,
    /// Its time.
    pub time: Timestamp,
}

/// What may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing, or nothing but few events that tell of earlier drops: each time that they were dropped alone another would be made.
    Nothing,
    /// This.
    Prefix(Prefix),
    /// Nothing, since history isn't as it was recorded there.
    Broken(Broken),
}

/// Where history begins: what the newest trim says; none while all of it is there.
pub async fn checkpoint(connection: &mut SqliteConnection) -> Result<Option<TrimState>, Error> {
    let newest = newest_trim(connection).await?.map(|(_, state)| state).transpose();
    newest.map_err(|_| Error::internal("the event that says where history begins can't be read"))
}

/// The newest trim, by the number of its event, which may be unreadable.
pub(super) async fn newest_trim(connection: &mut SqliteConnection) -> Result<Option<(u64, Result<TrimState, Malformed>)>, Error> {
    let row = sqlx::query!("select seq, bytes from events indexed by events_by_kind where kind = 3 order by seq desc limit 1")
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| {
        // one before the first of all is named as that: 0 would say that all is whole
        let seq = u64::try_from(row.seq).unwrap_or(0).max(1);
        let state = match Event::decode(&row.bytes, Vec::new()).map(|event| event.change) {
            Ok(Change::HistoryTrimmed(state)) if (1..seq).contains(&state.until) => Ok(state),
            _ => Err(Malformed),
        };
        (seq, state)
    }))
}

/// The number and time of the first event that is left.
pub async fn first(connection: &mut SqliteConnection) -> Result<Option<(u64, Timestamp)>, Error> {
    let until = before_first(connection).await?;
    let row = sqlx::query!(r#"select seq, time as "time: Timestamp" from events where seq > ? order by seq limit 1"#, until)
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok((u64::try_from(row.seq).map_err(Error::internal)?, row.time))).transpose()
}

/// The number before that of the first event that is left: what is kept stands at or below it.
///
/// Where nobody can read it, all that is there is shown: whoever broke it must not keep others from looking.
pub(super) async fn before_first(connection: &mut SqliteConnection) -> Result<i64, Error> {
    let until = match newest_trim(connection).await? {
        Some((_, Ok(state))) => state.until,
        Some((seq, Err(Malformed))) => {
            error!(event = seq, "the event that says where history begins can't be read: `events verify` says more");
            0
        }
        None => 0,
    };
    i64::try_from(until).map_err(Error::internal)
}

/// The time of the newest event that isn't later than a moment.
pub async fn newest_by(connection: &mut SqliteConnection, moment: Timestamp) -> Result<Option<Timestamp>, Error> {
    let row = sqlx::query!(r#"select time as "time: Timestamp" from events where time <= ? order by time desc limit 1"#, moment)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.time))
}

/// Finds what may be dropped of events before a moment, at most so many. They are walked, and what was kept before is held against its digest, so
/// this is not for the writer.
pub async fn due(connection: &mut SqliteConnection, before: Timestamp, most: u32) -> Result<Due, Error> {
    let events = match next_whole(connection, most).await? {
        Ok(events) => events,
        Err(broken) => return Ok(Due::Broken(broken)),
    };
    let old: Vec<_> = events.into_iter().take_while(|(event, _)| event.time < before).collect();
    let Some((event, hash)) = old.last() else { return Ok(Due::Nothing) };
    let few = old.len() < usize::try_from(most).unwrap_or(usize::MAX);
    if few && old.iter().all(|(event, _)| matches!(event.change, Change::HistoryTrimmed(_))) {
        return Ok(Due::Nothing);
    }
    if let Some(before) = checkpoint(connection).await? {
        let begin = i64::try_from(before.until).map_err(Error::internal)?;
        if kept(connection, begin).await? != (before.kept, before.kept_digest) {
            return Err(Error::internal("what was kept of history isn't what was kept, so nothing more is dropped"));
        }
    }
    Ok(Due::Prefix(Prefix { until: event.seq, hash: *hash, time: event.time }))
}

/// Drops a beginning of what is left, all but the last event about each thing that is there, and records that.
pub async fn trim(tx: &mut Tx, prefix: Prefix) -> Result<TrimState, Error> {
    let begin = checkpoint(tx.sql()).await?.map_or(0, |before| before.until);
    let begin = i64::try_from(begin).map_err(Error::internal)?;
    let end = i64::try_from(prefix.until).map_err(Error::internal)?;
    if end <= begin {
        return Err(Error::internal("history was trimmed by somebody else meanwhile"));
    }
    let last = sqlx::query!("select hash from events where seq = ?", end).fetch_optional(tx.sql()).await?;
    if last.is_none_or(|last| last.hash != prefix.hash) {
        return Err(Error::internal("the last event that was to be dropped isn't the one that was looked at"));
    }
    let going = superseded(tx.sql(), begin, end).await?;
    let numbers = json_codes(going.iter().copied());
    sqlx::query!("delete from personal_values where seq in (select value from json_each(?))", numbers).execute(tx.sql()).await?;
    let done =
        sqlx::query!("delete from events where seq in (select value from json_each(?))", numbers).execute(tx.sql()).await?;
    changed_all(done.rows_affected(), going.len())?;
    // where somebody called from isn't what became of a thing: it goes with its time
    sqlx::query!(
        "delete from personal_values
          where slot = 0 and seq in (select e.seq from events e where e.seq > ? and e.seq <= ? and substr(e.bytes, e.client_at, 1) = x'01')",
        begin,
        end
    )
    .execute(tx.sql())
    .await?;
    let (kept, kept_digest) = kept(tx.sql(), end).await?;
    let Prefix { until, hash, time } = prefix;
    let dropped = u64::try_from(going.len()).map_err(Error::internal)?;
    let state = TrimState { until, hash, time, dropped, kept, kept_digest };
    tx.record(Change::HistoryTrimmed(state)).await?;
    Ok(state)
}

/// How many events stand at or below a number that was trimmed to, and the digest of them.
async fn kept(connection: &mut SqliteConnection, until: i64) -> Result<(u64, Hash), Error> {
    // one row, since a statement's rows cost more than what is in them
    let row = sqlx::query!(
        r#"select count(*) as "count!: i64", coalesce(group_concat(hex(hash), ''), '') as "hashes!: String"
             from (select hash from events where seq <= ? order by seq)"#,
        until
    )
    .fetch_one(connection)
    .await?;
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    let bytes: Vec<u8> = row.hashes.as_bytes().as_chunks().0.iter().map(|[high, low]| digit(high) << 4 | digit(low)).collect();
    Ok((u64::try_from(row.count).map_err(Error::internal)?, Sha256::digest(&bytes).into()))
}

/// The events from one number on and up to another that aren't the last about a thing that is there, and those kept before that aren't any more.
///
/// History alone says which is the last; rows only say that a session or token is there no longer, since housekeeping deletes what expired without
/// an event. So who brings a row back to life can't have it taken for a true one by a trim.
async fn superseded(connection: &mut SqliteConnection, begin: i64, end: i64) -> Result<Vec<i64>, Error> {
    let rows = sqlx::query!(
        r#"with slice(subject, account, class) as (
              select distinct subject, iif(subject is null, account, null), kind / 10 from events where seq > ?1 and seq <= ?2),
           candidate(seq) as (
              select seq from events where seq > ?1 and seq <= ?2
              union
              select k.seq from slice cross join events k indexed by events_by_subject
                  on k.subject = slice.subject and k.kind between slice.class * 10 and slice.class * 10 + 9
               where k.seq <= ?1
              union
              select k.seq from slice cross join events k indexed by events_by_account_and_kind
                  on k.account = slice.account and k.kind between 10 and 19
               where slice.class = 1 and k.seq <= ?1
              union
              select k.seq from events k indexed by events_by_kind where k.kind in (1, 50, 80, 82) and k.seq <= ?1)
           select e.seq from candidate cross join events e on e.seq = candidate.seq
            where not case
              when e.kind = 1 then not exists (
                select 1 from events l indexed by events_by_kind where l.kind = 1 and l.seq > e.seq)
              when e.kind between 10 and 19 then not exists (
                select 1 from events l indexed by events_by_account_and_kind where l.account = e.account and l.kind between 10 and 19 and l.seq > e.seq)
              when e.kind between 20 and 29 or e.kind between 60 and 69 then not exists (
                select 1 from events l indexed by events_by_subject
                 where l.subject = e.subject and l.kind between e.kind / 10 * 10 and e.kind / 10 * 10 + 9 and l.seq > e.seq)
              when e.kind in (30, 31, 32) then not exists (
                select 1 from events l indexed by events_by_account_and_subject
                 where l.account = e.account and l.subject = e.subject and l.kind between 30 and 39 and l.seq > e.seq)
              when e.kind in (40, 41, 42, 43, 44, 47, 48, 49) then not exists (
                select 1 from events l indexed by events_by_subject
                 where l.subject = e.subject and l.kind in (40, 41, 42, 43, 44, 47, 48, 49) and l.seq > e.seq)
              when e.kind = 50 then exists (select 1 from sessions s where s.id = e.subject and s.ended is null) and not exists (
                select 1 from events l indexed by events_by_subject where l.subject = e.subject and l.kind = 51) and not exists (
                select 1 from sessions s cross join events x indexed by events_by_subject
                    on x.subject = s.user and x.kind in (42, 44, 45, 46, 47, 49, 52) and x.seq > e.seq
                 where s.id = e.subject
                   and not (x.kind in (45, 46, 52) and substr(x.bytes, x.state_at + 16, 1) = x'01' and substr(x.bytes, x.state_at + 17, 16) = s.id)
                   and not (x.kind = 44 and substr(x.bytes, x.state_at + 114, 1) = x'01' and substr(x.bytes, x.state_at + 115, 16) = s.id))
              when e.kind in (80, 82) then exists (select 1 from api_tokens t where t.id = e.subject and t.ended is null) and not exists (
                select 1 from events l indexed by events_by_subject where l.subject = e.subject and l.kind between 80 and 89 and l.seq > e.seq)
              else 0 end"#,
        begin,
        end
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.seq).collect())
}
