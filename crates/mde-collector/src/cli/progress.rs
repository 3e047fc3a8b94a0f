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

/// How far something has come: by the moment that it has reached, or by its rows.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// Where the span begins; `None`: rows are what counts. Unit: milliseconds since 1970, UTC.
    since_ms: Option<i64>,
    /// How many rows there are, where that is known.
    rows: Option<u64>,
    begun: Instant,
}

impl Progress {
    /// Of something with that name. `span`: from where to where it is read by time. Unit: milliseconds since 1970, UTC. `rows`: how
    /// many there are, where it is read as a list.
    pub fn new(name: &str, span: Option<(i64, i64)>, rows: Option<u64>) -> Self {
        let length = match span {
            Some((since_ms, until_ms)) => u64::try_from(until_ms.saturating_sub(since_ms)).ok(),
            None => rows,
        };
        let bar = stderr().is_terminal().then(|| {
            let bar = BARS.add(length.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
            let picture = match length {
                Some(_) => "{prefix}  [{bar:24}] {percent:>3} %  {msg}  {eta} left",
                None => "{prefix}  {spinner}  {msg}  {elapsed}",
            };
            let style = ProgressStyle::with_template(picture).expect("the template is ours");
            bar.set_style(style.progress_chars("##-"));
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { bar, since_ms: span.map(|(since_ms, _)| since_ms), rows, begun: Instant::now() }
    }

    /// So many rows have come.
    pub fn rows(&self, count: u64) {
        let Some(bar) = &self.bar else { return };
        bar.set_message(told(count, self.begun.elapsed()));
        if self.since_ms.is_none() && self.rows.is_some() {
            bar.set_position(count);
        }
    }

    /// Everything before that moment has been read. Unit: milliseconds since 1970, UTC.
    pub fn reached(&self, moment_ms: i64) {
        if let (Some(bar), Some(since_ms)) = (&self.bar, self.since_ms) {
            bar.set_position(u64::try_from(moment_ms.saturating_sub(since_ms)).unwrap_or_default());
        }
    }

    /// It is over: the bar goes. Returns how many and how fast, where somebody has been watching.
    pub fn end(self, count: u64) -> Option<String> {
        let bar = self.bar.as_ref()?;
        bar.finish_and_clear();
        BARS.remove(bar);
        Some(told(count, self.begun.elapsed()))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
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
}
