//! Seeded chance. Only raw words of the generator are used, so that no change of a sampling rule in a library changes a world.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of chance that is the same for the same seed and number, for ever.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream with this number under this seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to `limit` − 1; 0 when there is no room. The bias of the remainder is far below what a test could see.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { self.bits() % limit }
    }

    /// True once in `times`, on average.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of the values; the slice must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[usize::try_from(self.below(values.len() as u64)).expect("an index of a slice")]
    }

    /// One of the values, each as often as its weight says; the first when all weights are 0.
    pub(crate) fn weighted<T: Copy>(&mut self, values: &[(T, u32)]) -> T {
        let mut left = self.below(values.iter().map(|(_, weight)| u64::from(*weight)).sum());
        for (value, weight) in values {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return *value,
            }
        }
        values[0].0
    }

    /// Lower-case hexadecimal text of `length` digits.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            text.push_str(&format!("{:016x}", self.bits()));
        }
        text.truncate(length);
        text
    }

    /// A GUID.
    pub(crate) fn guid(&mut self) -> String {
        let digits = self.hex(32);
        format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    }
}

/// A number that follows from two others and tells nothing about them. For decisions made a million times, where a generator
/// would be too slow (the finalizer of SplitMix64).
pub(crate) const fn mix(seed: u64, number: u64) -> u64 {
    let mut bits = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_stream_give_these_numbers_for_ever() {
        let mut dice = Dice::new(7, 1);
        assert_eq!([dice.below(1000), dice.below(1000), dice.below(1000)], [175, 533, 538]);
        assert_eq!(Dice::new(7, 1).guid(), "fdfad737-a8d7-aac7-0251-31771b7a4e55");
    }

    #[test]
    fn weights_decide_how_often_a_value_comes() {
        let mut dice = Dice::new(1, 0);
        let mix = [("never", 0), ("often", 3), ("seldom", 1)];
        let drawn: Vec<_> = (0..4000).map(|_| dice.weighted(&mix)).collect();
        let often = drawn.iter().filter(|value| **value == "often").count();
        assert!(!drawn.contains(&"never"));
        assert!((2800..3200).contains(&often), "{often} of 4000");
    }
}
