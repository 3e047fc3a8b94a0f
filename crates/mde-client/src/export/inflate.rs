//! Decompression of a body that may be gzip, may be several members of it, and may be plain.

use flate2::write::MultiGzDecoder;
use std::io::{self, Write};

/// Most of a compressed body that is unpacked at once. Unit: bytes. Deflate can grow it a thousandfold, so a step yields
/// about 4 MB at most, however hostile the body.
pub(super) const STEP: usize = 4 * 1024;

/// The first byte of a gzip member; no JSON begins so.
const GZIP: u8 = 0x1f;

/// What the body turned out to be.
#[derive(Default)]
pub(super) enum Inflate {
    /// Nothing has come yet.
    #[default]
    Unseen,
    /// Rows as they are, also where the transport has unpacked them.
    Plain,
    /// Gzip members, one after the other.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Inflate {
    /// Unpacks at most [`STEP`] bytes to the end of `out`. Fails on what is no gzip although it began so.
    pub fn step(&mut self, packed: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        debug_assert!(packed.len() <= STEP, "more would not be bounded");
        if let (Self::Unseen, Some(first)) = (&*self, packed.first()) {
            *self = match *first {
                GZIP => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
                _ => Self::Plain,
            };
        }
        match self {
            Self::Unseen => Ok(()),
            Self::Plain => out.write_all(packed),
            Self::Gzip(decoder) => {
                decoder.write_all(packed)?;
                decoder.flush()?;
                out.append(decoder.get_mut());
                Ok(())
            }
        }
    }

    /// The body has ended. Fails where the last member has not.
    pub fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if let Self::Gzip(decoder) = self {
            decoder.try_finish()?;
            out.append(decoder.get_mut());
        }
        Ok(())
    }
}
