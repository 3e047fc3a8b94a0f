//! The part of OData that the service speaks: typed collections, filters, options, pages.
//!
//! Nothing here knows an entity: a collection brings its schema and its rows, so that a further one is data.

pub(crate) mod filter;
pub(crate) mod lexer;
pub(crate) mod options;
pub(crate) mod page;
pub(crate) mod parser;

use crate::ticks::Ticks;
use crate::world::VersionKey;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// A property's value, or a literal in a filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text, or a word of an enumeration.
    Text(Cow<'a, str>),
    /// An instant.
    Time(Ticks),
}

/// What a property holds, as far as filters care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Texts and words of enumerations.
    Text,
    /// Numbers of any width.
    Number,
    /// Instants.
    Time,
}

/// A property of an entity that filters and orders can name.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in JSON.
    pub(crate) name: &'static str,
    /// A second spelling in the vendor's list of filterable properties.
    pub(crate) alias: Option<&'static str>,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Whether the vendor's page lists it as usable in `$filter`.
    pub(crate) filterable: bool,
}

/// What a collection says about itself.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Name of the entity set in `@odata.context`.
    pub(crate) set: &'static str,
    /// Properties that filters and orders can name.
    pub(crate) fields: &'static [Field],
    /// The time property by which rows are indexed.
    pub(crate) index: &'static str,
    /// The property that `$expand` can name.
    pub(crate) expand: Option<&'static str>,
    /// Largest `$top`.
    pub(crate) top_limit: usize,
}

/// Rows of one kind of entity at one moment.
pub(crate) trait Collection: Send + Sync + 'static {
    /// What is kept of a row until it is written.
    type Row: Clone + Send + Sync + 'static;

    /// Its properties and options.
    fn schema(&self) -> &'static Schema;
    /// The rows whose index property lies in the range, oldest first, as they are now.
    fn select(&self, range: RangeInclusive<Ticks>) -> Vec<Self::Row>;
    /// The value of a property in the schema.
    fn value(&self, row: &Self::Row, field: &'static str) -> Value<'static>;
    /// A number that stays the same for the entity and tells nothing about it.
    fn lot(&self, row: &Self::Row) -> u64;
    /// Appends the row as JSON.
    fn write(&self, row: &Self::Row, expanded: bool, out: &mut Vec<u8>);
    /// What the ledger writes down for the row; its evidence counts only when it was expanded.
    fn version(&self, row: &Self::Row, expanded: bool) -> VersionKey;
}

impl Schema {
    /// The property with this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name || field.alias == Some(name))
    }
}

impl Value<'_> {
    /// Order of two values of one kind; none for null and for different kinds.
    pub(crate) fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(right)),
            (Value::Integer(left), Value::Float(right)) => (*left as f64).partial_cmp(right),
            (Value::Float(left), Value::Integer(right)) => left.partial_cmp(&(*right as f64)),
            (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

/// A query that the service refuses with 400. The text is its message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct QueryError(pub(crate) String);

#[cfg(test)]
mod tests;
