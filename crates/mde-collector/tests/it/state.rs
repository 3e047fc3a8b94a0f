//! Other programs' files in the state folder.

use crate::harness::{Bench, assert_same};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Files as another collector and another program leave them, below the state folder.
const FOREIGN: &[(&str, &[u8])] = &[
    ("state.json", br#"{"last_event_time": "2026-11-23T08:00:00Z"}"#),
    ("alerts/1/state/persistence.json", br#"{"@persistence_version": 3, "start_time": "2026-11-20T00:00:00Z"}"#),
    ("other.db", b"SQLite format 3\0 of somebody else"),
    ("empty", b""),
];

/// Every file below the folder but for the collector's own.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let named = files.map(|entry| (entry.path().strip_prefix(folder).expect("below it").to_owned(), entry));
    let foreign = named.filter(|(name, _)| !name.to_string_lossy().starts_with("mde-collector"));
    foreign.map(|(name, entry)| (name.display().to_string(), fs::read(entry.path()).expect("readable"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_program_in_the_state_folder_stay_as_they_are_and_are_told_in_one_line() {
    let bench = Bench::start(|_| {}).await;
    for (name, content) in FOREIGN {
        let path = bench.path("state").join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
        fs::write(path, content).expect("writable");
    }
    let before = contents(&bench.path("state"));
    assert_eq!(before.len(), FOREIGN.len());
    let ended = bench.once().await.exits(0);
    let told: Vec<_> = ended.stderr.lines().filter(|line| line.contains("historical_poll_datetime")).collect();
    assert_eq!(told.len(), 1, "{}", ended.stderr);
    assert_eq!(contents(&bench.path("state")), before);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_our_name_that_somebody_else_wrote_is_exit_4_and_stays_as_it_is() {
    let bench = Bench::start(|_| {}).await;
    let database = bench.path("state/mde-collector.db");
    fs::create_dir(bench.path("state")).expect("writable");
    fs::write(&database, b"a diary").expect("writable");
    bench.once().await.exits(4);
    assert_eq!(fs::read(&database).expect("readable"), b"a diary");
    assert_eq!(bench.sim.ledger().request_count(None), 0, "nobody was asked");
}
