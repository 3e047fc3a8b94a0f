//! Where one record is: what the store can tell about its way from the request that showed it to each output.

mod told;

pub use told::told;

use super::retry::PipelineError;
use super::source::Source;
use super::survey::{Only, set_aside, sources};
use crate::config::{Config, Emit};
use crate::pull::Machine;
use crate::record::{Identity, Position, StreamKey};
use crate::service::{Key, Pull};
use crate::status::{SetAside, moment};
use crate::store::{DeadLetter, Passing, Place, Seen, Store, StoreError, StreamState, Traced, replay_stream};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Versions of one id that are told, the newest ones.
const VERSIONS: u32 = 1_000;
/// Frames and letters read at once. Unit: octets.
const READ_BYTES: usize = 1 << 20;
/// What stands before an event's name in its line.
const EVENT_ID: &[u8] = br#""@event_id":""#;
/// Length of an event's name.
const EVENT_ID_LENGTH: usize = 32;

/// Everything that is known of an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The id.
    pub id: String,
    /// Its versions, the oldest first.
    pub versions: Vec<Version>,
    /// The entity of that id, in streams that read snapshots.
    pub entities: Vec<Entity>,
    /// What is set aside and concerns it; where nothing else is known, what may hold it.
    pub set_aside: Vec<Aside>,
    /// Where nothing is known: what has been read of each stream, so that the reason can be told.
    pub unseen: Vec<Unseen>,
}

/// One version of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// The stream that stored it.
    pub stream: String,
    /// Its own time. RFC 3339, UTC.
    pub time: String,
    /// When it was stored. RFC 3339, UTC.
    pub stored: String,
    /// Microsoft's id of the request that showed it.
    pub request_id: Option<String>,
    /// The batch in which it was shown to outputs.
    pub batch: Option<u64>,
    /// Names of its events; empty where only their number is known.
    pub event_ids: Vec<String>,
    /// How many they are.
    pub events: u64,
    /// What became of them.
    pub outputs: Vec<Fate>,
}

/// An entity of snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entity {
    /// The stream.
    pub stream: String,
    /// `@devo_pulling_id` of the newest snapshot.
    pub snapshot: Option<String>,
    /// Whether that one, or the one before it while it is not complete, has shown the entity.
    pub present: bool,
    /// Whether only changes leave, so that a snapshot need not have an event of it.
    pub only_changes: bool,
    /// Name of its event in that snapshot, where it can be told.
    pub event_id: Option<String>,
    /// What became of it; nothing where the event was not found and need not be there.
    pub outputs: Vec<Fate>,
}

/// What became of events at one output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// The output.
    pub output: String,
    /// How they ended there.
    pub state: End,
    /// Since when; unknown after 30 days. RFC 3339, UTC.
    pub at: Option<String>,
    /// How many events.
    pub events: u64,
    /// Why they were refused.
    pub reason: Option<String>,
}

/// How an event ended at an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The far side has confirmed it.
    Delivered,
    /// It is in the outbox.
    Waiting,
    /// It is a dead letter.
    DeadLetter,
    /// The output need not get everything, and jumped over it.
    Lost,
    /// The output began later.
    Before,
}

/// Something set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// The stream.
    pub stream: String,
    /// What, and why.
    #[serde(flatten)]
    pub what: SetAside,
}

/// What has been read of a stream that does not know an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// The stream.
    pub stream: String,
    /// Everything before it has been read. RFC 3339, UTC.
    pub read_up_to: Option<String>,
    /// Where its first pull began, as configured. RFC 3339, UTC.
    pub from: Option<String>,
    /// The filter that may exclude it.
    pub filter: Option<String>,
}

