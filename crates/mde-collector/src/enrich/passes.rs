//! Readings of whole sources, shared by all streams of a tenant: one reading fills every count that is in it.

use super::EnrichError;
use super::reading::Reading;
use super::tally::Tally;
use crate::record::{EntityKey, Identity, StreamKey, ms};
use crate::service::{Bulk, Count, Grouped, Pass, Silence};
use crate::store::{Counts, WallClock};
use crate::telemetry::enrich as events;
use mde_client::{Client, ErrorKind};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A role that is missing is looked at again after this time.
const DENIED_FOR: Duration = Duration::from_secs(3_600);
/// From so many entities on an export is read in files. Source: vendor page "Export assessment methods".
const FILES_FROM: u64 = 100_000;
/// Values that are stored together.
const TOLD: usize = 1_000;

/// What the streams of one tenant share.
pub struct Shared {
    pub(super) store: Arc<dyn Counts>,
    pub(super) now: WallClock,
    /// Where values are sorted when memory does not hold them.
    folder: PathBuf,
    /// Streams and the counts that they ask for.
    streams: Vec<(StreamKey, Vec<&'static Count>)>,
    /// What was refused for want of a role or an endpoint, and when.
    denied: Mutex<HashMap<&'static str, Instant>>,
    /// Most entities of a stream whose counts lie in an export by entity.
    most: AtomicU64,
    /// One reading at a time: they wait for the same quota.
    turn: tokio::sync::Mutex<()>,
    /// Readings under way. They outlive those who wait for them no longer.
    tasks: Mutex<JoinSet<()>>,
}

/// A count that is in a pass.
pub(super) struct Use {
    pub(super) stream: StreamKey,
    pub(super) count: &'static Count,
    pub(super) grouped: &'static Grouped,
}

impl Shared {
    /// For a tenant with these streams.
    #[must_use]
    pub fn new(
        (store, now): (Arc<dyn Counts>, WallClock),
        folder: PathBuf,
        streams: Vec<(StreamKey, Vec<&'static Count>)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            now,
            folder,
            streams,
            denied: Mutex::default(),
            most: AtomicU64::new(0),
            turn: tokio::sync::Mutex::new(()),
            tasks: Mutex::default(),
        })
    }

