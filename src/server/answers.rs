//! The answers of one connection that its client hasn't taken yet.
//!
//! HTTP/2 lets a client ask without end and take nothing: with its windows closed, or with TCP's. An answer that isn't taken in time ends
//! the connection ([`super::connection`]), so that nobody holds memory for longer than a call may take.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use super::shares::Charge;

/// Those of one connection; clones are of the same.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

impl Answers {
    /// Since when the oldest of them waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.lock().since.values().next().copied()
    }

    /// Bytes that are counted, and wait, until the last of them is on its way.
    pub(super) fn hold(&self, data: Bytes, charge: Charge) -> Bytes {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.since.insert(number, Instant::now());
        drop(waiting);
        Bytes::from_owner(Held { data, number, answers: self.clone(), _charge: charge })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of an answer, dropped by the HTTP/2 server when it is written, or when nobody wants it any more.
struct Held {
    data: Bytes,
    number: u64,
    answers: Answers,
    _charge: Charge,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.answers.lock().since.remove(&self.number);
    }
}
