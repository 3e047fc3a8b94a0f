//! Values that the configuration hides are replaced before anything is stored. Pure; the record's other octets stay.
//!
//! All rules look at the record as the API gave it. Where several reach the same value, the one that replaces the outer
//! value wins, and of two with one path the later one. A rule reaches every member of its name, doubled ones as well.

use crate::record::{Cursor, JsonError, unquoted};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One rule of `obfuscation_data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obfuscation {
    /// Path in the record as the API gave it, through arrays to each element.
    pub path: Vec<String>,
    /// JSON text that takes the value's place.
    pub value: String,
}

/// Applies the rules to one record. Nothing is copied where no rule finds its value.
///
/// # Errors
/// There are rules, and the document is not JSON: what cannot be read cannot be hidden.
pub fn obfuscate<'a>(document: &'a [u8], rules: &[Obfuscation]) -> Result<Cow<'a, [u8]>, JsonError> {
    if rules.is_empty() {
        return Ok(Cow::Borrowed(document));
    }
    let _accepted: &RawValue = serde_json::from_slice(document)?;
    let text = std::str::from_utf8(document).expect("the parser has accepted it, and white space around it is ASCII");
    let rules: Vec<_> = rules.iter().map(|rule| Rest { path: &rule.path, value: &rule.value }).collect();
    let mut walk = Walk { text, cursor: Cursor::new(text), copied: 0, out: String::new() };
    walk.value(&rules);
    if walk.out.is_empty() {
        return Ok(Cow::Borrowed(document));
    }
    walk.copy_to(walk.text.len());
    Ok(Cow::Owned(walk.out.into_bytes()))
}

/// A rule seen from inside the record: what is left of its path.
#[derive(Clone, Copy)]
struct Rest<'r> {
    /// Names still to come; empty where the value itself is meant.
    path: &'r [String],
    /// What takes its place.
    value: &'r str,
}

/// One pass over a record.
struct Walk<'a> {
    /// The record.
    text: &'a str,
    /// Where in the record the walk is.
    cursor: Cursor<'a>,
    /// How much of the text is in `out`.
    copied: usize,
    /// The new record, empty while nothing is replaced.
    out: String,
}

impl Walk<'_> {
    /// Passes the next value, which the rules lead into: an object, or objects in arrays however nested. Arrays are
    /// counted, not recursed into: the depth of the recursion is the length of a path.
    fn value(&mut self, rules: &[Rest<'_>]) {
        let mut depth: usize = 0;
        loop {
            match self.cursor.peek() {
                b'[' => {
                    self.cursor.open();
                    depth += 1;
                }
                b'{' => self.object(rules),
                _ => {
                    self.cursor.value();
                }
            }
            while depth > 0 && !self.cursor.element() {
                depth -= 1;
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Passes an object that the rules lead into.
    fn object(&mut self, rules: &[Rest<'_>]) {
        self.cursor.open();
        while let Some(key) = self.cursor.key() {
            let name = unquoted(key);
            let inner: Vec<_> = rules.iter().filter_map(|rule| rule.enter(&name)).collect();
            if let Some(last) = inner.iter().rfind(|rule| rule.path.is_empty()) {
                self.replace(last.value);
            } else if inner.is_empty() {
                self.cursor.value();
            } else {
                self.value(&inner);
            }
        }
    }

    /// Passes the next value and writes another.
    fn replace(&mut self, value: &str) {
        // `peek` passes the white space before the value, which stays.
        self.cursor.peek();
        self.copy_to(self.cursor.at());
        self.out.push_str(value);
        self.cursor.value();
        self.copied = self.cursor.at();
    }

    /// Writes what the record has up to there.
    fn copy_to(&mut self, end: usize) {
        self.out.push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }
}

impl<'r> Rest<'r> {
    /// The rule behind a member of that name, if it leads there.
    fn enter(self, name: &str) -> Option<Self> {
        let (first, path) = self.path.split_first()?;
        (first == name).then_some(Self { path, value: self.value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::documents::{Node, Tree, document};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn rule(path: &[&str], value: &str) -> Obfuscation {
        Obfuscation { path: path.iter().map(|name| (*name).to_owned()).collect(), value: value.to_owned() }
    }

    fn hidden(record: &str, rules: &[Obfuscation]) -> String {
        String::from_utf8(obfuscate(record.as_bytes(), rules).expect("JSON").into_owned()).expect("UTF-8")
    }

    #[test]
    fn a_value_is_replaced_at_its_path_and_through_arrays_and_all_else_stays() {
        let record = "{ \"user\" : {\"name\": null , \"n\":1.0},\r\n\"list\":[ {\"ip\" :\"x\"}, 3,[[{\"ip\":[1, 2] }]] ],\"é\":\"\\u00e9\"}";
        let rules = [rule(&["user", "name"], "\"hidden\""), rule(&["list", "ip"], "0"), rule(&["user", "absent"], "1")];
        let expected = "{ \"user\" : {\"name\": \"hidden\" , \"n\":1.0},\r\n\"list\":[ {\"ip\" :0}, 3,[[{\"ip\":0 }]] ],\"é\":\"\\u00e9\"}";
        assert_eq!(hidden(record, &rules), expected);
    }

    #[test]
    fn a_whole_object_or_array_is_a_value_too() {
        assert_eq!(
            hidden(r#"{"a":{"b":1},"c":[1,{"d":2}]}"#, &[rule(&["a"], "null"), rule(&["c"], "\"h\"")]),
            r#"{"a":null,"c":"h"}"#
        );
    }

    #[test]
    fn every_member_of_the_name_is_replaced_however_it_is_spelled() {
        assert_eq!(
            hidden(r#"{"a":1,"\u0061":2,"b":{"a":3}}"#, &[rule(&["a"], "0")]),
            r#"{"a":0,"\u0061":0,"b":{"a":3}}"#
        );
    }

    #[test]
    fn the_outer_value_wins_and_of_one_path_the_later_rule() {
        let rules = [rule(&["a"], r#"{"b":7}"#), rule(&["a", "b"], "8"), rule(&["c"], "1"), rule(&["c"], "2")];
        assert_eq!(hidden(r#"{"a":{"b":1},"c":0}"#, &rules), r#"{"a":{"b":7},"c":2}"#);
        let outer_last = [rule(&["a", "b"], "8"), rule(&["a"], "9")];
        assert_eq!(hidden(r#"{"a":{"b":1}}"#, &outer_last), r#"{"a":9}"#);
    }

    #[test]
    fn nothing_is_copied_where_nothing_is_replaced() {
        let record = br#" {"a":1} "#;
        for rules in [vec![], vec![rule(&["b"], "0"), rule(&["a", "b"], "0"), rule(&[], "0")]] {
            assert!(matches!(obfuscate(record, &rules), Ok(Cow::Borrowed(same)) if same == record));
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_where_something_is_to_be_hidden() {
        for broken in [&b"{\"a\":1"[..], b"{\"a\":\"\xff\"}", b"{\"a\":\"\n\"}", b""] {
            assert!(obfuscate(broken, &[rule(&["a"], "0")]).is_err());
        }
    }

    #[test]
    fn nesting_without_end_is_walked_without_recursion() {
        let levels = 100_000;
        let record = format!("{{\"a\":{}{{\"b\":1}}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(hidden(&record, &[rule(&["a", "b"], "22")]), record.replace(":1}", ":22}"));
    }

    /// The contract on the tree that the document was made from.
    fn replaced(node: &Node, rules: &[(&[String], &str)]) -> Node {
        let tree = match &node.tree {
            Tree::Scalar(_) => node.tree.clone(),
            Tree::Array(elements) => Tree::Array(elements.iter().map(|element| replaced(element, rules)).collect()),
            Tree::Object(members) => {
                let mut given = members.clone();
                for (key, value) in &mut given {
                    let below: Vec<_> = rules
                        .iter()
                        .filter(|(path, _)| !path.is_empty() && path[0] == key.meant)
                        .map(|(path, new)| (&path[1..], *new))
                        .collect();
                    *value = match below.iter().rfind(|(path, _)| path.is_empty()) {
                        Some((_, new)) => Node { tree: Tree::Scalar((*new).to_owned()), ..value.clone() },
                        None => replaced(value, &below),
                    };
                }
                Tree::Object(given)
            }
        };
        Node { tree, ..node.clone() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn rules_change_what_the_model_changes_and_no_other_octet(
            document in document(),
            rules in vec((vec(select(&["a", "b", "list", "é", "id", r"\ud83d"][..]), 1..4), select(&["0", "\"hid\"", "{\"a\": 1}"][..])), 0..5),
        ) {
            let rules: Vec<_> = rules.iter().map(|(path, value)| rule(path, value)).collect();
            let plain: Vec<_> = rules.iter().map(|rule| (&rule.path[..], &rule.value[..])).collect();
            let (text, expected) = (document.text(), replaced(&document, &plain).text());
            prop_assert_eq!(hidden(&text, &rules), expected);
        }
    }
}
