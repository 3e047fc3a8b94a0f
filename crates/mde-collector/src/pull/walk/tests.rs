//! Walks against a small list whose rows move, fail and hide, and a store that forgets nothing it has committed.

use super::super::model::{Paging, key};
use super::super::snapshot::Rules;
use super::super::{Answer, Gap, Machine, Now, Outcome, Row, Sightings, SnapshotEnd};
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const NOW: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;

fn rules(cap: u64) -> Rules {
    Rules { cap, period_ms: HOUR, tombstones: true, historical_ms: None }
}

/// A list as a server has it.
#[derive(Debug, Clone)]
struct List {
    /// Ids, in the server's order.
    rows: Vec<u64>,
    paging: Paging,
    /// An answer that would hold one of these fails.
    bad: BTreeSet<u64>,
    /// Every answer that asks for more than one row fails.
    lists_fail: bool,
    /// Where the last link leads.
    link: u64,
}

impl List {
    fn new(rows: impl IntoIterator<Item = u64>, paging: Paging) -> Self {
        Self { rows: rows.into_iter().collect(), paging, bad: BTreeSet::new(), lists_fail: false, link: 0 }
    }

    fn answer(&mut self, ask: &Ask) -> Result<(Vec<u64>, More), Failure> {
        assert!(ask.conditions.is_empty(), "snapshots read all");
        let skip = if ask.follow { self.link } else { ask.skip.unwrap_or(0) };
        let (rows, more) = self.paging.page(self.rows.clone(), ask.top, skip);
        self.link = skip + rows.len() as u64;
        let fails = rows.iter().any(|row| self.bad.contains(row)) || (self.lists_fail && ask.top != Some(1));
        if fails { Err(Failure::Server("500".to_owned())) } else { Ok((rows, more)) }
    }
}

/// What a store has committed.
#[derive(Debug, Default)]
struct Store {
    memory: Option<String>,
    /// Last snapshot of each id.
    seen: BTreeMap<u64, u64>,
    /// (snapshot, id) of every event.
    events: Vec<(u64, u64)>,
    /// (snapshot, id) of every tombstone.
    tombstones: Vec<(u64, u64)>,
    ends: Vec<SnapshotEnd>,
    gaps: Vec<Gap>,
    asks: usize,
}

impl Store {
    fn machine(&self, rules: Rules) -> Walks {
        Walks::new(rules, self.memory.as_deref().map(|text| serde_json::from_str(text).expect("plain")))
    }

    fn commit(&mut self, outcome: Outcome) {
        self.memory = outcome.memory.or(self.memory.take());
        self.ends.extend(outcome.ended);
    }

    /// One pull; `kill`: it ends before the commit of that step. Says whether it came to its end.
    fn pull(
        &mut self,
        rules: Rules,
        list: &mut List,
        now_ms: i64,
        kill: Option<usize>,
        mut change: impl FnMut(&mut List),
    ) -> bool {
        let now = Now { ms: now_ms, sure: true };
        let mut machine = self.machine(rules);
        let begun = machine.begin(now);
        self.commit(begun);
        let mut steps = 0;
        while let Some(step) = machine.next(now) {
            steps += 1;
            assert!(steps < 20_000, "no end: {step:?} {machine:?}");
            let killed = kill == Some(steps);
            let answer = match step {
                Step::List(ask) => {
                    self.asks += 1;
                    match list.answer(&ask) {
                        Ok((rows, more)) => {
                            let told = self.show(&mut machine, &rows);
                            if killed {
                                return false;
                            }
                            self.seen.extend(told.iter().map(|&(number, id)| (id, number)));
                            self.events.extend(told);
                            Answer::Rows(more)
                        }
                        Err(_) if killed => return false,
                        Err(failure) => {
                            let Some(outcome) = machine.failed(&failure, now) else { return false };
                            self.commit(outcome);
                            continue;
                        }
                    }
                }
                Step::CountAbsent { since } => {
                    let absent = self.seen.values().filter(|&&number| number < since).count() as u64;
                    Answer::Absent { absent, known: self.seen.len() as u64 }
                }
                Step::RemoveAbsent { since, tombstones } => {
                    let number = machine.snapshot().expect("a snapshot").number;
                    let absent: Vec<u64> =
                        self.seen.iter().filter(|&(_, &seen)| seen < since).map(|(&id, _)| id).collect();
                    // One commit for each, so that a kill leaves some.
                    for (index, id) in absent.into_iter().enumerate() {
                        if killed && index > 0 {
                            return false;
                        }
                        self.seen.remove(&id);
                        if tombstones {
                            self.tombstones.push((number, id));
                        }
                    }
                    Answer::Removed
                }
                other => panic!("walks do not ask {other:?}"),
            };
            if killed {
                return false;
            }
            let outcome = machine.answered(answer).expect("the list goes on");
            self.commit(outcome);
            change(list);
        }
        self.gaps = machine.gaps();
        true
    }

