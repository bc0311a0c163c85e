//! Lists of events: which, along which index.

use sqlx::sqlite::SqliteConnection;

use super::decode;
use super::trim::before_first;
use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::{Actor, Event, Subject};
use crate::domain::id::AccountId;

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Of one account.
    pub account: Option<AccountId>,
    /// By one actor, whatever session or right they acted by.
    pub actor: Option<Actor>,
    /// About one thing.
    pub subject: Option<Subject>,
    /// Of these kinds: all that there are unless some were asked for.
    pub kinds: Vec<u16>,
    /// Whether only some kinds were asked for.
    pub some_kinds: bool,
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

impl Which {
    /// Whether the actor is the one that was asked for: an index leads to an actor or to a subject, so that of both at once is looked for in
    /// what was read.
    #[must_use]
    pub fn holds(&self, event: &Event) -> bool {
        self.actor.is_none_or(|actor| actor.mark() == event.actor.mark())
            && self.subject.is_none_or(|subject| Some(subject) == event.change.subject())
    }
}

/// The number of the first event of a span of time, and of the first after it: times never go back, so a span has no gaps. It begins where history
/// does: what is kept of events that were dropped isn't listed.
pub async fn span(connection: &mut SqliteConnection, which: &Which) -> Result<(i64, i64), Error> {
    let first = match which.from {
        Some(time) => since(&mut *connection, time).await?.unwrap_or(i64::MAX),
        None => 0,
    };
    let first = first.max(before_first(connection).await? + 1);
    let end = match which.until {
        Some(time) => since(&mut *connection, time).await?.unwrap_or(i64::MAX),
        None => i64::MAX,
    };
    Ok((first, end))
}

async fn since(connection: &mut SqliteConnection, time: Timestamp) -> Result<Option<i64>, Error> {
    let first = sqlx::query!("select seq from events where time >= ? order by time, seq limit 1", time)
        .fetch_optional(connection)
        .await?;
    Ok(first.map(|first| first.seq))
}

/// Numbers and bytes.
type Rows = Vec<(i64, Vec<u8>)>;

macro_rules! walked {
    ($query:literal, $connection:ident, $($argument:expr),*) => {
        sqlx::query!($query, $($argument),*)
            .fetch_all(&mut *$connection)
            .await?
            .into_iter()
            .map(|row| (row.seq, row.bytes))
            .collect()
    };
}

/// Reads events from one number on and before another, newest first, along the index that leads closest to what was asked for.
pub async fn newest(
    connection: &mut SqliteConnection,
    which: &Which,
    range: (i64, i64),
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let kinds = super::super::json_codes(which.kinds.iter().map(|kind| i64::from(*kind)));
    let rows = match which.account {
        Some(account) => of_account(connection, which, account, &kinds, range, limit).await?,
        None => of_all(connection, which, &kinds, range, limit).await?,
    };
    decode(connection, rows).await
}

