//! Counts of entities: wanted, told, read as a whole, forgotten.

use super::*;
use crate::store::{Known, Told, Wanted};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;

/// The counts of every test.
const NAMES: [&str; 2] = ["related_alerts", "related_users"];

/// Entities with their ids.
fn entities(numbers: &[u64]) -> Vec<(EntityKey, String)> {
    numbers.iter().map(|number| (entity(*number), id_of(*number))).collect()
}

/// A value that was asked for.
fn told(number: u64, value: Result<u64, &str>) -> Told {
    Told { key: entity(number), name: NAMES[0].to_owned(), value: value.map_err(ToOwned::to_owned) }
}

/// What is known of the first count.
async fn first(store: &dyn Store, stream: &StreamKey, numbers: &[u64]) -> Vec<Option<Known>> {
    let keys: Vec<_> = numbers.iter().map(|number| entity(*number)).collect();
    let known = store.counts(stream, &NAMES, &keys).await.expect("counts");
    known.into_iter().map(|counts| counts[0]).collect()
}

const fn known(value: Option<u64>, tried: bool, wanted: bool) -> Option<Known> {
    Some(Known { value, tried, wanted })
}

pub(in crate::store) async fn a_count_is_unknown_until_it_is_told(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    assert_eq!(first(&*store, &machines, &[1, 2]).await, [None, None], "a stream that nobody has met");
    store.want(&machines, &NAMES, &entities(&[1, 2, 3])).await.expect("want");
    store.tell(&machines, 10, &[told(1, Ok(7)), told(2, Err("gone")), told(9, Ok(1))]).await.expect("tell");
    let expected = [known(Some(7), true, true), known(None, true, true), known(None, false, true), None];
    assert_eq!(first(&*store, &machines, &[1, 2, 3, 9]).await, expected);
    store.tell(&machines, 20, &[told(1, Err("gone"))]).await.expect("tell");
    assert_eq!(first(&*store, &machines, &[1]).await, [known(Some(7), true, true)], "the newest known value stays");
    store.tell(&machines, 15, &[told(1, Ok(5))]).await.expect("tell");
    assert_eq!(first(&*store, &machines, &[1]).await, [known(Some(7), true, true)], "what is older is passed over");
    assert_eq!(first(&*store, &stream("software"), &[1]).await, [None], "streams share no counts");
    let states = store.count_states(&machines).await.expect("states");
    let sums: Vec<_> = states.iter().map(|state| (state.wanted, state.known, state.oldest_ms, state.failed)).collect();
    assert_eq!(sums, [(3, 1, Some(10), 2), (3, 0, None, 0)]);
}

pub(in crate::store) async fn those_tried_longest_ago_are_stale_first(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    store.want(&machines, &NAMES[..1], &entities(&[1, 2, 3, 4])).await.expect("want");
    store.tell(&machines, 30, &[told(1, Ok(1))]).await.expect("tell");
    store.tell(&machines, 20, &[told(2, Err("gone"))]).await.expect("tell");
    store.tell(&machines, 40, &[told(4, Ok(1))]).await.expect("tell");
    let wanted = |number| Wanted { key: entity(number), id: id_of(number), name: NAMES[0].to_owned() };
    let stale = async |since, limit| store.stale(&machines, &NAMES, since, limit).await.expect("stale");
    assert_eq!(stale(0, 9).await, [wanted(3)], "never tried");
    assert_eq!(stale(40, 9).await, [wanted(3), wanted(2), wanted(1)]);
    assert_eq!(stale(41, 2).await, [wanted(3), wanted(2)]);
}

pub(in crate::store) async fn a_whole_reading_tells_what_it_shows_and_of_the_rest_what_silence_means(
    place: &mut impl Place,
) {
    let store = place.open().await;
    let machines = stream("machines");
    place.clock().advance(5);
    store.want(&machines, &NAMES, &entities(&[1, 2])).await.expect("want");
    place.clock().advance(10);
    store.want(&machines, &NAMES, &entities(&[3])).await.expect("want");
    for name in NAMES {
        store.tell_read(&machines, name, 10, &[(entity(1), 4), (entity(8), 6)]).await.expect("tell");
    }
    store.read_ended(&machines, NAMES[0], 10, true).await.expect("end");
    store.read_ended(&machines, NAMES[1], 10, false).await.expect("end");
    let keys = [1, 2, 3, 8].map(entity);
    let found = store.counts(&machines, &NAMES, &keys).await.expect("counts");
    let shown = [known(Some(4), true, true), known(Some(6), true, false)];
    assert_eq!((found[0].as_slice(), found[3].as_slice()), (&[shown[0]; 2][..], &[shown[1]; 2][..]));
    assert_eq!(found[1], [known(Some(0), true, true), known(None, false, true)]);
    assert_eq!(found[2], [known(None, false, true); 2], "it was not there when the reading began");
    let kinds = store.count_kinds(&machines).await.expect("kinds");
    assert!(kinds.iter().all(|kind| kind.passed_ms == Some(10) && kind.trouble.is_none()));
    store.trouble(&machines, NAMES[0], Some("down")).await.expect("trouble");
    store.choose(&machines, NAMES[0], "alerts_walk", "as configured").await.expect("choose");
    let kind = &store.count_kinds(&machines).await.expect("kinds")[0];
    assert_eq!((kind.method.as_str(), kind.reason.as_str()), ("alerts_walk", "as configured"));
    assert_eq!(kind.trouble.as_deref(), Some("down"));
}

