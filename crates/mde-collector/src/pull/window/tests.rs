//! The machine against a small server of its own kind: any set of times, ties, page limits.

use super::super::model::{HOUR, NOW, Paging, Record, Server, Store, alert_rules as rules, key};
use super::super::{Ask, Condition, More};
use super::*;
use crate::record::VersionKey;
use proptest::prelude::*;

/// The next question, which a window machine always puts to the list.
fn put(machine: &mut Windows, ms: i64, sure: bool) -> Option<Ask> {
    machine.next(Now { ms, sure }).map(|step| match step {
        Step::List(ask) => ask,
        other => panic!("windows ask lists: {other:?}"),
    })
}

/// A row of that version and time.
fn row(key: VersionKey, time: Option<i64>) -> Row<'static> {
    Row { key, id: "", time, open: false }
}

/// Memory as a store gives it back.
fn read(text: &str) -> Memory {
    serde_json::from_str(text).expect("plain")
}

/// The machine that a restart finds.
fn restarted(rules: Rules, store: &Store) -> Windows {
    Windows::new(rules, store.checkpoint_ms, store.memory())
}

/// A pull of a machine that goes on from what the store has; returns the number of questions.
fn pull(rules: Rules, server: &mut Server, now_ms: i64, store: &mut Store) -> usize {
    let before = store.asks;
    assert!(store.pull(&mut restarted(rules, store), server, now_ms, None), "it comes to its end");
    store.asks - before
}

fn record() -> impl Strategy<Value = Record> {
    // Few distinct times, many close ones, and ties at whole milliseconds.
    let time = prop_oneof![
        (0_i64..5).prop_map(|hour| (NOW - 1 - hour * 3_600_000) * TICKS),
        (1_i64..7 * 86_400_000).prop_map(|back| (NOW - back) * TICKS + 1_234),
        (0_i64..40_000).prop_map(|tick| (NOW - 86_400_000) * TICKS + tick),
    ];
    (time, 0_usize..3, 0_usize..3).prop_map(|(time, severity, status)| Record {
        time: Some(time),
        severity,
        status,
        open: false,
        version: 0,
    })
}

