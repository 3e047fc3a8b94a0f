//! One key on its way from text to value: other spellings, demands, and what holds without it.

use super::super::Secret;
use super::super::problem::Fault;
use super::super::report::Outcome;
use super::super::tree::{Entry, Value};
use super::Section;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Turns a text into a value; the fault goes on after the text.
pub(super) type Read<'r, T> = Box<dyn Fn(&str) -> Result<T, Fault> + 'r>;

/// A key that is being asked for.
pub(in super::super) struct Key<'s, 'r, T> {
    /// Where it is looked for.
    pub(super) section: &'s Section<'r>,
    /// Its name, then its other spellings.
    pub(super) names: Vec<&'static str>,
    /// From text to value.
    pub(super) read: Read<'r, T>,
}

/// A value that stands for a placeholder, so that the rest of an example can be checked.
pub(in super::super) trait StandIn {
    /// Made from the placeholder's text.
    fn stand_in(text: String) -> Self;
}

impl<'r, T: 'r> Key<'_, 'r, T> {
    /// Another spelling of the key.
    pub fn alias(mut self, name: &'static str) -> Self {
        self.names.push(name);
        self
    }

    /// A further demand on the value.
    pub fn check(self, demand: impl Fn(&T) -> Result<(), Fault> + 'r) -> Self {
        let read = self.read;
        Self { read: Box::new(move |text| read(text).and_then(|value| demand(&value).map(|()| value))), ..self }
    }

    /// The value must lie within these bounds.
    pub fn range(self, bounds: RangeInclusive<T>) -> Self
    where
        T: PartialOrd + Display,
    {
        self.check(move |value| match bounds.contains(value) {
            true => Ok(()),
            false => Err(Fault::new("is out of range").help(format!("from {} to {}", bounds.start(), bounds.end()))),
        })
    }

    /// The value must not be smaller.
    pub fn at_least(self, least: T) -> Self
    where
        T: PartialOrd + Display,
    {
        self.check(move |value| match *value >= least {
            true => Ok(()),
            false => Err(Fault::new("is too small").help(format!("at least {least}"))),
        })
    }

    /// The value, where a good one is written.
    pub fn optional(self) -> Option<T> {
        match self.evaluate().1 {
            Outcome::Good(value) => Some(value),
            Outcome::Absent | Outcome::Faulty | Outcome::Placeholder(_) => None,
        }
    }

    /// The value, or what holds without it.
    pub fn or(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value; it is an error that there is none.
    pub fn required(self) -> Option<T>
    where
        T: StandIn,
    {
        let (section, name) = (self.section, self.names[0]);
        let (entry, outcome) = self.evaluate();
        match outcome {
            Outcome::Good(value) => Some(value),
            Outcome::Placeholder(text) => Some(T::stand_in(text)),
            Outcome::Faulty => None,
            Outcome::Absent => {
                section.missing(entry, name);
                None
            }
        }
    }

    /// Looks the key up and reads it, with the entry where it is.
    fn evaluate(self) -> (Option<&'r Entry>, Outcome<T>) {
        let section = self.section;
        let entries: Vec<&Entry> = self.names.iter().filter_map(|name| section.entry(name)).collect();
        let Some(entry) = entries.first().copied() else { return (None, Outcome::Absent) };
        for other in &entries[1..] {
            let fault = Fault::new(format!("`{}` and `{}` are two names of one key", entry.key, other.key));
            section.report.error(other.at(), fault.help("keep one of the two"));
        }
        let outcome = match section.report.text(&entry.value) {
            Outcome::Good(text) => match (self.read)(&text) {
                Ok(value) => Outcome::Good(value),
                Err(fault) => {
                    let subject = match &entry.value.value {
                        Value::Scalar(scalar) => scalar.shown(),
                        _ => "the value".to_owned(),
                    };
                    let message = format!("{subject} {}", fault.message);
                    section.report.error(entry.value.at(), Fault { message, ..fault });
                    Outcome::Faulty
                }
            },
            Outcome::Absent => Outcome::Absent,
            Outcome::Faulty => Outcome::Faulty,
            Outcome::Placeholder(text) => Outcome::Placeholder(text),
        };
        (Some(entry), outcome)
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
