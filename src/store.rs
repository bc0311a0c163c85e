//! The one SQLite file: all that the service keeps, and the only way to change it.
//!
//! Reads go to a pool of read-only connections. Writes go to the one writer through [`Store::write`]: the job gets a [`Tx`], changes
//! rows with the functions of the table families here, records what happened, and its caller is answered after the commit.
//! Nothing here knows the directory: the store is started with an `on_commit` that `app` wires.

mod codec;
mod fault;
mod last_manager;
mod open;
mod tx;
mod writer;

pub mod accounts;
pub mod addresses;
pub mod api_tokens;
pub mod devices;
pub mod erasure;
pub mod events;
pub mod invitations;
pub mod login_links;
pub mod mails;
pub mod members;
pub mod requests;
pub mod server;
pub mod services;
pub mod sessions;
pub mod sign_ups;
pub mod spending;
pub mod users;

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread::JoinHandle;

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::sync::watch;

use crate::domain::clock::Clock;
use crate::domain::error::Error;
use crate::domain::event::Origin;

pub use open::{DataDir, OpenError};
pub(crate) use tx::random;
pub use tx::{Committed, CostChange, Tx};
pub use writer::OnCommit;

/// How the writer works: what `benches/group_commit.rs` compares.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// How many jobs one durable transaction takes at most.
    pub group: NonZeroUsize,
    /// Whether the writer's thread, and with it the thread of its connection, keeps to one core.
    pub pinned: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { group: NonZeroUsize::new(128).unwrap_or(NonZeroUsize::MIN), pinned: true }
    }
}

/// How many reads run at once; more wait in line.
const READERS: u32 = 4;

/// What each of them keeps of the file in memory, in KiB (negative, as SQLite has it): a page of a list touches entries all over a large file,
/// and SQLite's own 2 MiB hold few of the pages on the way. Mapping the file would do without, and make a fault of the disk kill the process.
const READER_CACHE: &str = "-16384";

/// The data, readable, before anything can be written.
pub struct Opened {
    directory: DataDir,
    readers: SqlitePool,
    fresh: bool,
}

impl Opened {
    /// Opens the data in a directory, making or migrating it.
    pub async fn open(directory: DataDir) -> Result<Self, OpenError> {
        let fresh = open::prepare(&directory).await?;
        let file = directory.database();
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(open::options(&file).read_only(true).pragma("cache_size", READER_CACHE))
            .await
            .map_err(|error| OpenError::Database(file, error))?;
        Ok(Self { directory, readers, fresh })
    }

    /// Whether the file was made just now.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Where the data is.
    #[must_use]
    pub const fn directory(&self) -> &DataDir {
        &self.directory
    }

    /// A connection to read with.
    pub async fn read(&self) -> Result<PoolConnection<Sqlite>, Error> {
        Ok(self.readers.acquire().await?)
    }

    /// Starts the writer. `on_commit` is called after each commit, in order, on its thread, before any answer goes out; it must not
    /// wait.
    pub async fn start(self, clock: Clock, tuning: Tuning, on_commit: OnCommit) -> Result<Store, Error> {
        let options = open::options(&self.directory.database());
        let tail = events::tail(&mut *self.read().await?).await?;
        let (writer, thread) =
            writer::Writer::start(options, clock, tuning, tail, on_commit).map_err(|error| Error::Storage(Box::new(error)))?;
        Ok(Store { writer: Mutex::new(Some((writer, thread))), readers: self.readers, directory: self.directory })
    }
}

/// The data, while the service runs.
pub struct Store {
    writer: Mutex<Option<(writer::Writer, JoinHandle<()>)>>,
    readers: SqlitePool,
    directory: DataDir,
}

impl Store {
    /// A connection to read with: sees every commit that was answered before it was asked for.
    pub async fn read(&self) -> Result<PoolConnection<Sqlite>, Error> {
        Ok(self.readers.acquire().await?)
    }

    /// Runs a job inside the next transaction and answers after its commit.
    ///
    /// The job does no network, no hashing and no rendering: everybody waits for it. If it refuses, what it did is undone and nothing
    /// else. It runs to its end even if the caller goes away.
    pub async fn write<T, F>(&self, origin: Origin, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&mut Tx) -> Result<T, Error> + Send + 'static,
    {
        let writer = self.writer()?;
        writer.write(origin, job).await
    }

    /// Follows whether the last group could be written.
    pub fn healthy(&self) -> Result<watch::Receiver<bool>, Error> {
        Ok(self.writer()?.healthy())
    }

    /// Where the data is.
    #[must_use]
    pub const fn directory(&self) -> &DataDir {
        &self.directory
    }

    /// Ends the writer after what waits for it, and closes the file. Later writes are refused as draining.
    pub async fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // the writer's connection is the last: one that only reads can't bring the log into the file
        self.readers.close().await;
        if let Some((writer, thread)) = writer {
            drop(writer);
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn writer(&self) -> Result<writer::Writer, Error> {
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        writer.as_ref().map(|(writer, _)| writer.clone()).ok_or(Error::Draining)
    }
}

/// Blobs as a JSON array of hexadecimal texts: how a set is given to one statement (`unhex(value)` over `json_each`).
fn json_of<'a>(blobs: impl Iterator<Item = &'a [u8; 16]>) -> String {
    let mut json = String::from("[");
    for (position, blob) in blobs.enumerate() {
        if position > 0 {
            json.push(',');
        }
        json.push('"');
        json.push_str(&hex(blob));
        json.push('"');
    }
    json.push(']');
    json
}

/// Codes as a JSON array: the classes that a list merges.
fn json_codes(codes: impl Iterator<Item = i64>) -> String {
    codes.collect::<serde_json::Value>().to_string()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Every update that names its row must have changed exactly that row.
fn changed_one(rows: u64) -> Result<(), Error> {
    if rows == 1 { Ok(()) } else { Err(Error::internal(format!("an update of one row changed {rows}"))) }
}

/// The same for an update that names several rows.
fn changed_all(rows: u64, named: usize) -> Result<(), Error> {
    if u64::try_from(named) == Ok(rows) {
        Ok(())
    } else {
        Err(Error::internal(format!("an update of {named} rows changed {rows}")))
    }
}
