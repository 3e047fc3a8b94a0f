//! Files of NDJSON, exactly once over kills: no line is lost, doubled or torn.
//!
//! The store keeps, beside the positions, how long each file was when those positions held. What lies beyond is the
//! remains of a write that no position covers; it is cut off before anything else is written. So a length must be
//! stored before the first octet of a file is written ([`Output::announce`]), and again with each group that was synced
//! ([`Output::confirmed`]).
//!
//! Compressed files grow by whole members (gzip) or frames (zstd), one for each frame of the outbox, so that a length that
//! is kept is always the end of one. What takes turns is said in [`names`]; a finished file is forgotten once all of it is
//! confirmed, and the store keeps whose turn it is beside the lengths.
//!
//! A name that has rested for [`KEEP`] is forgotten. That is safe because it is forgotten only when everything in its
//! file is confirmed; before it is written again its present length is announced like a stranger's.

mod disk;
mod names;

use super::{Confirmed, Offset, Output, OutputError, Written};
use crate::config::outputs::file as config;
use crate::record::{ErrorClass, StoredFrame};
use async_trait::async_trait;
use disk::{Appended, Disk, length_of, writable};
use names::{Names, Turn};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A name not written for this long leaves the memory: with `{date}` in the path names would gather for ever. One hour
/// costs a busy name nothing and a resting one a small store transaction when it wakes.
const KEEP: Duration = Duration::from_secs(3600);

/// Appends to files, and knows how far each is covered by stored positions.
pub(super) struct File {
    /// Which file an event goes to.
    names: Names,
    /// The turn of each path, where files take turns.
    turns: BTreeMap<String, Turn>,
    /// Covered by what the caller has stored: names and lengths.
    known: BTreeMap<String, Known>,
    /// Announced and not written yet: perhaps stored, perhaps not.
    announced: BTreeMap<String, u64>,
    /// Written since the last confirmation: names and lengths now.
    pending: BTreeMap<String, u64>,
    /// What lies beyond the known lengths has to go before anything is written: after a start and after a reset.
    cut_due: bool,
    /// A call was cancelled or failed in the middle.
    torn: bool,
    /// Everything written.
    handed: Offset,
    /// The blocking half. Its lock is taken before work is given to a thread and held until that work is done, so what
    /// a cancelled call has begun ends before the next call touches a file.
    disk: Arc<Mutex<Disk>>,
}

/// A file of which the store knows the length.
struct Known {
    /// Covered by stored positions. Unit: octets.
    length: u64,
    /// When it was last written.
    used: Instant,
}

/// What the store keeps.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Memory {
    /// Where files take turns.
    Turning {
        /// Of each file. Unit: octets.
        lengths: BTreeMap<String, u64>,
        /// Of each path.
        turns: BTreeMap<String, Turn>,
    },
    /// The lengths alone.
    Lengths(BTreeMap<String, u64>),
}

impl File {
    /// An output that goes on where `memory` ends. Touches no file.
    pub(super) fn new(config: &config::File, memory: Option<&str>) -> Result<Self, OutputError> {
        let names = Names::new(config)
            .map_err(|cause| OutputError::new(ErrorClass::Fatal, format!("use the path {:?}", config.path), cause))?;
        let kept = memory
            .map(serde_json::from_str)
            .transpose()
            .map_err(|cause| OutputError::new(ErrorClass::Fatal, "read the file lengths that the store kept", cause))?;
        let (lengths, turns) = match kept {
            None => (BTreeMap::new(), BTreeMap::new()),
            Some(Memory::Lengths(lengths)) => (lengths, BTreeMap::new()),
            Some(Memory::Turning { lengths, turns }) => (lengths, turns),
        };
        let used = Instant::now();
        Ok(Self {
            turns: if names.rotates() { turns } else { BTreeMap::new() },
            names,
            known: lengths.into_iter().map(|(name, length)| (name, Known { length, used })).collect(),
            announced: BTreeMap::new(),
            pending: BTreeMap::new(),
            cut_due: true,
            torn: false,
            handed: Offset(0),
            disk: Arc::new(Mutex::new(Disk::new(config.compress))),
        })
    }

