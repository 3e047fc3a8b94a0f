//! Hunting queries over closed slices of time: windows of a query's result.
//!
//! A slice that does not fit an answer is halved in time, and one that cannot be halved is cut into parts. A query whose
//! rows depend on the slice (a sum, the newest of each) is read in aligned slices instead: each once and whole, some time
//! after its end, and never halved, because half a slice has other rows.

use super::parts::Parts;
use super::window::{Found, Seen, Source, Span, Windows};
use super::{More, PullError, Slice, Step, TICKS};

/// Slices of one stream's query.
pub type Slices = Windows<Query>;

/// A query with a time column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Most rows that one answer can hold.
    pub row_cap: u64,
    /// Slices begin at multiples of this since 1970, UTC; `None`: anywhere. Unit: milliseconds.
    pub align_ms: Option<i64>,
    /// Nothing younger is read. Unit: milliseconds.
    pub settle_ms: i64,
}

impl Source for Query {
    type Work = Parts;

    fn start(&self, _span: Span) -> Parts {
        Parts::all(self.row_cap)
    }

    fn step(&self, work: &Parts, span: Span, _without: Vec<String>, _newest: bool) -> Step {
        Step::Slice(Slice { span: Some((span.from_ms, span.to_ms)), part: work.part() })
    }

    /// The time of a row is its slice's where the query has changed it: a sum by the hour bears the hour's beginning.
    fn row(&self, _work: &Parts, span: Span, time: Option<i64>) -> Result<(i64, bool), PullError> {
        let last_ms = span.to_ms - 1;
        Ok((time.map_or(last_ms, |time| time.div_euclid(TICKS)).clamp(span.from_ms, last_ms), true))
    }

    fn answered(&self, work: &mut Parts, span: Span, seen: &Seen, _more: More) -> Found {
        if work.is_cut(seen.rows) {
            return self.misfit(work, span);
        }
        work.read(seen.rows).map_or(Found::On, Found::Whole)
    }

    fn too_large(&self, work: &mut Parts, span: Span) -> Option<Found> {
        Some(self.misfit(work, span))
    }

    fn control(&self, before_ms: Option<i64>, _without: Vec<String>) -> Step {
        let to_ms = before_ms.unwrap_or(1);
        Step::Slice(Slice { span: Some((to_ms - 1, to_ms)), part: None })
    }

    fn plain(&self, _span: Span, _without: Vec<String>) -> Option<Step> {
        None
    }

    fn is_whole(&self, rows: u64, _more: More) -> bool {
        rows < self.row_cap
    }

    fn cap(&self) -> u64 {
        self.row_cap
    }

    fn rereads(&self) -> bool {
        self.align_ms.is_none()
    }

    fn border_ms(&self, from_ms: i64) -> Option<i64> {
        self.align_ms.map(|align_ms| (from_ms.div_euclid(align_ms) + 1) * align_ms)
    }

    fn end_ms(&self, now_ms: i64) -> i64 {
        let settled_ms = now_ms.saturating_sub(self.settle_ms);
        self.align_ms.map_or(settled_ms, |align_ms| settled_ms.div_euclid(align_ms) * align_ms)
    }
}

impl Query {
    /// What to do with a slice that one answer does not hold.
    fn misfit(&self, work: &mut Parts, span: Span) -> Found {
        if self.align_ms.is_none() && span.to_ms - span.from_ms > 1 {
            Found::Misfit
        } else if work.split() {
            Found::On
        } else {
            Found::Stuck("it is larger than an answer, however it is cut")
        }
    }
}

#[cfg(test)]
mod tests;
