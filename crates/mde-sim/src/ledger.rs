//! What was asked and what was handed over: the oracle of end-to-end tests.
//!
//! Memory is bounded but for the set of versions, which grows with the world: of requests the newest are kept, totals cover all.

use crate::clock::SimClock;
use crate::kind::{RequestKind, Service};
use crate::quota::Family;
use crate::world::VersionKey;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Requests that are kept one by one.
const KEPT_REQUESTS: usize = 65_536;

/// Rows of an answer, as the books count them.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
    /// Versions of alerts or incidents.
    Versions(Listing, Vec<VersionKey>),
    /// Entities of another service, each by [`mark`].
    Entities(Service, Vec<u64>),
    /// So many rows that are not entities of a service: of related lists and exports.
    Other(u64),
}

/// A list whose rows are known by their versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// Alerts of the classic API.
    Alerts,
    /// Alerts of Microsoft Graph.
    GraphAlerts,
    /// Incidents of Microsoft Graph. What a version's `evidence` counts is alerts.
    Incidents,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not all of it is handed over yet.
    Open,
    /// All of it was handed to the connection.
    Whole,
    /// It broke off: by a fault, or because the other side left.
    Cut,
    /// The request was carried out and counted, but the connection was dropped before the answer.
    Lost,
}

/// One request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Counted from 0.
    pub number: u64,
    /// When it arrived, by the simulated servers' clock.
    pub at: Timestamp,
    /// What it was about.
    pub kind: RequestKind,
    /// Its path.
    pub path: String,
    /// Its raw query.
    pub query: String,
    /// Status of the answer; none as long as there is no answer.
    pub status: Option<u16>,
    /// Rows handed over, whether or not the answer went out whole.
    pub rows: u64,
    /// What became of the answer.
    pub outcome: Outcome,
}

/// The most calls that arrived in any sliding window, refused ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// In 60 s.
    pub minute: usize,
    /// In 3,600 s.
    pub hour: usize,
}

/// The books; clones are the same books.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

/// What clones share.
struct Shared {
    /// Dates requests.
    clock: SimClock,
    /// The entries.
    state: Mutex<State>,
    /// Told at each change.
    changed: Notify,
}

/// The entries.
#[derive(Default)]
struct State {
    /// The newest requests.
    requests: VecDeque<Request>,
    /// Requests by kind.
    counts: BTreeMap<RequestKind, u64>,
    /// Requests by family.
    family_counts: BTreeMap<Family, u64>,
    /// Rows handed over.
    rows: u64,
    /// The same by service; rows of related lists and exports belong to none.
    service_rows: BTreeMap<Service, u64>,
    /// Entities in whole answers by their marks, and how often each was in one. Alerts are among the versions.
    entities: BTreeMap<(Service, u64), u64>,
    /// Answers of 429 that the quota, not a script, gave.
    throttled: u64,
    /// Versions in whole answers, and how often each was in one.
    versions: BTreeMap<Listing, BTreeMap<VersionKey, u64>>,
    /// Arrivals in the last hour, and the peak so far. Unit: the clock's elapsed time.
    arrivals: BTreeMap<Family, (VecDeque<Duration>, Peak)>,
}

/// The ledger in one JSON document.
#[derive(Serialize)]
pub(crate) struct Summary {
    requests: BTreeMap<RequestKind, u64>,
    families: BTreeMap<&'static str, u64>,
    rows_served: u64,
    rows_by_service: BTreeMap<Service, u64>,
    entities: BTreeMap<Service, usize>,
    throttled: u64,
    peaks: BTreeMap<&'static str, Peak>,
    distinct_versions: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<CountedVersion>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graph_versions: Option<Vec<CountedVersion>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident_versions: Option<Vec<CountedVersion>>,
}

/// A version and how often a whole answer had it.
#[derive(Serialize)]
struct CountedVersion {
    #[serde(flatten)]
    version: VersionKey,
    times: u64,
}

impl Ledger {
    /// Empty books.
    pub(crate) fn new(clock: SimClock) -> Self {
        Self(Arc::new(Shared { clock, state: Mutex::default(), changed: Notify::new() }))
    }

