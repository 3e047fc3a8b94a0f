//! `state` and `explain`: everyday work on what the collector keeps, beside it and instead of it.

use crate::harness::{Bench, Ended, Signal, assert_same, in_25_pages};
use md5::{Digest, Md5};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;
use tokio::time::timeout;

/// A picture that never comes guards against a suite that never ends; nothing is measured by it.
const HANGS: Duration = Duration::from_secs(300);

/// Runs a command with the configuration to its end.
async fn command(bench: &Bench, arguments: &[&str]) -> Ended {
    bench.launch(&[arguments, &["--config", "config.yaml"]].concat()).ended().await
}

/// `explain` as JSON.
async fn explained(bench: &Bench, id: &str) -> Value {
    let ended = command(bench, &["explain", id, "--format", "json"]).await;
    serde_json::from_str(&ended.stdout).expect("one JSON object")
}

/// How often each `@event_id` lies in the file of alerts.
fn event_ids(bench: &Bench) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(bench.path("out/alerts.ndjson")).unwrap_or_default();
    let mut ids = BTreeMap::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("one JSON object a line");
        *ids.entry(event["@event_id"].as_str().expect("a text").to_owned()).or_default() += 1;
    }
    ids
}

/// Unit: milliseconds since 1970, UTC.
fn ms(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
}

