//! Snapshots: the whole of a source, each entity once, complete or incomplete and never confused.
//!
//! A snapshot has a number, which only grows and tells it from others in the store, and an id, which its events carry.
//! What a complete one did not show, nor the complete one before it, is gone; an incomplete one never says that anything
//! is. How the rows are asked for is a [`Reading`]: page by page (`walk`) or in as few answers as hold them (`parts`).

use super::digest::Digest;
use super::poison::Ration;
use super::{
    Answer, Failure, Gap, Machine, More, Newest, Now, Numbered, Outcome, PullError, Row, Sightings, SnapshotEnd, Step,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// More than one of so many entities never vanish at once before a second snapshot says the same.
const DRIFT_PART: u64 = 5;
/// Most places that one snapshot passes over; so many gaps of it and of the one before are told.
pub(super) const GAPS: usize = 64;

/// What does not change while a stream runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Most rows that one answer can hold.
    pub cap: u64,
    /// Time between two snapshots; one that stood still for so long is not taken up again.
    pub period_ms: i64,
    /// Whether what is gone leaves an event that says so; else it is only forgotten.
    pub tombstones: bool,
    /// Configured start: a change of it begins everything anew. Unit: milliseconds since 1970, UTC.
    pub historical_ms: Option<i64>,
}

/// A way to read all rows of a source once.
pub trait Reading: Debug + Clone + PartialEq + Send + Serialize + DeserializeOwned {
    /// At the beginning. `cap`: most rows that one answer can hold; `usual`: bad places that the reading before had met; as many are no news.
    fn start(cap: u64, usual: u64) -> Self;

    /// What to ask next.
    fn step(&self) -> Step;

    /// Takes an answer that was read to its end.
    ///
    /// # Errors
    /// A source that does not go on.
    fn take(&mut self, page: &Page) -> Result<Turn, PullError>;

    /// Looks for a way around an answer that failed.
    fn fail(&mut self, failure: &Failure) -> Detour;

    /// Whether rows of the answer under way are to be stored.
    fn stores(&self) -> bool;

    /// Bad places that it has met.
    fn stumbles(&self) -> u64;
}

/// An answer as a reading sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows in it.
    pub rows: u64,
    /// Their keys.
    pub(super) digest: Digest,
    /// Of them those that this snapshot had not shown yet, although it should have: see [`Snapshots`].
    pub added: u64,
    /// What it says about more.
    pub more: More,
}

/// Where an answer leads a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// There is more to ask.
    On,
    /// A place is passed over; then there is more to ask. What it is, and what the server said.
    Aside(String),
    /// Everything that can be read has been.
    Over {
        /// Why that is not all there is; `None`: it is.
        short: Option<String>,
    },
}

/// Where a failure leads a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detour {
    /// Nowhere: an outage.
    No,
    /// On, with another question.
    Around,
    /// On, around a bad place that is news.
    New,
    /// There is no such list, which is one without rows.
    Empty,
}

/// What the machine finds again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory<R> {
    /// The configured start that this epoch began with.
    pub historical_ms: Option<i64>,
    /// Number of the newest snapshot.
    pub number: u64,
    /// Its id. Unit: milliseconds since 1970, UTC.
    pub pulled_ms: i64,
    /// It, until it has ended.
    pub under_way: Option<UnderWay<R>>,
    /// Number of the newest complete one.
    pub complete: Option<u64>,
    /// Whether that one saw so much vanish that nothing was said to be gone.
    pub drift: bool,
    /// Bad places that the last reading had met.
    usual: u64,
    /// Bad places that were news.
    ration: Ration,
    /// Places that were passed over and not read since, at most twice `GAPS`.
    gaps: Vec<Gap>,
}

/// A snapshot that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay<R> {
    /// Entities so far.
    pub count: u64,
    /// When the last answer was asked for. Unit: milliseconds since 1970, UTC.
    page_ms: i64,
    /// What is left of it.
    stage: Stage<R>,
}

/// What is left to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Stage<R> {
    /// Rows are read.
    Read(R),
    /// All were read; what is gone is counted.
    Count,
    /// What is gone is removed.
    Remove,
}

