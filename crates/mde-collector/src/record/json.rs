//! One JSON object as its members in document order, each value the bytes that came.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// An object whose members keep their order, their spelling and their doubles. Borrows from the document.
#[derive(Debug, Clone, Default)]
pub struct RawObject<'a> {
    /// (key as written, with its quotes; value as written).
    pub members: Vec<(&'a str, &'a str)>,
}

/// A document that is not one JSON object. Carries no piece of the document.
#[derive(Debug, thiserror::Error)]
#[error("parse a record as a JSON object (line {line}, column {column})")]
pub struct JsonError {
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        // The cause is dropped on purpose: its text can quote the record.
        Self { line: error.line(), column: error.column() }
    }
}

impl<'a> RawObject<'a> {
    /// Reads one object; validates the whole of it, UTF-8 included.
    pub fn parse(document: &'a [u8]) -> Result<Self, JsonError> {
        Ok(serde_json::from_slice(document)?)
    }

    /// The first member of that name, its value as written.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(key, _)| unquoted(key) == name).map(|(_, value)| *value)
    }

    /// The first member of that name where it is a string, after unescaping.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.get(name)?;
        if !value.starts_with('"') {
            return None;
        }
        Some(unquoted(value))
    }
}

/// A JSON string literal as text. Falls back to the literal's inside, which the parser has validated before.
#[must_use]
pub fn unquoted(literal: &str) -> Cow<'_, str> {
    let inside = literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default();
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    serde_json::from_str::<String>(literal).map_or(Cow::Borrowed(inside), Cow::Owned)
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(40);
                while let Some(key) = map.next_key::<&RawValue>()? {
                    if !key.get().starts_with('"') {
                        return Err(A::Error::custom("a key is no string"));
                    }
                    let value = map.next_value::<&RawValue>()?;
                    members.push((key.get(), value.get()));
                }
                Ok(RawObject { members })
            }
        }
        deserializer.deserialize_map(Members)
    }
}
