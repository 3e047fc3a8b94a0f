//! How everything stands, from configuration, store and notes: read only, beside whoever works.

use super::run::asked;
use super::source::Source;
use super::standing::Standing;
use crate::config::Config;
use crate::pull::Gap;
use crate::quota::{QuotaError, Quotas};
use crate::record::StreamKey;
use crate::service::{self, Api};
use crate::status::{
    Notes, OutboxStatus, OutputFacts, QuotaStatus, SetAside, SnapshotStatus, Status, StreamFacts, WindowStatus, moment,
    output, stream,
};
use crate::store::{OutputState, Place, Store, StoreError, StreamState};
use mde_client::budget::WindowUse;
use std::collections::BTreeMap;

/// Which streams are asked for; an empty list asks for all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Only<'a> {
    /// Canonical names of services.
    pub services: &'a [String],
    /// Names of inputs.
    pub tenants: &'a [String],
}

impl Only<'_> {
    /// Whether nothing is left out.
    pub(super) const fn all(&self) -> bool {
        self.services.is_empty() && self.tenants.is_empty()
    }

    /// Whether this stream is asked for.
    pub(super) fn asks(&self, source: &Source) -> bool {
        asked(self.services, &source.stream.service) && asked(self.tenants, &source.input)
    }
}

/// Everything that there is to tell. `notes`: those of this process, or the ones that the store keeps.
///
/// # Errors
/// A store that cannot be read.
pub async fn survey(
    config: &Config,
    only: Only<'_>,
    store: &dyn Store,
    notes: &Notes,
    quota: Vec<QuotaStatus>,
    now_ms: i64,
) -> Result<Status, StoreError> {
    let at_work = store.at_work().await?;
    let known: BTreeMap<StreamKey, StreamState> = store.streams().await?.into_iter().collect();
    let all: Vec<Source> = sources(config).collect();
    let mut streams = Vec::new();
    for source in all.iter().filter(|source| only.asks(source)) {
        let facts = facts(source, known.get(&source.stream), store).await?;
        streams.push(stream(facts, notes, at_work, now_ms));
    }
    for (key, state) in &known {
        if only.all() && all.iter().all(|source| source.stream != *key) {
            streams.push(stream(left_over(key, state), notes, at_work, now_ms));
        }
    }
    let (states, places) = (store.outputs().await?, store.places().await?);
    Ok(Status {
        streams,
        outputs: outputs(config, &states, &places, |facts| output(&facts, notes, at_work, now_ms)),
        quota,
        outbox: OutboxStatus { bytes: store.live_bytes().await?, max_bytes: config.globals.outbox_max_bytes },
    })
}

/// Every stream of the configuration.
pub(super) fn sources(config: &Config) -> impl Iterator<Item = Source> {
    let services = config.inputs.iter().flat_map(|input| input.services.iter().map(move |service| (input, service)));
    services.flat_map(|(input, service)| Source::of(input, service))
}

/// What the store knows of a stream, in the words of its machine.
async fn facts(source: &Source, state: Option<&StreamState>, store: &dyn Store) -> Result<StreamFacts, StoreError> {
    let source = &state.map_or_else(|| source.clone(), |state| source.standing(state));
    let mut facts = StreamFacts {
        stream: source.stream.clone(),
        tenant: source.input.clone(),
        backend: source.api().name(),
        period: Some(source.period),
        checkpoint_ms: state.and_then(|state| state.checkpoint_ms),
        snapshot: None,
        drift: false,
        set_aside: Vec::new(),
        counts: Vec::new(),
        error: None,
    };
    let Some(state) = state else { return Ok(facts) };
    let machine = match source.machine(state, false) {
        Ok(machine) => machine,
        Err(error) => return Ok(StreamFacts { error: Some(error.to_string()), ..facts }),
    };
    if !source.service.counts.is_empty() {
        // In the order of the table; one that was asked for once and is not any more says nothing.
        let mut states = store.count_states(&source.stream).await?;
        for count in &source.service.counts {
            if let Some(place) = states.iter().position(|state| state.kind.name == count.field) {
                facts.counts.push(states.swap_remove(place));
            }
        }
    }
    facts.set_aside = machine.gaps().into_iter().map(set_aside).collect();
    if let Some(newest) = machine.newest() {
        let (absent, all) = store.count_absent(&source.stream, newest.number).await?;
        let (id, count) = (newest.pulled_ms.to_string(), all.saturating_sub(absent));
        facts.snapshot = Some(SnapshotStatus { id, complete: newest.complete, count });
        facts.drift = newest.drift;
    }
    Ok(facts)
}

/// What is left of a stream that is no longer configured.
fn left_over(key: &StreamKey, state: &StreamState) -> StreamFacts {
    let own = service::find(&key.service).map_or(Api::Mde, |def| def.endpoint.api);
    StreamFacts {
        stream: key.clone(),
        tenant: key.tenant.clone(),
        backend: Standing::read(&state.memory, own).api.name(),
        period: None,
        checkpoint_ms: state.checkpoint_ms,
        snapshot: None,
        drift: false,
        set_aside: Vec::new(),
        counts: Vec::new(),
        error: None,
    }
}

/// A gap as it is told.
pub(super) fn set_aside(gap: Gap) -> SetAside {
    SetAside { from: moment(gap.from_ms), to: moment(gap.to_ms), id: gap.id, reason: gap.reason }
}

/// A row for each output: those of the configuration, then those that were once in it.
fn outputs<'a, T>(
    config: &'a Config,
    states: &'a [OutputState],
    places: &'a [Place],
    row: impl Fn(OutputFacts<'a>) -> T,
) -> Vec<T> {
    let configured = config.outputs.iter().map(|entry| entry.name.as_str());
    let gone = states.iter().map(|state| state.name.as_str());
    let gone = gone.filter(|name| config.outputs.iter().all(|entry| entry.name != *name));
    let state_of = |name: &str| states.iter().find(|state| state.name == name);
    configured.chain(gone).map(|name| row(OutputFacts { name, state: state_of(name), places })).collect()
}

/// How full the budgets are, this process's and whatever others beside the same state have written down; those that nobody
/// has spent from are left out.
pub async fn quota(config: &Config, quotas: &Quotas) -> Result<Vec<QuotaStatus>, QuotaError> {
    let mut all = Vec::new();
    for input in &config.inputs {
        for bucket in quotas.of(input).current().await? {
            let (Some(family), [minute, hour, ..]) = (bucket.family, &bucket.windows[..]) else { continue };
            if hour.used > 0 {
                let status = |window: &WindowUse| WindowStatus {
                    used: window.used.into(),
                    limit: window.limit.into(),
                    free_s: window.free_in.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX),
                };
                let (tenant, family) = (input.name.clone(), family.name().to_owned());
                all.push(QuotaStatus { tenant, family, minute: status(minute), hour: status(hour) });
            }
        }
    }
    Ok(all)
}
