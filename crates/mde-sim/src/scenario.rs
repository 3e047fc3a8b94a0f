//! Faults by script. First in, first out: a request takes the first scripted fault that fits its kind, else the first standing one.

use crate::kind::RequestKind;
use crate::world::World;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong with a request or its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: lets one request pass, so that a fault behind it meets a later one.
    Pass,
    /// 429, outside the quota's own counting.
    Throttle {
        /// Where the wait is told.
        told: RetryAfter,
        /// The wait. Unit: seconds.
        seconds: u64,
    },
    /// A status with a body of an error, for example 500, 502, 503, 504.
    Status {
        /// HTTP status.
        status: u16,
        /// What stands in the body.
        body: ErrorBody,
    },
    /// 401 as for an expired token.
    Unauthorized,
    /// 401 as for a missing licence: renewing the token does not help.
    NoLicence,
    /// 403 as for a missing role.
    Forbidden,
    /// A page of HTML with status 200, as a captive portal or a gateway gives.
    Html,
    /// The token endpoint refuses with this error.
    TokenRefused {
        /// HTTP status.
        status: u16,
        /// Value of `error`, for example `temporarily_unavailable`.
        error: String,
        /// AADSTS number.
        code: u32,
    },
    /// The body ends early.
    Cut {
        /// Octets of the body, as sent, that still arrive.
        after: u64,
        /// How it ends.
        end: CutEnd,
    },
    /// The body trickles.
    Slow {
        /// Octets at a time.
        bytes: usize,
        /// Pause before each part. Unit: milliseconds.
        pause_ms: u64,
    },
    /// No answer ever comes; the connection stays open.
    Hang,
    /// The connection is reset (RST).
    Reset {
        /// Octets of the body that are sent before; `None`: before any answer, and before the request is carried out.
        after: Option<u64>,
    },
    /// The request is carried out and counted, then the connection is closed without an answer.
    Lost,
    /// The page links to itself: following links never ends.
    RepeatLink,
    /// The page links to another host.
    ForeignLink {
        /// Scheme and host, for example `https://evil.example`.
        base: String,
    },
    /// The page's link has lost the filter.
    LinkWithoutFilter,
    /// No rows, and a link to the page that should have come.
    EmptyPage,
    /// The filter is ignored: rows outside the window come too.
    FilterIgnored,
    /// At most so many rows come without `$top`, and no link tells of the rest.
    HiddenRows {
        /// Rows that come.
        after: usize,
    },
    /// One page of a list is a 500, the others are not.
    FailedPage {
        /// Which page, counted from 1, in pages of the size that the request asks for or gets.
        page: usize,
    },
    /// The last rows of a page come again in front of the next one.
    RepeatedRows {
        /// How many.
        rows: usize,
    },
    /// A request that follows a link, told by a place in the list without `$top`, is a 400.
    LinkRefused,
    /// The list has another order with each walk; a walk begins where nothing is skipped.
    Reordered,
    /// A list is a 206: one of the providers behind Microsoft Graph failed, and its rows, every second one, are missing.
    Partial {
        /// The provider's status, for example 403 or 504.
        status: u16,
        /// How long it took. Unit: milliseconds.
        ms: u64,
    },
    /// A hunting query is a 429: computing time is used up.
    ComputeExhausted {
        /// The wait. Unit: seconds.
        seconds: u64,
    },
    /// A hunting query is a 400: its result is too large.
    ResultTooLarge,
}

/// Where a 429 tells the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// `Retry-After` with seconds, and the text.
    Seconds,
    /// `Retry-After` with a date, and a text without the wait.
    HttpDate,
    /// Only the text.
    Text,
    /// Nowhere.
    Nowhere,
}

/// Body of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// The documented JSON.
    Json,
    /// The documented JSON with an empty message.
    NoMessage,
    /// A gateway's page.
    Html,
    /// Nothing.
    Empty,
}

/// How a body ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutEnd {
    /// `Content-Length` promised more; the connection is closed.
    ContentLength,
    /// A chunked body without its last chunk; the connection is closed.
    Chunked,
    /// The transfer ends as if it were whole: only the JSON is incomplete.
    Complete,
}

/// How the end of the classic API looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retirement {
    /// 410 with an error document.
    Gone,
    /// The connection is reset before any answer. (Microsoft Graph shares the port, so that it cannot be closed.)
    Reset,
    /// Both in turn, 410 first.
    InTurn,
}

/// One of the simulated servers, which may have clocks of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The Defender API.
    Api,
    /// The token endpoint.
    Token,
}

/// A standing fault, to be taken away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StandingId(u64);

/// Something done to the world while a pull runs.
type Action = Arc<dyn Fn(&World) + Send + Sync>;

