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
mod read;
mod stream;
mod trace;

pub use connection::Hold;
pub use files::foreign_files;

use super::portable::{Portable, Rows, Sink};
use super::{
    Attached, BatchId, Checkpoints, Commit, CountKind, CountState, Counts, DeadLetter, DeadLetters, Depth, Entities,
    History, Jump, Known, LastSeen, Lease, Leases, Note, Notes, Outbox, OutputState, Outputs, Passage, Place, Refusal,
    Seen, StartAt, Store, StoreError, StreamState, Told, Traced, WallClock, Wanted,
};
use crate::record::{BatchHead, EntityKey, Frame, Position, StoredFrame, StreamKey, VersionKey, ms};
use async_trait::async_trait;
use connection::{Connections, Held, Transaction};
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

#[async_trait]
impl Outbox for SqliteStore {
    async fn begin(&self, lease: &Lease, stream: &StreamKey, head: &BatchHead) -> Result<BatchId, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = batch::begin(&mut transaction, lease, stream, head).await;
        self.end(transaction, result).await
    }

    async fn append(&self, batch: BatchId, frame: &Frame) -> Result<(), StoreError> {
        if self.folder().as_ref().is_some_and(|folder| !folder.keep_reserve()) {
            // What is left is for outputs: once they have caught up, there is room again.
            return Err(StoreError::Disk("the reserve has been given up, the disk is full".to_owned()));
        }
        let packed = frame::pack(frame);
        let mut transaction = self.transaction().await?;
        let result = batch::append(&mut transaction, batch, packed).await;
        self.end(transaction, result).await
    }

    async fn commit(&self, lease: &Lease, stream: &StreamKey, commit: &Commit) -> Result<Option<u64>, StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = batch::commit(&mut transaction, lease, stream, commit, now_ms).await;
        self.end(transaction, result).await
    }

    async fn discard(&self, batch: BatchId) -> Result<(), StoreError> {
        self.named(collect::discard(&self.connections, batch).await)
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Position,
        max_bytes: usize,
    ) -> Result<Vec<StoredFrame>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(read::frames(&mut reader, stream, after, max_bytes).await)
    }

    async fn attach(&self, output: &str, stream: &StreamKey, start: &StartAt) -> Result<Attached, StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = position::attach(&mut transaction, output, stream, start, now_ms).await;
        self.end(transaction, result).await
    }

    async fn advance(
        &self,
        lease: &Lease,
        output: &str,
        positions: &[(StreamKey, Position)],
        memory: Option<&str>,
    ) -> Result<(), StoreError> {
        self.bury(lease, output, positions, memory, &[]).await.map(drop)
    }

    async fn output_memory(&self, output: &str) -> Result<Option<String>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(position::memory(&mut reader, output).await)
    }

    async fn depth(&self, output: &str) -> Result<Depth, StoreError> {
        let mut reader = self.reader().await?;
        self.named(read::depth(&mut reader, output).await)
    }

    async fn bytes(&self) -> Result<u64, StoreError> {
        let mut reader = self.reader().await?;
        self.named(read::octets(&mut reader).await)
    }

    async fn collect(&self, configured: &[String]) -> Result<u64, StoreError> {
        let first = self.try_collect(configured).await;
        if self.made_room(&first) {
            return self.try_collect(configured).await;
        }
        if let Some(folder) = &*self.folder() {
            folder.keep_reserve();
        }
        first
    }
}

#[async_trait]
impl Outputs for SqliteStore {
    async fn outputs(&self) -> Result<Vec<OutputState>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(outputs::all(&mut reader).await)
    }

    async fn live_bytes(&self) -> Result<u64, StoreError> {
        let mut reader = self.reader().await?;
        self.named(outputs::live_octets(&mut reader).await)
    }

    async fn let_go(&self, max_bytes: u64) -> Result<Vec<OutputState>, StoreError> {
        self.named(outputs::let_go(&self.connections, (self.now)(), max_bytes).await)
    }

    async fn drop_output(&self, output: &str) -> Result<Option<OutputState>, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = outputs::drop_one(&mut transaction, output).await;
        let dropped = self.end(transaction, result).await?;
        self.named(collect::free(&self.connections).await)?;
        Ok(dropped)
    }

    async fn jump(&self, optional: &[String], bytes: u64) -> Result<Vec<Jump>, StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = jump::jump(&mut transaction, optional, bytes, now_ms).await;
        let jumped = self.end(transaction, result).await?;
        if !jumped.is_empty() {
            self.named(collect::free(&self.connections).await)?;
        }
        Ok(jumped)
    }
}

