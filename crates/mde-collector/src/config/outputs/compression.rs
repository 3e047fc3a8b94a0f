//! The three official keys that say when and how to compress, of an output or of `globals`.

use super::super::key::{Key, keys};
use super::super::section::Section;

/// When and how a channel compresses, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gzip {
    /// From which fill of the queue on, 0 to 1: below 0 always, above 1 never. None: by itself, with the backlog.
    pub threshold: Option<f64>,
    /// zlib's level, 1 to 9.
    pub level: Option<u32>,
    /// Octets that are gathered before they are compressed.
    pub buffer: Option<u64>,
    /// What counts as a full queue: our queue is the outbox. Unit: octets.
    pub queue: u64,
}

/// When a channel compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Each frame.
    Always,
    /// No frame.
    Never,
    /// With the backlog: what is stored and was not sent yet. Unit: octets.
    Backlog {
        /// Above so much it begins.
        above: u64,
        /// Below so much it ends.
        below: u64,
    },
}

/// Backlog above which compression begins by itself. Source: design, "Delivery".
const ABOVE: u64 = 8 << 20;
/// Backlog below which it ends again; far enough from the other that it does not go to and fro. Source: the same.
const BELOW: u64 = 1 << 20;
/// Level where nothing is asked for: nine tenths of what level 6 saves for a third of its time.
const OWN_LEVEL: u32 = 1;
/// The official sender's level.
const OFFICIAL_LEVEL: u32 = 6;
/// The official sender's buffer. Unit: octets.
const OFFICIAL_BUFFER: u64 = 51_200;

impl Gzip {
    /// Under the settings of `globals`: each key that stands there wins.
    #[must_use]
    pub fn under(self, globals: Self) -> Self {
        Self {
            threshold: globals.threshold.or(self.threshold),
            level: globals.level.or(self.level),
            buffer: globals.buffer.or(self.buffer),
            queue: globals.queue,
        }
    }

    /// When to compress.
    #[must_use]
    pub fn when(&self) -> When {
        match self.threshold {
            None => When::Backlog { above: ABOVE, below: BELOW },
            Some(threshold) if threshold < 0.0 => When::Always,
            Some(threshold) if threshold > 1.0 => When::Never,
            Some(threshold) => {
                let fill = (self.queue as f64 * threshold) as u64;
                When::Backlog { above: fill, below: fill }
            }
        }
    }

    /// zlib's level.
    #[must_use]
    pub fn level(&self) -> u32 {
        self.level.unwrap_or(if self.threshold.is_some() { OFFICIAL_LEVEL } else { OWN_LEVEL })
    }

    /// Octets after which a member ends, at the next end of an event.
    #[must_use]
    pub fn buffer(&self) -> usize {
        self.buffer.unwrap_or(OFFICIAL_BUFFER).try_into().unwrap_or(usize::MAX)
    }
}

keys! {
    /// Compression of one output.
    pub(super) static OUTPUT_KEYS;
    /// From which fill of the outbox on gzip is used: below 0 always, above 1 never. Without it: by itself, above 8 MiB of backlog and until it is below 1 MiB.
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

/// Reads the three keys.
pub(in super::super) fn load(section: &Section<'_>, keys: &Keys) -> Gzip {
    Gzip {
        threshold: section.optional(keys.threshold),
        level: section.optional(keys.level).and_then(|level| u32::try_from(level).ok()),
        buffer: section.optional(keys.buffer).map(i64::unsigned_abs),
        queue: 0,
    }
}

/// Says of each key that is given that it does nothing here.
pub(super) fn without_effect(section: &Section<'_>, why: &str) {
    section.no_effect(&THRESHOLD, why);
    section.no_effect(&LEVEL, why);
    section.no_effect(&BUFFER, why);
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: u64 = 1_000;

    fn asked(threshold: Option<f64>) -> Gzip {
        Gzip { threshold, queue: QUEUE, ..Gzip::default() }
    }

    #[test]
    fn a_threshold_is_a_part_of_the_queue_and_beyond_its_ends_it_is_always_or_never() {
        assert_eq!(asked(Some(-1.0)).when(), When::Always);
        assert_eq!(asked(Some(-0.1)).when(), When::Always);
        assert_eq!(asked(Some(1.1)).when(), When::Never);
        assert_eq!(asked(Some(0.75)).when(), When::Backlog { above: 750, below: 750 });
        assert_eq!(asked(None).when(), When::Backlog { above: 8_388_608, below: 1_048_576 });
    }

    #[test]
    fn the_level_is_ours_where_we_decide_and_the_official_one_where_the_threshold_does() {
        assert_eq!((asked(None).level(), asked(Some(0.5)).level()), (1, 6));
        assert_eq!(Gzip { level: Some(9), ..asked(None) }.level(), 9);
    }

    #[test]
    fn each_key_of_globals_wins_by_itself() {
        let own = Gzip { threshold: Some(-1.0), level: Some(9), ..Gzip::default() };
        let globals = Gzip { level: Some(2), buffer: Some(7), queue: QUEUE, ..Gzip::default() };
        let expected = Gzip { threshold: Some(-1.0), level: Some(2), buffer: Some(7), queue: QUEUE };
        assert_eq!(own.under(globals), expected);
    }
}
