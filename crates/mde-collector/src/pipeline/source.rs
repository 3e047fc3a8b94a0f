//! What one stream reads, as its configuration says, and the machine that reads it.

use super::retry::PipelineError;
use crate::config::{Emit, Input, QueryConfig, ServiceConfig};
use crate::pull::Machine;
use crate::pull::snapshot::{self, Snapshots};
use crate::pull::walk::Walk;
use crate::pull::window::list::List;
use crate::pull::window::{self, Windows};
use crate::record::StreamKey;
use crate::service::Pull;
use crate::store::StreamState;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// One stream's source.
#[derive(Clone)]
pub struct Source {
    /// Name of the input, for placeholders in paths.
    pub input: String,
    /// The stream that it fills.
    pub stream: StreamKey,
    /// The service's section.
    pub service: ServiceConfig,
    /// The hunting query, for the service that has them.
    pub query: Option<QueryConfig>,
    /// The way in which it is read.
    pub pull: &'static Pull,
    /// Devo tag.
    pub tag: String,
    /// Time between two pulls.
    pub period: Duration,
    /// Adds `@devo_environment` to every event.
    pub environment: Option<String>,
}

impl Source {
    /// The streams of a service: one, or one for each of its queries.
    pub fn of(input: &Input, service: &ServiceConfig) -> Vec<Self> {
        let stream = |query: Option<&QueryConfig>| Self {
            input: input.name.clone(),
            stream: StreamKey {
                tenant: input.id.clone(),
                service: service.def.name.to_owned(),
                query: query.map(|query| query.name.clone()),
            },
            service: service.clone(),
            pull: query.map_or(service.pull, |query| query.pull),
            tag: query.map_or(&service.tag, |query| &query.tag).clone(),
            period: query.map_or(service.period, |query| query.period),
            query: query.cloned(),
            environment: input.environment.clone(),
        };
        if service.queries.is_empty() {
            return vec![stream(None)];
        }
        service.queries.iter().map(|query| stream(Some(query))).collect()
    }

    /// The machine as the store remembers it; `once`: its only pull of this run.
    ///
    /// # Errors
    /// A memory that something else has written.
    pub fn machine(&self, state: &StreamState, once: bool) -> Result<Box<dyn Machine>, PipelineError> {
        let endpoint = &self.service.def.endpoint;
        let (page_cap, expands) = (endpoint.page_cap as u64, endpoint.expand.is_some());
        let period_ms = ms(self.period);
        let historical_ms = self.service.historical_ms;
        Ok(match *self.pull {
            Pull::Window { time, splits } => {
                let rules = window::Rules {
                    source: List { time, splits, page_cap, expands },
                    overlap_ms: ms(self.service.overlap),
                    sweep_every_ms: ms(self.service.sweep.every),
                    sweep_back_ms: ms(self.service.sweep.back),
                    open_ms: None,
                    historical_ms,
                    once,
                };
                Box::new(Windows::new(rules, state.checkpoint_ms, self.memory(state)?))
            }
            Pull::Snapshot { .. } => {
                let tombstones = self.service.emit == Emit::Changes;
                let rules = snapshot::Rules { cap: page_cap, period_ms, tombstones, historical_ms };
                Box::new(Snapshots::<Walk>::new(rules, self.memory(state)?))
            }
            Pull::Open { .. } | Pull::Slices => unreachable!("no service of the table is read so"),
        })
    }

    /// What the machine left in the store; `None` before the first pull of an epoch.
    fn memory<M: DeserializeOwned>(&self, state: &StreamState) -> Result<Option<M>, PipelineError> {
        if state.memory.is_empty() {
            return Ok(None);
        }
        // Starting anew instead would send again what the epoch has sent, or skip what it has not.
        serde_json::from_str(&state.memory).map(Some).map_err(|_| PipelineError::Memory(self.stream.to_string()))
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
