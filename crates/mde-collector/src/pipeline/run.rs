//! The main job: every stream pulled, every output shipped to, an orderly end.

use super::clock::Clock;
use super::drive::Puller;
use super::retry::{PipelineError, pause};
use super::ship::{Order, ShipError, Shipper};
use crate::config::{Config, From, Input, OutputConfig, Proof};
use crate::output;
use crate::record::ErrorClass;
use crate::store::{StartAt, Store, StoreError};
use mde_client::auth::{ClientSecret, Secret, SecretSource, TokenEndpoint, Tokens};
use mde_client::budget::{InMemoryBudget, Window};
use mde_client::{Client, Error, ReqwestTransport, TransportConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

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

/// Runs until everything was pulled once, or until `stop` is set.
///
/// # Errors
/// A store that cannot be used, or a configuration that cannot be set up.
pub async fn run(
    config: &Config,
    options: &Options,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) -> Result<Ended, RunError> {
    let owner = format!("node-{:016x}", rand::random::<u64>());
    let mut pullers = Vec::new();
    for input in &config.inputs {
        if !options.tenants.is_empty() && !options.tenants.contains(&input.name) {
            continue;
        }
        let (client, budget) = client(input)?;
        for service in &input.services {
            if !options.services.is_empty() && !options.services.iter().any(|name| name == service.def.name) {
                continue;
            }
            let limits: Vec<Window> = service.limits.iter().map(window).collect();
            let client = match limits.is_empty() {
                true => client.clone(),
                false => client.clone().with_budget(Arc::new(budget.with_limits(limits))),
            };
            let puller = Puller::new(Arc::clone(&store), client, Arc::clone(&clock), owner.clone(), input, service);
            pullers.push((puller, service.period, input.outputs.clone()));
        }
    }
    let (order, orders) = watch::channel(Order::Run);
    let (news, newest) = watch::channel(0_u64);
    let names: Vec<String> = config.outputs.iter().map(|entry| entry.name.clone()).collect();
    let mut shippers = JoinSet::new();
    for entry in &config.outputs {
        let streams: Vec<_> = pullers
            .iter()
            .filter(|(_, _, outputs)| outputs.is_empty() || outputs.contains(&entry.name))
            .map(|(puller, ..)| puller.stream().clone())
            .collect();
        let memory = store.output_memory(&entry.name).await?;
        let built =
            output::build(&entry.output, memory.as_deref()).map_err(|error| RunError::Setup(error.to_string()))?;
        let start = match &entry.from {
            From::Now => StartAt::Now,
            From::Oldest => StartAt::Oldest,
            From::Output(name) => StartAt::Output(name.clone()),
        };
        let waits = match &entry.output {
            OutputConfig::Devo(devo) => (devo.initial_wait, devo.max_wait),
            _ => (Duration::from_secs(1), Duration::from_secs(60)),
        };
        let who = (entry.name.clone(), owner.clone());
        let shipper = Shipper::attach(Arc::clone(&store), built, who, (&streams, &start), names.clone(), waits).await?;
        let (orders, newest, name) = (orders.clone(), newest.clone(), entry.name.clone());
        shippers.spawn(async move { (name, shipper.run(orders, newest).await) });
    }
    let max_bytes = config.globals.outbox_max_bytes;
    let mut tasks = JoinSet::new();
    for (puller, period, _) in pullers {
        let (store, stop, news) = (Arc::clone(&store), stop.clone(), news.clone());
        let once = options.once;
        tasks.spawn(async move { stream(puller, &*store, period, max_bytes, once, stop, &news).await });
    }
    let (mut worked, mut failed, mut denied) = (0, 0, 0);
    let mut undelivered = false;
    while !tasks.is_empty() {
        tokio::select! {
            Some(ended) = tasks.join_next() => match ended {
                Ok(Ok(())) => worked += 1,
                Ok(Err(PipelineError::Store(error))) => return Err(error.into()),
                Ok(Err(error)) if error.is_denied() => denied += 1,
                Ok(Err(_)) | Err(_) => failed += 1,
            },
            // An output ends before it is told to only when it cannot go on; pulling for the others does.
            Some(ended) = shippers.join_next() => undelivered |= !shipped(ended)?,
        }
    }
    let stopped = *stop.borrow_and_update();
    let within = if stopped { options.stop_timeout } else { options.drain_timeout };
    order.send_replace(Order::Drain(Instant::now() + within));
    while let Some(ended) = shippers.join_next().await {
        undelivered |= !shipped(ended)?;
    }
    store.close().await?;
    Ok(match (stopped, worked, failed, denied) {
        (true, ..) => Ended::Done,
        (_, 0, 0, 1..) => Ended::Denied,
        (_, _, 0, 0) if !undelivered => Ended::Done,
        _ => Ended::Partly,
    })
}

/// Whether an output that has ended has delivered everything. Fails where the store is the reason.
fn shipped(ended: Result<(String, Result<(), ShipError>), JoinError>) -> Result<bool, RunError> {
    match ended {
        Ok((_, Ok(()))) => Ok(true),
        Ok((_, Err(ShipError::Store(error)))) => Err(error.into()),
        Ok((name, Err(error))) => {
            tracing::warn!(output = %name, %error, "the output was not drained; the rest stays in the outbox");
            Ok(false)
        }
        Err(_) => Ok(false),
    }
}

/// One stream: pull, wait for the period, pull.
async fn stream(
    mut puller: Puller,
    store: &dyn Store,
    period: Duration,
    max_bytes: u64,
    once: bool,
    mut stop: watch::Receiver<bool>,
    news: &watch::Sender<u64>,
) -> Result<(), PipelineError> {
    let mut failures = 0;
    let mut paused = false;
    loop {
        let started = Instant::now();
        let bytes = store.bytes().await?;
        if bytes >= max_bytes {
            if !paused {
                tracing::warn!(stream = %puller.stream(), bytes, max_bytes, "the outbox is full: pulling pauses until outputs catch up");
            }
            paused = true;
            tokio::select! { _ = stop.changed() => return Ok(()), () = tokio::time::sleep(Duration::from_secs(1)) => continue }
        }
        paused = false;
        let pulled = tokio::select! {
            pulled = puller.pull() => pulled,
            _ = stop.changed() => return Ok(()),
        };
        news.send_modify(|count| *count += 1);
        let wait = match pulled {
            Ok(report) => {
                failures = 0;
                tracing::info!(stream = %puller.stream(), requests = report.requests, rows = report.rows, events = report.events,
                    repeated = report.repeated, elapsed_ms = started.elapsed().as_millis() as u64, "pull finished");
                if once {
                    return Ok(());
                }
                period.saturating_sub(started.elapsed())
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(stream = %puller.stream(), %error, advice = error.advice(), "pull ended early; the window is kept");
                if once || error.class() == ErrorClass::Fatal {
                    return Err(error);
                }
                pause(&error, failures)
            }
        };
        tokio::select! { _ = stop.changed() => return Ok(()), () = tokio::time::sleep(wait) => {} }
    }
}

fn window(limit: &crate::config::CallLimit) -> Window {
    Window { period: limit.period, limit: u32::try_from(limit.calls).unwrap_or(u32::MAX) }
}

/// The client of one tenant, with its own budget.
fn client(input: &Input) -> Result<(Client, InMemoryBudget), RunError> {
    let setup = |what: &dyn std::fmt::Display| RunError::Setup(format!("set up input {}: {what}", input.name));
    let mut ca_pem = Vec::new();
    if let Some(path) = &input.ca_file {
        ca_pem.push(std::fs::read(path).map_err(|error| setup(&format!("ca_file {}: {error}", path.display())))?);
    }
    // The cause is dropped: it may quote the address with its password.
    let proxy = input.proxy.as_ref().map(|proxy| url::Url::parse(proxy.expose())).transpose();
    let proxy = proxy.map_err(|_| setup(&"proxy: it is no address"))?;
    let api = |error: Error| setup(&error);
    let transport =
        Arc::new(ReqwestTransport::new(&TransportConfig { ca_pem, proxy, ..TransportConfig::default() }).map_err(api)?);
    let credentials = &input.credentials;
    let secret = match &credentials.proof {
        Proof::Secret(secret) => SecretSource::Fixed(Secret::new(secret.expose())),
        Proof::SecretFile(path) => SecretSource::file(path),
    };
    let identity = ClientSecret {
        endpoint: TokenEndpoint::new(&input.endpoints.token, &credentials.tenant_id).map_err(api)?,
        client_id: credentials.client_id.clone(),
        secret,
        scope: input.endpoints.scope.clone(),
    };
    let tokens = Arc::new(Tokens::new(identity, Arc::<ReqwestTransport>::clone(&transport)));
    let budget = InMemoryBudget::new(input.quota_share, input.limits.iter().map(window).collect());
    let client = Client::new(input.endpoints.api.clone(), transport, tokens, Arc::new(budget.clone())).map_err(api)?;
    Ok((client, budget))
}
