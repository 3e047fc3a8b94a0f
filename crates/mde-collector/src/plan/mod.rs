//! What a configuration will call, before anything runs: arithmetic over sizes, with nobody asked.
//!
//! How a list is read is foretold by the machines that read it (`pull::forecast`), how a count is had by the rule that a run
//! uses (`enrich::choose`). Only the sum is made here.

mod conflict;

use crate::config::{Input, ServiceConfig};
use crate::enrich::{Choice, Facts, affordable, by_entity, choose, comes_in_files};
use crate::pull::forecast::Forecast;
use crate::service::{Answer, Api, Count, Method, Pass, Pull, Read, SERVICES};
use mde_client::budget::Priority;
use mde_client::limits::{EXPORT_PAGE_CAP, Family, PAGE_CAP};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

pub use conflict::{Plan, told};

/// Rows for one machine, by the path of their list, where nobody has counted them; others have [`ROWS_PER_MACHINE`]. Source:
/// the worked example of the equivalences.
const TYPICAL: &[(&str, f64)] = &[("/api/recommendations", 0.06), ("/api/alerts", 36.0)];
/// Rows of exports for one machine. Source: as above.
const ROWS_PER_MACHINE: f64 = 200.0;
/// Days for which the vendor keeps alerts. Source: vendor page "List alerts API".
const KEPT_DAYS: f64 = 180.0;
/// Days that a first pull of a source with windows goes back.
const FIRST_DAYS: f64 = 7.0;
/// A list of a multiple of so many rows is asked for once more behind its end.
const ROUND_ROWS: u64 = 100;

/// How large a list is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Size {
    /// Rows of the whole list.
    pub rows: u64,
    /// Rows of one day, for lists that are read by time.
    pub per_day: f64,
}

/// How large the tenant's lists are, by path.
#[derive(Debug, Clone, Default)]
pub struct Sizes(BTreeMap<&'static str, Size>);

impl Sizes {
    /// The list at that path is so large.
    pub fn set(&mut self, path: &'static str, size: Size) {
        self.0.insert(path, size);
    }

    /// How large the list at that path is, where it is known.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Size> {
        self.0.get(path).copied()
    }

    /// How many rows the list at that path has; where nobody knows, what so many machines usually come to.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate"
    )]
    fn rows(&self, path: &str) -> u64 {
        self.get(path).map_or_else(
            || {
                let machines = self.get("/api/machines").map_or(0, |size| size.rows);
                let typical =
                    TYPICAL.iter().find(|(known, _)| *known == path).map_or(ROWS_PER_MACHINE, |(_, rows)| *rows);
                (machines as f64 * typical) as u64
            },
            |size| size.rows,
        )
    }
}

impl Size {
    /// A list that is read by time, of which so many rows come in a day.
    #[must_use]
    pub fn daily(per_day: f64) -> Self {
        Self { rows: (per_day * KEPT_DAYS) as u64, per_day }
    }
}

/// One service or one enrichment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The service.
    pub service: &'static str,
    /// The query, or what is enriched; none for the service's own list.
    pub part: Option<String>,
    /// The quota that it spends from.
    pub family: &'static str,
    /// How it is had.
    pub method: &'static str,
    /// Why so.
    pub reason: &'static str,
    /// Calls of the first time, which is all that `run --once` makes.
    pub first_calls: u64,
    /// Calls of each later time.
    pub calls: u64,
    /// Time between two of them. Unit: seconds.
    pub period_s: u64,
    /// Calls in the fullest hour, later.
    pub hour_calls: u64,
    /// Part of what may be used in a minute that one time takes in its fullest minute.
    pub minute_share: f64,
    /// What one time needs (of a period under an hour all times in it) as a part of what may be used in an hour; over 1 it takes
    /// longer than an hour.
    pub hour_share: f64,
    /// How long the quota makes the first time last. Unit: seconds.
    pub first_s: u64,
    /// How long it makes each later time last. Unit: seconds.
    pub duration_s: u64,
    /// Which calls come first when the quota is short.
    #[serde(skip)]
    pub priority: Priority,
    /// Whether a cheaper answer exists that is not used.
    #[serde(skip)]
    pub has_bulk: bool,
}

/// A row about nothing that calls nothing.
const BLANK: Row = Row {
    service: "",
    part: None,
    family: "",
    method: "",
    reason: "",
    first_calls: 0,
    calls: 0,
    period_s: 0,
    hour_calls: 0,
    minute_share: 0.0,
    hour_share: 0.0,
    first_s: 0,
    duration_s: 0,
    priority: Priority::Enrichment,
    has_bulk: false,
};

