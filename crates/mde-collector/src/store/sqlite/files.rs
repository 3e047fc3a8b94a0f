//! Our files in the state folder: which they are, who may use them, and how the first one comes to be.

use super::connection;
use super::fault::Fault;
use crate::store::StoreError;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The database. SQLite keeps its log and the log's index beside it (`-wal`, `-shm`).
const DATABASE: &str = "mde-collector.db";

/// Held by the process that works on the folder.
const LOCK: &str = "mde-collector.lock";

/// Disk that is held back, so that outputs can go on when it is full.
const RESERVE: &str = "mde-collector.reserve";

/// Length of the reserve. Unit: octets. Source: design, "Store".
const RESERVE_OCTETS: u64 = 16 << 20;

/// The reserve is made while at least so much would be left beside it: not again at once after it was given up.
const ROOM_FOR_RESERVE: u64 = 3 * RESERVE_OCTETS;

/// A database that is being made; it gets its name when it is whole.
const UNFINISHED: &str = "mde-collector.db.new";

/// What SQLite appends to a database's name for its helpers.
const HELPERS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Names that begin like this are the collector's, whichever of its rooms they belong to.
const OURS: &str = "mde-collector";

/// A state folder that this process alone may use, as long as the value lives.
#[derive(Debug)]
pub(super) struct Folder {
    directory: PathBuf,
    /// Its lock ends when the file is closed, and so with the process at the latest.
    _lock: File,
}

impl Folder {
    /// Takes the folder, which is made if it is missing, and removes what a broken-off creation left.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(directory).map_err(disk)?;
        let path = directory.join(LOCK);
        let lock = File::options().create(true).append(true).open(&path).map_err(disk)?;
        match lock.try_lock() {
            // Its holder says who he is; where he cannot, the lock itself is enough.
            Ok(()) => drop(lock.set_len(0).and_then(|()| writeln!(&lock, "{}", std::process::id()))),
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
                return Err(StoreError::Locked { path: path.display().to_string(), pid });
            }
            Err(TryLockError::Error(cause)) => return Err(disk(cause)),
        }
        let folder = Self { directory: directory.to_owned(), _lock: lock };
        for helper in HELPERS {
            remove_if_there(&folder.directory.join(format!("{UNFINISHED}{helper}")))?;
        }
        Ok(folder)
    }

    /// Holds the reserve back if it is not there and there is room. Whether it is there then.
    pub(super) fn keep_reserve(&self) -> bool {
        let path = self.directory.join(RESERVE);
        if fs::metadata(&path).is_ok_and(|file| file.len() == RESERVE_OCTETS) {
            return true;
        }
        if !free_octets(&self.directory).is_ok_and(|free| free >= RESERVE_OCTETS + ROOM_FOR_RESERVE) {
            return false;
        }
        let made = File::create(&path).and_then(|file| occupy(&file)).is_ok();
        if !made {
            fs::remove_file(&path).ok();
        }
        made
    }

    /// Gives the reserve up; true when there was one.
    pub(super) fn give_up_reserve(&self) -> bool {
        fs::remove_file(self.directory.join(RESERVE)).is_ok()
    }

    /// Copies a file of an older format beside itself before it is brought to the newest one, for whoever must go back:
    /// `mde-collector.db.format-N`, whole at the moment at which it has that name. An earlier copy of that format goes.
    pub(super) async fn keep_copy(&self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        let format: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
        if format >= super::check::newest_format() {
            return Ok(());
        }
        let unfinished = self.directory.join(UNFINISHED);
        let name = unfinished.to_string_lossy().into_owned();
        // It reads the log as well, and leaves file and log as they are.
        sqlx::query("VACUUM INTO ?").bind(name).execute(connection).await?;
        File::open(&unfinished).and_then(|file| file.sync_all()).map_err(disk)?;
        fs::rename(&unfinished, self.directory.join(format!("{DATABASE}.format-{format}"))).map_err(disk)?;
        Ok(File::open(&self.directory).and_then(|folder| folder.sync_all()).map_err(disk)?)
    }

    /// Whether the log holds something that the database file may lack.
    pub(super) fn has_log(&self) -> bool {
        fs::metadata(self.directory.join(format!("{DATABASE}-wal"))).is_ok_and(|log| log.len() > 0)
    }

    /// Makes the database if this folder has never had one: whole under another name first, so that a kill at any
    /// moment leaves either nothing or all of it.
    pub(super) async fn create_database(&self) -> Result<(), StoreError> {
        let path = database_of(&self.directory);
        if path.try_exists().map_err(disk)? {
            return Ok(());
        }
        if self.has_log() {
            let what = "its log is there, the file itself is not".to_owned();
            return Err(StoreError::Damaged { path: path.display().to_string(), what });
        }
        let unfinished = self.directory.join(UNFINISHED);
        fill(&unfinished).await.map_err(|fault| fault.at(&unfinished))?;
        File::open(&unfinished).and_then(|file| file.sync_all()).map_err(disk)?;
        fs::rename(&unfinished, &path).map_err(disk)?;
        File::open(&self.directory).and_then(|folder| folder.sync_all()).map_err(disk)
    }
}

/// Where a folder's database is, or will be.
pub(super) fn database_of(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}

/// Whether a folder has a database, or what is left of one.
pub(super) fn is_begun(directory: &Path) -> bool {
    HELPERS.iter().any(|helper| directory.join(format!("{DATABASE}{helper}")).exists())
}

/// Names in the folder that are not ours, in order. They are left alone; one log line names them.
pub fn foreign_files(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with(OURS) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What a process like this one may still write to the file system of a folder. Unit: octets.
pub(super) fn free_octets(directory: &Path) -> Result<u64, StoreError> {
    let system = rustix::fs::statvfs(directory).map_err(|cause| disk(cause.into()))?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Takes the reserve's room on the disk, and not only its length.
fn occupy(file: &File) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, RESERVE_OCTETS) {
        // Not every file system can.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            io::copy(&mut io::repeat(b'r').take(RESERVE_OCTETS), &mut &*file).map(drop)
        }
        other => Ok(other?),
    }
}

/// Makes a whole, empty database.
async fn fill(path: &Path) -> Result<(), Fault> {
    let mut connection = connection::for_creation(path).connect().await?;
    super::check::migrate(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Removes a file that may be missing.
fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(disk(cause)),
        _ => Ok(()),
    }
}

/// The system's own words; they name no path and no data.
fn disk(cause: io::Error) -> StoreError {
    StoreError::Disk(cause.to_string())
}
