//! Peers at which people proved to be themselves: by their password, or by a link that was mailed to them.

use sqlx::sqlite::SqliteConnection;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;
use crate::domain::id::UserId;
use crate::domain::peer::Peer;

use super::Tx;

/// Whether a person was at a peer since a moment.
pub async fn is_known(connection: &mut SqliteConnection, user: UserId, peer: Peer, since: Timestamp) -> Result<bool, Error> {
    let peer = peer.to_bytes();
    let row = sqlx::query!("select 1 as found from devices where user = ? and peer = ? and seen > ?", user, peer, since)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Notes that a person is at a peer now.
pub async fn note(tx: &mut Tx, user: UserId, peer: Peer) -> Result<(), Error> {
    let (now, peer) = (tx.now(), peer.to_bytes());
    sqlx::query!(
        "insert into devices (user, peer, seen) values (?, ?, ?) on conflict (user, peer) do update set seen = excluded.seen",
        user,
        peer,
        now
    )
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Forgets where people were last before a moment.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    let done = sqlx::query!("delete from devices where seen < ?", before).execute(tx.sql()).await?;
    Ok(done.rows_affected())
}
