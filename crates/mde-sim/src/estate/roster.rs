//! Which entities of one kind there are, when all that is kept are the exceptions: what came later, what left, what was changed.

use crate::config::Order;
use crate::odata::Arrangement;
use crate::ticks::Ticks;
use crate::world::dice::mix;
use std::collections::BTreeMap;

/// Entities counted from 0. Memory grows with what happens to them, not with their number.
#[derive(Clone, Debug)]
pub(crate) struct Roster {
    /// Numbers given out so far.
    total: u32,
    /// Those that were not there from the beginning, by the first number of each batch, with the time they came.
    added: BTreeMap<u32, Ticks>,
    /// Those that left, with the time.
    removed: BTreeMap<u32, Ticks>,
    /// Those that were changed.
    changed: BTreeMap<u32, Changed>,
}

/// What has happened to an entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// How often it was changed.
    pub(crate) times: u32,
    /// When it was changed last.
    pub(crate) at: Option<Ticks>,
}

impl Roster {
    /// So many entities that were there from the beginning.
    pub(crate) fn new(count: usize) -> Self {
        let total = u32::try_from(count).expect("fewer than 2^32 entities");
        Self { total, added: BTreeMap::new(), removed: BTreeMap::new(), changed: BTreeMap::new() }
    }

    /// Whether this one is there.
    pub(crate) fn has(&self, number: u32) -> bool {
        number < self.total && !self.removed.contains_key(&number)
    }

    /// How many are there.
    pub(crate) fn len(&self) -> usize {
        self.total as usize - self.removed.len()
    }

    /// Numbers given out so far; those that left included.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// Adds some; gives the first new number.
    pub(crate) fn add(&mut self, count: u32, at: Ticks) -> u32 {
        let first = self.total;
        self.added.insert(first, at);
        self.total += count;
        first
    }

    /// Takes one away for good; false when it is not there.
    pub(crate) fn remove(&mut self, number: u32, at: Ticks) -> bool {
        let there = self.has(number);
        if there {
            self.removed.insert(number, at);
        }
        there
    }

    /// Changes one; false when it is not there.
    pub(crate) fn change(&mut self, number: u32, at: Ticks) -> bool {
        let there = self.has(number);
        if there {
            let Changed { times, .. } = self.changed(number);
            self.changed.insert(number, Changed { times: times + 1, at: Some(at) });
        }
        there
    }

    /// What has happened to one.
    pub(crate) fn changed(&self, number: u32) -> Changed {
        self.changed.get(&number).copied().unwrap_or_default()
    }

    /// When one came, if it was not there from the beginning.
    pub(crate) fn came(&self, number: u32) -> Option<Ticks> {
        let (_, at) = self.added.range(..=number).next_back()?;
        Some(*at)
    }

    /// Those that came or left at `since` or later, with the time: the newcomers first, each in the order of their numbers.
    pub(crate) fn came_since(&self, since: Ticks) -> impl Iterator<Item = (u32, Ticks)> {
        let ends = self.added.keys().skip(1).copied().chain([self.total]);
        let batches = self.added.iter().zip(ends).filter(move |((_, at), _)| **at >= since);
        batches.flat_map(|((first, at), end)| (*first..end).map(|number| (number, *at)))
    }

    /// Those that left at `since` or later, with the time.
    pub(crate) fn left_since(&self, since: Ticks) -> impl Iterator<Item = (u32, Ticks)> {
        self.removed.iter().filter(move |(_, at)| **at >= since).map(|(number, at)| (*number, *at))
    }

    /// The next one that is there, from `number` on and round again; none when nobody is.
    pub(crate) fn next_from(&self, number: u32) -> Option<u32> {
        (number..self.total).chain(0..number.min(self.total)).find(|number| self.has(*number))
    }

    /// Those that are there, in this order, made one by one.
    pub(crate) fn numbers(&self, arrangement: Arrangement) -> impl Iterator<Item = u32> + Send + use<'_> {
        // A shuffled order is a walk through the next power of two, from which numbers that are too big are left out.
        let places = u64::from(self.total).next_power_of_two();
        let salt = mix(arrangement.shuffle, places);
        let last = self.total.saturating_sub(1);
        let end = if arrangement.order == Order::Shuffled { places } else { u64::from(self.total) };
        (0..if self.total == 0 { 0 } else { end })
            .map(move |place| match arrangement.order {
                Order::OldestFirst => place as u32,
                Order::NewestFirst => last - place as u32,
                Order::Shuffled => shuffled(place, places, salt) as u32,
            })
            .filter(|number| self.has(*number))
    }
}

/// A one-to-one mapping of `0..places`, a power of two, onto itself: odd factors and shifts can be undone.
fn shuffled(place: u64, places: u64, salt: u64) -> u64 {
    let bits = places.trailing_zeros();
    let mut number = place;
    for round in 0..3 {
        number = number.wrapping_mul(mix(salt, round) | 1).wrapping_add(mix(salt, round + 8)) & (places - 1);
        number ^= number >> (bits / 2).max(1);
    }
    number & (places - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_order_shows_each_one_once_and_shuffled_orders_differ() {
        for count in [0, 1, 2, 3, 100, 1_000, 4_096] {
            let mut roster = Roster::new(count);
            roster.remove(1, Ticks(0));
            let mut orders = BTreeSet::new();
            for (order, shuffle) in [
                (Order::NewestFirst, 0),
                (Order::OldestFirst, 0),
                (Order::Shuffled, 0),
                (Order::Shuffled, 1),
                (Order::Shuffled, 2),
            ] {
                let numbers: Vec<_> = roster.numbers(Arrangement { order, shuffle }).collect();
                let known: BTreeSet<_> = numbers.iter().copied().collect();
                assert_eq!((numbers.len(), known.len()), (roster.len(), roster.len()), "{count} {order:?}");
                assert!(known.iter().all(|number| roster.has(*number)));
                orders.insert(numbers);
            }
            assert!(count < 100 || orders.len() == 5);
        }
    }

    #[test]
    fn what_came_and_left_is_told_with_its_time() {
        let mut roster = Roster::new(3);
        assert_eq!(roster.add(2, Ticks(10)), 3);
        assert_eq!(roster.add(1, Ticks(20)), 5);
        assert!(roster.remove(4, Ticks(30)));
        assert!(!roster.remove(4, Ticks(31)));
        assert_eq!([roster.came(2), roster.came(4), roster.came(5)], [None, Some(Ticks(10)), Some(Ticks(20))]);
        assert_eq!(roster.came_since(Ticks(10)).map(|(number, _)| number).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(roster.came_since(Ticks(11)).collect::<Vec<_>>(), [(5, Ticks(20))]);
        assert_eq!(roster.left_since(Ticks(30)).collect::<Vec<_>>(), [(4, Ticks(30))]);
        assert_eq!([roster.next_from(4), roster.next_from(99)], [Some(5), Some(0)]);
    }

    #[test]
    fn a_change_counts_and_keeps_its_time() {
        let mut roster = Roster::new(1);
        assert!(roster.change(0, Ticks(5)) && roster.change(0, Ticks(6)));
        assert!(!roster.change(1, Ticks(7)));
        assert_eq!(roster.changed(0), Changed { times: 2, at: Some(Ticks(6)) });
    }
}
