//! What the demo shows, read from simulator, store and outputs; nothing is asked of the collector itself.

use crate::record::{Position, StreamKey};
use crate::service;
use crate::store::{StartAt, Store, StoreError};
use mde_sim::receiver::{DevoReceiver, Digest};
use mde_sim::{Family, Sim};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Name of the file output in the demo's configuration.
pub const FILES: &str = "files";
/// Name of the Devo output in it.
pub const DEVO: &str = "devo";
/// Alerts shown by name.
const NEWEST: usize = 4;
/// Frames read at once to be counted. Unit: octets.
const READ_BYTES: usize = 1 << 20;

/// One moment of the demo.
#[derive(Debug, Default)]
pub struct Facts {
    /// Since the start.
    pub running: Duration,
    /// Address of the simulated tenant.
    pub tenant: String,
    /// Alerts that the simulated API shows.
    pub alerts: usize,
    /// The newest of them.
    pub newest: Vec<Alert>,
    /// Versions of alerts in answers that went out whole.
    pub versions: usize,
    /// Requests to API and token endpoint.
    pub requests: u64,
    /// Calls of the last minute and of the last hour: used, and how many the collector allows itself.
    pub quota: [(usize, u32); 2],
    /// Everything before it has been read. Unit: milliseconds since 1970, UTC.
    pub checkpoint_ms: Option<i64>,
    /// Events that the store has taken.
    pub stored: u64,
    /// The two outputs.
    pub outputs: Vec<OutputFacts>,
}

/// An alert at the simulator.
#[derive(Debug)]
pub struct Alert {
    /// `lastUpdateTime`.
    pub updated: String,
    /// `severity`.
    pub severity: String,
    /// `title`.
    pub title: String,
}

/// One output.
#[derive(Debug)]
pub struct OutputFacts {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Events counted at the far side.
    pub arrived: u64,
    /// Events that are not confirmed yet.
    pub waiting: u64,
    /// The last frame confirmed.
    pub confirmed: Position,
    /// Where the far side is.
    pub place: String,
}

/// Looks at everything that there is to see, and remembers how far it has counted.
pub struct Watch {
    sim: Sim,
    store: Arc<dyn Store>,
    receiver: DevoReceiver,
    begun: Instant,
    file: Lines,
    /// How far each stream's frames are counted, and how many events they held.
    counted: (BTreeMap<StreamKey, Position>, u64),
    /// What the store said last; it is closed before the last picture.
    last: Facts,
}

impl Watch {
    /// Takes what is to be watched; `path` is the file that the file output writes.
    pub fn new(sim: Sim, store: Arc<dyn Store>, receiver: DevoReceiver, begun: Instant, path: PathBuf) -> Self {
        let file = Lines { path, reader: None, begun: Vec::new(), digest: Digest::default() };
        Self { sim, store, receiver, begun, file, counted: Default::default(), last: Facts::default() }
    }

    /// What there is to see now.
    pub async fn look(&mut self) -> &Facts {
        // A store that is closed, at the end, and a file that is not there yet, at the start, change nothing.
        let _ = self.look_at_store().await;
        let _ = self.file.count();
        let limits = Family::Alerts.documented();
        let (minute, hour) = self.sim.quota_used(Family::Alerts);
        let allowed = |limit: u32| (f64::from(limit) * super::SHARE) as u32;
        let newest = self.newest();
        let Facts { outputs, checkpoint_ms, stored, .. } = &mut self.last;
        for output in outputs.iter_mut() {
            output.arrived = if output.name == FILES { self.file.digest.events } else { self.receiver.event_count() };
        }
        self.last = Facts {
            running: self.begun.elapsed(),
            tenant: self.sim.base_url(),
            alerts: self.sim.world().alert_count(),
            newest,
            versions: self.sim.ledger().versions_served().len(),
            requests: self.sim.ledger().request_count(None),
            quota: [(minute, allowed(limits.per_minute)), (hour, allowed(limits.per_hour))],
            checkpoint_ms: *checkpoint_ms,
            stored: *stored,
            outputs: std::mem::take(outputs),
        };
        &self.last
    }

    /// Whether file and receiver hold the same events, each as often.
    pub fn agrees(&mut self) -> bool {
        // Without an event there is no file.
        let counted = self.file.count().or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        });
        counted.is_ok() && self.file.digest == self.receiver.digest()
    }

    /// Progress, depth and positions.
    async fn look_at_store(&mut self) -> Result<(), StoreError> {
        let streams = self.store.streams().await?;
        for (stream, state) in &streams {
            self.last.checkpoint_ms = state.checkpoint_ms;
            let (counted, events) = &mut self.counted;
            let counted = counted.entry(stream.clone()).or_insert(Position::START);
            // Frames stay for seconds, until the receiver has confirmed them, so a look twice a second sees each.
            loop {
                let frames = self.store.read(stream, *counted, READ_BYTES).await?;
                let Some(newest) = frames.last() else { break };
                *counted = newest.position;
                *events += frames.iter().map(|frame| u64::from(frame.events)).sum::<u64>();
            }
        }
        self.last.stored = self.counted.1;
        let mut outputs = Vec::new();
        for (name, place) in [(FILES, self.file.path.display().to_string()), (DEVO, self.receiver.addr().to_string())] {
            let mut confirmed = Position::START;
            for (stream, _) in &streams {
                // The run attaches its outputs before its first commit, and to the same place: this only asks.
                confirmed = self.store.attach(name, stream, &StartAt::Now).await?.position;
            }
            let waiting = self.store.depth(name).await?.events;
            outputs.push(OutputFacts { name, arrived: 0, waiting, confirmed, place });
        }
        self.last.outputs = outputs;
        Ok(())
    }

    /// The newest alerts at the simulator.
    fn newest(&self) -> Vec<Alert> {
        let world = self.sim.world();
        let alert = |id: &str| {
            let alert: Value = serde_json::from_str(&world.alert_json(id)?).ok()?;
            let text = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
            Some(Alert { updated: text("lastUpdateTime"), severity: text("severity"), title: text("title") })
        };
        world.versions().iter().rev().take(NEWEST).filter_map(|version| alert(&version.id)).collect()
    }
}

/// The lines of a file that grows.
struct Lines {
    path: PathBuf,
    /// The file, once it is there, read as far as its lines are counted.
    reader: Option<BufReader<File>>,
    /// A line whose end has not been written yet.
    begun: Vec<u8>,
    /// What they say, in the receiver's words.
    digest: Digest,
}

impl Lines {
    /// Counts what has been added. Fails as long as there is no file.
    fn count(&mut self) -> io::Result<()> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(BufReader::new(File::open(&self.path)?)),
        };
        let tag = service::find("alerts").map_or("", |def| def.tag);
        while reader.read_until(b'\n', &mut self.begun)? > 0 && self.begun.ends_with(b"\n") {
            self.begun.pop();
            self.digest.add(tag, &String::from_utf8_lossy(&self.begun));
            self.begun.clear();
        }
        Ok(())
    }
}