#[async_trait]
impl DeadLetters for SqliteStore {
    async fn bury(
        &self,
        lease: &Lease,
        output: &str,
        positions: &[(StreamKey, Position)],
        memory: Option<&str>,
        refused: &[Refusal],
    ) -> Result<u64, StoreError> {
        let first = self.try_bury(lease, output, (positions, memory), refused).await;
        if self.made_room(&first) { self.try_bury(lease, output, (positions, memory), refused).await } else { first }
    }

    async fn dead_letters(&self, output: &str, after: u64, max_bytes: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(letters::list(&mut reader, output, after, max_bytes).await)
    }

    async fn replay(&self, output: &str) -> Result<u64, StoreError> {
        let mut reader = self.reader().await?;
        // Those that are refused again meanwhile wait for the next call.
        let through = self.named(letters::newest(&mut reader, output).await)?;
        drop(reader);
        let mut events = 0;
        loop {
            let now_ms = (self.now)();
            let mut transaction = self.transaction().await?;
            let result = letters::replay(&mut transaction, output, through, now_ms).await;
            match self.end(transaction, result).await? {
                0 => return Ok(events),
                count => events += count,
            }
        }
    }
}

#[async_trait]
impl Checkpoints for SqliteStore {
    async fn stream(&self, stream: &StreamKey) -> Result<StreamState, StoreError> {
        let mut reader = self.reader().await?;
        let found = self.named(stream::find(&mut reader, stream).await)?;
        drop(reader);
        if let Some(row) = found {
            return Ok(row.state());
        }
        let mut transaction = self.transaction().await?;
        let result = stream::meet(&mut transaction, stream).await;
        Ok(self.end(transaction, result).await?.state())
    }

    async fn streams(&self) -> Result<Vec<(StreamKey, StreamState)>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(stream::all(&mut reader).await)
    }

    async fn known(&self, stream: &StreamKey, keys: &[VersionKey]) -> Result<Vec<bool>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(keys::known(&mut reader, stream, keys).await)
    }

    async fn start_again(&self, lease: &Lease, stream: &StreamKey, memory: &str) -> Result<StreamState, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = match lease::require(&mut transaction, lease).await {
            Ok(()) => stream::start_again(&mut transaction, stream, memory).await,
            Err(fault) => Err(fault),
        };
        self.end(transaction, result).await
    }
}

#[async_trait]
impl Entities for SqliteStore {
    async fn last_seen(&self, stream: &StreamKey, keys: &[EntityKey]) -> Result<Vec<Option<LastSeen>>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(entities::last_seen(&mut reader, stream, keys).await)
    }

    async fn count_absent(&self, stream: &StreamKey, since: u64) -> Result<(u64, u64), StoreError> {
        let mut reader = self.reader().await?;
        self.named(entities::count_absent(&mut reader, stream, since).await)
    }

    async fn absent(&self, stream: &StreamKey, since: u64, limit: u32) -> Result<Vec<(EntityKey, String)>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(entities::absent(&mut reader, stream, since, limit).await)
    }
}