    /// Ends the readings under way.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that was refused not long ago.
    pub(super) fn is_denied(&self, what: &str) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.get(what).is_some_and(|since| since.elapsed() < DENIED_FOR)
    }

    /// That is refused.
    pub(super) fn deny(&self, what: &'static str) {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).insert(what, Instant::now());
    }

    /// A stream with counts in exports has so many entities.
    pub(super) fn has(&self, entities: u64) {
        self.most.fetch_max(entities, Ordering::Relaxed);
    }

    /// Waits until the count's newest reading began no longer ago than `max_age`; where it did, the source is read. `client`:
    /// within the limits of the stream's own service, which is the one that asks.
    ///
    /// # Errors
    /// Why it could not be read.
    pub(super) async fn ensure(
        self: &Arc<Self>,
        (stream, client): (&StreamKey, &Client),
        count: &'static Count,
        pass: &'static Pass,
        max_age: Duration,
    ) -> Result<(), EnrichError> {
        let (tell, told) = oneshot::channel();
        let (shared, stream, client) = (Arc::clone(self), stream.clone(), client.clone());
        {
            let mut tasks = self.tasks();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let _turn = shared.turn.lock().await;
                // The receiver may wait no longer; what was read is stored all the same.
                tell.send(shared.read_unless_new((&stream, &client), count, pass, max_age).await).ok();
            });
        }
        told.await.unwrap_or(Err(EnrichError::Over))
    }

    async fn read_unless_new(
        &self,
        (stream, client): (&StreamKey, &Client),
        count: &'static Count,
        pass: &'static Pass,
        max_age: Duration,
    ) -> Result<(), EnrichError> {
        let kinds = self.store.count_kinds(stream).await?;
        let passed_ms = kinds.iter().find(|kind| kind.name == count.field).and_then(|kind| kind.passed_ms);
        let max_age_ms = ms(max_age);
        let now_ms = (self.now)();
        if passed_ms.is_some_and(|passed_ms| passed_ms > now_ms.saturating_sub(max_age_ms) && passed_ms <= now_ms) {
            return Ok(());
        }
        let uses = self.uses(pass).await?;
        let started = Instant::now();
        match self.read(client, pass, &uses, now_ms).await {
            Ok(rows) => {
                events::source_read(&stream.tenant, pass.name, rows, started.elapsed());
                Ok(())
            }
            Err(error) => {
                if error.is_denied() || matches!(&error, EnrichError::Api(api) if *api.kind() == ErrorKind::NotFound) {
                    self.deny(pass.name);
                }
                let trouble = error.to_string();
                for Use { stream, count, .. } in &uses {
                    self.store.trouble(stream, count.field, Some(&trouble)).await?;
                }
                Err(error)
            }
        }
    }

    /// The counts in a pass that are had by it, or whose way is not chosen yet.
    async fn uses(&self, pass: &'static Pass) -> Result<Vec<Use>, EnrichError> {
        let mut uses = Vec::new();
        for (stream, counts) in &self.streams {
            let kinds = self.store.count_kinds(stream).await?;
            for count in counts {
                let grouped = count.bulk.iter().find_map(|bulk| match bulk {
                    Bulk::Grouped(grouped) if grouped.pass.name == pass.name => Some(grouped),
                    _ => None,
                });
                let method = kinds.iter().find(|kind| kind.name == count.field).map_or("", |kind| kind.method.as_str());
                if let Some(grouped) = grouped.filter(|_| method.is_empty() || method == pass.name) {
                    uses.push(Use { stream: stream.clone(), count, grouped });
                }
            }
        }
        Ok(uses)
    }

    /// Reads a source and stores the counts in it. Returns how many rows it had.
    async fn read(
        &self,
        client: &Client,
        pass: &'static Pass,
        uses: &[Use],
        taken_ms: i64,
    ) -> Result<u64, EnrichError> {
        let in_files = comes_in_files(self.most.load(Ordering::Relaxed));
        let (rows, tally) = Reading { client, folder: &self.folder, uses, in_files }.all(pass).await?;
        self.tell(uses, taken_ms, tally).await?;
        for Use { stream, count, grouped } in uses {
            self.store.read_ended(stream, count.field, taken_ms, grouped.silence == Silence::Zero).await?;
        }
        Ok(rows)
    }

    /// Stores what was counted.
    async fn tell(&self, uses: &[Use], taken_ms: i64, tally: Tally) -> Result<(), EnrichError> {
        let mut groups = tally.finish()?;
        let (mut what, mut values) = (0, Vec::with_capacity(TOLD));
        loop {
            let next = groups.next()?;
            let is_full = values.len() == TOLD || next.is_none_or(|(next, ..)| usize::from(next) != what);
            if let Some(Use { stream, count, .. }) = uses.get(what).filter(|_| is_full && !values.is_empty()) {
                self.store.tell_read(stream, count.field, taken_ms, &values).await?;
                values.clear();
            }
            let Some((next, entity, value)) = next else { return Ok(()) };
            what = usize::from(next);
            values.push((EntityKey(entity), value));
        }
    }
}

/// Whether an export is read in files where the largest stream with counts [by its entities](super::by_entity) has so many.
#[must_use]
pub const fn comes_in_files(entities: u64) -> bool {
    entities > FILES_FROM
}

/// Names an entity as a stream's rows do.
pub(super) fn entity_key(stream: &StreamKey, id: &str) -> EntityKey {
    EntityKey(Identity::new(&stream.tenant, &stream.service, [id]).key().0)
}
