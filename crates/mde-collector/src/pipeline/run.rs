//! The main job: every stream pulled, every output shipped to, an orderly end.

use super::clock::Clock;
use super::counts::Enrichment;
use super::drive::Puller;
use super::gate::Gate;
use super::retry::PipelineError;
use super::rotate::{Reasons, Rotation};
use super::schedule::{self, Schedule};
use super::setup::{Tenant, Wire, sockets};
use super::shape::Shape;
use super::ship::{Order, ShipError, Shipper};
use super::source::Source;
use super::subscription::Subscription;
use crate::config::{Config, From, OutputEntry};
use crate::output;
use crate::quota::Quotas;
use crate::record::StreamKey;
use crate::status::Board;
use crate::store::{StartAt, Store, StoreError};
use crate::telemetry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, interval_at};

/// Time between two looks at outputs that are no longer configured.
const TIDY_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What the caller asks of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Pull everything once, drain, end.
    pub once: bool,
    /// Only these services; all where empty.
    pub services: Vec<String>,
    /// Only these inputs; all where empty.
    pub tenants: Vec<String>,
    /// With `once`: how long outputs may take after the last pull.
    pub drain_timeout: Duration,
    /// At a signal: how long outputs may take.
    pub stop_timeout: Duration,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything worked.
    Done,
    /// Something failed while other things worked.
    Partly,
    /// The credentials of every tenant were refused, or no service is permitted.
    Denied,
}

/// Why a run could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The state store is unusable.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The configuration names something that cannot be used.
    #[error("{0}")]
    Setup(String),
}

/// Runs until everything was pulled once, or until `stop` is set. The store stays open: whoever looks at it goes first.
///
/// # Errors
/// A store that cannot be used, or a configuration that cannot be set up.
pub async fn run(
    config: &Config,
    options: &Options,
    seam: (Arc<dyn Store>, &Quotas, Board),
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<bool>,
) -> Result<Ended, RunError> {
    run_over(&sockets, config, options, seam, clock, stop).await
}

/// The same over what `wire` says.
///
/// # Errors
/// As [`run`].
pub async fn run_over(
    wire: &dyn Wire,
    config: &Config,
    options: &Options,
    seam: (Arc<dyn Store>, &Quotas, Board),
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<bool>,
) -> Result<Ended, RunError> {
    turn(wire, config, options, (&owner(), seam), clock, (stop, watch::Sender::new(Vec::new()))).await
}

/// The name under which a process holds its leases.
pub(super) fn owner() -> String {
    format!("node-{:016x}", rand::random::<u64>())
}

/// What keeps a configuration that loads from being run, each in a sentence; asks nobody and opens nothing.
pub(super) fn try_out(config: &Config, quotas: &Quotas, clock: &Arc<dyn Clock>) -> Vec<String> {
    let tenants = config.inputs.iter().map(|input| Tenant::new(input, quotas.of(input), clock).map(drop));
    let outputs = config.outputs.iter().map(|entry| {
        output::build(&entry.output, None)
            .map(drop)
            .map_err(|error| RunError::Setup(format!("{}: {error}", entry.name)))
    });
    tenants.chain(outputs).filter_map(|tried| tried.err().map(|error| format!("failed to {error}"))).collect()
}

