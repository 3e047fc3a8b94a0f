//! What has the counts of one tenant's streams, as its configuration says, and when a pull waits for them.

use super::ask;
use super::clock::Clock;
use super::drive::{Puller, Pulling};
use super::retry::PipelineError;
use super::run::{Options, asked};
use super::setup::Clients;
use super::source::Source;
use crate::config::{Config, Input, Persistence};
use crate::enrich::{EnrichError, Enricher, Rules, Shared};
use crate::pull::Ask;
use crate::store::{Counts, Store, WallClock};
use crate::telemetry::enrich as enrichment;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long an event that leaves once and for all waits for counts of its own. Source: design, "Enrichment".
const OWN_COUNTS: Duration = Duration::from_secs(60);

/// The enrichment of one tenant.
pub struct Enrichment {
    shared: Arc<Shared>,
    /// Part of the vendor's quota that we may use, 0 to 1.
    share: f64,
}

impl Enrichment {
    /// For the services of an input that are asked for; calls nobody.
    pub fn new(
        config: &Config,
        input: &Input,
        options: &Options,
        (store, clock): (&Arc<dyn Store>, &Arc<dyn Clock>),
    ) -> Self {
        let services = input.services.iter().filter(|service| asked(&options.services, service.def.name));
        let sources = services.flat_map(|service| Source::of(input, service));
        let streams = sources.map(|source| (source.stream, source.service.counts)).collect();
        let (store, clock): (Arc<dyn Counts>, _) = (Arc::<dyn Store>::clone(store), Arc::clone(clock));
        let now: WallClock = Arc::new(move || clock.wall_ms());
        let shared = Shared::new((store, now), folder(config), streams);
        Self { shared, share: input.quota_share }
    }

    /// What has the counts of a stream; `None` where it asks for none.
    /// `alone`: from what its records tell, because they come from another API than the counts would.
    pub fn of(&self, source: &Source, clients: &Clients, alone: bool) -> Option<Arc<Enricher>> {
        let service = &source.service;
        let (method, max_age) = (service.enrichment.method, service.enrichment.max_age);
        let rules = Rules { method, max_age, share: self.share, alone };
        let enricher = |counts| {
            let (shared, client) = (Arc::clone(&self.shared), clients.defender.clone());
            Arc::new(Enricher::new(shared, client, source.stream.clone(), counts, rules))
        };
        Some(service.counts.clone()).filter(|counts| !counts.is_empty()).map(enricher)
    }

    /// Ends what is under way.
    pub async fn stop(&self) {
        self.shared.stop().await;
    }
}

impl Puller {
    /// Has the counts that the pull's events will need. Returns whether all could be had.
    ///
    /// A snapshot waits for them as long as its period; what leaves once and for all waits later, for its own alone.
    pub(super) async fn prepare(&self) -> Result<bool, PipelineError> {
        let Some(enricher) = &self.enricher else { return Ok(true) };
        let period = if self.source.is_snapshot() { self.source.period } else { OWN_COUNTS };
        let prepared = async {
            let entities = self.entities(enricher).await?;
            enricher.prepare(entities, self.once, (!self.once).then_some(period)).await
        };
        match prepared.await {
            Ok(whole) => Ok(whole),
            Err(EnrichError::Store(error)) => Err(error.into()),
            // Whatever else it is, the pull will meet it too, or can do without counts.
            Err(error) => {
                enrichment::failed(&self.source.stream, &error);
                Ok(false)
            }
        }
    }

    /// How many entities the stream has; `None` where their number has no bound.
    async fn entities(&self, enricher: &Enricher) -> Result<Option<u64>, EnrichError> {
        if !self.source.is_snapshot() {
            return Ok(None);
        }
        let (_, known) = self.store.count_absent(&self.source.stream, 0).await?;
        if (known > 0 && !self.once) || !enricher.needs_entities() {
            return Ok(Some(known));
        }
        // Another API's list is no list that could be read for its ids alone.
        if self.source.elsewhere.is_some() {
            return Ok(Some(known));
        }
        // Those of the last snapshot are known; of a first one, or with `once`, nobody may be missing.
        let list = ask::list(&self.source, &Ask::default())?;
        enricher.census(list, self.source.service.def.endpoint.page_cap).await.map(Some)
    }

    /// Throws away what was gathered and waits for counts of its rows; the step is then asked for once more.
    pub(super) async fn wait_for_counts(&self, pulling: &mut Pulling<'_>) -> Result<(), PipelineError> {
        pulling.batch.discard().await?;
        (pulling.waits, pulling.waited) = (false, true);
        let Some(enricher) = &self.enricher else { return Ok(()) };
        let deadline = (!self.once).then(|| Instant::now() + OWN_COUNTS);
        loop {
            match enricher.settle(false, deadline).await {
                Ok(_) => return Ok(()),
                Err(EnrichError::Store(error)) => return Err(error.into()),
                // What was refused is not asked again: another way is chosen.
                Err(error) if error.is_denied() => {
                    if let Err(error) = enricher.choose(None).await {
                        enrichment::failed(&self.source.stream, &error);
                        return Ok(());
                    }
                }
                Err(error) => {
                    enrichment::failed(&self.source.stream, &error);
                    return Ok(());
                }
            }
        }
    }
}

/// Where values are sorted that memory does not hold: beside the state, if that is on disk.
fn folder(config: &Config) -> PathBuf {
    match &config.globals.persistence {
        Persistence::Filesystem { directory } if directory.is_dir() => directory.clone(),
        _ => std::env::temp_dir(),
    }
}
