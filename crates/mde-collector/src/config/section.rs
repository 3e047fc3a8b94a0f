//! Reading a section key by key. Only what its [`Table`] declares can be read, and what the table does not know is unknown.
//!
//! ```text
//! let port = section.required(&PORT);
//! let overlap = section.value(&OVERLAP);
//! section.finish();
//! ```
//!
//! Nothing here fails: a wrong value is reported and reads as if it were not there, so that the next key is looked at as well.

mod value;

use super::key::{Branch, Declared, Key, Origin, Table};
use super::later::{self, Answer};
use super::problem::Fault;
use super::report::{At, Outcome, Report};
use super::tree::{Entry, Node, Scalar, Value, key_path, shown_key};
use super::{nearest, units};
use std::cell::RefCell;

/// A section of the configuration.
pub(super) struct Section<'r> {
    /// Where problems go.
    pub report: &'r Report<'r>,
    /// Where the section is: its key, for what is missing in it.
    at: At,
    /// What it may hold.
    table: &'static Table,
    /// What it may hold as well, known only at run time.
    further: Vec<&'static dyn Declared>,
    /// Its entries; none when it is absent or is no section.
    entries: &'r [Entry],
    /// It is not a section, and that has been said: what is missing in it is no news.
    broken: bool,
    /// Names of the keys that have been looked at.
    asked: RefCell<Vec<&'static str>>,
    /// Names of keys that mean nothing here, which has been said.
    refused: RefCell<Vec<&'static str>>,
}

impl<'r> Section<'r> {
    /// A node as a section; null is an empty one, anything else is reported.
    pub fn new(report: &'r Report<'r>, at: At, node: Option<&'r Node>, table: &'static Table) -> Self {
        let (entries, broken): (&[Entry], bool) = match node.map(|node| (node, &node.value)) {
            None | Some((_, Value::Null)) => (&[], false),
            Some((_, Value::Map(entries))) => (entries, false),
            Some((node, _)) => {
                let fault = Fault::new(format!("must be a section, not {}", node.kind()));
                report.error(node.at(), fault.help("write `key: value` lines, indented below it"));
                (&[], true)
            }
        };
        Self {
            report,
            at,
            table,
            further: Vec::new(),
            entries,
            broken,
            asked: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    /// The section that is the value of an entry whose name a person chose.
    pub fn of(report: &'r Report<'r>, entry: &'r Entry, table: &'static Table) -> Self {
        Self::new(report, entry.at(), Some(&entry.value), table)
    }

    /// The section that is an element of a list.
    pub fn item(report: &'r Report<'r>, node: &'r Node, table: &'static Table) -> Self {
        Self::new(report, node.at(), Some(node), table)
    }

    /// The same section, with keys that it may hold beside those of its table.
    pub fn with(self, further: Vec<&'static dyn Declared>) -> Self {
        Self { further, ..self }
    }

    /// The section behind a key; absent is the same as empty.
    pub fn section(&self, key: &'static Key<Branch>) -> Self {
        self.section_as(key, key.table().expect("a key that is read as a section is declared as one"))
    }

    /// The section behind a key whose keys depend on something else.
    pub fn section_as(&self, key: &'static Key<Branch>, table: &'static Table) -> Self {
        let entry = self.entry(key);
        let path = key_path(&self.at.path, key.name());
        let at = entry.map_or_else(|| At { path, ..self.at.clone() }, Entry::at);
        Self::new(self.report, at, entry.map(|entry| &entry.value), table)
    }

    /// The section behind a key as if nothing were written in it.
    pub fn empty(&self, key: &'static Key<Branch>) -> Self {
        let table = key.table().expect("a key that is read as a section is declared as one");
        Self::new(self.report, self.at(), None, table)
    }

    /// The sections of a list behind a key; none when absent.
    pub fn sections(&self, key: &'static Key<Branch>) -> impl Iterator<Item = Self> + use<'r> {
        let (report, table) = (self.report, key.table().expect("a key that is read as sections is declared as some"));
        self.items(key).unwrap_or_default().iter().map(move |item| Self::item(report, item, table))
    }

    /// Where the section is.
    pub fn at(&self) -> At {
        At { text: None, ..self.at.clone() }
    }

    /// Its place among the declarations.
    pub fn place(&self) -> &'static str {
        self.table.path
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

    /// What it may hold.
    fn known(&self) -> impl Iterator<Item = &'static dyn Declared> {
        self.table.keys().chain(self.further.iter().copied())
    }

    /// The entry of a key under any of its names.
    pub fn entry(&self, key: &dyn Declared) -> Option<&'r Entry> {
        self.spellings(key).into_iter().next()
    }

    /// The entries of a key, one for each of its names that is there.
    fn spellings(&self, key: &dyn Declared) -> Vec<&'r Entry> {
        let names = key.names();
        // What is read and not declared would be read and not documented.
        debug_assert!(
            self.known().any(|known| known.names() == names),
            "`{}` is read in `{}`, whose table does not have it",
            names[0],
            self.table.path
        );
        self.asked.borrow_mut().push(names[0]);
        // What has been refused reads as if it were not there.
        if self.refused.borrow().contains(&names[0]) {
            return Vec::new();
        }
        names.iter().filter_map(|name| self.entries.iter().find(|entry| entry.key == *name)).collect()
    }

