//! Answered mutations: what makes a retry safe.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::clock::Timestamp;
use crate::domain::error::Error;

use super::Tx;

/// What names a request: unique for a caller and a call.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// Who calls, in bytes.
    pub caller: Vec<u8>,
    /// Which RPC.
    pub rpc: &'static str,
    /// The `request_id`.
    pub id: [u8; 16],
    /// SHA-256 of the rest of the request.
    pub fingerprint: [u8; 32],
}

/// On what terms a change is asked for.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What makes a retry safe, if the caller gave an id.
    pub key: Option<RequestKey>,
    /// Judge everything and change nothing.
    pub validate_only: bool,
}

/// The outcome of some work, and whether it was done by an earlier call.
#[derive(Clone, Copy, Debug)]
pub struct Once<T> {
    /// What the first call made.
    pub outcome: T,
    /// Nothing was done now.
    pub replayed: bool,
}

/// Does the work, or answers what an earlier call with the same key made of it.
///
/// Only successes are kept, in the same savepoint as the work. The outcome holds ids, enums and times: no secret, no personal value. A call that
/// only validates has its work undone by the writer, which takes along what would be kept.
pub async fn once<T, F>(tx: &mut Tx, terms: &Terms, work: F) -> Result<Once<T>, Error>
where
    T: Serialize + DeserializeOwned,
    F: AsyncFnOnce(&mut Tx) -> Result<T, Error>,
{
    if terms.validate_only {
        tx.validate_only();
    }
    let Some(key) = &terms.key else { return Ok(Once { outcome: work(tx).await?, replayed: false }) };
    let (caller, id, fingerprint) = (&key.caller[..], &key.id[..], &key.fingerprint[..]);
    let kept =
        sqlx::query!("select fingerprint, outcome from requests where caller = ? and rpc = ? and id = ?", caller, key.rpc, id)
            .fetch_optional(tx.sql())
            .await?;
    if let Some(kept) = kept {
        if kept.fingerprint != fingerprint {
            return Err(Error::RequestIdReused);
        }
        let outcome = serde_json::from_str(&kept.outcome).map_err(Error::internal)?;
        return Ok(Once { outcome, replayed: true });
    }
    let outcome = work(tx).await?;
    let json = serde_json::to_string(&outcome).map_err(Error::internal)?;
    let now = tx.now();
    sqlx::query!(
        "insert into requests (caller, rpc, id, fingerprint, outcome, created) values (?, ?, ?, ?, ?, ?)",
        caller,
        key.rpc,
        id,
        fingerprint,
        json,
        now
    )
    .execute(tx.sql())
    .await?;
    Ok(Once { outcome, replayed: false })
}

/// Forgets what was answered before a moment.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    let done = sqlx::query!("delete from requests where created < ?", before).execute(tx.sql()).await?;
    Ok(done.rows_affected())
}
