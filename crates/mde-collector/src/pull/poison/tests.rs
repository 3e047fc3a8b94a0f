//! Windows against a server of which some parts fail, for a time or for good.

use super::super::TICKS;
use super::super::model::{HOUR, NOW, Paging, Record, Server, Store, alert_rules as rules, key};
use super::super::window::{Rules, Windows};
use super::*;
use crate::record::VersionKey;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One pull after a restart. Says whether it came to its end.
fn pull(store: &mut Store, server: &mut Server, rules: Rules, ms: i64, kill: Option<usize>) -> bool {
    let mut machine = Windows::new(rules, store.checkpoint_ms, store.memory());
    store.pull(&mut machine, server, ms, kill)
}

fn gaps(store: &Store) -> Vec<Gap> {
    store.memory::<super::super::window::Memory>().expect("pulled").aside.gaps
}

fn arrived(store: &Store) -> BTreeSet<VersionKey> {
    store.events.iter().copied().collect()
}

/// The present versions of all records but those that fail, and but those that share a moment with one that fails plain,
/// or with one that fails and so many others that one answer does not hold them.
fn readable(server: &Server, page_cap: u64) -> BTreeSet<VersionKey> {
    let time = |number| server.records.get(number).map(|record| record.time);
    let crowded = |time| server.records.values().filter(|record| record.time == time).count() as u64 >= page_cap;
    let lost: BTreeSet<_> = server.bad.iter().filter_map(time).collect();
    let crowded: BTreeSet<_> = server.bad_whole.iter().filter_map(time).filter(|&time| crowded(time)).collect();
    let good = server.records.iter().filter(|(number, record)| {
        !server.bad_whole.contains(number) && !lost.contains(&record.time) && !crowded.contains(&record.time)
    });
    good.map(|(&number, record)| record.key(number)).collect()
}

/// Whole milliseconds, ties among them.
fn records(most: usize) -> impl Strategy<Value = Vec<Record>> {
    let back = prop_oneof![1_i64..600_000, 1_i64..7 * 24 * HOUR, (1_i64..6).prop_map(|hour| hour * HOUR)];
    let record = (back, 0_usize..3).prop_map(|(back, severity)| Record { severity, ..Record::at_ms(NOW - back) });
    prop::collection::vec(record, 1..most)
}

/// Numbers, most of which the records have.
fn some(most: usize) -> impl Strategy<Value = BTreeSet<u64>> {
    prop::collection::btree_set(0_u64..60, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn what_fails_is_set_aside_everything_else_arrives_and_so_does_it_when_it_heals(
        records in records(60),
        bad in some(4),
        bad_whole in some(5),
        page_cap in 3_u64..40,
        newest_first: bool,
        kills in prop::collection::vec(1_usize..40, 0..3),
    ) {
        let paging = Paging::Link(page_cap);
        let mut server = Server { newest_first, bad, bad_whole, ..Server::new(records, paging) };
        let mut store = Store::default();
        for kill in kills {
            pull(&mut store, &mut server, rules(page_cap), NOW, Some(kill));
        }
        prop_assert!(pull(&mut store, &mut server, rules(page_cap), NOW, None));
        prop_assert!(arrived(&store).is_superset(&readable(&server, page_cap)));
        prop_assert!(server.bad.union(&server.bad_whole).all(|&number| !store.events.contains(&key(number))));
        prop_assert_eq!(store.checkpoint_ms, Some(NOW), "the checkpoint passes what is set aside");
        server.bad.clear();
        server.bad_whole.clear();
        prop_assert!(pull(&mut store, &mut server, rules(page_cap), NOW + HOUR, None));
        prop_assert_eq!(arrived(&store), readable(&server, page_cap));
        prop_assert!(gaps(&store).is_empty() && !store.is_doubled());
    }

    /// Modelled history 4: what was stored before it was set aside is recognised however late it is read again.
    #[test]
    fn what_is_read_days_later_is_not_stored_twice(
        records in records(60),
        bad in some(4),
        bad_whole in some(4),
        page_cap in 3_u64..40,
        hours in 1_i64..200,
    ) {
        let mut server = Server::new(records, Paging::Link(page_cap));
        let mut store = Store::default();
        prop_assert!(pull(&mut store, &mut server, rules(page_cap), NOW, None));
        (server.bad, server.bad_whole) = (bad, bad_whole);
        for now_ms in [NOW + 60_000, NOW + 2 * HOUR, NOW + hours * HOUR] {
            // What is new moves the horizon.
            server.records.insert(1_000 + now_ms as u64 % 1_000_000, Record::at_ms(now_ms - 1));
            prop_assert!(pull(&mut store, &mut server, rules(page_cap), now_ms, None));
        }
        server.bad.clear();
        server.bad_whole.clear();
        prop_assert!(pull(&mut store, &mut server, rules(page_cap), NOW + (hours + 1) * HOUR, None));
        prop_assert_eq!(arrived(&store), readable(&server, page_cap));
        prop_assert!(gaps(&store).is_empty() && !store.is_doubled());
    }
}

/// What is set aside for days must not keep a busy stream's keys of all that time.
#[test]
fn one_gap_keeps_its_own_keys_and_no_others() {
    let (mut server, mut store) = (steady(1_000), Store::default());
    server.bad.insert(500);
    let bad_ms = server.records[&500].time.expect("timed") / TICKS;
    for day in 0..6 {
        let now_ms = NOW + day * 24 * HOUR;
        let fresh = (0..100).map(|n| Record::at_ms(now_ms - 1 - n * 60_000));
        server.records.extend((10_000 + day as u64 * 1_000..).zip(fresh));
        assert!(pull(&mut store, &mut server, rules(10_000), now_ms, None));
    }
    assert_eq!(gaps(&store).len(), 1);
    let horizon_ms = store.memory::<super::super::window::Memory>().expect("pulled").horizon_ms;
    assert!(horizon_ms > bad_ms + 2 * 24 * HOUR);
    assert!(store.known.values().all(|&time_ms| time_ms >= horizon_ms || time_ms == bad_ms), "{horizon_ms}");
    server.bad.clear();
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + 6 * 24 * HOUR, None));
    assert!(gaps(&store).is_empty() && !store.is_doubled());
    assert_eq!(store.events.len(), 1_600);
}

