//! SQLite behind the store's traits: one file in the state folder, one connection that writes, two that read.
//!
//! Everything that must hold together is written in one immediate transaction, and no transaction waits for anything
//! but the disk. Wall time comes in as a closure; nothing here reads a clock.

mod batch;
mod check;
mod collect;
mod connection;
mod counts;
mod entities;
mod fault;
mod files;
mod frame;
mod jump;
mod keys;
mod lease;
mod letters;
mod many;
mod note;
mod outputs;
mod passage;
mod portable;
mod position;
mod process;
mod pull;
mod read;
mod removed;
mod ship;
mod stream;
mod trace;

pub use connection::Hold;
pub use files::foreign_files;

use super::{BatchId, Lease, Refusal, StoreError, WallClock};
use crate::record::{Position, StreamKey, ms};
use connection::{Connections, Durable, Held, Transaction};
use fault::Fault;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The store in a folder, or in memory for `persistence: memory`. Dropping it without `close` is what a kill does.
pub struct SqliteStore {
    connections: Connections,
    /// The database's name, for errors.
    path: PathBuf,
    /// The folder that it is in; `None` in memory.
    directory: Option<PathBuf>,
    now: WallClock,
    /// The right to that folder. `None` where there is none: in memory, once closed, for a mere look.
    folder: Mutex<Option<files::Folder>>,
}

/// Opens the store of a folder, which is made if it is missing.
///
/// Errors: `Locked` while another process uses the folder; `Foreign`, `Newer` and `Damaged` for a file that must not be
/// used; its content stays as it is then. An existing file is never replaced by an empty one.
pub async fn open(directory: &Path, now: WallClock) -> Result<SqliteStore, StoreError> {
    let folder = files::Folder::take(directory)?;
    folder.create_database().await?;
    let path = files::database_of(directory);
    let writer = prepare(&folder, &path).await.map_err(|fault| fault.at(&path))?;
    let connections = Connections::beside(&path, writer).await.map_err(|fault| fault.at(&path))?;
    folder.keep_reserve();
    let (directory, folder) = (Some(directory.to_owned()), Mutex::new(Some(folder)));
    SqliteStore { connections, path, directory, now, folder }.started().await
}

/// Looks into the store of a folder, also while another process works on it: takes no lock, makes no file, and every
/// call that would write fails with `Disk`. For `state show` and its like.
pub async fn look(directory: &Path, now: WallClock) -> Result<SqliteStore, StoreError> {
    let path = files::database_of(directory);
    let look = async {
        let mut connection = connection::for_reading(&path).connect().await?;
        check::identify(&mut connection, &path).await?;
        check::require_newest(&mut connection, &path).await?;
        Ok(connection)
    };
    let connections = Connections::alone(look.await.map_err(|fault: Fault| fault.at(&path))?);
    Ok(SqliteStore { connections, path, directory: Some(directory.to_owned()), now, folder: Mutex::new(None) })
}

/// Looks at every page, every frame's checksum and every sum of a folder's store, also while another process works on it;
/// changes nothing. Returns the number of frames.
///
/// Errors: as [`look`], and `Damaged` for the first thing that is not as it was written.
pub async fn verify(directory: &Path, now: WallClock) -> Result<u64, StoreError> {
    let store = look(directory, now).await?;
    let mut reader = store.reader().await?;
    let whole = async {
        // One picture for all questions, whatever is written meanwhile.
        sqlx::query("BEGIN").execute(&mut *reader).await?;
        check::structure(&mut reader, &store.path, false).await?;
        check::quick(&mut reader).await?;
        check::full(&mut reader).await?;
        Ok(unsigned(sqlx::query_scalar("SELECT count(*) FROM frame").fetch_one(&mut *reader).await?))
    };
    let frames = whole.await;
    // Nothing was written, so nothing depends on how it ends.
    sqlx::query("ROLLBACK").execute(&mut *reader).await.ok();
    store.named(frames)
}

/// Whether a folder has a store, whatever its condition.
#[must_use]
pub fn is_begun(directory: &Path) -> bool {
    files::is_begun(directory)
}

/// Opens an empty store that lives as long as the value.
pub async fn open_memory(now: WallClock) -> Result<SqliteStore, StoreError> {
    let path = PathBuf::from(":memory:");
    let fill = async {
        let mut connection = connection::for_creation(&path).connect().await?;
        check::migrate(&mut connection).await?;
        Ok(connection)
    };
    let connections = Connections::alone(fill.await.map_err(|fault: Fault| fault.at(&path))?);
    SqliteStore { connections, path, directory: None, now, folder: Mutex::new(None) }.started().await
}

