//! Slices against a query whose answers are cut at a cap, are too large, or fail.

use super::super::model::{HOUR, NOW, Paging, Record, Server, Store};
use super::super::window::{Memory, Rules};
use super::super::{Answer, Machine, Now};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const MINUTE: i64 = 60_000;

fn rules(row_cap: u64) -> Rules<Query> {
    Rules {
        source: Query { row_cap, align_ms: None, settle_ms: 0 },
        overlap_ms: HOUR / 2,
        sweep_every_ms: 6 * HOUR,
        sweep_back_ms: 24 * HOUR,
        open_ms: None,
        historical_ms: None,
        until_ms: None,
        once: false,
    }
}

/// One pull after a restart. Says whether it came to its end.
fn pull(store: &mut Store, server: &mut Server, rules: Rules<Query>, ms: i64, kill: Option<usize>) -> bool {
    let mut machine = Slices::new(rules, store.checkpoint_ms, store.memory());
    store.pull(&mut machine, server, ms, kill)
}

fn aligned(settle_ms: i64) -> Rules<Query> {
    Rules { source: Query { row_cap: 100, align_ms: Some(HOUR), settle_ms }, ..rules(100) }
}

/// Slices that a pull asks for, all without rows.
fn asked(store: &mut Vec<(i64, i64)>, kept: &mut (Option<i64>, Option<Memory>), ms: i64, kill: usize) {
    let mut machine = Slices::new(aligned(HOUR / 2), kept.0, kept.1.clone());
    machine.begin(Now { ms, sure: true });
    for _ in 0..kill {
        let Some(Step::Slice(slice)) = machine.next(Now { ms, sure: true }) else { break };
        machine.answered(Answer::Rows(More::Nothing)).expect("empty");
        store.extend(slice.span);
        *kept = (machine.checkpoint_ms(), machine.memory().cloned());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn every_row_arrives_once_whatever_the_cap_the_size_and_the_ties(
        backs in prop::collection::vec(prop_oneof![1_i64..7 * 24 * HOUR, (1_i64..4).prop_map(|n| n * HOUR)], 0..150),
        row_cap in 4_usize..40,
        too_large in 3_usize..60,
        kills in prop::collection::vec(1_usize..12, 0..5),
    ) {
        let server = Server::new(backs.into_iter().map(|back| Record::at_ms(NOW - back)), Paging::Link(1));
        let (mut server, mut store) = (Server { row_cap, too_large, ..server }, Store::default());
        for kill in kills {
            pull(&mut store, &mut server, rules(row_cap as u64), NOW, Some(kill));
        }
        for round in 0..3 {
            prop_assert!(pull(&mut store, &mut server, rules(row_cap as u64), NOW + round * 7 * HOUR, None));
        }
        prop_assert_eq!(store.events.len(), server.records.len());
        prop_assert!(!store.is_doubled() && store.set_aside.is_empty());
    }

    #[test]
    fn aligned_slices_are_asked_for_once_each_and_only_when_they_have_settled(
        polls in prop::collection::vec((0_i64..5 * HOUR, 1_usize..10), 1..12),
    ) {
        let (mut spans, mut kept, mut now_ms) = (Vec::new(), (None, None), NOW);
        for (later_ms, kill) in polls {
            now_ms += later_ms;
            asked(&mut spans, &mut kept, now_ms, kill);
            prop_assert!(spans.iter().all(|span| span.1 + HOUR / 2 <= now_ms));
        }
        asked(&mut spans, &mut kept, now_ms, usize::MAX);
        prop_assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0), "one behind the other: {:?}", spans);
        prop_assert!(spans.iter().all(|span| span.1 % HOUR == 0 && span.1 - span.0 <= HOUR));
        let last = spans.last().expect("a week is read").1;
        prop_assert!(last + HOUR + HOUR / 2 > now_ms, "and none is left out");
    }
}

