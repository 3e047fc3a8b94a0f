//! What cannot be read, so that it never stops the rest.

use super::Gap;
use super::window::Span;
use serde::{Deserialize, Serialize};

/// How much may be given up anew in an hour; more of it is an outage and not a bad part.
const NEW_PER_HOUR: usize = 8;
/// How much may be given up in all; more is an outage until some of it can be read.
const MOST: usize = 100;
/// Unit: milliseconds.
const HOUR_MS: i64 = 3_600_000;

/// What was given up within the last hour, by the moment of each. At most `NEW_PER_HOUR` moments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ration(Vec<i64>);

impl Ration {
    /// Takes one of this hour's share; `false`: it is spent.
    pub fn take(&mut self, now_ms: i64) -> bool {
        let left = self.has_left(now_ms);
        if left {
            self.0.retain(|&then_ms| is_recent(then_ms, now_ms));
            self.0.push(now_ms);
        }
        left
    }

    /// Whether something of this hour's share is left.
    #[must_use]
    pub fn has_left(&self, now_ms: i64) -> bool {
        self.0.iter().filter(|&&then_ms| is_recent(then_ms, now_ms)).count() < NEW_PER_HOUR
    }
}

/// Whether it was within an hour; a moment in the far future was noted by a clock that has been corrected since.
fn is_recent(then_ms: i64, now_ms: i64) -> bool {
    now_ms.abs_diff(then_ms) < HOUR_MS.unsigned_abs()
}

/// Steps of time and entities that are left out of all re-reads and tried again each hour until they are read.
///
/// At most `MOST`, and at most `NEW_PER_HOUR` new ones an hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// All of them.
    gaps: Vec<Gap>,
    /// When they were noted, for the hour's share.
    ration: Ration,
    /// When they were tried last. Unit: milliseconds since 1970, UTC.
    tried_ms: i64,
}

impl Aside {
    /// All of them.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether one more may be set aside.
    #[must_use]
    pub fn has_room(&self, now_ms: i64) -> bool {
        self.gaps.len() < MOST && self.ration.has_left(now_ms)
    }

    /// Takes one of this hour's share; `false`: there is no room.
    pub fn take(&mut self, now_ms: i64) -> bool {
        self.gaps.len() < MOST && self.ration.take(now_ms)
    }

    /// Notes one.
    pub fn add(&mut self, gap: Gap) {
        if self.gaps.is_empty() {
            self.tried_ms = gap.since_ms;
        }
        self.gaps.retain(|other| (other.from_ms, other.to_ms, &other.id) != (gap.from_ms, gap.to_ms, &gap.id));
        self.gaps.push(gap);
    }

    /// What is to be tried again now, the oldest last; from now on it counts as tried.
    pub fn again(&mut self, now_ms: i64, at_once: bool) -> Vec<Gap> {
        if self.gaps.is_empty() || (!at_once && is_recent(self.tried_ms, now_ms)) {
            return Vec::new();
        }
        self.tried_ms = now_ms;
        self.gaps.iter().rev().cloned().collect()
    }

    /// A step was read whole.
    pub fn close(&mut self, span: Span) {
        self.gaps.retain(|gap| gap.id.is_some() || gap.from_ms < span.from_ms || gap.to_ms > span.to_ms);
    }

    /// A version of an entity is stored.
    pub fn close_id(&mut self, id: &str) {
        self.gaps.retain(|gap| gap.id.as_deref() != Some(id));
    }

    /// Whether the entity is one of them.
    #[must_use]
    pub fn names(&self, id: &str) -> bool {
        self.gaps.iter().any(|gap| gap.id.as_deref() == Some(id))
    }

    /// Entities that are set aside.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.gaps.iter().filter_map(|gap| gap.id.clone()).collect()
    }

    /// Those whose time lies in a window. A later version is read as any other row, but one in the same window waits with it.
    #[must_use]
    pub fn inside(&self, span: Span) -> Vec<String> {
        self.gaps.iter().filter(|gap| span.holds(gap.from_ms)).filter_map(|gap| gap.id.clone()).collect()
    }

    /// This moment, or the first one behind the steps that it lies in. Unit: milliseconds since 1970, UTC.
    #[must_use]
    pub fn behind(&self, mut at_ms: i64) -> i64 {
        while let Some(gap) = self.steps().find(|gap| (gap.from_ms..gap.to_ms).contains(&at_ms)) {
            at_ms = gap.to_ms;
        }
        at_ms
    }

    /// Where the next step begins. Unit: milliseconds since 1970, UTC.
    #[must_use]
    pub fn before(&self, at_ms: i64) -> i64 {
        self.steps().map(|gap| gap.from_ms).filter(|&from_ms| from_ms > at_ms).min().unwrap_or(i64::MAX)
    }

    /// Where all of them lie, oldest first, each once: what is read there again some day must be recognised then.
    #[must_use]
    pub fn spans(&self) -> Vec<(i64, i64)> {
        let mut spans: Vec<_> = self.gaps.iter().map(|gap| (gap.from_ms, gap.to_ms)).collect();
        spans.sort_unstable();
        spans.dedup();
        spans
    }

    /// Those that are no entity.
    fn steps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(|gap| gap.id.is_none())
    }
}

#[cfg(test)]
mod tests;