#[async_trait]
impl Counts for SqliteStore {
    async fn counts(
        &self,
        stream: &StreamKey,
        names: &[&str],
        keys: &[EntityKey],
    ) -> Result<Vec<Vec<Option<Known>>>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(counts::find(&mut reader, stream, names, keys).await)
    }

    async fn want(
        &self,
        stream: &StreamKey,
        names: &[&str],
        entities: &[(EntityKey, String)],
    ) -> Result<(), StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = counts::want(&mut transaction, stream, names, entities, now_ms).await;
        self.end(transaction, result).await
    }

    async fn stale(
        &self,
        stream: &StreamKey,
        names: &[&str],
        since_ms: i64,
        limit: u32,
    ) -> Result<Vec<Wanted>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(counts::stale(&mut reader, stream, names, since_ms, limit).await)
    }

    async fn tell(&self, stream: &StreamKey, taken_ms: i64, told: &[Told]) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::tell(&mut transaction, stream, taken_ms, told).await;
        self.end(transaction, result).await
    }

    async fn tell_read(
        &self,
        stream: &StreamKey,
        name: &str,
        taken_ms: i64,
        values: &[(EntityKey, u64)],
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::tell_read(&mut transaction, stream, name, taken_ms, values).await;
        self.end(transaction, result).await
    }

    async fn read_ended(&self, stream: &StreamKey, name: &str, taken_ms: i64, zero: bool) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::read_ended(&mut transaction, stream, name, taken_ms, zero).await;
        self.end(transaction, result).await
    }

    async fn choose(&self, stream: &StreamKey, name: &str, method: &str, reason: &str) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::choose(&mut transaction, stream, name, method, reason).await;
        self.end(transaction, result).await
    }

    async fn trouble(&self, stream: &StreamKey, name: &str, trouble: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::trouble(&mut transaction, stream, name, trouble).await;
        self.end(transaction, result).await
    }

    async fn count_kinds(&self, stream: &StreamKey) -> Result<Vec<CountKind>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(counts::all_kinds(&mut reader, stream).await)
    }

    async fn count_states(&self, stream: &StreamKey) -> Result<Vec<CountState>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(counts::states(&mut reader, stream).await)
    }

    async fn prune_counts(&self, stream: &StreamKey) -> Result<u64, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::prune(&mut transaction, stream).await;
        self.end(transaction, result).await
    }

    async fn forget_counts(&self, stream: &StreamKey, before_ms: i64) -> Result<u64, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::forget(&mut transaction, stream, before_ms).await;
        self.end(transaction, result).await
    }
}

#[async_trait]
impl History for SqliteStore {
    async fn history(&self, id: &str, limit: u32) -> Result<Vec<Traced>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(trace::find(&mut reader, id, limit).await)
    }

    async fn sightings(&self, id: &str) -> Result<Vec<(StreamKey, Seen)>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(entities::of_id(&mut reader, id).await)
    }

    async fn places(&self) -> Result<Vec<Place>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(passage::places(&mut reader).await)
    }

    async fn passage(
        &self,
        output: &str,
        stream: &StreamKey,
        position: Position,
    ) -> Result<Option<Passage>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(passage::first(&mut reader, output, stream, position).await)
    }
}

#[async_trait]
impl Notes for SqliteStore {
    async fn note(&self, notes: &[Note]) -> Result<(), StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = note::put(&mut transaction, notes, now_ms).await;
        self.end(transaction, result).await
    }

    async fn notes(&self) -> Result<Vec<Note>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(note::all(&mut reader).await)
    }
}

#[async_trait]
impl Leases for SqliteStore {
    async fn acquire(&self, name: &str, owner: &str, term: Duration) -> Result<Option<Lease>, StoreError> {
        let first = self.try_acquire(name, owner, term).await;
        if self.made_room(&first) { self.try_acquire(name, owner, term).await } else { first }
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = lease::release(&mut transaction, lease).await;
        self.end(transaction, result).await
    }

    async fn at_work(&self) -> Result<bool, StoreError> {
        let now_ms = (self.now)();
        let mut reader = self.reader().await?;
        self.named(lease::held(&mut reader, now_ms).await)
    }
}

#[async_trait]
impl Portable for SqliteStore {
    async fn export(&self, sink: &mut Sink<'_>) -> Result<(), StoreError> {
        let mut reader = self.reader().await?;
        self.named(portable::export(&mut reader, sink).await)
    }

    async fn import(&self, rows: &mut Rows<'_>) -> Result<u64, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = portable::import(&mut transaction, rows).await;
        self.end(transaction, result).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn free_bytes(&self) -> Result<u64, StoreError> {
        self.directory.as_deref().map_or(Ok(u64::MAX), files::free_octets)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.named(self.connections.close().await)?;
        // The lock goes last: whoever takes it finds the files at rest.
        self.folder().take();
        Ok(())
    }
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
