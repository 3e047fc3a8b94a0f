//! Walks through a list whose rows move while it is read: page by page, and again until nothing is missed.
//!
//! A row that is removed moves all rows behind it forward, so that one of them slips over the border between a page that
//! was read and the next. No single walk notices. The second and third walk have their borders elsewhere, so the same row
//! slips only if the list moves by the distance between two borders meanwhile; a walk that meets a row which the ones
//! before should have shown is followed by another.
//!
//! Links are followed in the first walk, never stored: after a restart the walk goes on by the number of rows passed.

use super::digest::Digest;
use super::snapshot::{Detour, Page, Reading, Snapshots, Turn};
use super::{Ask, EMPTY_PAGES, Failure, More, PullError, ROUND_ROWS, Step};
use crate::record::Mistake;
use serde::{Deserialize, Serialize};

/// Most walks of one snapshot.
const WALKS: u64 = 3;
/// Places at which a list is asked whether it answers at all: one alone may be a bad row itself.
const CONTROLS: u32 = 5;

/// Snapshots of a list.
pub type Walks = Snapshots<Walk>;

/// One walk of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// Which one, from 1.
    number: u64,
    /// Walks that there are at most.
    most: u64,
    /// Rows passed: where the next page begins.
    passed: u64,
    /// Answers that it took so far.
    answers: u64,
    /// Rows of a full page.
    size: u64,
    /// Rows that the walks before should have shown.
    added: u64,
    /// Pages that failed.
    stumbles: u64,
    /// Pages that failed in the walk before; as many are no news.
    usual: u64,
    /// Whether a row was passed over.
    holed: bool,
    /// What is asked next.
    #[serde(skip)]
    way: Way,
    /// Pages without rows in a row.
    #[serde(skip)]
    empty: u32,
    /// The page before.
    #[serde(skip)]
    before: Digest,
    /// Place of the last row read, or the last one at which the list was seen to answer.
    #[serde(default)]
    read: Option<u64>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Way {
    /// The next page.
    #[default]
    Page,
    /// The next page, by the link of the one before.
    Follow,
    /// Is there really nothing more?
    Check,
    /// Half of what is left of a page that failed, which ends before row `end`.
    Split { end: u64 },
    /// Does the list answer at all, at that place or else at `left` more? Then what is left is split, or the one row
    /// passed over.
    Control { end: u64, reason: String, at: u64, left: u32 },
}

impl Reading for Walk {
    fn start(cap: u64, usual: u64) -> Self {
        Self::new(WALKS, cap, usual)
    }

    fn step(&self) -> Step {
        let page = |top| Ask { top: Some(top), skip: Some(self.passed), whole: true, ..Ask::default() };
        let row = |place| Ask { top: Some(1), skip: Some(place), ..Ask::default() };
        Step::List(match self.way {
            Way::Page if self.is_untouched() => Ask { whole: true, ..Ask::default() },
            Way::Page | Way::Split { .. } => page(self.limit()),
            Way::Follow => Ask { follow: true, whole: true, ..Ask::default() },
            Way::Check => row(self.passed),
            Way::Control { at, .. } => row(at),
        })
    }

    fn take(&mut self, page: &Page) -> Result<Turn, PullError> {
        match std::mem::take(&mut self.way) {
            Way::Control { end, reason, at, .. } if end == self.passed + 1 => {
                self.read = Some(at);
                let reason = format!("row {} of the list: {reason}", self.passed);
                self.passed = end;
                self.holed = true;
                return Ok(Turn::Aside(reason));
            }
            Way::Control { end, at, .. } => {
                self.read = Some(at);
                self.way = Way::Split { end };
            }
            Way::Check if page.rows == 0 => return Ok(self.over()),
            Way::Check => self.empty = 0,
            way => {
                self.way = way;
                return self.page(page);
            }
        }
        Ok(Turn::On)
    }

    fn fail(&mut self, failure: &Failure) -> Detour {
        let end = self.passed + self.limit();
        let single = end == self.passed + 1;
        match (failure, std::mem::take(&mut self.way)) {
            (Failure::NotFound, Way::Page) if self.is_untouched() => Detour::Empty,
            (Failure::Server(_), Way::Split { .. }) if !single => {
                self.way = Way::Split { end };
                Detour::Around
            }
            (Failure::Server(reason), Way::Split { .. }) => {
                self.way = self.control(end, reason);
                Detour::Around
            }
            // Rows lie side by side that fail, so the next place is further off each time; behind the last row is one too.
            (Failure::Server(_), Way::Control { end, reason, at, left: left @ 1.. }) => {
                let at = if at < end { end } else { at.saturating_mul(2).saturating_add(1) };
                self.way = Way::Control { end, reason, at, left: left - 1 };
                Detour::Around
            }
            (Failure::Server(reason), Way::Page | Way::Follow) => {
                self.way = self.control(end, reason);
                self.stumbles += 1;
                if self.stumbles > self.usual { Detour::New } else { Detour::Around }
            }
            _ => Detour::No,
        }
    }

