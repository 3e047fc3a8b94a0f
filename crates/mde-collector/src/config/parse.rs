//! From text to tree: YAML, and JSON, which is read by the same parser.
//!
//! What a parser leaves to its user is settled here: keys that stand twice, aliases that multiply, merge keys, depth.

mod surrogates;

use super::hidden;
use super::problem::Fault;
use super::source::{Point, Span};
use super::tree::{Entry, Node, Scalar, Value, item_path, key_path};
use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks, Tag};
use std::collections::HashMap;
use surrogates::Shift;

/// Deepest nesting; a configuration needs about ten levels.
const MAX_DEPTH: usize = 64;
/// Most nodes that aliases may add: a few nested ones can stand for billions.
const MAX_ALIASED: usize = 10_000;

/// A problem of the text itself, at its place and path.
#[derive(Debug)]
pub(super) struct TextFault {
    /// Where.
    pub span: Span,
    /// Below which key.
    pub path: String,
    /// What.
    pub fault: Fault,
}

/// What a text turned out to be.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The tree; none when the text cannot be read to its end.
    pub root: Option<Node>,
    /// Every key that was understood: what may be shown of the text even when there is no tree.
    ///
    /// Where a mistake has torn a key apart, no list of names tells any more which value is a credential.
    pub keys: Vec<Span>,
    /// What is wrong with the text.
    pub faults: Vec<TextFault>,
}

/// Reads a file's text.
pub(super) fn parse(text: &str, source: usize) -> Parsed {
    let (text, shifts) = surrogates::join(text);
    let mut builder = Builder {
        source,
        shifts,
        frames: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
        root: None,
        keys: Vec::new(),
        faults: Vec::new(),
    };
    let whole = builder.run(&text);
    // A text without a document is an empty one.
    let first = Point { line: 1, column: 1 };
    let nothing = Node { span: Span { source, start: first, end: first }, path: String::new(), value: Value::Null };
    let root = whole.then(|| builder.root.unwrap_or(nothing));
    Parsed { root, keys: builder.keys, faults: builder.faults }
}

/// A list or section whose end has not come yet.
struct Frame {
    /// Where it begins.
    span: Span,
    /// Its path.
    path: String,
    /// Number of its anchor, 0 for none.
    anchor: usize,
    /// It stands where a credential should: what looks like a key in it may be one, torn apart by a mistake.
    secret: bool,
    /// What is in it so far.
    content: Content,
}

/// What is in an open list or section.
enum Content {
    /// A list.
    List(Vec<Node>),
    /// A section.
    Map {
        /// Its entries.
        entries: Vec<Entry>,
        /// Where each key stands.
        places: HashMap<String, Span>,
        /// The key whose value comes next.
        key: Option<(String, Span)>,
    },
}

/// Gathers a parser's events to a tree.
struct Builder {
    /// Number of the file.
    source: usize,
    /// How columns of the parsed text differ from those of the file, in the order of the text.
    shifts: Vec<Shift>,
    /// Open lists and sections, outermost first.
    frames: Vec<Frame>,
    /// Finished nodes by the number of their anchor.
    anchors: HashMap<usize, Node>,
    /// Nodes that aliases have added.
    aliased: usize,
    /// The document.
    root: Option<Node>,
    /// Keys that may be shown.
    keys: Vec<Span>,
    /// What was wrong.
    faults: Vec<TextFault>,
}