fn steady(number: i64) -> Server {
    let records = (0..number).map(|n| Record::at_ms(NOW - 1 - n * 60_000));
    Server::new(records, Paging::Link(10_000))
}

/// Modelled history 11.
#[test]
fn when_what_hangs_on_rows_always_fails_few_calls_are_made_and_windows_without_rows_pass() {
    let (mut server, mut store) = (steady(0), Store::default());
    server.whole_fails = true;
    assert!(pull(&mut store, &mut server, rules(10_000), NOW, None), "nothing there, nothing lost");
    assert_eq!((store.asks, store.checkpoint_ms), (3, Some(NOW)));
    let mut server = Server { whole_fails: true, ..steady(5_000) };
    let mut store = Store::default();
    for minute in 0..60 {
        assert!(!pull(&mut store, &mut server, rules(10_000), NOW + minute * 60_000, None));
    }
    assert!(store.asks < 200, "{} asks", store.asks);
    assert_eq!(store.set_aside.len(), NEW_PER_HOUR);
    server.whole_fails = false;
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + HOUR, None));
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + 2 * HOUR, None));
    assert_eq!((store.events.len(), gaps(&store).len()), (5_000, 0));
    assert!(!store.is_doubled());
}

/// Modelled history 12.
#[test]
fn when_lists_fail_and_single_rows_do_not_few_calls_are_made_and_it_is_an_outage() {
    let (mut server, mut store) = (Server { lists_fail: true, ..steady(5_000) }, Store::default());
    for minute in 0..59 {
        assert!(!pull(&mut store, &mut server, rules(10_000), NOW + minute * 60_000, None));
    }
    assert!(store.asks < 300, "{} asks", store.asks);
    assert_eq!((store.set_aside.len(), store.events.len()), (NEW_PER_HOUR, 0));
    server.lists_fail = false;
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + HOUR, None));
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + 2 * HOUR, None));
    assert_eq!((store.events.len(), gaps(&store).len()), (5_000, 0));
}

/// Modelled history 13.
#[test]
fn a_bad_record_inside_the_overlap_costs_nothing_once_it_is_set_aside() {
    for plain in [false, true] {
        let (mut server, mut store) = (steady(100), Store::default());
        if plain { &mut server.bad } else { &mut server.bad_whole }.insert(5);
        assert!(pull(&mut store, &mut server, rules(10_000), NOW, None));
        let before = store.asks;
        for minute in 1..=5 {
            assert!(pull(&mut store, &mut server, rules(10_000), NOW + minute * 60_000, None));
        }
        // A window on each side of a step; an entity is left out by the question.
        assert_eq!(store.asks - before, if plain { 10 } else { 5 });
        assert_eq!((store.set_aside.len(), store.events.len()), (1, 99));
    }
}

#[test]
fn when_everything_fails_it_is_an_outage_and_nothing_is_given_up() {
    let (mut server, mut store) = (Server { down: true, ..steady(100) }, Store::default());
    for minute in 0..10 {
        assert!(!pull(&mut store, &mut server, rules(10_000), NOW + minute * 60_000, None));
    }
    assert_eq!((store.asks, store.set_aside.len(), store.checkpoint_ms), (30, 0, None));
    server.down = false;
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + 10 * 60_000, None));
    assert_eq!(store.events.len(), 100);
}

