//! A filter as a tree: what it says about a row, and which part of the index it can touch at all.

use super::{Arrangement, Collection, Field, RowIter, Value};
use crate::ticks::Ticks;
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// A filter. Literals own their texts, so that it outlives the query it came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// Either.
    Or(Box<Filter>, Box<Filter>),
    /// Not.
    Not(Box<Filter>),
    /// A property against a literal.
    Compare(Name, Operator, Value<'static>),
    /// A property equal to one of the literals.
    In(Name, Vec<Value<'static>>),
    /// A text property that begins so.
    StartsWith(Name, String),
}

/// Name of a property, as the schema spells it.
pub(crate) type Name = &'static str;

/// How a property is compared with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// At least.
    Ge,
    /// More.
    Gt,
    /// At most.
    Le,
    /// Less.
    Lt,
}

/// Every instant.
pub(crate) const EVER: RangeInclusive<Ticks> = Ticks(i64::MIN)..=Ticks(i64::MAX);

impl Operator {
    /// The operator of this name.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "le" => Self::Le,
            "lt" => Self::Lt,
            _ => return None,
        })
    }

    /// The operator that says the same when both sides change places.
    pub(crate) fn mirrored(self) -> Self {
        match self {
            Self::Ge => Self::Le,
            Self::Gt => Self::Lt,
            Self::Le => Self::Ge,
            Self::Lt => Self::Gt,
            same => same,
        }
    }

    /// Whether it holds. Null equals null and nothing else; it is neither more nor less than anything, itself included.
    pub(crate) fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        let order = match (left, right) {
            (Value::Null, Value::Null) => return self == Self::Eq,
            _ => left.order(right),
        };
        match self {
            Self::Eq => order == Some(Ordering::Equal),
            Self::Ne => order != Some(Ordering::Equal),
            Self::Ge => order.is_some_and(Ordering::is_ge),
            Self::Gt => order.is_some_and(Ordering::is_gt),
            Self::Le => order.is_some_and(Ordering::is_le),
            Self::Lt => order.is_some_and(Ordering::is_lt),
        }
    }
}

impl Filter {
    /// Whether a row is let through; `value` reads a property of it.
    pub(crate) fn matches(&self, value: &impl Fn(Name) -> Value<'static>) -> bool {
        match self {
            Self::And(left, right) => left.matches(value) && right.matches(value),
            Self::Or(left, right) => left.matches(value) || right.matches(value),
            Self::Not(inner) => !inner.matches(value),
            Self::Compare(name, operator, literal) => operator.holds(&value(name), literal),
            Self::In(name, literals) => {
                let held = value(name);
                literals.iter().any(|literal| Operator::Eq.holds(&held, literal))
            }
            Self::StartsWith(name, start) => {
                matches!(value(name), Value::Text(text) if text.starts_with(start.as_str()))
            }
        }
    }

    /// The part of the index outside which no row can match. It may be wider than need be, never narrower.
    pub(crate) fn range(&self, index: Name) -> RangeInclusive<Ticks> {
        match self {
            Self::And(left, right) => {
                let (left, right) = (left.range(index), right.range(index));
                *left.start().max(right.start())..=*left.end().min(right.end())
            }
            Self::Or(left, right) => {
                let (left, right) = (left.range(index), right.range(index));
                *left.start().min(right.start())..=*left.end().max(right.end())
            }
            Self::Compare(name, operator, Value::Time(bound)) if *name == index => match operator {
                Operator::Eq => *bound..=*bound,
                Operator::Ne => EVER,
                Operator::Ge => *bound..=*EVER.end(),
                Operator::Gt => bound.plus(1)..=*EVER.end(),
                Operator::Le => *EVER.start()..=*bound,
                Operator::Lt => *EVER.start()..=bound.plus(-1),
            },
            Self::Not(_) | Self::Compare(..) | Self::In(..) | Self::StartsWith(..) => EVER,
        }
    }

    /// The matching rows of a collection.
    pub(crate) fn select<'a, C: Collection>(
        filter: Option<&'a Self>,
        collection: &'a C,
        arrangement: Arrangement,
    ) -> RowIter<'a, C::Row> {
        let Some(filter) = filter else { return collection.rows(EVER, arrangement) };
        let range = collection.schema().index.map_or(EVER, |index| filter.range(index));
        let matches = |row: &C::Row| filter.matches(&|name| collection.value(row, name));
        Box::new(collection.rows(range, arrangement).filter(matches))
    }
}

/// Whether a literal of this sort can stand against the property. Null can stand against any.
pub(crate) fn fits(field: &Field, literal: &Value<'_>) -> bool {
    use super::Kind;
    match literal {
        Value::Null => true,
        Value::Bool(_) => field.kind == Kind::Bool,
        Value::Integer(_) | Value::Float(_) => field.kind == Kind::Number,
        Value::Text(text) => match field.kind {
            Kind::Word(words) => words.contains(&text.as_ref()),
            kind => kind == Kind::Text,
        },
        Value::Time(_) => field.kind == Kind::Time,
    }
}
