//! Events of the pull half.

use super::metrics::{self, EVENTS, LATE, RECORDS, REPEATED, REQUESTS, SNAPSHOTS, THROTTLED};
use super::{cause, ms};
use crate::record::StreamKey;
use std::error::Error;
use std::time::Duration;
use tracing::{info, warn};

/// What a pull came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests answered whole.
    pub requests: u64,
    /// Rows in them.
    pub rows: u64,
    /// Events stored.
    pub events: u64,
    /// Rows whose version was stored already.
    pub repeated: u64,
    /// What is set aside or otherwise not read whole, at the end of the pull.
    pub gaps: u64,
    /// Everything before it has been read, at the end of the pull. Unit: milliseconds since 1970, UTC.
    pub checkpoint_ms: Option<i64>,
    /// Its `@devo_pulling_id`. Unit: milliseconds since 1970, UTC.
    pub pulled_ms: i64,
    /// How far behind the checkpoint of the pull's beginning the latest newcomer lay. Unit: milliseconds.
    pub late_ms: i64,
}

/// A part of a pull has been stored; two reports tell its size, and no line is worth it.
pub fn progressed(stream: &StreamKey, before: &Report, after: &Report) {
    let labels = [&*stream.tenant, &*stream.service];
    let counters = [(&RECORDS, before.rows, after.rows), (&EVENTS, before.events, after.events)];
    for (metric, before, after) in counters.into_iter().chain([(&REPEATED, before.repeated, after.repeated)]) {
        metrics::add(metric, &labels, after.saturating_sub(before));
    }
}

/// A new record lay so far behind the checkpoint. Unit: milliseconds.
pub fn came_late(stream: &StreamKey, late_ms: i64) {
    let seconds = late_ms.max(0).unsigned_abs().div_ceil(1_000);
    metrics::observe(&LATE, &[&stream.tenant, &stream.service], seconds);
}

/// The API has answered a request, or not at all (0). `tenant`: `id` of the input.
pub fn answered(tenant: &str, status: u16) {
    metrics::add(&REQUESTS, &[tenant, &status.to_string()], 1);
    metrics::add(&THROTTLED, &[tenant], u64::from(status == 429));
}

/// Something is odd about a stream's pulls.
pub fn notice(stream: &StreamKey, notice: &str, advice: &str) {
    warn!(%stream, notice, advice, "something is odd although no pull fails");
}

/// It is not any more.
pub fn notice_over(stream: &StreamKey, notice: &str) {
    info!(%stream, notice, "this is no longer odd");
}

/// A pull has reached its end; the next one comes after `wait`, where there is one.
///
/// The second line is in the words of the official collector, since there are searches and alerts that look for them.
pub fn finished(stream: &StreamKey, report: &Report, elapsed: Duration, wait: Option<Duration>) {
    let Report { requests, rows, events, repeated, gaps, .. } = *report;
    info!(%stream, requests, rows, events, repeated, gaps, elapsed_ms = ms(elapsed), "pull finished");
    info!(%stream, "{}", statistics(report, elapsed, wait));
}

/// What the official collector says at the end of a pull.
fn statistics(report: &Report, elapsed: Duration, wait: Option<Duration>) -> String {
    let Report { requests, rows, events, repeated, pulled_ms, .. } = report;
    let seconds = elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "an average for a reader")]
    let average = if seconds > 0.0 { *events as f64 / seconds } else { 0.0 };
    let next = wait.map_or_else(String::new, |wait| {
        format!(" Waiting for {:.3} second(s) until the next one", wait.as_secs_f64())
    });
    format!(
        "Statistics for this pull cycle (@devo_pulling_id={pulled_ms}): Number of requests made: {requests}; Number of events received: \
         {rows}; Number of duplicated events filtered out: {repeated}; Number of events generated and sent: {events}; Average of events \
         per second: {average:.3}. Data collection completed. Elapsed time: {seconds:.3} seconds.{next}"
    )
}

/// A pull has ended before its end.
pub fn ended_early(stream: &StreamKey, error: &dyn Error, advice: &str, wait: Duration) {
    warn!(%stream, %error, cause = cause(error), advice, wait_ms = ms(wait), "pull ended early; what it had stored stays, the rest is kept for the next");
}

/// A request has failed and is tried again.
pub fn tried_again(stream: &StreamKey, error: &dyn Error, advice: &str, attempt: u32, wait: Duration) {
    warn!(%stream, %error, cause = cause(error), advice, attempt, wait_ms = ms(wait), "a request failed and is tried again");
}

