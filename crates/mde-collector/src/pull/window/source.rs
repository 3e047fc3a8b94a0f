//! How one window is read, and what its answers show.

use super::super::digest::Digest;
use super::super::{More, PullError, Row, Step};
use super::memory::earlier;
use crate::record::VersionKey;
use std::fmt::Debug;

/// A stretch of time. Unit: milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First moment inside.
    pub from_ms: i64,
    /// First moment behind.
    pub to_ms: i64,
}

impl Span {
    /// Unit: milliseconds.
    pub(super) const fn length_ms(self) -> i64 {
        self.to_ms - self.from_ms
    }

    /// Whether the moment lies inside.
    pub(in super::super) fn holds(self, at_ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&at_ms)
    }
}

/// How one window is read.
pub trait Source: Debug + Clone + Send {
    /// Where the reading of one window stands.
    type Work: Debug + Send;

    /// Begins with a window.
    fn start(&self, span: Span) -> Self::Work;

    /// What to ask. `without`: entities of the window that are left out; `newest`: it is the newest window of all.
    fn step(&self, work: &Self::Work, span: Span, without: Vec<String>, newest: bool) -> Step;

    /// The time of a row of the window, and whether the row is to be stored.
    ///
    /// # Errors
    /// A row that the question excludes.
    fn row(&self, work: &Self::Work, span: Span, time: Option<i64>) -> Result<(i64, bool), PullError>;

    /// Takes an answer that was read to its end.
    fn answered(&self, work: &mut Self::Work, span: Span, seen: &Seen, more: More) -> Found;

    /// Takes an answer that the API refuses for its size.
    fn too_large(&self, work: &mut Self::Work, span: Span) -> Option<Found>;

    /// Does the source answer at all? The first question may meet a bad row; the second, before all windows, hardly.
    fn control(&self, before_ms: Option<i64>, without: Vec<String>) -> Step;

    /// The window without what hangs on its rows, where there is a difference.
    fn plain(&self, span: Span, without: Vec<String>) -> Option<Step>;

    /// Whether such an answer to `plain` shows all there is.
    fn is_whole(&self, rows: u64, more: More) -> bool;

    /// Most rows that one answer can hold.
    fn cap(&self) -> u64;

    /// Whether anything is read twice.
    fn rereads(&self) -> bool {
        true
    }

    /// Whether a window may be cut anywhere; else where the one that begins there must end.
    fn border_ms(&self, _from_ms: i64) -> Option<i64> {
        None
    }

    /// Where the last window ends when it is that late.
    fn end_ms(&self, now_ms: i64) -> i64 {
        now_ms
    }
}

/// What an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There is more to ask of the window.
    On,
    /// It has been read whole: so many rows.
    Whole(u64),
    /// One answer does not hold it; it can be halved.
    Misfit,
    /// Nothing that is left to try could read it, and why.
    Stuck(&'static str),
}

/// What the answer under way has shown.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Rows.
    pub rows: u64,
    /// The last one.
    pub last: Option<VersionKey>,
    /// All of them.
    pub(super) digest: Digest,
    /// Time of the oldest. Unit: milliseconds since 1970, UTC.
    pub(super) oldest_ms: Option<i64>,
    /// Time of the newest.
    pub(super) newest_ms: Option<i64>,
    /// Time of the oldest that has not ended.
    pub(super) open_ms: Option<i64>,
    /// Whether they are stored.
    pub(super) stored: bool,
    /// Of what is set aside, by id, those that came after all.
    pub(super) closed: Vec<String>,
}

impl Seen {
    /// One row more.
    pub(super) fn add(&mut self, row: Row<'_>, row_ms: i64, stored: bool) {
        self.rows += 1;
        self.last = Some(row.key);
        self.oldest_ms = earlier(self.oldest_ms, Some(row_ms));
        // What has no time says nothing about how far the windows have come.
        self.newest_ms = self.newest_ms.max((row_ms < i64::MAX).then_some(row_ms));
        self.digest.add(row.key);
        self.stored = stored;
        if row.open && stored && row.time.is_some() {
            self.open_ms = earlier(self.open_ms, Some(row_ms));
        }
    }
}
