//! One hash for equal content, however the API happens to lay it out.

use super::json::{RawObject, unquoted};
use super::scan::Cursor;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write;

/// Objects below this depth keep the order of their keys, so that no document can exhaust the stack. Unit: levels.
const DEPTH_LIMIT: usize = 128;

/// SHA-256 over the record with the keys of every object sorted and white space outside texts left out; values keep their
/// own octets, so `1.0` and `1` differ. Members that `ignore` names, at the top level, do not count.
#[must_use]
pub fn content_hash(record: &RawObject<'_>, ignore: &[String]) -> [u8; 32] {
    let members = record.members.iter().copied().filter(|(key, _)| !ignore.iter().any(|name| *name == *unquoted(key)));
    hash_of(members.collect())
}

/// The same for a row whose cells may come as JSON or as the text of that JSON, by where it was asked: an object or array
/// counts as its text, so that a row of texts has the hash of [`content_hash`].
#[must_use]
pub fn row_hash(row: &RawObject<'_>) -> [u8; 32] {
    let cells: Vec<_> = row.members.iter().map(|(key, cell)| (*key, as_text(cell))).collect();
    hash_of(cells.iter().map(|(key, cell)| (*key, &**cell)).collect())
}

/// The text of a cell that is an object or array, white space left out and keys in their own order; any other cell as it is.
fn as_text(cell: &str) -> Cow<'_, str> {
    if !cell.starts_with(['{', '[']) {
        return Cow::Borrowed(cell);
    }
    let mut text = String::with_capacity(cell.len());
    Cursor::new(cell).compact(&mut text);
    Cow::Owned(serde_json::to_string(&text).expect("a text is JSON"))
}

/// SHA-256 over an object's text in its one form.
fn hash_of(members: Vec<(&str, &str)>) -> [u8; 32] {
    let mut text = String::new();
    object(members, 0, &mut text);
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
fn object(mut members: Vec<(&str, &str)>, depth: usize, out: &mut String) {
    members.sort_by_key(|(key, _)| *key);
    out.push('{');
    for (index, (key, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(key);
        out.push(':');
        sorted(value, depth + 1, out);
    }
    out.push('}');
}

/// Writes any value; only objects inside it change their order.
fn sorted(value: &str, depth: usize, out: &mut String) {
    let mut cursor = Cursor::new(value);
    match cursor.peek() {
        b'{' if depth < DEPTH_LIMIT => {
            cursor.open();
            let mut members = Vec::new();
            while let Some(key) = cursor.key() {
                members.push((key, cursor.value()));
            }
            object(members, depth, out);
        }
        b'[' if depth < DEPTH_LIMIT => {
            cursor.open();
            out.push('[');
            let mut first = true;
            while cursor.element() {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                sorted(cursor.value(), depth + 1, out);
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

    fn row(document: &str) -> [u8; 32] {
        row_hash(&RawObject::parse(document.as_bytes()).expect("an object"))
    }

    #[test]
    fn a_cell_counts_the_same_as_json_and_as_the_text_of_that_json() {
        for (text, json) in [
            (r#""[\"T1\",\"T2\"]""#, r#"["T1","T2"]"#),
            (r#""{\"b\":[1],\"a\":{\"y\":null,\"x\":1.0}}""#, r#"{ "b": [ 1 ], "a": {"y":null,"x":1.0} }"#),
            (r#""[]""#, "[ ]"),
            (r#""{}""#, "{}"),
            (r#""{\"inner\":\"[1]\"}""#, r#"{"inner":"[1]"}"#),
        ] {
            assert_eq!(
                row(&format!(r#"{{"Id":1,"Cell":{text}}}"#)),
                row(&format!(r#"{{"Cell":{json},"Id":1}}"#)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_row_of_texts_has_the_hash_of_its_content() {
        let document = r#"{"Id":1,"Fields":"{\"b\": 1}","None":null}"#;
        assert_eq!(row(document), of(document));
    }

    #[test]
    fn a_cell_that_is_only_like_json_counts_as_the_text_that_it_is() {
        let cells = [
            r#""[1""#,
            r#""{x}""#,
            r#""[1] and more""#,
            r#""7""#,
            "7",
            r#""null""#,
            "null",
            r#""""#,
            r#""[1]""#,
            r#""[1.0]""#,
        ];
        let hashes: std::collections::BTreeSet<_> =
            cells.iter().map(|cell| row(&format!(r#"{{"Cell":{cell}}}"#))).collect();
        assert_eq!(hashes.len(), cells.len());
        assert_ne!(
            row(r#"{"Cell":{"inner":"[1]"}}"#),
            row(r#"{"Cell":{"inner":[1]}}"#),
            "inside a cell a text is a text"
        );
    }

    #[test]
    fn depth_exhausts_no_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(row(&format!(r#"{{"Cell":"{deep}"}}"#)), row(&format!(r#"{{"Cell":{deep}}}"#)));
    }

    proptest::proptest! {
        /// Whatever the endpoint quotes, the row has one hash.
        #[test]
        fn any_object_counts_the_same_quoted(document in crate::record::documents::document()) {
            let json = document.text();
            let mut compact = String::new();
            Cursor::new(&json).compact(&mut compact);
            let text = serde_json::to_string(&compact).expect("a text has a JSON form");
            proptest::prop_assert_eq!(row(&format!("{{\"Cell\":{text}}}")), row(&format!("{{\"Cell\":{json}}}")));
        }
    }
}
