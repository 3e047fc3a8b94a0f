//! The file in which processes write down the calls that they are about to make.
//!
//! Every step is one statement, so no transaction is ever open between two of them and a process that is killed, or a
//! future that is dropped, leaves nothing half done. The file is a database of its own: the store's is locked by the
//! collector that runs, and this one is for everybody.

use crate::telemetry::quota as events;
use mde_client::Cause;
use mde_client::budget::{Appended, Block, Found, Journal, JournalError};
use mde_client::limits::Family;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The file. The name begins like the store's, whose room leaves alone only what is not ours.
const FILE: &str = "mde-collector.quota.db";
/// Held while somebody opens the file: it is made once, and liveness is judged only among those who are through.
const OPENING: &str = "mde-collector.quota.lock";
/// Held by each process as long as it lives; its number follows.
const PROCESS: &str = "mde-collector.quota.process-";
/// What the file carries in its header, so that a foreign one is told apart.
const APPLICATION_ID: i64 = 1_296_319_812;
/// How long a lock of another process is waited for; each holds it for one statement.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// After so many blocks those that no window looks at any more are removed.
const TIDY_EVERY: i64 = 256;

/// The table. Numbers are never given twice, so that a place stands for all that was written before it.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS block (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    process INTEGER NOT NULL,
    family TEXT NOT NULL,
    calls INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS block_owner ON block (owner, place);";

/// Writes one block unless another process has written behind the place that was seen.
const WRITE: &str = "INSERT INTO block (owner, process, family, calls, until_ms)
    SELECT ?1, ?2, ?4, ?5, ?6
    WHERE NOT EXISTS (SELECT 1 FROM block WHERE owner = ?1 AND place > ?3 AND process <> ?2)
    RETURNING place";

/// What was written behind a place, one's own blocks among it.
const READ: &str =
    "SELECT place, process, family, calls, until_ms FROM block WHERE owner = ?1 AND place > ?2 ORDER BY place";

/// Removes what no window looks at any more.
const TIDY: &str = "DELETE FROM block WHERE until_ms < ?1";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The folder or a lock in it.
    #[error("open {path}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The database.
    #[error("open {path}: the record of calls cannot be used; with no collector running it may be removed")]
    Database {
        /// The file.
        path: String,
        /// What it says.
        #[source]
        cause: sqlx::Error,
    },
    /// A file of our name that somebody else wrote.
    #[error("open {path}: this is no record of calls of mde-collector")]
    Foreign {
        /// The file.
        path: String,
    },
    /// Reading later on.
    #[error("{0}")]
    Journal(#[from] JournalError),
}

/// The file, as this process uses it.
pub struct QuotaFile {
    /// Where it lies.
    directory: PathBuf,
    /// The number of this process.
    process: i64,
    /// Says that this process lives; its file goes when the value does.
    _living: Living,
    /// One statement at a time.
    connection: tokio::sync::Mutex<SqliteConnection>,
    /// Processes that have certainly ended: they do not come back.
    ended: Mutex<HashSet<i64>>,
}

/// Whether anybody has ever written down there what was spent.
#[must_use]
pub fn is_begun(directory: &Path) -> bool {
    directory.join(FILE).exists()
}

impl QuotaFile {
    /// Opens the file of a folder; both are made if they are missing.
    ///
    /// # Errors
    /// A folder or a file that cannot be used.
    pub async fn open(directory: &Path) -> Result<Self, QuotaError> {
        let owned = directory.to_owned();
        // A lock is waited for off the runtime; whoever holds it opens one file.
        let opening = tokio::task::spawn_blocking(move || {
            fs::create_dir_all(&owned)?;
            let lock = File::options().create(true).append(true).open(owned.join(OPENING))?;
            lock.lock().map(|()| lock)
        });
        let failed = |name: &str| {
            let path = directory.join(name).display().to_string();
            move |cause| QuotaError::File { path, cause }
        };
        let opening = opening.await.map_err(io::Error::other).and_then(|lock| lock).map_err(failed(OPENING))?;
        sweep(directory).map_err(failed(PROCESS))?;
        let process = i64::from_le_bytes(rand::random()) & i64::MAX;
        let living = Living::begin(process_file(directory, process)).map_err(failed(PROCESS))?;
        let path = directory.join(FILE);
        let connection = connect(&path).await?;
        drop(opening);
        Ok(Self {
            directory: directory.to_owned(),
            process,
            _living: living,
            connection: tokio::sync::Mutex::new(connection),
            ended: Mutex::default(),
        })
    }

    /// Whether a process has certainly ended.
    fn has_ended(&self, process: i64) -> bool {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.contains(&process) || (is_over(&process_file(&self.directory, process)) && ended.insert(process))
    }

