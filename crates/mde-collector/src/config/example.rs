//! A commented example, drawn from the declarations: what is needed is written, everything else stands there switched off.

use super::key::{About, Absent, Declared, Form, Origin, TYPE, Table, Types};
use super::{later, load, scope};
use crate::service::SERVICES;

/// Columns of a comment.
const WIDTH: usize = 116;

/// A configuration that loads, with every key that this version obeys, its documentation and its default.
///
/// A line with `#` and no space behind it is a key that is switched off; without that `#`, and those below it, it is switched on.
#[must_use]
pub fn example() -> String {
    let mut page = Page::default();
    page.comment(0, "A line with `#` and no space behind it is a key that is switched off, and shows what holds without it; take that `#` away, and the ones below it, to switch it on.");
    page.table(0, &load::ROOT);
    page.text
}

/// An example under way.
#[derive(Default)]
struct Page {
    /// What is written.
    text: String,
    /// Levels of the blocks that are switched off, from the outside to the inside.
    off: Vec<usize>,
    /// The next key begins an element of a list.
    dash: bool,
    /// Keys of services that have been shown; each is shown once.
    shown: Vec<&'static str>,
}

impl Page {
    /// A line at a level.
    fn line(&mut self, level: usize, text: &str) {
        let mut indent = String::new();
        let mut from = 0;
        for off in &self.off {
            indent += &"  ".repeat(off - from);
            indent.push('#');
            from = *off;
        }
        indent += &"  ".repeat(level - from);
        if !text.starts_with('#') && std::mem::take(&mut self.dash) {
            indent.truncate(indent.len() - 2);
            indent += "- ";
        }
        self.text += &format!("{indent}{text}\n");
    }

    /// Documentation at a level.
    fn comment(&mut self, level: usize, text: &str) {
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if line.len() + 1 + word.len() + 2 * level > WIDTH {
                let full = std::mem::replace(&mut line, String::from("#"));
                self.line(level, &full);
            }
            line.push(' ');
            line += word;
        }
        self.line(level, &line);
    }

    /// Something that is switched off unless `live`.
    fn block(&mut self, level: usize, live: bool, write: impl FnOnce(&mut Self)) {
        let depth = self.off.len();
        if !live {
            self.off.push(level);
        }
        write(self);
        self.off.truncate(depth);
    }

    /// The keys of a section.
    fn table(&mut self, level: usize, table: &'static Table) {
        table.keys().for_each(|key| self.key(level, table, key));
    }

    /// One key with its documentation; none that this version does not obey.
    fn key(&mut self, level: usize, table: &'static Table, key: &dyn Declared) {
        let about = key.about();
        if about.origin == Origin::Obsolete || later::key(table.path, about.name).is_some() {
            return;
        }
        if level == 0 {
            self.text.push('\n');
        }
        self.comment(level, &explained(&about));
        self.block(level, is_live(&about), |page| page.value(level, &about));
    }

    /// A key and its value.
    fn value(&mut self, level: usize, about: &About) {
        let name = about.name;
        let text = match (about.example, about.absent) {
            (Some(text), _) | (None, Absent::Default(text)) => format!(" {}", plain(about, text)),
            (None, _) => String::new(),
        };
        self.line(level, &format!("{name}:{}", if about.form.table().is_some() { "" } else { &text }));
        match about.form {
            Form::Section(table) | Form::SwitchOr(table) => self.table(level + 1, table),
            Form::Named(table) => self.named(level + 1, table, about),
            Form::NamedOrList(table) if types(table).is_some() => self.named(level + 1, table, about),
            Form::List(table) | Form::NamedOrList(table) => {
                self.dash = true;
                self.table(level + 2, table);
            }
            Form::Services(table) => self.services(level + 1, table),
            _ => {}
        }
    }

    /// Sections under names of one's own: one, or one for each type.
    fn named(&mut self, level: usize, table: &'static Table, about: &About) {
        let Some((live, types)) = types(table) else {
            self.line(level, &format!("{}:", about.example.unwrap_or("name")));
            return self.table(level + 1, table);
        };
        let mut told: Vec<*const Table> = Vec::new();
        for (word, config) in types {
            if told.contains(&std::ptr::from_ref(config)) {
                continue;
            }
            told.push(config);
            self.comment(level, config.doc);
            self.block(level, Some(word) == live, |page| {
                page.line(level, &format!("{word}_1:"));
                page.line(level + 1, &format!("type: {word}"));
                page.block(level + 1, config.keys().any(|key| is_live(&key.about())), |page| {
                    page.line(level + 1, "config:");
                    page.table(level + 2, config);
                });
            });
        }
    }

    /// Every service: the first switched on, each with the keys that none before it has shown.
    fn services(&mut self, level: usize, table: &'static Table) {
        for (index, def) in SERVICES.iter().enumerate() {
            let mut keys: Vec<&'static dyn Declared> = table.keys().filter(|key| scope::knows(def, *key)).collect();
            keys.retain(|key| !self.shown.contains(&key.names()[0]));
            self.shown.extend(keys.iter().map(|key| key.names()[0]));
            keys.extend(def.counts.iter().map(|count| count as &'static dyn Declared));
            if index == 1 {
                self.comment(level, "The services below take what is shown above as well, where it means something.");
            }
            self.block(level, index == 0, |page| {
                page.line(level, &format!("{}:", def.name));
                keys.into_iter().for_each(|key| page.key(level + 1, table, key));
            });
        }
    }
}

/// What a key does, what it may be, and what holds without it where the line cannot show that.
fn explained(about: &About) -> String {
    let mut text = about.doc.clone();
    match about.form.bounds() {
        Some(bounds) => text += &format!(" ({bounds})"),
        None if !about.words.is_empty() => text += &format!(" ({})", about.words.join(", ")),
        None => {}
    }
    if let Absent::Told(words) = about.absent {
        text += &format!(" Without it: {words}.");
    }
    text
}

/// The types of a section that has some, and the one that the example shows.
fn types(table: &'static Table) -> Option<(Option<&'static str>, Types)> {
    let all: Vec<About> = table.keys().map(|key| key.about()).collect();
    let types = all.iter().find_map(|about| if let Form::ByType(types) = about.form { Some(types()) } else { None })?;
    let live = all.iter().find(|about| about.name == TYPE).and_then(|about| about.example);
    Some((live, types))
}

/// Whether the example has the key switched on.
fn is_live(about: &About) -> bool {
    let inside = |table: &Table| table.keys().any(|key| key.about().example.is_some());
    match about.form {
        Form::Section(table) => about.absent == Absent::Required || inside(table),
        Form::Named(_) | Form::NamedOrList(_) => about.absent == Absent::Required,
        _ => about.absent == Absent::Required || about.example.is_some(),
    }
}

/// A value as YAML has it, in quotes where it would be more than a text.
fn plain(about: &About, text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./ :+".contains(c)) && !text.contains(": ");
    match about.form {
        Form::Texts | Form::Any => text.to_owned(),
        _ if is_plain => text.to_owned(),
        _ => format!("{text:?}"),
    }
}
