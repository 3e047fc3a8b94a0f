//! The names of one record, each with a number, so that an event compares numbers instead of texts.

use std::hash::{BuildHasher, RandomState};

/// Number of a distinct name within its record, from 0 without gaps.
pub(super) type Name = u32;

/// Distinct names, compared after unescaping. One allocation for all their texts; nothing is ever removed.
pub(super) struct Names {
    /// All texts, one behind the other.
    text: String,
    /// Hash of each name, and where its text ends.
    known: Vec<(u64, usize)>,
    /// Open addressing by hash: number + 1, or 0 where the slot is free. Length: a power of two, at most half full.
    slots: Vec<u32>,
    /// The number given last.
    last: Name,
    /// Drawn at random, so that nobody knows which names meet in one slot.
    seed: u64,
}

impl Names {
    /// No names yet; room for those of an ordinary record.
    pub(super) fn new() -> Self {
        Self {
            text: String::with_capacity(4096),
            known: Vec::with_capacity(128),
            slots: vec![0; 256],
            last: 0,
            seed: RandomState::new().hash_one(0),
        }
    }

    /// The number of that name; a new one where it was not known.
    pub(super) fn number(&mut self, name: &str) -> Name {
        // Elements of an array mostly have the same members in the same order: the next name is the likely one.
        let likely = self.last + 1;
        let known = (likely as usize) < self.known.len() && self.text(likely) == name;
        self.last = if known { likely } else { self.search(name) };
        self.last
    }

    /// The number of that name by its hash.
    fn search(&mut self, name: &str) -> Name {
        let hash = hash(self.seed, name.as_bytes());
        let mut slot = self.home(hash);
        while let Some(number) = self.slots[slot].checked_sub(1) {
            if self.known[number as usize].0 == hash && self.text(number) == name {
                return number;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        let number = Name::try_from(self.known.len()).expect("a record in memory has fewer than 2^32 names");
        self.text.push_str(name);
        self.known.push((hash, self.text.len()));
        self.slots[slot] = number + 1;
        if self.known.len() * 2 > self.slots.len() {
            self.grow();
        }
        number
    }

    /// The text of a name.
    pub(super) fn text(&self, name: Name) -> &str {
        let index = name as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.known[before].1);
        &self.text[start..self.known[index].1]
    }

    /// How many distinct names there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Where the search for a hash begins.
    fn home(&self, hash: u64) -> usize {
        // Only low bits are kept, so the cut that `as` makes on small machines changes nothing.
        (hash as usize) & (self.slots.len() - 1)
    }

    /// Doubles the slots.
    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for number in 0..self.known.len() {
            let mut slot = self.home(self.known[number].0);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = number as u32 + 1;
        }
    }
}

/// Folded multiplication, eight octets at a time. Names are short and many; the standard library's hash would take a
/// fifth of all the time that an event takes.
fn hash(seed: u64, text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let start = fold(seed ^ text.len() as u64);
    words.iter().chain([&last]).fold(start, |hash, word| fold(hash ^ u64::from_le_bytes(*word)))
}

/// Mixes all bits into all bits: both halves of a product with an odd number that has no pattern.
fn fold(bits: u64) -> u64 {
    let product = u128::from(bits) * 0x9e37_79b9_7f4a_7c15;
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_its_text_while_thousands_come() {
        let mut names = Names::new();
        let spelled = |number: u32| format!("name_{number}");
        for number in 0..5_000 {
            assert_eq!(names.number(&spelled(number)), number);
        }
        // Forwards, where each name is the likely one, and backwards, where none is.
        for number in (0..5_000).chain((0..5_000).rev()) {
            assert_eq!(names.number(&spelled(number)), number);
            assert_eq!(names.text(number), spelled(number));
        }
        assert_eq!(names.number(""), 5_000);
        assert_eq!(names.text(5_000), "");
        assert_eq!(names.len(), 5_001);
    }
}
