//! How fast, how much written, how much memory. Run by hand:
//! `cargo test --release -p mde-collector --lib measure -- --ignored --nocapture --test-threads 1`.

use super::*;
use crate::record::{BatchHead, EntityKey, Frame, Position, StoredKey, StreamKey, VersionKey};
use crate::store::{
    BatchCount, Checkpoints, Commit, Entities, History, Leases, Outbox, Progress, Seen, StartAt, Trace,
};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::Instant;

/// Events of one commit: a full page of the API.
const EVENTS: u64 = 10_000;
/// Commits.
const ROUNDS: u64 = 10;
/// Length at which a frame is full. Unit: octets.
const FRAME_OCTETS: usize = 512 * 1024;

/// The only stream.
fn machines() -> StreamKey {
    StreamKey { tenant: "acme".to_owned(), service: "machines".to_owned(), query: None }
}

/// What its batches have in common.
fn head() -> BatchHead {
    BatchHead { input: "acme".to_owned(), service: "machines".to_owned(), tag: "tag".to_owned(), pulled_ms: 0 }
}

/// A line of 1.1 KB that shortens about as well as a machine does.
fn line(number: u64, into: &mut Vec<u8>) {
    let start = into.len();
    let hash = VersionKey(half(number));
    into.extend_from_slice(
        format!("{{\"id\":\"{hash:?}{hash:?}\",\"lastSeen\":\"2026-10-{:02}\"", number % 28 + 1).as_bytes(),
    );
    for field in 0.. {
        let text = format!(
            ",\"property{field}\":\"{:?} some value of the kind\"",
            VersionKey(half(number / 3 + field * 1000))
        );
        if into.len() - start + text.len() > 1_100 {
            break;
        }
        into.extend_from_slice(if field % 2 == 0 {
            text.as_bytes()
        } else {
            b",\"osPlatform\":\"Windows11\",\"riskScore\":null"
        });
    }
    into.extend_from_slice(b"}\n");
}

