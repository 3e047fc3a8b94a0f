//! The part of OData that the service speaks: typed collections, filters, options, pages.
//!
//! Nothing here knows an entity: a collection brings its schema and its rows, so that a further one is data.

pub(crate) mod filter;
pub(crate) mod lexer;
pub(crate) mod options;
pub(crate) mod page;
pub(crate) mod parser;

use crate::config::Order;
use crate::ledger::Rows;
use crate::ticks::Ticks;
use crate::world::dice::mix;
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
    /// True or false.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A property of an entity that filters and orders can name.
#[derive(Clone, Copy, Debug)]
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

impl Field {
    /// A property that the vendor lists for `$filter`.
    pub(crate) const fn filterable(name: &'static str, kind: Kind) -> Self {
        Self { name, alias: None, kind, filterable: true }
    }

    /// A property that only orders can name.
    pub(crate) const fn plain(name: &'static str, kind: Kind) -> Self {
        Self { name, alias: None, kind, filterable: false }
    }
}

/// What a collection says about itself.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Name of the entity set in `@odata.context`.
    pub(crate) set: &'static str,
    /// Properties that filters and orders can name.
    pub(crate) fields: &'static [Field],
    /// The time property by which rows can be found without looking at all of them.
    pub(crate) index: Option<&'static str>,
    /// The property that `$expand` can name.
    pub(crate) expand: Option<&'static str>,
    /// Largest `$top`, and the most rows of a page without it.
    pub(crate) top_limit: usize,
    /// How its API treats lists.
    pub(crate) manner: &'static Manner,
}

/// How an API treats lists.
#[derive(Debug)]
pub(crate) struct Manner {
    /// Namespace of its types, in messages.
    pub(crate) namespace: &'static str,
    /// What stands before the set's name in `@odata.context`, behind the address.
    pub(crate) context: &'static str,
    /// Whether a list asked for with `$top` carries links all the same: it is then the size of a page.
    pub(crate) links_with_top: bool,
    /// Whether a `$top` that is too large counts as the largest one; else it is refused.
    pub(crate) clamps_top: bool,
    /// Largest `$skip`.
    pub(crate) skip_limit: usize,
    /// Whether a place in the list can be told by `$skiptoken`.
    pub(crate) tokens: bool,
    /// Whether what could be expanded is always there.
    pub(crate) inline: bool,
}

/// The Defender API. Source: vendor page of each list; behaviour reported in public.
pub(crate) static DEFENDER: Manner = Manner {
    namespace: "microsoft.windowsDefenderATP.api.",
    context: "/api/$metadata#",
    links_with_top: false,
    clamps_top: false,
    skip_limit: usize::MAX,
    tokens: false,
    inline: false,
};

/// Rows of one kind of entity at one moment.
pub(crate) trait Collection: Send + Sync + 'static {
    /// What is kept of a row until it is written.
    type Row: Clone + Send + Sync + 'static;

    /// Its properties and options.
    fn schema(&self) -> &'static Schema;
    /// The rows whose index property lies in the range, or all without an index, each made when it is asked for.
    fn rows(&self, range: RangeInclusive<Ticks>, arrangement: Arrangement) -> RowIter<'_, Self::Row>;
    /// The value of a property in the schema. Where nothing better is known it is read from the row's JSON.
    fn value(&self, row: &Self::Row, field: &'static str) -> Value<'static> {
        let mut json = Vec::new();
        self.write(row, false, &mut json);
        Value::in_json(&json, field, self.schema())
    }
    /// Appends the row as JSON.
    fn write(&self, row: &Self::Row, expanded: bool, out: &mut Vec<u8>);
    /// The entity's id; rows without one have an empty id.
    fn id(&self, row: &Self::Row) -> String;
    /// What the ledger writes down for rows.
    fn served(&self, rows: &[Self::Row], expanded: bool) -> Rows;
}

/// Rows one by one.
pub(crate) type RowIter<'a, R> = Box<dyn Iterator<Item = R> + Send + 'a>;

/// The order in which a list gives its rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrangement {
    /// The sort of order.
    pub(crate) order: Order,
    /// Which of all shuffled orders.
    pub(crate) shuffle: u64,
}

impl Arrangement {
    /// Rows that are all there, oldest first, in this order. `lot` gives a row's place in a shuffled one.
    pub(crate) fn of_all<R>(self, mut rows: Vec<R>, lot: impl Fn(&R) -> u64) -> std::vec::IntoIter<R> {
        match self.order {
            Order::OldestFirst => {}
            Order::NewestFirst => rows.reverse(),
            Order::Shuffled => rows.sort_by_cached_key(|row| mix(lot(row), self.shuffle)),
        }
        rows.into_iter()
    }
}

impl Schema {
    /// The property with this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name || field.alias == Some(name))
    }
}

impl Value<'static> {
    /// The value of a property in an entity's JSON.
    pub(crate) fn in_json(json: &[u8], field: &str, schema: &Schema) -> Self {
        let mut entity: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(json).expect("rows are JSON objects");
        let time = schema.field(field).is_some_and(|known| known.kind == Kind::Time);
        Self::of(entity.remove(field).unwrap_or_default(), time)
    }

    /// The value that JSON spells so; texts of time properties are instants. Objects and arrays are no values.
    pub(crate) fn of(json: serde_json::Value, time: bool) -> Self {
        match json {
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Integer(whole),
                None => number.as_f64().map_or(Self::Null, Self::Float),
            },
            serde_json::Value::String(text) if time => {
                text.parse().map_or(Self::Null, |instant| Self::Time(Ticks::of(instant)))
            }
            serde_json::Value::String(text) => Self::Text(text.into()),
            _ => Self::Null,
        }
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