/// Digits become `0`, runs of them one, so that times and ids of a run do not matter.
fn placeholders(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        let digit = letter.is_ascii_digit();
        if !(digit && plain.ends_with('0')) {
            plain.push(if digit { '0' } else { letter });
        }
    }
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_collector_show_verify_and_explain_read_and_what_writes_is_exit_4_with_its_pid() {
    let bench = Bench::start(|config| config.alerts.count = 40).await;
    let empty = command(&bench, &["state", "show", "--format", "json"]).await.exits(0);
    assert!(
        empty.stderr.contains("there is no state yet") && empty.stdout.contains("\"starting\""),
        "{}",
        empty.stdout
    );
    assert!(!bench.path("state").exists(), "a look makes no folder");
    let running = bench.run(&[]);
    let current = async {
        loop {
            let status = if bench.path("state/mde-collector.db").exists() { bench.status().await } else { Value::Null };
            let delivered = status["outputs"][0]["depth_events"] == 0 && status["outputs"][0]["unconfirmed"] == 0;
            if status["streams"][0]["state"] == "current" && delivered {
                return status;
            }
        }
    };
    let status = timeout(HANGS, current).await.expect("it becomes current");
    let stream = &status["streams"][0];
    assert_eq!((&stream["tenant"], &stream["service"]), (&Value::from("simulated"), &Value::from("alerts")));
    assert_eq!(
        (&stream["backend"], &stream["error"], &stream["advice"]),
        (&"mde".into(), &Value::Null, &"nothing to do".into())
    );
    assert_eq!(stream["last_pull"]["rows"], 40);
    assert!(stream["checkpoint"].is_string() && stream["lag_s"].is_u64());
    assert_eq!(status["outputs"][0]["name"], "files");
    assert_eq!(status["outbox"], serde_json::json!({"bytes": 0, "max_bytes": 4_u64 << 30}));

    command(&bench, &["state", "verify"]).await.exits(0);
    let id = bench.versions().into_keys().next().expect("an alert").0;
    command(&bench, &["explain", &id]).await.exits(0);
    command(&bench, &["state", "export", "beside.ndjson"]).await.exits(0);
    let pid = fs::read_to_string(bench.path("state/mde-collector.lock")).expect("it is named");
    for writes in [
        &["state", "reset"][..],
        &["state", "replay"],
        &["state", "drop-output", "old"],
        &["state", "import", "beside.ndjson"],
    ] {
        let ended = command(&bench, writes).await.exits(4);
        assert!(ended.stderr.contains(&format!("process {}", pid.trim())), "{}", ended.stderr);
    }
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
    let after = bench.status().await;
    assert_eq!(after["streams"][0]["state"], "current");
    assert!(after["streams"][0]["advice"].as_str().expect("a text").contains("no collector is running"), "{after}");
    let table = command(&bench, &["state", "show"]).await.exits(0).stdout;
    assert!(table.lines().all(|line| line.chars().count() <= 80) && !table.contains('\u{1b}'), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_role_is_missing_says_so_and_what_to_do() {
    let bench =
        Bench::start(|config| config.roles.retain(|role| !role.contains("Alert") && !role.contains("Incident"))).await;
    bench.once().await.exits(3);
    let stream = bench.status().await["streams"][0].clone();
    assert_eq!(stream["state"], "denied", "{stream}");
    assert!(stream["error"].as_str().is_some_and(|error| !error.is_empty()), "{stream}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_explained_and_arrives_once_after_a_replay() {
    let bench = Bench::start(|config| {
        config.alerts.count = 60;
        config.alerts.evidence = 0..=3;
    })
    .await;
    let config = fs::read_to_string(bench.path("config.yaml")).expect("readable");
    bench.edit("path: ", "max_event_bytes: 1024B\n      path: ");
    bench.once().await.exits(0);
    let letters = bench.status().await["outputs"][0]["dead_letters"].as_u64().expect("a number");
    let before = event_ids(&bench);
    assert!(letters > 0, "the limit is below the largest event");
    let mut dead = 0;
    for (id, _) in bench.versions().into_keys() {
        let story = explained(&bench, &id).await;
        let fates = story["versions"][0]["outputs"].as_array().expect("a list");
        for fate in fates.iter().filter(|fate| fate["state"] == "dead_letter") {
            assert!(fate["reason"].as_str().is_some_and(|reason| reason.contains("1024")), "{fate}");
            dead += fate["events"].as_u64().expect("a number");
        }
    }
    assert_eq!(dead, letters);
    fs::write(bench.path("config.yaml"), config).expect("writable");
    command(&bench, &["state", "replay", "--output", "nobody"]).await.exits(2);
    let told = command(&bench, &["state", "replay"]).await.exits(0).stdout;
    assert_eq!(told.trim(), format!("files: {letters} dead letters are sent again by the next run"));
    bench.once().await.exits(0);
    let after = event_ids(&bench);
    assert_eq!(after.len() as u64, before.len() as u64 + letters);
    assert!(after.values().all(|times| *times == 1));
    assert_eq!(bench.status().await["outputs"][0]["dead_letters"], 0);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reset_everything_is_sent_again_under_the_same_event_ids() {
    let bench = Bench::start(|config| config.alerts.count = 30).await;
    bench.once().await.exits(0);
    let first = event_ids(&bench);
    command(&bench, &["state", "reset", "--service", "machines"]).await.exits(0);
    command(&bench, &["state", "reset", "--tenant", "nobody"]).await.exits(2);
    bench.once().await.exits(0);
    assert_eq!(event_ids(&bench), first, "another service's reset is none of its business");
    let told =
        command(&bench, &["state", "reset", "--service", "alerts", "--tenant", "simulated"]).await.exits(0).stdout;
    assert!(told.contains("/alerts: starts again, epoch 2"), "{told}");
    bench.once().await.exits(0);
    let twice: BTreeMap<String, u64> = first.into_iter().map(|(id, times)| (id, 2 * times)).collect();
    assert_eq!(event_ids(&bench), twice);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_collectors_state_goes_on_elsewhere_without_loss_or_doubles() {
    const ALERTS: usize = 5_000;
    let bench = Bench::start(in_25_pages(ALERTS)).await;
    let devo = bench.devo().await;
    let killed = bench.run(&["--once"]);
    devo.wait_events(1_000).await;
    killed.signal(Signal::KILL);
    killed.ended().await.was_killed();
    command(&bench, &["state", "export", "moved.ndjson"]).await.exits(0);
    command(&bench, &["state", "export", "moved.ndjson"]).await.exits(2);
    let elsewhere = "globals:\n  persistence: {type: filesystem, config: {directory_name: elsewhere}}\n";
    bench.edit("globals:\n", elsewhere);
    // A file that was cut is not taken, and leaves the folder as empty as it was.
    let whole = fs::read(bench.path("moved.ndjson")).expect("readable");
    fs::write(bench.path("cut.ndjson"), &whole[..whole.len() / 2]).expect("writable");
    command(&bench, &["state", "import", "cut.ndjson"]).await.exits(2);
    command(&bench, &["state", "import", "moved.ndjson"]).await.exits(0);
    command(&bench, &["state", "import", "moved.ndjson"]).await.exits(2);
    command(&bench, &["state", "verify"]).await.exits(0);
    bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), ALERTS);
    assert_same(&bench.arrived(), &bench.expected());
    assert_same(&devo.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_says_what_is_wrong_with_the_files_and_the_way_out() {
    let bench = Bench::start(|config| config.alerts.count = 300).await;
    command(&bench, &["state", "verify"]).await.exits(2);
    bench.once().await.exits(0);
    command(&bench, &["state", "verify"]).await.exits(0);
    let database = bench.path("state/mde-collector.db");
    let whole = fs::read(&database).expect("readable");
    let mut scratched = whole.clone();
    scratched[8_192..].fill(0xa5);
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&999_u32.to_be_bytes());
    let cut = whole[..whole.len() / 2].to_vec();
    for (content, way_out) in
        [(scratched, "backup"), (cut, "backup"), (newer, "newer version"), (b"a diary".to_vec(), "directory_name")]
    {
        fs::write(&database, &content).expect("writable");
        let ended = command(&bench, &["state", "verify"]).await.exits(4);
        assert!(ended.stderr.contains("way out: ") && ended.stderr.contains(way_out), "{}", ended.stderr);
        assert_eq!(fs::read(&database).expect("readable"), content, "a look changes nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_explained_from_its_request_to_its_delivery() {
    let bench = Bench::start(|config| {
        config.alerts.count = 20;
        config.alerts.evidence = 2..=2;
    })
    .await;
    bench.once().await.exits(0);
    let id = bench.versions().into_keys().next().expect("an alert").0;
    let story = explained(&bench, &id).await;
    let version = &story["versions"][0];
    let named: Vec<&str> = version["event_ids"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let events = bench.events(mde_sim::Service::Alerts);
    let sent: Vec<&str> = events
        .iter()
        .filter(|event| event["id"] == id.as_str())
        .filter_map(|event| event["@event_id"].as_str())
        .collect();
    assert_eq!(named, sent, "the names are those under which it arrived");
    assert_eq!((&version["events"], &version["batch"]), (&2.into(), &1.into()));
    assert_eq!(version["outputs"][0]["state"], "delivered");
    assert!(version["outputs"][0]["at"].is_string(), "{version}");

    let table = command(&bench, &["explain", &id]).await.exits(0).stdout;
    let table = placeholders(&table.replace(&id, "ALERT"));
    let table = named.iter().fold(table, |table, id| table.replace(&placeholders(id), "EVENT"));
    assert_eq!(table, include_str!("../golden/explain.txt"), "{table}");

    let unknown = command(&bench, &["explain", "nobody"]).await.exits(1).stdout;
    assert!(unknown.contains("not seen") && unknown.contains("/alerts: read up to "), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_output_is_explained_and_goes_with_it_when_it_is_dropped() {
    let bench = Bench::start(|config| config.alerts.count = 20).await;
    let without = fs::read_to_string(bench.path("config.yaml")).expect("readable");
    // A receiver that nobody answers for.
    let old = "  old:\n    type: relay\n    config: {type: TCP, address: 127.0.0.1, port: 1}\n";
    fs::write(bench.path("config.yaml"), format!("{without}{old}")).expect("writable");
    bench.run(&["--once", "--drain-timeout", "1s"]).ended().await.exits(1);
    let id = bench.versions().into_keys().next().expect("an alert").0;
    let story = explained(&bench, &id).await;
    let states: Vec<(&Value, &Value)> = story["versions"][0]["outputs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|fate| (&fate["output"], &fate["state"]))
        .collect();
    assert_eq!(states, [(&"files".into(), &"delivered".into()), (&"old".into(), &"waiting".into())]);
    assert_eq!(bench.status().await["outputs"][1]["state"], "retrying");
    command(&bench, &["state", "drop-output", "old"]).await.exits(2);
    fs::write(bench.path("config.yaml"), without).expect("writable");
    let told = command(&bench, &["state", "drop-output", "old"]).await.exits(0).stdout;
    assert!(told.starts_with("old: forgotten, with "), "{told}");
    command(&bench, &["state", "drop-output", "old"]).await.exits(2);
    let status = bench.status().await;
    assert_eq!((status["outputs"].as_array().expect("a list").len(), &status["outbox"]["bytes"]), (1, &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_official_collector_stood_the_first_pull_begins() {
    let bench = Bench::start(|config| config.alerts.count = 200).await;
    let text = fs::read_to_string(bench.path("config.yaml")).expect("readable");
    let id = text.lines().find_map(|line| line.trim().strip_prefix("id: ")).expect("the input has one");
    let mut times: Vec<String> = bench.shown().into_keys().map(|(_, time, _)| time).collect();
    times.sort_unstable_by_key(|time| ms(time));
    let stood = times[times.len() / 2].clone();
    let name: String =
        Md5::digest(format!("simulated;{id};alerts;None")).iter().map(|octet| format!("{octet:02x}")).collect();
    let mut pickle = b"\x80\x02}(X\x0c\x00\x00\x00lastPollTimeX".to_vec();
    pickle.extend(u32::try_from(stood.len()).expect("short").to_le_bytes());
    pickle.extend(stood.as_bytes());
    pickle.extend(b"X\x03\x00\x00\x00ids]u.");
    fs::create_dir(bench.path("official")).expect("writable");
    fs::write(bench.path("official").join(&name), pickle).expect("writable");
    fs::write(bench.path("official/evil"), b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.").expect("writable");
    let ended = command(&bench, &["state", "import-official", "official"]).await.exits(0);
    assert!(ended.stdout.contains("/alerts: goes on from "), "{}", ended.stdout);
    assert!(ended.stderr.contains("evil: passed over: it asks for the class os.system"), "{}", ended.stderr);
    command(&bench, &["state", "import-official", "official"]).await.exits(1);
    bench.once().await.exits(0);
    let mut expected = bench.shown();
    // The time is kept to the millisecond.
    expected.retain(|(_, time, _), _| ms(time) >= ms(&stood));
    assert!(!expected.is_empty() && expected.len() < times.len());
    assert_same(&bench.arrived(), &expected);
}
