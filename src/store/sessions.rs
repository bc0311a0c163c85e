//! Sessions of signed-in users.

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::event::SessionState;
use crate::domain::id::{SessionId, UserId};
use crate::domain::token::TokenDigest;

use super::Tx;

/// Adds a session.
pub async fn insert(tx: &mut Tx, session: &SessionState) -> Result<(), Error> {
    sqlx::query!(
        "insert into sessions (id, user, token, authenticated, last_used, expires) values (?, ?, ?, ?, ?, ?)",
        session.session,
        session.user,
        session.token,
        session.authenticated,
        session.authenticated,
        session.expires
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Ends a session; false if it had ended.
pub async fn end(tx: &mut Tx, session: SessionId) -> Result<bool, Error> {
    let now = tx.now();
    let done =
        sqlx::query!("update sessions set ended = ? where id = ? and ended is null", now, session).execute(tx.sql()).await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a user's sessions but one.
pub async fn end_all(tx: &mut Tx, user: UserId, kept: Option<SessionId>) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!("update sessions set ended = ? where user = ? and ended is null and id is not ?", now, user, kept)
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// The session of an id, ended or not.
pub async fn by_id(tx: &mut Tx, id: SessionId) -> Result<Option<SessionState>, Error> {
    let row = sqlx::query_as!(
        SessionState,
        r#"select id as "session: SessionId", user as "user: UserId", token as "token: TokenDigest",
                  authenticated as "authenticated: Timestamp", expires as "expires: Timestamp" from sessions where id = ?"#,
        id
    )
    .fetch_optional(tx.sql())
    .await?;
    Ok(row)
}

/// The session of a token, ended or not.
pub async fn of_token(tx: &mut Tx, token: TokenDigest) -> Result<Option<SessionId>, Error> {
    let row = sqlx::query!(r#"select id as "id: SessionId" from sessions where token = ?"#, token);
    Ok(row.fetch_optional(tx.sql()).await?.map(|row| row.id))
}

/// A user's sessions that haven't been ended or expired, in the order in which they were begun; how long they are idle isn't looked at.
pub async fn live_of(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<Vec<SessionId>, Error> {
    let rows = sqlx::query!(
        r#"select id as "id: SessionId" from sessions where user = ? and ended is null and expires > ? order by id"#,
        user,
        now
    )
    .fetch_all(tx.sql())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Whether a session hasn't been ended; what ends by time was judged before.
pub async fn is_live(tx: &mut Tx, session: SessionId) -> Result<bool, Error> {
    let row =
        sqlx::query!("select 1 as found from sessions where id = ? and ended is null", session).fetch_optional(tx.sql()).await?;
    Ok(row.is_some())
}

/// Writes down when sessions were last used, so that a restart doesn't forget it.
pub async fn touch(tx: &mut Tx, used: &[(SessionId, Timestamp)]) -> Result<(), Error> {
    let used: Vec<_> = used.iter().map(|(session, at)| (super::hex(session.as_bytes()), at.as_micros())).collect();
    let used = serde_json::to_string(&used).map_err(Error::internal)?;
    sqlx::query!(
        "update sessions set last_used = used.at
           from (select unhex(value ->> 0) as id, value ->> 1 as at from json_each(?)) as used
          where sessions.id = used.id and sessions.last_used < used.at",
        used
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Deletes sessions that nobody can use since before a moment.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    let done = sqlx::query!("delete from sessions where expires < ?", before).execute(tx.sql()).await?;
    Ok(done.rows_affected())
}
