//! What a configuration may say: each key is declared once, beside the code that reads it. The reader, the reference in `docs/`,
//! the JSON Schema and the example all come from that declaration, so none of them can say what the others do not.
//!
//! ```text
//! keys! {
//!     /// Keys of a re-read.
//!     static KEYS;
//!     /// How often.
//!     EVERY: Key<Duration> = Key::duration("every").default("1h");
//! }
//! static SWEEP: Table = Table { path: "sweep", doc: "A wider re-read.", groups: &[KEYS] };
//! ```

use super::problem::Fault;
use super::section::Section;
use super::{Secret, units};
use std::path::PathBuf;
use std::time::Duration;

/// A section: where it stands, what it is for, and every key that it knows.
pub(super) struct Table {
    /// Its place, with `*` for a name that a person chose: `inputs.*.quota`.
    pub path: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// Its keys, in the order of the reference; a group may stand in several sections.
    pub groups: &'static [&'static [&'static dyn Declared]],
}

impl Table {
    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &'static dyn Declared> + Clone {
        self.groups.iter().flat_map(|group| group.iter().copied())
    }
}

/// One key: how it is written, how its text becomes a value, and what holds without it.
pub(super) struct Key<T: 'static> {
    /// The name that messages and the reference use.
    name: &'static str,
    /// Other spellings that mean the same.
    aliases: &'static [&'static str],
    /// From text to value.
    pub read: Read<T>,
    /// What holds without it.
    absent: Absent,
    /// Whose key it is.
    origin: Origin,
    /// What the example writes; none where it only mentions the key.
    example: Option<&'static str>,
    /// Lines of its documentation.
    doc: &'static [&'static str],
}

/// The value of a key that is read by its structure, not as one text.
pub(super) enum Branch {}

/// How a text becomes a value; a fault goes on after the text.
pub(super) enum Read<T: 'static> {
    /// By a function, which is given the form with its bounds.
    Text(Form, fn(&Form, &str) -> Result<T, Fault>),
    /// One of a few words, each with its meaning.
    Words(&'static [(&'static str, T)]),
    /// A file that must be there; it is also looked for in this folder.
    File(&'static str, fn(PathBuf) -> Result<T, Fault>),
    /// Not as one text.
    Tree(Form),
}

/// The key whose word decides on a section beside it ([`Form::ByType`]).
pub(super) const TYPE: &str = "type";

/// Type words with what they allow.
pub(super) type Types = Vec<(&'static str, &'static Table)>;