    /// Shows the rows of an answer to the machine; returns the events that are committed with it.
    fn show(&mut self, machine: &mut Walks, rows: &[u64]) -> Vec<(u64, u64)> {
        let numbered = machine.snapshot().expect("a snapshot");
        let (mut sightings, mut fresh) = (Sightings::default(), Vec::new());
        for &id in rows {
            let row = Row { key: key(id), id: "", time: None, open: false };
            if machine.row(row).expect("any row will do").is_none() {
                continue;
            }
            let last = self.seen.get(&id).copied();
            if last == Some(numbered.number) || fresh.contains(&(numbered.number, id)) {
                sightings.repeated += 1;
                continue;
            }
            let known = last.is_some_and(|last| numbered.known_since.is_some_and(|since| last >= since));
            *if known { &mut sightings.known } else { &mut sightings.new } += 1;
            fresh.push((numbered.number, id));
        }
        machine.sighted(&sightings);
        fresh
    }
}

/// What happens to a list between two answers; places are taken modulo its length.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    /// A new row, from 1,000 on.
    Insert(usize),
    Remove(usize),
    /// A row goes elsewhere.
    Move(usize, usize),
}

impl Change {
    /// Does it, and says which row did not stay where it was.
    fn apply(self, list: &mut List, next: &mut u64) -> Option<u64> {
        let length = list.rows.len();
        match self {
            Self::Insert(at) => {
                *next += 1;
                list.rows.insert(at % (length + 1), *next);
                None
            }
            Self::Remove(at) if length > 0 => Some(list.rows.remove(at % length)),
            Self::Move(from, to) if length > 0 => {
                let row = list.rows.remove(from % length);
                list.rows.insert(to % length, row);
                Some(row)
            }
            _ => None,
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let place = 0_usize..400;
    prop_oneof![
        3 => Just(Change::Nothing),
        1 => place.clone().prop_map(Change::Insert),
        2 => place.clone().prop_map(Change::Remove),
        1 => (place.clone(), place).prop_map(|(from, to)| Change::Move(from, to)),
    ]
}

fn paging() -> impl Strategy<Value = (u64, Paging)> {
    prop_oneof![
        (4_u64..40).prop_map(|page| (page, Paging::Link(page))),
        (4_u64..40).prop_map(|page| (page * 10, Paging::Link(page))),
        (4_u64..40).prop_map(|page| (page, Paging::Hidden(page))),
        Just((1_000, Paging::Hidden(100))),
    ]
}

/// Rows of a page as the server gives it.
const fn page_rows(paging: Paging) -> usize {
    match paging {
        Paging::Link(page) | Paging::Hidden(page) | Paging::Counted(page) => page as usize,
    }
}

/// The snapshot of a list that holds still, with that number.
fn still(rows: std::ops::Range<u64>, paging: Paging, cap: u64) -> (Store, List) {
    let (mut store, mut list) = (Store::default(), List::new(rows, paging));
    assert!(store.pull(rules(cap), &mut list, NOW, None, |_| ()));
    (store, list)
}

/// Every event and tombstone stands alone.
fn doubled(store: &Store) -> bool {
    let events: BTreeSet<_> = store.events.iter().collect();
    let tombstones: BTreeSet<_> = store.tombstones.iter().collect();
    events.len() != store.events.len() || tombstones.len() != store.tombstones.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    /// What is proved: a row that stays, and is not itself moved, is in every complete snapshot during which the list
    /// changed less often than half a page has rows; once, whatever the changes, paging, caps and kills. None of them is
    /// ever said to be gone.
    #[test]
    fn what_stays_is_in_every_complete_snapshot_once_and_never_said_to_be_gone(
        length in 0_u64..150,
        (cap, paging) in paging(),
        changes in prop::collection::vec(change(), 0..60),
        kills in prop::collection::vec(1_usize..14, 0..4),
    ) {
        let (mut store, mut list) = still(0..length, paging, cap);
        let mut changes = changes.into_iter();
        let (mut next, mut left) = (1_000, BTreeSet::new());
        for round in 1..4 {
            let now_ms = NOW + round * HOUR;
            let mut allowed = (page_rows(paging) / 2).saturating_sub(1);
            let mut change = |list: &mut List| if let Some(change) = changes.next() && allowed > 0 {
                allowed -= usize::from(!matches!(change, Change::Nothing));
                left.extend(change.apply(list, &mut next));
            };
            let killed = kills.iter().any(|&kill| store.pull(rules(cap), &mut list, now_ms, Some(kill), &mut change));
            prop_assert!(killed || store.pull(rules(cap), &mut list, now_ms, None, &mut change));
            let (number, end) = (store.ends.len() as u64, *store.ends.last().expect("ended"));
            let shown: BTreeSet<u64> =
                store.events.iter().filter(|event| event.0 == number).map(|event| event.1).collect();
            prop_assert_eq!(end.count, shown.len() as u64);
            let stayed: Vec<u64> = (0..length).filter(|row| !left.contains(row)).collect();
            if end.complete {
                prop_assert!(stayed.iter().all(|row| shown.contains(row)), "{:?} of {:?}", shown, stayed);
            }
            prop_assert!(!store.tombstones.iter().any(|(_, row)| stayed.contains(row)), "{:?}", store.tombstones);
        }
        prop_assert!(!doubled(&store));
    }

    #[test]
    fn a_restart_at_any_step_loses_nothing_and_doubles_nothing(
        length in 0_u64..150,
        gone in 0_u64..30,
        (cap, paging) in paging(),
        kills in prop::collection::vec(1_usize..14, 0..8),
    ) {
        let (mut store, mut list) = still(0..length, paging, cap);
        list.rows.retain(|&row| row >= gone);
        for round in 1..5 {
            let now_ms = NOW + round * HOUR;
            let over = kills.iter().any(|&kill| store.pull(rules(cap), &mut list, now_ms, Some(kill), |_| ()));
            prop_assert!(over || store.pull(rules(cap), &mut list, now_ms, None, |_| ()));
        }
        prop_assert!(!doubled(&store));
        let ends: Vec<_> = store.ends.iter().map(|end| (end.complete, end.count)).collect();
        let left = length.saturating_sub(gone);
        prop_assert_eq!(ends, vec![(true, length), (true, left), (true, left), (true, left), (true, left)]);
        for number in 1..=5 {
            prop_assert_eq!(store.events.iter().filter(|event| event.0 == number).count() as u64, if number == 1 { length } else { left });
        }
        let tombstones: Vec<u64> = store.tombstones.iter().map(|tombstone| tombstone.1).collect();
        prop_assert_eq!(tombstones, (0..gone.min(length)).collect::<Vec<_>>());
    }

    #[test]
    fn rows_that_fail_are_passed_over_and_everything_else_arrives(
        length in 1_u64..150,
        bad in prop::collection::btree_set(0_u64..150, 1..5),
        (cap, paging) in paging(),
        kills in prop::collection::vec(1_usize..20, 0..3),
    ) {
        let bad: BTreeSet<u64> = bad.into_iter().filter(|&row| row < length).collect();
        let (mut store, mut list) = (Store::default(), List::new(0..length, paging));
        list.bad.clone_from(&bad);
        let over = kills.iter().any(|&kill| store.pull(rules(cap), &mut list, NOW, Some(kill), |_| ()));
        prop_assume!(over || store.pull(rules(cap), &mut list, NOW, None, |_| ()));
        let shown: BTreeSet<u64> = store.events.iter().map(|event| event.1).collect();
        prop_assert_eq!(shown, (0..length).filter(|row| !bad.contains(row)).collect::<BTreeSet<_>>());
        prop_assert_eq!(store.ends[0].complete, bad.is_empty());
        prop_assert_eq!(store.gaps.len(), bad.len());
        list.bad.clear();
        prop_assert!(store.pull(rules(cap), &mut list, NOW + HOUR, None, |_| ()));
        prop_assert!(store.ends[1].complete && store.ends[1].count == length && store.gaps.is_empty());
        prop_assert!(!doubled(&store) && store.tombstones.is_empty());
    }
}

#[test]
fn one_page_takes_one_ask_and_several_are_walked_twice() {
    assert_eq!(still(0..9_999, Paging::Link(10_000), 10_000).0.asks, 1);
    // Three pages by their links; half a page and two whole ones and a bit by number.
    assert_eq!(still(0..25_001, Paging::Link(10_000), 10_000).0.asks, 3 + 4);
    // A full page without a link: the second page is asked for by number.
    assert_eq!(still(0..10_001, Paging::Hidden(10_000), 10_000).0.asks, 2 + 2);
}

#[test]
fn rows_hidden_behind_a_round_number_are_found() {
    let (store, _) = still(0..250, Paging::Hidden(100), 10_000);
    assert_eq!((store.ends[0].complete, store.ends[0].count), (true, 250));
}

/// Modelled history 10: the same border twice would hide the same row twice, and then say that it is gone.
#[test]
fn a_row_that_slips_over_a_border_is_found_by_the_next_walk() {
    for at in 0..10 {
        let (mut store, mut list) = still(0..30, Paging::Link(10), 10);
        for round in 1..4 {
            let (mut asks, mut next) = (0, 1_000 * round);
            store.pull(rules(10), &mut list, NOW + round as i64 * HOUR, None, |list| {
                asks += 1;
                match asks {
                    1 => _ = Change::Remove(at).apply(list, &mut next),
                    3 => _ = Change::Insert(0).apply(list, &mut next),
                    _ => {}
                }
            });
            let shown = store.events.iter().filter(|event| event.0 == round + 1 && list.rows.contains(&event.1));
            assert!(store.ends.last().expect("ended").complete);
            assert!(shown.count() >= 29, "only the row that came between the walks may be missing");
        }
        assert!(store.tombstones.iter().all(|(_, row)| !list.rows.contains(row)), "{:?}", store.tombstones);
    }
}

/// Modelled history 9: a walk that meets *new* rows is no reason for another one.
#[test]
fn a_list_that_grows_with_every_page_still_has_complete_snapshots() {
    let (mut store, mut list) = still(0..1_000, Paging::Link(100), 100);
    for round in 1..20 {
        let mut next = 1_000 * (round + 1);
        store.pull(rules(100), &mut list, NOW + round as i64 * HOUR, None, |list| {
            next += 7;
            let (at, row) = (next as usize * 31, next);
            list.rows.remove(at % list.rows.len());
            list.rows.insert(at % list.rows.len(), row);
        });
    }
    let complete = store.ends.iter().filter(|end| end.complete).count();
    assert!(complete >= 15, "{complete} of 20 were complete");
    assert!(store.tombstones.iter().all(|(_, row)| !list.rows.contains(row)));
    assert!(store.tombstones.len() > 100, "and what is gone is said to be");
}

#[test]
fn bad_rows_side_by_side_are_passed_over_on_the_first_page_and_after_a_restart() {
    for (bad, kill) in [(0..3, None), (0..3, Some(2)), (20..22, Some(3)), (19..22, Some(3)), (20..22, Some(9))] {
        let (mut store, mut list) = (Store::default(), List::new(0..300, Paging::Link(20)));
        list.bad = bad.clone().collect();
        // The first two places behind the page that are asked in its stead fail as well.
        list.bad.extend([60, 121]);
        if kill.is_some() {
            assert!(!store.pull(rules(60), &mut list, NOW, kill, |_| ()));
        }
        assert!(store.pull(rules(60), &mut list, NOW + 1, None, |_| ()), "{bad:?} {kill:?}");
        let shown: BTreeSet<u64> = store.events.iter().map(|event| event.1).collect();
        assert_eq!(shown, (0..300).filter(|row| !list.bad.contains(row)).collect(), "{bad:?} {kill:?}");
        assert!(!store.ends[0].complete && !doubled(&store));
        assert_eq!(store.gaps.len(), list.bad.len(), "{bad:?} {kill:?}");
        list.bad.clear();
        assert!(store.pull(rules(60), &mut list, NOW + 2 * HOUR, None, |_| ()));
        assert!(store.ends[1].complete && store.ends[1].count == 300 && store.gaps.is_empty());
    }
}

/// Modelled history 12, for walks.
#[test]
fn a_list_that_fails_as_a_whole_is_an_outage_after_few_asks() {
    let (mut store, mut list) = (Store::default(), List::new(0..5_000, Paging::Link(1_000)));
    list.lists_fail = true;
    for minute in 0..10 {
        assert!(!store.pull(rules(1_000), &mut list, NOW + minute * 60_000, None, |_| ()));
    }
    assert!(store.asks < 250, "{} asks", store.asks);
    assert!(store.ends.is_empty() && store.gaps.is_empty(), "nothing is given up");
    list.lists_fail = false;
    assert!(store.pull(rules(1_000), &mut list, NOW + 900_000, None, |_| ()));
    assert_eq!((store.ends[0].complete, store.ends[0].count, store.ends[0].pulled_ms), (true, 5_000, NOW));
}

#[test]
fn a_page_that_fails_as_a_whole_is_an_outage_and_is_gone_on_with_when_it_heals() {
    let (mut store, mut list) = (Store::default(), List::new(0..50, Paging::Link(10)));
    list.bad = (20..30).collect();
    assert!(!store.pull(rules(10), &mut list, NOW, None, |_| ()), "more than eight bad rows are an outage");
    assert!(store.ends.is_empty() && store.tombstones.is_empty());
    let read = store.events.len();
    list.bad.clear();
    assert!(store.pull(rules(10), &mut list, NOW + 60_000, None, |_| ()));
    assert_eq!((store.ends[0].complete, store.ends[0].count, store.ends[0].pulled_ms), (true, 50, NOW));
    assert_eq!((read, store.events.len()), (20, 50));
}

#[test]
fn bad_rows_that_are_no_news_do_not_use_up_the_hour() {
    let (mut store, mut list) = (Store::default(), List::new(0..200, Paging::Link(10)));
    list.bad = (0..7).map(|n| n * 20 + 5).collect();
    for round in 0..3 {
        assert!(store.pull(rules(10), &mut list, NOW + round * HOUR / 2, None, |_| ()), "round {round}");
        assert_eq!(store.gaps.len(), 7);
        assert!(store.gaps.iter().all(|gap| gap.since_ms == NOW), "they keep their age");
    }
    assert!(store.ends.iter().all(|end| !end.complete && end.count == 193));
}

#[test]
fn a_list_that_is_not_there_is_empty() {
    let mut machine = Walks::new(rules(10), None);
    let now = Now { ms: NOW, sure: true };
    machine.begin(now);
    machine.next(now).expect("the list");
    let outcome = machine.failed(&Failure::NotFound, now).expect("no fault");
    assert_eq!(outcome.ended, Some(SnapshotEnd { number: 1, pulled_ms: NOW, count: 0, complete: true, drift: false }));
    assert_eq!(machine.next(now), None);
}

#[test]
fn one_that_stood_still_for_a_period_is_incomplete_and_a_new_one_begins() {
    let (mut store, mut list) = (Store::default(), List::new(0..50, Paging::Link(10)));
    assert!(!store.pull(rules(10), &mut list, NOW, Some(3), |_| ()));
    assert!(!store.pull(rules(10), &mut list, NOW + HOUR - 1, Some(2), |_| ()), "taken up: its page is younger");
    assert_eq!(store.machine(rules(10)).pulled_ms(), NOW);
    assert!(store.ends.is_empty());
    assert!(store.pull(rules(10), &mut list, NOW + 2 * HOUR, None, |_| ()));
    let ends: Vec<_> = store.ends.iter().map(|end| (end.pulled_ms, end.complete, end.count)).collect();
    assert_eq!(ends, [(NOW, false, 30), (NOW + 2 * HOUR, true, 50)]);
}

#[test]
fn what_is_gone_is_forgotten_silently_where_no_tombstones_are_wanted() {
    let quiet = Rules { tombstones: false, ..rules(10) };
    let (mut store, mut list) = still(0..25, Paging::Link(10), 10);
    list.rows.retain(|&row| row != 7);
    for round in 1..3 {
        store.pull(quiet.clone(), &mut list, NOW + round * HOUR, None, |_| ());
    }
    assert!(store.tombstones.is_empty() && !store.seen.contains_key(&7) && store.seen.len() == 24);
}

#[test]
fn many_that_vanish_at_once_are_believed_only_when_the_next_snapshot_agrees() {
    let (mut store, mut list) = still(0..25, Paging::Link(10), 10);
    list.rows.clear();
    for round in 1..4 {
        store.pull(rules(10), &mut list, NOW + round * HOUR, None, |_| ());
    }
    let ends: Vec<_> = store.ends[1..].iter().map(|end| (end.complete, end.drift)).collect();
    assert_eq!(ends, [(true, false), (true, true), (true, false)]);
    assert_eq!(store.tombstones.len(), 25);
    assert!(store.tombstones.iter().all(|&(number, _)| number == 4));
}

#[test]
fn a_drift_that_was_a_mistake_of_the_source_removes_nothing() {
    let (mut store, mut list) = still(0..25, Paging::Link(10), 10);
    let all = std::mem::take(&mut list.rows);
    store.pull(rules(10), &mut list, NOW + HOUR, None, |_| ());
    store.pull(rules(10), &mut list, NOW + 2 * HOUR, None, |_| ());
    assert!(store.ends[2].drift);
    list.rows = all;
    store.pull(rules(10), &mut list, NOW + 3 * HOUR, None, |_| ());
    assert!(!store.ends[3].drift && store.tombstones.is_empty() && store.ends[3].count == 25);
}

/// A machine in its first walk, and a way to answer it with nothing but a link.
fn asked(machine: &mut Walks) -> Ask {
    match machine.next(Now { ms: NOW, sure: true }) {
        Some(Step::List(ask)) => ask,
        other => panic!("a list is asked: {other:?}"),
    }
}

#[test]
fn empty_pages_with_links_are_followed_three_times_and_then_checked() {
    for hidden in [false, true] {
        let mut machine = Walks::new(rules(10), None);
        machine.begin(Now { ms: NOW, sure: true });
        for follows in 0..4 {
            assert_eq!(asked(&mut machine).follow, follows > 0);
            machine.answered(Answer::Rows(More::Link)).expect("empty");
        }
        let check = asked(&mut machine);
        assert_eq!((check.top, check.skip, check.whole), (Some(1), Some(0), false));
        if hidden {
            machine.row(Row { key: key(1), id: "", time: None, open: false }).expect("a row");
            machine.answered(Answer::Rows(More::Nothing)).expect("a row");
            let page = asked(&mut machine);
            assert_eq!((page.top, page.skip, page.whole), (Some(10), Some(0), true));
        } else {
            machine.answered(Answer::Rows(More::Nothing)).expect("empty");
            let again = asked(&mut machine);
            assert_eq!((again.top, again.skip, again.whole), (Some(5), Some(0), true), "several answers: once more");
        }
    }
}

#[test]
fn a_link_to_elsewhere_is_not_followed_and_its_rows_are_asked_for_by_number() {
    let mut machine = Walks::new(rules(10), None);
    machine.begin(Now { ms: NOW, sure: true });
    asked(&mut machine);
    machine.row(Row { key: key(1), id: "", time: None, open: false }).expect("a row");
    machine.answered(Answer::Rows(More::Elsewhere)).expect("a row");
    let page = asked(&mut machine);
    assert_eq!((page.follow, page.top, page.skip), (false, Some(1), Some(1)));
}

#[test]
fn the_same_page_twice_is_an_error_and_no_end() {
    let mut machine = Walks::new(rules(10), None);
    machine.begin(Now { ms: NOW, sure: true });
    let page = |machine: &mut Walks| {
        asked(machine);
        for number in 0..10 {
            machine.row(Row { key: key(number), id: "", time: None, open: false }).expect("a row");
        }
        machine.answered(Answer::Rows(More::Link))
    };
    assert!(page(&mut machine).is_ok());
    assert!(matches!(page(&mut machine), Err(PullError::Repeated { passed: 10 })));
}

#[test]
fn ids_of_snapshots_differ_even_when_the_clock_goes_back() {
    let (mut store, mut list) = still(0..5, Paging::Link(10), 10);
    store.pull(rules(10), &mut list, NOW - 6 * HOUR, None, |_| ());
    assert_eq!(store.ends.iter().map(|end| end.pulled_ms).collect::<Vec<_>>(), [NOW, NOW + 1]);
}

#[test]
fn a_changed_start_is_noticed() {
    let (store, _) = still(0..5, Paging::Link(10), 10);
    assert!(!store.machine(rules(10)).must_start_again());
    assert!(store.machine(Rules { historical_ms: Some(NOW), ..rules(10) }).must_start_again());
}
