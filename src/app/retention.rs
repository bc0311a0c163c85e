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
use crate::store::events::{self, Broken, Due};

/// How far history has to have come beyond a moment before that counts as passed.
const PROVEN_BY: Duration = Duration::from_hours(24);

/// How many events go in one write: others wait for it.
const SLICE: u32 = 1000;

impl App {
    /// Drops what is older than history is kept, in slices, so that other writes go on in between; nothing unless all of history is whole.
    pub async fn trim_history(&self) {
        if let Err(error) = self.trim_what_is_whole().await {
            warn!(error = %chain(&error), "the beginning of history couldn't be dropped; it is tried again");
        }
    }

    async fn trim_what_is_whole(&self) -> Result<(), Error> {
        if self.due(SLICE).await? == Due::Nothing {
            return Ok(());
        }
        let walked = {
            let _all = self.trimming.read().await;
            self.walked(&mut *self.store.read().await?, Vec::new()).await?
        };
        if let Some(broken) = walked.broken {
            tell_broken(&broken);
            return Ok(());
        }
        while let Some(trimmed) = self.trim_slice(SLICE).await? {
            info!(until = trimmed.until, dropped = trimmed.dropped, kept = trimmed.kept, "dropped the beginning of history");
        }
        Ok(())
    }

    /// Drops at most so many events that are older than history is kept; none where there are none, or where they aren't whole: what shows
    /// that somebody was at it must not go.
    pub async fn trim_slice(&self, most: u32) -> Result<Option<TrimState>, Error> {
        let _alone = self.trimming.write().await;
        match self.due(most).await? {
            Due::Nothing => Ok(None),
            Due::Prefix(prefix) => {
                self.store.write(server_origin(), async move |tx| events::trim(tx, prefix).await).await.map(Some)
            }
            Due::Broken(broken) => {
                tell_broken(&broken);
                Ok(None)
            }
        }
    }

    async fn due(&self, most: u32) -> Result<Due, Error> {
        let Some(retention) = self.retention else { return Ok(Due::Nothing) };
        let mut connection = self.store.read().await?;
        match events::newest_by(&mut connection, self.clock.now().minus(PROVEN_BY)).await? {
            Some(proven) => events::due(&mut connection, proven.minus(retention), most).await,
            None => Ok(Due::Nothing),
        }
    }
}

fn tell_broken(broken: &Broken) {
    error!(event = broken.seq, "history isn't as it was recorded, so nothing of it is dropped: `events verify` says more");
}
