//! How long history is kept: its beginning goes once a day, as far as `events.retention_days` says.
//!
//! A clock that is wrong for a while must not cost what can't be had back, so time counts as far as history has come a day ago, and no further than the
//! clock said in any minute since the last time: what is dropped is older than the retention at the newest event of before that. The second rule is
//! for a history that the clock led astray before: it doesn't go back, so that a later jump to the same year would find an old event there. A server
//! whose clock is ahead again and again drops nothing while a minute was right, and one where nothing happens keeps what it has.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{App, server_origin};
use crate::domain::clock::Timestamp;
use crate::domain::error::{Error, chain};
use crate::domain::event::TrimState;
use crate::store::events::{self, Broken, Due};

/// How far history has to have come beyond a moment before that counts as passed.
const PROVEN_BY: Duration = Duration::from_hours(24);

/// How many events go in one write: others wait for it.
const SLICE: u32 = 1000;

/// How often the clock is read.
const READING: Duration = Duration::from_mins(1);

/// After how many readings events go.
const DAY: u32 = 24 * 60;

/// After how many of them they go first: a server that is stopped each night to be copied drops them too.
const FIRST: u32 = 12 * 60;

/// What the clock said in each minute since old events went.
pub struct Readings {
    left: u32,
    least: Timestamp,
}

impl Readings {
    /// Begins with what it says at a start.
    #[must_use]
    pub const fn begin(first: Timestamp) -> Self {
        Self { left: FIRST, least: first }
    }

    /// Takes what it says in the next minute; answers the least of all when it is time to drop old events.
    pub fn take(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.least = self.least.min(now);
        self.left -= 1;
        (self.left == 0).then(|| {
            self.left = DAY;
            std::mem::replace(&mut self.least, now)
        })
    }
}

impl App {
    /// Drops old events once a day until told to stop, apart from all else that is done by the clock: it may take long.
    pub async fn forget_history(self: Arc<Self>, stop: CancellationToken) {
        let mut readings = Readings::begin(self.clock.now());
        while stop.run_until_cancelled(tokio::time::sleep(READING)).await.is_some() {
            if let Some(passed) = readings.take(self.clock.now()) {
                self.trim_history(passed, &stop).await;
            }
        }
    }

    /// Drops what is older than history is kept at a moment that passed for sure, in slices, so that other writes go on in between; nothing unless all
    /// of history is whole. What is left when told to stop goes another time.
    pub async fn trim_history(&self, passed: Timestamp, stop: &CancellationToken) {
        let last = self.directory.view().time();
        if last > self.clock.now() {
            warn!(%last, "the clock was ahead, or is behind: the last event is later than it, and so are all until it has come there");
        }
        if let Some(Err(error)) = stop.run_until_cancelled(self.trim_what_is_whole(passed)).await {
            warn!(error = %chain(&error), "the beginning of history couldn't be dropped; it is tried again");
        }
    }

    async fn trim_what_is_whole(&self, passed: Timestamp) -> Result<(), Error> {
        if self.due(passed, SLICE).await? == Due::Nothing {
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
        while let Some(trimmed) = self.trim_slice(passed, SLICE).await? {
            info!(until = trimmed.until, dropped = trimmed.dropped, kept = trimmed.kept, "dropped the beginning of history");
        }
        Ok(())
    }

    /// Drops at most so many events that are older than history is kept; none where there are none, or where they aren't whole: what shows
    /// that somebody was at it must not go.
    pub async fn trim_slice(&self, passed: Timestamp, most: u32) -> Result<Option<TrimState>, Error> {
        let _alone = self.trimming.write().await;
        match self.due(passed, most).await? {
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

    async fn due(&self, passed: Timestamp, most: u32) -> Result<Due, Error> {
        let Some(retention) = self.retention else { return Ok(Due::Nothing) };
        let mut connection = self.store.read().await?;
        let passed = passed.min(self.clock.now().minus(PROVEN_BY));
        match events::newest_by(&mut connection, passed).await? {
            Some(proven) => events::due(&mut connection, proven.minus(retention), most).await,
            None => Ok(Due::Nothing),
        }
    }
}

fn tell_broken(broken: &Broken) {
    error!(event = broken.seq, "history isn't as it was recorded, so nothing of it is dropped: `events verify` says more");
}
