//! A window that fails: is it the source, the window, or what hangs on one of its rows?
//!
//! First a control call: if that fails too, it is an outage. Then the window without what hangs on its rows: if that fails,
//! the window is halved, down to a millisecond, which is set aside; if it works, what hangs on each row is fetched for
//! each alone, and the rows for which that fails are set aside. What is set aside is bounded per hour and in all.

use super::super::{Failure, Gap, More, Outcome, PullError, Step};
use super::{Found, Memory, Seen, Source, Span, Windows, Work};
use std::collections::VecDeque;

/// Rows for which what hangs on them is fetched one by one; a window with more is cut first.
const ONES: usize = 20;

/// How far the search has come.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Does the source answer at all? `second`: asked at the other place.
    Control { second: bool, then: Then },
    /// The window without what hangs on its rows.
    Plain(Plain),
    /// One row after the other.
    Ones(Ones),
}

/// What follows a control call that worked.
#[derive(Debug)]
pub(super) enum Then {
    /// The window is looked at plain.
    Look(Span, String),
    /// The first of these is set aside.
    Skip(Ones, String),
}

/// A window that is asked for plain.
#[derive(Debug)]
pub(super) struct Plain {
    pub span: Span,
    /// Why it was not to be had whole.
    pub reason: String,
    /// Its rows: time and id. Unit: milliseconds since 1970, UTC. At most one answer's.
    pub rows: Vec<(i64, String)>,
}

/// Rows of a window that are asked for one by one.
#[derive(Debug)]
pub(super) struct Ones {
    span: Span,
    /// Those that are left: time and id.
    left: VecDeque<(i64, String)>,
    /// All of them.
    rows: u64,
}

impl Trouble {
    /// What to ask; what the answer before has shown is forgotten.
    pub fn step<S: Source>(&mut self, source: &S, memory: &Memory) -> Step {
        match self {
            Self::Control { second, .. } => {
                let before_ms = second.then_some(memory.horizon_ms);
                source.control(before_ms, if *second { Vec::new() } else { memory.aside.ids() })
            }
            Self::Plain(Plain { span, rows, .. }) => {
                rows.clear();
                let plain = source.plain(*span, memory.aside.inside(*span));
                plain.expect("a window is looked at plain only where that makes a difference")
            }
            Self::Ones(Ones { left, .. }) => {
                let (_, id) = left.front().expect("it is over when none is left");
                Step::One(id.clone())
            }
        }
    }
}

impl<S: Source> Windows<S> {
    /// Takes an answer of the search that was read to its end.
    pub(super) fn eased(
        &mut self,
        trouble: Trouble,
        seen: &Seen,
        more: More,
        outcome: &mut Outcome,
    ) -> Result<(), PullError> {
        match trouble {
            Trouble::Control { then: Then::Look(span, reason), .. } => self.look(span, reason, outcome),
            Trouble::Control { then: Then::Skip(mut ones, reason), .. } => {
                let (at_ms, id) = ones.left.pop_front().expect("the one that failed");
                self.count_given_up();
                self.set_aside(Span { from_ms: at_ms, to_ms: at_ms + 1 }, Some(id), reason, outcome);
                self.ones(ones, outcome)?;
            }
            Trouble::Plain(Plain { span, reason, rows }) => {
                let whole = self.rules.source.is_whole(seen.rows, more);
                if whole && (rows.len() <= ONES || span.length_ms() == 1) {
                    self.ones(Ones { span, rows: seen.rows, left: rows.into() }, outcome)?;
                } else if rows.is_empty() {
                    self.halve(span, reason, outcome);
                } else {
                    self.cut(span, median(span, rows), reason, outcome);
                }
            }
            Trouble::Ones(mut ones) => {
                ones.left.pop_front();
                self.ones(ones, outcome)?;
            }
        }
        Ok(())
    }