/// The writing connection to a file that was looked at as closely as its last end demands.
async fn prepare(folder: &files::Folder, path: &Path) -> Result<SqliteConnection, Fault> {
    let has_log = folder.has_log();
    let mut inspection = connection::for_inspection(path).connect().await?;
    check::identify(&mut inspection, path).await?;
    let closed = !has_log && check::was_closed(&mut inspection).await?;
    // The second connection comes before the first one goes: the last to leave would copy the log into a file that
    // has not been checked yet.
    let mut writer = connection::for_writing(path).connect().await?;
    inspection.close().await?;
    check::structure(&mut writer, path, closed).await?;
    folder.keep_copy(&mut writer).await?;
    check::migrate(&mut writer).await?;
    if closed {
        check::quick(&mut writer).await?;
    } else {
        check::full(&mut writer).await?;
    }
    Ok(writer)
}

impl SqliteStore {
    /// The same, with `hold` taken while a connection is in use: for simulations.
    #[must_use]
    pub fn holding(self, hold: Hold) -> Self {
        Self { connections: self.connections.holding(hold), ..self }
    }

    /// Takes over from whoever used the file last: his leases have ended, his invisible batches go.
    async fn started(self) -> Result<Self, StoreError> {
        let taken_over = async {
            let mut transaction = self.connections.write().await?;
            let result = take_over(&mut transaction).await;
            for batch in transaction.end(result).await? {
                collect::discard(&self.connections, batch).await?;
            }
            Ok(())
        };
        taken_over.await.map_err(|fault: Fault| fault.at(&self.path))?;
        Ok(self)
    }

    /// A connection that sees what was committed.
    async fn reader(&self) -> Result<Held<'_>, StoreError> {
        self.connections.read().await.map_err(|fault| fault.at(&self.path))
    }

    /// The transaction that may write.
    async fn transaction(&self) -> Result<Transaction<'_>, StoreError> {
        self.connections.write().await.map_err(|fault| fault.at(&self.path))
    }

    /// A transaction for what nobody sees until a later one shows it.
    async fn unseen(&self) -> Result<Transaction<'_>, StoreError> {
        self.connections.write_durably(Durable::WithTheNext).await.map_err(|fault| fault.at(&self.path))
    }

    /// Ends a transaction, and gives a fault the file's name.
    async fn end<T>(&self, transaction: Transaction<'_>, result: Result<T, Fault>) -> Result<T, StoreError> {
        self.named(transaction.end(result).await)
    }

    /// The right to the folder, where there is one.
    fn folder(&self) -> MutexGuard<'_, Option<files::Folder>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether trying once more makes sense: the disk was full, and the reserve has been given up for this. Only for calls
    /// that outputs need; what is pulled would eat it at once, and is refused until it is there again.
    fn made_room<T>(&self, result: &Result<T, StoreError>) -> bool {
        matches!(result, Err(StoreError::Disk(_))) && self.folder().as_ref().is_some_and(files::Folder::give_up_reserve)
    }

    /// One attempt at `bury`.
    async fn try_bury(
        &self,
        lease: &Lease,
        output: &str,
        passed: (&[(StreamKey, Position)], Option<&str>),
        refused: &[Refusal],
    ) -> Result<u64, StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = letters::bury(&mut transaction, lease, output, passed, refused, now_ms).await;
        self.end(transaction, result).await
    }

    /// One attempt at `collect`.
    async fn try_collect(&self, configured: &[String]) -> Result<u64, StoreError> {
        if configured.is_empty() {
            return Ok(0);
        }
        self.named(outputs::mark(&self.connections, configured, (self.now)()).await)?;
        self.named(collect::free(&self.connections).await)
    }

    /// One attempt at `acquire`.
    async fn try_acquire(&self, name: &str, owner: &str, term: Duration) -> Result<Option<Lease>, StoreError> {
        let now_ms = (self.now)();
        let until_ms = now_ms.saturating_add(ms(term));
        let mut transaction = self.transaction().await?;
        let result = lease::acquire(&mut transaction, name, owner, now_ms, until_ms).await;
        self.end(transaction, result).await
    }

    /// Gives a fault the name of the file.
    fn named<T>(&self, result: Result<T, Fault>) -> Result<T, StoreError> {
        result.map_err(|fault| fault.at(&self.path))
    }
}

/// From here on the file counts as in use: only `close` sets the flag again.
async fn take_over(connection: &mut SqliteConnection) -> Result<Vec<BatchId>, Fault> {
    sqlx::query("UPDATE store SET clean = 0").execute(&mut *connection).await?;
    lease::end_all(connection).await?;
    collect::invisible(connection).await
}

#[cfg(test)]
mod tests;

/// A count as SQL has it. Counts of ours stay far below 2^63; a position that a caller makes up is capped.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as Rust has it. SQL never gives a negative one; damage that does is caught by checksums and sums.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
