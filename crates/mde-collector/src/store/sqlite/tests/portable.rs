//! A store on its way from one place to another.

use super::*;
use crate::record::{BatchHead, EntityKey, Frame, Position, StoredKey, StreamKey, VersionKey};
use crate::store::portable::{Portable, Row};
use crate::store::{
    BatchCount, Checkpoints, Commit, Counts, DeadLetters, Depth, Entities, History, Leases, Outbox, Outputs, Progress,
    Refusal, Seen, StartAt, StoreError, Told, Trace,
};
use std::time::Duration;

/// A stream of the only tenant.
fn stream(service: &str) -> StreamKey {
    StreamKey { tenant: "acme".to_owned(), service: service.to_owned(), query: Some("q".to_owned()) }
}

/// Something of everything, and a bit of what does not travel.
async fn furnish(store: &SqliteStore) {
    let term = Duration::from_secs(1_000);
    store.attach("early", &stream("alerts"), &StartAt::Now).await.expect("attach");
    for service in ["alerts", "machines"] {
        let stream = stream(service);
        store.attach("files", &stream, &StartAt::Now).await.expect("attach");
        let lease = store.acquire(&format!("stream {stream}"), "me", term).await.expect("acquire").expect("free");
        // An epoch that is over, with a key that is not to come along.
        let over =
            Commit { epoch: 1, keys: vec![StoredKey { key: VersionKey([9; 16]), time_ms: 9 }], ..Commit::default() };
        store.commit(&lease, &stream, &over).await.expect("commit");
        let state = store.start_again(&lease, &stream, "").await.expect("again");
        let head =
            BatchHead { input: "Acme".to_owned(), service: service.to_owned(), tag: "t".to_owned(), pulled_ms: 7 };
        for number in 1..=3_u8 {
            let id = store.begin(&lease, &stream, &head).await.expect("begin");
            let bodies: [&[u8]; 2] = [b"{\"a\":\"\xc3\xb6\\n\"}\n{}\n", b"\xff\n\n"];
            for body in bodies {
                store.append(id, &Frame { events: 2, body: body.to_vec() }).await.expect("append");
            }
            let bytes = bodies.iter().map(|body| body.len() as u64).sum();
            let key = |spread: u8| [number.wrapping_mul(spread); 16];
            let commit = Commit {
                epoch: state.epoch,
                batch: Some(BatchCount { id, frames: 2, events: 4, bytes }),
                keys: vec![StoredKey { key: VersionKey(key(7)), time_ms: i64::from(number) }],
                seen: vec![Seen { key: EntityKey(key(5)), id: format!("{number}\0"), snapshot: 3, content: key(3) }],
                gone: Vec::new(),
                history: vec![Trace {
                    id: "id".to_owned(),
                    key: VersionKey(key(7)),
                    time_ms: -5,
                    request_id: "r".to_owned(),
                    version: "id\0v".to_owned(),
                    events: 4,
                }],
                progress: Progress {
                    checkpoint_ms: Some(i64::from(number)),
                    memory: Some("{\"w\":1}".to_owned()),
                    forget_before_ms: Some(2),
                    ..Progress::default()
                },
            };
            store.commit(&lease, &stream, &commit).await.expect("commit");
        }
        let open = store.begin(&lease, &stream, &head).await.expect("begin");
        store.append(open, &Frame { events: 1, body: b"{}\n".to_vec() }).await.expect("append");
    }
    let refuse = |batch| Refusal { stream: stream("alerts"), position: at(batch, 0), line: 1, reason: "no".to_owned() };
    for (output, batch) in [("early", 3), ("files", 2)] {
        let lease = store.acquire(&format!("output {output}"), "me", term).await.expect("acquire").expect("free");
        let positions = [(stream("alerts"), at(batch, 0))];
        store.bury(&lease, output, &positions, Some("m"), &[refuse(batch)]).await.expect("bury");
        store.collect(&["files".to_owned()]).await.expect("collect");
    }
    store.leave("files", &[stream("machines")]).await.expect("leave");
    let machines = stream("machines");
    store.choose(&machines, "related_alerts", "bulk", "many").await.expect("choose");
    let wanted = [5, 6].map(|octet| (EntityKey([octet; 16]), format!("{octet}")));
    store.want(&machines, &["related_users", "related_alerts"], &wanted).await.expect("want");
    store.tell_read(&machines, "related_alerts", 3, &[(EntityKey([9; 16]), 4)]).await.expect("tell");
    let told = |octet, value| Told { key: EntityKey([octet; 16]), name: "related_users".to_owned(), value };
    store.tell(&machines, 4, &[told(5, Ok(7)), told(6, Err("503".to_owned()))]).await.expect("tell");
}