impl Builder {
    /// Takes all events; false when the text could not be read to its end.
    fn run(&mut self, text: &str) -> bool {
        let mut documents = 0;
        // Events are pulled: the crate's own loader recurses, and a deep text would end the process.
        for event in Parser::new_from_str(text) {
            let (event, marks) = match event {
                Ok(event) => event,
                Err(error) => {
                    let at = self.point(error.marker().line(), error.marker().col());
                    let end = Point { column: at.column + 1, ..at };
                    let fault = Fault::new(format!("not valid YAML or JSON: {}", error.info()));
                    self.fault(Span { source: self.source, start: at, end }, syntax_help(text, at, fault));
                    return false;
                }
            };
            let span = self.span(marks);
            let fatal = match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    (documents > 1)
                        .then(|| Fault::new("a second document begins here").help("keep one document in a file"))
                }
                Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), span),
                Event::SequenceStart(anchor, tag) => self.open(Content::List(Vec::new()), anchor, tag.as_deref(), span),
                Event::MappingStart(anchor, tag) => {
                    let content = Content::Map { entries: Vec::new(), places: HashMap::new(), key: None };
                    self.open(content, anchor, tag.as_deref(), span)
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(),
                Event::Alias(anchor) => self.alias(anchor, span),
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => None,
            };
            if let Some(fault) = fatal {
                self.fault(span, fault);
                return false;
            }
        }
        true
    }

    /// A single value, or a key.
    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Option<Fault> {
        let typed = self.tag(tag, span);
        let quoted = style != ScalarStyle::Plain || typed;
        let null = !quoted && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        if let Some(Content::Map { key: key @ None, .. }) = self.frames.last_mut().map(|frame| &mut frame.content) {
            *key = Some((text.to_owned(), span));
            let secret = self.frames.last().is_some_and(|frame| frame.secret);
            if anchor == 0 && !secret && !hidden::swallowed_value(text) {
                self.keys.push(span);
            }
            // `&` before a key is a slip: it makes what was the key a name, and what was the value the key.
            return (anchor > 0)
                .then(|| Fault::new("a key has no anchor").help("leave out the `&` and the word behind it"));
        }
        let value =
            if null { Value::Null } else { Value::Scalar(Scalar { text: text.to_owned(), quoted, hidden: false }) };
        // An empty value is given a place behind it by the parser; its key is where a person looks.
        let span = if text.is_empty() && null { self.key_span().unwrap_or(span) } else { span };
        self.add(Node { span, path: self.next_path(), value }, anchor)
    }

    /// A list or section begins.
    fn open(&mut self, content: Content, anchor: usize, tag: Option<&Tag>, span: Span) -> Option<Fault> {
        self.tag(tag, span);
        if let Some(fault) = self.not_a_key() {
            return Some(fault);
        }
        let path = self.next_path();
        let secret = self.in_secret();
        self.frames.push(Frame { span, path, anchor, secret, content });
        (self.frames.len() > MAX_DEPTH).then(|| Fault::new(format!("is nested deeper than {MAX_DEPTH} levels")))
    }

    /// A list or section ends.
    fn close(&mut self) -> Option<Fault> {
        let frame = self.frames.pop()?;
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(merged(entries, &frame.path)),
        };
        self.add(Node { span: frame.span, path: frame.path, value }, frame.anchor)
    }

    /// A value that stands elsewhere.
    fn alias(&mut self, anchor: usize, span: Span) -> Option<Fault> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Some(Fault::new("an alias stands inside its own anchor"));
        };
        self.aliased += node.size();
        if self.aliased > MAX_ALIASED {
            return Some(Fault::new(format!("aliases repeat more than {MAX_ALIASED} values")));
        }
        if self.frames.len() + node.depth() > MAX_DEPTH {
            return Some(Fault::new(format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        if let Some(Content::Map { key: key @ None, .. }) = self.frames.last_mut().map(|frame| &mut frame.content)
            && let Value::Scalar(scalar) = &node.value
        {
            *key = Some((scalar.text.clone(), span));
            return None;
        }
        if let Some(fault) = self.not_a_key() {
            return Some(fault);
        }
        let path = self.next_path();
        self.add(node.moved_to(path), 0)
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Option<Fault> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.frames.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, places, key }) => {
                let (key, span) = key.take().expect("a value follows its key");
                if let Some(first) = places.get(&key) {
                    let fault = Fault::new(format!(
                        "the key stands twice; first at line {}, column {}",
                        first.start.line, first.start.column
                    ));
                    let fault = fault.help("keep one of the two");
                    self.faults.push(TextFault { span, path: node.path, fault });
                } else {
                    places.insert(key.clone(), span);
                    entries.push(Entry { key, span, value: node });
                }
            }
        }
        None
    }

    /// A fault when a list or section stands where a key must.
    fn not_a_key(&self) -> Option<Fault> {
        match self.frames.last()?.content {
            Content::Map { key: None, .. } => Some(Fault::new("a key must be a single text")),
            _ => None,
        }
    }

    /// Whether the node that comes next stands where a credential should. `credentials` itself is a section of keys.
    fn in_secret(&self) -> bool {
        self.frames.last().is_some_and(|frame| {
            frame.secret
                || matches!(&frame.content, Content::Map { key: Some((key, _)), .. } if key != "credentials" && hidden::sounds_secret(key))
        })
    }

    /// Path of the node that comes next.
    fn next_path(&self) -> String {
        match self.frames.last() {
            None => String::new(),
            Some(Frame { path, secret: true, .. }) => path.clone(),
            Some(Frame { path, content: Content::List(items), .. }) => item_path(path, items.len()),
            Some(Frame { path, content: Content::Map { key, .. }, .. }) => {
                key.as_ref().map_or_else(|| path.clone(), |(key, _)| key_path(path, key))
            }
        }
    }

    /// Where the key of the node that comes next stands.
    fn key_span(&self) -> Option<Span> {
        match &self.frames.last()?.content {
            Content::Map { key, .. } => key.as_ref().map(|(_, span)| *span),
            Content::List(_) => None,
        }
    }

    /// Looks at a tag: true for one that makes its value text; those of other programs are faults.
    fn tag(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() {
            let fault =
                Fault::new("a tag has no meaning here").help("write the value itself, or ${env:NAME} or ${file:PATH}");
            let path = self.next_path();
            self.faults.push(TextFault { span, path, fault });
        }
        tag.suffix == "str"
    }

    /// Notes what is wrong at a place.
    fn fault(&mut self, span: Span, fault: Fault) {
        let path = self.frames.last().map(|frame| frame.path.clone()).unwrap_or_default();
        self.faults.push(TextFault { span, path, fault });
    }

    /// The parser's stretch as ours.
    fn span(&self, marks: Marks) -> Span {
        let point = |mark: saphyr_parser::Marker| self.point(mark.line(), mark.col());
        Span { source: self.source, start: point(marks.start), end: point(marks.end) }
    }

    /// The parser's place (its column counts from 0) as a place in the file.
    fn point(&self, line: usize, column: usize) -> Point {
        let before_line = self.shifts.partition_point(|shift| shift.line < line);
        let before_place = self.shifts.partition_point(|shift| (shift.line, shift.column) <= (line, column));
        Point { line: line.max(1), column: column + (before_place - before_line) * Shift::BY + 1 }
    }
}

