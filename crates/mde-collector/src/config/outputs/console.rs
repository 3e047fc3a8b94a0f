//! Standard output.

use super::super::section::Section;

/// One event JSON a line on standard output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Console {}

/// Reads `config` of an output of this type.
pub(super) fn load(section: &Section<'_>) -> Console {
    if let Some(destination) = section.text("destination").optional()
        && destination != "standard"
        && let Some(entry) = section.entry("destination")
    {
        section.no_effect(entry, "events go to standard output");
    }
    Console {}
}
