//! Closed time windows: each is asked for until one answer holds the whole of it.
//!
//! Paging over rows that move between two pages skips rows; a window answered by one response cannot. So a window that
//! does not fit one answer is halved in time until it does. How one window is asked for, when it fits and what is done
//! where time splits no further is the business of its [`Source`]; what cannot be read at all, of `trouble`.
//!
//! It never asks for what lies before the horizon, and never moves the checkpoint over a window that it has neither read
//! whole nor set aside.

pub mod list;
mod memory;
mod source;
mod trouble;

pub use memory::Memory;
pub use source::{Found, Seen, Source, Span};

use super::poison::Aside;
use super::{Answer, Failure, Gap, Machine, Now, Outcome, PullError, Row, Step, TICKS, horizon};
use crate::record::Mistake;
use list::List;
use memory::earlier;
use trouble::{Plain, Trouble};

/// Where a first pull starts when the configuration does not say. Unit: milliseconds before now.
const FIRST_SPAN_MS: i64 = 7 * 24 * 3_600_000;
/// Rows of a full answer that lie this close together are a burst: the window is cut beside it. Unit: milliseconds.
const BURST_MS: i64 = 1_000;

/// What does not change while a stream runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules<S = List> {
    /// How one window is read.
    pub source: S,
    /// Re-read before the checkpoint at each pull.
    pub overlap_ms: i64,
    /// Time between two wider re-reads.
    pub sweep_every_ms: i64,
    /// How late a record may become visible and still be found by them.
    pub sweep_back_ms: i64,
    /// Each pull begins at the oldest entity that had not ended, at most so long ago; `None`: they are not followed.
    pub open_ms: Option<i64>,
    /// Configured start. Unit: milliseconds since 1970, UTC.
    pub historical_ms: Option<i64>,
    /// Nothing from there on is read, however late it is; `None`: up to now. Unit: milliseconds since 1970, UTC.
    pub until_ms: Option<i64>,
    /// Whether this is the only pull of a run: what is set aside is tried again at once.
    pub once: bool,
}

impl<S: Source> Rules<S> {
    /// A sweep reads this far before the checkpoint: what became visible since the last one was at most `back` late.
    #[must_use]
    pub const fn sweep_reach_ms(&self) -> i64 {
        self.sweep_back_ms.saturating_add(self.sweep_every_ms)
    }

    /// Where the last window ends.
    fn end_ms(&self, now_ms: i64) -> i64 {
        self.source.end_ms(now_ms).min(self.until_ms.unwrap_or(i64::MAX))
    }

    /// The furthest that any re-read goes back. Unit: milliseconds.
    fn reach_ms(&self) -> i64 {
        let widest = self.overlap_ms.max(self.sweep_reach_ms()).max(self.open_ms.unwrap_or(0));
        if self.source.rereads() { widest } else { 0 }
    }
}

/// One stream's windows.
#[derive(Debug)]
pub struct Windows<S: Source = List> {
    rules: Rules<S>,
    checkpoint_ms: Option<i64>,
    /// `None` before the first pull.
    memory: Option<Memory>,
    pull: Option<Pull<S::Work>>,
    /// Start of the present pull. Unit: milliseconds since 1970, UTC.
    pulled_ms: i64,
    /// When the question under way was asked. Unit: milliseconds since 1970, UTC.
    asked_ms: i64,
}

/// One pull: from somewhere before the checkpoint to now.
#[derive(Debug)]
struct Pull<W> {
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
    /// Where windows end that were cut because they fail, the nearest last.
    cuts: Vec<i64>,
    /// What is tried again when the windows are done.
    again: Vec<Gap>,
    /// Time of the oldest entity seen that has not ended.
    open_ms: Option<i64>,
    /// What is under way.
    work: Work<W>,
    /// What the answer under way has shown.
    seen: Seen,
}

/// What is under way.
#[derive(Debug)]
enum Work<W> {
    /// Nothing: the next window starts at the cursor.
    Next,
    /// A window is read; `again`: one that was set aside.
    Read { span: Span, work: W, again: bool },
    /// A window or an entity failed.
    Trouble(Trouble),
    /// An entity that was set aside is read again.
    Again(String),
}

