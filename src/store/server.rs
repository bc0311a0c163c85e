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

/// Records another edition.
pub async fn set_edition(tx: &mut Tx, edition: Edition) -> Result<(), Error> {
    let done = sqlx::query!("update server set edition = ? where one = 1", edition).execute(tx.sql()).await?;
    super::changed_one(done.rows_affected())
}
