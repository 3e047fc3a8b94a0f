//! The main job: every stream pulled, every output shipped to, an orderly end.

use super::clock::Clock;
use super::counts::Enrichment;
use super::drive::Puller;
use super::gate::Gate;
use super::retry::PipelineError;
use super::schedule::{self, Schedule};
use super::setup::Tenant;
use super::shape::Shape;
use super::ship::{Order, ShipError, Shipper};
use super::source::Source;
use crate::config::{Config, From, OutputEntry};
use crate::output;
use crate::quota::Quotas;
use crate::record::StreamKey;
use crate::status::Board;
use crate::store::{StartAt, Store, StoreError, replay_stream};
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

/// Runs until everything was pulled once, noting on the board how it goes. The caller closes the store, or until `stop` is set.
///
/// # Errors
/// A store that cannot be used, or a configuration that cannot be set up.
pub async fn run(
    config: &Config,
    options: &Options,
    (store, quotas, board): (Arc<dyn Store>, &Quotas, Board),
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) -> Result<Ended, RunError> {
    let owner = format!("node-{:016x}", rand::random::<u64>());
    let gate = Gate::new(Arc::clone(&store), config.globals.outbox_max_bytes, optional(config), board.clone());
    let mut streams = Vec::new();
    let (mut background, mut enrichments) = (JoinSet::new(), Vec::new());
    for input in config.inputs.iter().filter(|input| asked(&options.tenants, &input.name)) {
        let tenant = Tenant::new(input, quotas.of(input), &clock)?;
        let enrichment = Enrichment::new(config, input, options, &tenant, (&store, &clock));
        for service in input.services.iter().filter(|service| asked(&options.services, service.def.name)) {
            for source in Source::of(input, service) {
                let (clients, clock) = (tenant.clients(service), Arc::clone(&clock));
                let (seam, owner) = ((Arc::clone(&store), gate.clone()), owner.clone());
                let schedule = Schedule::of(&source, options.once);
                let enricher = enrichment.of(&source, &clients);
                if let Some(enricher) = enricher.clone().filter(|_| !options.once && source.is_snapshot()) {
                    background.spawn(async move { enricher.keep_fresh().await });
                }
                streams.push((
                    Puller::new(seam, clients, clock, owner, (source, options.once), enricher),
                    schedule,
                    &input.outputs,
                ));
            }
        }
        enrichments.push(enrichment);
    }
    let (order, orders) = watch::channel(Order::Run);
    let (news, newest) = watch::channel(0_u64);
    let names: Vec<String> = config.outputs.iter().map(|entry| entry.name.clone()).collect();
    let mut shippers = JoinSet::new();
    for entry in &config.outputs {
        let pulled = streams.iter().filter(|(.., outputs)| asked(outputs, &entry.name));
        let pulled = pulled.map(|(puller, ..)| puller.stream().clone()).collect();
        let seam = (Arc::clone(&store), gate.clone());
        let shipper = shipper(entry, pulled, seam, owner.clone(), names.clone()).await?;
        let (orders, newest, name) = (orders.clone(), newest.clone(), entry.name.clone());
        shippers.spawn(async move { (name, shipper.run(orders, newest).await) });
    }
    removed_outputs(&*store, &names, config.globals.outbox_max_bytes).await?;
    let mut keeper = JoinSet::new();
    keeper.spawn({
        let (board, store) = (board.clone(), Arc::clone(&store));
        async move { board.keep(&*store).await }
    });
    let mut tasks = JoinSet::new();
    for (puller, schedule, _) in streams {
        let (gate, clock, stop, news) = (gate.clone(), Arc::clone(&clock), stop.clone(), news.clone());
        tasks.spawn(async move { schedule::stream(puller, schedule, (&gate, &*clock), stop, &news).await });
    }
    let (mut worked, mut failed, mut denied) = (0, 0, 0);
    let mut undelivered = false;
    let mut tidy = interval_at(Instant::now() + TIDY_EVERY, TIDY_EVERY);
    while !tasks.is_empty() {
        tokio::select! {
            _ = tidy.tick() => {
                // A store that fails is noticed, borne and reported by those who work with it.
                removed_outputs(&*store, &names, config.globals.outbox_max_bytes).await.ok();
            }
            Some(ended) = tasks.join_next() => match ended {
                Ok(Ok(whole)) => (worked, failed) = (worked + 1, failed + u32::from(!whole)),
                Ok(Err(PipelineError::Store(error))) => return Err(error.into()),
                Ok(Err(error)) if error.is_denied() => denied += 1,
                Ok(Err(_)) => failed += 1,
                Err(error) => {
                    telemetry::run::task_broken(&error);
                    failed += 1;
                }
            },
            // An output ends before it is told to only when it cannot go on; pulling for the others does.
            Some(ended) = shippers.join_next() => undelivered |= !shipped(ended)?,
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
        undelivered |= !shipped(ended)?;
    }
    keeper.shutdown().await;
    // The end itself does not depend on it.
    board.write(&*store).await.ok();
    Ok(match (stopped, worked, failed, denied) {
        (true, ..) => Ended::Done,
        (_, 0, 0, 1..) => Ended::Denied,
        (_, _, 0, 0) if !undelivered => Ended::Done,
        _ => Ended::Partly,
    })
}

/// An output attached to its streams. `names`: all outputs, which a frame must have passed before it goes.
async fn shipper(
    entry: &OutputEntry,
    mut streams: Vec<StreamKey>,
    (store, gate): (Arc<dyn Store>, Gate),
    owner: String,
    names: Vec<String>,
) -> Result<Shipper, RunError> {
    // Dead letters that were asked to be sent again come as a stream of their own.
    streams.push(replay_stream(&entry.name));
    let memory = store.output_memory(&entry.name).await?;
    let built = output::build(&entry.output, memory.as_deref()).map_err(|error| RunError::Setup(error.to_string()))?;
    let start = match &entry.from {
        From::Now => StartAt::Now,
        From::Oldest => StartAt::Oldest,
        From::Output(name) => StartAt::Output(name.clone()),
    };
    let shape = Shape { event_id: entry.event_id, max_event_bytes: entry.max_event_bytes };
    let (who, how) = ((entry.name.clone(), owner), (entry.output.waits(), shape));
    Ok(Shipper::attach((store, gate), built, who, (&streams, &start), names, how).await?)
}

/// Whether an output that has ended has delivered everything. Fails where the store is the reason.
fn shipped(ended: Result<(String, Result<(), ShipError>), JoinError>) -> Result<bool, RunError> {
    match ended {
        Ok((_, Ok(()))) => Ok(true),
        Ok((_, Err(ShipError::Store(error)))) => Err(error.into()),
        Ok((name, Err(error))) => {
            telemetry::ship::not_drained(&name, &error);
            Ok(false)
        }
        Err(error) => {
            telemetry::run::task_broken(&error);
            Ok(false)
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

/// Tells of outputs that were once configured, and lets go of those that have waited long enough.
async fn removed_outputs(store: &dyn Store, configured: &[String], max_bytes: u64) -> Result<(), StoreError> {
    // The store learns which ones are gone.
    store.collect(configured).await?;
    for gone in store.let_go(max_bytes).await? {
        telemetry::ship::let_go(&gone.name, gone.depth.events);
    }
    for output in store.outputs().await?.iter().filter(|output| output.removed_ms.is_some()) {
        telemetry::ship::removed(&output.name, output.depth.events, output.depth.bytes);
    }
    Ok(())
}
