//! Counts that a record answers itself: no call, nothing kept.

use crate::record::{Cursor, RawObject, unquoted};
use crate::service::{Bulk, Part};
use std::borrow::Cow;
use std::collections::HashSet;

/// The count by that answer; `None` where the record does not have what it is read from.
#[must_use]
pub fn count(bulk: &Bulk, record: &RawObject<'_>, id: &str) -> Option<u64> {
    match bulk {
        Bulk::Row(property) => number(record.get(property)?),
        Bulk::Present(property) => Some(u64::from(record.get(property).is_some_and(is_set))),
        Bulk::IdBegins(prefix) => Some(u64::from(id.starts_with(prefix))),
        Bulk::Elements { array, property, part } => elements(record.get(array)?, property, *part),
        Bulk::Grouped(_) => None,
    }
}

/// A whole number, however it is spelled.
fn number(value: &str) -> Option<u64> {
    value.parse().ok().or_else(|| {
        let value: f64 = value.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was just found to be whole and small"
        )]
        (value >= 0.0 && value.fract() == 0.0 && value < 1e15).then_some(value as u64)
    })
}

/// Whether a value says something.
fn is_set(value: &str) -> bool {
    !matches!(value, "null" | "\"\"")
}

/// Different values of a property over the elements of an array.
fn elements(array: &str, property: &str, part: Part) -> Option<u64> {
    let mut cursor = Cursor::new(array);
    if cursor.peek() != b'[' {
        return None;
    }
    let mut values = HashSet::new();
    cursor.open();
    while cursor.element() {
        if cursor.peek() != b'{' {
            cursor.value();
            continue;
        }
        cursor.open();
        while let Some(key) = cursor.key() {
            let value = cursor.value();
            if value.starts_with('"') && unquoted(key) == property {
                let text = unquoted(value);
                values.extend(match part {
                    Part::Whole => Some(text).filter(|text| !text.is_empty()),
                    Part::Host => host(&text).map(Cow::Owned),
                });
            }
        }
    }
    Some(values.len() as u64)
}

/// The host of an address that may be whole or bare, in lower case.
fn host(address: &str) -> Option<String> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // An IPv6 address keeps its colons inside brackets.
    let host = match host.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let host = host.trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(bulk: &Bulk, record: &str) -> Option<u64> {
        let record = RawObject::parse(record.as_bytes()).expect("JSON");
        count(bulk, &record, "va-_-contoso-_-tool")
    }

    #[test]
    fn a_number_of_the_record_is_taken_as_it_is_spelled_and_nothing_else_is() {
        let row = |value: &str| counted(&Bulk::Row("n"), &format!("{{\"n\":{value}}}"));
        assert_eq!([row("7"), row("7.0"), row("7e0"), row("0")], [Some(7), Some(7), Some(7), Some(0)]);
        assert_eq!([row("null"), row("\"7\""), row("-1"), row("1.5"), row("[]")], [None; 5]);
        assert_eq!(counted(&Bulk::Row("n"), "{}"), None);
    }

    #[test]
    fn what_is_null_absent_or_empty_is_not_present() {
        let present = |record| counted(&Bulk::Present("m"), record);
        assert_eq!(["{}", r#"{"m":null}"#, r#"{"m":""}"#].map(present), [Some(0); 3]);
        assert_eq!([r#"{"m":"x"}"#, r#"{"m":{"a":null}}"#].map(present), [Some(1); 2]);
    }

    #[test]
    fn different_values_of_evidence_count_once_and_missing_ones_do_not() {
        let hashes = Bulk::Elements { array: "evidence", property: "sha1", part: Part::Whole };
        let record =
            r#"{"evidence":[{"sha1":"a"},{"sha1":null},{"sha1":"b","x":{"sha1":"q"}},{"sha1":"\u0061"},{},7]}"#;
        assert_eq!(counted(&hashes, record), Some(2));
        assert_eq!(counted(&hashes, r#"{"evidence":[]}"#), Some(0));
        assert_eq!(["{}", r#"{"evidence":null}"#].map(|record| counted(&hashes, record)), [None; 2]);
    }

    #[test]
    fn hosts_are_compared_in_every_spelling_of_an_address() {
        for (address, found) in [
            ("https://Evil.Example/a?b=http://x", Some("evil.example")),
            ("evil.example", Some("evil.example")),
            ("http://user@evil.example:8080/x", Some("evil.example")),
            ("http://[2001:DB8::1]:80/", Some("2001:db8::1")),
            ("", None),
            ("http:///path", None),
        ] {
            assert_eq!(host(address).as_deref(), found, "{address}");
        }
    }

    #[test]
    fn the_beginning_of_an_id_tells_what_it_is_about() {
        assert_eq!(counted(&Bulk::IdBegins("va-_-"), "{}"), Some(1));
        assert_eq!(counted(&Bulk::IdBegins("sca-_-"), "{}"), Some(0));
    }
}
