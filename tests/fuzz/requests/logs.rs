//! What the server logs meanwhile, all of it.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// How many bytes were looked at.
pub(super) fn looked_at() -> usize {
    TAKEN.load(Ordering::Relaxed)
}

/// Writes into the lines.
#[derive(Clone, Copy)]
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

/// Begins to keep what is logged, in the finest detail.
pub(super) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = EnvFilter::new("info,user_management=trace,lettre=trace,sqlx=debug");
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Lines).init();
    });
}

/// What was logged since the last time.
pub(super) fn taken() -> String {
    let lines = std::mem::take(&mut *LINES.lock().unwrap_or_else(PoisonError::into_inner));
    TAKEN.fetch_add(lines.len(), Ordering::Relaxed);
    String::from_utf8_lossy(&lines).into_owned()
}
