//! The machine against a small server of its own kind: any set of times, ties, page limits.

use super::super::model::{Paging, key};
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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

const NOW: i64 = 1_800_000_000_000;
const SPLITS: &[(&str, &[&str])] = &[("severity", &["Low", "High"]), ("status", &["New", "Resolved"])];

fn rules(page_cap: u64) -> Rules {
    Rules {
        time: "lastUpdateTime",
        splits: SPLITS,
        page_cap,
        overlap_ms: 600_000,
        sweep_every_ms: 3_600_000,
        sweep_back_ms: 86_400_000,
        historical_ms: None,
    }
}

#[derive(Debug, Clone)]
struct Record {
    /// 100 ns since 1970.
    time: i64,
    severity: usize,
    status: usize,
}

#[derive(Debug, Clone)]
struct Server {
    records: BTreeMap<u64, Record>,
    paging: Paging,
    /// Newest first, else by number.
    newest_first: bool,
}

impl Server {
    fn answer(&self, ask: &Ask) -> (Vec<Row<'static>>, More) {
        let holds = |record: &Record| {
            ask.conditions.iter().all(|condition| {
                let value = |field: &str| match field {
                    "severity" => ["Low", "High", "Odd"][record.severity],
                    _ => ["New", "Resolved", "Odd"][record.status],
                };
                match condition {
                    Condition::Time { from_ms, to_ms, .. } => (from_ms * TICKS..to_ms * TICKS).contains(&record.time),
                    Condition::Is(field, wanted) => value(field) == *wanted,
                    Condition::IsNone(field, unwanted) => !unwanted.contains(&value(field)),
                    Condition::NotOneOf(_) => true,
                }
            })
        };
        let mut rows: Vec<Row<'static>> = self
            .records
            .iter()
            .filter(|(_, record)| holds(record))
            .map(|(&number, record)| row(key(number), Some(record.time)))
            .collect();
        if self.newest_first {
            rows.sort_by_key(|row| std::cmp::Reverse(row.time));
        }
        self.paging.page(rows, ask.top, ask.skip.unwrap_or(0))
    }
}

/// Runs one pull; returns the number of asks. Every row of a whole answer is stored, each key once.
fn pull(machine: &mut Windows, server: &Server, now_ms: i64, stored: &mut BTreeSet<VersionKey>) -> usize {
    machine.begin(Now { ms: now_ms, sure: true });
    let mut asks = 0;
    while let Some(ask) = put(machine, now_ms, true) {
        asks += 1;
        assert!(asks < 20_000, "no end: {ask:?} {machine:?}");
        let (rows, end) = server.answer(&ask);
        let before = machine.checkpoint_ms();
        for row in &rows {
            machine.row(*row).expect("the server keeps to the filter");
            if ask.whole {
                stored.insert(row.key);
            }
        }
        let outcome = machine.answered(Answer::Rows(end)).expect("the server holds still");
        assert!(outcome.checkpoint_ms.is_none() || outcome.checkpoint_ms > before, "only forward: {outcome:?}");
    }
    asks
}