/// 128 bits of a hash, as keys have them.
fn half(number: u64) -> [u8; 16] {
    let digest = Sha256::digest(number.to_le_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// A number out of a file of /proc.
fn proc(file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("field");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("number")
}

#[tokio::test]
#[ignore = "a measurement"]
async fn commits_of_ten_thousand_events() {
    commits(false).await;
    println!("the same with a trace for each event:");
    commits(true).await;
}

/// Stores, reads and collects, with or without history.
async fn commits(traced: bool) {
    let disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    let lease = store.acquire("stream", "node", Duration::from_secs(1000)).await.expect("acquire").expect("free");
    store.attach("devo", &machines(), &StartAt::Oldest).await.expect("attach");
    let (mut spent, mut asked, mut shown, mut raw, written) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO, 0, proc("io", "write_bytes:"));
    for round in 0..ROUNDS {
        let numbers = round * EVENTS..(round + 1) * EVENTS;
        let keys: Vec<StoredKey> =
            numbers.clone().map(|number| StoredKey { key: VersionKey(half(number)), time_ms: 1 }).collect();
        let question: Vec<VersionKey> = keys.iter().map(|stored| stored.key).collect();
        let started = Instant::now();
        for part in question.chunks(256) {
            assert!(!store.known(&machines(), part).await.expect("known").contains(&true));
        }
        asked += started.elapsed();

        let mut batch = BatchCount {
            id: store.begin(&lease, &machines(), &head()).await.expect("begin"),
            frames: 0,
            events: 0,
            bytes: 0,
        };
        let mut frame = Frame::default();
        for number in numbers.clone() {
            line(number, &mut frame.body);
            frame.events += 1;
            if frame.body.len() >= FRAME_OCTETS || number + 1 == numbers.end {
                let started = Instant::now();
                store.append(batch.id, &frame).await.expect("append");
                spent += started.elapsed();
                batch.frames += 1;
                batch.events += u64::from(frame.events);
                batch.bytes += frame.body.len() as u64;
                frame.events = 0;
                frame.body.clear();
            }
        }
        raw += batch.bytes;
        let progress = Progress { checkpoint_ms: Some(1), forget_before_ms: Some(0), ..Progress::default() };
        let trace = |stored: &StoredKey| Trace {
            id: format!("{:?}01234567", stored.key),
            key: stored.key,
            time_ms: 1_760_000_000_000,
            request_id: "2f0a8f4c-6d0b-4f0e-9d3e-0a1b2c3d4e5f".to_owned(),
            version: format!("{:?}01234567\02026-11-24T09:00:00.1234567Z", stored.key),
            events: 1,
        };
        let history = if traced { keys.iter().map(trace).collect() } else { Vec::new() };
        let commit = Commit { epoch: 1, batch: Some(batch), keys, progress, history, ..Commit::default() };
        let started = Instant::now();
        store.commit(&lease, &machines(), &commit).await.expect("commit");
        shown += started.elapsed();
    }
    let events = EVENTS * ROUNDS;
    let total = spent + shown;
    let stored = store.bytes().await.expect("bytes");
    println!("append {spent:?}, commit {shown:?}, known {asked:?} for {events} events of {} octets", raw / events);
    println!(
        "{:.0} events/s stored, {:.0} with the questions",
        events as f64 / total.as_secs_f64(),
        events as f64 / (total + asked).as_secs_f64()
    );
    println!("{} octets per event in the outbox", stored / events);

    let started = Instant::now();
    let (mut position, mut read) = (Position::START, 0);
    loop {
        let frames = store.read(&machines(), position, 1 << 20).await.expect("read");
        let Some(last) = frames.last() else { break };
        position = last.position;
        read += frames.iter().map(|frame| u64::from(frame.events)).sum::<u64>();
        store.advance(&lease, "devo", &[(machines(), position)], None).await.expect("advance");
        if position.frame % 8 == 0 {
            store.collect(&["devo".to_owned()]).await.expect("collect");
        }
    }
    assert_eq!(read, events);
    let asked = Instant::now();
    store.history("none has this id", 10).await.expect("history");
    println!("history of {}: {:?}", if traced { events } else { 0 }, asked.elapsed());
    println!("{:.0} events/s read, advanced and collected", events as f64 / started.elapsed().as_secs_f64());
    store.close().await.expect("close");
    println!("{} octets written per event", (proc("io", "write_bytes:") - written) / events);
    println!("{} KiB now, {} KiB at most", proc("status", "VmRSS:"), proc("status", "VmHWM:"));
}

#[tokio::test]
#[ignore = "a measurement"]
async fn keys_of_a_large_snapshot_and_depth_of_a_long_backlog() {
    let disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    let lease = store.acquire("stream", "node", Duration::from_secs(1000)).await.expect("acquire").expect("free");
    let written = proc("io", "write_bytes:");
    for round in 0..50 {
        let keys = (round * EVENTS..(round + 1) * EVENTS)
            .map(|number| StoredKey { key: VersionKey(half(number)), time_ms: 1 })
            .collect();
        let commit = Commit { epoch: 1, keys, ..Commit::default() };
        let started = Instant::now();
        store.commit(&lease, &machines(), &commit).await.expect("commit");
        if round % 10 == 9 {
            println!("commit {} of 10,000 keys: {:?}", round + 1, started.elapsed());
        }
    }
    println!("{} octets written per key", (proc("io", "write_bytes:") - written) / (50 * EVENTS));
    let started = Instant::now();
    for round in 0..40 {
        let question: Vec<VersionKey> = (0..256).map(|number| VersionKey(half(round * 256 + number * 1900))).collect();
        store.known(&machines(), &question).await.expect("known");
    }
    println!("256 of 500,000 keys: {:?}", started.elapsed() / 40);
    let started = Instant::now();
    for round in 0..10 {
        let question: Vec<VersionKey> = (0..EVENTS).map(|number| VersionKey(half(round + number * 49))).collect();
        store.known(&machines(), &question).await.expect("known");
    }
    println!("10,000 of 500,000 keys: {:?}", started.elapsed() / 10);
    for forget_before_ms in [2, 2, 2] {
        let progress = Progress { forget_before_ms: Some(forget_before_ms), ..Progress::default() };
        let keys =
            (0..12_500).map(|number| StoredKey { key: VersionKey(half(number + 10_000_000)), time_ms: 1 }).collect();
        let started = Instant::now();
        store
            .commit(&lease, &machines(), &Commit { epoch: 1, keys, progress, ..Commit::default() })
            .await
            .expect("commit");
        println!("commit that stores 12,500 and sweeps 50,000: {:?}", started.elapsed());
    }

    store.attach("devo", &machines(), &StartAt::Oldest).await.expect("attach");
    let mut transaction = store.connections.write().await.expect("writer");
    let filled = sqlx::query(
        "INSERT INTO batch (stream, number, epoch, lease, fence, input, service, tag, pulled_ms, frames, events,
                            raw_octets, octets, stored_ms)
         SELECT 1, value, 1, 'stream', 1, 'acme', 'machines', 'a tag of the usual length', 0, 1, 1, 1, 1, 1
         FROM (WITH RECURSIVE numbers (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < 100000)
               SELECT value FROM numbers)",
    );
    let done = filled.execute(&mut *transaction).await.map(drop).map_err(Into::into);
    if let Err(error) = transaction.end(done).await {
        println!("{error:?}");
    }
    let started = Instant::now();
    let depth = store.depth("devo").await.expect("depth");
    println!("depth of {} batches: {:?}", depth.events, started.elapsed());
    println!("{} KiB now, {} KiB at most", proc("status", "VmRSS:"), proc("status", "VmHWM:"));
}

