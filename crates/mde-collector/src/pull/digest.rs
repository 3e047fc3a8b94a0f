//! A set of keys in constant memory, whatever their order: enough to say whether two passes gave the same rows.

use crate::record::VersionKey;

/// A set of keys: count, sum and parity.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    /// Keys in it.
    pub count: u64,
    /// Their sum, as numbers.
    sum: u128,
    /// Their exclusive or.
    parity: u128,
}

impl Digest {
    /// One key more.
    pub fn add(&mut self, key: VersionKey) {
        let number = u128::from_le_bytes(key.0);
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
        self.parity ^= number;
    }

    /// All keys of another digest.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.parity ^= other.parity;
    }
}