fn record() -> impl Strategy<Value = Record> {
    // Few distinct times, many close ones, and ties at whole milliseconds.
    let time = prop_oneof![
        (0_i64..5).prop_map(|hour| (NOW - 1 - hour * 3_600_000) * TICKS),
        (1_i64..7 * 86_400_000).prop_map(|back| (NOW - back) * TICKS + 1_234),
        (0_i64..40_000).prop_map(|tick| (NOW - 86_400_000) * TICKS + tick),
    ];
    (time, 0_usize..3, 0_usize..3).prop_map(|(time, severity, status)| Record { time, severity, status })
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
        let records: BTreeMap<u64, Record> = (0_u64..).zip(records).collect();
        let server = Server { records, paging, newest_first };
        let mut stored = BTreeSet::new();
        let mut machine = Windows::new(rules(page_cap), None, None);
        pull(&mut machine, &server, NOW, &mut stored);
        prop_assert_eq!(stored.len(), server.records.len());
        prop_assert_eq!(machine.checkpoint_ms(), Some(NOW));
    }

    #[test]
    fn a_restart_at_any_ask_loses_nothing_and_ends(
        records in prop::collection::vec(record(), 0..100),
        (page_cap, paging) in paging(),
        newest_first: bool,
        kills in prop::collection::vec(1_usize..12, 0..6),
    ) {
        let records: BTreeMap<u64, Record> = (0_u64..).zip(records).collect();
        let server = Server { records, paging, newest_first };
        let mut stored = BTreeSet::new();
        let mut checkpoint_ms = None;
        let mut memory: Option<Memory> = None;
        let keep = |outcome: Outcome, checkpoint_ms: &mut Option<i64>, memory: &mut Option<Memory>| {
            *checkpoint_ms = outcome.checkpoint_ms.or(*checkpoint_ms);
            if outcome.memory.is_some() {
                *memory = outcome.memory.as_deref().map(read);
            }
        };
        for asks in kills.into_iter().chain([20_000]) {
            let mut machine = Windows::new(rules(page_cap), checkpoint_ms, memory.clone());
            keep(machine.begin(Now { ms: NOW, sure: true }), &mut checkpoint_ms, &mut memory);
            for _ in 0..asks {
                let Some(ask) = put(&mut machine, NOW, true) else { break };
                let (rows, end) = server.answer(&ask);
                for row in &rows {
                    machine.row(*row).expect("the server keeps to the filter");
                    if ask.whole {
                        stored.insert(row.key);
                    }
                }
                keep(machine.answered(Answer::Rows(end)).expect("the server holds still"), &mut checkpoint_ms, &mut memory);
            }
        }
        prop_assert_eq!(stored.len(), server.records.len());
        prop_assert_eq!(checkpoint_ms, Some(NOW));
    }
}

fn steady(number: u64, span_ms: i64) -> Server {
    let step = span_ms / number as i64;
    let records = (0..number)
        .map(|n| (n, Record { time: (NOW - span_ms + n as i64 * step) * TICKS, severity: 0, status: 0 }))
        .collect();
    Server { records, paging: Paging::Link(10_000), newest_first: true }
}

#[test]
fn five_hundred_thousand_alerts_of_half_a_year_take_at_most_150_asks() {
    let days_180 = 180 * 86_400_000;
    let server = steady(500_000, days_180);
    let mut machine = Windows::new(Rules { historical_ms: Some(NOW - days_180), ..rules(10_000) }, None, None);
    let mut stored = BTreeSet::new();
    let asks = pull(&mut machine, &server, NOW, &mut stored);
    assert_eq!(stored.len(), 500_000);
    assert!(asks <= 150, "{asks} asks");
}

#[test]
fn an_hour_of_polls_takes_61_asks() {
    let server = steady(1_001, 7 * 86_400_000);
    let mut machine = Windows::new(rules(10_000), None, None);
    let mut stored = BTreeSet::new();
    assert_eq!(pull(&mut machine, &server, NOW, &mut stored), 1);
    let asks: usize = (1..=60).map(|minute| pull(&mut machine, &server, NOW + minute * 60_000, &mut stored)).sum();
    assert!(asks <= 61, "{asks} asks");
    assert_eq!(stored.len(), 1_001);
}

#[test]
fn a_burst_in_one_moment_is_not_read_once_for_each_halving() {
    let records = (0..25_000)
        .map(|n| (n, Record { time: (NOW - 3 * 86_400_000) * TICKS + 5, severity: n as usize % 3, status: 2 }))
        .collect();
    let server = Server { records, paging: Paging::Link(10_000), newest_first: false };
    let mut machine = Windows::new(rules(10_000), None, None);
    let mut stored = BTreeSet::new();
    let asks = pull(&mut machine, &server, NOW, &mut stored);
    assert_eq!(stored.len(), 25_000);
    assert!(asks < 60, "{asks} asks");
}

#[test]
fn a_row_hidden_behind_a_round_number_is_found() {
    // 100 rows are shown, a 101st is hidden, and there is no link: only the check of the last row can tell.
    let records =
        (0..101).map(|n| (n, Record { time: (NOW - 1_000 - n as i64) * TICKS, severity: 0, status: 0 })).collect();
    let server = Server { records, paging: Paging::Hidden(100), newest_first: true };
    let mut stored = BTreeSet::new();
    pull(&mut Windows::new(rules(10_000), None, None), &server, NOW, &mut stored);
    assert_eq!(stored.len(), 101);
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
    let six_hours = 6 * 3_600_000;
    let server = steady(1_000, 86_400_000);
    let mut machine = Windows::new(rules(10_000), None, None);
    machine.begin(Now { ms: NOW - six_hours, sure: false });
    let mut stored = BTreeSet::new();
    while let Some(ask) = put(&mut machine, NOW, !stored.is_empty()) {
        let (rows, end) = server.answer(&ask);
        for row in rows {
            machine.row(row).expect("inside");
            stored.insert(row.key);
        }
        machine.answered(Answer::Rows(end)).expect("still");
    }
    assert_eq!(stored.len(), 1_000);
    assert_eq!(machine.checkpoint_ms(), Some(NOW));
}