/// A list or query, as its machine foretells it.
pub struct Listed<'a> {
    /// Its section.
    pub service: &'a ServiceConfig,
    /// The query, for hunting.
    pub query: Option<String>,
    /// How it is read.
    pub pull: &'static Pull,
    /// Time between two pulls.
    pub period: Duration,
    /// What its machine calls.
    pub forecast: Forecast,
    /// Who waits for whom.
    pub priority: Priority,
}

/// What one input will call. `may`: whether an answer's roles are granted.
#[must_use]
pub fn plan(input: &Input, listed: &[Listed<'_>], sizes: &Sizes, may: impl Fn(Answer) -> bool) -> Plan {
    let room = Allowance { share: input.quota_share };
    let mut rows: Vec<Row> = listed.iter().map(|listed| room.list(listed)).collect();
    let size = |service: &ServiceConfig| {
        let known = sizes.get(service.endpoint().path).or_else(|| sizes.get(service.def.endpoint.path));
        known.unwrap_or_default()
    };
    let chosen = |service: &ServiceConfig, count: &'static Count| -> Choice {
        let (method, affordable) = (service.enrichment.method, affordable(count, input.quota_share));
        let entities = matches!(service.pull, Pull::Snapshot { .. }).then_some(size(service).rows);
        choose(count, Facts { method, entities, affordable, before: None }, &may)
    };
    let in_files = input.services.iter().any(|service| {
        let grows = |count: &'static Count| chosen(service, count).answer.is_some_and(by_entity);
        comes_in_files(size(service).rows) && service.counts.iter().any(|count| grows(count))
    });
    let mut passes: Vec<&'static Pass> = Vec::new();
    for service in input.services.iter().filter(|service| !service.counts.is_empty()) {
        let size = size(service);
        let snapshot = matches!(service.pull, Pull::Snapshot { .. });
        for count in &service.counts {
            let choice = chosen(service, count);
            let mut row = room.row(service, count, &choice, in_files);
            let (first, calls) = match choice.answer {
                Some(Answer::PerEntity(_)) if snapshot => (size.rows, size.rows),
                Some(Answer::PerEntity(_)) => ((size.per_day * FIRST_DAYS) as u64, (size.per_day / 24.0).ceil() as u64),
                Some(answer) => match answer.pass().map(|grouped| grouped.pass) {
                    Some(pass) if !passes.iter().any(|known| known.name == pass.name) => {
                        passes.push(pass);
                        let calls = pass_calls(pass, sizes, in_files);
                        (calls, calls)
                    }
                    // What the record says, or what is read for another count already, costs nothing.
                    _ => (0, 0),
                },
                None => (0, 0),
            };
            if !snapshot && matches!(choice.answer, Some(Answer::PerEntity(_))) {
                row.period_s = 3_600;
            }
            rows.push(room.filled(row, first, calls));
        }
        // Whoever is asked for must be known first.
        let in_record = |count: &&'static Count| count.bulk.first().map(Answer::Bulk).is_some_and(Answer::is_in_record);
        if snapshot && (service.enrichment.method != Method::Bulk || !service.counts.iter().all(in_record)) {
            let mut row = room.row(service, service.counts[0], &Choice { answer: None, reason: "" }, in_files);
            row.part = Some("entities".to_owned());
            (row.family, row.method) = (service.endpoint().family.name(), "list");
            row.reason = "a first enrichment must know whom to ask about";
            let first = pages(size.rows, service.endpoint().page_cap as u64);
            rows.push(room.filled(row, first, 0));
        }
    }
    Plan::of(rows, input)
}

/// Calls of one reading of a source for the counts in it; what is fetched from behind the links of files is none.
fn pass_calls(pass: &Pass, sizes: &Sizes, in_files: bool) -> u64 {
    match &pass.read {
        Read::List { path, .. } => pages(sizes.rows(path), PAGE_CAP as u64),
        Read::Each { path, .. } => {
            let rows = sizes.rows(path);
            pages(rows, PAGE_CAP as u64) + rows
        }
        Read::Export { .. } if in_files => 1,
        Read::Export { pages: path, .. } => sizes.rows(path).div_ceil(EXPORT_PAGE_CAP as u64).max(1),
    }
}

/// Calls of one walk through a list.
const fn pages(rows: u64, cap: u64) -> u64 {
    if rows == 0 { 1 } else { rows.div_ceil(cap) + rows.is_multiple_of(ROUND_ROWS) as u64 }
}

