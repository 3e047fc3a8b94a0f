//! Which file an event goes to, and when the next one begins. Pure: no disk, and no clock but the time of the pull.
//!
//! With rotation a file bears its time from its first octet on and is never renamed: whoever follows it by name does not
//! lose it, and a kill can fall into no rename. Its time is a border of `every`, UTC, so that a file holds what was pulled
//! from that time until the next border; without `every` it is the time of the first pull in it.

use crate::config::outputs::file::{Compress, File, Rotate};
use crate::output::template::{Template, TemplateError};
use crate::record::BatchHead;
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

/// How names are made.
pub(super) struct Names {
    /// The path.
    template: Template,
    /// When the next file begins.
    rotate: Option<Rotate>,
    /// What a compressed file ends with.
    ending: &'static str,
}

/// The file that a path is written to at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Turn {
    /// Its time. Unit: milliseconds since 1970.
    since_ms: i64,
    /// Its number among those of that time, from 1.
    number: u32,
}

impl Names {
    /// As configured.
    pub(super) fn new(config: &File) -> Result<Self, TemplateError> {
        let ending = match config.compress {
            Compress::None => "",
            Compress::Gzip => ".gz",
            Compress::Zstd => ".zst",
        };
        Ok(Self { template: Template::parse(&config.path)?, rotate: config.rotate, ending })
    }

    /// The path itself.
    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    /// Whether files take turns.
    pub(super) fn rotates(&self) -> bool {
        self.rotate.is_some()
    }

    /// The path of a batch, without a time in it.
    pub(super) fn base(&self, head: &BatchHead) -> String {
        let mut path = self.template.path(head);
        if !path.ends_with(self.ending) {
            path.push_str(self.ending);
        }
        path
    }

    /// The turn that comes after `turn` for `more` octets pulled then, when the present file has `length`; none where it
    /// goes on.
    pub(super) fn next(&self, turn: Option<Turn>, pulled_ms: i64, length: u64, more: u64) -> Option<Turn> {
        let rotate = self.rotate?;
        let every = rotate.every.and_then(|every| i64::try_from(every.as_millis()).ok()).filter(|every| *every > 0);
        let since_ms = every.map_or(pulled_ms, |every| pulled_ms - pulled_ms.rem_euclid(every));
        let Some(turn) = turn else { return Some(Turn { since_ms, number: 1 }) };
        let full = length > 0 && rotate.max_bytes.is_some_and(|most| length.saturating_add(more) > most);
        match since_ms > turn.since_ms && (every.is_some() || full) {
            true => Some(Turn { since_ms, number: 1 }),
            false => full.then_some(turn.following()),
        }
    }

    /// The name of a turn's file: the time stands before the ending, a number from the second on behind it.
    pub(super) fn of(base: &str, turn: Turn) -> String {
        let file = base.rfind('/').map_or(0, |slash| slash + 1);
        let packed =
            base[file..].strip_suffix(".gz").or_else(|| base[file..].strip_suffix(".zst")).unwrap_or(&base[file..]);
        let dot = packed.rfind('.').filter(|dot| *dot > 0).unwrap_or(packed.len());
        let (stem, ending) = base.split_at(file + dot);
        let time = Timestamp::from_millisecond(turn.since_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let time = Offset::UTC.to_datetime(time).strftime("%Y-%m-%dT%H-%M-%SZ");
        match turn.number {
            1 => format!("{stem}.{time}{ending}"),
            number => format!("{stem}.{time}.{number}{ending}"),
        }
    }
}

impl Turn {
    /// The next of the same time.
    pub(super) fn following(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOUR: i64 = 3_600_000;
    /// 2026-11-24T03:00:00.007Z
    const PULLED: i64 = 1_795_489_200_007;

    fn names(max_bytes: Option<u64>, every: Option<u64>) -> Names {
        let rotate = Some(Rotate { max_bytes, every: every.map(Duration::from_secs) });
        Names::new(&File { path: "x".to_owned(), rotate, compress: Compress::None }).expect("valid")
    }

    #[test]
    fn the_time_stands_before_the_ending() {
        let turn = Turn { since_ms: PULLED, number: 1 };
        for (base, name) in [
            ("out/alerts.ndjson", "out/alerts.2026-11-24T03-00-00Z.ndjson"),
            ("out/alerts.ndjson.gz", "out/alerts.2026-11-24T03-00-00Z.ndjson.gz"),
            ("a.b/edr.x.ndjson.zst", "a.b/edr.x.2026-11-24T03-00-00Z.ndjson.zst"),
            ("a.b/alerts", "a.b/alerts.2026-11-24T03-00-00Z"),
            (".hidden", ".hidden.2026-11-24T03-00-00Z"),
        ] {
            assert_eq!(Names::of(base, turn), name);
        }
        assert_eq!(Names::of("a.ndjson", turn.following()), "a.2026-11-24T03-00-00Z.2.ndjson");
    }

    #[test]
    fn a_file_that_would_grow_too_large_is_followed_by_the_next_number() {
        let names = names(Some(100), None);
        let first = names.next(None, PULLED, 0, 500).expect("the first");
        assert_eq!(first, Turn { since_ms: PULLED, number: 1 });
        assert_eq!(names.next(Some(first), PULLED + HOUR, 0, 500), None, "an empty one takes what it must");
        assert_eq!(names.next(Some(first), PULLED, 60, 40), None);
        assert_eq!(names.next(Some(first), PULLED, 60, 41), Some(first.following()));
        let later = Turn { since_ms: PULLED + HOUR, number: 1 };
        assert_eq!(names.next(Some(first), PULLED + HOUR, 60, 41), Some(later), "of a later pull");
    }

    #[test]
    fn each_border_of_the_period_begins_a_file_and_time_never_goes_back() {
        let names = names(None, Some(3_600));
        let first = names.next(None, PULLED, 0, 1).expect("the first");
        assert_eq!(first.since_ms, PULLED - 7);
        assert_eq!(names.next(Some(first), PULLED + HOUR - 8, 1 << 40, 1), None);
        assert_eq!(names.next(Some(first), PULLED + HOUR - 7, 0, 1).map(|turn| turn.since_ms), Some(PULLED - 7 + HOUR));
        assert_eq!(names.next(Some(first), PULLED - HOUR, 1, 1), None);
    }
}
