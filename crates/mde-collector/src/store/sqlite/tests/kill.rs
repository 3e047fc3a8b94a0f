//! A real process, really killed.

use super::*;
use crate::record::{BatchHead, Frame, Position, StoredKey, StreamKey, VersionKey};
use crate::store::{BatchCount, Checkpoints, Commit, Leases, Outbox, Progress, StartAt};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Tells the child where to write; without it the child does nothing.
const FOLDER: &str = "MDE_COLLECTOR_TEST_STORE";

/// Keys that each batch brings.
const KEYS_PER_BATCH: u64 = 300;

/// The only stream.
fn alerts() -> StreamKey {
    StreamKey { tenant: "acme".to_owned(), service: "alerts".to_owned(), query: None }
}

/// Time does not matter here.
fn clock() -> crate::store::WallClock {
    Arc::new(|| 0)
}

/// The keys of a batch.
fn keys(batch: u64) -> Vec<VersionKey> {
    (batch * KEYS_PER_BATCH..(batch + 1) * KEYS_PER_BATCH)
        .map(|number| {
            VersionKey(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
        })
        .collect()
}

/// The frames of a batch: as many as its number says, so that each kill falls into another place.
fn frames(batch: u64) -> Vec<Frame> {
    (0..=batch % 4)
        .map(|part| Frame { events: 1, body: format!("batch {batch} part {part}\n").repeat(2000).into() })
        .collect()
}

/// What the child does: one batch after the other, each told on stdout once it is committed; an output that follows.
async fn work(folder: &Path) {
    let store = open(folder, clock()).await.expect("open");
    let lease = store.acquire("stream", "child", Duration::from_secs(60)).await.expect("acquire").expect("free");
    let attached = store.attach("devo", &alerts(), &StartAt::Oldest).await.expect("attach");
    let mut sent = attached.position.batch;
    loop {
        let number = store.stream(&alerts()).await.expect("stream").last_batch + 1;
        let head = BatchHead { input: String::new(), service: String::new(), tag: String::new(), pulled_ms: 0 };
        let id = store.begin(&lease, &alerts(), &head).await.expect("begin");
        let frames = frames(number);
        for frame in &frames {
            store.append(id, frame).await.expect("append");
        }
        let batch = BatchCount {
            id,
            frames: u32::try_from(frames.len()).expect("few"),
            events: frames.len() as u64,
            bytes: frames.iter().map(|frame| frame.body.len() as u64).sum(),
        };
        let keys = keys(number).into_iter().map(|key| StoredKey { key, time_ms: 0 }).collect();
        let progress = Progress { checkpoint_ms: Some(i64::try_from(number).expect("small")), ..Progress::default() };
        let commit = Commit { epoch: 1, batch: Some(batch), keys, progress, ..Commit::default() };
        store.commit(&lease, &alerts(), &commit).await.expect("commit");
        println!("stored {number}");
        if number >= sent + 5 {
            sent = number - 2;
            let positions = [(alerts(), Position::after_batch(sent))];
            store.advance(&lease, "devo", &positions, Some(&sent.to_string())).await.expect("advance");
            store.collect(&["devo".to_owned()]).await.expect("collect");
        }
    }
}

#[tokio::test]
#[ignore = "the child of the test below"]
async fn child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        work(Path::new(&folder)).await;
    }
}

/// Runs the child until it has told of `count` batches, kills it, and returns the number of the last one told.
fn run_and_kill(folder: &Path, count: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "store::sqlite::tests::kill::child", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let told = stdout
        .lines()
        .filter_map(|line| line.expect("text").strip_prefix("stored ")?.parse().ok())
        .take(count)
        .last()
        .expect("the child came so far");
    child.kill().expect("kill");
    child.wait().expect("wait");
    told
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_was_told_and_stores_nothing_twice() {
    let root = tempfile::tempdir().expect("folder");
    for round in 0..8 {
        let told = run_and_kill(root.path(), 3 + round * 2);
        let store = open(root.path(), clock()).await.expect("a kill is no damage");

        let last = store.stream(&alerts()).await.expect("stream").last_batch;
        assert!(last >= told, "batch {told} was told, the newest is {last}");
        assert_eq!(store.stream(&alerts()).await.expect("stream").checkpoint_ms, i64::try_from(last).ok());
        for number in 1..=last {
            assert!(!store.known(&alerts(), &keys(number)).await.expect("known").contains(&false), "batch {number}");
        }
        assert!(!store.known(&alerts(), &keys(last + 1)).await.expect("known").contains(&true));

        // Behind what the output has confirmed, every batch is there, whole and once.
        let sent = store.attach("devo", &alerts(), &StartAt::Now).await.expect("attach").position;
        let memory = store.output_memory("devo").await.expect("memory");
        assert_eq!(memory.map_or(0, |memory| memory.parse().expect("a number")), sent.batch);
        let read = store.read(&alerts(), sent, usize::MAX).await.expect("read");
        let expected: Vec<_> = (sent.batch + 1..=last)
            .flat_map(|number| (0..).zip(frames(number)).map(move |(part, frame)| (number, part, frame.body)))
            .collect();
        let read: Vec<_> =
            read.into_iter().map(|frame| (frame.position.batch, frame.position.frame, frame.body)).collect();
        assert!(read == expected, "round {round}: {} frames instead of {}", read.len(), expected.len());
        store.close().await.expect("close");
    }
}
