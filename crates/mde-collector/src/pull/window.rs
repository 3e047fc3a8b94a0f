//! Closed time windows: each is asked for until one answer holds the whole of it.
//!
//! Paging over rows that move between two pages skips rows; a window answered by one response cannot. So a window that
//! does not fit one answer is halved in time until it does; a full millisecond is split by other fields, and only what
//! is left is paged, pass after pass, until two passes agree.
//!
//! It never asks for what lies before the horizon, and never moves the checkpoint over a window that it has not read whole.

use super::digest::Digest;
use super::horizon;
use super::{
    Answer, Ask, Condition, EMPTY_PAGES, Failure, Machine, More, Now, Outcome, PullError, ROUND_ROWS, Row, Step,
};
use crate::record::VersionKey;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// 100 ns in a millisecond.
const TICKS: i64 = 10_000;
/// Where a first pull starts when the configuration does not say. Unit: milliseconds before now.
const FIRST_SPAN_MS: i64 = 7 * 24 * 3_600_000;
/// Aimed at when the next width is chosen: this part of a page. Unit: percent.
const FILL_PERCENT: i128 = 70;
/// Rows of a full answer that lie this close together are a burst: the window is cut beside it. Unit: milliseconds.
const BURST_MS: i64 = 1_000;
/// Passes over a millisecond that no field splits any further.
const PASSES: usize = 5;

/// What does not change while a stream runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The time that filters.
    pub time: &'static str,
    /// Fields that split what no time can: (field, its known values).
    pub splits: &'static [(&'static str, &'static [&'static str])],
    /// Most rows that one answer can hold.
    pub page_cap: u64,
    /// Re-read before the checkpoint at each pull.
    pub overlap_ms: i64,
    /// Time between two wider re-reads.
    pub sweep_every_ms: i64,
    /// How late a record may become visible and still be found by them.
    pub sweep_back_ms: i64,
    /// Configured start. Unit: milliseconds since 1970, UTC.
    pub historical_ms: Option<i64>,
}

impl Rules {
    /// A sweep reads this far before the checkpoint: what became visible since the last one was at most `back` late.
    #[must_use]
    pub const fn sweep_reach_ms(&self) -> i64 {
        self.sweep_back_ms.saturating_add(self.sweep_every_ms)
    }
}

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
}

/// One stream's windows.
#[derive(Debug)]
pub struct Windows {
    rules: Rules,
    checkpoint_ms: Option<i64>,
    /// `None` before the first pull.
    memory: Option<Memory>,
    pull: Option<Pull>,
    /// Start of the present pull. Unit: milliseconds since 1970, UTC.
    pulled_ms: i64,
}

/// One pull: from somewhere before the checkpoint to now.
#[derive(Debug)]
struct Pull {
    /// Where the next window starts.
    cursor_ms: i64,
    /// Where the last window ends.
    end_ms: i64,
    /// Whether `end_ms` rests on all the clocks that there are.
    sure: bool,
    /// Whether anything was asked yet.
    asked: bool,
    /// Whether this pull is a wider re-read.
    sweep: bool,
    task: Task,
    seen: Seen,
}

/// What the answer under way has shown.
#[derive(Debug, Default, Clone)]
struct Seen {
    rows: u64,
    last: Option<VersionKey>,
    oldest_ms: Option<i64>,
    newest_ms: Option<i64>,
    digest: Digest,
}

/// What is asked for: a window, or a part of a full millisecond.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    from_ms: i64,
    to_ms: i64,
    /// For each split in order: the index of a known value, or their number for "all others and null".
    part: Vec<usize>,
}

#[derive(Debug)]
enum Task {
    /// Nothing under way: the next window starts at the cursor.
    Next,
    /// The whole target in one answer.
    Read { target: Target, rest: VecDeque<Target> },
    /// An empty page had a link: follow it.
    Follow { target: Target, rest: VecDeque<Target>, empty: u32 },
    /// Does the answer end with the row that we took for the last? `last: None`: is there really nothing?
    Probe { target: Target, rest: VecDeque<Target>, rows: u64, last: Option<VersionKey> },
    /// Page through what nothing splits.
    Page { target: Target, rest: VecDeque<Target>, skip: u64, pass: Digest, passes: Vec<Digest> },
}

impl Windows {
    /// `memory` is what an earlier run stored, `checkpoint_ms` likewise.
    #[must_use]
    pub const fn new(rules: Rules, checkpoint_ms: Option<i64>, memory: Option<Memory>) -> Self {
        Self { rules, checkpoint_ms, memory, pull: None, pulled_ms: 0 }
    }
}

