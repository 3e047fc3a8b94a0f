//! The metrics: one table with name, kind, labels and help of each, and the numbers of those that this process counts.
//!
//! What is counted here moves beside the log line of the same event, so the two cannot drift apart. The other rows of the
//! table are read off the status when somebody asks (`web::metrics`). Streams are counted under the `id` of their input.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// What a metric's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many observations were at most so large; the bounds, in the metric's own unit.
    Histogram(&'static [u64]),
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its whole name; the unit is its last word but `total`.
    pub name: &'static str,
    /// What its numbers mean.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// One table: constants, and the list of all of them in the order of the documentation.
macro_rules! metrics {
    ($($word:ident = $kind:expr, $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(#[doc = $help] pub static $word: Metric = Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)+

        /// All of them.
        pub static METRICS: &[&Metric] = &[$(&$word),+];
    };
}

/// Bounds for how late a record came. Unit: seconds.
const LATE_BOUNDS: &[u64] = &[0, 5, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 21_600, 86_400];

metrics! {
    RECORDS = Kind::Counter, "mde_collector_records_total" ["tenant", "service"]
        "Rows read from the API, those that were stored before included.";
    EVENTS = Kind::Counter, "mde_collector_events_total" ["tenant", "service"]
        "Events stored for delivery.";
    REPEATED = Kind::Counter, "mde_collector_repeated_total" ["tenant", "service"]
        "Rows whose version was stored already.";
    SNAPSHOTS = Kind::Counter, "mde_collector_snapshots_total" ["tenant", "service", "complete"]
        "Snapshots that have ended.";
    LATE = Kind::Histogram(LATE_BOUNDS), "mde_collector_late_seconds" ["tenant", "service"]
        "How far behind the checkpoint a new record's own time lay: `overlap` should be larger than nearly all of them.";
    LAG = Kind::Gauge, "mde_collector_lag_seconds" ["tenant", "service", "query"]
        "How long ago the moment is up to which everything has been read.";
    STATE = Kind::Gauge, "mde_collector_state" ["tenant", "service", "query", "state"]
        "1 for the state that a stream has.";
    NOTICE = Kind::Gauge, "mde_collector_notice" ["tenant", "service", "query", "notice"]
        "1 for what is odd about a stream: `stuck`, `silent` or `late`.";
    SET_ASIDE = Kind::Gauge, "mde_collector_set_aside" ["tenant", "service", "query"]
        "Windows and records that could not be read and are tried again hourly.";
    SNAPSHOT_COMPLETE = Kind::Gauge, "mde_collector_snapshot_complete" ["tenant", "service", "query"]
        "1 where the newest snapshot is complete, 0 while it is not.";
    SNAPSHOT_ENTITIES = Kind::Gauge, "mde_collector_snapshot_entities" ["tenant", "service", "query"]
        "Entities in the newest snapshot.";
    COUNTS_AGE = Kind::Gauge, "mde_collector_counts_age_seconds" ["tenant", "service", "query"]
        "Age of the oldest related count in use.";
    API_END = Kind::Gauge, "mde_collector_api_end_timestamp_seconds" ["tenant", "service", "query"]
        "When the API that a stream is read from is announced to end, since 1970; only of streams that are read from one that ends.";
    CERTIFICATE_END = Kind::Gauge, "mde_collector_certificate_end_timestamp_seconds" ["tenant", "output"]
        "When a certificate ends that we show, since 1970: of a tenant's application, of an output, or (both empty) of the status page.";
    REQUESTS = Kind::Counter, "mde_collector_requests_total" ["tenant", "status"]
        "Requests to the API by HTTP status; 0: there was no answer.";
    THROTTLED = Kind::Counter, "mde_collector_throttled_total" ["tenant"]
        "Answers 429: too many calls, says the API.";
    QUOTA_USED = Kind::Gauge, "mde_collector_quota_used" ["tenant", "family", "window"]
        "Calls in the last minute or hour, all processes of the application together.";
    QUOTA_LIMIT = Kind::Gauge, "mde_collector_quota_limit" ["tenant", "family", "window"]
        "Calls that we allow ourselves in a minute or hour.";
    OUTBOX = Kind::Gauge, "mde_collector_outbox_bytes" []
        "What waits on disk for configured outputs.";
    OUTBOX_MAX = Kind::Gauge, "mde_collector_outbox_max_bytes" []
        "At so much pulling pauses.";
    DELIVERED = Kind::Counter, "mde_collector_delivered_events_total" ["output"]
        "Events that the far side has confirmed.";
    DEAD = Kind::Counter, "mde_collector_dead_letters_total" ["output"]
        "Events that an output has refused for good.";
    DEAD_KEPT = Kind::Gauge, "mde_collector_dead_letters" ["output"]
        "Dead letters that are kept and can be replayed.";
    LOST = Kind::Gauge, "mde_collector_lost_events" ["output"]
        "Events that an output will never get.";
    DEPTH_EVENTS = Kind::Gauge, "mde_collector_output_depth_events" ["output"]
        "Events that an output has not confirmed.";
    DEPTH_BYTES = Kind::Gauge, "mde_collector_output_depth_bytes" ["output"]
        "What they occupy on disk.";
    OLDEST = Kind::Gauge, "mde_collector_output_oldest_seconds" ["output"]
        "Age of the oldest of them.";
    OUTPUT_STATE = Kind::Gauge, "mde_collector_output_state" ["output", "state"]
        "1 for the state that an output has.";
    CPU = Kind::Counter, "process_cpu_seconds_total" []
        "Processor time of the process.";
    MEMORY = Kind::Gauge, "process_resident_memory_bytes" []
        "Memory of the process that is resident.";
}

/// What was counted for one set of labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// The counter; of a histogram the number of observations.
    pub count: u64,
    /// The sum of observations. Unit: the metric's.
    pub sum: u64,
    /// Observations in each bucket of their own, in the order of the bounds; those beyond the last are in none.
    pub buckets: Vec<u64>,
}

/// The numbers of a metric, by the values of its labels.
pub type Numbers = BTreeMap<Vec<String>, Counted>;

/// The numbers of this process.
static COUNTS: LazyLock<Mutex<BTreeMap<&'static str, Numbers>>> = LazyLock::new(Mutex::default);

/// What was counted so far.
#[must_use]
pub fn counted(metric: &Metric) -> Numbers {
    counts().get(metric.name).cloned().unwrap_or_default()
}

/// A counter grows; one that was never counted appears, also with 0.
pub fn add(metric: &'static Metric, labels: &[&str], more: u64) {
    change(metric, labels, |counted| counted.count += more);
}

/// A histogram takes an observation, in the metric's unit.
pub fn observe(metric: &'static Metric, labels: &[&str], value: u64) {
    let Kind::Histogram(bounds) = metric.kind else { return };
    change(metric, labels, |counted| {
        counted.buckets.resize(bounds.len(), 0);
        counted.count += 1;
        counted.sum += value;
        if let Some(bucket) = bounds.iter().position(|bound| value <= *bound) {
            counted.buckets[bucket] += 1;
        }
    });
}

fn change(metric: &'static Metric, labels: &[&str], change: impl FnOnce(&mut Counted)) {
    debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    change(counts().entry(metric.name).or_default().entry(labels).or_default());
}

fn counts() -> MutexGuard<'static, BTreeMap<&'static str, Numbers>> {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::path::Path;

    #[test]
    fn every_metric_has_a_name_of_its_own_in_base_units_and_a_sentence() {
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            assert!(metric.name.starts_with("mde_collector_") || metric.name.starts_with("process_"), "{metric:?}");
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{metric:?}");
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{metric:?}");
        }
    }

    #[test]
    fn the_names_of_the_contract_are_there() {
        let contract = "records_total events_total lag_seconds outbox_bytes requests_total throttled_total dead_letters_total delivered_events_total";
        for name in contract.split(' ') {
            assert!(METRICS.iter().any(|metric| metric.name == format!("mde_collector_{name}")), "{name}");
        }
        assert!(REQUESTS.labels.contains(&"status"));
    }

    #[test]
    fn an_observation_is_in_the_first_bucket_that_holds_it() {
        let labels = ["observed here alone", "alerts"];
        for value in [0, 60, 61, 1_000_000] {
            observe(&LATE, &labels, value);
        }
        let numbers = counted(&LATE);
        let counted = &numbers[&labels.map(str::to_owned).to_vec()];
        let held: Vec<_> = LATE_BOUNDS.iter().zip(&counted.buckets).filter(|(_, count)| **count > 0).collect();
        assert_eq!((counted.count, counted.sum), (4, 1_000_121));
        assert_eq!(held, [(&0, &1), (&60, &1), (&120, &1)]);
    }

    /// docs/metrics.md.
    fn page() -> String {
        let mut page = "# Metrics\n\n<!-- Drawn from the code by `cargo x docs`; not to be edited by hand. -->\n\n\
            `/metrics` in the text form of Prometheus (docs/status.md says where and for whom). Counters begin at 0 with the process.\n\
            `tenant` is the name of the input; `query` is empty but for hunting.\n\n\
            | name | kind | labels | what it says |\n| --- | --- | --- | --- |\n"
            .to_owned();
        for Metric { name, kind, labels, help } in METRICS {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", "))
                .expect("a String takes everything");
        }
        page
    }

    #[test]
    fn docs_are_current_for_metrics() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, page()).expect("writable");
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == page(), "docs/metrics.md is out of date: run `cargo x docs`");
    }
}
