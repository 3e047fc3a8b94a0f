//! Connections that survive an error or a cancelled call.
//!
//! The driver's own pool and transactions are not used: its pool waits on tokio's clock, which a simulation moves in
//! leaps, and its transaction counter stays wrong for ever once SQLite has rolled back by itself (a full disk).
//! Here each connection carries one flag: "a transaction may be open". Whoever takes it next clears that first.

use super::fault::Fault;
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// Page of the database file. Unit: octets. A frame of 130 KB fills 16 of them.
pub(super) const PAGE_SIZE: u32 = 8192;

/// Length of the log at which a commit copies it into the file. Unit: pages (32 MiB). Keys
/// lie scattered: the more commits share one copy, the less is written.
const CHECKPOINT_PAGES: &str = "4000";

/// The log file is cut back to this after a burst. Unit: octets.
const LOG_LIMIT: &str = "41943040";

/// Page cache of the writing connection. Unit: KiB, negative by SQLite's convention. It fills with the tenant: what it may
/// take is what a large tenant needs beyond a small one.
const WRITER_CACHE: &str = "-1024";

/// Page cache of a reading connection: frames are read once, so little is worth keeping.
const READER_CACHE: &str = "-256";

/// How long SQLite waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections for readers.
const READERS: usize = 2;

/// A database file of ours as it is first made: settings that cannot be changed later, and no log yet. Nothing is synced and nothing
/// can be rolled back after a kill: the file counts only once it is whole, synced and renamed.
pub(super) fn for_creation(path: &Path) -> SqliteConnectOptions {
    quiet(path)
        .create_if_missing(true)
        .page_size(PAGE_SIZE)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off)
}

/// A database that is nobody's once the process has ended.
pub(super) fn for_scratch(path: &Path) -> SqliteConnectOptions {
    for_creation(path).pragma("cache_size", WRITER_CACHE).pragma("temp_store", "MEMORY")
}

/// A look at a file that may not be ours: nothing in it is changed.
pub(super) fn for_inspection(path: &Path) -> SqliteConnectOptions {
    quiet(path)
}

/// The one connection that writes.
pub(super) fn for_writing(path: &Path) -> SqliteConnectOptions {
    durable(path).pragma("cache_size", WRITER_CACHE)
}

/// A connection that reads beside the writer.
pub(super) fn for_reading(path: &Path) -> SqliteConnectOptions {
    durable(path).pragma("cache_size", READER_CACHE).pragma("query_only", "ON")
}

/// What reader and writer share: the log, and what it costs.
fn durable(path: &Path) -> SqliteConnectOptions {
    quiet(path)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", LOG_LIMIT)
        // A read-only root file system has no place for temporary files; ours are small.
        .pragma("temp_store", "MEMORY")
}

/// What all connections share. Statements are not logged: a room's own events are enough.
fn quiet(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // One frame read ahead, not fifty.
        .row_buffer_size(1)
        .disable_statement_logging()
}

/// When what a transaction has written must be on the disk. A kill takes nothing either way; this is about power.
///
/// The log is one file that is written in one order and read up to the first octet that is not as it was written, so a
/// transaction that is synced takes with it all that came before: what it shows is whole and durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// When it ends.
    Now,
    /// With the next one that is synced: nobody relies on it before, and without it the store is whole as well.
    WithTheNext,
}

impl Durable {
    /// The setting for it. SQLite takes it between transactions only.
    const fn pragma(self) -> &'static str {
        match self {
            Self::Now => "PRAGMA synchronous = FULL",
            Self::WithTheNext => "PRAGMA synchronous = NORMAL",
        }
    }
}

/// A connection, and whether somebody may have left a transaction open in it.
struct Slot {
    /// `None` once the store is closed.
    connection: Option<SqliteConnection>,
    /// Set before BEGIN, cleared after COMMIT or ROLLBACK: stays set when a call fails or is cancelled in between.
    in_transaction: bool,
    /// What the connection is set to. `None` while that is being changed: stays so when the change fails or is cancelled.
    durable: Option<Durable>,
}

impl Slot {
    /// A connection that nobody has used yet.
    fn new(connection: SqliteConnection) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { connection: Some(connection), in_transaction: false, durable: None }))
    }
}

/// Taken for as long as a connection is in use. A database works on a thread of its own, for which simulated time would not
/// wait: a simulation makes its clock stand still so.
pub type Hold = Arc<dyn Fn() -> Box<dyn Send + Sync> + Send + Sync>;

/// The connections of one store.
pub(super) struct Connections {
    writer: Arc<Mutex<Slot>>,
    readers: Vec<Arc<Mutex<Slot>>>,
    /// Which reader a caller waits for when all are busy.
    turn: AtomicUsize,
    /// Outside of simulations there is none.
    hold: Option<Hold>,
    /// Whether what is written outlives the process, and so is worth waiting for the disk.
    lasts: bool,
}

