//! One hash for equal content, however the API happens to lay it out.

use super::json::{RawObject, unquoted};
use super::scan::Cursor;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// SHA-256 over the record with the keys of every object sorted and white space outside texts left out; values keep their
/// own octets, so `1.0` and `1` differ. Members that `ignore` names, at the top level, do not count.
#[must_use]
pub fn content_hash(record: &RawObject<'_>, ignore: &[String]) -> [u8; 32] {
    let members = record.members.iter().copied().filter(|(key, _)| !ignore.iter().any(|name| *name == *unquoted(key)));
    let mut text = String::new();
    object(members.collect(), &mut text);
    Sha256::digest(text.as_bytes()).into()
}

/// A hash as lower-case hex.
#[must_use]
pub fn hex(hash: &[u8]) -> String {
    let mut text = String::with_capacity(2 * hash.len());
    for octet in hash {
        write!(text, "{octet:02x}").expect("a String takes everything");
    }
    text
}

/// Writes an object by sorted keys; doubles of one key keep their order.
fn object(mut members: Vec<(&str, &str)>, out: &mut String) {
    members.sort_by_key(|(key, _)| *key);
    out.push('{');
    for (index, (key, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(key);
        out.push(':');
        sorted(value, out);
    }
    out.push('}');
}

/// Writes any value; only objects inside it change their order.
fn sorted(value: &str, out: &mut String) {
    let mut cursor = Cursor::new(value);
    match cursor.peek() {
        b'{' => {
            cursor.open();
            let mut members = Vec::new();
            while let Some(key) = cursor.key() {
                members.push((key, cursor.value()));
            }
            object(members, out);
        }
        b'[' => {
            cursor.open();
            out.push('[');
            let mut first = true;
            while cursor.element() {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                sorted(cursor.value(), out);
            }
            out.push(']');
        }
        _ => cursor.compact(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(document: &str) -> [u8; 32] {
        content_hash(&RawObject::parse(document.as_bytes()).expect("an object"), &["lastSeen".to_owned()])
    }

    #[test]
    fn order_and_white_space_do_not_count_and_values_do() {
        let one = of(r#"{"a":[{"x":1,"y":"p q"}],"b":{"d":null,"c":{}}}"#);
        assert_eq!(one, of("{ \"b\" : {\"c\":{ }, \"d\": null},\n\"a\": [ { \"y\":\"p q\", \"x\" : 1 } ] }"));
        for other in [
            r#"{"a":[{"x":1.0,"y":"p q"}],"b":{"d":null,"c":{}}}"#,
            r#"{"a":[{"x":1,"y":"pq"}],"b":{"d":null,"c":{}}}"#,
            r#"{"a":[{"x":1,"y":"p q"}],"b":{"d":null,"c":{},"e":0}}"#,
        ] {
            assert_ne!(one, of(other), "{other}");
        }
    }

    #[test]
    fn ignored_members_do_not_count_at_the_top_only() {
        assert_eq!(of(r#"{"a":1,"lastSeen":"x"}"#), of(r#"{"a":1,"lastSeen":"y"}"#));
        assert_ne!(of(r#"{"a":{"lastSeen":"x"}}"#), of(r#"{"a":{"lastSeen":"y"}}"#));
    }
}
