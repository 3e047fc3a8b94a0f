//! `/metrics`: the table of `telemetry::metrics` in the text form of Prometheus. What the process counts comes from there,
//! the rest is read off the picture.

use super::picture::Picture;
use crate::pipeline::certificates::CertificateEnd;
use crate::status::{OutputWord, Word};
use crate::telemetry::metrics::{self as table, Counted, Kind, METRICS, Metric};
use mde_client::limits::DEFENDER_END_MS;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The API that is announced to end, as a row names it.
const ENDS: &str = "mde";

/// What is read off the picture: of each metric, by its name, the values of labels with their value.
type Read = BTreeMap<&'static str, Vec<(Vec<String>, f64)>>;

/// The whole text.
pub fn text(picture: &Picture) -> String {
    let read = read(picture);
    // The process counts by the inputs' ids; a reader knows their names.
    let streams = picture.status.streams.iter();
    let names: BTreeMap<&str, &str> = streams.map(|row| (&*row.stream.tenant, &*row.tenant)).collect();
    let mut text = String::new();
    for metric in METRICS {
        let Metric { name, kind, help, .. } = metric;
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        line(&mut text, format_args!("# HELP {name} {}", help.replace('\\', "\\\\")));
        line(&mut text, format_args!("# TYPE {name} {word}"));
        for (labels, value) in read.get(name).into_iter().flatten() {
            line(&mut text, format_args!("{name}{} {value}", braces(metric, labels, None)));
        }
        for (mut labels, counted) in table::counted(metric) {
            if let Some(tenant) = metric.labels.iter().position(|label| *label == "tenant")
                && let Some(known) = names.get(&*labels[tenant])
            {
                labels[tenant] = (*known).to_owned();
            }
            match kind {
                Kind::Histogram(bounds) => histogram(&mut text, metric, &labels, bounds, &counted),
                _ => line(&mut text, format_args!("{name}{} {}", braces(metric, &labels, None), counted.count)),
            }
        }
    }
    text
}

/// A histogram's lines for one set of labels.
fn histogram(text: &mut String, metric: &Metric, labels: &[String], bounds: &[u64], counted: &Counted) {
    let (name, mut below) = (metric.name, 0);
    for (bound, count) in bounds.iter().zip(&counted.buckets) {
        below += count;
        line(text, format_args!("{name}_bucket{} {below}", braces(metric, labels, Some(&bound.to_string()))));
    }
    line(text, format_args!("{name}_bucket{} {}", braces(metric, labels, Some("+Inf")), counted.count));
    line(text, format_args!("{name}_sum{} {}", braces(metric, labels, None), counted.sum));
    line(text, format_args!("{name}_count{} {}", braces(metric, labels, None), counted.count));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes everything");
}

/// The labels with their values; nothing where there are none.
fn braces(metric: &Metric, labels: &[String], bound: Option<&str>) -> String {
    let named = metric.labels.iter().copied().zip(labels.iter().map(String::as_str));
    let pairs: Vec<String> = named.chain(bound.map(|bound| ("le", bound))).map(pair).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

/// One label with its value.
fn pair((name, value): (&str, &str)) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

/// Everything that the picture tells.
fn read(picture: &Picture) -> Read {
    let (status, mut read) = (&picture.status, Read::new());
    #[expect(clippy::cast_precision_loss, reason = "a reader of metrics has floats anyway")]
    let mut tell = |metric: &'static Metric, labels: &[&str], value: u64| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        read.entry(metric.name).or_default().push((labels, value as f64));
    };
    for row in &status.streams {
        let labels = [&*row.tenant, &*row.service, row.query.as_deref().unwrap_or_default()];
        let with = |word| [&labels[..], &[word]].concat();
        let mut given = |metric, value: Option<u64>| value.into_iter().for_each(|value| tell(metric, &labels, value));
        given(&table::LAG, row.lag_s);
        given(&table::COUNTS_AGE, row.counts_age_s);
        given(&table::SET_ASIDE, Some(row.set_aside.len() as u64));
        given(&table::SNAPSHOT_COMPLETE, row.snapshot.as_ref().map(|snapshot| u64::from(snapshot.complete)));
        given(&table::SNAPSHOT_ENTITIES, row.snapshot.as_ref().map(|snapshot| snapshot.count));
        given(&table::API_END, (row.backend == ENDS).then_some((DEFENDER_END_MS / 1_000).unsigned_abs()));
        tell(&table::STATE, &with(row.state.name()), 1);
        for notice in &row.notices {
            tell(&table::NOTICE, &with(notice.name()), 1);
        }
    }
    for certificate in &*picture.certificates {
        let CertificateEnd { tenant, output, ends_ms } = certificate;
        tell(&table::CERTIFICATE_END, &[tenant, output], (ends_ms / 1_000).max(0).unsigned_abs());
    }
    for row in &status.quota {
        for (word, window) in [("minute", row.minute), ("hour", row.hour)] {
            tell(&table::QUOTA_USED, &[&row.tenant, &row.family, word], window.used);
            tell(&table::QUOTA_LIMIT, &[&row.tenant, &row.family, word], window.limit);
        }
    }
    tell(&table::OUTBOX, &[], status.outbox.bytes);
    tell(&table::OUTBOX_MAX, &[], status.outbox.max_bytes);
    for row in &status.outputs {
        let name = [&*row.name];
        tell(&table::DEAD_KEPT, &name, row.dead_letters);
        tell(&table::LOST, &name, row.lost_events);
        tell(&table::DEPTH_EVENTS, &name, row.depth_events);
        tell(&table::DEPTH_BYTES, &name, row.depth_bytes);
        tell(&table::OLDEST, &name, row.oldest_s.unwrap_or(0));
        tell(&table::OUTPUT_STATE, &[&row.name, row.state.name()], 1);
    }
    if let Some((memory, cpu)) = process() {
        tell(&table::MEMORY, &[], memory);
        read.entry(table::CPU.name).or_default().push((Vec::new(), cpu));
    }
    read
}

/// Resident memory (octets) and processor time (seconds) of this process, where the system tells.
fn process() -> Option<(u64, f64)> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    let times = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in brackets that may hold anything; user and system time are the 14th and 15th.
    let mut times = times.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || times.next()?.parse::<u32>().ok().map(f64::from);
    let ticks = ticks()? + ticks()?;
    let per_second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).ok()?);
    Some((pages * rustix::param::page_size() as u64, ticks / per_second))
}

/// Whether anything can run, for `/readyz`: not while every stream stands for a reason that waiting does not mend.
pub fn is_ready(picture: &Picture) -> bool {
    let stands = |word: &Word| matches!(word, Word::Auth | Word::Denied | Word::Paused | Word::Store);
    !picture.failed && !picture.status.streams.iter().all(|row| stands(&row.state))
}

/// Whether a person should look at an output.
pub const fn needs_a_person(word: OutputWord) -> bool {
    matches!(word, OutputWord::Retrying | OutputWord::Refusing)
}