/// Everything that is known of an id.
///
/// # Errors
/// A store that cannot be read.
pub async fn explain(config: &Config, only: Only<'_>, store: &dyn Store, id: &str) -> Result<Explained, PipelineError> {
    let sources: Vec<Source> = sources(config).filter(|source| only.asks(source)).collect();
    let asked = |stream: &StreamKey| only.all() || sources.iter().any(|source| source.stream == *stream);
    let places = store.places().await?;
    let states: BTreeMap<StreamKey, StreamState> = store.streams().await?.into_iter().collect();
    let mut traces = store.history(id, VERSIONS).await?;
    traces.retain(|traced| asked(&traced.stream));
    traces.reverse();
    let mut versions = Vec::new();
    for traced in traces {
        versions.push(version(traced, store, &places).await?);
    }
    let mut entities = Vec::new();
    for (stream, seen) in store.sightings(id).await?.into_iter().filter(|(stream, _)| asked(stream)) {
        let source = sources.iter().find(|source| source.stream == stream);
        let known = (source, states.get(&stream));
        entities.push(entity(&stream, &seen, known, store, &places).await?);
    }
    let known = !versions.is_empty() || !entities.is_empty();
    let (mut aside, mut unseen) = (Vec::new(), Vec::new());
    for source in &sources {
        let state = states.get(&source.stream);
        let gaps = match state {
            Some(state) => source.standing(state).machine(state, false)?.gaps(),
            None => Vec::new(),
        };
        let concerns = gaps.into_iter().filter(|gap| gap.id.as_deref() == Some(id) || (gap.id.is_none() && !known));
        let stream = source.stream.to_string();
        aside.extend(concerns.map(|gap| Aside { stream: stream.clone(), what: set_aside(gap) }));
        if !known {
            unseen.push(Unseen {
                stream,
                read_up_to: state.and_then(|state| state.checkpoint_ms).map(moment),
                from: source.service.historical_ms.map(moment),
                filter: source.service.filter.clone(),
            });
        }
    }
    Ok(Explained { id: id.to_owned(), versions, entities, set_aside: aside, unseen })
}

/// A version, and where its events are.
async fn version(traced: Traced, store: &dyn Store, places: &[Place]) -> Result<Version, StoreError> {
    let Traced { stream, stored_ms, batch, trace } = traced;
    let mut ids = BTreeSet::new();
    let mut event_ids = Vec::new();
    if !trace.version.is_empty() {
        let identity = Identity::new(&stream.tenant, &stream.service, [&*trace.version]);
        event_ids = (0..trace.events).map(|index| identity.event_id(index).to_string()).collect();
        ids.extend(event_ids.iter().cloned());
    }
    let mut outputs = Vec::new();
    if let Some(batch) = batch {
        // Only what somebody has not passed is still there.
        let found = located(store, &stream, Some(batch), &ids).await?;
        for place in places.iter().filter(|place| place.stream == stream) {
            let unknown = Position { batch, frame: 0 };
            outputs.extend(fates(store, place, &ids, trace.events, (&found, Some(unknown))).await?);
        }
    }
    Ok(Version {
        stream: stream.to_string(),
        time: moment(trace.time_ms),
        stored: moment(stored_ms),
        request_id: Some(trace.request_id).filter(|request| !request.is_empty()),
        batch,
        event_ids,
        events: trace.events,
        outputs,
    })
}

/// An entity, and where its event of the newest snapshot is.
async fn entity(
    stream: &StreamKey,
    seen: &Seen,
    (source, state): (Option<&Source>, Option<&StreamState>),
    store: &dyn Store,
    places: &[Place],
) -> Result<Entity, PipelineError> {
    let machine: Option<Box<dyn Machine>> = match (source, state) {
        (Some(source), Some(state)) => Some(source.standing(state).machine(state, false)?),
        _ => None,
    };
    let newest = machine.and_then(|machine| machine.newest());
    // Until a snapshot is complete, what the one before it showed counts as present.
    let present =
        newest.is_none_or(|newest| seen.snapshot >= newest.number.saturating_sub(u64::from(!newest.complete)));
    let only_changes = source.is_some_and(|source| source.service.emit == Emit::Changes);
    let named = source.is_some_and(|source| {
        matches!(source.service.def.key, Key::Fields(_)) && matches!(source.pull, Pull::Snapshot { .. })
    });
    let shown = newest.filter(|newest| named && seen.snapshot == newest.number);
    let event_id = shown.map(|newest| {
        let parts = [&*newest.pulled_ms.to_string(), &*seen.id];
        Identity::new(&stream.tenant, &stream.service, parts).event_id(0).to_string()
    });
    let ids: BTreeSet<String> = event_id.iter().cloned().collect();
    let found = located(store, stream, None, &ids).await?;
    let mut outputs = Vec::new();
    let expected = !only_changes || !found.is_empty();
    if !ids.is_empty() && expected {
        for place in places.iter().filter(|place| place.stream == *stream) {
            outputs.extend(fates(store, place, &ids, 1, (&found, None)).await?);
        }
    }
    let snapshot = newest.map(|newest| newest.pulled_ms.to_string());
    Ok(Entity { stream: stream.to_string(), snapshot, present, only_changes, event_id, outputs })
}

