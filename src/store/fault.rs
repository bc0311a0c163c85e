//! What the database's errors mean to the rest of the house.

use crate::domain::error::Error;

/// SQLite's primary result codes that say "the storage can't be used now", rather than "the statement was wrong".
const STORAGE: [u32; 9] = [
    5,  // busy: another process holds the file
    7,  // out of memory
    8,  // read-only
    10, // I/O error
    11, // corrupt
    13, // full
    14, // can't open
    15, // locking protocol
    26, // not a database
];

/// A fault of the storage ends the whole group of writes; anything else is a fault of one statement.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<u32>().ok()),
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::PoolTimedOut => return Self::Storage(Box::new(error)),
            _ => None,
        };
        if code.is_some_and(|code| STORAGE.contains(&(code & 0xff))) {
            Self::Storage(Box::new(error))
        } else {
            Self::Internal(Box::new(error))
        }
    }
}
