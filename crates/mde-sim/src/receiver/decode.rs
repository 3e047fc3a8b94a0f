//! Octets to lines: plain text and gzip members, mixed at event boundaries, in pieces of any size.

use flate2::{Decompress, FlushDecompress, Status};

/// First octets of a gzip member.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Octets inflated at a time.
const INFLATED: usize = 64 * 1024;

/// Turns a connection's octets into lines.
#[derive(Default)]
pub(super) struct Decoder {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The first octet of what may be a member, when the second has not come.
    held: bool,
    /// The member being read.
    member: Option<Decompress>,
}

/// The member is damaged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

impl Decoder {
    /// Takes octets; calls `line` for each line that ends in them, without its LF and the NUL that may stand before it.
    /// The flag is true inside a member.
    pub(super) fn feed(&mut self, mut octets: &[u8], line: &mut impl FnMut(&[u8], bool)) -> Result<(), Damaged> {
        while let Some(first) = octets.first() {
            if let Some(member) = &mut self.member {
                let mut inflated = Vec::with_capacity(INFLATED);
                let before = member.total_in();
                let status =
                    member.decompress_vec(octets, &mut inflated, FlushDecompress::None).map_err(|_| Damaged)?;
                let taken = usize::try_from(member.total_in() - before).expect("no more than was given");
                octets = &octets[taken..];
                // A full output with all input taken is not the end of what the member holds back.
                let stuck = taken == 0 && inflated.is_empty();
                lines(&mut self.line, &inflated, true, line);
                match status {
                    Status::StreamEnd => self.member = None,
                    Status::Ok | Status::BufError if stuck => return Err(Damaged),
                    Status::Ok | Status::BufError => self.drain(line)?,
                }
            } else if self.held {
                self.held = false;
                if *first == GZIP_MAGIC[1] {
                    let mut member = Decompress::new_gzip(15);
                    member
                        .decompress_vec(&GZIP_MAGIC[..1], &mut Vec::new(), FlushDecompress::None)
                        .map_err(|_| Damaged)?;
                    self.member = Some(member);
                } else {
                    self.line.push(GZIP_MAGIC[0]);
                }
            } else if self.line.is_empty() && *first == GZIP_MAGIC[0] {
                self.held = true;
                octets = &octets[1..];
            } else {
                // Up to the end of this line only: behind it a member may begin.
                let end = octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |lf| lf + 1);
                lines(&mut self.line, &octets[..end], false, line);
                octets = &octets[end..];
            }
        }
        Ok(())
    }

    /// Whether the connection could end here without an event torn apart.
    pub(super) fn at_boundary(&self) -> bool {
        self.line.is_empty() && !self.held && self.member.is_none()
    }

    /// Takes out what the member has inflated but not handed over for want of room.
    fn drain(&mut self, line: &mut impl FnMut(&[u8], bool)) -> Result<(), Damaged> {
        while let Some(member) = &mut self.member {
            let mut inflated = Vec::with_capacity(INFLATED);
            let status = member.decompress_vec(&[], &mut inflated, FlushDecompress::None).map_err(|_| Damaged)?;
            lines(&mut self.line, &inflated, true, line);
            if status == Status::StreamEnd {
                self.member = None;
            }
            if inflated.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Cuts text into lines; what does not end stays in `pending`.
fn lines(pending: &mut Vec<u8>, text: &[u8], gzip: bool, line: &mut impl FnMut(&[u8], bool)) {
    for piece in text.split_inclusive(|octet| *octet == b'\n') {
        match piece.strip_suffix(b"\n") {
            None => pending.extend_from_slice(piece),
            Some(end) if pending.is_empty() => line(end.strip_suffix(b"\0").unwrap_or(end), gzip),
            Some(end) => {
                pending.extend_from_slice(end);
                line(pending.strip_suffix(b"\0").unwrap_or(pending), gzip);
                pending.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(octets: &[u8], step: usize) -> (Vec<(Vec<u8>, bool)>, bool) {
        let (mut decoder, mut seen) = (Decoder::default(), Vec::new());
        for piece in octets.chunks(step) {
            decoder.feed(piece, &mut |line, gzip| seen.push((line.to_vec(), gzip))).unwrap();
        }
        (seen, decoder.at_boundary())
    }

    proptest! {
        #[test]
        fn any_mix_in_any_pieces_gives_the_lines_in_order(
            parts in prop::collection::vec((any::<bool>(), prop::collection::vec("[ -~é]{0,30}", 1..5)), 0..6),
            step in 1usize..50,
        ) {
            let (mut octets, mut expected) = (Vec::new(), Vec::new());
            for (zipped, texts) in parts {
                let plain: String = texts.iter().map(|text| format!("{text}\n")).collect();
                octets.extend(if zipped { gzip(plain.as_bytes()) } else { plain.into_bytes() });
                expected.extend(texts.into_iter().map(|text| (text.into_bytes(), zipped)));
            }
            prop_assert_eq!(decode(&octets, step), (expected, true));
        }
    }

    #[test]
    fn a_member_that_inflates_a_thousandfold_comes_out_whole() {
        let line = "x".repeat(3_000_000);
        let (seen, done) = decode(&gzip(format!("{line}\n").as_bytes()), 4_096);
        assert!(done);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].0.len(), 3_000_000);
    }

    #[test]
    fn a_torn_line_or_member_is_no_boundary() {
        assert!(!decode(b"half", 10).1);
        assert!(!decode(&gzip(b"whole\n")[..10], 3).1);
        assert!(!decode(&[0x1f], 1).1);
        assert_eq!(decode(b"\x1fodd\n", 1).0, [(b"\x1fodd".to_vec(), false)]);
        assert_eq!(decode(b"nul\0\n", 2).0, [(b"nul".to_vec(), false)]);
    }

    #[test]
    fn a_damaged_member_is_told() {
        let mut octets = gzip(b"some text that is long enough\n");
        let last = octets.len() - 1;
        octets[last - 4] ^= 0xff;
        assert_eq!(Decoder::default().feed(&octets, &mut |_, _| {}), Err(Damaged));
    }
}
