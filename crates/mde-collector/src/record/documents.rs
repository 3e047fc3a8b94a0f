//! Generated JSON documents as trees that remember every octet, so that a test knows what it wrote without parsing it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A value with the white space around it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
    pub(crate) tree: Tree,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    /// A scalar as written.
    Scalar(String),
    Array(Vec<Node>),
    /// Members: key and value.
    Object(Vec<(Key, Node)>),
}

/// A key as written (without quotes) and as meant, with the white space around it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
    pub(crate) written: &'static str,
    pub(crate) meant: &'static str,
}

/// (written, meant). Few, so that names meet; joined ones and names of ours among them.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("a", "a"),
    (r"\u0061", "a"),
    ("b", "b"),
    ("list", "list"),
    ("a_b", "a_b"),
    ("a_b_2", "a_b_2"),
    ("b_2", "b_2"),
    ("a_list", "a_list"),
    ("list_found", "list_found"),
    ("list_id", "list_id"),
    ("list_a", "list_a"),
    ("id", "id"),
    ("found", "found"),
    ("", ""),
    ("é", "é"),
    (r"\u00e9", "é"),
    (r#"\"{"#, "\"{"),
    // Half a pair is no text; such a key means what is written.
    (r"\ud83d", r"\ud83d"),
    ("related_files", "related_files"),
    ("@event_id", "@event_id"),
    (r"@event\u005fid", "@event_id"),
    ("@devo_pulling_id", "@devo_pulling_id"),
];

/// Scalars whose spelling a careless program would change.
const SCALARS: &[&str] = &[
    "null",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.0",
    "1.50",
    "1e400",
    "-1E+2",
    "12345678901234567890",
    "0.1000000000000000055511151231257827",
];

/// Pieces of strings, as written.
const PIECES: &[&str] = &[
    "x",
    " ",
    "\u{a0}",
    "é",
    "日本",
    "😀",
    "\u{2028}",
    "\u{7f}",
    r#"\""#,
    r"\\",
    r"\/",
    r"\n",
    r"\r",
    r"\u0000",
    r"\u000A",
    r"\ud83d\ude00",
    r"\udead",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "'",
    "null",
];

/// White space, mostly none.
fn space() -> impl Strategy<Value = &'static str> {
    select(&["", "", "", "", " ", "\n", "\r\n", "\t \t"][..])
}

/// A key.
fn key() -> impl Strategy<Value = Key> {
    (space(), space(), select(KEYS)).prop_map(|(before, after, (written, meant))| Key { before, after, written, meant })
}

/// A number, a string or a word.
fn scalar() -> impl Strategy<Value = Tree> {
    let number = any::<i128>().prop_map(|number| number.to_string());
    let string = vec(select(PIECES), 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()));
    prop_oneof![4 => select(SCALARS).prop_map(str::to_owned), 1 => number, 4 => string].prop_map(Tree::Scalar)
}

/// A value with white space.
fn node(tree: impl Strategy<Value = Tree>) -> impl Strategy<Value = Node> {
    (space(), tree, space()).prop_map(|(before, tree, after)| Node { before, after, tree })
}

/// A value, up to six levels deep.
fn tree() -> impl Strategy<Value = Tree> {
    scalar().prop_recursive(6, 48, 5, |inner| {
        let inner = node(inner).boxed();
        prop_oneof![vec(inner.clone(), 0..5).prop_map(Tree::Array), vec((key(), inner), 0..5).prop_map(Tree::Object),]
    })
}

/// A whole record: an object.
pub(crate) fn document() -> impl Strategy<Value = Node> {
    node(vec((key(), node(tree())), 0..8).prop_map(Tree::Object))
}

impl Node {
    /// The document's text, white space and all.
    pub(crate) fn text(&self) -> String {
        let Self { before, after, tree } = self;
        let inside = match tree {
            Tree::Scalar(written) => written.clone(),
            Tree::Array(elements) => format!("[{}]", joined(elements.iter().map(Self::text))),
            Tree::Object(members) => format!(
                "{{{}}}",
                joined(members.iter().map(|(key, value)| {
                    format!("{}\"{}\"{}:{}", key.before, key.written, key.after, value.text())
                }))
            ),
        };
        format!("{before}{inside}{after}")
    }
}

/// Parts with commas between them.
fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

impl Tree {
    /// The value's text without white space between its tokens.
    pub(crate) fn compact(&self) -> String {
        match self {
            Self::Scalar(written) => written.clone(),
            Self::Array(elements) => format!("[{}]", joined(elements.iter().map(|element| element.tree.compact()))),
            Self::Object(members) => {
                let members =
                    members.iter().map(|(key, value)| format!("\"{}\":{}", key.written, value.tree.compact()));
                format!("{{{}}}", joined(members))
            }
        }
    }
}
