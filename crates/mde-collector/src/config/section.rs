//! Reading a section key by key: each key is one line where it is asked for, and what was never asked for is unknown.
//!
//! ```text
//! let port = section.integer("port").range(1..=65_535).required();
//! let overlap = section.duration("overlap").or(Duration::from_secs(600));
//! section.obsolete(&["generate_metrics"]);
//! section.finish();
//! ```
//!
//! Nothing here fails: a wrong value is reported and reads as if it were not there, so that the next key is looked at as well.

mod key;

pub(super) use key::Key;

use super::problem::Fault;
use super::report::{At, Outcome, Report};
use super::tree::{Entry, Node, Scalar, Value, key_path, shown_key};
use super::{Secret, nearest, units};
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

/// A section of the configuration with the keys that have been asked for.
pub(super) struct Section<'r> {
    /// Where problems go.
    pub report: &'r Report<'r>,
    /// Where the section is: its key, for what is missing in it.
    at: At,
    /// Its entries; none when it is absent or is no section.
    entries: &'r [Entry],
    /// It is not a section, and that has been said: what is missing in it is no news.
    broken: bool,
    /// Keys that have a meaning here.
    known: RefCell<Vec<&'static str>>,
}

impl<'r> Section<'r> {
    /// A node as a section; null is an empty one, anything else is reported.
    pub fn new(report: &'r Report<'r>, at: At, node: Option<&'r Node>) -> Self {
        let (entries, broken): (&[Entry], bool) = match node.map(|node| (node, &node.value)) {
            None | Some((_, Value::Null)) => (&[], false),
            Some((_, Value::Map(entries))) => (entries, false),
            Some((node, _)) => {
                let fault = Fault::new(format!("must be a section, not {}", node.kind()));
                report.error(node.at(), fault.help("write `key: value` lines, indented below it"));
                (&[], true)
            }
        };
        Self { report, at, entries, broken, known: RefCell::default() }
    }

    /// The section that is the value of an entry whose name a person chose.
    pub fn of(report: &'r Report<'r>, entry: &'r Entry) -> Self {
        Self::new(report, entry.at(), Some(&entry.value))
    }

    /// A section below this one; absent is the same as empty.
    pub fn section(&self, name: &'static str) -> Self {
        let entry = self.entry(name);
        let path = key_path(&self.at.path, name);
        let at = entry.map_or_else(|| At { path, ..self.at.clone() }, Entry::at);
        Self::new(self.report, at, entry.map(|entry| &entry.value))
    }

    /// Where the section is.
    pub fn at(&self) -> At {
        At { text: None, ..self.at.clone() }
    }

    /// Whether nothing is written in it.
    pub fn is_absent(&self) -> bool {
        self.entries.is_empty() && !self.broken
    }

