//! Files that were cut, overwritten, swapped or made by somebody else; disks that are full or cannot be written.

use super::*;
use crate::record::{BatchHead, Frame, Position, StreamKey};
use crate::store::sqlite::{check, connection, foreign_files, frame, look, read};
use crate::store::{BatchCount, BatchId, Checkpoints, Commit, Lease, Leases, Outbox, Progress, StartAt, StoreError};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::time::Duration;

/// The only stream.
fn alerts() -> StreamKey {
    StreamKey { tenant: "acme".to_owned(), service: "alerts".to_owned(), query: None }
}

/// A frame that lz4 cannot shorten, with a word in front that no error may ever quote.
fn telltale(number: u8) -> Frame {
    let mut state = u64::from(number) + 1;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let body = b"TELLTALE ".iter().copied().chain(noise.take(30_000)).collect();
    Frame { events: 1, body }
}

/// Its lease.
async fn lease(store: &SqliteStore) -> Lease {
    let lease = store.acquire("stream", "node", Duration::from_secs(10)).await;
    lease.expect("acquire").expect("free")
}

/// One batch of one frame; the checkpoint tells how many there were.
async fn put(store: &SqliteStore, number: u8) -> Result<u64, StoreError> {
    let (lease, frame) = (lease(store).await, telltale(number));
    let head = BatchHead { input: "i".to_owned(), service: "s".to_owned(), tag: "t".to_owned(), pulled_ms: 0 };
    let id = store.begin(&lease, &alerts(), &head).await?;
    store.append(id, &frame).await?;
    let batch = Some(BatchCount { id, frames: 1, events: 1, bytes: frame.body.len() as u64 });
    let progress = Progress { checkpoint_ms: Some(i64::from(number)), ..Progress::default() };
    let commit = Commit { epoch: 1, batch, keys: Vec::new(), progress, ..Commit::default() };
    Ok(store.commit(&lease, &alerts(), &commit).await?.expect("there was a batch"))
}

/// How many batches there are, proved to be those that were put.
async fn whole(store: &SqliteStore) -> u64 {
    let state = store.stream(&alerts()).await.expect("stream");
    let frames = store.read(&alerts(), Position::START, usize::MAX).await.expect("read");
    assert_eq!(frames.len() as u64, state.last_batch);
    for (number, frame) in (1..).zip(&frames) {
        assert!(frame.position.batch == u64::from(number) && frame.body == telltale(number).body, "batch {number}");
    }
    assert_eq!(state.checkpoint_ms.unwrap_or_default().unsigned_abs(), state.last_batch);
    state.last_batch
}

/// A place with six batches in the database file and nothing in the log.
async fn filled(closed: bool) -> Disk {
    let mut disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    for number in 1..=6 {
        put(&store, number).await.expect("put");
    }
    if closed {
        store.close().await.expect("close");
    } else {
        let mut writer = store.connections.read().await.expect("a connection");
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *writer).await.expect("checkpoint");
        drop(writer);
    }
    disk.snapshot();
    disk
}

/// The database of the present folder.
fn database(disk: &Disk) -> PathBuf {
    disk.folder().join("mde-collector.db")
}

/// Another client's connection to the file.
async fn connect(path: &Path) -> SqliteConnection {
    connection::for_inspection(path).create_if_missing(true).connect().await.expect("connect")
}

/// Runs one statement on the file, as a hand with a shell would.
async fn tamper(disk: &Disk, statement: &'static str) {
    let mut connection = connect(&database(disk)).await;
    sqlx::query(statement).execute(&mut connection).await.expect("tamper");
    connection.close().await.expect("close");
}

