//! Entities that begin, change without a word and end.

use super::super::Ask;
use super::super::model::{HOUR, NOW, Paging, Record, SPLITS, Server, Store};
use super::super::window::list::List;
use super::super::{Condition, TICKS};
use super::*;
use proptest::prelude::*;

fn rules(page_cap: u64) -> Rules {
    Rules {
        source: List { time: "startTime", splits: SPLITS, page_cap, expands: false, skip_cap: None },
        overlap_ms: HOUR / 6,
        sweep_every_ms: HOUR,
        sweep_back_ms: 24 * HOUR,
        open_ms: None,
        historical_ms: None,
        until_ms: None,
        once: false,
    }
}

/// One pull after a restart. Says whether it came to its end.
fn pull(store: &mut Store, server: &mut Server, page_cap: u64, ms: i64, kill: Option<usize>) -> bool {
    let mut machine = Open::new(rules(page_cap), store.checkpoint_ms, store.memory());
    store.pull(&mut machine, server, ms, kill)
}

/// What happens to the entities between two pulls; numbers are taken modulo theirs.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A new one begins; or one comes that has no beginning yet.
    Begins { dated: bool },
    /// One that has not ended changes.
    Changes(usize),
    /// One that has not ended ends.
    Ends(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => any::<bool>().prop_map(|dated| Event::Begins { dated }),
        2 => (0_usize..50).prop_map(Event::Changes),
        1 => (0_usize..50).prop_map(Event::Ends),
    ]
}

