//! What has the counts of one tenant's streams, as its configuration says.

use super::clock::Clock;
use super::run::{Options, asked};
use super::setup::Clients;
use super::source::Source;
use crate::config::{Config, Input, Persistence};
use crate::enrich::{Enricher, Rules, Shared};
use crate::store::{Counts, Store, WallClock};
use std::path::PathBuf;
use std::sync::Arc;

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

/// Where values are sorted that memory does not hold: beside the state, if that is on disk.
fn folder(config: &Config) -> PathBuf {
    match &config.globals.persistence {
        Persistence::Filesystem { directory } if directory.is_dir() => directory.clone(),
        _ => std::env::temp_dir(),
    }
}