/// The error of opening; it must not be one that lets the caller go on.
async fn refusal(disk: &Disk) -> StoreError {
    match disk.open_store().await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_has_ended() {
    let disk = Disk::new();
    let first = disk.open_store().await.expect("open");
    assert!(matches!(refusal(&disk).await, StoreError::Locked { .. }));
    first.close().await.expect("close");
    let second = disk.open_store().await.expect("a closed store leaves the folder free, even before it is dropped");
    assert!(matches!(refusal(&disk).await, StoreError::Locked { .. }));
    drop(second);
    disk.open_store().await.expect("so does a dropped one");
}

#[tokio::test]
async fn a_look_beside_a_running_collector_sees_everything_and_changes_nothing() {
    let disk = Disk::new();
    let (folder, wall) = (disk.folder(), disk.clock.wall());
    let looked = tokio::spawn(async move { look(&folder, wall).await.err() }).await.expect("no panic");
    let error = looked.expect("there is nothing yet");
    assert!(matches!(error, StoreError::Disk(_)), "{error:?}");
    assert!(!disk.folder().exists());

    let store = disk.open_store().await.expect("open");
    put(&store, 1).await.expect("put");
    let beside = look(&disk.folder(), disk.clock.wall()).await.expect("look");
    assert_eq!(whole(&beside).await, 1);
    put(&store, 2).await.expect("the one that works is not disturbed");
    assert_eq!(whole(&beside).await, 2);
    let error = beside.discard(BatchId(1)).await.expect_err("it may not write");
    assert!(matches!(error, StoreError::Disk(_)), "{error:?}");
    drop(beside);
    store.close().await.expect("close");

    tamper(&disk, "PRAGMA user_version = 99").await;
    let error = look(&disk.folder(), disk.clock.wall()).await.err().expect("not for us");
    assert!(matches!(error, StoreError::Newer { .. }), "{error:?}");
}

#[tokio::test]
async fn an_empty_file_is_never_started_anew() {
    let disk = filled(true).await;
    fs::write(database(&disk), b"").expect("write");
    let error = refusal(&disk).await;
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(length(&database(&disk)), 0);
}

#[tokio::test]
async fn a_cut_file_is_refused_wherever_it_was_cut() {
    for closed in [true, false] {
        let mut disk = filled(closed).await;
        let page = u64::from(connection::PAGE_SIZE);
        let full = length(&database(&disk));
        for left in [1, 99, 100, 511, 512, page - 1, page, page + 1, full / 2, full - page - 1, full - page, full - 1] {
            disk.snapshot();
            fs::File::options().write(true).open(database(&disk)).and_then(|file| file.set_len(left)).expect("cut");
            let error = refusal(&disk).await;
            assert!(
                matches!(error, StoreError::Damaged { .. } | StoreError::Foreign { .. }),
                "{left} of {full} octets: {error:?}"
            );
            // Back to the whole one.
            disk.generation -= 1;
            fs::remove_dir_all(disk.root.path().join((disk.generation + 1).to_string())).expect("remove");
        }
        let store = disk.open_store().await.expect("the whole file is still good");
        assert_eq!(whole(&store).await, 6);
    }
}

#[tokio::test]
async fn after_an_unclean_end_no_lost_page_goes_unnoticed() {
    let mut disk = filled(false).await;
    let page = connection::PAGE_SIZE as usize;
    let good = fs::read(database(&disk)).expect("read");
    let mut refused = 0;
    for number in 0..good.len() / page {
        disk.renew();
        fs::create_dir(disk.folder()).expect("a new folder");
        let mut bad = good.clone();
        bad[number * page..(number + 1) * page].fill(0);
        fs::write(database(&disk), bad).expect("write");
        match disk.open_store().await {
            // The page was free.
            Ok(store) => assert_eq!(whole(&store).await, 6, "page {number}"),
            Err(StoreError::Damaged { .. } | StoreError::Foreign { .. }) => refused += 1,
            Err(other) => panic!("page {number}: {other:?}"),
        }
    }
    // Six frames of four pages each, and one page at least for each table and each index.
    assert!(refused > 24 + 10, "{refused}");
}

#[tokio::test]
async fn a_flipped_octet_in_a_frame_is_found_at_the_latest_when_it_is_read() {
    for closed in [true, false] {
        let disk = filled(closed).await;
        let mut content = fs::read(database(&disk)).expect("read");
        // In the middle of the body: its beginning may lie in the file twice, once as what a moved row left behind.
        let part = &frame::pack(&telltale(3)).body[20_000..20_064];
        let place = content.windows(part.len()).position(|window| window == part).expect("the frame is in the file");
        content[place] ^= 1;
        fs::write(database(&disk), content).expect("write");

        let error = if closed {
            let store = disk.open_store().await.expect("after an orderly end nobody looks at every frame");
            assert_eq!(store.read(&alerts(), Position::START, 1).await.expect("frame 1 is sound").len(), 1);
            store.read(&alerts(), Position::after_batch(2), usize::MAX).await.expect_err("frame 3 is not")
        } else {
            refusal(&disk).await
        };
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("TELLTALE"));
    }
}

