//! Asking until there is an answer, through any number of kills and however long the disk is full.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Response, Status};
use tonic_types::StatusExt as _;

use crate::client::Client;
use crate::program::LONG;

/// What was tried, counted by all writers together.
#[derive(Default)]
pub(crate) struct Tally {
    /// Writes that were answered as done.
    pub(crate) answered: AtomicU64,
    /// By what was done: how often it was answered as done, and how often refused by a rule, as it had to be.
    acts: Mutex<BTreeMap<&'static str, (u64, u64)>>,
    /// Questions what somebody may do, answered as the writes before make it.
    pub(crate) decided: AtomicU64,
    /// Requests that had to be sent again because their answer never came, or said that the storage was at fault.
    pub(crate) repeated: AtomicU64,
    /// How often that happened in all: it grows while something is at fault, also when every client is at a request that failed before.
    pub(crate) unanswered: AtomicU64,
}

impl Tally {
    pub(crate) fn count(&self, act: &'static str, refused: bool) {
        let mut acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, not) = acts.entry(act).or_default();
        *(if refused { not } else { done }) += 1;
    }

    /// What was done, and in brackets what was refused.
    pub(crate) fn acts(&self) -> String {
        let acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        let each = acts.iter().map(
            |(act, (done, refused))| {
                if *refused == 0 { format!("{act} {done}") } else { format!("{act} {done} ({refused})") }
            },
        );
        each.collect::<Vec<_>>().join(", ")
    }
}

/// What the service said to a request.
#[derive(Debug)]
pub(crate) enum Told<T> {
    Done(T),
    /// With this reason.
    Refused(String),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    pub(crate) told: Told<T>,
    /// How often the same request had been sent before without an answer: it may have been carried out each time.
    pub(crate) unanswered: usize,
}

impl<T> Asked<T> {
    pub(crate) fn map<U>(self, with: impl FnOnce(T) -> U) -> Asked<U> {
        let told = match self.told {
            Told::Done(answer) => Told::Done(with(answer)),
            Told::Refused(reason) => Told::Refused(reason),
        };
        Asked { told, unanswered: self.unanswered }
    }
}

/// Sends a request until it is answered: the same, with the same `request_id`.
pub(crate) async fn until_answered<R, T, F>(
    tally: &Arc<Tally>,
    client: &Client,
    request: R,
    call: impl Fn(Client, R) -> F,
) -> Asked<T>
where
    R: Clone,
    F: Future<Output = Result<Response<T>, Status>>,
{
    let (mut since, mut unanswered) = (None, 0);
    loop {
        let status = match call(client.clone(), request.clone()).await {
            Ok(answer) => return Asked { told: Told::Done(answer.into_inner()), unanswered },
            Err(status) => status,
        };
        // what the service itself refuses has a reason; without one the connection broke
        if let Some(info) = status.get_details_error_info()
            && !matches!(info.reason.as_str(), "STORAGE_UNAVAILABLE" | "BUSY" | "DRAINING")
        {
            return Asked { told: Told::Refused(info.reason), unanswered };
        }
        unanswered += 1;
        tally.unanswered.fetch_add(1, Ordering::Relaxed);
        let since = since.get_or_insert_with(|| {
            tally.repeated.fetch_add(1, Ordering::Relaxed);
            Instant::now()
        });
        assert!(since.elapsed() < LONG, "it doesn't come back: {status:?}");
        sleep(Duration::from_millis(3)).await;
    }
}

/// Asks by an RPC of a service: `ask!(tally, client, users.create_account, request)`.
macro_rules! ask {
    ($tally:expr, $client:expr, $service:ident.$rpc:ident, $request:expr) => {
        $crate::ask::until_answered($tally, $client, $request, |mut client: $crate::client::Client, request| async move {
            client.$service.$rpc(request).await
        })
        .await
    };
}

pub(crate) use ask;