    /// What the store shall keep, as JSON: names to octets, and the turns where there are any.
    fn memory(&self) -> String {
        let known = self.known.iter().map(|(name, known)| (name.clone(), known.length));
        let announced = self.announced.iter().map(|(name, length)| (name.clone(), *length));
        let lengths = known.chain(announced).collect();
        let memory = match self.names.rotates() {
            true => Memory::Turning { lengths, turns: self.turns.clone() },
            false => Memory::Lengths(lengths),
        };
        serde_json::to_string(&memory).expect("texts and numbers always have a JSON form")
    }

    /// The present file of a path.
    fn present(&self, base: String) -> String {
        self.turns.get(&base).map_or_else(|| base.clone(), |turn| Names::of(&base, *turn))
    }

    /// How long a file is, by our own books.
    fn length(&self, name: &str) -> Option<u64> {
        let books = [self.pending.get(name), self.announced.get(name), self.known.get(name).map(|known| &known.length)];
        books.into_iter().flatten().next().copied()
    }

    /// The file that this frame goes to; begins the next one where it is time. A file that is there already is never
    /// taken for a new one.
    fn choose(&mut self, frame: &StoredFrame) -> Result<String, OutputError> {
        let base = self.names.base(&frame.head);
        let turn = self.turns.get(&base).copied();
        let length = turn.and_then(|turn| self.length(&Names::of(&base, turn))).unwrap_or(0);
        if let Some(mut next) = self.names.next(turn, frame.head.pulled_ms, length, frame.body.len() as u64) {
            loop {
                let name = Names::of(&base, next);
                let found = length_of(Path::new(&name)).map_err(|cause| failed(format!("look at {name:?}"), cause))?;
                if found == 0 && self.length(&name).is_none() {
                    break;
                }
                next = next.following();
            }
            self.turns.insert(base.clone(), next);
        }
        Ok(self.present(base))
    }

    /// Runs blocking work on the disk, after whatever a cancelled call has left running.
    async fn on_disk<T: Send + 'static>(
        &self,
        body: &[u8],
        work: impl FnOnce(&mut Disk) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let mut disk = Arc::clone(&self.disk).lock_owned().await;
        disk.buffer.clear();
        disk.buffer.extend_from_slice(body);
        tokio::task::spawn_blocking(move || work(&mut disk)).await.map_err(io::Error::other)?
    }

    /// Cuts off what no stored position covers. A file that is shorter than it should be was changed by hand; it is
    /// taken as it is.
    async fn cut(&mut self) -> Result<(), OutputError> {
        let lengths = self.known.iter().map(|(name, known)| (name.clone(), known.length)).collect();
        let shorter = self
            .on_disk(&[], move |disk| disk.cut(lengths))
            .await
            .map_err(|cause| failed("cut files to the lengths that the store kept", cause))?;
        for (name, found) in shorter {
            if let Some(known) = self.known.remove(&name) {
                warn_changed(&name, known.length, found);
            }
        }
        self.cut_due = false;
        Ok(())
    }

    /// Refuses to go on behind a call that did not end.
    fn whole(&self) -> Result<(), OutputError> {
        if self.torn {
            return Err(OutputError::found(
                ErrorClass::Transient,
                "go on writing files after a write that did not end",
            ));
        }
        Ok(())
    }
}

