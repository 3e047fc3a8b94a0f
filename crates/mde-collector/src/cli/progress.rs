//! A progress bar on stderr where that is a terminal, and lines of the log that it does not tear.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::Instant;

/// All bars of the process: whoever writes to stderr moves them out of the way.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// Time between two pictures while nothing happens, so that the time that has passed moves.
const TICK: Duration = Duration::from_millis(500);

/// stderr above the bars.
#[derive(Debug, Clone, Copy, Default)]
pub struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| stderr().write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// How far something has come: by its rows where their number is known, else by the moment that it has reached.
pub struct Progress {
    bar: Option<ProgressBar>,
    measure: Measure,
    begun: Instant,
}

/// What shows how far something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Nothing.
    None,
    /// So many rows are expected.
    Rows(u64),
    /// It is read by time, from and to. Unit: milliseconds since 1970, UTC.
    Span(i64, i64),
}

impl Progress {
    /// Of something with that name.
    pub fn new(name: &str, measure: Measure) -> Self {
        let length = match measure {
            Measure::None => None,
            Measure::Rows(rows) => Some(rows),
            Measure::Span(from_ms, to_ms) => u64::try_from(to_ms.saturating_sub(from_ms)).ok(),
        };
        let bar = stderr().is_terminal().then(|| {
            let bar = BARS.add(length.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
            let picture = match length {
                Some(_) => "{prefix}  [{bar:24}] {percent:>3} %  {msg}",
                None => "{prefix}  {spinner}  {msg}",
            };
            let style = ProgressStyle::with_template(picture).expect("the template is ours");
            bar.set_style(style.progress_chars("##-"));
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { bar, measure, begun: Instant::now() }
    }

    /// So many rows have come.
    pub fn rows(&self, count: u64) {
        let Some(bar) = &self.bar else { return };
        if let Measure::Rows(_) = self.measure {
            bar.set_position(count);
        }
        let elapsed = self.begun.elapsed();
        let left = bar.length().and_then(|length| left(elapsed, bar.position(), length));
        let left = left.map_or_else(String::new, |left| format!(", {} s left", left.as_secs()));
        bar.set_message(told(count, elapsed) + &left);
    }

    /// Everything before that moment has been read. Unit: milliseconds since 1970, UTC.
    pub fn reached(&self, moment_ms: i64) {
        if let (Some(bar), Measure::Span(from_ms, _)) = (&self.bar, self.measure) {
            bar.set_position(u64::try_from(moment_ms.saturating_sub(from_ms)).unwrap_or_default());
        }
    }

    /// It is over: the bar goes. Returns how many and how fast, where somebody has been watching.
    pub fn end(self, count: u64) -> Option<String> {
        self.bar.as_ref().map(|_| told(count, self.begun.elapsed()))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            BARS.remove(bar);
        }
    }
}

/// How long the rest takes if it goes on as it has gone; `None` before anything has been done.
fn left(elapsed: Duration, done: u64, all: u64) -> Option<Duration> {
    (done > 0).then(|| elapsed.mul_f64(all.saturating_sub(done) as f64 / done as f64))
}

/// Rows, and how many of them come in a second.
fn told(count: u64, elapsed: Duration) -> String {
    format!("{count} rows, {:.0}/s", count as f64 / elapsed.as_secs_f64().max(0.001))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_rows_by_the_second_also_before_any_time_has_passed() {
        assert_eq!(told(5_000, Duration::from_secs(2)), "5000 rows, 2500/s");
        assert_eq!(told(0, Duration::ZERO), "0 rows, 0/s");
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_done_and_nobody_knows_at_the_beginning() {
        let elapsed = Duration::from_secs(10);
        assert_eq!(left(elapsed, 25, 100), Some(Duration::from_secs(30)));
        assert_eq!((left(elapsed, 120, 100), left(elapsed, 0, 100)), (Some(Duration::ZERO), None));
    }
}