/// As [`run_over`], under this name; `rotations`: told whose credentials are in use.
///
/// # Errors
/// As [`run`].
pub(super) async fn turn(
    wire: &dyn Wire,
    config: &Config,
    options: &Options,
    (owner, (store, quotas, board)): (&str, (Arc<dyn Store>, &Quotas, Board)),
    clock: Arc<dyn Clock>,
    (mut stop, rotations): (watch::Receiver<bool>, watch::Sender<Vec<Rotation>>),
) -> Result<Ended, RunError> {
    let owner = owner.to_owned();
    let gate = Gate::new(Arc::clone(&store), config.globals.outbox_max_bytes, optional(config), board.clone());
    let node = Node { wire, config, options, store, clock, gate, owner };
    let PullHalf { streams, mut background, enrichments } = node.pull_half(quotas, &rotations)?;
    let pulled: Vec<StreamKey> = streams.iter().map(|(puller, ..)| puller.stream().clone()).collect();
    let (order, orders) = watch::channel(Order::Run);
    let (news, newest) = watch::channel(0_u64);
    let mut shippers = node.ship_half(&pulled, (&orders, &newest)).await?;
    node.tidy().await?;
    let mut keeper = JoinSet::new();
    keeper.spawn({
        let (board, store) = (board.clone(), Arc::clone(&node.store));
        async move { board.keep(&*store).await }
    });
    let mut tasks = JoinSet::new();
    for (puller, schedule, reasons) in streams {
        let (gate, clock, news) = (node.gate.clone(), Arc::clone(&node.clock), news.clone());
        let stop = (stop.clone(), reasons);
        tasks.spawn(async move { schedule::stream(puller, schedule, (&gate, &*clock), stop, &news).await });
    }
    let mut tally = Tally::default();
    let mut tidy = interval_at(Instant::now() + TIDY_EVERY, TIDY_EVERY);
    while !tasks.is_empty() {
        tokio::select! {
            _ = tidy.tick() => {
                // A store that fails is noticed, borne and reported by those who work with it.
                node.tidy().await.ok();
            }
            Some(ended) = tasks.join_next() => tally.pulled(ended)?,
            // An output ends before it is told to only when it cannot go on; pulling for the others does.
            Some(ended) = shippers.join_next() => tally.shipped(ended)?,
        }
    }
    background.shutdown().await;
    for enrichment in enrichments {
        enrichment.stop().await;
    }
    let stopped = *stop.borrow_and_update();
    let within = if stopped { options.stop_timeout } else { options.drain_timeout };
    order.send_replace(Order::Drain(Instant::now() + within));
    while let Some(ended) = shippers.join_next().await {
        tally.shipped(ended)?;
    }
    keeper.shutdown().await;
    // The end itself does not depend on it.
    board.write(&*node.store).await.ok();
    Ok(if stopped { Ended::Done } else { tally.ended() })
}

/// What all parts of a run share.
struct Node<'a> {
    wire: &'a dyn Wire,
    config: &'a Config,
    options: &'a Options,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    gate: Gate,
    /// Its name in leases.
    owner: String,
}

/// The streams that were asked for, set up and not started.
struct PullHalf {
    /// Each with what tells it that its tenant's credentials are others.
    streams: Vec<(Puller, Schedule, Reasons)>,
    /// What keeps counts fresh between pulls.
    background: JoinSet<()>,
    /// One for each tenant.
    enrichments: Vec<Enrichment>,
}

/// Outputs that are being shipped to, by their names.
type ShipHalf = JoinSet<(String, Result<(), ShipError>)>;