/// The family that a reading spends from.
const fn pass_family(pass: &Pass, in_files: bool) -> Family {
    match &pass.read {
        Read::List { family, .. } | Read::Each { family, .. } => *family,
        Read::Export { .. } if in_files => Family::ExportFiles,
        Read::Export { .. } => Family::ExportJson,
    }
}

/// The vendor's limits times our share.
struct Allowance {
    share: f64,
}

impl Allowance {
    /// Calls that may be made in a minute and in an hour.
    fn of(&self, family: Family, priority: Priority) -> (u32, u32) {
        let limits = family.limits();
        let part = |limit: u32| {
            let ours = ((f64::from(limit) * self.share + 1e-9).floor() as u32).max(1);
            (ours - priority.kept_from(ours)).max(1)
        };
        (part(limits.per_minute), part(limits.per_hour))
    }

    /// The row of a list or query.
    fn list(&self, listed: &Listed<'_>) -> Row {
        let table = listed.query.is_none() && listed.service.endpoint().api == Api::Hunting;
        let (method, reason) = match listed.pull {
            _ if table => ("tables", "by a query, in as few parts as fit an answer each"),
            Pull::Window { .. } => ("windows", "what has changed, by its time"),
            Pull::Snapshot { .. } => ("snapshot", "the whole list each time"),
            Pull::Open { .. } => ("open", "what has not ended, and once a day the whole list"),
            Pull::Slices => ("slices", "by time, if each slice fits one answer"),
        };
        let row = Row {
            service: listed.service.def.name,
            part: listed.query.clone(),
            family: listed.service.endpoint().family.name(),
            method,
            reason,
            period_s: listed.period.as_secs(),
            priority: listed.priority,
            ..BLANK
        };
        let mut row = self.filled(row, listed.forecast.first, listed.forecast.largest);
        if row.period_s < 3_600 {
            // Most pulls are smaller than the largest, which is a sweep.
            row.hour_calls = listed.forecast.day.div_ceil(24);
            row.hour_share = share_of(row.hour_calls, self.of(listed.service.endpoint().family, row.priority).1);
        }
        row
    }

    /// The row of a count without its calls.
    fn row(&self, service: &ServiceConfig, count: &'static Count, choice: &Choice, in_files: bool) -> Row {
        let Choice { answer, reason } = *choice;
        let family = match answer {
            Some(Answer::PerEntity(call)) => call.family,
            Some(answer) => {
                answer.pass().map_or(service.endpoint().family, |grouped| pass_family(grouped.pass, in_files))
            }
            None => count.per_entity.family,
        };
        Row {
            service: service.def.name,
            part: Some(count.field.to_owned()),
            family: family.name(),
            method: answer.map_or("none", Answer::name),
            reason,
            period_s: service.enrichment.max_age.as_secs(),
            has_bulk: matches!(answer, Some(Answer::PerEntity(_))) && !count.bulk.is_empty(),
            ..BLANK
        }
    }

    /// The row with its calls.
    fn filled(&self, row: Row, first_calls: u64, calls: u64) -> Row {
        let family = Family::named(row.family).expect("a family's own name");
        let (minute, hour) = self.of(family, row.priority);
        // Of a longer period all may fall into one hour, as far as the quota lets them; of a shorter one several times do.
        let times = (3_600 / row.period_s.max(1)).max(1);
        let needed = calls.saturating_mul(times);
        Row {
            first_calls,
            calls,
            hour_calls: needed.min(u64::from(hour)),
            minute_share: share_of(calls.min(u64::from(minute)), minute),
            hour_share: share_of(needed, hour),
            first_s: duration_s(first_calls, minute, hour),
            duration_s: duration_s(calls, minute, hour),
            ..row
        }
    }
}

/// A part of an allowance, rounded to a thousandth.
fn share_of(calls: u64, allowed: u32) -> f64 {
    (calls as f64 / f64::from(allowed.max(1)) * 1_000.0).round() / 1_000.0
}

/// How long two windows make so many calls last: full hours, then full minutes, and nothing for the last. Unit: seconds.
fn duration_s(calls: u64, minute: u32, hour: u32) -> u64 {
    let last = calls.saturating_sub(1);
    let (hours, rest) = (last / u64::from(hour), last % u64::from(hour));
    hours * 3_600 + rest / u64::from(minute) * 60
}

/// The service of that name's list.
#[must_use]
pub fn path_of(service: &str) -> Option<&'static str> {
    SERVICES.iter().find(|def| def.name == service).map(|def| def.endpoint.path)
}

#[cfg(test)]
mod tests;
