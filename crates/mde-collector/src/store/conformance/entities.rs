//! Entities: one row each, by the newest snapshot that showed it.

use super::*;
use crate::store::{LastSeen, Seen};

pub(in crate::store) async fn an_entity_is_known_by_the_last_snapshot_that_showed_it(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    let question: Vec<EntityKey> = (0..4).map(entity).collect();
    assert_eq!(last_seen(&*store, &machines, &question).await, [None; 4], "a stream that nobody has met");

    put_entities(&*store, &machines, vec![seen(0, 1, 10), seen(2, 1, 12)], Vec::new()).await;
    assert_eq!(last_seen(&*store, &machines, &question).await, [known(1, 10), None, known(1, 12), None]);
    put_entities(&*store, &machines, vec![seen(2, 2, 13), seen(3, 2, 14)], Vec::new()).await;
    // Not in the order in which they were stored, and one of them twice.
    let question = [3, 0, 2, 2, 1].map(entity);
    let expected = [known(2, 14), known(1, 10), known(2, 13), known(2, 13), None];
    assert_eq!(last_seen(&*store, &machines, &question).await, expected);
    assert_eq!(last_seen(&*store, &stream("software"), &question).await, [None; 5], "streams share no entities");
}

pub(in crate::store) async fn the_number_of_a_snapshot_only_grows(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    put_entities(&*store, &machines, vec![seen(1, 5, 50)], Vec::new()).await;
    put_entities(&*store, &machines, vec![seen(1, 4, 40)], Vec::new()).await;
    assert_eq!(last_seen(&*store, &machines, &[entity(1)]).await, [known(5, 50)], "an older one is passed over");
    put_entities(&*store, &machines, vec![seen(1, 5, 51)], Vec::new()).await;
    assert_eq!(last_seen(&*store, &machines, &[entity(1)]).await, [known(5, 51)]);
}

pub(in crate::store) async fn of_an_entity_twice_in_one_commit_the_later_counts(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    let mut list: Vec<Seen> = (0..1_000).map(|number| seen(number, 3, 1)).collect();
    list.extend([seen(7, 3, 2), seen(8, 4, 2), seen(8, 3, 3), seen(7, 3, 4)]);
    put_entities(&*store, &machines, list, Vec::new()).await;
    let question = [6, 7, 8].map(entity);
    assert_eq!(last_seen(&*store, &machines, &question).await, [known(3, 1), known(3, 4), known(4, 2)]);
    assert_eq!(store.count_absent(&machines, 4).await.expect("count"), (999, 1_000));
}

pub(in crate::store) async fn what_is_gone_is_forgotten_unless_it_was_seen(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    put_entities(&*store, &machines, (0..1_000).map(|number| seen(number, 1, 1)).collect(), Vec::new()).await;
    // Some of them unknown, one of them twice, one of them seen in the same commit.
    let gone = (500..1_500).chain([600, 2]).map(entity).collect();
    put_entities(&*store, &machines, vec![seen(700, 2, 2)], gone).await;
    let question = [2, 3, 499, 500, 600, 700, 1_200].map(entity);
    let expected = [None, known(1, 1), known(1, 1), None, None, known(2, 2), None];
    assert_eq!(last_seen(&*store, &machines, &question).await, expected);
    assert_eq!(store.count_absent(&machines, 0).await.expect("count"), (0, 500));
    put_entities(&*store, &machines, vec![seen(600, 2, 9)], Vec::new()).await;
    assert_eq!(last_seen(&*store, &machines, &[entity(600)]).await, [known(2, 9)], "it may come back");
}