/// One stream's snapshots, read in the way of `R`.
///
/// A snapshot is complete when its reading is, and that goes on until it meets no entity that it *should* have shown
/// before: one that the newest complete snapshot or a later one knew; before the first complete one, any at all.
#[derive(Debug)]
pub struct Snapshots<R> {
    rules: Rules,
    /// `None` before the first pull.
    memory: Option<Memory<R>>,
    /// When the answer under way was asked for. Unit: milliseconds since 1970, UTC.
    now_ms: i64,
    /// What it has shown.
    seen: Seen,
}

/// What the answer under way has shown.
#[derive(Debug, Default)]
struct Seen {
    digest: Digest,
    sightings: Sightings,
}

impl<R: Reading> Snapshots<R> {
    /// `memory` is what an earlier run stored.
    #[must_use]
    pub fn new(rules: Rules, memory: Option<Memory<R>>) -> Self {
        Self { rules, memory, now_ms: 0, seen: Seen::default() }
    }
}

impl<R: Reading> Machine for Snapshots<R> {
    fn must_start_again(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| memory.historical_ms != self.rules.historical_ms)
    }

    fn due_ms(&self) -> Option<i64> {
        let ended = self.memory.as_ref().filter(|memory| memory.under_way.is_none())?;
        Some(ended.pulled_ms.saturating_add(self.rules.period_ms))
    }

    fn pulled_ms(&self) -> i64 {
        self.memory.as_ref().map_or(0, |memory| memory.pulled_ms)
    }

    fn snapshot(&self) -> Option<Numbered> {
        let memory = self.memory.as_ref()?;
        Some(Numbered { number: memory.number, known_since: memory.complete })
    }

    fn checkpoint_ms(&self) -> Option<i64> {
        None
    }

    fn gaps(&self) -> Vec<Gap> {
        self.memory.as_ref().map(|memory| memory.gaps.clone()).unwrap_or_default()
    }

    /// Takes up a snapshot that was broken off, or begins a new one.
    ///
    /// Rows go stale, what the store has counted does not: of one that was read whole the end is caught up at any age.
    fn begin(&mut self, Now { ms: now_ms, .. }: Now) -> Outcome {
        let mut outcome = Outcome::default();
        let memory = self.memory.get_or_insert_with(|| Memory {
            historical_ms: self.rules.historical_ms,
            number: 0,
            pulled_ms: i64::MIN,
            under_way: None,
            complete: None,
            drift: false,
            usual: 0,
            ration: Ration::default(),
            gaps: Vec::new(),
        });
        if let Some(under_way) = &memory.under_way {
            let age_ms = now_ms.saturating_sub(under_way.page_ms);
            let Stage::Read(reading) = &under_way.stage else { return outcome };
            if age_ms < self.rules.period_ms {
                return outcome;
            }
            memory.usual = memory.usual.max(reading.stumbles());
            let (number, count, pulled_ms) = (memory.number, under_way.count, memory.pulled_ms);
            outcome.ended = Some(SnapshotEnd { number, pulled_ms, count, complete: false, drift: false });
        }
        memory.number += 1;
        // The id names the versions of its rows, so it is never that of an earlier one, whatever the clock says.
        memory.pulled_ms = now_ms.max(memory.pulled_ms.saturating_add(1));
        let stage = Stage::Read(R::start(self.rules.cap, memory.usual));
        memory.under_way = Some(UnderWay { count: 0, page_ms: now_ms, stage });
        outcome.memory = Some(memory.text());
        outcome
    }

    fn next(&mut self, Now { ms: now_ms, .. }: Now) -> Option<Step> {
        self.now_ms = now_ms;
        self.seen = Seen::default();
        let memory = self.memory.as_ref()?;
        let since = memory.complete.unwrap_or(0);
        Some(match &memory.under_way.as_ref()?.stage {
            Stage::Read(reading) => reading.step(),
            Stage::Count => Step::CountAbsent { since },
            Stage::Remove => Step::RemoveAbsent { since, tombstones: self.rules.tombstones },
        })
    }

    fn newest(&self) -> Option<Newest> {
        let Memory { number, pulled_ms, ref complete, drift, .. } = *self.memory.as_ref()?;
        let complete = *complete == Some(number);
        Some(Newest { number, pulled_ms, complete, drift: complete && drift })
    }

    fn row(&mut self, row: Row<'_>) -> Result<Option<i64>, PullError> {
        self.seen.digest.add(row.key);
        let under_way = self.memory.as_ref().and_then(|memory| memory.under_way.as_ref());
        let stored = under_way.is_some_and(|it| matches!(&it.stage, Stage::Read(reading) if reading.stores()));
        Ok(stored.then(|| self.pulled_ms()))
    }

    fn sighted(&mut self, sightings: &Sightings) {
        self.seen.sightings.repeated += sightings.repeated;
        self.seen.sightings.known += sightings.known;
        self.seen.sightings.new += sightings.new;
    }

    fn answered(&mut self, answer: Answer) -> Result<Outcome, PullError> {
        let mut outcome = Outcome::default();
        let Some(memory) = self.memory.as_mut() else { return Ok(outcome) };
        let Some(under_way) = memory.under_way.as_mut() else { return Ok(outcome) };
        match (&mut under_way.stage, answer) {
            (Stage::Read(reading), Answer::Rows(more)) => {
                let Seen { digest, sightings: Sightings { known, new, .. } } = std::mem::take(&mut self.seen);
                let added = if memory.complete.is_some() { known } else { known + new };
                under_way.count += known + new;
                under_way.page_ms = self.now_ms;
                match reading.take(&Page { rows: digest.count, digest, added, more })? {
                    Turn::On => {}
                    Turn::Aside(reason) => outcome.set_aside.push(memory.set_aside(reason, self.now_ms)),
                    Turn::Over { short } => {
                        memory.usual = reading.stumbles();
                        if short.is_none() && memory.complete.is_some() {
                            under_way.stage = Stage::Count;
                        } else {
                            memory.end(short, false, self.now_ms, &mut outcome);
                        }
                    }
                }
            }
            (Stage::Count, Answer::Absent { absent, known }) => {
                let drift = absent.saturating_mul(DRIFT_PART) > known && !memory.drift;
                if drift || absent == 0 {
                    memory.end(None, drift, self.now_ms, &mut outcome);
                } else {
                    under_way.stage = Stage::Remove;
                }
            }
            (Stage::Remove, Answer::Removed) => memory.end(None, false, self.now_ms, &mut outcome),
            _ => return Ok(outcome),
        }
        outcome.memory = Some(memory.text());
        Ok(outcome)
    }

    fn failed(&mut self, failure: &Failure, now: Now) -> Option<Outcome> {
        self.seen = Seen::default();
        let memory = self.memory.as_mut()?;
        let Stage::Read(reading) = &mut memory.under_way.as_mut()?.stage else { return None };
        match reading.fail(failure) {
            Detour::No => return None,
            Detour::Empty => return self.answered(Answer::Rows(More::Nothing)).ok(),
            Detour::Around => {}
            Detour::New => {
                let bounded = usize::try_from(reading.stumbles()).is_ok_and(|stumbles| stumbles <= GAPS);
                if !bounded || !memory.ration.take(now.ms) {
                    return None;
                }
            }
        }
        Some(Outcome { memory: Some(memory.text()), ..Outcome::default() })
    }
}

