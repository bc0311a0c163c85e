//! Time, as a value that is handed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A moment: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Takes microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The moment `duration` later; the last representable one if that overflows.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The moment `duration` earlier; the first representable one if that overflows.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it isn't.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// Where the time comes from: the system, or a test that sets it.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's clock. It may jump; what must not go backwards takes the larger of it and what was seen last.
    System,
    /// Stands at the microsecond it was last set to.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `time` until it is moved.
    #[must_use]
    pub fn set_to(time: Timestamp) -> Self {
        Self::Set(Arc::new(AtomicI64::new(time.0)))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Set(micros) => Timestamp(micros.load(Ordering::SeqCst)),
        }
    }

    /// Sets a clock that can be set, back too, as a host's may be; does nothing to the system's.
    pub fn set(&self, time: Timestamp) {
        if let Self::Set(micros) = self {
            micros.store(time.0, Ordering::SeqCst);
        }
    }

    /// Moves a set clock on; does nothing to the system's.
    pub fn advance(&self, duration: Duration) {
        if let Self::Set(micros) = self {
            self.set(Timestamp(micros.load(Ordering::SeqCst)).plus(duration));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place where the system's time comes in")]
fn system_now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}
