//! How long history is kept: its beginning goes once a day, as far as `events.retention_days` says.
//!
//! A clock that is wrong for a while must not cost what can't be had back, so time counts as far as history has come a day ago: what is dropped is older
//! than the retention at the newest event of before that. A server that jumps to another year drops nothing in its first day there, and one where nothing
//! happens keeps what it has.

use std::time::Duration;

use tracing::{error, info, warn};

use super::{App, server_origin};
use crate::domain::error::{Error, chain};
use crate::domain::event::TrimState;
use crate::store::events::{self, Due};

/// How far history has to have come beyond a moment before that counts as passed.
const PROVEN_BY: Duration = Duration::from_hours(24);

/// How many events go in one write: others wait for it.
const SLICE: u32 = 1000;

impl App {
    /// Drops what is older than history is kept, in slices, so that other writes go on in between.
    pub async fn trim_history(&self) {
        loop {
            match self.trim_slice(SLICE).await {
                Ok(Some(trimmed)) => {
                    info!(
                        until = trimmed.until,
                        dropped = trimmed.dropped,
                        kept = trimmed.kept,
                        "dropped the beginning of history"
                    );
                }
                Ok(None) => return,
                Err(error) => {
                    warn!(error = %chain(&error), "the beginning of history couldn't be dropped; it is tried again");
                    return;
                }
            }
        }
    }

    /// Drops at most so many events that are older than history is kept; none where there are none, or where history isn't whole: what
    /// shows that somebody was at it must not go.
    pub async fn trim_slice(&self, most: u32) -> Result<Option<TrimState>, Error> {
        let Some(retention) = self.retention else { return Ok(None) };
        let _alone = self.trimming.write().await;
        let due = {
            let mut connection = self.store.read().await?;
            let proven = events::newest_by(&mut connection, self.clock.now().minus(PROVEN_BY)).await?;
            let Some(proven) = proven else { return Ok(None) };
            events::due(&mut connection, proven.minus(retention), most).await?
        };
        match due {
            Due::Nothing => Ok(None),
            Due::Prefix(prefix) => {
                self.store.write(server_origin(), async move |tx| events::trim(tx, prefix).await).await.map(Some)
            }
            Due::Broken(broken) => {
                error!(
                    event = broken.seq,
                    "history isn't as it was recorded, so nothing of it is dropped: `events verify` says more"
                );
                Ok(None)
            }
        }
    }
}
