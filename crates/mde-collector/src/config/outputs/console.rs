//! Standard output.

use super::super::key::{Key, Table, keys};
use super::super::section::Section;

/// One event JSON a line on standard output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Console {}

keys! {
    /// Keys of its `config`.
    static KEYS;
    /// Where to; everything goes to standard output here.
    DESTINATION: Key<String> = Key::text("destination").official().default("standard");
}

/// `config` of this type.
pub(super) static TABLE: Table =
    super::config("One event a line, as JSON, on standard output.", &[KEYS, super::COMMON]);

/// Reads `config` of an output of this type.
pub(super) fn load(section: &Section<'_>) -> Console {
    if section.value(&DESTINATION) != section.default(&DESTINATION) {
        section.no_effect(&DESTINATION, "events go to standard output");
    }
    Console {}
}