/// Where events lie in the outbox: in one batch of a stream, or in all of them.
async fn located(
    store: &dyn Store,
    stream: &StreamKey,
    batch: Option<u64>,
    ids: &BTreeSet<String>,
) -> Result<BTreeMap<String, Position>, StoreError> {
    let mut found = BTreeMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut after = batch.map_or(Position::START, |batch| Position::after_batch(batch.saturating_sub(1)));
    loop {
        let frames = store.read(stream, after, READ_BYTES).await?;
        let Some(last) = frames.last() else { return Ok(found) };
        after = last.position;
        for frame in &frames {
            if batch.is_some_and(|batch| frame.position.batch > batch) {
                return Ok(found);
            }
            let lines = frame.body.split(|octet| *octet == b'\n').filter_map(event_id);
            found.extend(lines.filter(|id| ids.contains(*id)).map(|id| (id.to_owned(), frame.position)));
        }
    }
}

/// The name of the event in a line. It stands at the end, so what a record has of the same spelling comes before it.
fn event_id(line: &[u8]) -> Option<&str> {
    let start = line.windows(EVENT_ID.len()).rposition(|part| part == EVENT_ID)? + EVENT_ID.len();
    std::str::from_utf8(line.get(start..start + EVENT_ID_LENGTH)?).ok()
}

/// What became of events at an output: one row for each way in which some ended. `found`: those that still lie in the outbox, and
/// where the others lay; `None`: nobody knows.
async fn fates(
    store: &dyn Store,
    place: &Place,
    ids: &BTreeSet<String>,
    events: u64,
    (found, unknown): (&BTreeMap<String, Position>, Option<Position>),
) -> Result<Vec<Fate>, StoreError> {
    let (output, stream) = (&place.output, &place.stream);
    let mut fates: Vec<Fate> = Vec::new();
    let mut add = |state: End, at: Option<i64>, events: u64, reason: Option<String>| {
        if events == 0 {
            return;
        }
        let at = at.map(moment);
        match fates.iter_mut().find(|fate| (fate.state, &fate.at, &fate.reason) == (state, &at, &reason)) {
            Some(fate) => fate.events += events,
            None => fates.push(Fate { output: output.clone(), state, at, events, reason }),
        }
    };
    let mut left: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    for letter in letters(store, output, ids).await? {
        if event_id(&letter.record).is_some_and(|id| left.remove(id)) {
            add(End::DeadLetter, Some(letter.refused_ms), 1, Some(letter.reason));
        }
    }
    // A letter that is on its way again lies in a stream of its own.
    for (id, _) in located(store, &replay_stream(output), None, ids).await? {
        if left.remove(&*id) {
            add(End::Waiting, None, 1, None);
        }
    }
    let mut passed: BTreeMap<Option<Position>, u64> = BTreeMap::new();
    for id in &left {
        match found.get(*id) {
            Some(position) if *position > place.position => add(End::Waiting, None, 1, None),
            Some(position) => *passed.entry(Some(*position)).or_default() += 1,
            None => *passed.entry(unknown).or_default() += 1,
        }
    }
    if ids.is_empty() {
        // An older trace: the batch is all that is known of its events.
        match unknown {
            Some(position) if position > place.position => add(End::Waiting, None, events, None),
            _ => *passed.entry(unknown).or_default() += events,
        }
    }
    for (position, events) in passed {
        let passage = match position {
            Some(position) => store.passage(output, stream, position).await?,
            None => None,
        };
        let state = match passage.map(|passage| passage.how) {
            None | Some(Passing::Delivered) => End::Delivered,
            Some(Passing::Jumped) => End::Lost,
            Some(Passing::Began) => End::Before,
        };
        add(state, passage.map(|passage| passage.passed_ms), events, None);
    }
    fates.sort_by_key(|fate| fate.state);
    Ok(fates)
}

/// An output's dead letters among these events.
async fn letters(store: &dyn Store, output: &str, ids: &BTreeSet<String>) -> Result<Vec<DeadLetter>, StoreError> {
    let (mut found, mut after) = (Vec::new(), 0);
    if ids.is_empty() {
        return Ok(found);
    }
    loop {
        let letters = store.dead_letters(output, after, READ_BYTES).await?;
        let Some(last) = letters.last() else { return Ok(found) };
        after = last.id;
        found.extend(letters.into_iter().filter(|letter| event_id(&letter.record).is_some_and(|id| ids.contains(id))));
    }
}
