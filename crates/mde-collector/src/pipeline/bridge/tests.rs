//! Both directions over an embedded store, as batches write it.

use super::*;
use crate::record::{BatchHead, Frame};
use crate::service;
use crate::store::{BatchCount, Commit, Lease, sqlite};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// A moment. Unit: 100 ns since 1970, UTC.
const NOON: i64 = 1_800_000_000_000 * TICKS;
/// Unit: 100 ns.
const SECOND: i64 = 1_000 * TICKS;

/// A store with one stream.
struct World {
    store: Arc<dyn Store>,
    lease: Lease,
    bridge: Bridge,
}

impl World {
    async fn new() -> Self {
        let store: Arc<dyn Store> = Arc::new(sqlite::open_memory(Arc::new(|| 0)).await.expect("an empty store"));
        let stream = StreamKey { tenant: "t".to_owned(), service: "alerts".to_owned(), query: None };
        let lease =
            store.acquire("stream t/alerts", "me", Duration::from_secs(60)).await.expect("works").expect("free");
        store.stream(&stream).await.expect("works");
        let core = service::find("alerts").expect("a service").elsewhere[0].core.expect("it has one");
        Self { store, lease, bridge: Bridge { core, stream, here: Api::Mde, left: None } }
    }

    /// From now on the other API is read; up to there this one was.
    fn moved(&mut self, read_ms: i64) {
        let before = self.bridge.here;
        self.bridge.here = if before == Api::Mde { Api::Graph } else { Api::Mde };
        self.bridge.left = Some((before, read_ms));
    }

    /// A version comes; whether it is new. It is stored as a batch does it.
    async fn comes(&self, id: &str, status: &str, time: i64) -> bool {
        let text = json!({"status": status}).to_string();
        let mark = self.bridge.mark(id, &RawObject::parse(text.as_bytes()).expect("an object"), time);
        let recognised = self.bridge.recognise(&*self.store, std::slice::from_ref(&mark)).await.expect("works")[0];
        let marks = self.bridge.marks(&mark, recognised, time / TICKS);
        let stream = &self.bridge.stream;
        let head = BatchHead { input: "t".into(), service: "alerts".into(), tag: "x".into(), pulled_ms: 0 };
        let id = self.store.begin(&self.lease, stream, &head).await.expect("works");
        self.store.append(id, &Frame { events: 1, body: b"{}\n".to_vec() }).await.expect("works");
        let batch = Some(BatchCount { id, frames: 1, events: 1, bytes: 3 });
        let keys = marks.key.into_iter().collect();
        let commit = Commit { epoch: 1, batch, keys, seen: vec![marks.newest], ..Commit::default() };
        self.store.commit(&self.lease, stream, &commit).await.expect("works");
        !recognised.there
    }
}

#[tokio::test]
async fn a_version_that_the_other_has_shown_at_a_near_time_is_known_and_one_with_another_core_is_new() {
    let mut world = World::new().await;
    assert!(world.comes("da1", "New", NOON).await);
    world.moved(0);
    assert!(!world.comes("da1", "new", NOON + 5 * SECOND).await, "near, and the words differ in case alone");
    assert!(world.comes("da1", "Resolved", NOON + SECOND).await);
    assert!(world.comes("da2", "New", NOON).await, "another entity");
}

#[tokio::test]
async fn far_in_time_only_the_newest_is_known_and_only_before_the_place_that_was_read() {
    let mut world = World::new().await;
    assert!(world.comes("da1", "New", NOON).await);
    assert!(world.comes("da1", "Resolved", NOON + 100 * SECOND).await);
    world.moved(NOON / TICKS + 300_000);
    assert!(!world.comes("da1", "Resolved", NOON + 160 * SECOND).await, "the newest, told a minute later there");
    assert!(world.comes("da1", "New", NOON + 200 * SECOND).await, "a change back is a change");
    assert!(world.comes("da1", "Resolved", NOON + 301 * SECOND).await, "it came after that place");
}

#[tokio::test]
async fn there_and_back_each_version_is_known_by_whoever_shows_it_second() {
    let mut world = World::new().await;
    assert!(world.comes("da1", "New", NOON).await);
    world.moved(NOON / TICKS + 60_000);
    assert!(!world.comes("da1", "New", NOON + 20 * SECOND).await);
    assert!(world.comes("da1", "InProgress", NOON + 100 * SECOND).await);
    world.moved(NOON / TICKS + 200_000);
    assert!(!world.comes("da1", "InProgress", NOON + 80 * SECOND).await, "told earlier here");
    assert!(world.comes("da1", "Resolved", NOON + 250 * SECOND).await);
}

#[tokio::test]
async fn an_old_id_is_known_with_and_without_what_newer_ones_begin_with() {
    let mut world = World::new().await;
    assert!(world.comes("637_1", "New", NOON).await);
    world.moved(0);
    assert!(!world.comes("da637_1", "New", NOON).await);
}

#[tokio::test]
async fn two_versions_with_one_core_and_near_times_break_no_commit() {
    let world = World::new().await;
    assert!(world.comes("da1", "New", NOON).await);
    assert!(world.comes("da1", "New", NOON + 1).await);
}