impl Machine for Windows {
    fn must_start_again(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| memory.historical_ms != self.rules.historical_ms)
    }

    fn checkpoint_ms(&self) -> Option<i64> {
        self.checkpoint_ms
    }

    fn is_ahead(&self, now_ms: i64) -> bool {
        self.checkpoint_ms.is_some_and(|checkpoint_ms| checkpoint_ms > now_ms.saturating_add(self.rules.overlap_ms))
    }

    fn pulled_ms(&self) -> i64 {
        self.pulled_ms
    }

    fn begin(&mut self, Now { ms: now_ms, sure }: Now) -> Outcome {
        self.pulled_ms = now_ms;
        let mut outcome = Outcome::default();
        let ahead = sure && self.is_ahead(now_ms);
        let first = self.memory.is_none();
        let start_ms = self.rules.historical_ms.unwrap_or(now_ms - FIRST_SPAN_MS);
        let memory = self.memory.get_or_insert(Memory {
            historical_ms: self.rules.historical_ms,
            horizon_ms: start_ms,
            newest_ms: None,
            width_ms: None,
            page_rows: self.rules.page_cap,
            swept_ms: now_ms,
        });
        if first {
            outcome.memory = Some(memory.text());
        }
        let mut checkpoint_ms = self.checkpoint_ms.unwrap_or(memory.horizon_ms);
        if ahead {
            if memory.newest_ms.is_none() {
                // Nothing is stored, so no key is missing: the first start was noted by the same wrong clock.
                memory.horizon_ms = memory.horizon_ms.min(start_ms);
                outcome.memory = Some(memory.text());
            }
            let newest_ms = memory.newest_ms.unwrap_or(now_ms);
            checkpoint_ms = now_ms.min(newest_ms).saturating_sub(self.rules.overlap_ms).max(memory.horizon_ms);
            self.checkpoint_ms = Some(checkpoint_ms);
            outcome.checkpoint_ms = self.checkpoint_ms;
            outcome.backwards = true;
        }
        // A sweep that lies in the future was noted by a clock that has been corrected since.
        let since_ms = now_ms.saturating_sub(memory.swept_ms);
        let sweep = self.checkpoint_ms.is_some()
            && (since_ms >= self.rules.sweep_every_ms || (sure && since_ms < -self.rules.sweep_every_ms));
        let back_ms = match (self.checkpoint_ms, sweep) {
            (None, _) => 0,
            (Some(_), false) => self.rules.overlap_ms,
            (Some(_), true) => self.rules.sweep_reach_ms().max(self.rules.overlap_ms),
        };
        let cursor_ms = checkpoint_ms.saturating_sub(back_ms).max(memory.horizon_ms).min(checkpoint_ms);
        self.pull = Some(Pull {
            cursor_ms,
            end_ms: now_ms,
            sure,
            asked: false,
            sweep,
            task: Task::Next,
            seen: Seen::default(),
        });
        outcome
    }

    /// The end follows the clocks once the API's has spoken.
    fn next(&mut self, Now { ms: now_ms, sure }: Now) -> Option<Step> {
        let width_ms = self.memory.as_ref().and_then(|memory| memory.width_ms).unwrap_or(i64::MAX).max(1);
        let pull = self.pull.as_mut()?;
        if sure && !pull.sure {
            pull.sure = true;
            pull.end_ms = now_ms;
        }
        pull.seen = Seen::default();
        if matches!(pull.task, Task::Next) {
            let (mut from_ms, mut to_ms) = (pull.cursor_ms, pull.cursor_ms.saturating_add(width_ms).min(pull.end_ms));
            if pull.cursor_ms >= pull.end_ms {
                if pull.sure || pull.asked {
                    self.pull = None;
                    return None;
                }
                // Our clock may be far behind, and only an answer tells what time it is at the API.
                (from_ms, to_ms) = (pull.cursor_ms - 1, pull.cursor_ms);
            }
            let target = Target { from_ms, to_ms, part: Vec::new() };
            pull.task = Task::Read { target, rest: VecDeque::new() };
        }
        pull.asked = true;
        let newest = |target: &Target| target.to_ms == pull.end_ms;
        Some(Step::List(match &pull.task {
            Task::Next => return None,
            Task::Read { target, .. } => {
                Ask { conditions: self.rules.conditions(target), whole: true, newest: newest(target), ..Ask::default() }
            }
            Task::Follow { target, .. } => Ask { follow: true, whole: true, newest: newest(target), ..Ask::default() },
            Task::Probe { target, rows, last, .. } => Ask {
                conditions: self.rules.conditions(target),
                top: Some(if last.is_some() { 2 } else { 1 }),
                skip: Some(rows.saturating_sub(1)),
                newest: newest(target),
                ..Ask::default()
            },
            Task::Page { target, skip, passes, .. } => Ask {
                conditions: self.rules.conditions(target),
                // Other borders in each pass: equal borders hide the same row each time.
                top: Some((self.rules.page_cap / (passes.len() as u64 + 1)).max(1)),
                skip: Some(*skip),
                whole: true,
                newest: newest(target),
                ..Ask::default()
            },
        }))
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), PullError> {
        let Some(pull) = self.pull.as_mut() else { return Ok(()) };
        let (Task::Read { target, .. }
        | Task::Follow { target, .. }
        | Task::Probe { target, .. }
        | Task::Page { target, .. }) = &pull.task
        else {
            return Ok(());
        };
        let field = self.rules.time;
        let row_ms = row.time.ok_or(PullError::NoTime { field })?.div_euclid(TICKS);
        if !(target.from_ms..target.to_ms).contains(&row_ms) {
            let Target { from_ms, to_ms, .. } = *target;
            return Err(PullError::FilterIgnored { field, row_ms, from_ms, to_ms });
        }
        pull.seen.rows += 1;
        pull.seen.last = Some(row.key);
        pull.seen.oldest_ms = Some(pull.seen.oldest_ms.map_or(row_ms, |oldest_ms| oldest_ms.min(row_ms)));
        pull.seen.newest_ms = pull.seen.newest_ms.max(Some(row_ms));
        pull.seen.digest.add(row.key);
        Ok(())
    }

    fn answered(&mut self, answer: Answer) -> Result<Outcome, PullError> {
        let Answer::Rows(more) = answer else { return Ok(Outcome::default()) };
        let (Some(pull), Some(memory)) = (self.pull.as_mut(), self.memory.as_mut()) else {
            return Ok(Outcome::default());
        };
        let before = memory.clone();
        let seen = std::mem::take(&mut pull.seen);
        memory.page_rows = memory.page_rows.max(seen.rows);
        if !matches!(pull.task, Task::Probe { .. }) {
            memory.newest_ms = memory.newest_ms.max(seen.newest_ms);
        }
        let cap = self.rules.page_cap;
        let next = match std::mem::replace(&mut pull.task, Task::Next) {
            Task::Next => Next::Nothing,
            Task::Read { target, rest } if seen.rows == 0 => without_rows(target, rest, 1, more),
            Task::Read { target, rest } if more != More::Nothing || seen.rows >= cap => {
                if more != More::Nothing {
                    memory.page_rows = seen.rows;
                }
                Next::Misfit(target, rest)
            }
            Task::Read { target, rest } if seen.rows.is_multiple_of(ROUND_ROWS) => {
                Next::Task(Task::Probe { target, rest, rows: seen.rows, last: seen.last })
            }
            Task::Read { target, rest } => Next::Fits(target, rest, seen.rows),
            Task::Follow { target, rest, .. } if seen.rows > 0 => Next::Misfit(target, rest),
            Task::Follow { target, rest, empty } => without_rows(target, rest, empty + 1, more),
            Task::Probe { target, rest, rows, last } => {
                let ends_there = seen.rows == u64::from(last.is_some()) && seen.last == last;
                if ends_there { Next::Fits(target, rest, rows) } else { Next::Misfit(target, rest) }
            }
            Task::Page { target, rest, skip, mut pass, mut passes } => {
                pass.merge(seen.digest);
                if seen.rows > 0 {
                    Next::Task(Task::Page { target, rest, skip: skip + seen.rows, pass, passes })
                } else if passes.contains(&pass) {
                    Next::Fits(target, rest, pass.count)
                } else {
                    passes.push(pass);
                    if passes.len() >= PASSES {
                        let at_ms = target.from_ms;
                        pull.task = Task::Next;
                        return Err(PullError::Unsettled { at_ms, passes: PASSES as u32 });
                    }
                    Next::Task(Task::Page { target, rest, skip: 0, pass: Digest::default(), passes })
                }
            }
        };
        let mut outcome = Outcome::default();
        match next {
            Next::Nothing => {}
            Next::Task(task) => pull.task = task,
            Next::Misfit(target, rest) => pull.task = misfit(&self.rules, memory, &seen, target, rest),
            Next::Fits(_, mut rest, _) if !rest.is_empty() => {
                if let Some(target) = rest.pop_front() {
                    pull.task = Task::Read { target, rest };
                }
            }
            Next::Fits(target, _, rows) => {
                memory.widen(&target, rows);
                pull.cursor_ms = target.to_ms;
                if self.checkpoint_ms.is_none_or(|checkpoint_ms| target.to_ms > checkpoint_ms) {
                    self.checkpoint_ms = Some(target.to_ms);
                    outcome.checkpoint_ms = self.checkpoint_ms;
                }
                if pull.sweep && pull.cursor_ms >= pull.end_ms {
                    memory.swept_ms = pull.end_ms;
                }
            }
        }
        if let Some(checkpoint_ms) = self.checkpoint_ms {
            memory.horizon_ms = horizon::advance(memory.horizon_ms, checkpoint_ms, memory.newest_ms, &self.rules);
        }
        outcome.forget_before_ms = Some(memory.horizon_ms);
        outcome.memory = (*memory != before).then(|| memory.text());
        Ok(outcome)
    }

    fn failed(&mut self, _failure: &Failure, _now: Now) -> Option<Outcome> {
        None
    }
}

