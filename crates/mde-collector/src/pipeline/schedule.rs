//! When a stream is pulled: at once, then each period, or at multiples of it; later after a failure.

use super::clock::Clock;
use super::drive::Puller;
use super::gate::Gate;
use super::retry::{PipelineError, pause};
use super::rotate::Reasons;
use super::source::Source;
use super::start::Start;
use crate::record::{ErrorClass, StreamKey, ms};
use crate::status::{Health, LastPull, PullEnd, Pulled, Word};
use crate::telemetry::pull::{self as events, Report};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// When a stream is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Time between two pulls.
    pub period: Duration,
    /// Pulls start at multiples of the period since 1970.
    pub slots: bool,
    /// One pull, and no more.
    pub once: bool,
}

impl Schedule {
    /// As the service's section says.
    pub const fn of(source: &Source, once: bool) -> Self {
        Self { period: source.period, slots: source.service.time_slots, once }
    }

    /// How long to wait after a pull that took `elapsed` and ended at `now_ms`.
    fn wait(&self, elapsed: Duration, now_ms: i64) -> Duration {
        if !self.slots {
            return self.period.saturating_sub(elapsed);
        }
        let period = ms(self.period).max(1);
        Duration::from_millis(u64::try_from(period - now_ms.rem_euclid(period)).unwrap_or_default())
    }
}

/// Pulls a stream until told to stop, or once.
///
/// # Errors
/// What ended it: with `once` the first pull that failed for more than the store's passing fault; else only what no
/// later pull can mend, and a refusal where every stream of a run that begins is refused.
pub async fn stream(
    mut puller: Puller,
    schedule: Schedule,
    (gate, clock): (&Gate, &dyn Clock),
    (mut stop, mut reasons, mut start): (watch::Receiver<bool>, Reasons, Start),
    news: &watch::Sender<u64>,
) -> Result<bool, PipelineError> {
    let mut failures = 0;
    let board = gate.board().clone();
    board.stream(puller.stream(), |note| note.say(Word::Starting));
    if !schedule.once {
        let mut due = puller.due_in().await?.min(schedule.period);
        if due > Duration::ZERO {
            board.stream(puller.stream(), |note| {
                note.say(Word::Waiting);
                note.next_ms = Some(clock.wall_ms().saturating_add(ms(due)));
            });
            // Whether there is any use in waiting.
            let ahead = tokio::select! { _ = stop.changed() => return Ok(true), ahead = puller.look_ahead() => ahead };
            if ahead.is_err_and(|error| error.is_denied()) {
                // A pull tells why, or that it was so for a moment only.
                due = Duration::ZERO;
            } else {
                start.tell(false);
            }
        }
        tokio::select! {
            _ = stop.changed() => return Ok(true),
            () = sleep(due) => {}
        }
    }
    loop {
        let (started, began_ms) = (Instant::now(), clock.wall_ms());
        // What comes while it pulls may come too late for it.
        reasons.forget();
        let mut refused = None;
        // One that goes on after a failure says so only once it has got somewhere.
        if failures == 0 {
            board.stream(puller.stream(), |note| note.say(Word::Pulling));
        }
        let pulled = tokio::select! {
            pulled = puller.pull() => pulled,
            _ = stop.changed() => return Ok(true),
        };
        news.send_modify(|count| *count += 1);
        board.ended(PullEnd {
            stream: puller.stream().clone(),
            began_ms,
            took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            came_to: pulled.as_ref().ok().map(last_pull),
            error: pulled.as_ref().err().map(ToString::to_string),
        });
        let wait = match pulled {
            Ok(report) => {
                failures = 0;
                start.tell(false);
                let was = pulled_by(&puller, &report, clock.wall_ms());
                board.stream(puller.stream(), |note| {
                    note.last_pull = Some(last_pull(&report));
                    note.say(Word::Current);
                    tell(puller.stream(), &mut note.health, was);
                });
                let elapsed = started.elapsed();
                let wait = (!schedule.once).then(|| schedule.wait(elapsed, clock.wall_ms()));
                events::finished(puller.stream(), &report, elapsed, wait);
                match wait {
                    Some(wait) => wait,
                    None => return Ok(report.gaps == 0),
                }
            }
            Err(PipelineError::Store(error)) => {
                let wait = gate.store_failed(&error);
                let error = PipelineError::from(error);
                note(gate, &puller, &error);
                match wait {
                    Some(wait) => wait,
                    None => return Err(error),
                }
            }
            Err(error) => {
                failures += 1;
                start.tell(error.is_denied() && !puller.answered());
                note(gate, &puller, &error);
                let wait = pause(&error, failures);
                events::ended_early(puller.stream(), &error, error.advice(), wait);
                if schedule.once || error.class() == ErrorClass::Fatal {
                    return Err(error);
                }
                refused = Some(error).filter(PipelineError::is_denied);
                wait
            }
        };
        board.stream(puller.stream(), |note| note.next_ms = Some(clock.wall_ms().saturating_add(ms(wait))));
        tokio::select! {
            _ = stop.changed() => return Ok(true),
            () = sleep(wait) => {}
            () = reasons.next(), if refused.is_some() => {}
            () = start.hopeless(), if refused.is_some() => {}
        }
        if !start.asks_again() {
            return refused.map_or(Ok(true), Err);
        }
    }
}

/// What a whole pull was like.
fn pulled_by(puller: &Puller, report: &Report, now_ms: i64) -> Pulled {
    let source = puller.source();
    let new = if source.is_snapshot() { report.rows } else { report.events };
    let Report { events, checkpoint_ms, late_ms, .. } = *report;
    Pulled { now_ms, checkpoint_ms, arrived: new > 0, events, late_ms, overlap_ms: ms(source.overlap()) }
}

/// Takes it to what is known of the stream's pulls, and tells what has become odd by it, or ordinary again.
fn tell(stream: &StreamKey, health: &mut Health, was: Pulled) {
    let before = health.notices(was.now_ms);
    health.pulled(was);
    let after = health.notices(was.now_ms);
    for notice in after.iter().filter(|notice| !before.contains(notice)) {
        events::notice(stream, notice.name(), notice.advice());
    }
    for notice in before.iter().filter(|notice| !after.contains(notice)) {
        events::notice_over(stream, notice.name());
    }
}

/// Notes what has ended a pull.
fn note(gate: &Gate, puller: &Puller, error: &PipelineError) {
    gate.board().stream(puller.stream(), |note| note.fail(error.word(), error.to_string(), error.advice()));
}

/// What of a pull is told later.
const fn last_pull(report: &Report) -> LastPull {
    let Report { requests, rows, events, repeated, .. } = *report;
    LastPull { requests, rows, events, repeated }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_pull_comes_a_period_after_the_last_one_began() {
        let schedule = Schedule { period: MINUTE, slots: false, once: false };
        assert_eq!(schedule.wait(Duration::from_secs(5), 0), Duration::from_secs(55));
        assert_eq!(schedule.wait(Duration::from_secs(90), 0), Duration::ZERO);
    }

    #[test]
    fn with_slots_a_pull_comes_at_the_next_multiple_of_the_period() {
        let schedule = Schedule { period: MINUTE, slots: true, once: false };
        assert_eq!(schedule.wait(Duration::from_secs(5), 120_500), Duration::from_millis(59_500));
        assert_eq!(
            schedule.wait(Duration::from_secs(5), 120_000),
            MINUTE,
            "the slot that has begun is this pull's own"
        );
    }
}
