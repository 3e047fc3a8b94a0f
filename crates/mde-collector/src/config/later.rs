//! What is declared and not done by this version yet: one table, so that a line less here is all it takes to switch something on.

use super::problem::Fault;

/// What this version does about something that it cannot do.
pub(super) enum Answer {
    /// A warning, unless the value is this one, which is what happens anyway.
    Ignores(&'static str),
}

/// The keys: section, key, answer.
static KEYS: &[(&str, &str, Answer)] =
    &[("globals", "internal_messages", Answer::Ignores("false")), ("globals", "inputs_dir", Answer::Ignores(""))];

/// The words of a key: section, key, words, what is wrong with them, way out.
static WORDS: &[(&str, &str, &[&str], &str, &str)] = &[
    ("globals.persistence", "type", &["postgres"], LATER, STATE),
    ("globals.persistence", "type", &["redis"], "is not supported for state", STATE),
];

/// What is wrong with most of them.
const LATER: &str = "is not available in this version";
/// Where state lies instead.
const STATE: &str = "write `persistence: {type: filesystem, config: {directory_name: state}}`";

/// What this version does about a key that it does not obey; none where it does.
pub(super) fn key(section: &str, name: &str) -> Option<&'static Answer> {
    KEYS.iter().find(|(place, key, _)| *place == section && *key == name).map(|(_, _, answer)| answer)
}

/// The fault of a word that this version does not obey; none where the word means nothing at all.
pub(super) fn word(section: &str, name: &str, word: &str) -> Option<Fault> {
    let found = WORDS.iter().find(|(place, key, words, ..)| *place == section && *key == name && words.contains(&word));
    found.map(|(.., wrong, instead)| match instead.is_empty() {
        true => Fault::new(*wrong),
        false => Fault::new(*wrong).help(*instead),
    })
}

/// Every declaration that the tables above speak of: section and key.
#[cfg(test)]
pub(super) fn named() -> impl Iterator<Item = (&'static str, &'static str)> {
    let keys = KEYS.iter().map(|(section, key, _)| (*section, *key));
    keys.chain(WORDS.iter().map(|(section, key, ..)| (*section, *key)))
}