impl Node<'_> {
    /// Sets the streams up; asks nobody.
    fn pull_half(&self, quotas: &Quotas, rotations: &watch::Sender<Vec<Rotation>>) -> Result<PullHalf, RunError> {
        let Self { wire, config, options, store, clock, gate, owner } = self;
        let mut half = PullHalf { streams: Vec::new(), background: JoinSet::new(), enrichments: Vec::new() };
        for input in config.inputs.iter().filter(|input| asked(&options.tenants, &input.name)) {
            let tenant = Tenant::over(*wire, input, quotas.of(input), clock)?;
            if !options.once {
                half.background.spawn(tenant.rotation().clone().keep_watch());
            }
            rotations.send_modify(|known| known.push(tenant.rotation().clone()));
            let enrichment = Enrichment::new(config, input, options, (store, clock));
            for service in input.services.iter().filter(|service| asked(&options.services, service.def.name)) {
                for source in Source::of(input, service) {
                    let clients = tenant.clients(service);
                    let schedule = Schedule::of(&source, options.once);
                    let enricher = enrichment.of(&source, &clients, false);
                    let enrichers = (enricher.clone(), enrichment.of(&source, &clients, true));
                    if let Some(enricher) = enricher.filter(|_| !options.once && source.is_snapshot()) {
                        half.background.spawn(async move { enricher.keep_fresh().await });
                    }
                    let (seam, clock) = ((Arc::clone(store), gate.clone()), Arc::clone(clock));
                    let puller = Puller::new(seam, clients, clock, owner.clone(), (source, options.once), enrichers);
                    half.streams.push((puller, schedule, tenant.rotation().reasons()));
                }
            }
            half.enrichments.push(enrichment);
        }
        Ok(half)
    }

    /// Attaches every output to its streams and starts shipping.
    async fn ship_half(
        &self,
        pulled: &[StreamKey],
        (orders, newest): (&watch::Receiver<Order>, &watch::Receiver<u64>),
    ) -> Result<ShipHalf, RunError> {
        let places = self.store.places().await?;
        let outputs = self.config.outputs.iter();
        let outputs = outputs.map(|entry| (entry, Subscription::of(self.config, entry, pulled, &places)));
        let outputs: Vec<_> = outputs.collect();
        // All of it before the first of them ships: what one has left, another may take over.
        for (entry, Subscription { left, .. }) in &outputs {
            if !left.is_empty() {
                self.store.leave(&entry.name, left).await?;
            }
        }
        let mut half = JoinSet::new();
        for (entry, Subscription { takes, .. }) in outputs {
            let shipper = self.shipper(entry, &Vec::from_iter(takes)).await?;
            let (orders, newest, name) = (orders.clone(), newest.clone(), entry.name.clone());
            half.spawn(async move { (name, shipper.run(orders, newest).await) });
        }
        Ok(half)
    }

    /// An output attached to its streams.
    async fn shipper(&self, entry: &OutputEntry, streams: &[StreamKey]) -> Result<Shipper, RunError> {
        let memory = self.store.output_memory(&entry.name).await?;
        let built = self.wire.output(entry, memory.as_deref());
        let built = built.map_err(|error| RunError::Setup(error.to_string()))?;
        let start = match &entry.from {
            From::Now => StartAt::Now,
            From::Oldest => StartAt::Oldest,
            From::Output(name) => StartAt::Output(name.clone()),
        };
        let shape = Shape { event_id: entry.event_id, max_event_bytes: entry.max_event_bytes };
        let (who, how) = ((entry.name.clone(), self.owner.clone()), (entry.output.waits(), shape));
        let seam = (Arc::clone(&self.store), self.gate.clone());
        Ok(Shipper::attach(seam, built, who, (streams, &start), self.outputs(), how).await?)
    }

    /// Names of all configured outputs, which a frame must have passed before it goes.
    fn outputs(&self) -> Vec<String> {
        self.config.outputs.iter().map(|entry| entry.name.clone()).collect()
    }

    /// Tells of what is kept for outputs and streams of outputs that were once configured, and lets go of what has waited
    /// long enough.
    async fn tidy(&self) -> Result<(), StoreError> {
        // The store learns which ones are gone.
        self.store.collect(&self.outputs()).await?;
        for gone in self.store.let_go(self.config.globals.outbox_max_bytes).await? {
            telemetry::ship::let_go(&gone.output, gone.stream.as_ref(), gone.depth.events);
        }
        for kept in self.store.removed().await? {
            telemetry::ship::removed(&kept.output, kept.stream.as_ref(), (kept.depth.events, kept.depth.bytes));
        }
        Ok(())
    }
}

/// How its parts have ended so far.
#[derive(Default)]
struct Tally {
    /// Streams that did what they should.
    worked: u32,
    /// Streams that did not.
    failed: u32,
    /// Streams that were not permitted.
    denied: u32,
    /// Whether an output has left events behind.
    undelivered: bool,
}

impl Tally {
    /// A stream has ended. Fails where the store is the reason.
    fn pulled(&mut self, ended: Result<Result<bool, PipelineError>, JoinError>) -> Result<(), StoreError> {
        match ended {
            Ok(Ok(true)) => self.worked += 1,
            Ok(Ok(false)) => (self.worked, self.failed) = (self.worked + 1, self.failed + 1),
            Ok(Err(PipelineError::Store(error))) => return Err(error),
            Ok(Err(error)) if error.is_denied() => self.denied += 1,
            Ok(Err(_)) => self.failed += 1,
            Err(error) => {
                telemetry::run::task_broken(&error);
                self.failed += 1;
            }
        }
        Ok(())
    }

    /// An output has ended. Fails where the store is the reason.
    fn shipped(&mut self, ended: Result<(String, Result<(), ShipError>), JoinError>) -> Result<(), StoreError> {
        self.undelivered |= match ended {
            Ok((_, Ok(()))) => false,
            Ok((_, Err(ShipError::Store(error)))) => return Err(error),
            Ok((name, Err(error))) => {
                telemetry::ship::not_drained(&name, &error);
                true
            }
            Err(error) => {
                telemetry::run::task_broken(&error);
                true
            }
        };
        Ok(())
    }

    /// How the run has ended that nobody has stopped.
    const fn ended(&self) -> Ended {
        match (self.worked, self.failed, self.denied) {
            (0, 0, 1..) => Ended::Denied,
            (_, 0, 0) if !self.undelivered => Ended::Done,
            _ => Ended::Partly,
        }
    }
}

/// Whether a name was asked for; an empty list asks for all.
#[must_use]
pub fn asked(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|asked| asked == name)
}

/// Outputs that jump over events rather than let pulling pause.
fn optional(config: &Config) -> Vec<String> {
    config.outputs.iter().filter(|entry| !entry.required).map(|entry| entry.name.clone()).collect()
}