impl<S: Source> Windows<S> {
    /// `memory` is what an earlier run stored, `checkpoint_ms` likewise.
    #[must_use]
    pub const fn new(rules: Rules<S>, checkpoint_ms: Option<i64>, memory: Option<Memory>) -> Self {
        Self { rules, checkpoint_ms, memory, pull: None, pulled_ms: 0, asked_ms: 0 }
    }

    /// What a restart is to find.
    #[must_use]
    pub const fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    /// Whether a bad part more may be given up in this hour; one of its share is taken then.
    pub(super) fn may_give_up(&mut self, now_ms: i64) -> bool {
        self.memory.as_mut().is_some_and(|memory| memory.aside.take(now_ms))
    }

    /// A sweep, a re-read of the overlap, or none; and back to what has not ended. Unit: milliseconds since 1970, UTC.
    fn start_ms(&self, memory: &Memory, checkpoint_ms: i64, now_ms: i64, sweep: bool) -> i64 {
        let back_ms = match self.checkpoint_ms {
            Some(_) if !self.rules.source.rereads() => 0,
            Some(_) if sweep => self.rules.sweep_reach_ms().max(self.rules.overlap_ms),
            Some(_) if Mistake::NoOverlap.is_made() => 0,
            Some(_) => self.rules.overlap_ms,
            None => 0,
        };
        let open_ms = self.rules.open_ms.zip(memory.open_ms).map(|(most, open)| open.max(now_ms.saturating_sub(most)));
        let start_ms = checkpoint_ms.saturating_sub(back_ms);
        open_ms.map_or(start_ms, |open_ms| open_ms.min(start_ms)).max(memory.horizon_ms).min(checkpoint_ms)
    }
}

impl<S: Source> Machine for Windows<S> {
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

    fn gaps(&self) -> Vec<Gap> {
        self.memory.as_ref().map(|memory| memory.aside.gaps().to_vec()).unwrap_or_default()
    }