/// Shows snapshots of `count` entities to the store, page by page, and asks what a snapshot's end asks.
async fn snapshots_of(count: u64) {
    let disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    let lease = store.acquire("stream", "node", Duration::from_secs(1000)).await.expect("acquire").expect("free");
    for snapshot in 1..=3 {
        let (mut asked, mut stored, written) = (Duration::ZERO, Duration::ZERO, proc("io", "write_bytes:"));
        let mut slowest = Duration::ZERO;
        // The last snapshot lacks a tenth.
        let present = if snapshot == 3 { count / 10 * 9 } else { count };
        for first in (0..present).step_by(EVENTS as usize) {
            let seen: Vec<Seen> = (first..(first + EVENTS).min(present))
                .map(|number| {
                    let (key, content) = (half(number), half(number + snapshot));
                    let id =
                        VersionKey(half(number + 7)).0.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
                    Seen { key: EntityKey(key), id: format!("{id}01234567"), snapshot, content }
                })
                .collect();
            let question: Vec<EntityKey> = seen.iter().map(|seen| seen.key).collect();
            let started = Instant::now();
            let answer = store.last_seen(&machines(), &question).await.expect("last seen");
            assert_eq!(answer.iter().filter(|last| last.is_some()).count() == answer.len(), snapshot > 1);
            asked += started.elapsed();
            let started = Instant::now();
            store.commit(&lease, &machines(), &Commit { epoch: 1, seen, ..Commit::default() }).await.expect("commit");
            stored += started.elapsed();
            slowest = slowest.max(started.elapsed());
        }
        let pages = u32::try_from(present.div_ceil(EVENTS)).expect("few");
        println!(
            "snapshot {snapshot} of {count}: last_seen {:?}, commit {:?} (slowest {slowest:?}) for 10,000; {} octets written each",
            asked / pages,
            stored / pages,
            (proc("io", "write_bytes:") - written) / present
        );
    }
    let started = Instant::now();
    let counted = store.count_absent(&machines(), 3).await.expect("count");
    println!("count_absent {counted:?}: {:?}", started.elapsed());
    let started = Instant::now();
    let absent = store.absent(&machines(), 3, 10_000).await.expect("absent");
    println!("absent {}: {:?}", absent.len(), started.elapsed());
    let started = Instant::now();
    let gone = absent.into_iter().map(|(key, _)| key).collect();
    store.commit(&lease, &machines(), &Commit { epoch: 1, gone, ..Commit::default() }).await.expect("commit");
    println!("gone 10,000: {:?}", started.elapsed());
    println!("{} KiB now, {} KiB at most", proc("status", "VmRSS:"), proc("status", "VmHWM:"));
}

#[tokio::test]
#[ignore = "a measurement"]
async fn snapshots_of_a_hundred_thousand_and_a_million_entities() {
    snapshots_of(100_000).await;
    snapshots_of(1_000_000).await;
}