/// The script; clones are the same script.
#[derive(Clone, Default)]
pub struct Scenario(Arc<Mutex<State>>);

/// What is still to come.
#[derive(Default)]
struct State {
    /// Faults that happen once, in order.
    scripted: VecDeque<(Option<RequestKind>, Fault)>,
    /// Faults that stay.
    standing: Vec<(StandingId, Option<RequestKind>, Fault)>,
    /// Standing faults so far.
    standing_count: u64,
    /// Entities whose expanded part the service cannot read.
    poisoned: BTreeSet<String>,
    /// Entities that it cannot read at all.
    unreadable: BTreeSet<String>,
    /// Walks of reordered lists so far.
    walks: BTreeMap<RequestKind, u64>,
    /// Actions after every so many requests of a kind.
    by_requests: Vec<Counter>,
    /// Actions after every so many rows.
    by_rows: Vec<Counter>,
    /// When the classic API ends, and how that looks.
    retirement: Option<(Timestamp, Retirement)>,
    /// Requests that met its end so far.
    met_retirement: u64,
    /// How far each server's `Date` header is off.
    api_date_skew: SignedDuration,
    /// The same for the token endpoint.
    token_date_skew: SignedDuration,
}

/// Counts up to an action.
struct Counter {
    /// What is counted: requests of this kind; rows have none.
    kind: Option<RequestKind>,
    /// Counted since the last action.
    seen: u64,
    /// Counted between two actions.
    every: u64,
    /// What is done.
    action: Action,
}

impl Scenario {
    /// The next request of this kind (`None`: of any) meets the fault.
    pub fn once(&self, kind: impl Into<Option<RequestKind>>, fault: Fault) {
        self.times(kind, 1, fault);
    }

    /// The next `times` requests of this kind meet the fault.
    pub fn times(&self, kind: impl Into<Option<RequestKind>>, times: usize, fault: Fault) {
        let kind = kind.into();
        self.state().scripted.extend(std::iter::repeat_n((kind, fault), times));
    }

    /// Every request of this kind meets the fault, unless a scripted one comes first, until [`Scenario::stop`].
    pub fn always(&self, kind: impl Into<Option<RequestKind>>, fault: Fault) -> StandingId {
        let mut state = self.state();
        let id = StandingId(state.standing_count);
        state.standing_count += 1;
        state.standing.push((id, kind.into(), fault));
        id
    }

    /// Ends a standing fault.
    pub fn stop(&self, id: StandingId) {
        self.state().standing.retain(|(standing, _, _)| *standing != id);
    }

    /// Ends all standing faults and forgets the scripted ones, poison included.
    pub fn clear(&self) {
        let mut state = self.state();
        state.scripted.clear();
        state.standing.clear();
        state.poisoned.clear();
        state.unreadable.clear();
    }

    /// Scripted faults that no request has met yet.
    pub fn pending(&self) -> usize {
        self.state().scripted.len()
    }

    /// Any answer that would show this alert's evidence is a 500 from now on.
    pub fn poison(&self, alert_id: &str) {
        self.state().poisoned.insert(alert_id.to_owned());
    }

    /// Any answer with this entity in it, of whatever service, is a 500 from now on.
    pub fn poison_always(&self, id: &str) {
        self.state().unreadable.insert(id.to_owned());
    }

    /// Ends [`Scenario::poison`] and [`Scenario::poison_always`] for this entity.
    pub fn heal(&self, id: &str) {
        let mut state = self.state();
        state.poisoned.remove(id);
        state.unreadable.remove(id);
    }

    /// Does something to the world after every `every` answers of a kind: the rows of that answer are chosen, the next ones not.
    pub fn after_requests(&self, kind: RequestKind, every: u64, action: impl Fn(&World) + Send + Sync + 'static) {
        self.state().by_requests.push(Counter {
            kind: Some(kind),
            seen: 0,
            every: every.max(1),
            action: Arc::new(action),
        });
    }

    /// Does something to the world after every `every` rows of list answers, once for each time the count is reached.
    pub fn after_rows(&self, every: u64, action: impl Fn(&World) + Send + Sync + 'static) {
        self.state().by_rows.push(Counter { kind: None, seen: 0, every: every.max(1), action: Arc::new(action) });
    }

    /// The classic API, exports and its hunting included, ends at that time of the simulated clock. Tokens and Graph stay.
    pub fn retire_classic(&self, at: Timestamp, how: Retirement) {
        self.state().retirement = Some((at, how));
    }

    /// The classic API answers again, or goes on doing so.
    pub fn revive_classic(&self) {
        self.state().retirement = None;
    }

