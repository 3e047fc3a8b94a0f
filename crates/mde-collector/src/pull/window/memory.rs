//! What the window machine finds again after a restart.

use super::super::More;
use super::super::poison::Aside;
use super::{Seen, Span};
use serde::{Deserialize, Serialize};

/// Aimed at when the next width is chosen: this part of a page. Unit: percent.
const FILL_PERCENT: i128 = 70;

/// What the machine finds again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The configured start that this epoch began with.
    pub historical_ms: Option<i64>,
    /// No re-read goes before it; keys behind it are forgotten.
    pub horizon_ms: i64,
    /// Time of the newest record stored.
    pub newest_ms: Option<i64>,
    /// Width of the next window; `None`: the whole span.
    pub width_ms: Option<i64>,
    /// Rows that one answer was seen to hold at most; only for the choice of the next width.
    pub page_rows: u64,
    /// When the last sweep ended.
    pub swept_ms: i64,
    /// Time of the oldest entity that had not ended.
    #[serde(default)]
    pub open_ms: Option<i64>,
    /// What could not be read.
    #[serde(default)]
    pub(in super::super) aside: Aside,
}

impl Memory {
    /// Of a stream that goes on where another collector stood at `from_ms`: what lies before was that one's, and is never read.
    #[must_use]
    pub fn taken_over(from_ms: i64, historical_ms: Option<i64>, page_rows: u64, now_ms: i64) -> Self {
        Self {
            historical_ms,
            horizon_ms: from_ms,
            newest_ms: None,
            width_ms: None,
            page_rows,
            swept_ms: now_ms,
            open_ms: None,
            aside: Aside::default(),
        }
    }

    /// As it is stored.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts have a JSON form")
    }

    /// Notes what an answer has shown.
    pub(super) fn note(&mut self, seen: &Seen, more: More) {
        self.page_rows = self.page_rows.max(seen.rows);
        if more != More::Nothing && seen.rows > 0 {
            self.page_rows = seen.rows;
        }
        if seen.stored {
            self.newest_ms = self.newest_ms.max(seen.newest_ms);
        }
        self.open_ms = earlier(self.open_ms, seen.open_ms);
        seen.closed.iter().for_each(|id| self.aside.close_id(id));
    }

    /// The next width, after a window that fitted: width × min(2, 0.7 · page / rows).
    ///
    /// A window that was shorter than the width only because the pull ended there says nothing about the width.
    pub(super) fn widen(&mut self, span: Span, rows: u64) {
        let length_ms = span.length_ms();
        if self.width_ms.is_none_or(|width_ms| length_ms < width_ms) {
            return;
        }
        let length = i128::from(length_ms);
        let aimed = match rows {
            0 => 2 * length,
            _ => i128::from(self.page_rows) * FILL_PERCENT * length / (100 * i128::from(rows)),
        };
        let width = aimed.min(2 * length).clamp(1, i128::from(i64::MAX / 4));
        self.width_ms = i64::try_from(width).ok();
    }
}

/// The earlier of two moments, one of which may be missing.
pub(super) fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}
