//! Compression on the way: whole gzip members, one behind the other, plain events between them where they pay no longer.
//!
//! A receiver tells a member from an event by its first two octets, so a member always begins where an event does.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Backlog above which compression switches itself on. Unit: octets. Source: design, "Delivery".
const ON_ABOVE: u64 = 8 * 1024 * 1024;
/// … and below which it switches itself off.
const OFF_BELOW: u64 = 1024 * 1024;

/// When events are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Never.
    Never,
    /// Always.
    Always,
    /// While much waits to be sent.
    Backlog,
}

/// Compresses what is written to one connection after the other.
pub(super) struct Gzip {
    /// When it works.
    when: When,
    /// zlib's level, 1 to 9.
    level: Compression,
    /// A member is ended once it holds more than this. Unit: octets before compression.
    member: usize,
    /// Whether it works now.
    on: bool,
    /// The members of the frame under way; kept for its capacity.
    members: Vec<u8>,
}

impl Gzip {
    /// Off until it is told of a backlog, or on for ever.
    pub(super) fn new(when: When, level: u32, member: usize) -> Self {
        Self { when, level: Compression::new(level), member, on: when == When::Always, members: Vec::new() }
    }

    /// So much waits to be sent. Unit: octets.
    pub(super) fn backlog(&mut self, octets: u64) {
        if self.when == When::Backlog {
            self.on = octets > ON_ABOVE || (self.on && octets >= OFF_BELOW);
        }
    }

    /// The octets to be written for these whole events.
    pub(super) fn pack<'a>(&'a mut self, events: &'a [u8]) -> &'a [u8] {
        if !self.on {
            return events;
        }
        self.members.clear();
        let mut rest = events;
        while !rest.is_empty() {
            // The member ends with the event in which it grows beyond its bound.
            let end = rest.get(self.member..).and_then(|behind| behind.iter().position(|&octet| octet == b'\n'));
            let (member, behind) = rest.split_at(end.map_or(rest.len(), |end| self.member + end + 1));
            let mut encoder = GzEncoder::new(&mut self.members, self.level);
            encoder.write_all(member).and_then(|()| encoder.try_finish()).expect("a Vec takes everything");
            rest = behind;
        }
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::{GzDecoder, MultiGzDecoder};
    use proptest::prelude::*;
    use std::io::Read;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn members_hold_whole_events_and_give_them_all_back(
            events in prop::collection::vec("[a-z]{0,300}", 0..60),
            level in 1_u32..10,
            member in 1_usize..2_000,
        ) {
            let wire: Vec<u8> = events.iter().flat_map(|event| format!("{event}\n").into_bytes()).collect();
            let mut gzip = Gzip::new(When::Always, level, member);
            let mut packed = gzip.pack(&wire);
            let mut all = Vec::new();
            MultiGzDecoder::new(packed).read_to_end(&mut all).expect("whole members");
            prop_assert_eq!(&all, &wire);
            while !packed.is_empty() {
                let (mut decoder, mut text) = (GzDecoder::new(packed), Vec::new());
                decoder.read_to_end(&mut text).expect("a whole member");
                prop_assert!(text.ends_with(b"\n"));
                prop_assert!(text[..text.len() - 1].iter().rposition(|&octet| octet == b'\n').unwrap_or(0) < member, "no event too many");
                packed = decoder.into_inner();
            }
        }
    }

    #[test]
    fn a_backlog_switches_it_on_and_off_with_room_between() {
        let mut gzip = Gzip::new(When::Backlog, 1, 50_000);
        let on = |gzip: &mut Gzip, octets| {
            gzip.backlog(octets);
            gzip.pack(b"event\n").starts_with(&[0x1f, 0x8b])
        };
        assert!(!on(&mut gzip, ON_ABOVE));
        assert!(on(&mut gzip, ON_ABOVE + 1));
        assert!(on(&mut gzip, OFF_BELOW));
        assert!(!on(&mut gzip, OFF_BELOW - 1));
        assert!(!on(&mut gzip, ON_ABOVE));
    }

    #[test]
    fn never_is_never() {
        let mut gzip = Gzip::new(When::Never, 1, 10);
        gzip.backlog(u64::MAX);
        assert_eq!(gzip.pack(b"event\n"), b"event\n");
    }
}