/// Where an answer leads.
enum Next {
    Nothing,
    Task(Task),
    Misfit(Target, VecDeque<Target>),
    Fits(Target, VecDeque<Target>, u64),
}

/// Where the `pages`-th page in a row without rows leads.
fn without_rows(target: Target, rest: VecDeque<Target>, pages: u32, more: More) -> Next {
    match more {
        More::Nothing => Next::Fits(target, rest, 0),
        More::Link if pages <= EMPTY_PAGES => Next::Task(Task::Follow { target, rest, empty: pages }),
        More::Link | More::Elsewhere => Next::Task(Task::Probe { target, rest, rows: 0, last: None }),
    }
}

/// What to do with a target that one answer does not hold.
fn misfit(rules: &Rules, memory: &mut Memory, seen: &Seen, target: Target, mut rest: VecDeque<Target>) -> Task {
    if target.to_ms - target.from_ms > 1 {
        memory.width_ms = Some(cut(&target, seen));
        return Task::Next;
    }
    let Some((_, values)) = rules.splits.get(target.part.len()) else {
        return Task::Page { target, rest, skip: 0, pass: Digest::default(), passes: Vec::new() };
    };
    for choice in (0..=values.len()).rev() {
        let mut part = target.part.clone();
        part.push(choice);
        rest.push_front(Target { part, ..target });
    }
    match rest.pop_front() {
        Some(first) => Task::Read { target: first, rest },
        None => Task::Next,
    }
}

