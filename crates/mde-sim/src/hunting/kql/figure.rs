//! Figures over the rows of a group.

use super::expression::{Expression, text};
use super::run::total;
use crate::hunting::tables::Row;
use crate::odata::Value;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A figure over the rows of a group.
#[derive(Clone, Debug)]
pub(super) enum Figure {
    /// Their number, of all or of those that meet a condition.
    Count(Option<Expression>),
    /// The number of different values.
    Distinct(Expression),
    /// The least value.
    Least(Expression),
    /// The greatest value.
    Greatest(Expression),
    /// The sum of the numbers.
    Sum(Expression),
    /// Their mean.
    Mean(Expression),
    /// The different values, as a JSON array.
    Set(Expression),
    /// Values of the row with the greatest or the least one.
    Extreme {
        /// What is compared.
        by: Expression,
        /// Whether the greatest is looked for.
        greatest: bool,
        /// What is shown of the row.
        shown: Vec<Expression>,
    },
    /// Values of one of the rows.
    Any(Vec<Expression>),
}

/// What is known of a group.
#[derive(Default)]
pub(super) struct Known {
    /// Rows that count.
    count: i64,
    /// Different values.
    different: BTreeSet<String>,
    /// The sum of the numbers.
    sum: f64,
    /// Whether all of them were whole.
    broken: bool,
    /// The value that is ahead of all others.
    extreme: Option<Value<'static>>,
    /// What is shown of its row.
    shown: Row,
}

impl Known {
    /// Looks at a row.
    pub(super) fn count(&mut self, figure: &Figure, row: &Row) {
        match figure {
            Figure::Count(condition) => {
                self.count += i64::from(condition.as_ref().is_none_or(|condition| condition.holds(row)));
            }
            Figure::Distinct(inner) => {
                self.different.insert(text(&inner.of(row)));
            }
            Figure::Set(inner) => {
                let value = inner.of(row);
                if value != Value::Null {
                    self.different.insert(text(&value));
                }
            }
            Figure::Sum(inner) | Figure::Mean(inner) => match inner.of(row) {
                Value::Integer(number) => self.add(number as f64),
                Value::Float(number) => {
                    self.broken = true;
                    self.add(number);
                }
                _ => {}
            },
            Figure::Least(inner) => {
                self.is_ahead(inner.of(row), Ordering::Less);
            }
            Figure::Greatest(inner) => {
                self.is_ahead(inner.of(row), Ordering::Greater);
            }
            Figure::Extreme { by, greatest, shown } => {
                let wanted = if *greatest { Ordering::Greater } else { Ordering::Less };
                if self.is_ahead(by.of(row), wanted) || self.shown.is_empty() {
                    self.shown = shown.iter().map(|shown| shown.of(row)).collect();
                }
            }
            Figure::Any(shown) => {
                if self.shown.is_empty() {
                    self.shown = shown.iter().map(|shown| shown.of(row)).collect();
                }
            }
        }
    }

    /// Appends the figure's columns.
    pub(super) fn append(self, figure: &Figure, row: &mut Row) {
        row.push(match figure {
            Figure::Count(_) => Value::Integer(self.count),
            Figure::Distinct(_) => Value::Integer(self.different.len() as i64),
            Figure::Set(_) => {
                let values = serde_json::to_string(&self.different).expect("texts are JSON");
                Value::Text(values.into())
            }
            Figure::Sum(_) if !self.broken => Value::Integer(self.sum as i64),
            Figure::Sum(_) => Value::Float(self.sum),
            Figure::Mean(_) if self.count == 0 => Value::Null,
            Figure::Mean(_) => Value::Float(self.sum / self.count as f64),
            Figure::Least(_) | Figure::Greatest(_) => self.extreme.unwrap_or(Value::Null),
            Figure::Extreme { shown, .. } | Figure::Any(shown) => {
                let known = self.shown.into_iter().chain(std::iter::repeat(Value::Null));
                return row.extend(known.take(shown.len()));
            }
        });
    }

    /// Adds a number.
    fn add(&mut self, number: f64) {
        self.count += 1;
        self.sum += number;
    }

    /// Keeps a value that is ahead of the one so far; tells whether it is.
    fn is_ahead(&mut self, value: Value<'static>, wanted: Ordering) -> bool {
        let ahead = value != Value::Null && self.extreme.as_ref().is_none_or(|known| total(&value, known) == wanted);
        if ahead {
            self.extreme = Some(value);
        }
        ahead
    }
}
