//! A frame's form on disk: one lz4 block, and a checksum that also covers where it belongs.

use super::fault::Fault;
use crate::record::Frame;
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use std::sync::{Mutex, PoisonError};

/// lz4 cannot blow up a body by more than this, so a length beyond it is damage and is not allocated.
const LARGEST_RATIO: usize = 255;

/// A compressed body that has no place yet.
pub(super) struct Packed {
    pub(super) events: i64,
    pub(super) raw_octets: i64,
    pub(super) body: Vec<u8>,
}

/// What compressing takes beside the frame: made once, since each new one costs the kernel a hundred pages.
struct Press {
    /// lz4's table.
    table: CompressTable,
    /// Room for the largest result so far.
    room: Vec<u8>,
}

/// The press that nobody uses now. Two that pack at once have two, of which one is kept.
static PRESS: Mutex<Option<Press>> = Mutex::new(None);

/// A press with more room than this is not kept. Unit: octets; twice what an ordinary frame takes.
const KEPT_ROOM: usize = 1 << 20;

/// Compresses a frame. Pure work: done before the writer's connection is taken.
pub(super) fn pack(frame: &Frame) -> Packed {
    let kept = PRESS.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut press = kept.unwrap_or_else(|| Press { table: CompressTable::large(), room: Vec::new() });
    let most = get_maximum_output_size(frame.body.len());
    if press.room.len() < most {
        press.room.resize(most, 0);
    }
    let length = compress_into_with_table(&frame.body, &mut press.room, &mut press.table)
        .expect("there is room for the largest result");
    let body = press.room[..length].to_vec();
    if press.room.len() <= KEPT_ROOM {
        *PRESS.lock().unwrap_or_else(PoisonError::into_inner) = Some(press);
    }
    Packed { events: i64::from(frame.events), raw_octets: super::signed(frame.body.len() as u64), body }
}

/// A frame as a row holds it.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) batch: i64,
    pub(super) seq: i64,
    pub(super) events: i64,
    pub(super) raw_octets: i64,
    pub(super) checksum: i64,
    pub(super) body: Vec<u8>,
}

impl Row {
    /// Gives a packed frame its place and its checksum.
    pub(super) fn new(batch: i64, seq: i64, packed: Packed) -> Self {
        let Packed { events, raw_octets, body } = packed;
        let checksum = checksum([batch, seq, events, raw_octets], &body);
        Self { batch, seq, events, raw_octets, checksum, body }
    }

    /// Whether the row is what was written. The error names the place, never the content.
    pub(super) fn verify(&self) -> Result<(), Fault> {
        let found = checksum([self.batch, self.seq, self.events, self.raw_octets], &self.body);
        if found == self.checksum { Ok(()) } else { Err(self.torn("has a wrong checksum")) }
    }

    /// The lines, checked and decompressed.
    pub(super) fn unpack(&self) -> Result<Vec<u8>, Fault> {
        self.verify()?;
        let length = usize::try_from(self.raw_octets).map_err(|_| self.torn("has an impossible length"))?;
        if length > (self.body.len() + 1) * LARGEST_RATIO {
            return Err(self.torn("has an impossible length"));
        }
        match lz4_flex::block::decompress(&self.body, length) {
            Ok(body) if body.len() == length => Ok(body),
            _ => Err(self.torn("cannot be decompressed")),
        }
    }

    /// Damage of this row.
    fn torn(&self, what: &str) -> Fault {
        Fault::Torn(format!("frame {} of batch row {} {what}", self.seq, self.batch))
    }
}

/// CRC-32 over the place, the counts and the compressed body.
fn checksum(numbers: [i64; 4], body: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(body);
    i64::from(hasher.finalize())
}
