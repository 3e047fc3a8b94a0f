//! What one stream reads, as its configuration says, and the machine that reads it.

use super::retry::PipelineError;
use crate::config::{Emit, Input, QueryConfig, ServiceConfig, Sweep};
use crate::pull::Machine;
use crate::pull::open::Open;
use crate::pull::parts::Answers;
use crate::pull::slice::{Query, Slices};
use crate::pull::snapshot::{self, Snapshots};
use crate::pull::walk::Walk;
use crate::pull::window::list::List;
use crate::pull::window::{self, Windows};
use crate::record::{StreamKey, ms};
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

    /// Whether the whole list is read each time, so that the store remembers its entities.
    pub const fn is_snapshot(&self) -> bool {
        matches!(*self.pull, Pull::Snapshot { .. })
    }

    /// How far back each pull reads again; a snapshot reads everything.
    pub fn overlap(&self) -> Duration {
        match &self.query {
            _ if self.is_snapshot() => Duration::MAX,
            None => self.service.overlap,
            Some(query) => query.overlap,
        }
    }

    /// The machine as the store remembers it; `once`: its only pull of this run.
    ///
    /// # Errors
    /// A memory that something else has written.
    pub fn machine(&self, state: &StreamState, once: bool) -> Result<Box<dyn Machine>, PipelineError> {
        let endpoint = &self.service.def.endpoint;
        let (page_cap, expands) = (endpoint.page_cap as u64, endpoint.expand.is_some());
        let row_cap = self.query.as_ref().map_or(page_cap, |query| query.row_cap as u64);
        Ok(match *self.pull {
            Pull::Window { time, splits } => {
                let source = List { time, splits, page_cap, expands };
                Box::new(Windows::new(self.windows(source, once), state.checkpoint_ms, self.memory(state)?))
            }
            Pull::Snapshot { .. } if self.query.is_some() => {
                Box::new(Answers::new(self.snapshots(row_cap), self.memory(state)?))
            }
            Pull::Snapshot { .. } => Box::new(Snapshots::<Walk>::new(self.snapshots(page_cap), self.memory(state)?)),
            Pull::Open { start, .. } => {
                let source = List { time: start, splits: &[], page_cap, expands };
                Box::new(Open::new(self.windows(source, once), state.checkpoint_ms, self.memory(state)?))
            }
            Pull::Slices => {
                let query = self.query.as_ref();
                let align_ms = query.and_then(|query| query.align).map(ms);
                let settle_ms = query.filter(|_| align_ms.is_some()).map_or(0, |query| ms(query.settle));
                let source = Query { row_cap, align_ms, settle_ms };
                Box::new(Slices::new(self.windows(source, once), state.checkpoint_ms, self.memory(state)?))
            }
        })
    }

    /// What windows keep to.
    fn windows<S>(&self, source: S, once: bool) -> window::Rules<S> {
        let sweep = self.query.as_ref().map_or(Some(self.service.sweep), |query| query.sweep);
        // Without sweeps nothing is read again beyond the overlap.
        let sweep = sweep.unwrap_or(Sweep { every: Duration::MAX, back: Duration::ZERO });
        window::Rules {
            source,
            overlap_ms: ms(self.overlap()),
            sweep_every_ms: ms(sweep.every),
            sweep_back_ms: ms(sweep.back),
            open_ms: None,
            historical_ms: self.service.historical_ms,
            once,
        }
    }

    /// What snapshots keep to.
    fn snapshots(&self, cap: u64) -> snapshot::Rules {
        snapshot::Rules {
            cap,
            period_ms: ms(self.period),
            tombstones: self.service.emit == Emit::Changes,
            historical_ms: self.service.historical_ms,
        }
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
