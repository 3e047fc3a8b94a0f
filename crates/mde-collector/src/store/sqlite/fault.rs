//! What can go wrong inside, before it has the file's name; and which of SQLite's codes means what.

use crate::store::StoreError;
use std::path::Path;

/// A failure within the store.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite or its driver failed.
    Sql(sqlx::Error),
    /// What was read is not what was written.
    Torn(String),
    /// The caller may not do this.
    Refused(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl Fault {
    /// A rule of the store would be broken by work on `stream`.
    pub(super) fn broken(stream: impl ToString, what: impl Into<String>) -> Self {
        Self::Refused(StoreError::Broken { stream: stream.to_string(), what: what.into() })
    }

    /// The public error, naming the file where it is the file that is to blame.
    pub(super) fn at(self, path: &Path) -> StoreError {
        let path = path.display().to_string();
        match self {
            Self::Refused(error) => error,
            Self::Torn(what) => StoreError::Damaged { path, what },
            Self::Sql(error) => match primary_code(&error) {
                Some(SQLITE_CORRUPT) => StoreError::Damaged { path, what: error_text(&error) },
                // Its very first octets are not those of a database.
                Some(SQLITE_NOTADB) => StoreError::Foreign { path, what: error_text(&error) },
                Some(
                    SQLITE_PERM | SQLITE_READONLY | SQLITE_IOERR | SQLITE_FULL | SQLITE_CANTOPEN | SQLITE_NOLFS
                    | SQLITE_AUTH,
                ) => StoreError::Disk(error_text(&error)),
                _ => match error {
                    sqlx::Error::Io(cause) => StoreError::Disk(cause.to_string()),
                    other => StoreError::Database(other),
                },
            },
        }
    }
}

/// SQLite's primary result codes. Source: sqlite.org/rescode.html, read 2026-11-24.
const SQLITE_PERM: u32 = 3;
/// The file cannot be written.
const SQLITE_READONLY: u32 = 8;
/// The operating system failed to read or write.
const SQLITE_IOERR: u32 = 10;
/// The file's structure is broken.
const SQLITE_CORRUPT: u32 = 11;
/// The disk is full.
const SQLITE_FULL: u32 = 13;
/// The file, its log or its index cannot be opened.
const SQLITE_CANTOPEN: u32 = 14;
/// The file is larger than the file system takes.
const SQLITE_NOLFS: u32 = 22;
/// The operating system forbids it.
const SQLITE_AUTH: u32 = 23;
/// The file is not a database.
const SQLITE_NOTADB: u32 = 26;

/// The primary code: the low octet of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<u32>().ok().map(|extended| extended & 0xff)
}

/// SQLite's own words; they name tables and columns, never values.
fn error_text(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |database| database.message().to_owned())
}
