//! One pull of one source into somebody's hands, apart from everything that is kept: the machines, the requests and the budget of
//! `run`, with a store of its own that nobody else sees and that goes when it is over.
//!
//! The store is why memory stays small: what has been seen lies there, and what waits for a slow reader. Nothing of the collector's
//! own state is touched.

use super::ask;
use super::clock::Clock;
use super::counts::Enrichment;
use super::drive::Puller;
use super::gate::Gate;
use super::lease;
use super::plan;
use super::retry::PipelineError;
use super::run::{Options, RunError};
use super::setup::Tenant;
use super::source::Source;
use crate::config::{Config, Input};
use crate::pull::{Ask, Condition, Gap};
use crate::quota::Quotas;
use crate::record::Position;
use crate::service::Pull;
use crate::status::Board;
use crate::store::{StartAt, Store, StoreError, sqlite};
use mde_client::ErrorKind;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The reader's name in the store.
const READER: &str = "export";
/// Who holds the leases of a store that nobody shares.
const OWNER: &str = "export";
/// Time between two looks at what has been stored meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Read at once. Unit: octets.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// So much may wait for a slow reader; then pulling waits too. Unit: octets on disk.
const WAITING_BYTES: u64 = 256 * 1024 * 1024;

/// Who gets what is exported.
pub trait Sink: Send {
    /// Takes lines, each one compact JSON object that ends with LF.
    ///
    /// # Errors
    /// Nothing more can be taken.
    fn take(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Everything before that moment has been read, of a source that is read by time. Unit: milliseconds since 1970, UTC.
    fn reached(&mut self, _moment_ms: i64) {}
}

/// Why an export is not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The pull, after what could be tried.
    #[error("{0}")]
    Pull(#[from] PipelineError),
    /// Who gets it takes no more.
    #[error("write what was read: {0}")]
    Sink(#[source] io::Error),
    /// The store of the export.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// What cannot be set up.
    #[error("{0}")]
    Setup(#[from] RunError),
    /// There is no entity with the id that was asked for.
    #[error("find {service} {id}: there is none with this id, or it is kept no more")]
    Unknown {
        /// The service.
        service: &'static str,
        /// The id.
        id: String,
    },
    /// Not the endpoint that can be told which time to look at.
    #[error("run the query over a timespan: the Defender endpoint cannot be told one; write it into the query")]
    Timespan,
    /// Somebody wants it to end.
    #[error("read on: the export was interrupted")]
    Stopped,
    /// A bug of ours: the pull has ended without an end.
    #[error("end the pull: {0}")]
    Broken(String),
}

impl ExportError {
    /// Whether the credentials or the roles are the reason.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Pull(error) if error.is_denied())
    }

    /// Whether the reader has gone, as `head` does when it has enough.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Sink(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// One sentence for the operator, where there is one.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Pull(error) => Some(error.advice()),
            _ => None,
        }
    }