    /// The newest requests (up to 65,536), oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.iter().cloned().collect()
    }

    /// Requests of a kind so far; `None`: of all kinds.
    pub fn request_count(&self, kind: impl Into<Option<RequestKind>>) -> u64 {
        let state = self.state();
        match kind.into() {
            Some(kind) => state.counts.get(&kind).copied().unwrap_or_default(),
            None => state.counts.values().sum(),
        }
    }

    /// Calls of a family so far, refused ones included.
    pub fn family_count(&self, family: Family) -> u64 {
        self.state().family_counts.get(&family).copied().unwrap_or_default()
    }

    /// Rows handed over so far, those of answers that broke off later included.
    pub fn rows_served(&self) -> u64 {
        self.state().rows
    }

    /// Versions in answers of the classic alert list that went out whole, and how often each was in one.
    pub fn versions_served(&self) -> BTreeMap<VersionKey, u64> {
        self.versions_served_by(Listing::Alerts)
    }

    /// The same of any list.
    pub fn versions_served_by(&self, listing: Listing) -> BTreeMap<VersionKey, u64> {
        self.state().versions.get(&listing).cloned().unwrap_or_default()
    }

    /// Rows of one service's own list or queries handed over so far.
    pub fn rows_served_of(&self, service: Service) -> u64 {
        self.state().service_rows.get(&service).copied().unwrap_or_default()
    }

    /// Different entities of a service in answers of either API that went out whole. Hunting rows that are equal count once.
    pub fn entities_served(&self, service: Service) -> usize {
        let state = self.state();
        match service {
            Service::Alerts | Service::Incidents => {
                state.versions_of(service).map(|(version, _)| &version.id).collect::<BTreeSet<_>>().len()
            }
            _ => state.entities.range((service, 0)..=(service, u64::MAX)).count(),
        }
    }

    /// How often whole answers of a service's own list or queries had this entity, on either API; a hunting row is named by its
    /// JSON.
    pub fn times_served(&self, service: Service, id: &str) -> u64 {
        let state = self.state();
        match service {
            Service::Alerts | Service::Incidents => {
                state.versions_of(service).filter(|(version, _)| version.id == id).map(|(_, times)| times).sum()
            }
            _ => state.entities.get(&(service, mark(id.as_bytes()))).copied().unwrap_or_default(),
        }
    }

    /// Calls that the quota refused with 429. Scripted ones do not count: the caller is not at fault.
    pub fn throttled(&self) -> u64 {
        self.state().throttled
    }

    /// The most calls of a family in any sliding minute and hour.
    pub fn peak(&self, family: Family) -> Peak {
        self.state().arrivals.get(&family).map(|(_, peak)| *peak).unwrap_or_default()
    }

    /// Waits until so many rows were handed over.
    pub async fn wait_rows_served(&self, rows: u64) {
        self.wait_until(|ledger| ledger.rows_served() >= rows).await;
    }

    /// Waits until so many rows of a service's own list or queries were handed over.
    pub async fn wait_rows_served_of(&self, service: Service, rows: u64) {
        self.wait_until(|ledger| ledger.rows_served_of(service) >= rows).await;
    }

    /// Waits until so many requests of a kind (`None`: of any) have come.
    pub async fn wait_requests(&self, kind: impl Into<Option<RequestKind>>, requests: u64) {
        let kind = kind.into();
        self.wait_until(|ledger| ledger.request_count(kind) >= requests).await;
    }

    /// Waits until the books show what is looked for. They are looked at after each entry, never by the clock.
    pub async fn wait_until(&self, shows: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // Enabled before the look, so that a change between look and wait is not missed.
            changed.as_mut().enable();
            if shows(self) {
                return;
            }
            changed.await;
        }
    }

    /// The books as one document; the versions, which may be many, when asked for.
    pub(crate) fn summary(&self, with_versions: bool) -> Summary {
        let state = self.state();
        let served = |listing: Listing| state.versions.get(&listing).into_iter().flatten();
        let counted = |listing: Listing| {
            let versions = served(listing);
            versions.map(|(version, times)| CountedVersion { version: version.clone(), times: *times }).collect()
        };
        Summary {
            requests: state.counts.clone(),
            families: state.family_counts.iter().map(|(family, count)| (family.name(), *count)).collect(),
            rows_served: state.rows,
            rows_by_service: state.service_rows.clone(),
            entities: Service::ALL
                .into_iter()
                .map(|service| (service, state.entities.range((service, 0)..=(service, u64::MAX)).count()))
                .filter(|(_, count)| *count > 0)
                .collect(),
            throttled: state.throttled,
            peaks: state.arrivals.iter().map(|(family, (_, peak))| (family.name(), *peak)).collect(),
            distinct_versions: served(Listing::Alerts).count(),
            versions: with_versions.then(|| counted(Listing::Alerts)),
            graph_versions: with_versions.then(|| counted(Listing::GraphAlerts)),
            incident_versions: with_versions.then(|| counted(Listing::Incidents)),
        }
    }

    /// Enters a request as it arrives.
    pub(crate) fn open(&self, kind: RequestKind, family: Option<Family>, path: &str, query: &str) -> Entry {
        let (at, elapsed) = (self.0.clock.now(), self.0.clock.elapsed());
        let mut state = self.state();
        let number = state.counts.values().sum();
        *state.counts.entry(kind).or_default() += 1;
        if state.requests.len() == KEPT_REQUESTS {
            state.requests.pop_front();
        }
        let (path, query) = (path.to_owned(), query.to_owned());
        state.requests.push_back(Request {
            number,
            at,
            kind,
            path,
            query,
            status: None,
            rows: 0,
            outcome: Outcome::Open,
        });
        if let Some(family) = family {
            *state.family_counts.entry(family).or_default() += 1;
            let (arrivals, peak) = state.arrivals.entry(family).or_default();
            arrivals.push_back(elapsed);
            while arrivals.front().is_some_and(|arrival| *arrival + Duration::from_secs(3_600) <= elapsed) {
                arrivals.pop_front();
            }
            let last_minute =
                arrivals.len() - arrivals.partition_point(|arrival| *arrival + Duration::from_secs(60) <= elapsed);
            *peak = Peak { minute: peak.minute.max(last_minute), hour: peak.hour.max(arrivals.len()) };
        }
        drop(state);
        self.0.changed.notify_waiters();
        Entry { ledger: self.clone(), number, held: Vec::new(), closed: false }
    }

    /// Enters a refusal by the quota.
    pub(crate) fn count_throttled(&self) {
        self.state().throttled += 1;
    }

    /// Changes a request that is still kept.
    fn change(&self, number: u64, change: impl FnOnce(&mut State, Option<usize>)) {
        let mut state = self.state();
        let place = state.requests.front().and_then(|first| usize::try_from(number.checked_sub(first.number)?).ok());
        change(&mut state, place);
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// The entries, also after a panic elsewhere: each is complete by itself.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of a request under way. Dropped before it is closed: the other side left, the answer is cut.
pub(crate) struct Entry {
    /// The books.
    ledger: Ledger,
    /// Number of the request.
    number: u64,
    /// Rows handed over so far.
    held: Vec<Rows>,
    /// Whether the outcome is written down.
    closed: bool,
}

impl Entry {
    /// The request's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Writes down the status of the answer.
    pub(crate) fn answered(&self, status: u16) {
        self.ledger.change(self.number, |state, place| {
            if let Some(place) = place {
                state.requests[place].status = Some(status);
            }
        });
    }

    /// Writes down rows as they are handed over.
    pub(crate) fn handed_over(&mut self, rows: Rows) {
        let count = rows.count();
        if count == 0 {
            return;
        }
        let service = rows.service();
        self.held.push(rows);
        self.ledger.change(self.number, |state, place| {
            state.rows += count;
            if let Some(service) = service {
                *state.service_rows.entry(service).or_default() += count;
            }
            if let Some(place) = place {
                state.requests[place].rows += count;
            }
        });
    }

    /// Writes down what became of the answer.
    pub(crate) fn close(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let held = std::mem::take(&mut self.held);
        self.ledger.change(self.number, |state, place| {
            if let Some(place) = place {
                state.requests[place].outcome = outcome;
            }
            if outcome == Outcome::Whole {
                held.into_iter().for_each(|rows| state.enter(rows));
            }
        });
    }
}

impl State {
    /// Enters rows of an answer that went out whole.
    fn enter(&mut self, rows: Rows) {
        match rows {
            Rows::Versions(listing, versions) => {
                let known = self.versions.entry(listing).or_default();
                for version in versions {
                    *known.entry(version).or_default() += 1;
                }
            }
            Rows::Entities(service, marks) => {
                for mark in marks {
                    *self.entities.entry((service, mark)).or_default() += 1;
                }
            }
            Rows::Other(_) => {}
        }
    }

    /// Versions in whole answers of a service's lists.
    fn versions_of(&self, service: Service) -> impl Iterator<Item = (&VersionKey, &u64)> {
        self.versions.iter().filter(move |(listing, _)| listing.service() == service).flat_map(|(_, versions)| versions)
    }
}

impl Listing {
    /// Whose list it is.
    fn service(self) -> Service {
        match self {
            Self::Alerts | Self::GraphAlerts => Service::Alerts,
            Self::Incidents => Service::Incidents,
        }
    }
}

impl Rows {
    /// How many they are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Versions(_, versions) => versions.len() as u64,
            Self::Entities(_, marks) => marks.len() as u64,
            Self::Other(count) => *count,
        }
    }

    /// Whose they are.
    fn service(&self) -> Option<Service> {
        match self {
            Self::Versions(listing, _) => Some(listing.service()),
            Self::Entities(service, _) => Some(*service),
            Self::Other(_) => None,
        }
    }
}

/// A short name for an entity's id or a row's text: the books of 100,000 machines stay small.
pub(crate) fn mark(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.close(Outcome::Cut);
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Ledger({} requests, {} rows)", self.request_count(None), self.rows_served())
    }
}

#[cfg(test)]
mod tests;