/// A part of the source cannot be read; the rest goes on without it.
pub fn set_aside(stream: &StreamKey, id: Option<&str>, from_ms: i64, to_ms: i64, reason: &str) {
    warn!(%stream, id, from_ms, to_ms, reason, "set aside: it is tried again hourly until it can be read");
}

/// A snapshot has ended.
pub fn snapshot_ended(stream: &StreamKey, id: i64, count: u64, complete: bool) {
    metrics::add(&SNAPSHOTS, &[&stream.tenant, &stream.service, if complete { "true" } else { "false" }], 1);
    if complete {
        info!(%stream, snapshot = id, count, "snapshot complete");
    } else {
        warn!(%stream, snapshot = id, count, "snapshot incomplete; nothing is taken for gone");
    }
}

/// More entities than is believable would be gone.
pub fn drift(stream: &StreamKey, id: i64) {
    warn!(%stream, snapshot = id, "more than a fifth of the entities would be gone at once; none is taken for gone until the next snapshot agrees");
}

/// Hunting uses the endpoint that is being retired.
pub fn old_hunting(stream: &StreamKey) {
    warn!(%stream, "hunting uses the Defender endpoint, which stops answering on 2027-02-01: grant the application ThreatHunting.Read.All on Microsoft Graph");
}

/// The configured start has changed.
pub fn started_again(stream: &StreamKey) {
    warn!(%stream, "historical_poll_datetime has changed: the stream starts again");
}

/// The clocks disagree.
pub fn clocks_disagree(stream: &StreamKey, spread_ms: i64) {
    warn!(%stream, spread_ms, "the clocks disagree; the one in the middle is taken");
}

/// The checkpoint was ahead of time.
pub fn went_back(stream: &StreamKey) {
    warn!(%stream, "the checkpoint was ahead of time and goes back");
}

/// A next link leads nowhere that may be followed.
pub fn link_refused(stream: &StreamKey, why: &dyn std::fmt::Display) {
    warn!(%stream, %why, "a next link is not followed");
}

/// Pulling waits for outputs to catch up.
pub fn outbox_full(stream: &StreamKey, bytes: u64, max_bytes: u64) {
    warn!(%stream, bytes, max_bytes, "the outbox is full: pulling pauses until outputs catch up; `state show` tells which one lags: mend it, raise `outbox.max_bytes`, or set `required: false` where events may be lost");
}

/// Pulling waits for room on the disk.
pub fn disk_full(stream: &StreamKey, free_bytes: u64, needed_bytes: u64) {
    warn!(%stream, free_bytes, needed_bytes, "the disk is nearly full: pulling pauses, outputs go on; free some space");
}

/// Pulling goes on.
pub fn resumed(stream: &StreamKey) {
    info!(%stream, "there is room again: pulling goes on");
}

/// An API is left for another one.
pub fn left(stream: &StreamKey, backend: &str, error: &dyn Error) {
    warn!(%stream, backend, %error, cause = cause(error), "an API that does not answer is left for another; the stream goes on where it stood");
}

/// Another API is read than before.
pub fn reads(stream: &StreamKey, before: &str, backend: &str) {
    info!(%stream, before, backend, "the stream is read from another API");
}

/// The classic API is announced to end. `role`: what Microsoft Graph asks for instead; `None`: it does not have the source.
pub fn classic_ends(stream: &StreamKey, role: Option<&str>, auto: bool) {
    match (role, auto) {
        (Some(role), true) => {
            warn!(%stream, role, "the classic API is announced to end on 2027-02-01; with this role the stream goes on by Microsoft Graph by itself");
        }
        (Some(role), false) => {
            warn!(%stream, role, "the classic API is announced to end on 2027-02-01, and the configuration names it: grant this role and write `backend: auto`");
        }
        (None, _) => {
            warn!(%stream, "the classic API is announced to end on 2027-02-01, and Microsoft Graph does not have this source");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_pull_is_also_told_in_the_official_words() {
        let report = Report {
            requests: 3,
            rows: 50,
            events: 276,
            repeated: 2,
            pulled_ms: 1_795_564_799_000,
            ..Report::default()
        };
        let told = statistics(&report, Duration::from_millis(1_500), Some(Duration::from_secs(58)));
        let wanted = "Statistics for this pull cycle (@devo_pulling_id=1795564799000): Number of requests made: 3; Number of events \
            received: 50; Number of duplicated events filtered out: 2; Number of events generated and sent: 276; Average of events per \
            second: 184.000. Data collection completed. Elapsed time: 1.500 seconds. Waiting for 58.000 second(s) until the next one";
        assert_eq!(told, wanted);
        assert!(
            statistics(&report, Duration::ZERO, None)
                .ends_with("per second: 0.000. Data collection completed. Elapsed time: 0.000 seconds.")
        );
    }
}
