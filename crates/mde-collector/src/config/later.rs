//! What is declared and not done by this version yet: one table, so that a line less here is all it takes to switch something on.

use super::problem::Fault;

/// What this version does about something that it cannot do.
pub(super) enum Answer {
    /// A warning, unless the value is this one, which is what happens anyway.
    Ignores(&'static str),
    /// An error with the way out: to ignore it would be to do another thing than was asked for.
    Refuses(&'static str),
    /// A warning that its reader gives, with others in one.
    Reader,
}

/// The keys: section, key, answer.
static KEYS: &[(&str, &str, Answer)] = &[
    ("globals", "status", Answer::Ignores("false")),
    ("globals", "internal_messages", Answer::Ignores("false")),
    ("globals", "inputs_dir", Answer::Ignores("")),
    ("globals", "devo_sender_threshold_for_using_gzip_in_transport_layer", Answer::Reader),
    ("globals", "devo_sender_compression_level", Answer::Reader),
    ("globals", "devo_sender_compression_buffer_in_bytes", Answer::Reader),
    ("inputs.*.credentials", "certificate_file", Answer::Refuses(PROOF)),
    ("inputs.*.credentials", "key_file", Answer::Refuses(PROOF)),
    ("inputs.*.credentials", "managed_identity", Answer::Refuses(PROOF)),
    ("inputs.*.credentials", "federated_token_file", Answer::Refuses(PROOF)),
    // The flags that ask for a count, whatever their names.
    ("inputs.*.services.*", "counts", Answer::Ignores("false")),
    ("inputs.*.services.*", "enrichment", Answer::Ignores("")),
    ("inputs.*.services.*", "shape", Answer::Ignores("mde")),
    ("inputs.*.services.*", "scope", Answer::Ignores("endpoint")),
    ("inputs.*.services.*", "graph_filter", Answer::Ignores("")),
    ("outputs.*.config", "threshold_for_using_gzip_in_transport_layer", Answer::Reader),
    ("outputs.*.config", "compression_level", Answer::Reader),
    ("outputs.*.config", "compression_buffer_in_bytes", Answer::Reader),
    ("outputs.*.config", "concurrent_connections", Answer::Ignores("1")),
    ("outputs.*.config", "rotate", Answer::Ignores("")),
    ("outputs.*.config", "compress", Answer::Ignores("none")),
];

/// The words of a key: section, key, words, what is wrong with them, way out.
static WORDS: &[(&str, &str, &[&str], &str, &str)] = &[
    ("globals.persistence", "type", &["postgres"], LATER, STATE),
    ("globals.persistence", "type", &["redis"], "is not supported for state", STATE),
    ("inputs.*", "backend", &["graph"], LATER, BACKEND),
    ("inputs.*.services.*", "backend", &["graph"], LATER, BACKEND),
    ("outputs.*", "type", &["devo_http", "http"], LATER, ""),
];

/// What is wrong with most of them.
const LATER: &str = "is not available in this version";
/// What proves an application's identity instead.
const PROOF: &str = "use client_secret or client_secret_file";
/// Where state lies instead.
const STATE: &str = "write `persistence: {type: filesystem, config: {directory_name: state}}`";
/// What is read instead.
const BACKEND: &str = "write mde, or leave the key out";

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
