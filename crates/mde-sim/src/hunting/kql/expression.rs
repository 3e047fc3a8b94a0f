//! Expressions over one row.

use super::super::json;
use crate::hunting::columns::{Column, Type};
use crate::hunting::tables::Row;
use crate::ledger::mark;
use crate::odata::Value;
use crate::ticks::Ticks;
use std::cmp::Ordering;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// An expression. Truth is the number 1 or 0, as in the answers.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    /// Always the same.
    Constant(Value<'static>),
    /// The column at this place.
    Column(usize),
    /// Both.
    And(Box<Expression>, Box<Expression>),
    /// Either.
    Or(Box<Expression>, Box<Expression>),
    /// Not.
    Not(Box<Expression>),
    /// One against another.
    Compare(Comparison, Box<Expression>, Box<Expression>),
    /// One among others, whatever their case or with it.
    In(Box<Expression>, Vec<Expression>, bool),
    /// Sum, or difference.
    Add(Box<Expression>, Box<Expression>, bool),
    /// The whole row as the text of a JSON object.
    PackAll(Arc<[Column]>),
    /// As text.
    ToText(Box<Expression>),
    /// A number below the limit that follows from the value.
    Hash(Box<Expression>, u64),
    /// Whether it is null or an empty text.
    IsEmpty(Box<Expression>),
    /// Rounded down to a multiple.
    Bin(Box<Expression>, Box<Expression>),
    /// Product, quotient or remainder.
    Product(Arithmetic, Box<Expression>, Box<Expression>),
    /// A function of its arguments.
    Call(Function, Vec<Expression>),
}

/// What joins two numbers, beside sum and difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// Product.
    Times,
    /// Quotient.
    Over,
    /// Remainder.
    Modulo,
}

impl Arithmetic {
    /// Every one.
    pub(super) const ALL: [Self; 3] = [Self::Times, Self::Over, Self::Modulo];

    /// Its sign.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Times => "*",
            Self::Over => "/",
            Self::Modulo => "%",
        }
    }

    /// Its value. Of whole numbers it is whole; nothing is divided by 0.
    fn of(self, left: &Value<'_>, right: &Value<'_>) -> Value<'static> {
        let real = |value: &Value<'_>| match value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        };
        if let (Value::Integer(left), Value::Integer(right)) = (left, right) {
            let whole = match self {
                Self::Times => left.checked_mul(*right),
                Self::Over => left.checked_div(*right),
                Self::Modulo => left.checked_rem_euclid(*right),
            };
            return whole.map_or(Value::Null, Value::Integer);
        }
        match (real(left), real(right)) {
            (Some(left), Some(right)) => Value::Float(match self {
                Self::Times => left * right,
                Self::Over => left / right,
                Self::Modulo => left.rem_euclid(right),
            }),
            _ => Value::Null,
        }
    }
}

/// A function of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// The second value where the first is true, else the third.
    Iff,
    /// The first value that is there.
    Coalesce,
    /// Texts one behind the other.
    Concatenated,
    /// A text in small letters.
    Lower,
    /// A text in capitals.
    Upper,
    /// A whole number.
    Whole,
    /// A number.
    Real,
    /// Letters of a text.
    Length,
}

impl Function {
    /// The function of this name with so many arguments.
    pub(super) fn named(name: &str, arguments: usize) -> Option<Self> {
        Some(match (name, arguments) {
            ("iff" | "iif", 3) => Self::Iff,
            ("coalesce", 1..) => Self::Coalesce,
            ("strcat", 1..) => Self::Concatenated,
            ("tolower", 1) => Self::Lower,
            ("toupper", 1) => Self::Upper,
            ("toint" | "tolong", 1) => Self::Whole,
            ("toreal" | "todouble", 1) => Self::Real,
            ("strlen", 1) => Self::Length,
            _ => return None,
        })
    }

    /// What it gives; none: what its last argument is.
    pub(super) fn gives(self) -> Option<Type> {
        match self {
            Self::Iff | Self::Coalesce => None,
            Self::Concatenated | Self::Lower | Self::Upper => Some(Type::String),
            Self::Whole | Self::Length => Some(Type::Int64),
            Self::Real => Some(Type::Double),
        }
    }