    /// One attempt of [`Journal::append`] for an owner.
    async fn append(&self, owner: &str, seen: u64, block: Option<&Block>) -> Result<Appended, sqlx::Error> {
        let seen = i64::try_from(seen).unwrap_or(i64::MAX);
        let mut connection = self.connection.lock().await;
        if let Some(block) = block {
            let written = sqlx::query(WRITE).bind(owner).bind(self.process).bind(seen).bind(block.family.name());
            let written = written.bind(i64::from(block.calls)).bind(block.until_ms).fetch_optional(&mut *connection);
            if let Some(row) = written.await? {
                let place: i64 = row.try_get(0)?;
                if place % TIDY_EVERY == 0 {
                    sqlx::query(TIDY).bind(oldest_ms(block)).execute(&mut *connection).await?;
                }
                return Ok(Appended::Written { seen: place.unsigned_abs() });
            }
        }
        let rows = sqlx::query(READ).bind(owner).bind(seen).fetch_all(&mut *connection).await?;
        drop(connection);
        let (mut place, mut others) = (seen, Vec::new());
        for row in &rows {
            place = row.try_get(0)?;
            let process = row.try_get(1)?;
            // A family of a newer version is none of ours.
            if let (true, Some(family)) = (process != self.process, Family::named(row.try_get(2)?)) {
                let calls = u32::try_from(row.try_get::<i64, _>(3)?).unwrap_or(u32::MAX);
                let block = Block { family, calls, until_ms: row.try_get(4)? };
                others.push(Found { block, ended: self.has_ended(process) });
            }
        }
        let seen = place.unsigned_abs();
        Ok(match block {
            None if others.is_empty() => Appended::Written { seen },
            _ => Appended::Behind { seen, others },
        })
    }
}

/// Blocks that end before this matter to nobody when this one is written. Unit: milliseconds since 1970, UTC.
fn oldest_ms(newest: &Block) -> i64 {
    // Twice the longest window: a clock that was ahead of others removes nothing that they count.
    newest.until_ms.saturating_sub(2 * 3_600_000)
}

/// The connection. `busy_timeout` makes statements of several processes wait for each other.
async fn connect(path: &Path) -> Result<SqliteConnection, QuotaError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // What is written must outlive a power cut: the server has counted the calls.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", "-128")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging();
    let database = |cause| QuotaError::Database { path: path.display().to_string(), cause };
    let mut connection = options.connect().await.map_err(database)?;
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await.map_err(database)?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut connection).await.map_err(database)?;
    match (id, tables) {
        (APPLICATION_ID, _) => {}
        (0, 0) => {
            let mark = format!("PRAGMA application_id = {APPLICATION_ID}");
            sqlx::query(sqlx::AssertSqlSafe(mark)).execute(&mut connection).await.map_err(database)?;
        }
        _ => return Err(QuotaError::Foreign { path: path.display().to_string() }),
    }
    sqlx::raw_sql(TABLES).execute(&mut connection).await.map_err(database)?;
    Ok(connection)
}

/// A process that lives: a file that it has locked. The lock ends with the process, whatever ends it.
struct Living {
    path: PathBuf,
    _lock: File,
}

impl Living {
    /// Makes the file and locks it.
    fn begin(path: PathBuf) -> io::Result<Self> {
        let lock = File::create(&path)?;
        lock.lock()?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        // One that stays is removed by the next process that opens the file.
        fs::remove_file(&self.path).ok();
    }
}

/// Where a process says that it lives.
fn process_file(directory: &Path, process: i64) -> PathBuf {
    directory.join(format!("{PROCESS}{process:016x}"))
}

/// Whether the process of that file has certainly ended. Where it cannot be told, it lives.
fn is_over(path: &Path) -> bool {
    match File::open(path) {
        Ok(file) => matches!(file.try_lock(), Ok(())),
        Err(cause) => cause.kind() == io::ErrorKind::NotFound,
    }
}

/// Removes the files of processes that were killed. Under the lock for opening, so none of them is being made.
fn sweep(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PROCESS) && is_over(&entry.path()) {
            fs::remove_file(entry.path()).ok();
        }
    }
    Ok(())
}

/// The part of the file that one application in a tenant has.
pub struct Owner {
    file: Arc<QuotaFile>,
    /// Tenant and application, which no id contains a blank of.
    name: String,
}

impl Owner {
    /// The part of that application in that tenant.
    #[must_use]
    pub fn new(file: Arc<QuotaFile>, tenant_id: &str, client_id: &str) -> Self {
        Self { file, name: format!("{tenant_id} {client_id}") }
    }
}

#[async_trait::async_trait]
impl Journal for Owner {
    async fn append(&self, seen: u64, block: Option<&Block>) -> Result<Appended, JournalError> {
        self.file.append(&self.name, seen, block).await.map_err(|error| {
            events::not_written(&error);
            let cause: Cause = Arc::new(error);
            JournalError(cause)
        })
    }
}

/// Writes nothing down: for a process that keeps no state.
pub struct Unshared;

#[async_trait::async_trait]
impl Journal for Unshared {
    async fn append(&self, seen: u64, _block: Option<&Block>) -> Result<Appended, JournalError> {
        Ok(Appended::Written { seen })
    }
}

#[cfg(test)]
mod tests;
