//! A query's result in parts: as few as fit an answer each, told apart by a hash of their rows.
//!
//! Equal rows are in one part, so that their numbers do not depend on how many parts there are.

use super::snapshot::{Detour, Page, Reading, Snapshots, Turn};
use super::{Failure, Slice, Step};
use serde::{Deserialize, Serialize};

/// Most parts of one result.
const MOST: u64 = 64;
/// Answers of exactly so many rows have been cut, whatever the cap is said to be. Source: field reports.
const CUT_ROWS: [u64; 2] = [10_000, 30_000];

/// Snapshots of a query that no time column cuts.
pub type Answers = Snapshots<Parts>;

/// Parts that are left to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Most rows that one answer can hold.
    cap: u64,
    /// (k, n): rows whose hash modulo n is k; the next one last. At most one for each doubling and one more.
    left: Vec<(u64, u64)>,
    /// Rows of those that were read.
    rows: u64,
    /// Why there is more than was read.
    short: Option<String>,
}

impl Parts {
    /// All rows, as one part.
    #[must_use]
    pub fn all(cap: u64) -> Self {
        Self { cap, left: vec![(0, 1)], rows: 0, short: None }
    }

    /// The part that is read now; `None`: it is all of them.
    pub(super) fn part(&self) -> Option<(u64, u64)> {
        self.left.last().copied().filter(|&(_, parts)| parts > 1)
    }

    /// Whether an answer with so many rows may have been cut.
    #[must_use]
    pub fn is_cut(&self, rows: u64) -> bool {
        rows >= self.cap || CUT_ROWS.contains(&rows)
    }

    /// The part was read; returns the rows of all of them when it was the last.
    pub(super) fn read(&mut self, rows: u64) -> Option<u64> {
        self.rows += rows;
        self.left.pop();
        self.left.is_empty().then_some(self.rows)
    }

    /// The part does not fit an answer: it becomes two. `false`: there are too many already.
    pub(super) fn split(&mut self) -> bool {
        match self.left.last().copied() {
            Some((part, parts)) if parts < MOST => {
                self.left.pop();
                self.left.extend([(part + parts, 2 * parts), (part, 2 * parts)]);
                true
            }
            _ => false,
        }
    }

    /// Gives the part up.
    fn give_up(&mut self) {
        if let Some((part, parts)) = self.left.last() {
            self.short.get_or_insert_with(|| format!("part {part} of {parts} is larger than an answer"));
        }
    }
}

impl Reading for Parts {
    fn start(cap: u64, _usual: u64) -> Self {
        Self::all(cap)
    }

    fn step(&self) -> Step {
        Step::Slice(Slice { span: None, part: self.part() })
    }

    fn stores(&self) -> bool {
        true
    }

    fn take(&mut self, page: &Page) -> Result<Turn, super::PullError> {
        if self.is_cut(page.rows) {
            if self.split() {
                return Ok(Turn::On);
            }
            self.give_up();
        }
        Ok(self.read(page.rows).map_or(Turn::On, |_| Turn::Over { short: self.short.clone() }))
    }

    /// A result that fails is an outage: no place of it is worse than another.
    fn fail(&mut self, failure: &Failure) -> Detour {
        if *failure != Failure::TooLarge {
            return Detour::No;
        }
        if self.split() {
            return Detour::Around;
        }
        self.give_up();
        Detour::Empty
    }

    fn stumbles(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests;