fn paging() -> impl Strategy<Value = (u64, Paging)> {
    prop_oneof![
        (1_u64..40).prop_map(|page| (page, Paging::Link(page))),
        (1_u64..40).prop_map(|page| (page * 10, Paging::Link(page))),
        Just((1_000, Paging::Hidden(100))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn every_version_is_read_whatever_the_times_ties_and_pages(
        records in prop::collection::vec(record(), 0..150),
        (page_cap, paging) in paging(),
        newest_first: bool,
    ) {
        let mut server = Server { newest_first, ..Server::new(records, paging) };
        let mut store = Store::default();
        pull(rules(page_cap), &mut server, NOW, &mut store);
        prop_assert_eq!(store.events.len(), server.records.len());
        prop_assert_eq!(store.checkpoint_ms, Some(NOW));
    }

    #[test]
    fn a_restart_at_any_ask_loses_nothing_and_ends(
        records in prop::collection::vec(record(), 0..100),
        (page_cap, paging) in paging(),
        newest_first: bool,
        kills in prop::collection::vec(1_usize..12, 0..6),
    ) {
        let mut server = Server { newest_first, ..Server::new(records, paging) };
        let mut store = Store::default();
        for kill in kills {
            store.pull(&mut restarted(rules(page_cap), &store), &mut server, NOW, Some(kill));
        }
        pull(rules(page_cap), &mut server, NOW, &mut store);
        prop_assert_eq!(store.events.len(), server.records.len());
        prop_assert_eq!(store.checkpoint_ms, Some(NOW));
    }
}

/// What windows over a list keep to whose answers say how many rows there are.
fn counted(page_cap: u64) -> Rules {
    let source = list::List { expands: false, skip_cap: Some(500), ..rules(page_cap).source };
    Rules { source, ..rules(page_cap) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_version_is_read_where_answers_are_counted_and_skip_ends_early(
        records in prop::collection::vec(record(), 0..150),
        page_cap in 10_u64..60,
        newest_first: bool,
        kills in prop::collection::vec(1_usize..12, 0..4),
    ) {
        let mut server = Server { newest_first, ..Server::new(records, Paging::Counted(page_cap)) };
        let mut store = Store::default();
        for kill in kills {
            store.pull(&mut restarted(counted(page_cap), &store), &mut server, NOW, Some(kill));
        }
        pull(counted(page_cap), &mut server, NOW, &mut store);
        prop_assert_eq!(store.events.len(), server.records.len());
        prop_assert_eq!(store.checkpoint_ms, Some(NOW));
    }
}

#[test]
fn more_in_one_millisecond_than_can_be_paged_is_set_aside_and_the_rest_is_read() {
    let tied = (0..2_000).map(|_| Record::at_ms(NOW - HOUR));
    let mut server = Server::new(tied.chain([Record::at_ms(NOW - 1)]), Paging::Counted(50));
    let mut store = Store::default();
    pull(counted(50), &mut server, NOW, &mut store);
    assert_eq!(store.set_aside.len(), 1);
    assert!(store.set_aside[0].reason.contains("can page through"), "{:?}", store.set_aside);
    assert!(store.events.contains(&Record::at_ms(NOW - 1).key(2_000)));
    assert_eq!(store.checkpoint_ms, Some(NOW));
}

#[test]
fn a_round_number_of_counted_rows_takes_one_question() {
    let mut server = Server::new((0..200).map(|n| Record::at_ms(NOW - HOUR - n)), Paging::Counted(1_000));
    assert_eq!(pull(counted(1_000), &mut server, NOW, &mut Store::default()), 1);
}

fn steady(number: u64, span_ms: i64) -> Server {
    let step = span_ms / number as i64;
    let records = (0..number).map(|n| Record::at_ms(NOW - span_ms + n as i64 * step));
    Server { newest_first: true, ..Server::new(records, Paging::Link(10_000)) }
}

#[test]
fn five_hundred_thousand_alerts_of_half_a_year_take_at_most_150_asks() {
    let days_180 = 180 * 86_400_000;
    let mut store = Store::default();
    let from_then = Rules { historical_ms: Some(NOW - days_180), ..rules(10_000) };
    let asks = pull(from_then, &mut steady(500_000, days_180), NOW, &mut store);
    assert_eq!(store.events.len(), 500_000);
    assert!(asks <= 150, "{asks} asks");
}

#[test]
fn an_hour_of_polls_takes_61_asks() {
    let (mut server, mut store) = (steady(1_001, 7 * 86_400_000), Store::default());
    assert_eq!(pull(rules(10_000), &mut server, NOW, &mut store), 1);
    let mut poll = |minute: i64| pull(rules(10_000), &mut server, NOW + minute * 60_000, &mut store);
    let asks: usize = (1..=60).map(&mut poll).sum();
    assert!(asks <= 61, "{asks} asks");
    assert_eq!(store.events.len(), 1_001);
}

#[test]
fn a_burst_in_one_moment_is_not_read_once_for_each_halving() {
    let records = (0..25_000).map(|n| Record { severity: n % 3, status: 2, ..Record::at_ms(NOW - 3 * 86_400_000) });
    let (mut server, mut store) = (Server::new(records, Paging::Link(10_000)), Store::default());
    let asks = pull(rules(10_000), &mut server, NOW, &mut store);
    assert_eq!(store.events.len(), 25_000);
    assert!(asks < 60, "{asks} asks");
}

#[test]
fn a_row_hidden_behind_a_round_number_is_found() {
    // 100 rows are shown, a 101st is hidden, and there is no link: only the check of the last row can tell.
    let records = (0..101).map(|n| Record::at_ms(NOW - 1_000 - n));
    let mut server = Server { newest_first: true, ..Server::new(records, Paging::Hidden(100)) };
    let mut store = Store::default();
    pull(rules(10_000), &mut server, NOW, &mut store);
    assert_eq!(store.events.len(), 101);
}

#[test]
fn a_row_outside_the_window_is_an_error_and_not_a_record() {
    let mut machine = Windows::new(rules(10_000), None, None);
    machine.begin(Now { ms: NOW, sure: true });
    put(&mut machine, NOW, true).expect("a window");
    let at = |ms: i64| row(key(1), Some(ms * TICKS));
    assert!(machine.row(at(NOW - 1)).is_ok());
    assert!(matches!(machine.row(at(NOW)), Err(PullError::FilterIgnored { .. })));
    assert!(matches!(machine.row(row(key(1), None)), Err(PullError::NoTime { .. })));
}

#[test]
fn empty_pages_with_links_are_followed_three_times_and_then_checked() {
    let mut machine = Windows::new(rules(10_000), None, None);
    machine.begin(Now { ms: NOW, sure: true });
    let link = More::Link;
    assert!(!put(&mut machine, NOW, true).expect("a window").follow);
    for _ in 0..2 {
        machine.answered(Answer::Rows(link)).expect("empty");
        assert!(put(&mut machine, NOW, true).expect("a link").follow);
    }
    machine.answered(Answer::Rows(link)).expect("empty");
    assert!(put(&mut machine, NOW, true).expect("a link").follow);
    machine.answered(Answer::Rows(link)).expect("empty");
    let probe = put(&mut machine, NOW, true).expect("a check");
    assert_eq!((probe.top, probe.skip, probe.follow), (Some(1), Some(0), false));
    let outcome = machine.answered(Answer::Rows(More::Nothing)).expect("nothing there");
    assert_eq!(outcome.checkpoint_ms, Some(NOW));
}

#[test]
fn a_link_to_another_host_on_an_empty_page_is_checked_and_not_followed() {
    let mut machine = Windows::new(rules(10_000), None, None);
    machine.begin(Now { ms: NOW, sure: true });
    put(&mut machine, NOW, true).expect("a window");
    machine.answered(Answer::Rows(More::Elsewhere)).expect("empty");
    let probe = put(&mut machine, NOW, true).expect("a check");
    assert_eq!((probe.top, probe.skip, probe.follow), (Some(1), Some(0), false));
    assert_eq!(machine.answered(Answer::Rows(More::Nothing)).expect("nothing there").checkpoint_ms, Some(NOW));
}

#[test]
fn a_clock_that_was_behind_is_followed_within_the_same_pull() {
    let mut machine = Windows::new(rules(10_000), None, None);
    machine.begin(Now { ms: NOW - 6 * HOUR, sure: false });
    let mut ends = Vec::new();
    while let Some(ask) = put(&mut machine, NOW, !ends.is_empty()) {
        let [Condition::Time { to_ms, .. }] = ask.conditions[..] else { panic!("{ask:?}") };
        ends.push(to_ms);
        machine.answered(Answer::Rows(More::Nothing)).expect("empty");
    }
    assert_eq!(ends, [NOW - 6 * HOUR, NOW]);
    assert_eq!(machine.checkpoint_ms(), Some(NOW));
}

#[test]
fn a_clock_behind_the_checkpoint_still_asks_once_so_that_it_can_be_corrected() {
    let mut store = Store::default();
    pull(rules(10_000), &mut steady(10, 86_400_000), NOW, &mut store);
    let mut machine = restarted(rules(10_000), &store);
    let outcome = machine.begin(Now { ms: NOW - 6 * 3_600_000, sure: false });
    assert!(!outcome.backwards, "two clocks are not believed against the checkpoint");
    let ask = put(&mut machine, NOW - 6 * 3_600_000, false).expect("a question that brings the API's date");
    assert!(matches!(ask.conditions[..], [Condition::Time { from_ms, to_ms, .. }] if to_ms - from_ms == 1));
    machine.answered(Answer::Rows(More::Nothing)).expect("empty");
    assert!(put(&mut machine, NOW + 60_000, true).is_some(), "and then goes on to the real now");
}

#[test]
fn a_checkpoint_ahead_of_time_goes_back_loudly_and_not_behind_the_horizon() {
    let mut store = Store::default();
    pull(rules(10_000), &mut steady(10, 86_400_000), NOW, &mut store);
    let mut machine = restarted(rules(10_000), &store);
    let back = 20 * 3_600_000;
    assert!(machine.is_ahead(NOW - back));
    let outcome = machine.begin(Now { ms: NOW - back, sure: true });
    assert!(outcome.backwards);
    let horizon_ms = machine.memory.as_ref().expect("pulled").horizon_ms;
    let checkpoint_ms = outcome.checkpoint_ms.expect("moved");
    assert!((horizon_ms..=NOW - back).contains(&checkpoint_ms));
}

#[test]
fn without_any_record_a_wrong_clock_costs_nothing() {
    let half_a_year = 180 * 86_400_000;
    let mut store = Store::default();
    pull(rules(10_000), &mut Server::new([], Paging::Link(10_000)), NOW + half_a_year, &mut store);
    pull(rules(10_000), &mut steady(10, 60_000), NOW, &mut store);
    // The first start was noted by the wrong clock; what became visible since the right now is read.
    assert_eq!((store.checkpoint_ms, store.events.len()), (Some(NOW), 10));
}

#[test]
fn a_sweep_reaches_back_plus_every_and_polls_reach_the_overlap() {
    let mut store = Store::default();
    pull(rules(10_000), &mut Server::new([], Paging::Link(10_000)), NOW, &mut store);
    let mut machine = restarted(rules(10_000), &store);
    let from = |machine: &mut Windows, now_ms: i64| {
        machine.begin(Now { ms: now_ms, sure: true });
        let ask = put(machine, now_ms, true).expect("a window");
        let [Condition::Time { from_ms, .. }] = ask.conditions[..] else { panic!("{ask:?}") };
        machine.answered(Answer::Rows(More::Nothing)).expect("empty");
        while put(machine, now_ms, true).is_some() {
            machine.answered(Answer::Rows(More::Nothing)).expect("empty");
        }
        from_ms
    };
    assert_eq!(from(&mut machine, NOW + 60_000), NOW - 600_000);
    assert_eq!(from(&mut machine, NOW + 3_600_000), NOW + 60_000 - 25 * 3_600_000);
    assert_eq!(from(&mut machine, NOW + 3_660_000), NOW + 3_600_000 - 600_000);
}

#[test]
fn no_reread_goes_before_the_configured_start() {
    let start = NOW - 3_600_000;
    let from_then = Rules { historical_ms: Some(start), ..rules(10_000) };
    let (mut server, mut store) = (steady(100, 7_200_000), Store::default());
    pull(from_then.clone(), &mut server, NOW, &mut store);
    pull(from_then, &mut server, NOW + 3_600_000, &mut store);
    assert_eq!(store.events.len(), 50, "the older half stays unread, also by the sweep");
}

#[test]
fn a_changed_start_is_noticed_and_the_first_one_is_no_change() {
    let with = |historical_ms| Rules { historical_ms, ..rules(10_000) };
    let mut machine = Windows::new(with(Some(NOW - 5)), None, None);
    assert!(!machine.must_start_again());
    let memory = machine.begin(Now { ms: NOW, sure: true }).memory.as_deref().map(read);
    assert!(!Windows::new(with(Some(NOW - 5)), None, memory.clone()).must_start_again());
    assert!(Windows::new(with(None), None, memory.clone()).must_start_again());
    assert!(Windows::new(with(Some(NOW - 6)), None, memory).must_start_again());
}

#[test]
fn rows_that_change_in_every_pass_are_set_aside_and_the_rest_goes_on() {
    let source = List { splits: &[], page_cap: 2, ..rules(2).source };
    let mut machine = Windows::new(Rules { source, ..rules(2) }, None, None);
    machine.begin(Now { ms: NOW, sure: true });
    let (mut number, mut asks, mut set_aside) = (0, 0, Vec::new());
    while let Some(ask) = put(&mut machine, NOW, true) {
        asks += 1;
        assert!(asks < 500, "no end");
        let [Condition::Time { from_ms, to_ms, .. }] = ask.conditions[..] else { panic!("{ask:?}") };
        // Two rows in one millisecond, never the same, until `$skip` has passed them.
        for _ in 0..2_u64.saturating_sub(ask.skip.unwrap_or(0)).min(ask.top.unwrap_or(2)) {
            number += 1;
            if (from_ms..to_ms).contains(&(NOW - HOUR)) {
                machine.row(row(key(number), Some((NOW - HOUR) * TICKS))).expect("inside");
            }
        }
        set_aside.extend(machine.answered(Answer::Rows(More::Nothing)).expect("goes on").set_aside);
    }
    assert_eq!(set_aside, machine.gaps());
    assert!(matches!(&set_aside[..], [Gap { from_ms, id: None, .. }] if *from_ms == NOW - HOUR), "{set_aside:?}");
    assert_eq!(machine.checkpoint_ms(), Some(NOW));
}
