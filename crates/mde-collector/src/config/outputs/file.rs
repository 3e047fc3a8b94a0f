//! Files of NDJSON.

use super::super::key::{Branch, Form, Key, Table, keys};
use super::super::problem::Fault;
use super::super::section::Section;
use std::time::Duration;

/// One event JSON a line in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Path with the placeholders `{tenant}`, `{service}`, `{tag}`, `{date}`.
    pub path: String,
    /// When the next file begins; never where there is none.
    pub rotate: Option<Rotate>,
    /// How the file is compressed.
    pub compress: Compress,
}

/// When the next file begins: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate {
    /// At this size. Unit: octets.
    pub max_bytes: Option<u64>,
    /// At this age.
    pub every: Option<Duration>,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compress {
    /// Not at all.
    #[default]
    None,
    /// As gzip members.
    Gzip,
    /// As zstd frames.
    Zstd,
}

keys! {
    /// Keys of its `config`.
    static KEYS;
    /// Path of the file. `{tenant}` (name of the input), `{service}`, `{tag}` and `{date}` are replaced.
    pub(super) PATH: Key<String> = Key::parsed("path", Form::Text, |_, path| known_placeholders(path)).required()
        .example("out/{service}.ndjson");
    /// When the next file begins. Each bears its time in its name and is never renamed: `alerts.2026-11-24T10-00-00Z.ndjson`.
    ROTATE: Key<Branch> = Key::tree("rotate", Form::Section(&ROTATE_TABLE));
    /// How the file is compressed; its name ends with `.gz` or `.zst` then.
    COMPRESS: Key<Compress> = Key::word("compress", &[
        ("none", Compress::None), ("gzip", Compress::Gzip), ("zstd", Compress::Zstd),
    ]).default("none");
}

/// `config` of this type.
pub(super) static TABLE: Table = super::config("One event a line, as JSON, in files.", &[KEYS, super::COMMON]);

keys! {
    /// Keys of `rotate`.
    static ROTATE_KEYS;
    /// The next file begins before this size is passed; what is written at once, up to about 512 KiB, stays in one.
    MAX_BYTES: Key<u64> = Key::size("max_bytes", 1);
    /// The next file begins at each multiple of this time, UTC, by the time of the pull.
    EVERY: Key<Duration> = Key::interval("every");
}

/// `outputs.*.config.rotate`.
static ROTATE_TABLE: Table =
    Table { path: "outputs.*.config.rotate", doc: "When the next file begins.", groups: &[ROTATE_KEYS] };

/// What a path may hold in braces.
const PLACEHOLDERS: &[&str] = &["tenant", "service", "tag", "date"];

/// Reads `config` of an output of this type; none when an error has been reported.
pub(super) fn load(section: &Section<'_>) -> Option<File> {
    let path = section.required(&PATH);
    let rotate = rotate(section.section(&ROTATE));
    let compress = section.value(&COMPRESS);
    Some(File { path: path?, rotate, compress })
}

/// When the next file begins.
fn rotate(section: Section<'_>) -> Option<Rotate> {
    let rotate = Rotate { max_bytes: section.optional(&MAX_BYTES), every: section.optional(&EVERY) };
    section.finish();
    (rotate.max_bytes.is_some() || rotate.every.is_some()).then_some(rotate)
}

/// A path, unless it has braces that would end up in the name of a file.
pub(super) fn known_placeholders(path: &str) -> Result<String, Fault> {
    placeholders_of(path, PLACEHOLDERS)
}

/// A text, unless it has other braces than these.
pub(super) fn placeholders_of(text: &str, known: &[&str]) -> Result<String, Fault> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let found = after.split_once('}').filter(|(name, _)| known.contains(name));
        let Some((_, behind)) = found else {
            let help = known.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ");
            return Err(Fault::new("has an unknown placeholder").help(format!("known: {help}")));
        };
        rest = behind;
    }
    Ok(text.to_owned())
}
