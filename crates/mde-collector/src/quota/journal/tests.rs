//! Two processes are two values of `QuotaFile` on one folder: the locks are those of files, so one process can play both.

use super::*;

const MINUTE_MS: i64 = 60_000;

async fn open(directory: &Path) -> Arc<QuotaFile> {
    Arc::new(QuotaFile::open(directory).await.expect("a folder of our own"))
}

fn owner(file: &Arc<QuotaFile>, name: &str) -> Owner {
    Owner::new(Arc::clone(file), name, "application")
}

fn block(calls: u32, until_ms: i64) -> Block {
    Block { family: Family::Alerts, calls, until_ms }
}

/// The end of the journal and the blocks of others: (calls, whether their process has ended).
fn others(appended: Appended) -> (u64, Vec<(u32, bool)>) {
    match appended {
        Appended::Written { seen } => (seen, Vec::new()),
        Appended::Behind { seen, others } => {
            (seen, others.iter().map(|found| (found.block.calls, found.ended)).collect())
        }
    }
}

#[tokio::test]
async fn whoever_has_not_seen_what_others_wrote_writes_nothing_and_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (open(folder.path()).await, open(folder.path()).await);
    let (one, two) = (owner(&one, "tenant"), owner(&two, "tenant"));
    let first = one.append(0, Some(&block(3, MINUTE_MS))).await.expect("writable");
    assert!(matches!(first, Appended::Written { .. }), "{first:?}");
    let (seen, found) = others(two.append(0, Some(&block(9, MINUTE_MS))).await.expect("readable"));
    assert_eq!(found, [(3, false)], "its process lives");
    let again = two.append(seen, Some(&block(9, MINUTE_MS))).await.expect("writable");
    assert!(matches!(again, Appended::Written { .. }), "{again:?}");
    // One's own blocks are no news.
    let (_, found) = others(one.append(0, None).await.expect("readable"));
    assert_eq!(found, [(9, false)]);
}

#[tokio::test]
async fn a_process_that_is_gone_has_ended_however_it_went() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tidy, killed) = (open(folder.path()).await, open(folder.path()).await);
    owner(&tidy, "tenant").append(0, Some(&block(1, MINUTE_MS))).await.expect("writable");
    let (seen, _) = others(owner(&killed, "tenant").append(0, None).await.expect("readable"));
    owner(&killed, "tenant").append(seen, Some(&block(2, MINUTE_MS))).await.expect("writable");
    // What a kill leaves: the file, and nobody who holds it.
    let left = process_file(folder.path(), killed.process);
    drop(tidy);
    drop(killed);
    File::create(&left).expect("writable");
    let next = open(folder.path()).await;
    assert!(!left.exists(), "it is swept");
    let (_, found) = others(owner(&next, "tenant").append(0, None).await.expect("readable"));
    assert_eq!(found, [(1, true), (2, true)]);
}

#[tokio::test]
async fn applications_do_not_see_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (open(folder.path()).await, open(folder.path()).await);
    owner(&one, "tenant").append(0, Some(&block(3, MINUTE_MS))).await.expect("writable");
    let other = owner(&two, "other").append(0, Some(&block(4, MINUTE_MS))).await.expect("writable");
    assert!(matches!(other, Appended::Written { .. }), "{other:?}");
}

#[tokio::test]
async fn what_no_window_looks_at_is_removed_and_places_are_never_given_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = open(folder.path()).await;
    let (one, mut seen) = (owner(&file, "tenant"), 0);
    for number in 0..2 * TIDY_EVERY {
        let until_ms = if number < 10 { 0 } else { 3 * 3_600_000 };
        (seen, _) = others(one.append(seen, Some(&block(1, until_ms))).await.expect("writable"));
    }
    assert_eq!(seen, 2 * TIDY_EVERY.unsigned_abs());
    let next = open(folder.path()).await;
    let (end, found) = others(owner(&next, "tenant").append(0, None).await.expect("readable"));
    assert_eq!((end, found.len()), (seen, 2 * TIDY_EVERY as usize - 10));
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(FILE);
    let mut foreign =
        SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.expect("ours");
    sqlx::raw_sql("CREATE TABLE theirs (a)").execute(&mut foreign).await.expect("writable");
    let refused = QuotaFile::open(folder.path()).await.err().expect("it is not ours");
    assert!(matches!(refused, QuotaError::Foreign { .. }), "{refused:?}");
    fs::write(&path, "no database at all, and long enough to be looked at").expect("writable");
    let refused = QuotaFile::open(folder.path()).await.err().expect("it is no database");
    assert!(matches!(refused, QuotaError::Database { .. }), "{refused:?}");
}
