//! The three official keys that say when and how to compress, of an output or of `globals`.

use super::super::key::{Key, keys};
use super::super::later;
use super::super::problem::Fault;
use super::super::section::Section;

/// When and how a channel compresses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gzip {
    /// From which fill of the official queue on, 0 to 1: below 0 always, above 1 never.
    pub threshold: f64,
    /// zlib's level, 1 to 9.
    pub level: u32,
    /// Octets that are gathered before they are compressed.
    pub buffer: u64,
}

keys! {
    /// Compression of one output.
    pub(super) static OUTPUT_KEYS;
    /// From which fill of the official queue on gzip is used: below 0 always, above 1 never. Without it: by itself, with the backlog.
    THRESHOLD: Key<f64> = Key::number("threshold_for_using_gzip_in_transport_layer", -1.0, 1.1).official()
        .otherwise("by itself");
    /// zlib's level.
    LEVEL: Key<i64> = Key::integer("compression_level", 1, 9).official().otherwise("1; 6 with the threshold");
    /// Octets that are gathered before they are compressed.
    BUFFER: Key<i64> = Key::integer("compression_buffer_in_bytes", 1, 10_485_760).official().otherwise("51200");
}

keys! {
    /// Compression of all outputs; what stands here wins over the same setting of an output.
    pub(in super::super) static GLOBAL_KEYS;
    /// As `threshold_for_using_gzip_in_transport_layer` of an output, for all of them; it wins.
    GLOBAL_THRESHOLD: Key<f64> = Key::number("devo_sender_threshold_for_using_gzip_in_transport_layer", -1.0, 1.1).official();
    /// As `compression_level` of an output, for all of them; it wins.
    GLOBAL_LEVEL: Key<i64> = Key::integer("devo_sender_compression_level", 1, 9).official();
    /// As `compression_buffer_in_bytes` of an output, for all of them; it wins.
    GLOBAL_BUFFER: Key<i64> = Key::integer("devo_sender_compression_buffer_in_bytes", 1, 10_485_760).official();
}

/// The three keys of one place.
pub(in super::super) struct Keys {
    /// When.
    threshold: &'static Key<f64>,
    /// How well.
    level: &'static Key<i64>,
    /// In what pieces.
    buffer: &'static Key<i64>,
}

/// As an output has them.
pub(super) static OUTPUT: Keys = Keys { threshold: &THRESHOLD, level: &LEVEL, buffer: &BUFFER };

/// As `globals` has them.
pub(in super::super) static GLOBAL: Keys =
    Keys { threshold: &GLOBAL_THRESHOLD, level: &GLOBAL_LEVEL, buffer: &GLOBAL_BUFFER };

/// The official sender's level.
const OFFICIAL_LEVEL: u32 = 6;
/// The official sender's buffer. Unit: octets.
const OFFICIAL_BUFFER: u64 = 51_200;

/// Reads the three keys; none where the channel decides by itself.
pub(in super::super) fn load(section: &Section<'_>, keys: &Keys) -> Option<Gzip> {
    let threshold = section.optional(keys.threshold);
    let level = section.optional(keys.level).and_then(|level| u32::try_from(level).ok());
    let buffer = section.optional(keys.buffer).map(i64::unsigned_abs);
    put_off(section, keys, threshold);
    Some(Gzip {
        threshold: threshold?,
        level: level.unwrap_or(OFFICIAL_LEVEL),
        buffer: buffer.unwrap_or(OFFICIAL_BUFFER),
    })
}

/// One warning for all three while this version does not compress, unless they say "never" anyway.
fn put_off(section: &Section<'_>, keys: &Keys, threshold: Option<f64>) {
    // Use of the queue is at most 1: a threshold above it is never reached.
    if later::key(section.place(), "compression").is_none() || threshold.is_some_and(|threshold| threshold > 1.0) {
        return;
    }
    let given = [section.given(keys.threshold), section.given(keys.level), section.given(keys.buffer)];
    if let Some(entry) = given.into_iter().flatten().next() {
        let fault = Fault::new("this version sends without compression");
        let help = "the keys of compression are ignored; nothing is lost by that but bandwidth";
        section.report.warning(entry.at(), fault.help(help));
    }
}