#[test]
fn the_ninth_in_an_hour_is_an_outage_and_waits_for_the_next() {
    let (mut server, mut store) = (steady(100), Store::default());
    server.bad_whole = (0..12).map(|n| n * 8).collect();
    assert!(!pull(&mut store, &mut server, rules(10_000), NOW, None));
    assert_eq!(store.set_aside.len(), NEW_PER_HOUR);
    assert!(store.checkpoint_ms < Some(NOW), "the window of the ninth is kept");
    let before = store.asks;
    assert!(!pull(&mut store, &mut server, rules(10_000), NOW + 60_000, None));
    assert!(store.asks - before < 15, "and costs little while it waits: {}", store.asks - before);
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + HOUR, None));
    assert_eq!((store.set_aside.len(), store.events.len()), (12, 88));
}

#[test]
fn a_later_version_closes_what_was_set_aside() {
    let (mut server, mut store) = (steady(100), Store::default());
    server.bad_whole.insert(5);
    assert!(pull(&mut store, &mut server, rules(10_000), NOW, None));
    server.bad_whole.clear();
    server.records.insert(5, Record { version: 1, ..Record::at_ms(NOW + HOUR / 4) });
    for minute in [10, 20] {
        assert_eq!((store.events.len(), gaps(&store).len()), (99, 1));
        assert!(pull(&mut store, &mut server, rules(10_000), NOW + minute * 60_000, None));
    }
    assert_eq!((store.events.len(), gaps(&store).len()), (100, 0));
}

#[test]
fn a_later_version_in_the_same_window_waits_an_hour_at_most() {
    let (mut server, mut store) = (steady(100), Store::default());
    server.bad_whole.insert(5);
    assert!(pull(&mut store, &mut server, rules(10_000), NOW, None));
    server.bad_whole.clear();
    server.records.insert(5, Record { version: 1, ..Record::at_ms(NOW + 30_000) });
    for minute in 1..=60 {
        assert!(pull(&mut store, &mut server, rules(10_000), NOW + minute * 60_000, None));
    }
    assert_eq!((store.events.len(), gaps(&store).len()), (100, 0));
}

#[test]
fn an_entity_that_is_gone_is_no_gap_any_more() {
    let (mut server, mut store) = (steady(100), Store::default());
    server.bad_whole.insert(5);
    assert!(pull(&mut store, &mut server, rules(10_000), NOW, None));
    server.records.remove(&5);
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + HOUR, None));
    assert!(gaps(&store).is_empty());
}

#[test]
fn what_is_set_aside_is_tried_again_each_hour_and_at_once_where_there_is_one_pull() {
    let (mut server, mut store) = (steady(100), Store::default());
    server.bad_whole.insert(5);
    assert!(pull(&mut store, &mut server, rules(10_000), NOW, None));
    let once = Rules { once: true, ..rules(10_000) };
    let mut cost = |store: &mut Store, rules, ms| {
        let before = store.asks;
        assert!(pull(store, &mut server, rules, ms, None));
        store.asks - before
    };
    let minute = 60_000;
    assert_eq!(cost(&mut store, rules(10_000), NOW + minute), 1);
    assert_eq!(cost(&mut store, once, NOW + 3 * minute), 2);
    assert_eq!(cost(&mut store, rules(10_000), NOW + 4 * minute), 1);
    assert_eq!(cost(&mut store, rules(10_000), NOW + 3 * minute + HOUR), 2);
    assert_eq!(gaps(&store).len(), 1);
    server.bad_whole.clear();
    assert!(pull(&mut store, &mut server, rules(10_000), NOW + 3 * HOUR, None));
    assert_eq!((gaps(&store).len(), store.events.len()), (0, 100));
}

#[test]
fn so_much_can_be_set_aside_and_no_more() {
    let mut aside = Aside::default();
    let taken = (0..200).filter(|&n| {
        let now_ms = NOW + n * HOUR / 4;
        let room = aside.take(now_ms);
        if room {
            let id = Some(n.to_string());
            aside.add(Gap { from_ms: n, to_ms: n + 1, id, reason: String::new(), since_ms: now_ms });
        }
        room
    });
    assert_eq!(taken.count(), MOST);
    assert!(!aside.has_room(NOW + 1_000 * HOUR));
    aside.close_id("7");
    assert!(aside.has_room(NOW + 1_000 * HOUR));
}

#[test]
fn a_clock_that_was_ahead_does_not_hold_back_the_ration() {
    let mut ration = Ration::default();
    assert!((0..NEW_PER_HOUR).all(|_| ration.take(NOW + 48 * HOUR)));
    assert!(!ration.take(NOW + 48 * HOUR));
    assert!(ration.take(NOW));
}