/// What a value looks like.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Any text.
    Text,
    /// A credential.
    Secret,
    /// An address, with its scheme.
    Url,
    /// `true` or `false`.
    Boolean,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A number within these bounds.
    Number(f64, f64),
    /// A time with its unit, within these bounds.
    Duration(Duration, Duration),
    /// A time in whole seconds (a unit is understood), within these bounds.
    Seconds(Duration, Duration),
    /// A size with its unit, not smaller than this. Unit: octets.
    Size(u64),
    /// A number and one of the official units of a period.
    Period,
    /// A date, or a date with a time.
    Moment,
    /// The name of a file that must be there; relative ones are also looked for in this folder.
    File(&'static str),
    /// One of a few words.
    Word,
    /// A list of texts; one text alone is a list of one.
    Texts,
    /// A section.
    Section(&'static Table),
    /// `false`, or a section.
    SwitchOr(&'static Table),
    /// A list of sections.
    List(&'static Table),
    /// Sections, each under a name that a person chose.
    Named(&'static Table),
    /// As [`Form::Named`], or a list of them.
    NamedOrList(&'static Table),
    /// Sections, each under the name of a service, which decides on its keys.
    Services(&'static Table),
    /// A section whose keys depend on a type word beside it: the words, and what they mean.
    ByType(fn() -> Types),
    /// Anything.
    Any,
}

/// What holds without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// It must be there.
    Required,
    /// This text, read as if it had been written.
    Default(&'static str),
    /// What these words say.
    Told(&'static str),
    /// Nothing.
    Nothing,
}

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The official collector's, obeyed here.
    Official,
    /// The official collector's, understood and not needed.
    Obsolete,
    /// Added by this collector.
    Ours,
}

/// A declaration without the type of its value.
pub(super) struct About {
    /// The name that messages and the reference use.
    pub name: &'static str,
    /// Other spellings that mean the same.
    pub aliases: &'static [&'static str],
    /// What its value looks like.
    pub form: Form,
    /// The words, where it is one of a few.
    pub words: Vec<&'static str>,
    /// What holds without it.
    pub absent: Absent,
    /// Whose key it is.
    pub origin: Origin,
    /// What the example writes.
    pub example: Option<&'static str>,
    /// What it does.
    pub doc: String,
}

/// Whatever can stand in a [`Table`].
pub(super) trait Declared: Sync {
    /// The declaration.
    fn about(&self) -> About;
    /// Its name, then its other spellings.
    fn names(&self) -> Vec<&'static str>;
    /// Reads the key for its problems alone.
    fn probe(&self, section: &Section<'_>);
}

/// Declares keys, their doc comments being what the reference says, and the group that they form.
macro_rules! keys {
    ($(#[doc = $about:literal])+ $vis:vis static $group:ident;
     $($(#[doc = $doc:literal])+ $key_vis:vis $name:ident: $kind:ty = $key:expr;)+) => {
        $($(#[doc = $doc])+ $key_vis static $name: $kind = $key.documented(&[$($doc),+]);)+
        $(#[doc = $about])+ $vis static $group: &[&dyn $crate::config::key::Declared] = &[$(&$name),+];
    };
}
pub(super) use keys;

impl<T: Clone + Sync> Declared for Key<T> {
    fn about(&self) -> About {
        let (form, words) = match &self.read {
            Read::Text(form, _) | Read::Tree(form) => (*form, Vec::new()),
            Read::Words(words) => (Form::Word, words.iter().map(|(word, _)| *word).collect()),
            Read::File(folder, _) => (Form::File(folder), Vec::new()),
        };
        let doc = self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let Self { name, aliases, absent, origin, example, .. } = *self;
        About { name, aliases, form, words, absent, origin, example, doc }
    }

    fn names(&self) -> Vec<&'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied()).collect()
    }

    fn probe(&self, section: &Section<'_>) {
        if !matches!(self.read, Read::Tree(_)) {
            section.optional(self);
        }
    }
}

impl Clone for Branch {
    fn clone(&self) -> Self {
        match *self {}
    }
}

impl<T> Key<T> {
    /// A key of ours that may be left out.
    const fn new(name: &'static str, read: Read<T>) -> Self {
        Self { name, aliases: &[], read, absent: Absent::Nothing, origin: Origin::Ours, example: None, doc: &[] }
    }

    /// A text that a function turns into the value.
    pub const fn parsed(name: &'static str, form: Form, read: fn(&Form, &str) -> Result<T, Fault>) -> Self {
        Self::new(name, Read::Text(form, read))
    }

    /// One of a few words, each with its meaning.
    pub const fn word(name: &'static str, words: &'static [(&'static str, T)]) -> Self {
        Self::new(name, Read::Words(words))
    }

    /// Other spellings that mean the same.
    pub const fn alias(mut self, names: &'static [&'static str]) -> Self {
        self.aliases = names;
        self
    }

    /// It must be there.
    pub const fn required(mut self) -> Self {
        self.absent = Absent::Required;
        self
    }

    /// What holds without it, as it would be written.
    pub const fn default(mut self, text: &'static str) -> Self {
        self.absent = Absent::Default(text);
        self
    }

    /// What holds without it, in words.
    pub const fn otherwise(mut self, words: &'static str) -> Self {
        self.absent = Absent::Told(words);
        self
    }

    /// It is the official collector's.
    pub const fn official(mut self) -> Self {
        self.origin = Origin::Official;
        self
    }

    /// It is the official collector's and not needed here: it is checked, and warned about.
    pub const fn obsolete(mut self) -> Self {
        self.origin = Origin::Obsolete;
        self
    }

    /// What the example writes.
    pub const fn example(mut self, text: &'static str) -> Self {
        self.example = Some(text);
        self
    }

    /// Its documentation, which [`keys`] hands on.
    pub const fn documented(mut self, lines: &'static [&'static str]) -> Self {
        self.doc = lines;
        self
    }

    /// Its name in messages.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The text that holds without it, where there is one.
    pub const fn default_text(&self) -> Option<&'static str> {
        match self.absent {
            Absent::Default(text) => Some(text),
            Absent::Required | Absent::Told(_) | Absent::Nothing => None,
        }
    }
}

impl Key<String> {
    /// Any text.
    pub const fn text(name: &'static str) -> Self {
        Self::parsed(name, Form::Text, |_, text| Ok(text.to_owned()))
    }
}

impl Key<Secret> {
    /// A credential.
    pub const fn secret(name: &'static str) -> Self {
        Self::parsed(name, Form::Secret, |_, text| Ok(Secret::new(text)))
    }
}

impl Key<bool> {
    /// `true` or `false`.
    pub const fn boolean(name: &'static str) -> Self {
        Self::parsed(name, Form::Boolean, |_, text| units::boolean(text))
    }
}

impl Key<i64> {
    /// A whole number within these bounds.
    pub const fn integer(name: &'static str, least: i64, most: i64) -> Self {
        Self::parsed(name, Form::Integer(least, most), |form, text| {
            let number = units::integer(text)?;
            form.bound(|form| match *form {
                Form::Integer(least, most) => (number >= least, number <= most),
                _ => (true, true),
            })?;
            Ok(number)
        })
    }
}

impl Key<f64> {
    /// A number within these bounds.
    pub const fn number(name: &'static str, least: f64, most: f64) -> Self {
        Self::parsed(name, Form::Number(least, most), |form, text| {
            let number = units::number(text)?;
            form.bound(|form| match *form {
                Form::Number(least, most) => (number >= least, number <= most),
                _ => (true, true),
            })?;
            Ok(number)
        })
    }
}

impl Key<Duration> {
    /// A time with its unit.
    pub const fn duration(name: &'static str) -> Self {
        Self::parsed(name, Form::Duration(Duration::ZERO, units::LONGEST), time)
    }

    /// A time with its unit that is more than zero: nothing can be done every 0 seconds.
    pub const fn interval(name: &'static str) -> Self {
        Self::parsed(name, Form::Duration(units::SHORTEST, units::LONGEST), time)
    }

    /// A time with its unit within these bounds.
    pub const fn duration_within(name: &'static str, least: Duration, most: Duration) -> Self {
        Self::parsed(name, Form::Duration(least, most), time)
    }

    /// A time in seconds within these bounds, as the official keys have it.
    pub const fn seconds(name: &'static str, least: Duration, most: Duration) -> Self {
        Self::parsed(name, Form::Seconds(least, most), time)
    }
}

impl Key<u64> {
    /// A size with its unit. Unit: octets.
    pub const fn size(name: &'static str, least: u64) -> Self {
        Self::parsed(name, Form::Size(least), |form, text| {
            let octets = units::size(text)?;
            form.bound(|form| (!matches!(form, Form::Size(least) if octets < *least), true))?;
            Ok(octets)
        })
    }
}

impl Key<PathBuf> {
    /// A file that must be there; it is also looked for in `folder`.
    pub const fn file(name: &'static str, folder: &'static str) -> Self {
        Self::file_that(name, folder, Ok)
    }

    /// As [`Key::file`], with a further demand on the file.
    pub const fn file_that(
        name: &'static str,
        folder: &'static str,
        demand: fn(PathBuf) -> Result<PathBuf, Fault>,
    ) -> Self {
        Self::new(name, Read::File(folder, demand))
    }
}

impl Key<Branch> {
    /// A key that is read by its structure.
    pub const fn tree(name: &'static str, form: Form) -> Self {
        Self::new(name, Read::Tree(form))
    }

    /// The section behind it, or each of them.
    pub const fn table(&self) -> Option<&'static Table> {
        match &self.read {
            Read::Tree(form) => form.table(),
            _ => None,
        }
    }
}

/// Reads a time with or without its unit, as the form has it, and holds it against the form's bounds.
pub(super) fn time(form: &Form, text: &str) -> Result<Duration, Fault> {
    let time = if let Form::Seconds(..) = form { units::seconds(text) } else { units::duration(text) }?;
    form.bound(|form| match *form {
        Form::Duration(least, most) | Form::Seconds(least, most) => (time >= least, time <= most),
        _ => (true, true),
    })?;
    Ok(time)
}

impl Form {
    /// The section that it means, or each of them.
    pub const fn table(&self) -> Option<&'static Table> {
        match *self {
            Self::Section(table)
            | Self::SwitchOr(table)
            | Self::List(table)
            | Self::Named(table)
            | Self::NamedOrList(table)
            | Self::Services(table) => Some(table),
            _ => None,
        }
    }

    /// The fault of a value that is not large, or not small, enough.
    fn bound(&self, judge: impl Fn(&Self) -> (bool, bool)) -> Result<(), Fault> {
        let (large, small) = judge(self);
        let message = match (large, small) {
            (true, true) => return Ok(()),
            (false, _) if self.is_open_above() => match self {
                Self::Duration(..) | Self::Seconds(..) => return Err(Fault::new("must be more than zero")),
                _ => "is too small",
            },
            _ => "is out of range",
        };
        Err(Fault::new(message).help(self.bounds().unwrap_or_default()))
    }

    /// Whether only the smallest value is bounded.
    fn is_open_above(&self) -> bool {
        match self {
            Self::Integer(_, most) => *most == i64::MAX,
            Self::Duration(least, most) | Self::Seconds(least, most) => {
                *most == units::LONGEST && *least <= units::SHORTEST
            }
            Self::Size(_) => true,
            _ => false,
        }
    }

    /// The bounds in words; none where there are none to speak of.
    pub fn bounds(&self) -> Option<String> {
        let text = units::duration_text;
        match self {
            Self::Integer(i64::MIN, i64::MAX) => None,
            Self::Integer(least, i64::MAX) => Some(format!("at least {least}")),
            Self::Integer(least, most) => Some(format!("from {least} to {most}")),
            Self::Number(least, most) => Some(format!("from {least} to {most}")),
            Self::Duration(least, _) | Self::Seconds(least, _) if self.is_open_above() => {
                (!least.is_zero()).then(|| "more than zero".to_owned())
            }
            Self::Duration(least, most) | Self::Seconds(least, most) => {
                Some(format!("from {} to {}", text(*least), text(*most)))
            }
            Self::Size(0) => None,
            Self::Size(least) => Some(format!("at least {}", units::size_text(*least))),
            _ => None,
        }
    }
}