impl<R: Reading> Memory<R> {
    /// As it is stored.
    fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts have a JSON form")
    }

    /// Notes a place that was passed over; one that was noted before keeps its age.
    fn set_aside(&mut self, reason: String, now_ms: i64) -> Gap {
        let before = self.gaps.iter().position(|gap| gap.reason == reason);
        let since_ms = before.map_or(now_ms, |index| self.gaps.remove(index).since_ms);
        let gap = Gap { from_ms: self.pulled_ms, to_ms: self.pulled_ms, id: None, reason, since_ms };
        self.gaps.push(gap.clone());
        gap
    }

    /// Ends the snapshot under way. `short`: why it is not complete; `None`: it is.
    fn end(&mut self, short: Option<String>, drift: bool, now_ms: i64, outcome: &mut Outcome) {
        let Some(UnderWay { count, .. }) = self.under_way.take() else { return };
        let (pulled_ms, complete) = (self.pulled_ms, short.is_none());
        if complete {
            self.complete = Some(self.number);
            self.drift = drift;
            self.gaps.clear();
            outcome.checkpoint_ms = Some(pulled_ms);
        } else {
            self.gaps.retain(|gap| gap.from_ms == pulled_ms);
            if let Some(reason) = short.filter(|_| self.gaps.is_empty()) {
                outcome.set_aside.push(self.set_aside(reason, now_ms));
            }
        }
        outcome.ended = Some(SnapshotEnd { number: self.number, pulled_ms, count, complete, drift });
    }
}