/// The width with which a window that did not fit is tried again: half, or up to or just behind a burst.
///
/// Thousands of rows in one moment would otherwise be read whole once for each of thirty halvings.
fn cut(target: &Target, seen: &Seen) -> i64 {
    let length_ms = target.to_ms - target.from_ms;
    if let (Some(oldest_ms), Some(newest_ms)) = (seen.oldest_ms, seen.newest_ms) {
        let burst_ms = newest_ms - oldest_ms + 1;
        if burst_ms <= BURST_MS && burst_ms <= length_ms / 2 {
            let before_ms = oldest_ms - target.from_ms;
            return if before_ms > 0 { before_ms } else { burst_ms };
        }
    }
    length_ms / 2
}

impl Memory {
    /// As it is stored.
    fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers have a JSON form")
    }

    /// The next width, after a window that fitted: width × min(2, 0.7 · page / rows).
    ///
    /// A window that was shorter than the width only because the pull ended there says nothing about the width.
    fn widen(&mut self, target: &Target, rows: u64) {
        let length_ms = target.to_ms - target.from_ms;
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

impl Rules {
    fn conditions(&self, target: &Target) -> Vec<Condition> {
        let time = Condition::Time { field: self.time, from_ms: target.from_ms, to_ms: target.to_ms };
        let parts = target.part.iter().zip(self.splits).map(|(&choice, &(field, values))| {
            values.get(choice).map_or(Condition::IsNone(field, values), |value| Condition::Is(field, value))
        });
        std::iter::once(time).chain(parts).collect()
    }
}

#[cfg(test)]
mod tests;
