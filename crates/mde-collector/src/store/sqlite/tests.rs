//! SQLite under the suite, and what only a file can suffer.

mod damage;
mod formats;
mod kill;
mod measure;
mod portable;

use super::{SqliteStore, open, open_memory};
use crate::store::Store;
use crate::store::conformance::{Place, TestClock, every_lasting_store, every_store};
use async_trait::async_trait;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod on_disk {
    use super::*;
    every_store!(Disk::new());
    every_lasting_store!(Disk::new());
}

mod in_memory {
    // Nothing outlives the process here, so the claims about what survives are left out.
    use super::*;
    every_store!(Memory::default());
}

/// A series of state folders: each kill leaves one behind, as it was at that moment, and goes on in a copy.
struct Disk {
    root: tempfile::TempDir,
    generation: u32,
    clock: TestClock,
}

impl Disk {
    /// An empty place under a clock at 0.
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a temporary folder"), generation: 0, clock: TestClock::default() }
    }

    /// The present state folder.
    fn folder(&self) -> PathBuf {
        self.root.path().join(self.generation.to_string())
    }

    /// The store itself, not only what its traits show.
    async fn open_store(&self) -> Result<SqliteStore, crate::store::StoreError> {
        open(&self.folder(), self.clock.wall()).await
    }

    /// Moves on. What an abandoned folder holds back would only fill the disk.
    fn next(&mut self) {
        fs::remove_file(self.folder().join("mde-collector.reserve")).ok();
        self.generation += 1;
    }

    /// Goes on in a copy of what is on disk now. The lock file is left behind: a dead process holds no lock.
    fn snapshot(&mut self) {
        let from = self.folder();
        self.next();
        let to = self.folder();
        fs::create_dir(&to).expect("a new folder");
        for name in ["mde-collector.db", "mde-collector.db-wal"] {
            if from.join(name).exists() {
                fs::copy(from.join(name), to.join(name)).expect("copy");
            }
        }
    }
}

#[async_trait]
impl Place for Disk {
    async fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(self.open_store().await.expect("open"))
    }

    async fn kill(&mut self, store: Arc<dyn Store>) {
        self.snapshot();
        drop(store);
    }

    fn renew(&mut self) {
        self.next();
    }

    fn clock(&self) -> &TestClock {
        &self.clock
    }

    fn octets(&self) -> u64 {
        length(&self.folder().join("mde-collector.db"))
    }
}

/// Length of a file, 0 when it is missing.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// A store that lives as long as its process.
#[derive(Default)]
struct Memory {
    clock: TestClock,
}

#[async_trait]
impl Place for Memory {
    async fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(open_memory(self.clock.wall()).await.expect("open"))
    }

    async fn kill(&mut self, store: Arc<dyn Store>) {
        drop(store);
    }

    fn renew(&mut self) {}

    fn clock(&self) -> &TestClock {
        &self.clock
    }

    fn octets(&self) -> u64 {
        0
    }
}
