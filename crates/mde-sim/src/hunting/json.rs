//! Rows as JSON: the Defender API and Microsoft Graph spell the same row differently.

use super::columns::{Column, Type};
use super::tables::Row;
use crate::odata::Value;

/// Appends a row as an object. On Graph some columns have a sidecar in front that tells their type, and dynamic ones are not text.
pub(crate) fn row(columns: &[Column], row: &Row, on_graph: bool, out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, (column, value)) in columns.iter().zip(row).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        if let Some(sidecar) = sidecar(column.of, value).filter(|_| on_graph) {
            quoted(&format!("{}@odata.type", column.name), out);
            out.push(b':');
            quoted(sidecar, out);
            out.push(b',');
        }
        quoted(&column.name, out);
        out.push(b':');
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(number) => serde_json::to_writer(&mut *out, number).expect("writing to memory cannot fail"),
            Value::Time(at) => quoted(&at.to_string(), out),
            // What is dynamic is kept as the text of its JSON.
            Value::Text(text) if on_graph && column.of == Type::Dynamic => out.extend_from_slice(text.as_bytes()),
            Value::Text(text) => quoted(text, out),
        }
    }
    out.push(b'}');
}

/// Appends a text as JSON.
pub(crate) fn quoted(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing to memory cannot fail");
}

/// The type that Graph tells beside a value. Not every whole number has one: only those that need more than 32 bits.
fn sidecar(of: Type, value: &Value<'_>) -> Option<&'static str> {
    match (of, value) {
        (_, Value::Null) => None,
        (Type::SByte, _) => Some("#SByte"),
        (Type::Dynamic, _) => Some("#Collection(String)"),
        (Type::Int64, Value::Integer(number)) => i32::try_from(*number).is_err().then_some("#Int64"),
        _ => None,
    }
}

/// The word for a type in an answer's schema.
pub(crate) fn type_name(of: Type, on_graph: bool) -> &'static str {
    match of {
        Type::DateTime => "DateTime",
        Type::String => "String",
        Type::Int64 => "Int64",
        Type::SByte => "SByte",
        Type::Double => "Double",
        Type::Dynamic if on_graph => "Object",
        Type::Dynamic => "String",
    }
}
