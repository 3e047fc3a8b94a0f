//! The rule of `method: auto`: a call for each entity where they are few, else one of the answers for all.
//!
//! Pure, and the only place of the rule: what `plan` foretells and what a run then does cannot differ.

use std::fmt;

/// A whole refresh by a call for each entity may take this part of an hour's calls: a quarter.
const PART_OF_HOUR: u64 = 4;

/// A way in which a count is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// The documented call for each entity.
    PerEntity,
    /// The answer for all entities at that place in the count's list.
    Bulk(usize),
}

/// What the choice depends on. Whatever closes a way (a missing role, another method in the configuration, an endpoint that does
/// not exist) closes it here: the rule does not ask why.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// Entities whose count one refresh asks for: the whole list, or, of a source that is read in windows, those of an hour.
    pub entities: u64,
    /// Calls that the tenant may make of the family in an hour: the limit times the share.
    pub calls_per_hour: u32,
    /// Whether the call for one entity may be made.
    pub per_entity: bool,
    /// Whether each of the answers for all can be had, best first.
    pub bulk: &'a [bool],
    /// The way of the time before.
    pub previous: Option<Way>,
}

/// A way, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The way.
    pub way: Way,
    /// Why.
    pub reason: Reason,
}

/// Why a way was chosen. Its text stands in the log, in `plan` and in the status row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A whole refresh fits in a quarter of an hour's calls.
    Fits,
    /// A whole refresh does not fit in a quarter of an hour's calls.
    DoesNotFit,
    /// The need has come nearer to the other way, and not to half or twice the threshold.
    Kept,
    /// No answer for all is open.
    NoBulk,
    /// The call for one entity is not open.
    NoPerEntity,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fits => "a whole refresh fits in a quarter of the hourly budget",
            Self::DoesNotFit => "a whole refresh takes more than a quarter of the hourly budget",
            Self::Kept => "kept: the need is neither half nor twice the threshold",
            Self::NoBulk => "no bulk answer is open",
            Self::NoPerEntity => "the call for each entity is not open",
        })
    }
}

/// Chooses; `None` where no way is open, so that the count is absent.
///
/// Values of two ways differ a little. A way is therefore kept until the need is half or twice the threshold, lest values jump to
/// and fro with a number of entities that is close to it.
#[must_use]
pub fn choose(need: &Need<'_>) -> Option<Choice> {
    let bulk = need.bulk.iter().position(|open| *open).map(Way::Bulk);
    let choice = |way, reason| Some(Choice { way, reason });
    match (need.per_entity, bulk) {
        (false, None) => None,
        (true, None) => choice(Way::PerEntity, Reason::NoBulk),
        (false, Some(bulk)) => choice(bulk, Reason::NoPerEntity),
        (true, Some(bulk)) => {
            // In quarters of an hour's calls, so that nothing is rounded.
            let (quarters, hour) = (need.entities.saturating_mul(PART_OF_HOUR), u64::from(need.calls_per_hour));
            let fits = quarters <= hour;
            match need.previous {
                Some(Way::PerEntity) if !fits && quarters < 2 * hour => choice(Way::PerEntity, Reason::Kept),
                Some(Way::Bulk(_)) if fits && 2 * quarters > hour => choice(bulk, Reason::Kept),
                _ if fits => choice(Way::PerEntity, Reason::Fits),
                _ => choice(bulk, Reason::DoesNotFit),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A need with every way open: the threshold is 300 entities.
    fn need(entities: u64, previous: Option<Way>) -> Need<'static> {
        Need { entities, calls_per_hour: 1_200, per_entity: true, bulk: &[true, true], previous }
    }

    fn way(entities: u64, previous: Option<Way>) -> Way {
        choose(&need(entities, previous)).expect("a way is open").way
    }

    const EACH: Way = Way::PerEntity;
    const ALL: Way = Way::Bulk(0);

    #[test]
    fn few_entities_are_asked_one_by_one_and_many_at_once() {
        assert_eq!(choose(&need(300, None)), Some(Choice { way: EACH, reason: Reason::Fits }));
        assert_eq!(choose(&need(301, None)), Some(Choice { way: ALL, reason: Reason::DoesNotFit }));
        assert_eq!(way(0, None), EACH);
        assert_eq!(way(u64::MAX, None), ALL, "nothing overflows");
    }

    #[test]
    fn a_way_is_kept_until_the_need_is_half_or_twice_the_threshold() {
        for (entities, previous, expected) in
            [(301, EACH, EACH), (599, EACH, EACH), (600, EACH, ALL), (300, ALL, ALL), (151, ALL, ALL), (150, ALL, EACH)]
        {
            assert_eq!(way(entities, Some(previous)), expected, "{entities} after {previous:?}");
        }
        assert_eq!(choose(&need(400, Some(EACH))).map(|choice| choice.reason), Some(Reason::Kept));
    }

    #[test]
    fn a_number_that_wavers_around_the_threshold_changes_nothing() {
        let mut way_now = way(290, None);
        for entities in [310, 290, 590, 160, 299, 301] {
            way_now = way(entities, Some(way_now));
            assert_eq!(way_now, EACH, "{entities}");
        }
    }

    #[test]
    fn a_closed_way_is_never_chosen() {
        for per_entity in [false, true] {
            for bulk in [[false, false], [false, true], [true, false], [true, true]] {
                for entities in [0, 300, 301, 100_000] {
                    for previous in [None, Some(EACH), Some(ALL), Some(Way::Bulk(1))] {
                        let need = Need { per_entity, bulk: &bulk, ..need(entities, previous) };
                        match choose(&need).map(|choice| choice.way) {
                            None => assert!(!per_entity && bulk == [false, false], "{need:?}"),
                            Some(Way::PerEntity) => assert!(per_entity, "{need:?}"),
                            Some(Way::Bulk(place)) => {
                                assert_eq!(Some(place), bulk.iter().position(|open| *open), "{need:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