#[tokio::test]
async fn counts_that_do_not_fit_the_frames_are_damage() {
    for statement in [
        "UPDATE batch SET events = events + 1 WHERE number = 3",
        "UPDATE batch SET octets = octets - 1 WHERE number = 3",
        "UPDATE store SET octets = 0",
        "UPDATE stream SET last_batch = 5",
        "DELETE FROM frame WHERE batch = 2",
        "DELETE FROM store",
        "UPDATE frame SET checksum = checksum + 1 WHERE id = 2",
        "UPDATE frame SET batch = 2, seq = 1 WHERE id = 3",
    ] {
        let disk = filled(false).await;
        tamper(&disk, statement).await;
        let error = refusal(&disk).await;
        assert!(matches!(error, StoreError::Damaged { .. }), "{statement}: {error:?}");
    }
}

#[tokio::test]
async fn somebody_elses_file_is_refused_and_left_as_it_is() {
    let disk = Disk::new();
    fs::create_dir_all(disk.folder()).expect("folder");
    fs::write(database(&disk), "[state]\nlast = 2026-10-01\n".repeat(1000)).expect("write");
    let before = fs::read(database(&disk)).expect("read");
    let error = refusal(&disk).await;
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(database(&disk)).expect("read"), before);

    fs::remove_file(database(&disk)).expect("remove");
    tamper(&disk, "CREATE TABLE theirs (value TEXT)").await;
    let before = fs::read(database(&disk)).expect("read");
    let error = refusal(&disk).await;
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(database(&disk)).expect("read"), before);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_as_it_is() {
    let disk = filled(true).await;
    tamper(&disk, "PRAGMA user_version = 99").await;
    let before = fs::read(database(&disk)).expect("read");
    let error = refusal(&disk).await;
    assert!(
        matches!(error, StoreError::Newer { found: 99, known, .. } if known == check::newest_format()),
        "{error:?}"
    );
    assert_eq!(fs::read(database(&disk)).expect("read"), before);
}

#[tokio::test]
async fn a_log_without_its_database_is_damage() {
    let mut disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    put(&store, 1).await.expect("put");
    disk.snapshot();
    fs::remove_file(database(&disk)).expect("remove");
    let error = refusal(&disk).await;
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(!database(&disk).exists());
}

