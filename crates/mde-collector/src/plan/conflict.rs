//! Where a plan does not fit, and what to do about it.

use super::{Allowance, Row};
use crate::config::Input;
use mde_client::budget::Priority;
use mde_client::limits::Family;
use serde::Serialize;

/// What one input will call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The name of the input.
    pub tenant: String,
    /// Services, then what enriches them.
    pub rows: Vec<Row>,
    /// The most urgent thing that does not fit; none where everything does.
    pub conflict: Option<String>,
    /// What to do about it, and about what else does not fit.
    pub advice: Vec<String>,
}

impl Plan {
    /// The plan of those rows.
    pub(super) fn of(rows: Vec<Row>, input: &Input) -> Self {
        let room = Allowance { share: input.quota_share };
        let mut order: Vec<&Row> = rows.iter().collect();
        order.sort_by_key(|row| row.priority);
        let (mut conflicts, mut advice) = (Vec::new(), Vec::new());
        let mut spent: Vec<(&str, u64)> = Vec::new();
        for row in order {
            let family = Family::named(row.family).expect("a family's own name");
            let (_, hour) = room.of(family, row.priority);
            let before: u64 = spent.iter().filter(|(name, _)| *name == row.family).map(|(_, calls)| calls).sum();
            let name = name(row);
            if row.duration_s > row.period_s {
                let (lasts, period) = (told(row.duration_s), told(row.period_s));
                conflicts.push(format!("{name}: {} calls take {lasts}, and are to be made every {period}", row.calls));
                advice.push(too_long(row, &name));
            } else if row.priority != Priority::Enrichment && before + row.hour_calls > u64::from(hour) {
                conflicts.push(format!(
                    "{name}: {} calls in an hour do not fit beside the {before} before it; {hour} may be made",
                    row.hour_calls
                ));
                advice.push(format!("{name}: a longer `request_period_in_seconds`, or a larger `quota.share`"));
            }
            if row.method == "none" {
                advice.push(format!("{name}: {}; grant it, or switch the count off", row.reason));
            }
            spent.push((row.family, row.hour_calls));
        }
        Self { tenant: input.name.clone(), conflict: conflicts.into_iter().next(), advice, rows }
    }
}

/// What to do where something takes longer than the time between two of it.
fn too_long(row: &Row, name: &str) -> String {
    let lasts = told(row.duration_s);
    match row.priority {
        Priority::Enrichment if row.has_bulk => {
            format!(
                "{name}: `enrichment: {{method: bulk}}`, or `max_age` of {lasts} or more: until then counts are older than asked for"
            )
        }
        Priority::Enrichment => {
            format!(
                "{name}: `max_age` of {lasts} or more, or no such count: nothing is lost, its values are up to {lasts} old"
            )
        }
        _ => format!("{name}: `request_period_in_seconds` of {} or more", row.duration_s),
    }
}

/// A row in words.
fn name(row: &Row) -> String {
    row.part.as_ref().map_or_else(|| row.service.to_owned(), |part| format!("{} {part}", row.service))
}

/// A length of time for a person. Unit of `seconds`: seconds.
#[must_use]
pub fn told(seconds: u64) -> String {
    match seconds {
        0 => "no time".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds.div_ceil(60)),
        3_600..172_800 => format!("{:.1} h", seconds as f64 / 3_600.0),
        _ => format!("{:.1} days", seconds as f64 / 86_400.0),
    }
}