#[async_trait]
impl Output for File {
    fn announce(&mut self, frame: &StoredFrame) -> Result<Option<String>, OutputError> {
        let name = self.choose(frame)?;
        if self.pending.contains_key(&name) {
            return Ok(None);
        }
        if !self.announced.contains_key(&name) {
            let found = length_of(Path::new(&name)).map_err(|cause| failed(format!("look at {name:?}"), cause))?;
            match self.known.get(&name) {
                Some(known) if found == known.length || (self.cut_due && found > known.length) => return Ok(None),
                Some(known) => warn_changed(&name, known.length, found),
                None => {}
            }
            self.announced.insert(name, found);
        }
        Ok(Some(self.memory()))
    }

    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        self.whole()?;
        if self.cut_due {
            self.cut().await?;
        }
        let name = self.present(self.names.base(&frame.head));
        if let Some(length) = self.announced.remove(&name) {
            self.known.insert(name.clone(), Known { length, used: Instant::now() });
        }
        let pending = self.pending.get(&name).copied();
        let Some(expected) = pending.or_else(|| self.known.get(&name).map(|known| known.length)) else {
            return Err(OutputError::found(
                ErrorClass::Transient,
                format!("write to {name:?}: its length is not stored"),
            ));
        };
        self.torn = true;
        let target = name.clone();
        let appended = self.on_disk(&frame.body, move |disk| disk.append(&target, expected)).await;
        let octets = match appended.map_err(|cause| failed(format!("write to {name:?}"), cause))? {
            Appended::Whole { octets } => octets,
            Appended::Changed { found } => {
                self.known.remove(&name);
                warn_changed(&name, expected, found);
                return Err(OutputError::found(
                    ErrorClass::Transient,
                    format!("write to {name:?}: somebody else changed it"),
                ));
            }
        };
        self.torn = false;
        self.pending.insert(name, expected + octets);
        self.handed.0 += frame.body.len() as u64;
        Ok(Written { end: self.handed, refused: Vec::new() })
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        self.whole()?;
        if !self.pending.is_empty() {
            self.on_disk(&[], Disk::sync).await.map_err(|cause| failed("bring files safely to disk", cause))?;
        }
        let now = Instant::now();
        for (name, length) in std::mem::take(&mut self.pending) {
            self.known.insert(name, Known { length, used: now });
        }
        if !self.cut_due {
            // While a cut is due a file may be longer than is covered, and forgetting it would keep the surplus.
            let rotates = self.names.rotates();
            let present: BTreeSet<String> = self.turns.iter().map(|(base, turn)| Names::of(base, *turn)).collect();
            self.known.retain(|name, known| {
                now.duration_since(known.used) < KEEP && (!rotates || present.contains(name))
                    || present.contains(name) && !self.names.template().has_date()
            });
            if self.names.template().has_date() {
                let (known, announced) = (&self.known, &self.announced);
                self.turns.retain(|base, turn| {
                    let name = Names::of(base, *turn);
                    known.contains_key(&name) || announced.contains_key(&name)
                });
            }
        }
        Ok(Confirmed { through: self.handed, memory: Some(self.memory()) })
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        let path = self.names.template().fixed_part();
        let action = format!("prove that {path:?} can be written");
        self.on_disk(&[], move |_| writable(&path)).await.map_err(|cause| failed(action, cause))
    }

    async fn close(&mut self, _within: Duration) -> Result<Confirmed, OutputError> {
        self.confirmed().await
    }

    async fn reset(&mut self) {
        // What a cancelled call has begun is over after this, also for an output that takes this one's place.
        drop(self.disk.lock().await);
        self.announced.clear();
        self.pending.clear();
        self.cut_due = true;
        self.torn = false;
    }
}

/// Says that a file is not as we left it, and that we take it so.
fn warn_changed(file: &str, stored: u64, found: u64) {
    tracing::warn!(file, stored, found, "file was moved, cut or written by somebody else; taken as it is");
}

/// A file error with its class: what only a person can put right is `Denied`.
fn failed(action: impl Into<String>, cause: io::Error) -> OutputError {
    use io::ErrorKind::{
        InvalidFilename, InvalidInput, IsADirectory, NotADirectory, PermissionDenied, ReadOnlyFilesystem,
    };
    let class = match cause.kind() {
        PermissionDenied | ReadOnlyFilesystem | NotADirectory | IsADirectory | InvalidFilename | InvalidInput => {
            ErrorClass::Denied
        }
        _ => ErrorClass::Transient,
    };
    OutputError::new(class, action, cause)
}

#[cfg(test)]
mod tests;