    /// What a request to the classic API meets at that time, when the API has ended: `Gone` or `Reset`.
    pub(crate) fn retired(&self, now: Timestamp) -> Option<Retirement> {
        let mut state = self.state();
        let (_, how) = state.retirement.filter(|(at, _)| *at <= now)?;
        state.met_retirement += 1;
        Some(match how {
            Retirement::InTurn if state.met_retirement.is_multiple_of(2) => Retirement::Reset,
            Retirement::InTurn => Retirement::Gone,
            how => how,
        })
    }

    /// Makes the `Date` header of one server wrong; the rest of it keeps the clock. Positive: ahead.
    pub fn set_date_skew(&self, server: Server, skew: SignedDuration) {
        let mut state = self.state();
        match server {
            Server::Api => state.api_date_skew = skew,
            Server::Token => state.token_date_skew = skew,
        }
    }

    /// How wrong the `Date` header of this server is.
    pub(crate) fn date_skew(&self, server: Server) -> SignedDuration {
        let state = self.state();
        match server {
            Server::Api => state.api_date_skew,
            Server::Token => state.token_date_skew,
        }
    }

    /// The fault that a request of this kind meets.
    pub(crate) fn take(&self, kind: RequestKind) -> Option<Fault> {
        let mut state = self.state();
        let fits = |wanted: &Option<RequestKind>| wanted.is_none_or(|wanted| wanted == kind);
        let scripted =
            state.scripted.iter().position(|(wanted, _)| fits(wanted)).and_then(|place| state.scripted.remove(place));
        match scripted {
            Some((_, fault)) => Some(fault),
            None => state.standing.iter().find(|(_, wanted, _)| fits(wanted)).map(|(_, _, fault)| fault.clone()),
        }
        .filter(|fault| *fault != Fault::Pass)
    }

    /// Whether one of these entities cannot be read. The ids are made only when there is poison at all.
    pub(crate) fn is_poisoned(&self, mut ids: impl Iterator<Item = String>, expanded: bool) -> bool {
        let state = self.state();
        let (some, all) = (&state.poisoned, &state.unreadable);
        let expanded = expanded && !some.is_empty();
        (expanded || !all.is_empty()) && ids.any(|id| all.contains(&id) || expanded && some.contains(&id))
    }

    /// Which order a reordered list has for this request.
    pub(crate) fn walk(&self, kind: RequestKind, begins: bool) -> u64 {
        let mut state = self.state();
        let walk = state.walks.entry(kind).or_default();
        *walk += u64::from(begins);
        *walk
    }

    /// Counts an answer whose rows are chosen, and does what is due. Actions may use the script themselves.
    pub(crate) fn answered(&self, kind: RequestKind, rows: u64, world: &World) {
        let mut due = Vec::new();
        {
            let mut state = self.state();
            let by_requests = state.by_requests.iter_mut().filter(|counter| counter.kind == Some(kind));
            due.extend(by_requests.flat_map(|counter| counter.count(1)));
            due.extend(state.by_rows.iter_mut().flat_map(|counter| counter.count(rows)));
        }
        for action in due {
            action(world);
        }
    }

    /// The script, also after a panic elsewhere: it is plain data.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counter {
    /// Counts on; gives the action as often as it is due.
    fn count(&mut self, more: u64) -> impl Iterator<Item = Action> + use<> {
        self.seen += more;
        let turns = self.seen / self.every;
        self.seen %= self.every;
        std::iter::repeat_n(Arc::clone(&self.action), usize::try_from(turns).unwrap_or(usize::MAX))
    }
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        write!(out, "Scenario({} scripted, {} standing)", state.scripted.len(), state.standing.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_first_in_first_out_by_kind_and_standing_ones_last() {
        let scenario = Scenario::default();
        let standing = scenario.always(None, Fault::Hang);
        scenario.once(RequestKind::Token, Fault::Html);
        scenario.once(RequestKind::Alerts, Fault::Pass);
        scenario.times(None, 2, Fault::Lost);
        let taken: Vec<_> =
            [RequestKind::Alerts, RequestKind::Alerts, RequestKind::Token, RequestKind::Alert, RequestKind::Alerts]
                .map(|kind| scenario.take(kind))
                .into();
        assert_eq!(taken, [None, Some(Fault::Lost), Some(Fault::Html), Some(Fault::Lost), Some(Fault::Hang)]);
        scenario.stop(standing);
        assert_eq!(scenario.take(RequestKind::Alerts), None);
        assert_eq!(scenario.pending(), 0);
    }

    #[test]
    fn a_fault_reads_as_json() {
        let fault: Fault = serde_json::from_str(r#"{"kind":"cut","after":100,"end":"chunked"}"#).unwrap();
        assert_eq!(fault, Fault::Cut { after: 100, end: CutEnd::Chunked });
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"cut","after":100,"end":"chunked","afer":1}"#).is_err());
    }
}
