//! Windows of a list: one answer without `$top` holds the window, or it is halved.
//!
//! A full millisecond is split by other fields, and only what is left is paged, pass after pass, until two passes agree.

use super::super::digest::Digest;
use super::super::{Ask, Condition, EMPTY_PAGES, More, PullError, ROUND_ROWS, Step, TICKS};
use super::{Found, Seen, Source, Span};
use crate::record::{Mistake, VersionKey};
use std::collections::VecDeque;

/// Passes over a millisecond that no field splits any further.
const PASSES: usize = 5;

/// A list that a time filters, in the words of the service's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The time that filters.
    pub time: &'static str,
    /// Fields that split what no time can: (field, its known values).
    pub splits: &'static [(&'static str, &'static [&'static str])],
    /// Most rows that one answer can hold.
    pub page_cap: u64,
    /// Whether more hangs on its rows, which `$expand` brings along.
    pub expands: bool,
    /// Whether an answer is asked for with `$top` and says how many rows there are; `$skip` reaches no further than this then.
    /// `None`: it is asked for without `$top`, and a link says that there is more.
    pub skip_cap: Option<u64>,
}

/// Where the reading of a window stands.
#[derive(Debug)]
pub struct Reading {
    /// The part that is read: for each split in order the index of a known value, or their number for "all others and
    /// null". Empty: all of the window.
    part: Vec<usize>,
    /// Parts that come after it.
    rest: VecDeque<Vec<usize>>,
    /// Rows of the parts before.
    rows: u64,
    /// What is asked of the part.
    task: Task,
}

/// What is asked.
#[derive(Debug)]
enum Task {
    /// The whole part in one answer.
    Whole,
    /// An empty page had a link: follow it; the how many-th in a row.
    Follow(u32),
    /// Does the answer end with the row that we took for the last? `last: None`: is there really nothing?
    Probe { rows: u64, last: Option<VersionKey> },
    /// Page through what nothing splits.
    Page { skip: u64, pass: Digest, passes: Vec<Digest> },
}

/// What an answer says about a part.
enum Part {
    /// All of it was read: so many rows.
    Whole(u64),
    /// One answer does not hold it.
    Misfit,
    /// There is more to ask.
    Task(Task),
    /// Its rows change in every pass.
    Unsettled,
    /// The API does not page so far.
    TooMany,
    /// Pages without rows link on and on.
    Endless,
}

impl Source for List {
    type Work = Reading;

    fn start(&self, _span: Span) -> Reading {
        Reading { part: Vec::new(), rest: VecDeque::new(), rows: 0, task: Task::Whole }
    }

    fn step(&self, work: &Reading, span: Span, without: Vec<String>, newest: bool) -> Step {
        let conditions = self.conditions(span, &work.part, without);
        let ask = Ask { conditions, whole: true, newest, ..Ask::default() };
        Step::List(match &work.task {
            Task::Whole if self.skip_cap.is_some() => Ask { top: Some(self.page_cap), counted: true, ..ask },
            Task::Whole => ask,
            Task::Follow(_) => Ask { conditions: Vec::new(), follow: true, ..ask },
            Task::Probe { rows, last } => Ask {
                top: Some(if last.is_some() { 2 } else { 1 }),
                skip: Some(rows.saturating_sub(1)),
                whole: false,
                ..ask
            },
            Task::Page { skip, passes, .. } => Ask {
                // Other borders in each pass: equal borders hide the same row each time.
                top: Some((self.page_cap / (passes.len() as u64 + 1)).max(1)),
                skip: Some(*skip),
                ..ask
            },
        })
    }

    fn row(&self, work: &Reading, span: Span, time: Option<i64>) -> Result<(i64, bool), PullError> {
        let field = self.time;
        let row_ms = time.ok_or(PullError::NoTime { field })?.div_euclid(TICKS);
        let Span { from_ms, to_ms } = span;
        if !span.holds(row_ms) {
            return Err(PullError::FilterIgnored { field, row_ms, from_ms, to_ms });
        }
        Ok((row_ms, !matches!(work.task, Task::Probe { .. })))
    }

    fn answered(&self, work: &mut Reading, span: Span, seen: &Seen, more: More) -> Found {
        match self.part(&mut work.task, seen, more) {
            Part::Task(task) => work.task = task,
            Part::Misfit if Mistake::SkipPaging.is_made() => {
                work.task = Task::Page { skip: seen.rows, pass: seen.digest, passes: Vec::new() };
            }
            Part::Unsettled => return Found::Stuck("its rows changed in each of five passes"),
            Part::Endless => return Found::Stuck("pages without rows link on and on"),
            Part::TooMany => return Found::Stuck("more rows in one millisecond than the API can page through"),
            Part::Misfit if span.length_ms() > 1 => return Found::Misfit,
            Part::Misfit => self.split(work),
            Part::Whole(rows) => {
                work.rows += rows;
                let Some(part) = work.rest.pop_front() else { return Found::Whole(work.rows) };
                (work.part, work.task) = (part, Task::Whole);
            }
        }
        Found::On
    }

