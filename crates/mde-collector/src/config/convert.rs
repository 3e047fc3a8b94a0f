//! An official file in our own layout: canonical names, nothing that means nothing, and a list of what was changed.

mod references;

use super::key::{Declared, Form, Origin, TYPE, Table};
use super::report::Report;
use super::tree::{Entry, Node, Scalar, Value};
use super::{Options, Problems, load};
use crate::service;
use std::path::Path;

/// A configuration in our own layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The file, YAML, without a credential: references such as `${env:NAME}` stand in it as they were, and one takes the
    /// place of each credential that stood in the original.
    pub text: String,
    /// What differs from the original, each in one line that names the place; nothing of a credential.
    pub changes: Vec<String>,
}

/// Where a configuration is read from.
#[derive(Debug, Clone, Copy)]
pub enum Original<'a> {
    /// One file.
    File(&'a Path),
    /// The collector-server form: the job's file and the collector's.
    Job(&'a Path, &'a Path),
}

/// Rewrites a configuration that loads.
///
/// # Errors
/// Everything that is wrong with it, as [`super::load`] says it; a placeholder is none.
pub fn convert(original: Original<'_>, environment: &dyn Fn(&str) -> Option<String>) -> Result<Converted, Problems> {
    let options = Options { offline: true, ..Options::default() };
    let report = Report::new(environment, options);
    let (file, root) = match original {
        Original::File(path) => (path, report.open(path)),
        Original::Job(job, collector) => (job, load::open_job(&report, job, collector)),
    };
    let config = root.as_ref().and_then(|root| load::assemble(&report, file, root));
    report.conclude(config)?;
    let mut root = root.expect("what could not be read was refused just now");
    let moved = references::in_place_of_secrets(&mut root);
    let mut page = Page::default();
    page.section(0, &root, &load::ROOT);
    page.changes.extend(moved);
    Ok(Converted { text: page.text, changes: page.changes })
}

/// A file under way.
#[derive(Default)]
struct Page {
    /// What is written.
    text: String,
    /// What differs.
    changes: Vec<String>,
}

impl Page {
    /// A line at a level.
    fn line(&mut self, level: usize, text: &str) {
        self.text += &format!("{}{text}\n", "  ".repeat(level));
    }

    /// The keys of a section, in its own order.
    fn section(&mut self, level: usize, node: &Node, table: &'static Table) {
        self.keys(level, node, &table.keys().collect::<Vec<_>>());
    }

    /// The keys of a section that these may stand in.
    fn keys(&mut self, level: usize, node: &Node, known: &[&'static dyn Declared]) {
        let Value::Map(entries) = &node.value else { return };
        for entry in entries {
            let Some(key) = known.iter().find(|key| key.names().contains(&entry.key.as_str())) else {
                self.changes.push(format!("{}: left out, it means nothing here", entry.value.path));
                continue;
            };
            let about = key.about();
            if about.origin == Origin::Obsolete {
                self.changes.push(format!("{}: left out, it is not needed", entry.value.path));
                continue;
            }
            if entry.key != about.name {
                self.changes.push(format!("{}: is called {} now", entry.value.path, about.name));
            }
            let form = match about.form {
                Form::ByType(types) => types()
                    .into_iter()
                    .find(|(word, _)| Some(*word) == word_of(entries))
                    .map_or(Form::Any, |(_, table)| Form::Section(table)),
                form => form,
            };
            self.value(level, about.name, &entry.value, form);
        }
    }

    /// A key and its value.
    fn value(&mut self, level: usize, name: &str, node: &Node, form: Form) {
        match (&node.value, form) {
            (Value::Map(_), Form::Section(table) | Form::SwitchOr(table)) => {
                self.line(level, &format!("{name}:"));
                self.section(level + 1, node, table);
            }
            (Value::Map(entries), Form::Named(table) | Form::NamedOrList(table)) => {
                self.line(level, &format!("{name}:"));
                for entry in entries {
                    self.value(level + 1, &entry.key, &entry.value, Form::Section(table));
                }
            }
            (Value::List(items), Form::List(table) | Form::NamedOrList(table)) => {
                self.line(level, &format!("{name}:"));
                for item in items {
                    let from = self.text.len();
                    self.section(level + 2, item, table);
                    // The first key of an element stands behind its dash.
                    let indent = 2 * (level + 1);
                    if self.text.len() > from + indent {
                        self.text.replace_range(from + indent..=from + indent, "-");
                    }
                }
            }
            (Value::Map(entries), Form::Services(table)) => {
                self.line(level, &format!("{name}:"));
                for entry in entries {
                    self.service(level + 1, entry, table);
                }
            }
            _ => self.plain(level, &format!("{}:", quoted_if_needed(name)), node),
        }
    }

    /// A service under its canonical name.
    fn service(&mut self, level: usize, entry: &Entry, table: &'static Table) {
        let def = service::find(&entry.key);
        let name = def.map_or(entry.key.as_str(), |def| def.name);
        if name != entry.key {
            self.changes.push(format!("{}: is called {name} now", entry.value.path));
        }
        self.line(level, &format!("{name}:"));
        let flags = def.iter().flat_map(|def| def.counts.iter().map(|count| count as &'static dyn Declared));
        let known: Vec<&'static dyn Declared> = table.keys().chain(flags).collect();
        self.keys(level + 1, &entry.value, &known);
    }

    /// Whatever has no keys of ours in it, as it was.
    fn plain(&mut self, level: usize, head: &str, node: &Node) {
        match &node.value {
            Value::Null => self.line(level, head),
            Value::Scalar(scalar) if scalar.quoted && is_block(&scalar.text) => {
                let keep = match (scalar.text.ends_with('\n'), scalar.text.ends_with("\n\n")) {
                    (_, true) => "+",
                    (true, _) => "",
                    _ => "-",
                };
                self.line(level, &format!("{head} |{keep}"));
                scalar.text.lines().for_each(|line| match line {
                    "" => self.text.push('\n'),
                    line => self.line(level + 1, line),
                });
            }
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => {
                let text = flow(node);
                self.line(level, &format!("{head} {text}"));
            }
        }
    }
}

/// The type word that stands beside a section.
fn word_of(entries: &[Entry]) -> Option<&str> {
    let value = entries.iter().find(|entry| entry.key == TYPE).map(|entry| &entry.value.value);
    if let Some(Value::Scalar(scalar)) = value { Some(&scalar.text) } else { None }
}

/// Whether a text is best written line by line.
fn is_block(text: &str) -> bool {
    let plain = |c: char| c == '\n' || !c.is_control();
    text.trim_end_matches('\n').contains('\n') && text.chars().all(plain) && !text.starts_with([' ', '\n', '\t'])
}

/// A value on one line.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(Scalar { text, quoted: true, .. }) => json(text),
        Value::Scalar(Scalar { text, .. }) => quoted_if_needed(text),
        Value::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let pair = |entry: &Entry| format!("{}: {}", quoted_if_needed(&entry.key), flow(&entry.value));
            format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text that may stand without quotes anywhere does.
fn quoted_if_needed(text: &str) -> String {
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.');
    let plain =
        first && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:+".contains(c)) && !text.ends_with(':');
    if plain { text.to_owned() } else { json(text) }
}

/// A text in quotes, which YAML reads as JSON does.
fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}
