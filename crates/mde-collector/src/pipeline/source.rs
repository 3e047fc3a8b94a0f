//! What one stream reads, as its configuration says, and the machine that reads it.

use super::retry::PipelineError;
use super::standing::Standing;
use crate::config::{Backend, Emit, Input, QueryConfig, ServiceConfig, Sweep};
use crate::pull::Machine;
use crate::pull::open::Open;
use crate::pull::parts::Answers;
use crate::pull::single::Single;
use crate::pull::slice::{Query, Slices};
use crate::pull::snapshot::{self, Snapshots};
use crate::pull::walk::Walk;
use crate::pull::window::list::List;
use crate::pull::window::{self, Windows};
use crate::record::{StreamKey, ms};
use crate::service::{Api, Count, Elsewhere, Endpoint, Field, Key, Method, Paging, Pull, Related, ServiceDef};
use crate::store::StreamState;
use mde_client::limits;
use mde_client::query::segment;
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
    /// Where it is read: `None` where the source itself is, else another API that has it.
    pub elsewhere: Option<&'static Elsewhere>,
    /// The way in which it is read there.
    pub pull: &'static Pull,
    /// Devo tag.
    pub tag: String,
    /// Time between two pulls.
    pub period: Duration,
    /// Adds `@devo_environment` to every event.
    pub environment: Option<String>,
    /// It is read for an export, which has each entity once.
    pub export: Option<Export>,
}

/// What an export wants of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// What has a time is read from there on. Unit: milliseconds since 1970, UTC.
    pub since_ms: i64,
    /// … and to there; `None`: to now. Same unit.
    pub until_ms: Option<i64>,
    /// Events leave, as they would be stored; else entities, as the API gives them.
    pub flatten: bool,
    /// Only this entity of it.
    pub id: Option<String>,
}

impl Source {
    /// The streams of a service: one, or one for each of its queries.
    pub fn of(input: &Input, service: &ServiceConfig) -> Vec<Self> {
        let stream = |query: Option<&QueryConfig>| {
            let own = Self {
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
                elsewhere: None,
                export: None,
            };
            let first = service.places().next().flatten();
            own.at(first)
        };
        if service.queries.is_empty() {
            return vec![stream(None)];
        }
        service.queries.iter().map(|query| stream(Some(query))).collect()
    }

    /// The same stream, read there.
    #[must_use]
    pub fn at(self, elsewhere: Option<&'static Elsewhere>) -> Self {
        let Some(other) = elsewhere else {
            let own = self.query.is_none();
            let (pull, tag) =
                if own { (self.service.pull, self.service.tag.clone()) } else { (self.pull, self.tag.clone()) };
            return Self { elsewhere, pull, tag, ..self };
        };
        let native = self.service.native && other.native.is_some();
        let tag = if native { self.service.native_tag.clone() } else { self.service.tag.clone() };
        Self { elsewhere, pull: &other.pull, tag, ..self }
    }

