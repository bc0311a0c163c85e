//! The data itself: its identity and the edition it was last served as.

use sqlx::sqlite::SqliteConnection;

use crate::domain::edition::Edition;
use crate::domain::error::Error;
use crate::domain::id::Epoch;

use super::Tx;

/// What is recorded about the data as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Which history this is.
    pub epoch: Epoch,
    /// The edition it was last served as.
    pub edition: Edition,
}

/// Reads what is recorded; none before the first start has finished.
pub async fn recorded(connection: &mut SqliteConnection) -> Result<Option<Recorded>, Error> {
    Ok(sqlx::query_as!(Recorded, r#"select epoch as "epoch: Epoch", edition as "edition: Edition" from server where one = 1"#)
        .fetch_optional(connection)
        .await?)
}

/// Records the identity of fresh data.
pub async fn insert(tx: &mut Tx, recorded: Recorded) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!("insert into server (one, epoch, edition, created) values (1, ?, ?, ?)", recorded.epoch, recorded.edition, now)
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// The digest of the link key that was last made links with; none in data of before there was another than the first.
pub async fn link_key(connection: &mut SqliteConnection) -> Result<Option<[u8; 32]>, Error> {
    let row = sqlx::query!("select link_key from server where one = 1").fetch_optional(connection).await?;
    let digest = row.and_then(|row| row.link_key).map(<[u8; 32]>::try_from);
    digest.transpose().map_err(|_| Error::internal("the link key's digest in the store has another length"))
}

/// Records another link key by its digest.
pub async fn set_link_key(tx: &mut Tx, digest: &[u8; 32]) -> Result<(), Error> {
    let digest = &digest[..];
    let done = sqlx::query!("update server set link_key = ? where one = 1", digest).execute(tx.sql()).await?;
    super::changed_one(done.rows_affected())
}

/// Records another edition.
pub async fn set_edition(tx: &mut Tx, edition: Edition) -> Result<(), Error> {
    let done = sqlx::query!("update server set edition = ? where one = 1", edition).execute(tx.sql()).await?;
    super::changed_one(done.rows_affected())
}