    /// The entry of a key, unless nothing is written behind it.
    pub fn given(&self, key: &dyn Declared) -> Option<&'r Entry> {
        self.entry(key).filter(|entry| !matches!(entry.value.value, Value::Null))
    }

    /// The elements of a list; a single value is a list of one. None when absent.
    pub fn items(&self, key: &'static Key<Branch>) -> Option<&'r [Node]> {
        let value = &self.given(key)?.value;
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
    pub fn texts(&self, key: &'static Key<Branch>) -> Option<Vec<(String, At)>> {
        let text = |node: &Node| match self.report.text(node) {
            Outcome::Good(text) => Some((text, node.at())),
            Outcome::Placeholder(_) | Outcome::Faulty => None,
            Outcome::Absent => {
                self.report.error(node.at(), Fault::new("an element is empty"));
                None
            }
        };
        Some(self.items(key)?.iter().filter_map(text).collect())
    }

    /// The texts of a list that must be there, each of them sound; none when an error has been reported for all of it.
    pub fn sound(&self, key: &'static Key<Branch>, judge: impl Fn(&str) -> Result<(), Fault>) -> Option<Vec<String>> {
        let Some(texts) = self.texts(key) else {
            // A value of another form has been told.
            if self.given(key).is_none() {
                self.missing(key);
            }
            return None;
        };
        let mut sound = Vec::new();
        for (text, at) in texts {
            match judge(&text) {
                Ok(()) => sound.push(text),
                Err(fault) => self.report.error(at, fault),
            }
        }
        (!sound.is_empty()).then_some(sound)
    }

    /// The word of a key that is a switch or a section; none where it is no switch.
    pub fn switch(&self, key: &'static Key<Branch>) -> Option<bool> {
        match &self.given(key)?.value.value {
            Value::Scalar(Scalar { text, .. }) => units::boolean(text).ok(),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Reports what is wrong with the value of a key; the fault goes on after the value.
    pub fn wrong(&self, key: &dyn Declared, fault: Fault) {
        if let Some(entry) = self.entry(key) {
            let subject = match &entry.value.value {
                Value::Scalar(scalar) => scalar.shown(),
                _ => "the value".to_owned(),
            };
            self.report.error(entry.value.at(), Fault { message: format!("{subject} {}", fault.message), ..fault });
        }
    }

    /// Reports what a person should know about the value of a key.
    pub fn warn(&self, key: &dyn Declared, fault: Fault) {
        if let Some(entry) = self.entry(key) {
            self.report.warning(entry.value.at(), fault);
        }
    }

    /// Warns of a key that is there and changes nothing.
    pub fn no_effect(&self, key: &dyn Declared, why: &str) {
        if let Some(entry) = self.given(key) {
            self.report.warning(entry.at(), Fault::new(format!("`{}` has no effect here", entry.key)).help(why));
        }
    }

    /// Reports keys that are there and mean nothing, with where they would mean something. They need not be declared.
    pub fn refuse(&self, keys: impl IntoIterator<Item = &'static dyn Declared>, here: &str, elsewhere: &str) {
        for key in keys {
            let names = key.names();
            self.asked.borrow_mut().push(names[0]);
            for entry in self.entries.iter().filter(|entry| names.contains(&entry.key.as_str())) {
                let fault = Fault::new(format!("`{}` means nothing for {here}", entry.key));
                self.report.error(entry.at(), fault.help(elsewhere));
            }
            self.refused.borrow_mut().extend(names);
        }
    }

    /// Ends the reading: what is declared and not obeyed is told, and so is what nobody declared.
    pub fn finish(self) {
        for key in self.known() {
            let about = key.about();
            let answer = later::key(self.table.path, about.name);
            match (about.origin, answer) {
                (Origin::Obsolete, _) => self.unneeded(key),
                (_, Some(answer)) => self.put_off(key, answer),
                // What is declared and not read would be documented and not obeyed.
                (_, None) => debug_assert!(
                    self.asked.borrow().contains(&about.name),
                    "`{}` is declared for `{}` and not read",
                    about.name,
                    self.table.path
                ),
            }
        }
        self.strangers();
    }

    /// A key of the official collector without a meaning here: it is checked, and warned about.
    fn unneeded(&self, key: &'static dyn Declared) {
        let before = self.report.error_count();
        key.probe(self);
        if self.report.error_count() == before {
            self.no_effect(key, "the official collector's key is understood, and not needed");
        }
    }

    /// A key that a later version obeys.
    pub fn put_off(&self, key: &dyn Declared, answer: &Answer) {
        let Some(entry) = self.given(key) else { return };
        let fault = Fault::new(format!("`{}` is not available in this version", entry.key));
        let Answer::Ignores(kept) = answer;
        let before = self.report.error_count();
        key.probe(self);
        let is_kept =
            matches!(&entry.value.value, Value::Scalar(Scalar { text, .. }) if text.eq_ignore_ascii_case(kept));
        if !is_kept && self.report.error_count() == before {
            self.report.warning(entry.at(), fault.help("it is ignored; leave it out to be rid of this line"));
        }
    }

    /// What nobody declared. A near miss of a known key is an error, as its meaning would be lost.
    fn strangers(&self) {
        let known: Vec<&str> = self.known().flat_map(|key| key.names()).collect();
        let refused = self.refused.borrow();
        let is_known = |key: &str| known.contains(&key) || refused.contains(&key);
        for entry in self.entries.iter().filter(|entry| !is_known(&entry.key)) {
            // Who knows what stands behind a key that nobody knows.
            self.report.hide(&entry.value);
            let fault = Fault::new(format!("the key `{}` is not known here", shown_key(&entry.key)));
            match nearest::near_miss(&entry.key, known.iter().copied()) {
                Some(meant) => self.report.error(entry.at(), fault.help(format!("did you mean `{meant}`?"))),
                None if self.report.options.strict => {
                    self.report.error(entry.at(), fault.help("known keys: ".to_owned() + &listed(&known)));
                }
                None => self.report.warning(entry.at(), fault.help("it is ignored")),
            }
        }
    }

    /// Reports a key that must be there: at its own place when it is empty, else at the section's.
    pub fn missing(&self, key: &dyn Declared) {
        let names = key.names();
        match self.entry(key) {
            Some(entry) => self.report.error(entry.at(), Fault::new(format!("`{}` is empty", entry.key))),
            // It is there with a slip of the pen, which [`Section::finish`] tells.
            None if self.broken
                || self.entries.iter().any(|entry| nearest::near_miss(&entry.key, names.iter().copied()).is_some()) => {
            }
            None => {
                let at = At { path: key_path(&self.at.path, names[0]), ..self.at() };
                self.report.error(at, Fault::new(format!("`{}` is missing", names[0])));
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