    fn begin(&mut self, Now { ms: now_ms, sure }: Now) -> Outcome {
        self.pulled_ms = now_ms;
        let mut outcome = Outcome::default();
        let ahead = sure && self.is_ahead(now_ms);
        let start_ms = self.rules.historical_ms.unwrap_or(now_ms - FIRST_SPAN_MS);
        let before = self.memory.take();
        let mut memory = before.clone().unwrap_or_else(|| Memory {
            historical_ms: self.rules.historical_ms,
            horizon_ms: start_ms,
            newest_ms: None,
            width_ms: None,
            page_rows: self.rules.source.cap(),
            swept_ms: now_ms,
            open_ms: None,
            aside: Aside::default(),
        });
        let mut checkpoint_ms = self.checkpoint_ms.unwrap_or(memory.horizon_ms);
        if ahead {
            if memory.newest_ms.is_none() {
                // Nothing is stored, so no key is missing: the first start was noted by the same wrong clock.
                memory.horizon_ms = memory.horizon_ms.min(start_ms);
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
        self.pull = Some(Pull {
            cursor_ms: self.start_ms(&memory, checkpoint_ms, now_ms, sweep),
            end_ms: self.rules.end_ms(now_ms),
            sure,
            asked: false,
            sweep,
            cuts: Vec::new(),
            again: memory.aside.again(now_ms, self.rules.once),
            open_ms: None,
            work: Work::Next,
            seen: Seen::default(),
        });
        outcome.memory = (before.as_ref() != Some(&memory)).then(|| memory.text());
        self.memory = Some(memory);
        outcome
    }

    /// The end follows the clocks once the API's has spoken.
    fn next(&mut self, Now { ms: now_ms, sure }: Now) -> Option<Step> {
        self.asked_ms = now_ms;
        let (rules, memory, pull) = (&self.rules, self.memory.as_ref()?, self.pull.as_mut()?);
        if sure && !pull.sure {
            pull.sure = true;
            pull.end_ms = rules.end_ms(now_ms);
        }
        pull.seen = Seen::default();
        if matches!(pull.work, Work::Next) {
            let width_ms = memory.width_ms.unwrap_or(i64::MAX).max(1);
            let Some(work) = pull.begin(&rules.source, &memory.aside, width_ms) else {
                self.pull = None;
                return None;
            };
            pull.work = work;
        }
        pull.asked = true;
        Some(match &mut pull.work {
            Work::Next => return None,
            Work::Read { span, work, .. } => {
                rules.source.step(work, *span, memory.aside.inside(*span), span.to_ms == pull.end_ms)
            }
            Work::Trouble(trouble) => trouble.step(&rules.source, memory),
            Work::Again(id) => Step::One(id.clone()),
        })
    }

    fn row(&mut self, row: Row<'_>) -> Result<Option<i64>, PullError> {
        let (Some(pull), Some(memory)) = (self.pull.as_mut(), self.memory.as_ref()) else { return Ok(None) };
        let source = &self.rules.source;
        let (row_ms, stored) = match &mut pull.work {
            Work::Read { span, work, .. } => source.row(work, *span, row.time)?,
            Work::Trouble(Trouble::Plain(Plain { span, rows, .. })) => {
                let (row_ms, _) = source.row(&source.start(*span), *span, row.time)?;
                rows.push((row_ms, row.id.to_owned()));
                (row_ms, false)
            }
            Work::Trouble(Trouble::Control { .. }) | Work::Next => return Ok(None),
            // One that is asked for by its id may have changed meanwhile.
            Work::Trouble(Trouble::Ones(_)) | Work::Again(_) => {
                (row.time.map_or(i64::MAX, |time| time.div_euclid(TICKS)), true)
            }
        };
        pull.seen.add(row, row_ms, stored);
        if stored && memory.aside.names(row.id) {
            pull.seen.closed.push(row.id.to_owned());
        }
        Ok(stored.then_some(row_ms))
    }

    fn answered(&mut self, answer: Answer) -> Result<Outcome, PullError> {
        let Answer::Rows(more) = answer else { return Ok(Outcome::default()) };
        let (Some(pull), Some(memory)) = (self.pull.as_mut(), self.memory.as_mut()) else {
            return Ok(Outcome::default());
        };
        let (before, mut outcome) = (memory.clone(), Outcome::default());
        let seen = std::mem::take(&mut pull.seen);
        memory.note(&seen, more);
        pull.open_ms = earlier(pull.open_ms, seen.open_ms);
        match std::mem::replace(&mut pull.work, Work::Next) {
            Work::Next => {}
            Work::Read { span, mut work, again } => match self.rules.source.answered(&mut work, span, &seen, more) {
                Found::On => pull.work = Work::Read { span, work, again },
                found => self.found(found, span, again, &seen, &mut outcome)?,
            },
            Work::Trouble(trouble) => self.eased(trouble, &seen, more, &mut outcome)?,
            Work::Again(id) => memory.aside.close_id(&id),
        }
        Ok(self.closing(&before, outcome))
    }

    fn failed(&mut self, failure: &Failure, now: Now) -> Option<Outcome> {
        let before = self.memory.clone()?;
        let mut outcome = Outcome::default();
        self.worsened(failure, now.ms, &mut outcome)?;
        Some(self.closing(&before, outcome))
    }
}

impl<S: Source> Windows<S> {
    /// Takes what an answer to a window came to.
    fn found(
        &mut self,
        found: Found,
        span: Span,
        again: bool,
        seen: &Seen,
        outcome: &mut Outcome,
    ) -> Result<(), PullError> {
        let Some(memory) = self.memory.as_mut() else { return Ok(()) };
        match found {
            Found::On => {}
            Found::Whole(_) if again => memory.aside.close(span),
            Found::Whole(rows) => {
                memory.widen(span, rows);
                self.pass(span, outcome);
            }
            Found::Misfit | Found::Stuck(_) if again => {}
            Found::Misfit => memory.width_ms = Some(cut(span, seen)),
            Found::Stuck(reason) => {
                let Span { from_ms, to_ms } = span;
                if !self.may_give_up(self.asked_ms) {
                    return Err(PullError::Unreadable { from_ms, to_ms, reason });
                }
                self.set_aside(span, None, reason.to_owned(), outcome);
                self.pass(span, outcome);
            }
        }
        Ok(())
    }

    /// The window is behind us: cursor and checkpoint move.
    fn pass(&mut self, span: Span, outcome: &mut Outcome) {
        let (Some(pull), Some(memory)) = (self.pull.as_mut(), self.memory.as_mut()) else { return };
        let forward = span.to_ms > pull.cursor_ms;
        pull.cursor_ms = memory.aside.behind(span.to_ms).min(pull.end_ms).max(span.to_ms);
        if self.checkpoint_ms.is_none_or(|checkpoint_ms| pull.cursor_ms > checkpoint_ms) {
            self.checkpoint_ms = Some(pull.cursor_ms);
            outcome.checkpoint_ms = self.checkpoint_ms;
        }
        if forward && pull.cursor_ms >= pull.end_ms {
            if pull.sweep {
                memory.swept_ms = pull.end_ms;
            }
            // All that have not ended were seen by this pull, which began at the oldest of them.
            memory.open_ms = pull.open_ms;
        }
    }

    /// What is committed with the answer.
    fn closing(&mut self, before: &Memory, mut outcome: Outcome) -> Outcome {
        let Some(memory) = self.memory.as_mut() else { return outcome };
        if let Some(checkpoint_ms) = self.checkpoint_ms {
            let reach_ms = self.rules.reach_ms();
            memory.horizon_ms = horizon::advance(memory.horizon_ms, checkpoint_ms, memory.newest_ms, reach_ms);
        }
        outcome.forget_before_ms = Some(memory.horizon_ms);
        if let (true, Some(checkpoint_ms)) = (Mistake::KeysForgotten.is_made(), self.checkpoint_ms) {
            outcome.forget_before_ms = Some(checkpoint_ms - self.rules.overlap_ms);
        }
        outcome.keep = memory.aside.spans();
        outcome.memory = (*memory != *before).then(|| memory.text());
        outcome
    }
}

impl<W> Pull<W> {
    /// The next window, or what is tried again after the last of them.
    fn begin<S: Source<Work = W>>(&mut self, source: &S, aside: &Aside, width_ms: i64) -> Option<Work<W>> {
        self.cursor_ms = aside.behind(self.cursor_ms);
        let from_ms = self.cursor_ms;
        self.cuts.retain(|&cut_ms| cut_ms > from_ms);
        let span = if from_ms < self.end_ms {
            let free_ms = source.border_ms(from_ms).unwrap_or_else(|| from_ms.saturating_add(width_ms));
            let cut_ms = self.cuts.last().copied().unwrap_or(i64::MAX);
            Span { from_ms, to_ms: free_ms.min(self.end_ms).min(cut_ms).min(aside.before(from_ms)) }
        } else if !self.sure && !self.asked && source.rereads() {
            // Our clock may be far behind, and only an answer tells what time it is at the API.
            Span { from_ms: from_ms - 1, to_ms: from_ms }
        } else {
            let gap = self.again.pop()?;
            let span = Span { from_ms: gap.from_ms, to_ms: gap.to_ms };
            return Some(match gap.id {
                Some(id) => Work::Again(id),
                None => Work::Read { span, work: source.start(span), again: true },
            });
        };
        Some(Work::Read { span, work: source.start(span), again: false })
    }
}

/// The width with which a window that did not fit is tried again: half, or up to or just behind a burst.
///
/// Thousands of rows in one moment would otherwise be read whole once for each of thirty halvings.
fn cut(span: Span, seen: &Seen) -> i64 {
    let length_ms = span.length_ms();
    if let (Some(oldest_ms), Some(newest_ms)) = (seen.oldest_ms, seen.newest_ms) {
        let burst_ms = newest_ms - oldest_ms + 1;
        if burst_ms <= BURST_MS && burst_ms <= length_ms / 2 {
            let before_ms = oldest_ms - span.from_ms;
            return if before_ms > 0 { before_ms } else { burst_ms };
        }
    }
    length_ms / 2
}

#[cfg(test)]
mod tests;
