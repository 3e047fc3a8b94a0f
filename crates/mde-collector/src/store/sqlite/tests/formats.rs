//! Files of older versions: brought to the newest format with everything that is in them, or left as they are.

use super::*;
use crate::record::{Frame, Position, StreamKey, VersionKey};
use crate::store::sqlite::{check, connection, frame, look};
use crate::store::{Checkpoints, Outbox, Outputs, StartAt, StoreError};
use sqlx::{ConnectOptions, Connection};

/// The only stream.
fn alerts() -> StreamKey {
    StreamKey { tenant: "acme".to_owned(), service: "alerts".to_owned(), query: None }
}

/// The only frame.
fn line() -> Frame {
    Frame { events: 1, body: b"{\"id\":1}\n".to_vec() }
}

/// Makes a file as the version of that format left it: one batch, one key, one output that has confirmed nothing.
async fn make(disk: &Disk, format: i64, clean: bool) {
    fs::create_dir_all(disk.folder()).expect("folder");
    let path = disk.folder().join("mde-collector.db");
    let mut file = connection::for_creation(&path).connect().await.expect("connect");
    check::migrate_to(&mut file, format).await.expect("migrate");
    let row = frame::Row::new(1, 0, frame::pack(&line()));
    let octets = row.body.len();
    let statement = format!(
        "INSERT INTO stream (tenant, service, query, epoch, checkpoint_ms, memory, last_batch, hand)
             VALUES ('acme', 'alerts', '', 1, 77, 'width 7', 1, x'');
         INSERT INTO batch (stream, number, epoch, lease, fence, input, service, tag, pulled_ms, frames, events, raw_octets,
                            octets, stored_ms)
             VALUES (1, 1, 1, 'stream', 1, 'acme', 'alerts', 'tag', 7, 1, 1, {}, {octets}, 8);
         INSERT INTO frame (batch, seq, events, raw_octets, checksum, body)
             VALUES (1, 0, 1, {}, {}, unhex('{}'));
         INSERT INTO version_key (stream, epoch, key, time_ms)
             VALUES (1, 1, unhex('000102030405060708090a0b0c0d0e0f'), 70);
         INSERT INTO output (name, memory, newest_stream) VALUES ('devo', 'm', 1);
         INSERT INTO position (output, stream, batch, frame) VALUES ('devo', 1, 0, {});
         UPDATE store SET octets = {octets}, clean = {};",
        row.raw_octets,
        row.raw_octets,
        row.checksum,
        row.body.iter().map(|octet| format!("{octet:02x}")).collect::<String>(),
        u32::MAX,
        i64::from(clean),
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut file).await.expect("fill");
    // As every file is that a collector has opened once.
    sqlx::query("PRAGMA journal_mode = WAL").execute(&mut file).await.expect("log");
    file.close().await.expect("close");
}

#[tokio::test]
async fn a_file_of_any_older_format_is_brought_up_with_everything_in_it() {
    for format in check::formats() {
        for clean in [true, false] {
            let mut disk = Disk::new();
            make(&disk, format, clean).await;
            // The second time nothing is left to be done.
            for _ in 0..2 {
                let store = disk.open_store().await.expect("an older file is ours");
                let state = store.stream(&alerts()).await.expect("stream");
                assert_eq!((state.checkpoint_ms, &*state.memory, state.last_batch), (Some(77), "width 7", 1));
                let key = VersionKey(std::array::from_fn(|index| index as u8));
                assert_eq!(store.known(&alerts(), &[key]).await.expect("known"), [true]);
                let place = store.attach("devo", &alerts(), &StartAt::Now).await.expect("attach").position;
                assert_eq!(place, Position::START);
                assert_eq!(store.output_memory("devo").await.expect("memory").as_deref(), Some("m"));
                let frames = store.read(&alerts(), place, usize::MAX).await.expect("read");
                assert_eq!(frames.iter().map(|frame| &frame.body).collect::<Vec<_>>(), [&line().body]);
                assert_eq!(store.depth("devo").await.expect("depth").events, 1);
                assert_eq!(
                    store.removed().await.expect("removed"),
                    [],
                    "no file of ours says that it has left anything"
                );
                disk.snapshot();
            }
        }
    }
}

#[tokio::test]
async fn a_file_of_an_older_format_is_copied_before_and_the_copy_is_all_of_it() {
    for format in check::formats() {
        let disk = Disk::new();
        make(&disk, format, false).await;
        drop(disk.open_store().await.expect("an older file is ours"));
        let copy = disk.folder().join(format!("mde-collector.db.format-{format}"));
        if format == check::newest_format() {
            assert!(!copy.exists(), "nothing is brought anywhere");
            continue;
        }
        let back = Disk::new();
        fs::create_dir_all(back.folder()).expect("folder");
        fs::rename(copy, back.folder().join("mde-collector.db")).expect("the copy is there");
        let told = look(&back.folder(), back.clock.wall()).await.err();
        assert!(matches!(told, Some(StoreError::Older { found, .. }) if found == format), "{told:?}");
        let store = back.open_store().await.expect("the copy is a store");
        let frames = store.read(&alerts(), Position::START, usize::MAX).await.expect("read");
        assert_eq!(frames.iter().map(|frame| &frame.body).collect::<Vec<_>>(), [&line().body]);
    }
}

#[tokio::test]
async fn a_look_at_an_older_format_changes_nothing_and_says_so() {
    let disk = Disk::new();
    make(&disk, 1, true).await;
    let path = disk.folder().join("mde-collector.db");
    let before = fs::read(&path).expect("read");
    let error = look(&disk.folder(), disk.clock.wall()).await.err().expect("its tables are not all there");
    assert!(matches!(error, StoreError::Older { found: 1, .. }), "{error:?}");
    assert_eq!(fs::read(&path).expect("read"), before);
}

#[tokio::test]
async fn a_damaged_file_of_an_older_format_is_left_as_it_is() {
    let disk = Disk::new();
    make(&disk, 1, false).await;
    let path = disk.folder().join("mde-collector.db");
    let mut content = fs::read(&path).expect("read");
    let page = connection::PAGE_SIZE as usize;
    content[2 * page..3 * page].fill(0xff);
    fs::write(&path, &content).expect("write");
    let error = disk.open_store().await.err().expect("damaged");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(
        !disk.folder().join("mde-collector.db-wal").exists()
            || length(&disk.folder().join("mde-collector.db-wal")) == 0
    );
    let format = u32::from_be_bytes(fs::read(&path).expect("read")[60..64].try_into().expect("four"));
    assert_eq!(format, 1);
}
