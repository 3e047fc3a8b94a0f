//! Runs a query: rows flow through its steps one by one; only groups, orders and the right side of a join hold them.

use super::expression::{Expression, order, text};
use super::figure::{Figure, Known};
use super::{Query, Step};
use crate::config::HuntingConfig;
use crate::estate::View;
use crate::hunting::tables::Row;
use crate::odata::Value;
use crate::ticks::Ticks;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Rows one by one.
pub(super) type Rows<'a> = Box<dyn Iterator<Item = Row> + Send + 'a>;

/// What a query is run over.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    /// The tenant.
    pub(crate) view: &'a View,
    /// Tables and limits.
    pub(crate) config: &'a HuntingConfig,
    /// The span of time that is asked for beside the query.
    pub(crate) within: &'a RangeInclusive<Ticks>,
}

/// The rows of a query.
pub(crate) fn run<'a>(query: &'a Query, moment: Moment<'a>) -> Rows<'a> {
    let time = query.table.place("Timestamp");
    // The first conditions say where to look at all.
    let mut range = moment.within.clone();
    for step in &query.steps {
        let (Step::Where(condition), Some(time)) = (step, time) else { break };
        let narrower = condition.range(time);
        range = *range.start().max(narrower.start())..=*range.end().min(narrower.end());
    }
    let rows: Rows<'a> = query.table.rows(moment.view, moment.config, range);
    query.steps.iter().fold(rows, |rows, step| step.apply(rows, moment))
}

impl Step {
    /// The rows behind this step.
    fn apply<'a>(&'a self, rows: Rows<'a>, moment: Moment<'a>) -> Rows<'a> {
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
            Self::Summarize { groups, figures, together: None } => {
                Box::new(summarized(rows, groups, figures).into_iter())
            }
            Self::Summarize { groups, figures, together: Some(place) } => {
                let mut rows = rows.peekable();
                let parts = std::iter::from_fn(move || {
                    let first = rows.next()?;
                    let value = first[*place].clone();
                    let others = std::iter::from_fn(|| rows.next_if(|row| row[*place] == value));
                    Some(summarized(std::iter::once(first).chain(others), groups, figures))
                });
                Box::new(parts.flatten())
            }
            Self::Join(join) => join.apply(rows, moment),
        }
    }
}

/// The groups of rows: one row for each, in no order that means anything.
fn summarized(rows: impl Iterator<Item = Row>, groups: &[Expression], figures: &[Figure]) -> Vec<Row> {
    let empty = || figures.iter().map(|_| Known::default()).collect::<Vec<_>>();
    let mut found: BTreeMap<Vec<String>, (Row, Vec<Known>)> = BTreeMap::new();
    if groups.is_empty() {
        found.insert(Vec::new(), (Row::new(), empty()));
    }
    for row in rows {
        let key: Row = groups.iter().map(|group| group.of(&row)).collect();
        let name = key.iter().map(text).collect();
        let (_, known) = found.entry(name).or_insert_with(|| (key, empty()));
        for (figure, known) in figures.iter().zip(known) {
            known.count(figure, &row);
        }
    }
    let finished = found.into_values().map(|(mut row, known)| {
        for (figure, known) in figures.iter().zip(known) {
            known.append(figure, &mut row);
        }
        row
    });
    finished.collect()
}

/// Order of any two values: null before all others.
pub(super) fn total(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => order(left, right).unwrap_or(Ordering::Equal),
    }
}