    /// Where it is read.
    pub fn endpoint(&self) -> &'static Endpoint {
        self.service.def.endpoint_at(self.elsewhere)
    }

    /// What it is read from.
    pub fn api(&self) -> Api {
        self.endpoint().api
    }

    /// Whether rows leave in the form of the API that gave them, which is not the source's own.
    fn is_native(&self) -> bool {
        self.service.native && self.elsewhere.is_some_and(|other| other.native.is_some())
    }

    /// How its rows take the form in which they leave; `None`: they have it.
    pub fn shape(&self) -> Option<&'static [Field]> {
        self.elsewhere.filter(|_| !self.is_native()).map(|other| other.shape)
    }

    /// How a row that keeps the form of another API would take the source's own; `None`: it does not keep it.
    pub fn native(&self) -> Option<&'static [Field]> {
        self.elsewhere.filter(|_| self.is_native()).map(|other| other.shape)
    }

    /// What names a version of a row in the form in which it leaves.
    pub fn key(&self) -> &'static Key {
        let native = self.elsewhere.filter(|_| self.is_native()).and_then(|other| other.native.as_ref());
        native.map_or(&self.service.def.key, |native| &native.key)
    }

    /// The way of reading in the words of that form.
    pub fn form(&self) -> &'static Pull {
        if self.shape().is_some() { self.service.pull } else { self.pull }
    }

    /// The query to run, for what is the result of one.
    pub fn kql(&self) -> Option<&str> {
        let own = self.query.as_ref().map(|query| query.query.as_str());
        own.or_else(|| self.elsewhere.and_then(|other| other.query))
    }

    /// The same stream, read where the store says that it stands, whatever the configuration lets.
    #[must_use]
    pub fn standing(&self, state: &StreamState) -> Self {
        let def = self.service.def;
        let api = Standing::read(&state.memory, def.endpoint.api).api;
        let other = def.elsewhere.iter().find(|other| other.endpoint.api == api);
        let known = other.is_some() || api == def.endpoint.api;
        if known { self.clone().at(other) } else { self.clone() }
    }

    /// The same for an export: all of what was asked for leaves, and nothing else. `timed`: a time was asked for, so that a
    /// source that can be read by time is, whatever its section says; else it is read as it is read by default.
    #[must_use]
    pub fn exported(mut self, export: Export, timed: bool) -> Self {
        if self.query.is_none() {
            let mut ways = self.service.def.pull.iter();
            let by_time = ways.clone().find(|pull| !matches!(pull, Pull::Snapshot { .. }));
            self.pull = by_time.filter(|_| timed).or(ways.next()).unwrap_or(self.pull);
            self.service.pull = self.pull;
            let first = self.service.places().next().flatten();
            self = self.at(first);
        }
        // A query whose rows depend on the slice means whole slices.
        let align_ms = self.query.as_ref().and_then(|query| query.align).map_or(1, |align| ms(align).max(1));
        let border = |moment_ms: i64| moment_ms.div_euclid(align_ms) * align_ms;
        let (since_ms, until_ms) = (border(export.since_ms), export.until_ms.map(border));
        self.service.historical_ms = Some(since_ms);
        (self.service.emit, self.service.snapshot_marker) = (Emit::All, false);
        if !export.flatten {
            self.service.counts.clear();
        }
        if export.id.is_some() {
            // A reading of everything for the counts of one would never pay.
            self.service.enrichment.method = Method::PerEntity;
        }
        self.export = Some(Export { since_ms, until_ms, ..export });
        self
    }

    /// What belongs to one of its entities, as a source of its own: the list that a count counts, or the one thing that it names.
    #[must_use]
    pub fn related(mut self, count: &'static Count, id: &str) -> Self {
        let call = &count.per_entity;
        let path = call.path.replace("{id}", &segment(id));
        // The one thing is asked for like an entity: by the last part of its path.
        let (path, only) = match (call.answer, path.rsplit_once('/')) {
            (Related::One, Some((above, last))) => (above.to_owned(), Some(last.to_owned())),
            _ => (path, None),
        };
        let (family, roles, page_cap) = (call.family, call.roles, limits::PAGE_CAP);
        // The table of sources lives as long as the program, and so does this line of it: there is one in an export.
        let def: &'static ServiceDef = Box::leak(Box::new(ServiceDef {
            endpoint: Endpoint {
                api: Api::Mde,
                path: path.leak(),
                expand: None,
                roles,
                family,
                page_cap,
                paging: Paging::Linked,
            },
            elsewhere: &[],
            pull: &[Pull::Snapshot { min_period_s: 0 }],
            // Not everything that belongs to an entity has an id.
            key: Key::RowHash,
            counts: &[],
            flatten: &[],
            aliases: &[],
            ..*self.service.def
        }));
        (self.service.def, self.service.pull, self.pull) = (def, &def.pull[0], &def.pull[0]);
        (self.elsewhere, self.service.backend) = (None, Backend::Mde);
        self.service.filter = None;
        self.service.counts.clear();
        if let Some(export) = &mut self.export {
            export.id = only;
        }
        self
    }

    /// Whether the whole list is read each time, so that the store remembers its entities.
    pub fn is_snapshot(&self) -> bool {
        matches!(*self.pull, Pull::Snapshot { .. }) && self.single().is_none()
    }

    /// The id of the one entity that is wanted of it, if it is one.
    fn single(&self) -> Option<&String> {
        self.export.as_ref().and_then(|export| export.id.as_ref())
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
        if let Some(id) = self.single() {
            return Ok(Box::new(Single::new(id.clone())));
        }
        let endpoint = self.endpoint();
        let (page_cap, expands) = (endpoint.page_cap as u64, endpoint.expand.is_some());
        let skip_cap = match endpoint.paging {
            Paging::Linked => None,
            Paging::Counted { skip_cap } => Some(skip_cap as u64),
        };
        let row_cap = self.query.as_ref().map_or(page_cap, |query| query.row_cap as u64);
        Ok(match *self.pull {
            Pull::Window { time, splits } => {
                let source = List { time, splits, page_cap, expands, skip_cap };
                Box::new(Windows::new(self.windows(source, once), state.checkpoint_ms, self.memory(state)?))
            }
            Pull::Snapshot { .. } if self.kql().is_some() => {
                Box::new(Answers::new(self.snapshots(row_cap), self.memory(state)?))
            }
            Pull::Snapshot { .. } => Box::new(Snapshots::<Walk>::new(self.snapshots(page_cap), self.memory(state)?)),
            Pull::Open { start, .. } => {
                let source = List { time: start, splits: &[], page_cap, expands, skip_cap };
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
            until_ms: self.export.as_ref().and_then(|export| export.until_ms),
            once,
        }
    }

    /// What snapshots keep to.
    fn snapshots(&self, cap: u64) -> snapshot::Rules {
        snapshot::Rules {
            cap,
            period_ms: ms(self.period),
            tombstones: self.service.emit == Emit::Changes && self.elsewhere.is_none(),
            historical_ms: self.service.historical_ms,
        }
    }

    /// What the machine left in the store; `None` before the first pull of an epoch.
    fn memory<M: DeserializeOwned>(&self, state: &StreamState) -> Result<Option<M>, PipelineError> {
        let memory = Standing::read(&state.memory, self.service.def.endpoint.api).memory;
        if memory.is_empty() {
            return Ok(None);
        }
        // Starting anew instead would send again what the epoch has sent, or skip what it has not.
        serde_json::from_str(&memory).map(Some).map_err(|_| PipelineError::Memory(self.stream.to_string()))
    }
}