pub(in crate::store) async fn counts_of_what_is_gone_are_forgotten(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    put_entities(&*store, &machines, vec![seen(1, 1, 0), seen(2, 1, 0)], Vec::new()).await;
    store.want(&machines, &NAMES, &entities(&[1, 2, 3])).await.expect("want");
    assert_eq!(store.prune_counts(&machines).await.expect("prune"), 2);
    assert_eq!(first(&*store, &machines, &[1, 3]).await, [known(None, false, true), None]);
    assert_eq!(store.forget_counts(&machines, i64::MAX).await.expect("forget"), 4);
    assert_eq!(first(&*store, &machines, &[1, 2]).await, [None, None]);
}

/// One call of the sequences.
#[derive(Debug, Clone)]
enum Call {
    Want(Vec<u64>),
    Tell(i64, Vec<(u64, Option<u64>)>),
    Read(i64, Vec<(u64, u64)>, bool),
    Wait(i64),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let number = 0..6_u64;
    let call = prop_oneof![
        vec(number.clone(), 0..4).prop_map(Call::Want),
        (1..60_i64, vec((number.clone(), prop::option::of(0..9_u64)), 0..4))
            .prop_map(|(at, values)| Call::Tell(at, values)),
        (1..60_i64, vec((number, 0..9_u64), 0..4), any::<bool>())
            .prop_map(|(at, values, zero)| Call::Read(at, values, zero)),
        (1..20_i64).prop_map(Call::Wait),
    ];
    vec(call, 1..40)
}

/// A count as the model has it: value, when it was tried, when it was wanted.
type Row = (Option<u64>, i64, Option<i64>);

pub(in crate::store) async fn any_sequence_of_wishes_and_answers_behaves_as_the_model_says(place: &mut impl Place) {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let machines = stream("machines");
    for _ in 0..30 {
        place.renew();
        let store = place.open().await;
        let mut model: BTreeMap<u64, Row> = BTreeMap::new();
        let calls = calls().new_tree(&mut runner).expect("a strategy").current();
        for call in calls.iter().cloned() {
            match call {
                Call::Wait(ms) => place.clock().advance(ms),
                Call::Want(numbers) => {
                    store.want(&machines, &NAMES[..1], &entities(&numbers)).await.expect("want");
                    for number in numbers {
                        model.entry(number).or_default().2.get_or_insert(place.clock().now_ms());
                    }
                }
                Call::Tell(at, values) => {
                    let list: Vec<_> =
                        values.iter().map(|(number, value)| told(*number, value.ok_or("gone"))).collect();
                    store.tell(&machines, at, &list).await.expect("tell");
                    for (number, value) in values {
                        if let Some(row) = model.get_mut(&number).filter(|row| row.1 <= at) {
                            (row.0, row.1) = (value.or(row.0), at);
                        }
                    }
                }
                Call::Read(at, values, zero) => {
                    let values: BTreeMap<u64, u64> = values.into_iter().collect();
                    let list: Vec<_> = values.iter().map(|(number, value)| (entity(*number), *value)).collect();
                    store.tell_read(&machines, NAMES[0], at, &list).await.expect("tell");
                    store.read_ended(&machines, NAMES[0], at, zero).await.expect("end");
                    for (number, value) in values {
                        let row = model.entry(number).or_default();
                        if row.1 <= at {
                            (row.0, row.1) = (Some(value), at);
                        }
                    }
                    let silent = |row: &&mut Row| zero && row.1 < at && row.2.is_some_and(|wanted| wanted <= at);
                    model.values_mut().filter(silent).for_each(|row| (row.0, row.1) = (Some(0), at));
                }
            }
            let numbers: Vec<u64> = (0..6).collect();
            let expected: Vec<_> = numbers
                .iter()
                .map(|number| model.get(number).and_then(|row| known(row.0, row.1 > 0, row.2.is_some())))
                .collect();
            assert_eq!(first(&*store, &machines, &numbers).await, expected, "{calls:?}");
        }
    }
}