fn happen(event: Event, server: &mut Server, now_ms: i64) {
    let length = server.records.len();
    let mut change = |number: usize, open| {
        let record = server.records.values_mut().nth(number % length.max(1)).filter(|record| record.open);
        if let Some(record) = record {
            *record = Record { open, version: record.version + 1, ..*record };
        }
    };
    match event {
        Event::Begins { dated } => {
            let time = dated.then_some((now_ms - 1) * TICKS);
            server.records.insert(length as u64, Record { time, open: true, ..Record::at_ms(0) });
        }
        Event::Changes(number) => change(number, true),
        Event::Ends(number) => change(number, false),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    /// At most 29 days pass: what has not ended for 30 is not followed.
    #[test]
    fn every_version_that_a_pull_can_see_leaves_once(
        pulls in prop::collection::vec((prop::collection::vec(event(), 0..6), 1_i64..70), 1..10),
        page_cap in 3_u64..30,
        kills in prop::collection::vec(1_usize..8, 0..5),
    ) {
        let (mut server, mut store) = (Server::new([], Paging::Link(page_cap)), Store::default());
        let (mut now_ms, mut kills, mut walked_ms) = (NOW, kills.into_iter(), i64::MIN);
        for (events, hours) in pulls {
            now_ms += hours * HOUR;
            events.into_iter().for_each(|event| happen(event, &mut server, now_ms));
            if let Some(kill) = kills.next() {
                pull(&mut store, &mut server, page_cap, now_ms, Some(kill));
            }
            prop_assert!(pull(&mut store, &mut server, page_cap, now_ms, None));
            let walk = now_ms.saturating_sub(walked_ms) >= DAY_MS;
            walked_ms = if walk { now_ms } else { walked_ms };
            for (&number, record) in &server.records {
                let seen = record.time.is_some() || walk;
                prop_assert!(!seen || store.events.contains(&record.key(number)), "{} {:?}", number, record);
            }
        }
        prop_assert!(!store.is_doubled());
    }
}

/// Where the first window of a pull begins.
fn start_ms(store: &Store, now_ms: i64) -> i64 {
    let mut machine = Open::new(rules(100), store.checkpoint_ms, store.memory());
    machine.begin(Now { ms: now_ms, sure: true });
    match machine.next(Now { ms: now_ms, sure: true }) {
        Some(Step::List(Ask { conditions, .. })) => match conditions[..] {
            [Condition::Time { from_ms, .. }] => from_ms,
            _ => panic!("{conditions:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_that_has_not_ended_is_followed_for_thirty_days() {
    let old = Record { open: true, ..Record::at_ms(NOW - HOUR) };
    let (mut server, mut store) = (Server::new([old], Paging::Link(100)), Store::default());
    for day in 0..40 {
        assert!(pull(&mut store, &mut server, 100, NOW + day * DAY_MS, None));
        let next_ms = NOW + day * DAY_MS + 60_000;
        let expected = if day < 30 { NOW - HOUR } else { next_ms - 60_000 - HOUR / 6 };
        assert_eq!(start_ms(&store, next_ms), expected, "day {day}");
    }
    assert_eq!(store.events.len(), 1);
}

#[test]
fn once_all_have_ended_a_pull_reads_the_overlap_only() {
    let old = Record { open: true, ..Record::at_ms(NOW - 5 * HOUR) };
    let (mut server, mut store) = (Server::new([old], Paging::Link(100)), Store::default());
    assert!(pull(&mut store, &mut server, 100, NOW, None));
    happen(Event::Ends(0), &mut server, NOW);
    assert!(pull(&mut store, &mut server, 100, NOW + 60_000, None));
    assert_eq!(store.events.len(), 2);
    assert_eq!(start_ms(&store, NOW + 120_000), NOW + 60_000 - HOUR / 6);
}

#[test]
fn a_day_of_pulls_walks_the_list_once() {
    let (mut server, mut store) = (Server::new([], Paging::Link(100)), Store::default());
    for minute in 0..24 * 12 {
        assert!(pull(&mut store, &mut server, 100, NOW + minute * 5 * 60_000, None));
    }
    assert_eq!(store.asks, 24 * 12 + 1);
}

#[test]
fn a_walk_that_fails_stops_no_window_and_is_taken_up_again() {
    let undated = |_| Record { time: None, ..Record::at_ms(0) };
    let dated = Record::at_ms(NOW - HOUR);
    let (mut server, mut store) = (Server::new((0..30).map(undated), Paging::Link(10)), Store::default());
    server.records.insert(100, dated);
    server.bad = (10..25).collect();
    assert!(!pull(&mut store, &mut server, 10, NOW, None), "more than eight bad rows are an outage");
    assert_eq!((store.events.len(), store.checkpoint_ms), (11, Some(NOW)));
    server.bad = [12].into();
    assert!(pull(&mut store, &mut server, 10, NOW + HOUR, None));
    let gaps = Open::new(rules(10), store.checkpoint_ms, store.memory()).gaps();
    assert!(gaps.len() == 8 && store.events.len() > 20, "{} {}", gaps.len(), store.events.len());
    server.bad.clear();
    assert!(pull(&mut store, &mut server, 10, NOW + DAY_MS, None));
    assert!(Open::new(rules(10), store.checkpoint_ms, store.memory()).gaps().is_empty());
    assert_eq!(store.events.len(), 31);
    assert!(!store.is_doubled());
}

#[test]
fn what_ended_long_ago_is_not_sent_again_by_the_walk() {
    let undated = Record { time: None, ..Record::at_ms(0) };
    let (mut server, mut store) =
        (Server::new([Record::at_ms(NOW - HOUR), undated], Paging::Link(100)), Store::default());
    for day in 0..70 {
        server.records.insert(10 + day as u64, Record::at_ms(NOW + day * DAY_MS - 1));
        assert!(pull(&mut store, &mut server, 100, NOW + day * DAY_MS, None));
    }
    assert!(store.known.len() < 40, "the keys of the oldest are forgotten");
    assert!(store.events.len() == 72 && !store.is_doubled());
}

#[test]
fn a_kill_between_two_windows_does_not_forget_what_has_not_ended() {
    for kill in 2..8 {
        let old = Record { open: true, ..Record::at_ms(NOW - 6 * DAY_MS) };
        let others = (1..12).map(|n| Record::at_ms(NOW - n * HOUR));
        let mut server = Server::new([old].into_iter().chain(others), Paging::Link(5));
        let mut store = Store::default();
        assert!(!pull(&mut store, &mut server, 5, NOW, Some(kill)));
        assert!(pull(&mut store, &mut server, 5, NOW + HOUR, None));
        happen(Event::Ends(0), &mut server, NOW + HOUR);
        assert!(pull(&mut store, &mut server, 5, NOW + 2 * HOUR, None));
        assert!(store.events.contains(&server.records[&0].key(0)), "killed before commit {kill}");
    }
}