#[test]
fn a_clock_behind_the_checkpoint_still_asks_once_so_that_it_can_be_corrected() {
    let mut machine = Windows::new(rules(10_000), None, None);
    pull(&mut machine, &steady(10, 86_400_000), NOW, &mut BTreeSet::new());
    let outcome = machine.begin(Now { ms: NOW - 6 * 3_600_000, sure: false });
    assert!(!outcome.backwards, "two clocks are not believed against the checkpoint");
    let ask = put(&mut machine, NOW - 6 * 3_600_000, false).expect("a question that brings the API's date");
    assert!(matches!(ask.conditions[..], [Condition::Time { from_ms, to_ms, .. }] if to_ms - from_ms == 1));
    machine.answered(Answer::Rows(More::Nothing)).expect("empty");
    assert!(put(&mut machine, NOW + 60_000, true).is_some(), "and then goes on to the real now");
}

#[test]
fn a_checkpoint_ahead_of_time_goes_back_loudly_and_not_behind_the_horizon() {
    let mut machine = Windows::new(rules(10_000), None, None);
    pull(&mut machine, &steady(10, 86_400_000), NOW, &mut BTreeSet::new());
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
    let empty = Server { records: BTreeMap::new(), paging: Paging::Link(10_000), newest_first: false };
    let mut machine = Windows::new(rules(10_000), None, None);
    let mut stored = BTreeSet::new();
    pull(&mut machine, &empty, NOW + half_a_year, &mut stored);
    let memory = machine.memory.clone();
    let mut machine = Windows::new(rules(10_000), machine.checkpoint_ms(), memory);
    pull(&mut machine, &steady(10, 60_000), NOW, &mut stored);
    // The first start was noted by the wrong clock; what became visible since the right now is read.
    assert_eq!(machine.checkpoint_ms(), Some(NOW));
}

#[test]
fn a_sweep_reaches_back_plus_every_and_polls_reach_the_overlap() {
    let empty = Server { records: BTreeMap::new(), paging: Paging::Link(10_000), newest_first: false };
    let mut machine = Windows::new(rules(10_000), None, None);
    pull(&mut machine, &empty, NOW, &mut BTreeSet::new());
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
    let mut machine = Windows::new(Rules { historical_ms: Some(start), ..rules(10_000) }, None, None);
    let server = steady(100, 7_200_000);
    let mut stored = BTreeSet::new();
    pull(&mut machine, &server, NOW, &mut stored);
    pull(&mut machine, &server, NOW + 3_600_000, &mut stored);
    assert_eq!(stored.len(), 50, "the older half stays unread, also by the sweep");
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
fn rows_that_change_in_every_pass_end_as_an_error_and_keep_the_window() {
    let mut machine = Windows::new(Rules { splits: &[], ..rules(2) }, None, None);
    machine.begin(Now { ms: NOW, sure: true });
    let mut number = 0;
    let mut failed = None;
    for _ in 0..200 {
        let Some(ask) = put(&mut machine, NOW, true) else { break };
        let [Condition::Time { from_ms, .. }] = ask.conditions[..] else { panic!("{ask:?}") };
        // Two rows, never the same, until `$skip` has passed them.
        for _ in 0..2_u64.saturating_sub(ask.skip.unwrap_or(0)).min(ask.top.unwrap_or(2)) {
            number += 1;
            machine.row(row(key(number), Some(from_ms * TICKS))).expect("inside");
        }
        if let Err(error) = machine.answered(Answer::Rows(More::Nothing)) {
            failed = Some(error);
            break;
        }
    }
    assert!(matches!(failed, Some(PullError::Unsettled { passes: 5, .. })), "{failed:?}");
    assert_eq!(machine.checkpoint_ms(), None);
}
