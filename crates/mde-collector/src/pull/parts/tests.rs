//! Snapshots of a query that no time column cuts.

use super::super::model::{NOW, Paging, Record, Server, key};
use super::super::snapshot::Rules;
use super::super::{Answer, Machine, More, Now, Row, Sightings, SnapshotEnd};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One snapshot after the other, each broken off before that many answers are committed.
fn read(server: &Server, cap: u64, kills: &[usize]) -> (BTreeSet<u64>, Option<SnapshotEnd>, usize) {
    let rules = || Rules { cap, period_ms: 3_600_000, tombstones: true, historical_ms: None };
    let now = Now { ms: NOW, sure: true };
    let (mut shown, mut memory, mut asks) = (BTreeSet::new(), None::<String>, 0);
    for &kill in kills.iter().chain([&usize::MAX]) {
        let stored = memory.as_deref().map(|text| serde_json::from_str(text).expect("plain"));
        let mut machine = Answers::new(rules(), stored);
        memory = machine.begin(now).memory.or(memory);
        for ask in 1_usize.. {
            let Some(Step::Slice(slice)) = machine.next(now) else { break };
            assert_eq!(slice.span, None);
            asks += 1;
            assert!(asks < 2_000, "no end");
            let outcome = match server.slice(&slice) {
                Err(failure) => match machine.failed(&failure, now) {
                    Some(outcome) => outcome,
                    None => return (shown, None, asks),
                },
                Ok(rows) => {
                    let mut fresh = BTreeSet::new();
                    for (number, _) in rows {
                        let row = Row { key: key(number), id: "", time: None, open: false };
                        machine.row(row).expect("any row will do");
                        fresh.extend((!shown.contains(&number)).then_some(number));
                    }
                    machine.sighted(&Sightings { new: fresh.len() as u64, ..Sightings::default() });
                    let outcome = machine.answered(Answer::Rows(More::Nothing)).expect("goes on");
                    if ask == kill {
                        break;
                    }
                    shown.extend(fresh);
                    outcome
                }
            };
            if ask == kill {
                break;
            }
            memory = outcome.memory.or(memory);
            if let Some(end) = outcome.ended {
                return (shown, Some(end), asks);
            }
        }
    }
    (shown, None, asks)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn a_result_is_read_in_as_many_parts_as_it_takes_or_said_to_be_incomplete(
        length in 0_u64..400,
        row_cap in 2_usize..60,
        too_large in 2_usize..80,
        kills in prop::collection::vec(1_usize..20, 0..4),
    ) {
        let server = Server::new((0..length).map(|_| Record::at_ms(NOW)), Paging::Link(1));
        let server = Server { row_cap, too_large, ..server };
        let (shown, end, _) = read(&server, row_cap as u64, &kills);
        let end = end.expect("it ends");
        let largest = (0..MOST).map(|part| (0..length).filter(|row| row / 3 % MOST == part).count()).max().unwrap_or(0);
        prop_assert_eq!(end.complete, largest < row_cap && largest <= too_large);
        prop_assert_eq!(end.count, shown.len() as u64);
        prop_assert!(!end.complete || end.count == length);
    }
}

#[test]
fn a_result_that_fits_takes_one_ask_and_one_that_fails_is_an_outage() {
    let mut server = Server::new((0..99).map(|_| Record::at_ms(NOW)), Paging::Link(1));
    let whole = read(&server, 100, &[]);
    assert_eq!((whole.0.len(), whole.1.map(|end| end.complete), whole.2), (99, Some(true), 1));
    server.down = true;
    assert_eq!(read(&server, 100, &[]), (BTreeSet::new(), None, 1));
}

#[test]
fn one_part_too_many_rows_does_not_stop_the_others() {
    // Three rows that no hash tells apart are one too many; those of every other part arrive.
    let server = Server::new((0..6).map(|_| Record::at_ms(NOW)), Paging::Link(1));
    let server = Server { bad: BTreeSet::new(), too_large: 2, ..server };
    let (shown, end, _) = read(&server, 100, &[]);
    assert_eq!((shown.len(), end.map(|end| end.complete)), (0, Some(false)));
    let lone = Server {
        records: [(0, Record::at_ms(NOW)), (1, Record::at_ms(NOW)), (2, Record::at_ms(NOW)), (9, Record::at_ms(NOW))]
            .into(),
        ..server
    };
    let (shown, end, _) = read(&lone, 100, &[]);
    assert_eq!((shown, end.map(|end| (end.complete, end.count))), (BTreeSet::from([9]), Some((false, 1))));
}
