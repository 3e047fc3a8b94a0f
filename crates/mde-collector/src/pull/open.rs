//! Entities that do not say when they changed: each pull reads again from the oldest that has not ended.
//!
//! Windows over the time at which an entity begins, as any other. Those that have not begun have no such time, so no
//! window holds them: once a day the list is walked as a whole, and of it those are taken.

use super::digest::Digest;
use super::snapshot::{Detour, GAPS, Page, Reading, Turn};
use super::walk::Walk;
use super::window::{self, Rules, Windows};
use super::{Answer, Failure, Gap, Machine, Now, Outcome, PullError, Row, Step};
use serde::{Deserialize, Serialize};

/// One that has not ended after so long is not followed any more. Unit: milliseconds.
const FOLLOWED_MS: i64 = 30 * DAY_MS;
/// Time between two walks. Unit: milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

/// What the machine finds again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Of the windows.
    pub windows: window::Memory,
    /// Of the walk.
    daily: Daily,
}

/// The walk of the day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Daily {
    /// When the last one began; `None`: there was none. Unit: milliseconds since 1970, UTC.
    begun_ms: Option<i64>,
    /// The one under way.
    walk: Option<Walk>,
    /// Rows that it passed over, at most `GAPS`.
    gaps: Vec<Gap>,
}

/// One stream's entities.
#[derive(Debug)]
pub struct Open {
    windows: Windows,
    page_cap: u64,
    daily: Daily,
    /// Whether the question under way is the walk's.
    walks: bool,
    /// Keys of the rows of the answer under way, if it is the walk's.
    digest: Digest,
    /// When it was asked for. Unit: milliseconds since 1970, UTC.
    asked_ms: i64,
}

impl Open {
    /// `memory` is what an earlier run stored, `checkpoint_ms` likewise. `rules.open_ms` is this machine's own affair.
    #[must_use]
    pub fn new(rules: Rules, checkpoint_ms: Option<i64>, memory: Option<Memory>) -> Self {
        let page_cap = rules.source.page_cap;
        let rules = Rules { open_ms: Some(FOLLOWED_MS), ..rules };
        let (windows, daily) = memory.map(|memory| (memory.windows, memory.daily)).unzip();
        Self {
            windows: Windows::new(rules, checkpoint_ms, windows),
            page_cap,
            daily: daily.unwrap_or_default(),
            walks: false,
            digest: Digest::default(),
            asked_ms: 0,
        }
    }

    /// Puts both memories into an outcome that changes one of them.
    fn kept(&self, outcome: Outcome) -> Outcome {
        let memory = outcome.memory.as_ref().and_then(|_| self.windows.memory()).map(|windows| {
            let memory = Memory { windows: windows.clone(), daily: self.daily.clone() };
            serde_json::to_string(&memory).expect("numbers and texts have a JSON form")
        });
        Outcome { memory, ..outcome }
    }

    /// The walk has changed.
    fn walked(&self, set_aside: Vec<Gap>) -> Outcome {
        self.kept(Outcome { memory: Some(String::new()), set_aside, ..Outcome::default() })
    }
}

impl Machine for Open {
    fn must_start_again(&self) -> bool {
        self.windows.must_start_again()
    }

    fn is_ahead(&self, now_ms: i64) -> bool {
        self.windows.is_ahead(now_ms)
    }

    fn pulled_ms(&self) -> i64 {
        self.windows.pulled_ms()
    }

    fn checkpoint_ms(&self) -> Option<i64> {
        self.windows.checkpoint_ms()
    }

    fn gaps(&self) -> Vec<Gap> {
        [self.windows.gaps(), self.daily.gaps.clone()].concat()
    }

    /// A walk that was broken off is gone on with, on the day on which it began.
    fn begin(&mut self, now: Now) -> Outcome {
        self.walks = false;
        let mut outcome = self.windows.begin(now);
        let is_today = |begun_ms: i64| now.ms.abs_diff(begun_ms) < DAY_MS.unsigned_abs();
        if !self.daily.begun_ms.is_some_and(is_today) {
            let walk = Some(Walk::single(self.page_cap));
            self.daily = Daily { begun_ms: Some(now.ms), walk, gaps: Vec::new() };
            outcome.memory.get_or_insert_default();
        }
        self.kept(outcome)
    }

    fn next(&mut self, now: Now) -> Option<Step> {
        self.asked_ms = now.ms;
        self.digest = Digest::default();
        let step = self.windows.next(now);
        self.walks = step.is_none();
        step.or_else(|| self.daily.walk.as_ref().map(Walk::step))
    }

    /// Of the walk's rows only those are stored that no window holds, and their keys are never forgotten.
    fn row(&mut self, row: Row<'_>) -> Result<Option<i64>, PullError> {
        if !self.walks {
            return self.windows.row(row);
        }
        self.digest.add(row.key);
        let stored = row.time.is_none() && self.daily.walk.as_ref().is_some_and(Walk::stores);
        Ok(stored.then_some(i64::MAX))
    }

    fn answered(&mut self, answer: Answer) -> Result<Outcome, PullError> {
        if !self.walks {
            let outcome = self.windows.answered(answer)?;
            return Ok(self.kept(outcome));
        }
        let (Some(walk), Answer::Rows(more)) = (self.daily.walk.as_mut(), answer) else {
            return Ok(Outcome::default());
        };
        let page = Page { rows: self.digest.count, digest: std::mem::take(&mut self.digest), added: 0, more };
        let mut set_aside = Vec::new();
        match walk.take(&page)? {
            Turn::On => {}
            Turn::Aside(reason) => {
                let since_ms = self.asked_ms;
                set_aside.push(Gap { from_ms: since_ms, to_ms: since_ms, id: None, reason, since_ms });
                self.daily.gaps.extend(set_aside.clone());
            }
            Turn::Over { .. } => self.daily.walk = None,
        }
        Ok(self.walked(set_aside))
    }

    fn failed(&mut self, failure: &Failure, now: Now) -> Option<Outcome> {
        if !self.walks {
            let outcome = self.windows.failed(failure, now)?;
            return Some(self.kept(outcome));
        }
        self.digest = Digest::default();
        match self.daily.walk.as_mut()?.fail(failure) {
            Detour::No => None,
            Detour::Empty => self.answered(Answer::Rows(super::More::Nothing)).ok(),
            Detour::Around => Some(self.walked(Vec::new())),
            Detour::New => {
                let bounded = self.daily.gaps.len() < GAPS && self.windows.may_give_up(now.ms);
                bounded.then(|| self.walked(Vec::new()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