    fn too_large(&self, work: &mut Reading, span: Span) -> Option<Found> {
        match work.task {
            Task::Whole if span.length_ms() > 1 => Some(Found::Misfit),
            _ => None,
        }
    }

    fn control(&self, before_ms: Option<i64>, without: Vec<String>) -> Step {
        let conditions = match before_ms {
            Some(to_ms) => self.conditions(Span { from_ms: to_ms - 1, to_ms }, &[], without),
            None => excluded(without).into_iter().collect(),
        };
        Step::List(Ask { conditions, top: Some(1), ..Ask::default() })
    }

    fn plain(&self, span: Span, without: Vec<String>) -> Option<Step> {
        self.expands.then(|| Step::List(Ask { conditions: self.conditions(span, &[], without), ..Ask::default() }))
    }

    fn is_whole(&self, rows: u64, more: More) -> bool {
        // Where the answer says how many there are, a round number is no reason for doubt.
        let round = rows > 0 && rows.is_multiple_of(ROUND_ROWS) && self.skip_cap.is_none();
        more == More::Nothing && rows < self.page_cap && !round
    }

    fn cap(&self) -> u64 {
        self.page_cap
    }
}

impl List {
    /// Takes an answer about a part.
    fn part(&self, task: &mut Task, seen: &Seen, more: More) -> Part {
        match std::mem::replace(task, Task::Whole) {
            Task::Whole if seen.rows == 0 => without_rows(1, more),
            Task::Whole if self.is_whole(seen.rows, more) => Part::Whole(seen.rows),
            Task::Whole if more != More::Nothing || seen.rows >= self.page_cap => Part::Misfit,
            Task::Whole => Part::Task(Task::Probe { rows: seen.rows, last: seen.last }),
            Task::Follow(_) if seen.rows > 0 => Part::Misfit,
            Task::Follow(empty) => without_rows(empty + 1, more),
            Task::Probe { rows, last } => {
                // No row, and a link all the same: that says neither that there is nothing nor where the rest is.
                if last.is_none() && seen.rows == 0 && more != More::Nothing {
                    return Part::Endless;
                }
                let ends_there = seen.rows == u64::from(last.is_some()) && seen.last == last;
                if ends_there { Part::Whole(rows) } else { Part::Misfit }
            }
            Task::Page { skip, mut pass, mut passes } => {
                pass.merge(seen.digest);
                if seen.rows > 0 && self.skip_cap.is_some_and(|cap| skip + seen.rows > cap) {
                    return Part::TooMany;
                }
                if seen.rows > 0 {
                    return Part::Task(Task::Page { skip: skip + seen.rows, pass, passes });
                }
                if more != More::Nothing {
                    return Part::Endless;
                }
                if passes.contains(&pass) || Mistake::SkipPaging.is_made() {
                    return Part::Whole(pass.count);
                }
                passes.push(pass);
                if passes.len() >= PASSES {
                    return Part::Unsettled;
                }
                Part::Task(Task::Page { skip: 0, pass: Digest::default(), passes })
            }
        }
    }

    /// Splits a full millisecond by the next field, or begins to page.
    fn split(&self, work: &mut Reading) {
        let Some((_, values)) = self.splits.get(work.part.len()) else {
            work.task = Task::Page { skip: 0, pass: Digest::default(), passes: Vec::new() };
            return;
        };
        for choice in (0..=values.len()).rev() {
            let mut part = work.part.clone();
            part.push(choice);
            work.rest.push_front(part);
        }
        work.part = work.rest.pop_front().expect("one part at least was put there");
    }

    /// The filter of a part.
    fn conditions(&self, Span { from_ms, to_ms }: Span, part: &[usize], without: Vec<String>) -> Vec<Condition> {
        let time = Condition::Time { field: self.time, from_ms, to_ms };
        let parts = part.iter().zip(self.splits).map(|(&choice, &(field, values))| {
            values.get(choice).map_or(Condition::IsNone(field, values), |value| Condition::Is(field, value))
        });
        std::iter::once(time).chain(parts).chain(excluded(without)).collect()
    }
}

/// The filter that leaves entities out.
fn excluded(without: Vec<String>) -> Option<Condition> {
    (!without.is_empty()).then_some(Condition::NotOneOf(without))
}

/// Where the `pages`-th page in a row without rows leads.
fn without_rows(pages: u32, more: More) -> Part {
    match more {
        More::Nothing => Part::Whole(0),
        More::Link if pages <= EMPTY_PAGES => Part::Task(Task::Follow(pages)),
        More::Link | More::Elsewhere => Part::Task(Task::Probe { rows: 0, last: None }),
    }
}
