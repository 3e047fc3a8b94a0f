//! How many calls pulls will make: the machines themselves, asked about a source that holds still.
//!
//! Nothing here knows how a machine asks, so what is foretold cannot differ from what is done but by what happens meanwhile:
//! rows that move, answers that fail.

use super::{Answer, Ask, Condition, Machine, More, Now, PullError, Row, Sightings, Step, TICKS};
use crate::record::VersionKey;

/// Unit: milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

/// A source that holds still: its rows came evenly and do not change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Still {
    /// Rows of the whole list.
    pub rows: u64,
    /// Rows whose time lies in one day.
    pub per_day: f64,
    /// Most rows of one answer.
    pub cap: u64,
}

/// Calls foretold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Of the first pull, which is all that `--once` does.
    pub first: u64,
    /// Of all pulls in the day after it.
    pub day: u64,
    /// Of the largest of those.
    pub largest: u64,
}

/// Runs a new machine through its first pull and a day of pulls.
///
/// # Errors
/// A source that it does not read, which a still one never is.
pub fn forecast(machine: &mut dyn Machine, source: &Still, now_ms: i64, period_ms: i64) -> Result<Forecast, PullError> {
    let mut forecast = Forecast { first: pull(machine, source, now_ms)?, ..Forecast::default() };
    let period_ms = period_ms.clamp(1_000, DAY_MS);
    for number in 1..=DAY_MS / period_ms {
        let calls = pull(machine, source, now_ms + number * period_ms)?;
        forecast.day += calls;
        forecast.largest = forecast.largest.max(calls);
    }
    Ok(forecast)
}

/// Calls of one pull.
fn pull(machine: &mut dyn Machine, source: &Still, now_ms: i64) -> Result<u64, PullError> {
    let now = Now { ms: now_ms, sure: true };
    let mut calls = 0;
    let mut link = 0;
    machine.begin(now);
    while let Some(step) = machine.next(now) {
        let answer = match step {
            Step::List(ask) => {
                calls += 1;
                let (rows, more) = source.answer(&ask, &mut link);
                source.give(machine, rows)?;
                Answer::Rows(more)
            }
            Step::Slice(slice) => {
                calls += 1;
                // One answer holds what is sliced by time, as queries are meant to be.
                if slice.span.is_none() {
                    source.give(machine, source.part(slice.part.unwrap_or((0, 1))))?;
                }
                Answer::Rows(More::Nothing)
            }
            Step::One(_) => {
                calls += 1;
                Answer::Rows(More::Nothing)
            }
            Step::CountAbsent { .. } => Answer::Absent { absent: 0, known: source.rows },
            Step::RemoveAbsent { .. } => Answer::Removed,
        };
        machine.answered(answer)?;
    }
    Ok(calls)
}

impl Still {
    /// The numbers of the rows of an answer, and whether a link leads to more. `link`: where the last one leads.
    fn answer(&self, ask: &Ask, link: &mut u64) -> (std::ops::Range<u64>, More) {
        let window = ask.conditions.iter().find_map(|condition| match condition {
            Condition::Time { from_ms, to_ms, .. } => Some((self.before(*from_ms), self.before(*to_ms))),
            _ => None,
        });
        let (first, end) = window.unwrap_or((0, self.rows));
        let skip = if ask.follow { *link } else { ask.skip.unwrap_or(0) };
        let start = first.saturating_add(skip).min(end);
        let stop = start.saturating_add(ask.top.unwrap_or(self.cap).min(self.cap)).min(end);
        // Only lists without `$top` have links.
        if ask.top.is_none() && stop < end {
            *link = stop - first;
            return (start..stop, More::Link);
        }
        // An answer that is counted says how many more there are.
        let more = if ask.counted && stop < end { More::Elsewhere } else { More::Nothing };
        (start..stop, more)
    }

    /// The numbers of the rows of a query's answer to one part of so many.
    const fn part(&self, (part, parts): (u64, u64)) -> std::ops::Range<u64> {
        let (start, stop) = (self.rows * part / parts, self.rows * (part + 1) / parts);
        let full = start + self.cap;
        start..if stop < full { stop } else { full }
    }

    /// Hands rows over. A snapshot that is complete knows all of them.
    fn give(&self, machine: &mut dyn Machine, rows: std::ops::Range<u64>) -> Result<(), PullError> {
        let fresh = machine.snapshot().map_or(0, |snapshot| snapshot.number);
        let mut sightings = Sightings::default();
        for number in rows {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&number.to_le_bytes());
            let time = Some(self.time_ms(number).saturating_mul(TICKS));
            machine.row(Row { key: VersionKey(key), id: "", time, open: false })?;
            // A still list never shows a later walk what the first one missed.
            sightings.repeated += u64::from(fresh > 0);
        }
        machine.sighted(&sightings);
        Ok(())
    }

    /// Rows whose time lies before that moment.
    fn before(&self, ms: i64) -> u64 {
        (ms as f64 * self.per_day / DAY_MS as f64).ceil().max(0.0) as u64
    }

    /// The time of a row. Unit: milliseconds since 1970, UTC.
    fn time_ms(&self, number: u64) -> i64 {
        if self.per_day > 0.0 { (number as f64 * DAY_MS as f64 / self.per_day) as i64 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{HOUR, NOW, alert_rules};
    use super::super::parts::Answers;
    use super::super::snapshot::{Rules, Snapshots};
    use super::super::walk::Walk;
    use super::super::window::Windows;
    use super::*;

    fn snapshot(rows: u64, cap: u64) -> Forecast {
        let rules = Rules { cap, period_ms: HOUR, tombstones: false, historical_ms: None };
        let mut machine = Snapshots::<Walk>::new(rules, None);
        forecast(&mut machine, &Still { rows, per_day: 0.0, cap }, NOW, HOUR).expect("it holds still")
    }

    #[test]
    fn a_list_that_fits_one_answer_is_one_call_and_a_longer_one_is_walked_twice() {
        assert_eq!(snapshot(50, 10_000), Forecast { first: 1, day: 24, largest: 1 });
        // Three pages; then half a page, two whole ones and the last row.
        assert_eq!(snapshot(25_001, 10_000).first, 3 + 4);
        let large = snapshot(100_001, 10_000);
        assert_eq!(large.day, 24 * large.largest);
        assert!((21..=23).contains(&large.first), "{large:?}");
    }

    #[test]
    fn a_table_is_one_call_and_a_larger_one_than_an_answer_holds_is_halved_until_each_part_fits() {
        let calls = |rows| {
            let rules = Rules { cap: 100_000, period_ms: HOUR, tombstones: false, historical_ms: None };
            let mut machine = Answers::new(rules, None);
            let still = Still { rows, per_day: 0.0, cap: 100_000 };
            forecast(&mut machine, &still, NOW, HOUR).expect("it holds still").first
        };
        assert_eq!((calls(0), calls(60_001), calls(150_002)), (1, 1, 3));
        // All of it, two halves, four quarters of which each fits.
        assert_eq!(calls(390_002), 1 + 2 + 4);
    }

    #[test]
    fn an_alert_poll_is_a_call_a_period_and_a_sweep_now_and_then() {
        let mut machine = Windows::new(alert_rules(10_000), None, None);
        let source = Still { rows: 14_000, per_day: 2_003.0, cap: 10_000 };
        let foretold = forecast(&mut machine, &source, NOW, 60_000).expect("it holds still");
        assert!((2..=4).contains(&foretold.first), "{foretold:?}");
        // 1,440 polls; a sweep is one of them; a round number of rows is probed.
        assert!((1_440..=1_490).contains(&foretold.day), "{foretold:?}");
    }
}
