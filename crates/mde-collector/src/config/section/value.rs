//! One key on its way from text to value: other spellings, what holds without it, and what a placeholder stands for.

use super::super::Secret;
use super::super::key::{Key, Read};
use super::super::later;
use super::super::problem::Fault;
use super::super::report::Outcome;
use super::{Section, choices};
use std::path::PathBuf;
use std::time::Duration;

/// A value that stands for a placeholder, so that the rest of an example can be checked.
pub(in super::super) trait StandIn {
    /// Made from the placeholder's text.
    fn stand_in(text: String) -> Self;
}

impl Section<'_> {
    /// The value of a key, where a good one is written.
    pub fn optional<T: Clone + Sync>(&self, key: &Key<T>) -> Option<T> {
        match self.evaluate(key) {
            Outcome::Good(value) => Some(value),
            Outcome::Absent | Outcome::Faulty | Outcome::Placeholder(_) => None,
        }
    }

    /// The value of a key, or its declared default.
    pub fn value<T: Clone + Sync>(&self, key: &Key<T>) -> T {
        self.optional(key).unwrap_or_else(|| self.default(key))
    }

    /// The declared default of a key.
    pub fn default<T: Clone + Sync>(&self, key: &Key<T>) -> T {
        let text = key.default_text().expect("a key that is read with its default has one");
        self.read(key, text).unwrap_or_else(|fault| panic!("the default of `{}` {}", key.name(), fault.message))
    }

    /// The value of a key; it is an error that there is none.
    pub fn required<T: StandIn + Clone + Sync>(&self, key: &Key<T>) -> Option<T> {
        match self.evaluate(key) {
            Outcome::Good(value) => Some(value),
            Outcome::Placeholder(text) => Some(T::stand_in(text)),
            Outcome::Faulty => None,
            Outcome::Absent => {
                self.missing(key);
                None
            }
        }
    }

    /// Looks a key up and reads it.
    pub fn evaluate<T: Clone + Sync>(&self, key: &Key<T>) -> Outcome<T> {
        let entries = self.spellings(key);
        let Some(entry) = entries.first().copied() else { return Outcome::Absent };
        for other in &entries[1..] {
            let fault = Fault::new(format!("`{}` and `{}` are two names of one key", entry.key, other.key));
            self.report.error(other.at(), fault.help("keep one of the two"));
        }
        match self.report.text(&entry.value) {
            Outcome::Good(text) => match self.read(key, &text) {
                Ok(value) => Outcome::Good(value),
                Err(fault) => {
                    self.wrong(key, fault);
                    Outcome::Faulty
                }
            },
            Outcome::Absent => Outcome::Absent,
            Outcome::Faulty => Outcome::Faulty,
            Outcome::Placeholder(text) => Outcome::Placeholder(text),
        }
    }

    /// Reads a text as the value of a key.
    pub fn read<T: Clone>(&self, key: &Key<T>, text: &str) -> Result<T, Fault> {
        match &key.read {
            Read::Text(form, read) => read(form, text),
            Read::Words(words) => self.word(key.name(), words, text),
            Read::File(folder, made) => self.report.find(text, folder, self.at.source).map(made),
            Read::Tree(_) => Err(Fault::new("is no single value")),
        }
    }

    /// The meaning of a word; capitals and hyphens are no reason to refuse it.
    fn word<T: Clone>(&self, name: &str, words: &[(&'static str, T)], text: &str) -> Result<T, Fault> {
        let plain = |word: &str| word.to_ascii_lowercase().replace('-', "_");
        let wanted = plain(text);
        if let Some((_, meaning)) = words.iter().find(|(word, _)| plain(word) == wanted) {
            return Ok(meaning.clone());
        }
        let known = choices(text, words.iter().map(|(word, _)| *word));
        Err(match later::word(self.place(), name, &wanted) {
            Some(fault) if fault.help.is_some() => fault,
            Some(fault) => fault.help(known),
            None => Fault::new("is not known here").help(known),
        })
    }
}

impl StandIn for String {
    fn stand_in(text: String) -> Self {
        text
    }
}

impl StandIn for PathBuf {
    fn stand_in(text: String) -> Self {
        text.into()
    }
}

impl StandIn for Secret {
    fn stand_in(text: String) -> Self {
        Self::new(text)
    }
}

impl StandIn for i64 {
    /// A number that no demand objects to, least of all that on a port.
    fn stand_in(_: String) -> Self {
        443
    }
}

impl StandIn for Duration {
    fn stand_in(_: String) -> Self {
        Self::from_secs(1)
    }
}
