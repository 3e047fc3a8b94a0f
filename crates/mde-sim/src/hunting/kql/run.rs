//! Runs a query: rows flow through its steps one by one; only groups and orders hold them.

use super::expression::{order, text};
use super::{Figure, Query, Step};
use crate::config::HuntingConfig;
use crate::estate::View;
use crate::hunting::tables::Row;
use crate::odata::Value;
use crate::ticks::Ticks;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Rows one by one.
type Rows<'a> = Box<dyn Iterator<Item = Row> + Send + 'a>;

/// The rows of a query at the view's moment, within a span of time that is asked for beside it.
pub(crate) fn run<'a>(
    query: &'a Query,
    view: &'a View,
    config: &HuntingConfig,
    within: &RangeInclusive<Ticks>,
) -> Rows<'a> {
    let time = query.table.place("Timestamp");
    // The first conditions say where to look at all.
    let mut range = within.clone();
    for step in &query.steps {
        let (Step::Where(condition), Some(time)) = (step, time) else { break };
        let narrower = condition.range(time);
        range = *range.start().max(narrower.start())..=*range.end().min(narrower.end());
    }
    let rows: Rows<'a> = query.table.rows(view, config, range);
    query.steps.iter().fold(rows, |rows, step| step.apply(rows))
}

impl Step {
    /// The rows behind this step.
    fn apply<'a>(&'a self, rows: Rows<'a>) -> Rows<'a> {
        match self {
            Self::Where(condition) => Box::new(rows.filter(|row| condition.holds(row))),
            Self::Project(columns) => Box::new(rows.map(|row| columns.iter().map(|column| column.of(&row)).collect())),
            Self::Take(count) => Box::new(rows.take(*count)),
            Self::Sort(keys) => {
                let mut rows: Vec<_> = rows.collect();
                rows.sort_by(|left, right| {
                    let orders = keys.iter().map(|(key, down)| {
                        let order = total(&key.of(left), &key.of(right));
                        if *down { order.reverse() } else { order }
                    });
                    orders.fold(Ordering::Equal, Ordering::then)
                });
                Box::new(rows.into_iter())
            }
            Self::Summarize(groups, figures) => {
                let mut found: BTreeMap<Vec<String>, (Row, Vec<Figures>)> = BTreeMap::new();
                if groups.is_empty() {
                    found.insert(Vec::new(), (Row::new(), empty(figures)));
                }
                for row in rows {
                    let key: Row = groups.iter().map(|group| group.of(&row)).collect();
                    let name = key.iter().map(text).collect();
                    let (_, counted) = found.entry(name).or_insert_with(|| (key, empty(figures)));
                    for (figure, counted) in figures.iter().zip(counted) {
                        counted.count(figure, &row);
                    }
                }
                Box::new(found.into_values().map(move |(mut row, counted)| {
                    row.extend(figures.iter().zip(counted).map(|(figure, counted)| counted.value(figure)));
                    row
                }))
            }
        }
    }
}

/// What is known of a group.
#[derive(Default)]
struct Figures {
    /// Rows.
    count: i64,
    /// Different values.
    different: BTreeSet<String>,
    /// The least or greatest value.
    extreme: Option<Value<'static>>,
}

/// Nothing counted yet.
fn empty(figures: &[Figure]) -> Vec<Figures> {
    figures.iter().map(|_| Figures::default()).collect()
}

impl Figures {
    /// Counts a row.
    fn count(&mut self, figure: &Figure, row: &Row) {
        self.count += 1;
        let mut keep = |value: Value<'static>, wanted: Ordering| {
            let better = self.extreme.as_ref().is_none_or(|known| total(&value, known) == wanted);
            if better && value != Value::Null {
                self.extreme = Some(value);
            }
        };
        match figure {
            Figure::Count => {}
            Figure::Distinct(inner) => {
                self.different.insert(text(&inner.of(row)));
            }
            Figure::Least(inner) => keep(inner.of(row), Ordering::Less),
            Figure::Greatest(inner) => keep(inner.of(row), Ordering::Greater),
        }
    }

    /// The figure.
    fn value(self, figure: &Figure) -> Value<'static> {
        match figure {
            Figure::Count => Value::Integer(self.count),
            Figure::Distinct(_) => Value::Integer(self.different.len() as i64),
            Figure::Least(_) | Figure::Greatest(_) => self.extreme.unwrap_or(Value::Null),
        }
    }
}

/// Order of any two values: null before all others.
fn total(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => order(left, right).unwrap_or(Ordering::Equal),
    }
}