/// Entries with YAML's merge key `<<` resolved: what it brings stands behind what is written out.
fn merged(mut entries: Vec<Entry>, path: &str) -> Vec<Entry> {
    let is_merge = |entry: &Entry| {
        entry.key == "<<"
            && match &entry.value.value {
                Value::Map(_) => true,
                Value::List(items) => items.iter().all(|item| matches!(item.value, Value::Map(_))),
                Value::Null | Value::Scalar(_) => false,
            }
    };
    let Some(index) = entries.iter().position(is_merge) else { return entries };
    let sources = match entries.remove(index).value.value {
        Value::List(items) => items.into_iter().map(|item| item.value).collect(),
        value => vec![value],
    };
    for source in sources {
        let Value::Map(brought) = source else { continue };
        for entry in brought {
            if !entries.iter().any(|own| own.key == entry.key) {
                let path = key_path(path, &entry.key);
                entries.push(Entry { value: entry.value.moved_to(path), ..entry });
            }
        }
    }
    entries
}

/// What to do about the usual slips of the pen.
fn syntax_help(text: &str, at: Point, fault: Fault) -> Fault {
    let line = text.lines().nth(at.line - 1).unwrap_or_default();
    if line.trim_start_matches(' ').starts_with('\t') {
        return fault.help("indent with spaces: YAML allows no tabs there");
    }
    fault.help("look at quotes, colons and indentation here and in the line before")
}

#[cfg(test)]
mod tests;