    /// Its value for a row.
    fn of(self, arguments: &[Expression], row: &Row) -> Value<'static> {
        let value = |place: usize| arguments[place].of(row);
        let written = |text: String| Value::Text(text.into());
        match self {
            Self::Iff => value(if arguments[0].holds(row) { 1 } else { 2 }),
            Self::Coalesce => {
                let there = arguments.iter().map(|argument| argument.of(row)).find(|value| !text(value).is_empty());
                there.unwrap_or(Value::Null)
            }
            Self::Concatenated => written(arguments.iter().map(|argument| text(&argument.of(row))).collect()),
            Self::Lower => written(text(&value(0)).to_lowercase()),
            Self::Upper => written(text(&value(0)).to_uppercase()),
            Self::Whole => match value(0) {
                Value::Float(number) => Value::Integer(number as i64),
                other => text(&other).parse().map_or(Value::Null, Value::Integer),
            },
            Self::Real => text(&value(0)).parse().map_or(Value::Null, Value::Float),
            Self::Length => Value::Integer(text(&value(0)).chars().count() as i64),
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    Unequal,
    /// Equal texts, whatever their case.
    EqualText,
    /// Less.
    Less,
    /// Less or equal.
    AtMost,
    /// More.
    More,
    /// More or equal.
    AtLeast,
    /// A text in a text, whatever their case.
    Contains,
    /// A text at the beginning of a text, whatever their case.
    StartsWith,
    /// A text at the end of a text, whatever their case.
    EndsWith,
    /// A whole word in a text, whatever their case.
    Has,
}

impl Expression {
    /// Its value for a row.
    pub(super) fn of(&self, row: &Row) -> Value<'static> {
        match self {
            Self::Constant(value) => value.clone(),
            Self::Column(place) => row[*place].clone(),
            Self::And(left, right) => truth(left.holds(row) && right.holds(row)),
            Self::Or(left, right) => truth(left.holds(row) || right.holds(row)),
            Self::Not(inner) => truth(!inner.holds(row)),
            Self::Compare(how, left, right) => truth(how.holds(&left.of(row), &right.of(row))),
            Self::In(value, others, with_case) => {
                let how = if *with_case { Comparison::Equal } else { Comparison::EqualText };
                let value = value.of(row);
                truth(others.iter().any(|other| how.holds(&value, &other.of(row))))
            }
            Self::Add(left, right, plus) => sum(&left.of(row), &right.of(row), *plus),
            Self::PackAll(columns) => {
                let mut object = Vec::new();
                json::row(columns, row, false, &mut object);
                Value::Text(String::from_utf8(object).expect("JSON is UTF-8").into())
            }
            Self::ToText(inner) => Value::Text(text(&inner.of(row)).into()),
            Self::Hash(inner, limit) => Value::Integer((mark(text(&inner.of(row)).as_bytes()) % limit) as i64),
            Self::IsEmpty(inner) => truth(text(&inner.of(row)).is_empty()),
            Self::Bin(value, step) => bin(&value.of(row), &step.of(row)),
            Self::Product(how, left, right) => how.of(&left.of(row), &right.of(row)),
            Self::Call(function, arguments) => function.of(arguments, row),
        }
    }

    /// Whether it is true for a row.
    pub(super) fn holds(&self, row: &Row) -> bool {
        match self.of(row) {
            Value::Integer(number) => number != 0,
            Value::Bool(truth) => truth,
            _ => false,
        }
    }

    /// The times outside which a column at this place makes it false. It may be wider than need be, never narrower.
    pub(super) fn range(&self, time: usize) -> RangeInclusive<Ticks> {
        let ever = Ticks(i64::MIN)..=Ticks(i64::MAX);
        match self {
            Self::And(left, right) => {
                let (left, right) = (left.range(time), right.range(time));
                *left.start().max(right.start())..=*left.end().min(right.end())
            }
            Self::Compare(how, left, right) => match (&**left, &**right, how) {
                (Self::Column(place), Self::Constant(Value::Time(bound)), how) if *place == time => match how {
                    Comparison::Equal => *bound..=*bound,
                    Comparison::Less | Comparison::AtMost => *ever.start()..=*bound,
                    Comparison::More | Comparison::AtLeast => *bound..=*ever.end(),
                    _ => ever,
                },
                _ => ever,
            },
            _ => ever,
        }
    }

    /// Its value when it needs no row.
    pub(super) fn constant(self) -> Self {
        let fixed = |inner: &Self| matches!(inner, Self::Constant(_));
        match &self {
            Self::Add(left, right, _) if fixed(left) && fixed(right) => Self::Constant(self.of(&Vec::new())),
            _ => self,
        }
    }
}

impl Comparison {
    /// Whether it holds. Null equals nothing but an empty text, for texts are never null in this language.
    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        let order = order(left, right);
        let folded = || (text(left).to_lowercase(), text(right).to_lowercase());
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Unequal => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::AtMost => order.is_some_and(Ordering::is_le),
            Self::More => order == Some(Ordering::Greater),
            Self::AtLeast => order.is_some_and(Ordering::is_ge),
            Self::EqualText => {
                let (left, right) = folded();
                left == right
            }
            Self::Contains => {
                let (left, right) = folded();
                left.contains(&right)
            }
            Self::StartsWith => {
                let (left, right) = folded();
                left.starts_with(&right)
            }
            Self::EndsWith => {
                let (left, right) = folded();
                left.ends_with(&right)
            }
            Self::Has => {
                let (left, right) = folded();
                left.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == right)
            }
        }
    }
}

/// Order of two values; true and false are numbers, and null is an empty text beside a text.
pub(super) fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Text(text)) => Some("".cmp(text)),
        (Value::Text(text), Value::Null) => Some(text.as_ref().cmp("")),
        (Value::Bool(left), right) => order(&Value::Integer((*left).into()), right),
        (left, Value::Bool(right)) => order(left, &Value::Integer((*right).into())),
        _ => left.order(right),
    }
}

/// A truth as the answers spell it.
fn truth(holds: bool) -> Value<'static> {
    Value::Integer(holds.into())
}

/// A value as text; of null there is none.
pub(super) fn text(value: &Value<'_>) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Time(at) => at.to_string(),
    }
}

/// A sum or a difference; lengths of time are numbers of 100 ns.
fn sum(left: &Value<'_>, right: &Value<'_>, plus: bool) -> Value<'static> {
    let signed = |steps: i64| if plus { steps } else { -steps };
    match (left, right) {
        (Value::Time(at), Value::Integer(steps)) => Value::Time(at.plus(signed(*steps))),
        (Value::Integer(left), Value::Integer(right)) => Value::Integer(left.saturating_add(signed(*right))),
        (Value::Time(left), Value::Time(right)) if !plus => Value::Integer(left.0.saturating_sub(right.0)),
        _ => Value::Null,
    }
}

/// A value rounded down to a multiple of a step.
fn bin(value: &Value<'_>, step: &Value<'_>) -> Value<'static> {
    match (value, step) {
        (Value::Time(at), Value::Integer(step @ 1..)) => Value::Time(Ticks(at.0.div_euclid(*step) * step)),
        (Value::Integer(number), Value::Integer(step @ 1..)) => Value::Integer(number.div_euclid(*step) * step),
        _ => Value::Null,
    }
}