pub(in crate::store) async fn the_absent_are_counted_and_named_with_their_ids(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    assert_eq!(store.count_absent(&machines, 9).await.expect("count"), (0, 0));
    assert!(store.absent(&machines, 9, 10).await.expect("absent").is_empty());

    put_entities(&*store, &machines, (0..600).map(|number| seen(number, 1, 1)).collect(), Vec::new()).await;
    put_entities(&*store, &machines, (0..500).map(|number| seen(number, 2, 1)).collect(), Vec::new()).await;
    put_entities(&*store, &machines, (0..450).map(|number| seen(number, 3, 1)).collect(), Vec::new()).await;
    for (since, absent) in [(0, 0), (1, 0), (2, 100), (3, 150), (4, 600), (u64::MAX, 600)] {
        assert_eq!(store.count_absent(&machines, since).await.expect("count"), (absent, 600), "since {since}");
        let named = store.absent(&machines, since, u32::MAX).await.expect("absent");
        assert_eq!(named.len() as u64, absent, "since {since}");
        assert!(named.iter().all(|(key, id)| (0..600).any(|number| *key == entity(number) && *id == id_of(number))));
    }
    let all = store.absent(&machines, 3, u32::MAX).await.expect("absent");
    assert_eq!(store.absent(&machines, 3, 40).await.expect("absent"), all[..40], "the order is a stable one");
    let gone = all[..40].iter().map(|(key, _)| *key).collect();
    put_entities(&*store, &machines, Vec::new(), gone).await;
    assert_eq!(store.absent(&machines, 3, u32::MAX).await.expect("absent"), all[40..]);
}

pub(in crate::store) async fn ids_of_any_content_come_back_as_they_were(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    let ids = ["", "a\"b\\c", "\u{0}after a nul", "Größe 📦", "1.50", "{\"not\":\"json\"}", "'; DROP TABLE entity"];
    let named = |index: usize, id: &str| Seen { id: id.to_owned(), ..seen(index as u64, 1, 1) };
    let list = ids.iter().enumerate().map(|(index, id)| named(index, id)).collect();
    put_entities(&*store, &machines, list, Vec::new()).await;
    let absent = store.absent(&machines, 2, 100).await.expect("absent");
    for (index, id) in ids.iter().enumerate() {
        assert!(absent.contains(&(entity(index as u64), (*id).to_owned())), "{id:?} is not in {absent:?}");
    }
}

pub(in crate::store) async fn a_new_epoch_forgets_entities(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    put_entities(&*store, &machines, vec![seen(1, 7, 1), seen(2, 7, 1)], Vec::new()).await;
    let lease = lease(&*store, &machines).await;
    store.start_again(&lease, &machines, "").await.expect("start again");
    assert_eq!(last_seen(&*store, &machines, &[entity(1)]).await, [None]);
    assert_eq!(store.count_absent(&machines, u64::MAX).await.expect("count"), (0, 0));
    assert!(store.absent(&machines, u64::MAX, 10).await.expect("absent").is_empty());
    // Numbers of snapshots may begin anew with it.
    put_entities(&*store, &machines, vec![seen(1, 1, 3)], Vec::new()).await;
    assert_eq!(last_seen(&*store, &machines, &[entity(1), entity(2)]).await, [known(1, 3), None]);
}

pub(in crate::store) async fn a_refused_commit_leaves_entities_as_they_were(place: &mut impl Place) {
    let store = place.open().await;
    let machines = stream("machines");
    put_entities(&*store, &machines, vec![seen(1, 1, 1), seen(2, 1, 1)], Vec::new()).await;
    let lease = lease(&*store, &machines).await;
    let progress = Progress { checkpoint_ms: Some(9), ..Progress::default() };
    let commit = Commit { epoch: 1, progress, ..Commit::default() };
    store.commit(&lease, &machines, &commit).await.expect("commit");
    let progress = Progress { checkpoint_ms: Some(8), ..Progress::default() };
    let (seen, gone) = (vec![seen(1, 2, 2)], vec![entity(2)]);
    let commit = Commit { epoch: 1, seen, gone, progress, ..Commit::default() };
    store.commit(&lease, &machines, &commit).await.expect_err("the checkpoint would move back");
    assert_eq!(last_seen(&*store, &machines, &[entity(1), entity(2)]).await, [known(1, 1), known(1, 1)]);
}

/// Asks for these.
async fn last_seen(store: &dyn Store, stream: &StreamKey, keys: &[EntityKey]) -> Vec<Option<LastSeen>> {
    store.last_seen(stream, keys).await.expect("last seen")
}

/// What is expected of an entity that is known.
fn known(snapshot: u64, content: u8) -> Option<LastSeen> {
    Some(LastSeen { snapshot, content: [content; 16] })
}