impl Connections {
    /// The same, with `hold` taken while one is in use.
    pub(super) fn holding(self, hold: Hold) -> Self {
        Self { hold: Some(hold), ..self }
    }

    /// A file: the connection that has checked it goes on as the writer, readers are opened beside it.
    pub(super) async fn beside(path: &Path, writer: SqliteConnection) -> Result<Self, Fault> {
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            readers.push(Slot::new(for_reading(path).connect().await?));
        }
        Ok(Self { writer: Slot::new(writer), readers, turn: AtomicUsize::new(0), hold: None, lasts: true })
    }

    /// One connection for both, as a database has it that ends with the process, or that nobody writes to.
    pub(super) fn alone(connection: SqliteConnection) -> Self {
        let writer = Slot::new(connection);
        Self { readers: vec![Arc::clone(&writer)], writer, turn: AtomicUsize::new(0), hold: None, lasts: false }
    }

    /// A connection to read with; sees everything that was committed before.
    pub(super) async fn read(&self) -> Result<Held<'_>, Fault> {
        for reader in &self.readers {
            if let Ok(slot) = reader.try_lock() {
                return self.clear(slot).await;
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        self.clear(self.readers[turn].lock().await).await
    }

    /// A connection that is ours now, with no transaction left over in it.
    async fn clear<'a>(&self, slot: MutexGuard<'a, Slot>) -> Result<Held<'a>, Fault> {
        Held::clear(slot, self.hold.as_ref().map(|hold| hold())).await
    }

    /// Begins the one transaction that may write. What it has written is on the disk when it has ended.
    pub(super) async fn write(&self) -> Result<Transaction<'_>, Fault> {
        self.write_durably(Durable::Now).await
    }

    /// Begins the one transaction that may write.
    pub(super) async fn write_durably(&self, durable: Durable) -> Result<Transaction<'_>, Fault> {
        let mut held = self.clear(self.writer.lock().await).await?;
        if self.lasts && held.slot.durable != Some(durable) {
            held.slot.durable = None;
            sqlx::query(durable.pragma()).execute(&mut *held).await?;
            held.slot.durable = Some(durable);
        }
        held.slot.in_transaction = true;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *held).await?;
        Ok(Transaction { held })
    }

    /// Waits for the work that is under way, runs `last` on the writer and closes everything.
    pub(super) async fn close(&self) -> Result<(), Fault> {
        let mut writer = self.clear(self.writer.lock().await).await?;
        super::lease::end_all(&mut writer).await?;
        sqlx::query("UPDATE store SET clean = 1").execute(&mut *writer).await?;
        for reader in &self.readers {
            if Arc::ptr_eq(reader, &self.writer) {
                continue;
            }
            if let Some(connection) = reader.lock().await.connection.take() {
                connection.close().await?;
            }
        }
        // The readers are gone, so nothing keeps the log from being copied whole.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer).await?;
        if let Some(connection) = writer.slot.connection.take() {
            connection.close().await?;
        }
        Ok(())
    }
}

/// A connection in use, with no transaction left over in it.
pub(super) struct Held<'a> {
    slot: MutexGuard<'a, Slot>,
    /// What is held meanwhile.
    _held: Option<Box<dyn Send + Sync>>,
}

impl<'a> Held<'a> {
    /// Takes the connection, and first ends what an earlier user left open.
    async fn clear(mut slot: MutexGuard<'a, Slot>, held: Option<Box<dyn Send + Sync>>) -> Result<Self, Fault> {
        let in_transaction = slot.in_transaction;
        let Some(connection) = slot.connection.as_mut() else {
            return Err(Fault::Sql(sqlx::Error::PoolClosed));
        };
        if in_transaction {
            // It fails where SQLite has rolled back by itself, or where a cancelled COMMIT went through: both are fine.
            sqlx::query("ROLLBACK").execute(&mut *connection).await.ok();
            slot.in_transaction = false;
        }
        Ok(Self { slot, _held: held })
    }
}

impl Deref for Held<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.slot.connection.as_ref().expect("a held slot has its connection")
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.slot.connection.as_mut().expect("a held slot has its connection")
    }
}

/// A write transaction. Dropped without `end`, it is rolled back before the connection is used again.
pub(super) struct Transaction<'a> {
    held: Held<'a>,
}

impl Transaction<'_> {
    /// Commits what succeeded, takes back what failed, and passes the result on.
    pub(super) async fn end<T>(mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        match result {
            Ok(value) => {
                sqlx::query("COMMIT").execute(&mut *self.held).await?;
                self.held.slot.in_transaction = false;
                Ok(value)
            }
            Err(fault) => {
                if sqlx::query("ROLLBACK").execute(&mut *self.held).await.is_ok() {
                    self.held.slot.in_transaction = false;
                }
                Err(fault)
            }
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.held
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.held
    }
}