    /// Takes a failure. `None`: an outage.
    pub(super) fn worsened(&mut self, failure: &Failure, now_ms: i64, outcome: &mut Outcome) -> Option<()> {
        let (pull, memory) = (self.pull.as_mut()?, self.memory.as_mut()?);
        pull.seen = Seen::default();
        let spent = !memory.aside.has_room(now_ms);
        match (std::mem::replace(&mut pull.work, Work::Next), failure) {
            (Work::Read { span, mut work, again }, Failure::TooLarge) => {
                match self.rules.source.too_large(&mut work, span)? {
                    Found::On => self.pull.as_mut()?.work = Work::Read { span, work, again },
                    found => self.found(found, span, again, &Seen::default(), outcome).ok()?,
                }
            }
            // What was set aside stays so; the next may work.
            (Work::Read { again: true, .. } | Work::Again(_), Failure::Server(_)) => {}
            (Work::Again(id), Failure::NotFound) => memory.aside.close_id(&id),
            (Work::Read { span, .. }, Failure::Server(reason)) if !spent => {
                // Within a window that was cut because it fails, the source is known to answer.
                if span.length_ms() > 1 && pull.cuts.last().is_some_and(|&cut_ms| span.to_ms <= cut_ms) {
                    self.look(span, reason.clone(), outcome);
                } else {
                    self.go_on(Trouble::Control { second: false, then: Then::Look(span, reason.clone()) });
                }
            }
            (Work::Trouble(Trouble::Control { second: false, then }), Failure::Server(_)) => {
                self.go_on(Trouble::Control { second: true, then });
            }
            (Work::Trouble(Trouble::Plain(Plain { span, reason, .. })), Failure::Server(_)) => {
                self.halve(span, reason, outcome);
            }
            (Work::Trouble(Trouble::Ones(ones)), Failure::Server(reason)) if !spent => {
                self.go_on(Trouble::Control { second: false, then: Then::Skip(ones, reason.clone()) });
            }
            (Work::Trouble(Trouble::Ones(mut ones)), Failure::NotFound) => {
                ones.left.pop_front();
                self.ones(ones, outcome).ok()?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Looks at a window that fails while the source answers.
    fn look(&mut self, span: Span, reason: String, outcome: &mut Outcome) {
        if self.rules.source.plain(span, Vec::new()).is_some() {
            self.go_on(Trouble::Plain(Plain { span, reason, rows: Vec::new() }));
        } else {
            self.halve(span, reason, outcome);
        }
    }

    /// The search goes on.
    fn go_on(&mut self, trouble: Trouble) {
        if let Some(pull) = self.pull.as_mut() {
            pull.work = Work::Trouble(trouble);
        }
    }

    /// Goes on with the rows that are left, or the window has been read.
    fn ones(&mut self, ones: Ones, outcome: &mut Outcome) -> Result<(), PullError> {
        if ones.left.is_empty() {
            return self.found(Found::Whole(ones.rows), ones.span, false, &Seen::default(), outcome);
        }
        self.go_on(Trouble::Ones(ones));
        Ok(())
    }

    /// Cuts a window that fails in the middle.
    fn halve(&mut self, span: Span, reason: String, outcome: &mut Outcome) {
        self.cut(span, span.from_ms + span.length_ms() / 2, reason, outcome);
    }

    /// Cuts a window that fails; one that cannot be cut is set aside.
    fn cut(&mut self, span: Span, at_ms: i64, reason: String, outcome: &mut Outcome) {
        if span.length_ms() == 1 || self.rules.source.border_ms(span.from_ms).is_some() {
            self.count_given_up();
            self.set_aside(span, None, reason, outcome);
            self.pass(span, outcome);
        } else if let Some(pull) = self.pull.as_mut() {
            pull.cuts.extend([span.to_ms, at_ms]);
        }
    }

    /// Takes one of the hour's share, which was looked at when the failure came.
    fn count_given_up(&mut self) {
        let there_was_room = self.may_give_up(self.asked_ms);
        debug_assert!(there_was_room, "a failure without room is an outage");
    }

    /// Notes what is given up for now.
    pub(super) fn set_aside(&mut self, span: Span, id: Option<String>, reason: String, outcome: &mut Outcome) {
        let Some(memory) = self.memory.as_mut() else { return };
        let Span { from_ms, to_ms } = span;
        let gap = Gap { from_ms, to_ms, id, reason, since_ms: self.asked_ms };
        memory.aside.add(gap.clone());
        outcome.set_aside.push(gap);
    }
}

/// Where a window with too many rows is cut: at the median row, but never at its edge.
fn median(span: Span, mut rows: Vec<(i64, String)>) -> i64 {
    rows.sort_unstable();
    let middle_ms = rows[rows.len() / 2].0;
    let later_ms = rows.iter().map(|row| row.0).find(|&at_ms| at_ms > span.from_ms).unwrap_or(span.from_ms + 1);
    if middle_ms > span.from_ms { middle_ms } else { later_ms }
}
