//! `hunt`, and what is drawn from the command line itself: completions and manual pages.

use crate::harness::{Bench, Ended, Running};
use mde_sim::RequestKind;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tokio::process::Command;

/// A tenant with some rows to find.
async fn tenant(role: &str) -> Bench {
    Bench::start(|config| {
        config.machines.count = 50;
        config.roles.retain(|known| known == role || !known.contains("Hunting") && !known.contains("Query"));
    })
    .await
}

/// Runs a query to its end.
async fn hunt(bench: &Bench, arguments: &[&str]) -> Ended {
    bench.launch(&[&["hunt", "--config", "config.yaml"], arguments].concat()).ended().await
}

/// Each role with the endpoint that it opens.
const ROLES: [(&str, RequestKind); 2] =
    [("ThreatHunting.Read.All", RequestKind::GraphHunting), ("AdvancedQuery.Read.All", RequestKind::Hunting)];

#[tokio::test(flavor = "multi_thread")]
async fn a_query_runs_on_the_endpoint_that_is_permitted_and_comes_in_each_form() {
    for (role, kind) in ROLES {
        let bench = tenant(role).await;
        let query = "DeviceInfo | project DeviceId, DeviceName | sort by DeviceName asc";
        let wanted = bench.sim.world().hunt(query).expect("a good query");
        // A machine has reported more than once.
        assert!(wanted.len() > 50, "{} rows", wanted.len());
        let wanted: Vec<Value> = wanted.iter().map(|row| serde_json::from_str(row).expect("JSON")).collect();
        let lines = hunt(&bench, &[query, "--format", "ndjson"]).await.exits(0);
        let found: Vec<Value> = lines.stdout.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
        assert_eq!((found, lines.stderr.as_str()), (wanted.clone(), ""));
        fs::write(bench.path("query.kql"), format!("\u{feff}{query}\n")).expect("writable");
        let table = hunt(&bench, &["@query.kql"]).await.exits(0).stdout;
        let mut rows = table.lines();
        assert_eq!(rows.next().expect("titles").split_whitespace().collect::<Vec<_>>(), ["DeviceId", "DeviceName"]);
        for (row, wanted) in rows.by_ref().zip(&wanted) {
            let cells = [&wanted["DeviceId"], &wanted["DeviceName"]].map(|cell| cell.as_str().unwrap_or_default());
            assert_eq!(
                row.split_whitespace().collect::<Vec<_>>(),
                cells.join(" ").split_whitespace().collect::<Vec<_>>()
            );
        }
        assert!(table.contains(&format!("{} rows, times are UTC", wanted.len())), "{table}");
        assert_eq!(table.contains("2027-02-01"), kind == RequestKind::Hunting, "{table}");
        let none = hunt(&bench, &[&format!("{query} | take 0"), "--format", "csv"]).await.exits(0);
        assert_eq!(none.stdout, "DeviceId,DeviceName\r\n");
        assert_eq!(bench.sim.ledger().request_count(kind), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_run_is_told_with_its_place() {
    let bench = tenant("ThreatHunting.Read.All").await;
    let ended = hunt(&bench, &["DeviceInfo\n| where Tiem > 3"]).await.exits(2);
    assert!(ended.stderr.contains("Fix semantic errors in your query."), "{}", ended.stderr);
    assert!(ended.stderr.contains("line 2, column 9:\n  | where Tiem > 3\n          ^^^^"), "{}", ended.stderr);
    let missing = hunt(&bench, &["NoSuchTable | take 1"]).await.exits(2);
    assert!(missing.stderr.contains("^^^^^^^^^^^"), "{}", missing.stderr);
    assert!(ended.stdout.is_empty() && missing.stdout.is_empty());
    hunt(&bench, &["@no.kql"]).await.exits(2);
    let bench = tenant("").await;
    let ended = hunt(&bench, &["DeviceInfo"]).await.exits(3);
    assert!(ended.stderr.contains("ThreatHunting.Read.All"), "{}", ended.stderr);
    let bench = tenant("AdvancedQuery.Read.All").await;
    let ended = hunt(&bench, &["DeviceInfo", "--timespan", "1d"]).await.exits(2);
    assert!(ended.stderr.contains("cannot be told one"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_cut_is_told() {
    let bench = Bench::start(|config| {
        config.machines.count = 50;
        config.hunting.rows_per_minute = 4.0;
        config.hunting.row_cap = 10_000;
    })
    .await;
    let ended = hunt(&bench, &["DeviceLogonEvents", "--format", "ndjson"]).await.exits(0);
    assert_eq!(ended.stdout.lines().count(), 10_000);
    assert!(ended.stderr.contains("cut at 10000 rows"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_comes_from_stdin_too() {
    let bench = tenant("ThreatHunting.Read.All").await;
    let mut command = Command::new("bash");
    let line = "echo 'DeviceInfo | distinct DeviceId' | \"$0\" hunt --config config.yaml - --format ndjson";
    command.current_dir(bench.path("")).args(["-c", line, env!("CARGO_BIN_EXE_mde-collector")]);
    assert_eq!(Running::of(command).ended().await.exits(0).stdout.lines().count(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_commands_options_and_their_values() {
    let script = r#"
        source <("$0" completions bash)
        [[ $(complete -p mde-collector) =~ -F\ ([^ ]+) ]] && completer=${BASH_REMATCH[1]}
        complete_words() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            "$completer" mde-collector "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            echo "${COMPREPLY[*]}"
        }
        complete_words mde-collector exp
        complete_words mde-collector export --fla
        complete_words mde-collector hunt --format n
    "#;
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, env!("CARGO_BIN_EXE_mde-collector")]);
    let ended = Running::of(command).ended().await.exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("explain export\n--flatten\nndjson\n", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn groff_has_nothing_to_say_against_the_manual_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    Running::start(folder.path(), &["man", "man1"], &[]).ended().await.exits(0);
    let pages: Vec<_> =
        fs::read_dir(folder.path().join("man1")).expect("made").flatten().map(|page| page.path()).collect();
    assert!(pages.len() > 20, "{}", pages.len());
    let mut command = Command::new("groff");
    command.args(["-man", "-Tutf8", "-Kutf8", "-ww", "-z"]).args(&pages);
    let ended = Running::of(command).ended().await.exits(0);
    assert_eq!(ended.stderr, "");
    let first = Running::start(folder.path(), &["man"], &[]).ended().await.exits(0).stdout;
    assert!(first.contains(".SH NAME") && Path::new(&folder.path().join("man1/mde-collector.1")).exists());
}