    /// Whether the API has nothing of that name.
    fn is_not_found(&self) -> bool {
        match self {
            Self::Pull(PipelineError::Absent(_)) => true,
            Self::Pull(PipelineError::Api(error)) => *error.kind() == ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// One tenant that is exported from.
pub struct Exporter<'a> {
    config: &'a Config,
    input: &'a Input,
    tenant: Tenant,
    clock: Arc<dyn Clock>,
}

impl<'a> Exporter<'a> {
    /// For an input, inside its budget; asks nobody.
    ///
    /// # Errors
    /// What cannot be set up.
    pub fn new(
        config: &'a Config,
        input: &'a Input,
        quotas: &Quotas,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExportError> {
        let tenant = Tenant::new(input, quotas.of(input), &clock)?;
        Ok(Self { config, input, tenant, clock })
    }

    /// How many rows there will be, by one cheap call as a rule; `None` where nobody can say.
    pub async fn rows(&self, source: &Source) -> Option<u64> {
        let export = source.export.as_ref().filter(|export| export.id.is_none() && source.query.is_none())?;
        let conditions = match *source.pull {
            Pull::Window { time, .. } | Pull::Open { start: time, .. } => {
                let to_ms = export.until_ms.unwrap_or_else(|| self.clock.wall_ms());
                vec![Condition::Time { field: time, from_ms: export.since_ms, to_ms }]
            }
            Pull::Snapshot { .. } => Vec::new(),
            Pull::Slices => return None,
        };
        let client = self.tenant.clients(&source.service).defender;
        let list = ask::list(source, &Ask { conditions, ..Ask::default() }).ok()?;
        let query = list.query.clone();
        plan::count(&client, &list, query).await.ok().flatten()
    }

    /// Exports a source. `folder`: where there is room for what waits. Returns what could not be read.
    ///
    /// # Errors
    /// What stopped it; what was taken before is part of the whole.
    pub async fn source(
        &self,
        source: Source,
        folder: &Path,
        sink: &mut dyn Sink,
        stop: watch::Receiver<bool>,
    ) -> Result<Vec<Gap>, ExportError> {
        let id = source.export.as_ref().and_then(|export| export.id.clone());
        let service = source.service.def.name;
        match (self.pulled(source, folder, sink, stop).await, id) {
            (Err(error), Some(id)) if error.is_not_found() => Err(ExportError::Unknown { service, id }),
            (exported, _) => exported,
        }
    }

    /// Exports what belongs to an entity: `related` is [`Source::related`] of `source`, both for the same id.
    ///
    /// # Errors
    /// As [`source`](Self::source).
    pub async fn related(
        &self,
        (source, related): (Source, Source),
        folder: &Path,
        sink: &mut dyn Sink,
        stop: watch::Receiver<bool>,
    ) -> Result<Vec<Gap>, ExportError> {
        let mut counted = Counting { sink, lines: 0 };
        let exported = match self.pulled(related, folder, &mut counted, stop.clone()).await {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            exported => exported,
        };
        if exported.is_ok() && counted.lines == 0 {
            // Nothing belongs to it, or there is no such entity: the answers do not tell one from the other.
            self.source(source, folder, &mut Nobody, stop).await?;
        }
        exported
    }

    /// Pulls, and hands over what was stored meanwhile.
    async fn pulled(
        &self,
        source: Source,
        folder: &Path,
        sink: &mut dyn Sink,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Vec<Gap>, ExportError> {
        let clock = Arc::clone(&self.clock);
        let store: Arc<dyn Store> = Arc::new(sqlite::open_scratch(folder, Arc::new(move || clock.wall_ms())).await?);
        store.attach(READER, &source.stream, &StartAt::Oldest).await?;
        let options = Options {
            once: true,
            services: vec![source.service.def.name.to_owned()],
            tenants: vec![self.input.name.clone()],
            drain_timeout: Duration::MAX,
            stop_timeout: Duration::ZERO,
        };
        let clients = self.tenant.clients(&source.service);
        let enrichment = Enrichment::new(self.config, self.input, &options, (&store, &self.clock));
        let enrichers = (enrichment.of(&source, &clients, false), enrichment.of(&source, &clients, true));
        let gate = Gate::new(Arc::clone(&store), WAITING_BYTES, Vec::new(), Board::default());
        let seam = (Arc::clone(&store), gate);
        let clock = Arc::clone(&self.clock);
        let mut puller = Puller::new(seam, clients, clock, OWNER.to_owned(), (source.clone(), true), enrichers);
        let mut pull = JoinSet::new();
        pull.spawn(async move { puller.pull().await });
        let mut reader = Reader { store: &*store, source: &source, position: Position::START, sink };
        let ended = loop {
            tokio::select! {
                ended = pull.join_next() => match ended {
                    Some(Ok(ended)) => break ended.map(drop).map_err(ExportError::from),
                    Some(Err(error)) => break Err(ExportError::Broken(error.to_string())),
                    None => break Err(ExportError::Broken("it was begun twice".to_owned())),
                },
                _ = stop.wait_for(|stop| *stop) => break Err(ExportError::Stopped),
                () = sleep(LOOK_EVERY) => reader.take().await?,
            }
        };
        pull.shutdown().await;
        enrichment.stop().await;
        // What was stored before a failure is part of the whole, and is handed over too.
        reader.take().await?;
        let state = store.stream(&source.stream).await?;
        let gaps = source.machine(&state, true).map(|machine| machine.gaps());
        store.close().await?;
        ended?;
        Ok(gaps?)
    }
}

/// Hands over what has been stored, in its order.
struct Reader<'s> {
    store: &'s dyn Store,
    source: &'s Source,
    position: Position,
    sink: &'s mut dyn Sink,
}

impl Reader<'_> {
    /// Hands over all that is there, and lets it go.
    async fn take(&mut self) -> Result<(), ExportError> {
        let stream = &self.source.stream;
        let before = self.position;
        loop {
            let frames = self.store.read(stream, self.position, READ_BYTES).await?;
            let Some(last) = frames.last().map(|frame| frame.position) else { break };
            for frame in frames {
                self.sink.take(&frame.body).map_err(ExportError::Sink)?;
            }
            self.position = last;
        }
        if self.position == before {
            return Ok(());
        }
        if let Some(checkpoint_ms) = self.store.stream(stream).await?.checkpoint_ms {
            self.sink.reached(checkpoint_ms);
        }
        let held = ExportError::Broken("its store is shared".to_owned());
        let lease = lease::take(self.store, &format!("output {READER}"), OWNER).await?.ok_or(held)?;
        self.store.advance(&lease, READER, &[(stream.clone(), self.position)], None).await?;
        self.store.collect(&[READER.to_owned()]).await?;
        Ok(())
    }
}

/// Counts on the way.
struct Counting<'s> {
    sink: &'s mut dyn Sink,
    lines: usize,
}

impl Sink for Counting<'_> {
    fn take(&mut self, lines: &[u8]) -> io::Result<()> {
        self.lines += usize::from(!lines.is_empty());
        self.sink.take(lines)
    }
}

/// Wants to know only whether there is something.
struct Nobody;

impl Sink for Nobody {
    fn take(&mut self, _lines: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
