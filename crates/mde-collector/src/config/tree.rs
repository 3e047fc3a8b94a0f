//! A configuration file as a tree in which everything knows its place.

use super::hidden;
use super::source::Span;

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where it stands; where an empty value would stand, its key.
    pub span: Span,
    /// How it is reached, such as `inputs.acme.id` or `outputs[0]`; empty for the root.
    pub path: String,
    /// What it is.
    pub value: Value,
}

/// What a node can be.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A text, whatever it means.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A section; no key stands in it twice.
    Map(Vec<Entry>),
}

/// One value as it was written: dates, ids and numbers keep their spelling.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    /// The text after YAML's or JSON's own escapes.
    pub text: String,
    /// It stood in quotes or in a block, so it is text and nothing else.
    pub quoted: bool,
    /// It is a credential: no message shows it.
    pub hidden: bool,
}

impl Scalar {
    /// The value as the subject of a message.
    pub fn shown(&self) -> String {
        if self.hidden { "the value".to_owned() } else { format!("`{}`", clipped(&self.text)) }
    }
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub span: Span,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "one value",
            Value::List(_) => "a list",
            Value::Map(_) => "a section",
        }
    }

    /// Number of nodes in it, itself included.
    pub fn size(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }

    /// Levels in it: 1 for a single value.
    pub fn depth(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }

    /// The same value at another place in the tree.
    pub fn moved_to(mut self, path: String) -> Self {
        self.set_path(path);
        self
    }

    /// Gives the node and all below it their paths.
    fn set_path(&mut self, path: String) {
        match &mut self.value {
            Value::Null | Value::Scalar(_) => {}
            Value::List(items) => {
                items.iter_mut().enumerate().for_each(|(index, item)| item.set_path(item_path(&path, index)));
            }
            Value::Map(entries) => {
                entries.iter_mut().for_each(|entry| entry.value.set_path(key_path(&path, &entry.key)));
            }
        }
        self.path = path;
    }
}

/// Path of a key below another path.
pub(super) fn key_path(parent: &str, key: &str) -> String {
    let key = shown_key(key);
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// A key for a message; of one that swallowed its value nothing is shown.
pub(super) fn shown_key(key: &str) -> String {
    if hidden::swallowed_value(key) { "…".to_owned() } else { clipped(key) }
}

/// Path of an element of a list.
pub(super) fn item_path(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// A text for a message: on one line, and no longer than a line can bear.
pub(super) fn clipped(text: &str) -> String {
    /// Unit: characters.
    const MOST: usize = 60;
    let mut clipped: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        clipped.push('…');
    }
    clipped
}