/// What is asked of an account goes along the account's own indexes: how its pages fall tells nothing of what others have.
async fn of_account(
    connection: &mut SqliteConnection,
    which: &Which,
    account: AccountId,
    kinds: &str,
    (first, end): (i64, i64),
    limit: i64,
) -> Result<Rows, Error> {
    if let Some(subject) = &which.subject {
        let subject = &subject.as_bytes()[..];
        return Ok(walked!(
            r#"with recursive walk(kind, seq) as (
                select value, (select n.seq from events n indexed by events_by_account_and_subject where n.account = ?4 and n.subject = ?5 and n.kind = value and n.seq >= ?2 and n.seq < ?3
                                order by n.seq desc limit 1)
                  from json_each(?1)
                union all
                select kind, (select n.seq from events n indexed by events_by_account_and_subject where n.account = ?4 and n.subject = ?5 and n.kind = walk.kind and n.seq >= ?2
                                 and n.seq < walk.seq order by n.seq desc limit 1)
                  from walk where seq is not null
                 order by 2 desc limit ?6)
             select e.seq as "seq!", e.bytes from walk cross join events e on e.seq = walk.seq"#,
            connection,
            kinds,
            first,
            end,
            account,
            subject,
            limit
        ));
    }
    if let Some(actor) = which.actor.map(Actor::mark) {
        return Ok(walked!(
            r#"with recursive walk(kind, seq) as (
                select value, (select n.seq from events n indexed by events_by_account_and_actor where n.account = ?4 and n.actor = ?5 and n.kind = value and n.seq >= ?2 and n.seq < ?3
                                order by n.seq desc limit 1)
                  from json_each(?1)
                union all
                select kind, (select n.seq from events n indexed by events_by_account_and_actor where n.account = ?4 and n.actor = ?5 and n.kind = walk.kind and n.seq >= ?2
                                 and n.seq < walk.seq order by n.seq desc limit 1)
                  from walk where seq is not null
                 order by 2 desc limit ?6)
             select e.seq as "seq!", e.bytes from walk cross join events e on e.seq = walk.seq"#,
            connection,
            kinds,
            first,
            end,
            account,
            actor,
            limit
        ));
    }
    Ok(walked!(
        r#"with recursive walk(kind, seq) as (
                select value, (select n.seq from events n indexed by events_by_account_and_kind where n.account = ?4 and n.kind = value and n.seq >= ?2 and n.seq < ?3
                                order by n.seq desc limit 1)
                  from json_each(?1)
                union all
                select kind, (select n.seq from events n indexed by events_by_account_and_kind where n.account = ?4 and n.kind = walk.kind and n.seq >= ?2
                                 and n.seq < walk.seq order by n.seq desc limit 1)
                  from walk where seq is not null
                 order by 2 desc limit ?5)
             select e.seq as "seq!", e.bytes from walk cross join events e on e.seq = walk.seq"#,
        connection,
        kinds,
        first,
        end,
        account,
        limit
    ))
}

async fn of_all(
    connection: &mut SqliteConnection,
    which: &Which,
    kinds: &str,
    (first, end): (i64, i64),
    limit: i64,
) -> Result<Rows, Error> {
    if let Some(subject) = &which.subject {
        let subject = &subject.as_bytes()[..];
        return Ok(walked!(
            r#"with recursive walk(kind, seq) as (
                select value, (select n.seq from events n indexed by events_by_subject where n.subject = ?4 and n.kind = value and n.seq >= ?2 and n.seq < ?3
                                order by n.seq desc limit 1)
                  from json_each(?1)
                union all
                select kind, (select n.seq from events n indexed by events_by_subject where n.subject = ?4 and n.kind = walk.kind and n.seq >= ?2
                                 and n.seq < walk.seq order by n.seq desc limit 1)
                  from walk where seq is not null
                 order by 2 desc limit ?5)
             select e.seq as "seq!", e.bytes from walk cross join events e on e.seq = walk.seq"#,
            connection,
            kinds,
            first,
            end,
            subject,
            limit
        ));
    }
    if let Some(actor) = which.actor.map(Actor::mark) {
        return Ok(walked!(
            r#"with recursive walk(kind, seq) as (
                select value, (select n.seq from events n indexed by events_by_actor where n.actor = ?4 and n.kind = value and n.seq >= ?2 and n.seq < ?3
                                order by n.seq desc limit 1)
                  from json_each(?1)
                union all
                select kind, (select n.seq from events n indexed by events_by_actor where n.actor = ?4 and n.kind = walk.kind and n.seq >= ?2
                                 and n.seq < walk.seq order by n.seq desc limit 1)
                  from walk where seq is not null
                 order by 2 desc limit ?5)
             select e.seq as "seq!", e.bytes from walk cross join events e on e.seq = walk.seq"#,
            connection,
            kinds,
            first,
            end,
            actor,
            limit
        ));
    }
    if which.some_kinds {
        return Ok(walked!(
            r#"with recursive walk(kind, seq) as (
                select value, (select n.seq from events n indexed by events_by_kind where n.kind = value and n.seq >= ?2 and n.seq < ?3
                                order by n.seq desc limit 1)
                  from json_each(?1)
                union all
                select kind, (select n.seq from events n indexed by events_by_kind where n.kind = walk.kind and n.seq >= ?2
                                 and n.seq < walk.seq order by n.seq desc limit 1)
                  from walk where seq is not null
                 order by 2 desc limit ?4)
             select e.seq as "seq!", e.bytes from walk cross join events e on e.seq = walk.seq"#,
            connection,
            kinds,
            first,
            end,
            limit
        ));
    }
    Ok(walked!(
        "select seq, bytes from events where seq >= ? and seq < ? order by seq desc limit ?",
        connection,
        first,
        end,
        limit
    ))
}
