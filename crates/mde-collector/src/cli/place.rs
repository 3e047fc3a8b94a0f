//! The state folder as commands open it: to look, beside whoever works there, or to change something, under its lock.

use super::{STORE, USAGE, say};
use crate::config::{Config, Persistence};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{StoreError, WallClock};
use std::path::Path;
use std::sync::Arc;

/// Wall time for a store.
pub fn wall() -> WallClock {
    Arc::new(|| SystemClock.wall_ms())
}

/// The folder of a configuration that has one.
pub fn folder(config: &Config) -> Result<&Path, u8> {
    match &config.globals.persistence {
        Persistence::Filesystem { directory } => Ok(directory),
        Persistence::Memory => {
            say("`persistence: {type: memory}` keeps nothing beyond the process, so there is no state to work on");
            Err(USAGE)
        }
    }
}

/// Looks into the folder; an empty store where there is nothing yet.
pub async fn look(config: &Config) -> Result<SqliteStore, u8> {
    let directory = folder(config)?;
    if sqlite::is_begun(directory) {
        sqlite::look(directory, wall()).await.map_err(|error| unusable(&error))
    } else {
        say(format_args!("{}: there is no state yet", directory.display()));
        sqlite::open_memory(wall()).await.map_err(|error| unusable(&error))
    }
}

/// Opens the folder for a change.
pub async fn open(config: &Config) -> Result<SqliteStore, u8> {
    sqlite::open(folder(config)?, wall()).await.map_err(|error| unusable(&error))
}

/// Says why the store cannot be used, and the way out.
pub fn unusable(error: &StoreError) -> u8 {
    say(format_args!("failed to {error}"));
    let way_out = match error {
        StoreError::Locked { .. } => "stop the other process, or give this one a `directory_name` of its own",
        StoreError::Damaged { .. } => {
            "restore the folder from a backup, or move it away and set `historical_poll_datetime`"
        }
        StoreError::Foreign { .. } => "name another `directory_name`",
        StoreError::Newer { .. } => "use the newer version that wrote it",
        StoreError::Older { .. } => "run this version once: it brings the state to the new format and keeps everything",
        _ => "check the disk and the permissions of the state folder",
    };
    say(format_args!("way out: {way_out}"));
    STORE
}
