//! Opening the data: the directory, its lock, the file, its schema.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock, statfs};
use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use crate::ownership::{self, Flaw};

/// The steps from an empty file to the present schema.
static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// File systems that SQLite's write-ahead log breaks on, by the number that `statfs` gives: NFS, SMB, CIFS, SMB2.
const NETWORK_FILE_SYSTEMS: [i64; 4] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42];

/// Why the data can't be opened: one line for the person who started the program.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory can't be made or looked at.
    #[error("the data directory {0} can't be used")]
    Directory(PathBuf, #[source] std::io::Error),
    /// The directory isn't safe to keep secrets in.
    #[error("the data directory {0} {1}")]
    Unsafe(PathBuf, Flaw),
    /// SQLite loses data there.
    #[error("the data directory {0} is on a network file system, where SQLite loses data; use a local disk")]
    Remote(PathBuf),
    /// The database could be read or bent by others.
    #[error("the database {0} {1}")]
    UnsafeDatabase(PathBuf, Flaw),
    /// Another server, or a command, works on it.
    #[error("the data directory {0} is in use by another server or command")]
    InUse(PathBuf),
    /// A newer program wrote it.
    #[error("{0} has schema version {1}, and this program knows {2} at most: use the newer program, or restore an older backup")]
    Newer(PathBuf, i64, i64),
    /// The database can't be opened.
    #[error("the database {0} can't be opened")]
    Database(PathBuf, #[source] sqlx::Error),
    /// A step of the schema failed; the file is as it was.
    #[error("the database {0} can't be brought to the present schema; it is as it was")]
    Migration(PathBuf, #[source] sqlx::migrate::MigrateError),
}

/// The name of the database file.
const DATABASE: &str = "user-management.db";

/// The data directory, held alone until dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it isn't there, checks that nobody else can write to it, and takes its lock. What is judged is what is used: from then
    /// on it is called by its real name.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Directory(path.to_owned(), error);
        ownership::check_place(path).map_err(|flaw| OpenError::Unsafe(path.to_owned(), flaw))?;
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        ownership::take_directory(path).map_err(|flaw| OpenError::Unsafe(path.to_owned(), flaw))?;
        let named = path;
        let path = &fs::canonicalize(named).map_err(failed)?;
        let kind = statfs(path).map_err(|error| failed(error.into()))?.f_type;
        #[allow(clippy::useless_conversion, reason = "the type differs between platforms")]
        if NETWORK_FILE_SYSTEMS.contains(&i64::from(kind)) {
            return Err(OpenError::Remote(named.to_owned()));
        }
        let lock = open_private(&path.join("lock")).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(named.to_owned())),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Judges what is there already, without making or changing anything.
    pub fn check(path: &Path) -> Result<(), OpenError> {
        if fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return ownership::check_place(path).map_err(|flaw| OpenError::Unsafe(path.to_owned(), flaw));
        }
        let owner = ownership::of_site(path);
        ownership::check_directory(path, owner.as_slice()).map_err(|flaw| OpenError::Unsafe(path.to_owned(), flaw))?;
        check_database(&path.join(DATABASE), owner)
    }

    /// Whether a server ever kept data there, without making anything. Where that can't be found out, taking the lock says why.
    #[must_use]
    pub fn holds_data(path: &Path) -> bool {
        path.join(DATABASE).try_exists().unwrap_or(true)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database file in it.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

/// Judges the file, its log and the log's index: they may have come from elsewhere.
fn check_database(file: &Path, owner: Option<u32>) -> Result<(), OpenError> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        ownership::check_data(Path::new(&name), owner).map_err(|flaw| OpenError::UnsafeDatabase(name.into(), flaw))?;
    }
    Ok(())
}

/// Opens a file that nobody else may read, making it if needed.
fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// How every connection is opened.
pub(super) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("trusted_schema", "off")
        .statement_cache_capacity(256)
}

/// Makes the file if needed and brings it to the present schema, after a copy if there is anything to lose.
pub(super) async fn prepare(directory: &DataDir) -> Result<bool, OpenError> {
    let file = directory.database();
    let fresh = !file.exists();
    check_database(&file, Some(ownership::own()))?;
    // SQLite gives the log and its index the mode of the database file
    open_private(&file).map_err(|error| OpenError::Directory(directory.path.clone(), error))?;
    let database = |error| OpenError::Database(file.clone(), error);
    let mut connection = SqliteConnection::connect_with(&options(&file)).await.map_err(database)?;
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let present = schema_version(&mut connection).await.map_err(database)?;
    if present > newest {
        return Err(OpenError::Newer(file, present, newest));
    }
    if present > 0 && present < newest {
        let copy = directory.path.join(format!("before-schema-{newest}.db"));
        if !copy.exists() {
            // written beside, and there under its name only once it is whole
            let part = copy.with_extension("part");
            let failed = |error| OpenError::Directory(directory.path.clone(), error);
            let _ = fs::remove_file(&part);
            let name = part.to_string_lossy().into_owned();
            sqlx::query("vacuum into ?").bind(name).execute(&mut connection).await.map_err(database)?;
            fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).map_err(failed)?;
            File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
            fs::rename(&part, &copy).map_err(failed)?;
            File::open(&directory.path).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
    }
    MIGRATIONS.run(&mut connection).await.map_err(|error| OpenError::Migration(file.clone(), error))?;
    connection.close().await.map_err(database)?;
    Ok(fresh)
}

async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let known: i64 = sqlx::query_scalar("select count(*) from sqlite_schema where name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await?;
    if known == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations").fetch_one(connection).await
}
