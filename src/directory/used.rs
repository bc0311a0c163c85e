//! When a credential was last used.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::clock::Timestamp;

/// When a session or personal token was last used, here and as written down.
#[derive(Debug)]
pub(super) struct Used {
    last: AtomicI64,
    written: AtomicI64,
}

impl Used {
    /// Last used at a moment, which is written down already.
    pub(super) fn at(moment: Timestamp) -> Arc<Self> {
        let micros = moment.as_micros();
        Arc::new(Self { last: AtomicI64::new(micros), written: AtomicI64::new(micros) })
    }

    pub(super) fn last(&self) -> Timestamp {
        Timestamp::from_micros(self.last.load(Ordering::Relaxed))
    }

    pub(super) fn touch(&self, now: Timestamp) {
        self.last.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    pub(super) fn written(&self, at: Timestamp) {
        self.written.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    /// When it was last used, if that is later than what was written down.
    pub(super) fn unwritten(&self) -> Option<Timestamp> {
        let last = self.last.load(Ordering::Relaxed);
        (last > self.written.load(Ordering::Relaxed)).then_some(Timestamp::from_micros(last))
    }
}