fn at(batch: u64, frame: u32) -> Position {
    Position { batch, frame }
}

/// All rows of a store.
async fn rows(store: &SqliteStore) -> Vec<Row> {
    let mut rows = Vec::new();
    store
        .export(&mut |row| {
            rows.push(row);
            Ok(())
        })
        .await
        .expect("export");
    rows
}

/// A store of these rows.
async fn take(store: &SqliteStore, rows: &[Row]) -> Result<u64, StoreError> {
    let mut rows = rows.iter().cloned();
    store.import(&mut || Ok(rows.next())).await
}

#[tokio::test]
async fn what_was_exported_and_imported_is_the_same_store() {
    let (from, mut to) = (Disk::new(), Disk::new());
    let old = from.open_store().await.expect("open");
    furnish(&old).await;
    let exported = rows(&old).await;
    let new = to.open_store().await.expect("open");
    assert_eq!(take(&new, &exported).await.expect("import"), exported.len() as u64);
    drop(new);
    // Not closed in order: the next start reads every frame and every sum.
    to.snapshot();
    let new = to.open_store().await.expect("it is whole");
    assert!(rows(&new).await == exported, "the same rows come out again");
    assert_eq!(new.streams().await.expect("streams"), old.streams().await.expect("streams"));
    assert_eq!(new.outputs().await.expect("outputs"), old.outputs().await.expect("outputs"));
    assert_eq!(new.removed().await.expect("removed"), old.removed().await.expect("removed"));
    for service in ["alerts", "machines"] {
        let stream = stream(service);
        let states = old.count_states(&stream).await.expect("counts");
        assert!(states.len() == if service == "machines" { 2 } else { 0 });
        assert_eq!(new.count_states(&stream).await.expect("counts"), states);
        let frames = old.read(&stream, Position::START, usize::MAX).await.expect("read");
        assert!(!frames.is_empty() && new.read(&stream, Position::START, usize::MAX).await.expect("read") == frames);
        let keys = [7, 14, 21, 9].map(|octet| VersionKey([octet; 16]));
        assert_eq!(new.known(&stream, &keys).await.expect("known"), [false, true, true, false]);
        assert_eq!(new.count_absent(&stream, 3).await.expect("count"), (0, 3));
    }
    assert_eq!(new.sightings("2\0").await.expect("sightings"), old.sightings("2\0").await.expect("sightings"));
    for output in ["early", "files"] {
        let letters = old.dead_letters(output, 0, usize::MAX).await.expect("letters");
        assert!(letters.len() == 1 && new.dead_letters(output, 0, usize::MAX).await.expect("letters") == letters);
    }
    assert_eq!(new.history("id", 9).await.expect("history"), old.history("id", 9).await.expect("history"));
    let passage = old.passage("early", &stream("alerts"), at(3, 0)).await.expect("passage");
    assert!(passage.is_some());
    assert_eq!(new.passage("early", &stream("alerts"), at(3, 0)).await.expect("passage"), passage);
    // Fences go on growing, so that a late writer of the old place could never commit here.
    let lease = new.acquire("output files", "other", Duration::from_secs(1)).await.expect("acquire").expect("free");
    assert_eq!(lease.fence, 2);
    // A stream that is new to an output that was there before is sent from its first event, as it would have been there.
    new.attach("files", &stream("software"), &StartAt::Now).await.expect("attach");
    assert_eq!(new.depth("nobody").await.expect("depth"), Depth::default());
}

#[tokio::test]
async fn a_store_that_has_met_anything_takes_nothing() {
    let store = Disk::new();
    let store = store.open_store().await.expect("open");
    store.stream(&stream("alerts")).await.expect("stream");
    let before = rows(&store).await;
    let row = Row::Fence { name: "stream a".to_owned(), fence: 9 };
    assert!(matches!(take(&store, &[row]).await, Err(StoreError::NotEmpty)));
    assert!(rows(&store).await == before);
}

#[tokio::test]
async fn rows_that_end_early_or_make_no_sense_leave_the_store_empty() {
    let from = Disk::new();
    let old = from.open_store().await.expect("open");
    furnish(&old).await;
    let exported = rows(&old).await;
    let to = Disk::new();
    let new = to.open_store().await.expect("open");
    let mut left = exported.iter().take(exported.len() - 1).cloned();
    let mut next = || left.next().map(Some).ok_or_else(|| StoreError::Carrier("read: cut off".to_owned()));
    assert!(matches!(new.import(&mut next).await, Err(StoreError::Carrier(_))));
    take(&new, &exported[1..]).await.expect_err("the first stream was never told");
    assert!(rows(&new).await.is_empty());
    take(&new, &exported).await.expect("it is as empty as before");
}