    fn stores(&self) -> bool {
        !matches!(self.way, Way::Check | Way::Control { .. })
    }

    fn stumbles(&self) -> u64 {
        self.stumbles
    }
}

impl Walk {
    /// One walk and no other, for who need not know whether it missed a row.
    #[must_use]
    pub fn single(cap: u64) -> Self {
        Self::new(1, cap, 0)
    }

    /// The first of so many walks.
    fn new(most: u64, cap: u64, usual: u64) -> Self {
        Self {
            number: 1,
            most,
            passed: 0,
            answers: 0,
            size: cap.max(1),
            added: 0,
            stumbles: 0,
            usual,
            holed: false,
            way: Way::Page,
            empty: 0,
            before: Digest::default(),
            read: None,
        }
    }

    /// The question whether the list answers at all, after rows before `end` have failed.
    fn control(&self, end: u64, reason: &str) -> Way {
        Way::Control { end, reason: reason.to_owned(), at: self.read.unwrap_or(end), left: CONTROLS - 1 }
    }

    /// Whether nothing of the list has been asked yet: then it is asked without `$top`, which alone brings links.
    const fn is_untouched(&self) -> bool {
        self.number == 1 && self.passed == 0 && self.answers == 0
    }

    /// Most rows that the next page can hold.
    fn limit(&self) -> u64 {
        match self.way {
            Way::Split { end } => ((end - self.passed) / 2).max(1),
            _ if Mistake::SameBorders.is_made() => self.size,
            _ if self.passed == 0 => (self.size / self.number).max(1),
            _ => self.size,
        }
    }

    /// Takes a page.
    fn page(&mut self, page: &Page) -> Result<Turn, PullError> {
        let by_link = self.way == Way::Follow || (self.way == Way::Page && self.is_untouched());
        let full = page.rows >= self.limit() || page.rows.is_multiple_of(ROUND_ROWS);
        let more = page.more;
        self.answers += 1;
        if page.rows == 0 {
            self.empty += 1;
            self.way = match more {
                More::Nothing => return Ok(self.over()),
                More::Link if self.empty <= EMPTY_PAGES => Way::Follow,
                More::Link | More::Elsewhere => Way::Check,
            };
            return Ok(Turn::On);
        }
        // A few rows can come again because others were put before them; a whole page cannot.
        if page.rows > 1 && page.rows >= self.size && page.digest == self.before {
            return Err(PullError::Repeated { passed: self.passed });
        }
        // The next walks take their borders from the pages that the server gives.
        if by_link && self.passed == 0 && (full || more != More::Nothing) {
            self.size = page.rows;
        }
        self.passed += page.rows;
        self.added += page.added;
        self.empty = 0;
        self.before = page.digest;
        self.read = Some(self.passed - 1);
        self.way = match (&self.way, more) {
            (_, More::Nothing) if !full => return Ok(self.over()),
            (&Way::Split { end }, _) if self.passed < end => Way::Split { end },
            (_, More::Link) if by_link => Way::Follow,
            _ => Way::Page,
        };
        Ok(Turn::On)
    }

    /// The end of the list is reached: that is all, or one more walk, or it cannot be had.
    ///
    /// A walk that stumbled had borders within a page, where the next one has them too: those two prove nothing together.
    fn over(&mut self) -> Turn {
        let agree = self.number > 1 && self.added == 0 && self.usual == 0 && self.stumbles == 0;
        if !self.holed && (self.answers == 1 || agree) {
            return Turn::Over { short: None };
        }
        let reason = if self.holed { "rows were passed over" } else { "its rows moved during every walk" };
        if self.number >= self.most || (self.holed && self.number > 1) {
            return Turn::Over { short: Some(reason.to_owned()) };
        }
        *self = Self {
            number: self.number + 1,
            passed: 0,
            answers: 0,
            added: 0,
            stumbles: 0,
            usual: self.stumbles,
            holed: false,
            way: Way::Page,
            empty: 0,
            before: Digest::default(),
            ..self.clone()
        };
        Turn::On
    }
}

#[cfg(test)]
mod tests;