#[tokio::test]
async fn a_torn_log_gives_an_earlier_moment_and_never_half_of_one() {
    let mut disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    for number in 1..=6 {
        put(&store, number).await.expect("put");
    }
    disk.snapshot();
    drop(store);
    let good = disk.folder();
    let log = good.join("mde-collector.db-wal");
    let full = length(&log);
    assert!(full > 6 * 30_000, "everything is in the log: {full} octets");
    let mut seen = std::collections::BTreeSet::new();
    for part in 0..=60 {
        disk.renew();
        fs::create_dir(disk.folder()).expect("a new folder");
        fs::copy(good.join("mde-collector.db"), database(&disk)).expect("copy");
        let torn = disk.folder().join("mde-collector.db-wal");
        fs::copy(&log, &torn).expect("copy");
        fs::File::options().write(true).open(&torn).and_then(|file| file.set_len(full * part / 60)).expect("tear");
        let store = disk.open_store().await.expect("a power cut is no damage");
        let batches = whole(&store).await;
        assert!(seen.last().is_none_or(|last| batches >= *last), "a longer log knows no less");
        seen.insert(batches);
        assert_eq!(put(&store, u8::try_from(batches + 1).expect("few")).await.expect("put"), batches + 1);
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[tokio::test]
async fn a_broken_off_creation_is_begun_anew() {
    let disk = Disk::new();
    fs::create_dir_all(disk.folder()).expect("folder");
    for helper in ["", "-wal", "-shm", "-journal"] {
        fs::write(disk.folder().join(format!("mde-collector.db.new{helper}")), "half").expect("write");
    }
    let store = disk.open_store().await.expect("open");
    assert_eq!(put(&store, 1).await.expect("put"), 1);
    store.close().await.expect("close");
    let mut names: Vec<_> =
        fs::read_dir(disk.folder()).expect("list").map(|entry| entry.expect("entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["mde-collector.db", "mde-collector.lock", "mde-collector.reserve"]);
}

#[tokio::test]
async fn other_files_are_named_and_left_alone() {
    let disk = Disk::new();
    fs::create_dir_all(disk.folder().join("backup")).expect("folder");
    fs::write(disk.folder().join("alerts.json"), "{}").expect("write");
    let store = disk.open_store().await.expect("open");
    put(&store, 1).await.expect("put");
    assert_eq!(foreign_files(&disk.folder()).expect("list"), ["alerts.json", "backup"]);
    assert_eq!(fs::read_to_string(disk.folder().join("alerts.json")).expect("read"), "{}");
}

/// Runs a pragma on the writing connection: a bound on its pages is as good as a full disk.
async fn limit(store: &SqliteStore, pages: u32) {
    let mut transaction = store.connections.write().await.expect("writer");
    let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    let done = sqlx::query(pragma).fetch_all(&mut *transaction).await.map(drop).map_err(Into::into);
    transaction.end(done).await.expect("pragma");
}

/// Fills what is left, with batches that nobody ever sees. Returns the error that ends it.
async fn stuff(store: &SqliteStore) -> StoreError {
    loop {
        if let Err(error) = put(store, 2).await {
            return error;
        }
    }
}

#[tokio::test]
async fn a_full_disk_stops_writing_and_nothing_else() {
    let disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    put(&store, 1).await.expect("put");
    limit(&store, 1).await;
    // A few frames may still fit into free pages.
    let error = stuff(&store).await;
    assert!(matches!(error, StoreError::Disk(_)), "{error:?}");
    for _ in 0..3 {
        assert!(matches!(put(&store, 2).await, Err(StoreError::Disk(_))), "it stays full, and says so each time");
    }
    assert_eq!(store.read(&alerts(), Position::START, usize::MAX).await.expect("outputs go on").len(), 1);
    limit(&store, 1_000_000).await;
    assert_eq!(put(&store, 2).await.expect("there is room again"), 2);
    assert_eq!(whole(&store).await, 2);
}

#[tokio::test]
async fn the_reserve_is_given_up_for_outputs_alone_and_held_back_again() {
    let disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    let reserve = disk.folder().join("mde-collector.reserve");
    assert_eq!(length(&reserve), 16 << 20);
    store.attach("devo", &alerts(), &StartAt::Oldest).await.expect("attach");
    put(&store, 1).await.expect("put");
    let lease = lease(&store).await;
    limit(&store, 1).await;
    stuff(&store).await;
    assert!(reserve.exists(), "what is pulled does not get it");

    let long = "name ".repeat(20_000);
    let positions = [(alerts(), Position::after_batch(1))];
    let error = store.advance(&lease, "devo", &positions, Some(&long)).await.expect_err("this disk stays full");
    assert!(matches!(error, StoreError::Disk(_)), "{error:?}");
    assert!(!reserve.exists(), "it is given up before an output is refused");
    assert_eq!(store.attach("devo", &alerts(), &StartAt::Now).await.expect("attach").position, Position::START);

    limit(&store, 1_000_000).await;
    store.advance(&lease, "devo", &positions, Some(&long)).await.expect("there is room again");
    store.collect(&["devo".to_owned()]).await.expect("collect");
    assert_eq!(length(&reserve), 16 << 20);
    // One that was broken off while it was made is made anew.
    fs::File::options().write(true).open(&reserve).and_then(|file| file.set_len(5)).expect("cut");
    store.close().await.expect("close");
    disk.open_store().await.expect("open");
    assert_eq!(length(&reserve), 16 << 20);
}

/// Names a folder on a small file system (about 100 MiB) that may be filled up.
const SMALL_DISK: &str = "MDE_COLLECTOR_SMALL_DISK";

#[tokio::test]
#[ignore = "needs a small file system of its own"]
async fn outputs_go_on_while_a_real_disk_is_full() {
    let root = PathBuf::from(std::env::var_os(SMALL_DISK).expect("MDE_COLLECTOR_SMALL_DISK names a folder"));
    let folder = root.join("state");
    fs::remove_dir_all(&folder).ok();
    let store = open(&folder, TestClock::default().wall()).await.expect("open");
    store.attach("devo", &alerts(), &StartAt::Oldest).await.expect("attach");
    let mut batches = 0;
    while batches < 40 {
        batches = put(&store, u8::try_from(batches + 1).expect("few")).await.expect("there is room");
    }
    // Somebody else's file takes all of the rest, and the log is already full of earlier commits.
    let mut filler = fs::File::create(root.join("filler")).expect("create");
    while std::io::Write::write_all(&mut filler, &[1; 4096]).is_ok() {}
    let error = stuff(&store).await;
    assert!(matches!(error, StoreError::Disk(_)), "{error:?}");

    for batch in 1..=40 {
        let lease = lease(&store).await;
        let positions = [(alerts(), Position::after_batch(batch))];
        let memory = batch.to_string().repeat(5_000);
        store.advance(&lease, "devo", &positions, Some(&memory)).await.expect("an output goes on");
        store.collect(&["devo".to_owned()]).await.expect("and frees what it has passed");
    }
    assert!(!folder.join("mde-collector.reserve").exists());
    drop(filler);
    fs::remove_file(root.join("filler")).expect("remove");
    assert_eq!(store.collect(&["devo".to_owned()]).await.expect("collect"), 0);
    assert!(folder.join("mde-collector.reserve").exists());
    let next = whole_after(&store, 40).await + 1;
    put(&store, u8::try_from(next).expect("few")).await.expect("pulling goes on");
    store.close().await.expect("close");
    fs::remove_dir_all(folder).expect("remove");
}

/// The newest batch, where those up to `collected` are gone.
async fn whole_after(store: &SqliteStore, collected: u64) -> u64 {
    let last = store.stream(&alerts()).await.expect("stream").last_batch;
    let frames = store.read(&alerts(), Position::after_batch(collected), usize::MAX).await.expect("read");
    assert_eq!(frames.len() as u64, last - collected);
    last
}

#[tokio::test]
async fn free_octets_are_those_of_the_folders_file_system() {
    let disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    let free = store.free_bytes().await.expect("free");
    assert!(free > 0 && free < u64::MAX, "{free}");
    let beside = look(&disk.folder(), disk.clock.wall()).await.expect("look");
    assert!(beside.free_bytes().await.expect("free") < u64::MAX);
    let memory = open_memory(TestClock::default().wall()).await.expect("open");
    assert_eq!(memory.free_bytes().await.expect("free"), u64::MAX);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_or_written_is_a_disk_error() {
    let root = tempfile::tempdir().expect("folder");
    let file = root.path().join("file");
    fs::write(&file, "").expect("write");
    let error = open(&file.join("state"), TestClock::default().wall()).await.err().expect("a file is no folder");
    assert!(matches!(error, StoreError::Disk(_)), "{error:?}");

    // The superuser writes wherever he likes; for everybody else a read-only folder is one.
    if !rustix::process::geteuid().is_root() {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o555)).expect("chmod");
        let error = open(root.path(), TestClock::default().wall()).await.err().expect("read-only");
        assert!(matches!(error, StoreError::Disk(_)), "{error:?}");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    }
}

#[tokio::test]
async fn every_commit_is_on_the_disk_when_it_returns() {
    let disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    let mut writer = store.connections.write().await.expect("writer");
    for (pragma, expected) in [
        ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
        ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
        ("SELECT CAST(auto_vacuum AS TEXT) FROM pragma_auto_vacuum", "2"),
        ("SELECT CAST(page_size AS TEXT) FROM pragma_page_size", "8192"),
    ] {
        let found: String = sqlx::query_scalar(pragma).fetch_one(&mut *writer).await.expect(pragma);
        assert_eq!(found, expected, "{pragma}");
    }
}

#[tokio::test]
async fn frames_are_read_in_order_without_sorting_them() {
    let store = open_memory(TestClock::default().wall()).await.expect("open");
    let mut reader = store.connections.read().await.expect("reader");
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", read::FRAMES));
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
        .bind("t")
        .bind("s")
        .bind("q")
        .bind(0)
        .bind(0)
        .fetch_all(&mut *reader)
        .await
        .expect("plan");
    let steps: Vec<&str> = plan.iter().map(|(_, _, _, step)| step.as_str()).collect();
    // A sort would hold the whole backlog, bodies included.
    assert!(steps.iter().all(|step| step.starts_with("SEARCH ")), "{steps:?}");
}

#[tokio::test]
async fn what_a_commit_shows_is_synced_also_after_frames_that_were_not() {
    use connection::Durable::{Now, WithTheNext};
    let disk = Disk::new();
    let store = disk.open_store().await.expect("open");
    let setting = async |durable| {
        let mut writer = store.connections.write_durably(durable).await.expect("writer");
        let found: i64 =
            sqlx::query_scalar("SELECT synchronous FROM pragma_synchronous").fetch_one(&mut *writer).await.expect("it");
        writer.end(Ok(found)).await.expect("ended")
    };
    // 2 is FULL: the end waits for the disk. 1 is NORMAL: the log's order is kept, and the disk is not waited for.
    for (durable, expected) in [(Now, 2), (WithTheNext, 1), (WithTheNext, 1), (Now, 2), (WithTheNext, 1)] {
        assert_eq!(setting(durable).await, expected);
    }
    for polls in 0..12 {
        // Cancelled anywhere while the setting changes: whoever comes next finds what he asked for.
        let mut changing = Box::pin(store.connections.write_durably(WithTheNext));
        for _ in 0..polls {
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(changing.as_mut().poll(cx))).await;
            if polled.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(changing);
        assert_eq!(setting(Now).await, 2, "after {polls} polls");
    }
}