#[test]
fn an_answer_of_a_suspicious_size_is_taken_for_a_cut_one() {
    for rows in [10_000, 30_000] {
        let records = (0..rows).map(|n| Record::at_ms(NOW - 1 - n));
        let mut server = Server::new(records, Paging::Link(1));
        let mut store = Store::default();
        assert!(pull(&mut store, &mut server, rules(100_000), NOW, None));
        assert!(store.asks > 1, "{rows} rows");
        assert_eq!(store.events.len(), rows as usize);
    }
}

#[test]
fn rows_that_no_cut_tells_apart_are_set_aside_and_the_rest_arrives() {
    // Three rows of one moment that no hash tells apart, in answers of less than three.
    let records = [0, 0, 0, 5 * MINUTE, 9 * MINUTE].map(|later| Record::at_ms(NOW - HOUR + later));
    let mut server = Server { too_large: 2, ..Server::new(records, Paging::Link(1)) };
    let mut store = Store::default();
    assert!(pull(&mut store, &mut server, rules(10), NOW, None));
    assert_eq!(store.set_aside.iter().map(|gap| gap.from_ms).collect::<Vec<_>>(), [NOW - HOUR]);
    assert_eq!((store.events.len(), store.checkpoint_ms), (2, Some(NOW)));
    server.too_large = 3;
    assert!(pull(&mut store, &mut server, rules(10), NOW + HOUR, None));
    assert_eq!(store.events.len(), 5);
    assert!(store.memory::<Memory>().expect("pulled").aside.gaps().is_empty());
}

#[test]
fn a_slice_that_fails_is_halved_and_what_fails_is_set_aside_and_read_later() {
    let records = (0..50).map(|n| Record::at_ms(NOW - 1 - n * MINUTE));
    let mut server = Server { bad: BTreeSet::from([7]), ..Server::new(records, Paging::Link(1)) };
    let mut store = Store::default();
    assert!(pull(&mut store, &mut server, rules(100), NOW, None));
    assert_eq!((store.events.len(), store.set_aside.len()), (49, 1));
    server.bad.clear();
    assert!(pull(&mut store, &mut server, rules(100), NOW + HOUR, None));
    assert_eq!(store.events.len(), 50);
}

#[test]
fn an_aligned_slice_is_not_halved_but_cut_into_parts_or_set_aside_as_a_whole() {
    let records = (0..50).map(|n| Record::at_ms(NOW - 2 * HOUR + n));
    let mut server = Server { too_large: 20, ..Server::new(records, Paging::Link(1)) };
    let from_then = || Rules { historical_ms: Some(NOW - 3 * HOUR), ..aligned(0) };
    let mut store = Store::default();
    assert!(pull(&mut store, &mut server, from_then(), NOW, None));
    assert_eq!(store.events.len(), 50);
    let mut store = Store::default();
    server.bad.insert(7);
    assert!(pull(&mut store, &mut server, from_then(), NOW, None));
    assert!(matches!(&store.set_aside[..], [gap] if gap.to_ms - gap.from_ms == HOUR), "{:?}", store.set_aside);
}

#[test]
fn a_row_bears_the_time_of_its_slice_when_the_query_has_changed_it() {
    let now = Now { ms: NOW, sure: true };
    for time in [None, Some(0), Some(i64::MAX), Some((NOW - 5) * TICKS)] {
        let mut machine = Slices::new(rules(100), Some(NOW - HOUR), None);
        machine.begin(now);
        machine.next(now).expect("a slice");
        let row = super::super::Row { key: super::super::model::key(1), id: "", time, open: false };
        let kept_ms = machine.row(row).expect("any will do").expect("stored");
        let before_ms = machine.answered(Answer::Rows(More::Nothing)).expect("read").forget_before_ms;
        assert!(before_ms.is_some_and(|before_ms| before_ms < kept_ms && kept_ms < NOW), "{time:?}");
    }
}
