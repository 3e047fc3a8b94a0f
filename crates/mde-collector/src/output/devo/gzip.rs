//! Gzip on the wire: complete members, one behind the other. Pure: no socket, no clock.
//!
//! A frame is packed into members of its own, so a frame's end is always a member's end and what stands behind it may
//! be plain or packed: a receiver tells them apart by a member's first octets at the start of an event.

use crate::config::outputs::compression::{Gzip, When};
use flate2::{Compress, Compression, FlushCompress, Status};

/// Window of a gzip member, the largest there is. Unit: bits.
const WINDOW: u8 = 15;

/// Decides with the backlog, and packs.
pub(super) struct Packer {
    /// When to pack.
    when: When,
    /// Whether the next frame is packed.
    on: bool,
    /// Octets after which a member ends, at the next end of an event.
    buffer: usize,
    /// zlib's level.
    level: Compression,
    /// Made at the first use, as most channels never compress.
    engine: Option<Compress>,
    /// What the last call was given, or had made; kept for its capacity.
    members: Vec<u8>,
}

impl Packer {
    /// What the configuration asks for; without one nothing is packed.
    pub(super) fn new(asked: Option<Gzip>) -> Self {
        let when = asked.map_or(When::Never, |asked| asked.when());
        let asked = asked.unwrap_or_default();
        Self {
            when,
            on: when == When::Always,
            buffer: asked.buffer(),
            level: Compression::new(asked.level()),
            engine: None,
            members: Vec::new(),
        }
    }

    /// Octets wait to be sent.
    pub(super) fn backlog(&mut self, waiting: u64) {
        let When::Backlog { above, below } = self.when else { return };
        if waiting > above {
            self.on = true;
        } else if waiting < below {
            self.on = false;
        }
    }

    /// Turns whole events into the octets to send: leaves them as they are, or puts members in their place.
    pub(super) fn pack(&mut self, events: &mut Vec<u8>) {
        if !self.on || events.is_empty() {
            return;
        }
        self.members.clear();
        let engine = self.engine.get_or_insert_with(|| Compress::new_gzip(self.level, WINDOW));
        for piece in pieces(events, self.buffer) {
            member(engine, piece, &mut self.members);
        }
        std::mem::swap(events, &mut self.members);
    }
}

/// Cuts at the first end of an event at or behind `buffer` octets.
fn pieces(events: &[u8], buffer: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = events;
    std::iter::from_fn(move || {
        let from = buffer.saturating_sub(1).min(rest.len());
        let end = memchr::memchr(b'\n', &rest[from..]).map_or(rest.len(), |found| from + found + 1);
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Adds one complete member.
fn member(engine: &mut Compress, mut piece: &[u8], members: &mut Vec<u8>) {
    engine.reset();
    loop {
        // What does not get smaller grows by 5 octets for 16 KiB, and by a header.
        members.reserve(piece.len() / 4 + 1_024);
        let before = engine.total_in();
        let status = engine
            .compress_vec(piece, members, FlushCompress::Finish)
            .expect("an engine that was reset is never in the wrong state");
        let taken = usize::try_from(engine.total_in() - before).expect("no more than was given");
        piece = &piece[taken..];
        if status == Status::StreamEnd {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::bufread::GzDecoder;
    use flate2::read::MultiGzDecoder;
    use proptest::prelude::*;
    use std::io::Read;

    fn packer(threshold: Option<f64>, buffer: u64) -> Packer {
        Packer::new(Some(Gzip { threshold, buffer: Some(buffer), queue: 1_000, level: None }))
    }

    fn packed(packer: &mut Packer, events: &[u8]) -> Vec<u8> {
        let mut octets = events.to_vec();
        packer.pack(&mut octets);
        octets
    }

    fn unpacked(members: &[u8]) -> Vec<u8> {
        let mut events = Vec::new();
        MultiGzDecoder::new(members).read_to_end(&mut events).expect("members");
        events
    }

    #[test]
    fn without_a_backlog_events_stay_as_they_are_and_with_one_they_are_packed() {
        let mut packer = packer(None, 100);
        let events = b"{\"a\":1}\n".repeat(50);
        assert_eq!(packed(&mut packer, &events), events);
        packer.backlog(8 << 20);
        assert_eq!(packed(&mut packer, &events), events, "not above");
        packer.backlog((8 << 20) + 1);
        assert_eq!(unpacked(&packed(&mut packer, &events)), events);
        packer.backlog(1 << 20);
        assert_eq!(unpacked(&packed(&mut packer, &events)), events, "not below");
        packer.backlog((1 << 20) - 1);
        assert_eq!(packed(&mut packer, &events), events);
        assert_eq!(packed(&mut packer, b""), b"");
    }

    #[test]
    fn a_channel_that_must_not_compress_never_does_and_one_that_must_always_does() {
        let events = b"{}\n".repeat(100);
        for mut never in [Packer::new(None), packer(Some(1.1), 100)] {
            never.backlog(u64::MAX);
            assert_eq!(packed(&mut never, &events), events);
        }
        let mut always = packer(Some(-1.0), 100);
        always.backlog(0);
        assert_eq!(unpacked(&packed(&mut always, &events)), events);
        let mut filled = packer(Some(0.75), 100);
        filled.backlog(750);
        assert_eq!(packed(&mut filled, &events), events);
        filled.backlog(751);
        assert_eq!(unpacked(&packed(&mut filled, &events)), events);
    }

    proptest! {
        /// Whatever the events: each member holds whole events, and as few as reach the buffer.
        #[test]
        fn each_member_is_complete_and_ends_with_an_event(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..40),
            buffer in 1_u64..2_000,
        ) {
            let mut events = Vec::new();
            for line in &lines {
                events.extend(line.iter().map(|&octet| if octet == b'\n' { b' ' } else { octet }));
                events.push(b'\n');
            }
            let mut packer = packer(Some(-1.0), buffer);
            for _ in 0..2 {
                let octets = packed(&mut packer, &events);
                let mut rest = &octets[..];
                let mut seen = Vec::new();
                while !rest.is_empty() {
                    let mut decoder = GzDecoder::new(rest);
                    let mut piece = Vec::new();
                    decoder.read_to_end(&mut piece).expect("a member");
                    rest = decoder.into_inner();
                    prop_assert!(piece.ends_with(b"\n"));
                    prop_assert!(rest.is_empty() || piece.len() as u64 >= buffer);
                    let last = piece[..piece.len() - 1].iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1);
                    prop_assert!((last as u64) < buffer, "it could have ended before");
                    seen.extend(piece);
                }
                prop_assert_eq!(&seen, &events);
            }
        }
    }
}
