//! What was used up lately of limits that hold over a restart. A window is counted in 24 parts, so that no subject has more rows than that.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::limit::Limit;

use super::Tx;

/// Parts of a window: what was used in one of them is given back as a whole.
const PARTS: u32 = 24;

/// What was used up in one part of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How much.
    pub count: u64,
    /// When it is given back.
    pub ends: Timestamp,
}

/// What a subject has used up, oldest first.
pub async fn of(connection: &mut SqliteConnection, limit: Limit, subject: &[u8], now: Timestamp) -> Result<Vec<Part>, Error> {
    let limit = limit as i64;
    let rows = sqlx::query!(
        r#"select count, ends as "ends: Timestamp" from spending where what = ? and subject = ? and ends > ? order by part"#,
        limit,
        subject,
        now
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| Part { count: row.count.try_into().unwrap_or(0), ends: row.ends }).collect())
}

/// Notes that a subject used up some more of what it has in a window.
pub async fn add(tx: &mut Tx, limit: Limit, subject: &[u8], window: Duration, count: u64) -> Result<(), Error> {
    let length = (window / PARTS).as_micros().try_into().map_or(i64::MAX, |micros: i64| micros.max(1));
    let part = tx.now().as_micros().div_euclid(length);
    let ends = (part + i64::from(PARTS)).saturating_mul(length);
    let (limit, count) = (limit as i64, i64::try_from(count).unwrap_or(i64::MAX));
    sqlx::query!(
        "insert into spending (what, subject, part, count, ends) values (?, ?, ?, ?, ?)
         on conflict (what, subject, part) do update set count = count + excluded.count",
        limit,
        subject,
        part,
        count,
        ends
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Forgets what was given back.
pub async fn purge(tx: &mut Tx) -> Result<u64, Error> {
    let now = tx.now();
    let done = sqlx::query!("delete from spending where ends <= ?", now).execute(tx.sql()).await?;
    Ok(done.rows_affected())
}
