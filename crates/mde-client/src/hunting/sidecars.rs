//! Rows without the keys that describe other keys. Graph writes `"Flag@odata.type":"#SByte"` before `"Flag":1`.

use crate::rows::scanner::{Scan, is_blank};

/// How such a key ends. A column cannot be named so without being quoted in the query.
const ENDING: &str = "@odata.type";

/// The row without its sidecars. All else stays byte for byte, blanks too; keys within a value belong to the data.
///
/// `room` holds the answer where it is another than the row. What is no object is left as it is, for its reader to refuse.
pub(super) fn strip<'a>(row: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    room.clear();
    match stripped(row, room) {
        Some(true) => room,
        Some(false) | None => row,
    }
}

/// Writes the row without its sidecars. True if there were any; `None` where it is no object.
fn stripped(row: &[u8], room: &mut Vec<u8>) -> Option<bool> {
    let mut scan = Scan::default();
    // What stands before a member: what opens the object, or what separates it from the one before.
    let mut from = 0;
    let mut at = after(row, 0, b'{')?;
    let (mut kept, mut left_out) = (0_usize, 0_usize);
    at = blanks(row, at);
    if row.get(at) == Some(&b'}') {
        return Some(false);
    }
    room.extend_from_slice(&row[..at]);
    loop {
        let key_end = token(&mut scan, row, at)?;
        let value_at = blanks(row, after(row, key_end, b':')?);
        let value_end = token(&mut scan, row, value_at)?;
        if is_sidecar(&row[at..key_end])? {
            left_out += 1;
        } else {
            if kept > 0 {
                room.extend_from_slice(&row[from..at]);
            }
            room.extend_from_slice(&row[at..value_end]);
            kept += 1;
        }
        from = value_end;
        let next = blanks(row, value_end);
        match row.get(next)? {
            b',' => at = blanks(row, next + 1),
            b'}' => break,
            _ => return None,
        }
    }
    room.extend_from_slice(&row[from..]);
    Some(left_out > 0)
}

/// Whether a key, with its quotes, is one that describes another.
fn is_sidecar(key: &[u8]) -> Option<bool> {
    let inside = key.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inside.contains(&b'\\') {
        let key: String = serde_json::from_slice(key).ok()?;
        return Some(key.ends_with(ENDING));
    }
    Some(inside.ends_with(ENDING.as_bytes()))
}

/// Where the token that begins there ends.
fn token(scan: &mut Scan, row: &[u8], at: usize) -> Option<usize> {
    scan.begin(*row.get(at)?)?;
    Some(at + scan.run(&row[at..]).ok()??)
}

/// Where the next byte that is no blank stands.
fn blanks(row: &[u8], at: usize) -> usize {
    row.len() - row[at..].iter().position(|byte| !is_blank(*byte)).map_or(0, |count| row.len() - at - count)
}

/// The place after that byte, which may have blanks before it.
fn after(row: &[u8], at: usize, wanted: u8) -> Option<usize> {
    let at = blanks(row, at);
    (row.get(at) == Some(&wanted)).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn without(row: &str) -> String {
        let mut room = b"left from before".to_vec();
        String::from_utf8(strip(row.as_bytes(), &mut room).to_vec()).expect("test text")
    }

    #[test]
    fn sidecars_go_and_everything_else_stays_byte_for_byte() {
        for (row, expected) in [
            (r#"{"A@odata.type":"SByte","A":1}"#, r#"{"A":1}"#),
            (r#"{"A":1.0,"A@odata.type":"Double"}"#, r#"{"A":1.0}"#),
            (r#"{"@odata.type":"row","A":1}"#, r#"{"A":1}"#),
            (r#"{"a":"x","B@odata.type":"t","B":[ 1 ,2], "c":null}"#, r#"{"a":"x","B":[ 1 ,2], "c":null}"#),
            ("{ \"A@odata.type\" : \"t\" ,\n \"A\" : 1 ,\n \"B\" : 2\n}", "{ \"A\" : 1 ,\n \"B\" : 2\n}"),
            (r#"{"A@odata.type":"t"}"#, "{}"),
            (r#"{"A@odata.type":"t","B@odata.type":"t"}"#, "{}"),
            (r#"{"A\u0040odata.type":"t","A":1}"#, r#"{"A":1}"#),
            (r#"{"A@odata.type":{"x":["}"]},"A":"\",}"}"#, r#"{"A":"\",}"}"#),
        ] {
            assert_eq!(without(row), expected, "{row}");
        }
    }

    #[test]
    fn a_row_without_sidecars_and_keys_within_values_are_left_alone() {
        for row in [
            "{}",
            " { } ",
            r#"{"A":1,"A":2}"#,
            r#"{"A":{"x@odata.type":"t","x":1},"B":"A@odata.type"}"#,
            r#"{"A@odata.typed":1,"A@odata.Type":2}"#,
            "[1]",
            "7",
            r#"{"A@odata.type":"t","A"}"#,
            r#"{"A@odata.type":"t" "A":1}"#,
            r#"{"A@odata.type":"t",}"#,
            r#"{A@odata.type:"t"}"#,
            "",
        ] {
            assert_eq!(without(row), row);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_left_is_the_object_without_those_members(
            members in prop::collection::vec(("[A-Ca-c\"\\\\é]{0,3}(@odata\\.type)?", "[\"\\\\{},:@ a]{0,6}"), 0..8),
            pretty in any::<bool>(),
        ) {
            let object: Map<String, Value> =
                members.into_iter().map(|(key, value)| (key, Value::Array(vec![value.into()]))).collect();
            let text = |object: &Map<String, Value>| {
                let value = Value::Object(object.clone());
                if pretty { format!("{value:#}") } else { value.to_string() }
            };
            let kept: Map<String, Value> =
                object.clone().into_iter().filter(|(key, _)| !key.ends_with(ENDING)).collect();
            let left = without(&text(&object));
            prop_assert_eq!(&serde_json::from_str::<Map<String, Value>>(&left).expect("an object"), &kept);
            if !kept.is_empty() && !pretty {
                prop_assert_eq!(left, text(&kept));
            }
        }
    }
}