    /// Whether it could not be read as a section.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// All entries, for sections whose keys are names that a person chose.
    pub fn entries(&self) -> &'r [Entry] {
        self.entries
    }

    /// The entry of a key, which counts as asked for.
    pub fn entry(&self, name: &'static str) -> Option<&'r Entry> {
        self.known.borrow_mut().push(name);
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// The entry of a key, unless nothing is written behind it.
    pub fn given(&self, name: &'static str) -> Option<&'r Entry> {
        self.entry(name).filter(|entry| !matches!(entry.value.value, Value::Null))
    }

    /// A key whose text `read` turns into a value.
    pub fn key<T>(&self, name: &'static str, read: impl Fn(&str) -> Result<T, Fault> + 'r) -> Key<'_, 'r, T> {
        Key { section: self, names: vec![name], read: Box::new(read) }
    }

    /// Any text.
    pub fn text(&self, name: &'static str) -> Key<'_, 'r, String> {
        self.key(name, |text| Ok(text.to_owned()))
    }

    /// A credential.
    pub fn secret(&self, name: &'static str) -> Key<'_, 'r, Secret> {
        self.key(name, |text| Ok(Secret::new(text)))
    }

    /// `true` or `false`.
    pub fn boolean(&self, name: &'static str) -> Key<'_, 'r, bool> {
        self.key(name, units::boolean)
    }

    /// A whole number.
    pub fn integer(&self, name: &'static str) -> Key<'_, 'r, i64> {
        self.key(name, units::integer)
    }

    /// A number.
    pub fn number(&self, name: &'static str) -> Key<'_, 'r, f64> {
        self.key(name, units::number)
    }

    /// A time with its unit.
    pub fn duration(&self, name: &'static str) -> Key<'_, 'r, Duration> {
        self.key(name, units::duration)
    }

    /// A time in seconds, as the official keys have it.
    pub fn seconds(&self, name: &'static str) -> Key<'_, 'r, Duration> {
        self.key(name, units::seconds)
    }

    /// A size with its unit. Unit: octets.
    pub fn size(&self, name: &'static str) -> Key<'_, 'r, u64> {
        self.key(name, units::size)
    }

    /// A file that must be there; it is also looked for in `folder`.
    pub fn file(&self, name: &'static str, folder: &'static str) -> Key<'_, 'r, PathBuf> {
        let (report, source) = (self.report, self.at.source);
        self.key(name, move |text| report.find(text, folder, source))
    }

    /// One of a few words, each with its meaning.
    pub fn choice<T: Copy>(&self, name: &'static str, words: &'static [(&'static str, T)]) -> Key<'_, 'r, T> {
        self.key(name, |text| match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(*meaning),
            None => Err(Fault::new("is not known here").help(choices(text, words.iter().map(|(word, _)| *word)))),
        })
    }

    /// The elements of a list; a single value is a list of one. None when absent.
    pub fn items(&self, name: &'static str) -> Option<&'r [Node]> {
        let value = &self.given(name)?.value;
        match &value.value {
            Value::List(items) => Some(items),
            Value::Scalar(_) => Some(std::slice::from_ref(value)),
            Value::Null | Value::Map(_) => {
                self.report.error(value.at(), Fault::new(format!("must be a list, not {}", value.kind())));
                None
            }
        }
    }

    /// The texts of a list with their places; those that are wrong have been reported and are left out. None when absent.
    pub fn texts(&self, name: &'static str) -> Option<Vec<(String, At)>> {
        let text = |node: &Node| match self.report.text(node) {
            Outcome::Good(text) => Some((text, node.at())),
            Outcome::Placeholder(_) | Outcome::Faulty => None,
            Outcome::Absent => {
                self.report.error(node.at(), Fault::new("an element is empty"));
                None
            }
        };
        Some(self.items(name)?.iter().filter_map(text).collect())
    }

    /// Official keys without a meaning here: a warning for each that is there.
    pub fn obsolete(&self, names: &[&'static str]) {
        for entry in names.iter().filter_map(|name| self.given(name)) {
            self.no_effect(entry, "the official collector's key is understood, and not needed");
        }
    }

    /// Warns of a key that changes nothing.
    pub fn no_effect(&self, entry: &Entry, why: &str) {
        self.report.warning(entry.at(), Fault::new(format!("`{}` has no effect here", entry.key)).help(why));
    }

    /// Keys that a later version obeys, each with the one value that this version already keeps: a warning for each other value.
    pub fn later(&self, names: &[(&'static str, &str)]) {
        for (name, kept) in names {
            let Some(entry) = self.given(name) else { continue };
            let is_kept = matches!(&entry.value.value, Value::Scalar(Scalar { text, .. }) if text == kept);
            if !is_kept {
                let fault = Fault::new(format!("`{name}` is not available in this version"));
                self.report.warning(entry.at(), fault.help("it is ignored; leave it out to be rid of this line"));
            }
        }
    }

    /// Ends the reading: what was never asked for is unknown. A near miss of a known key is an error, as its meaning would be lost.
    pub fn finish(self) {
        let known = self.known.into_inner();
        for entry in self.entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            // Who knows what stands behind a key that nobody knows.
            self.report.hide(&entry.value);
            let fault = Fault::new(format!("the key `{}` is not known here", shown_key(&entry.key)));
            match nearest::near_miss(&entry.key, known.iter().copied()) {
                Some(meant) => self.report.error(entry.at(), fault.help(format!("did you mean `{meant}`?"))),
                None if self.report.options.strict => {
                    self.report.error(entry.at(), fault.help("known keys: ".to_owned() + &listed(&known)))
                }
                None => self.report.warning(entry.at(), fault.help("it is ignored")),
            }
        }
    }
}

impl Section<'_> {
    /// Reports a key that must be there: at its own place when it is empty, else at the section's.
    pub fn missing(&self, entry: Option<&Entry>, name: &str) {
        match entry {
            Some(entry) => self.report.error(entry.at(), Fault::new(format!("`{}` is empty", entry.key))),
            // It is there with a slip of the pen, which [`Section::finish`] tells.
            None if self.broken
                || self.entries.iter().any(|entry| nearest::near_miss(&entry.key, [name]).is_some()) => {}
            None => {
                let at = At { path: key_path(&self.at.path, name), ..self.at() };
                self.report.error(at, Fault::new(format!("`{name}` is missing")));
            }
        }
    }
}

/// Names for a message, in the order of the alphabet.
pub(super) fn listed(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

/// What could have been written, the most likely first.
pub(super) fn choices<'w>(word: &str, words: impl Iterator<Item = &'w str> + Clone) -> String {
    let all = words.clone().collect::<Vec<_>>().join(", ");
    match nearest::nearest(word, words) {
        Some(meant) => format!("did you mean `{meant}`? known: {all}"),
        None => format!("known: {all}"),
    }
}
