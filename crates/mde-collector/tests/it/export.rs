//! `export`: all of it, each once, as the API gives it; and what is said where it cannot be.

use crate::harness::{Bench, Running, Signal};
use jiff::SignedDuration;
use mde_collector::service;
use mde_sim::{Fault, RequestKind, Service, SimConfig};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// Services whose records have ids.
const WITH_IDS: [Service; 6] = [
    Service::Alerts,
    Service::Machines,
    Service::Vulnerabilities,
    Service::Software,
    Service::Recommendations,
    Service::Investigations,
];

/// A small tenant, all of it within the last week.
fn small(config: &mut SimConfig) {
    config.alerts.count = 400;
    config.alerts.evidence = 0..=2;
    config.machines.count = 60;
    config.investigations.span = Duration::from_secs(6 * 86_400);
    config.hunting.rows_per_minute = 0.2;
}

/// Starts an export.
fn export(bench: &Bench, arguments: &[&str]) -> Running {
    bench.launch(&[&["export"], arguments, &["--config", "config.yaml"]].concat())
}

/// How often each line is there.
fn count<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u64> {
    let mut counted = BTreeMap::new();
    lines.for_each(|line| *counted.entry(line).or_default() += 1);
    counted
}

/// A member of each line.
fn members(lines: &str, name: &str) -> Vec<String> {
    let member = |line| serde_json::from_str::<Value>(line).expect("JSON")[name].as_str().expect("a text").to_owned();
    lines.lines().map(member).collect()
}

/// What lies in the folder of a bench, besides its configuration and state.
fn left(bench: &Bench) -> BTreeSet<String> {
    let files = fs::read_dir(bench.path("")).expect("a folder").flatten();
    let names = files.map(|file| file.file_name().into_string().expect("text"));
    names.filter(|name| !["config.yaml", "state"].contains(&name.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_comes_whole_each_entity_once_and_byte_for_byte_whatever_the_configuration_reads() {
    let bench = Bench::start(small).await;
    for service in WITH_IDS {
        let ended = export(&bench, &[service.name()]).ended().await.exits(0);
        let picture = bench.sim.world().picture();
        let wanted: Vec<String> = picture.entities(service).map(|entity| entity.body).collect();
        assert!(!wanted.is_empty(), "{service:?}");
        assert!(
            count(ended.stdout.lines()) == count(wanted.iter().map(String::as_str)),
            "{service:?}: {} lines, {} entities",
            ended.stdout.lines().count(),
            wanted.len()
        );
        assert_eq!(ended.stderr, "", "{service:?}");
    }
    let state = fs::read_dir(bench.path("state")).expect("the budget is there").flatten();
    let state: Vec<_> = state.map(|file| file.file_name().into_string().expect("text")).collect();
    assert!(state.iter().all(|name| name.contains("quota")), "only the budget is written down: {state:?}");
    assert!(left(&bench).is_empty(), "{:?}", left(&bench));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_query_come_as_often_as_they_are_there_under_either_spelling_of_the_service() {
    let bench = Bench::start(|config| {
        small(config);
        config.hunting.row_cap = 500;
    })
    .await;
    let queries = "\n          - {name: logons, query: DeviceLogonEvents, devo_tag: my.app.x, timestamp_column: Timestamp, row_cap: 500}\n          - {name: machines, query: DeviceInfo, devo_tag: my.app.y}";
    bench.ask(&format!("advanced_huntuing:\n        queries:{queries}"));
    // Nothing is younger than that, so that the tenant is the same before and after.
    let until = (bench.sim.clock().now() - SignedDuration::from_hours(1)).to_string();
    let arguments = ["advanced_huntuing", "--query", "logons", "--since", "6d", "--until", &until];
    let ended = export(&bench, &arguments).ended().await.exits(0);
    let rows = bench.sim.world().hunt("DeviceLogonEvents").expect("a good query");
    let since = (bench.sim.clock().now() - SignedDuration::from_hours(6 * 24 - 1)).to_string();
    let within = |row: &&String| {
        let time = serde_json::from_str::<Value>(row).expect("JSON")["Timestamp"].as_str().expect("a text").to_owned();
        time > since && time < until
    };
    let found = count(ended.stdout.lines());
    let wanted: Vec<&String> = rows.iter().filter(within).collect();
    assert!(wanted.len() > 500, "more than one answer: {}", wanted.len());
    for row in &wanted {
        let times = wanted.iter().filter(|other| other == &row).count() as u64;
        assert_eq!(found.get(row.as_str()), Some(&times), "{row}");
    }
    let several = export(&bench, &["advanced_hunting"]).ended().await.exits(2);
    assert!(several.stderr.contains("logons, machines") && several.stderr.contains("--query"), "{}", several.stderr);
    let timeless = export(&bench, &["advanced_hunting", "--query", "machines", "--since", "1d"]).ended().await.exits(2);
    assert!(timeless.stderr.contains("timestamp_column"), "{}", timeless.stderr);
    export(&bench, &["advanced_hunting", "--output", "{query}.ndjson"]).ended().await.exits(0);
    assert_eq!(left(&bench), ["logons.ndjson", "machines.ndjson"].map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_changes_while_it_is_read_comes_once_and_none_is_missing() {
    let bench = Bench::start(|config| {
        config.alerts.count = 5_000;
        config.alerts.evidence = 1..=1;
        config.page.size = 400;
    })
    .await;
    let ids: Vec<String> = bench.sim.world().versions().into_iter().map(|version| version.id).collect();
    let (clock, next, all) = (bench.sim.clock().clone(), AtomicUsize::new(0), ids.clone());
    bench.sim.scenario().after_rows(300, move |world| {
        for _ in 0..10 {
            let number = next.fetch_add(1, Ordering::Relaxed);
            // One that was updated later than that stays as it is.
            let _ = world.update_alert(&all[number * 7_919 % all.len()], clock.now());
        }
    });
    let ended = export(&bench, &["alerts"]).ended().await.exits(0);
    let exported = members(&ended.stdout, "id");
    let different: BTreeSet<&String> = exported.iter().collect();
    assert_eq!(different.len(), exported.len(), "each once");
    // One that moved behind the end while it was read is younger than the export.
    let versions = bench.sim.world().versions().into_iter().map(|version| (version.id, version.last_update_time));
    let (versions, newest): (BTreeMap<_, _>, _) =
        (versions.collect(), members(&ended.stdout, "lastUpdateTime").into_iter().max());
    let missing: Vec<_> =
        ids.iter().filter(|id| !different.contains(id) && versions.get(*id) <= newest.as_ref()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_reader_finds_in_the_csv_what_is_in_the_lines() {
    let bench = Bench::start(small).await;
    for service in [Service::Alerts, Service::Software] {
        let lines = export(&bench, &[service.name()]).ended().await.exits(0).stdout;
        let file = format!("{}.csv", service.name());
        export(&bench, &[service.name(), "--format", "csv", "--output", &file]).ended().await.exits(0);
        let mut reader = csv::Reader::from_path(bench.path(&file)).expect("it is there");
        let columns: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
        let mut rows = reader.records();
        for line in lines.lines() {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let record = record.as_object().expect("an object");
            let row = rows.next().expect("as many").expect("a row");
            assert!(record.keys().all(|key| columns.contains(key)));
            for (column, cell) in columns.iter().zip(&row) {
                match record.get(column) {
                    None | Some(Value::Null) => assert_eq!(cell, "", "{column}"),
                    Some(Value::String(text)) => assert_eq!(cell, text, "{column}"),
                    Some(nested) => assert_eq!(&serde_json::from_str::<Value>(cell).expect("JSON"), nested, "{column}"),
                }
            }
        }
        assert!(rows.next().is_none(), "no more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flattened_alerts_are_the_events_that_run_stores_and_hidden_values_stay_hidden() {
    let bench = Bench::start(small).await;
    bench.ask("alerts: {obfuscation_data: [{name: title, value: hidden}]}");
    bench.once().await.exits(0);
    let exported = export(&bench, &["alerts", "--flatten"]).ended().await.exits(0).stdout;
    let plain = |line: &str| {
        let mut event: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["title"], "hidden");
        event.as_object_mut().expect("an object").remove("@devo_pulling_id").expect("every event has its pull");
        event.to_string()
    };
    let stored: BTreeSet<String> = bench.lines(Service::Alerts).iter().map(|line| plain(line)).collect();
    assert_eq!(exported.lines().map(plain).collect::<BTreeSet<_>>(), stored, "with the same @event_id");
    let entities = export(&bench, &["alerts"]).ended().await.exits(0).stdout;
    assert!(members(&entities, "title").iter().all(|title| title == "hidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_entity_comes_by_its_id_and_what_belongs_to_it_by_each_topic() {
    let bench = Bench::start(small).await;
    for service in WITH_IDS {
        let entity = bench.sim.world().picture().entities(service).next().expect("there is one");
        let ended = export(&bench, &[service.name(), "--id", &entity.id]).ended().await.exits(0);
        assert_eq!(ended.stdout.trim_end(), entity.body, "{service:?}");
        for count in service::find(service.name()).expect("it is in the table").counts {
            let topic = ["--topic", count.topic()];
            let ended = export(&bench, &[&[service.name(), "--id", &entity.id], &topic[..]].concat()).ended().await;
            let ended = ended.exits(0);
            assert!(
                ended.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|it| it.is_object()))
            );
        }
    }
    let machine = bench.sim.world().machine_id(1);
    let ended = export(&bench, &["machines", "--id", &machine, "--topic", "software"]).ended().await.exits(0);
    let software = members(&ended.stdout, "id");
    assert!(!software.is_empty() && software.iter().collect::<BTreeSet<_>>().len() == software.len());
    let mut lists = BTreeSet::new();
    for users in ["logon_users", "logonusers", "users"] {
        let ended = export(&bench, &["machines", "--id", &machine, "--topic", users]).ended().await.exits(0);
        lists.insert(ended.stdout);
    }
    assert!(lists.len() == 1 && lists.first().is_some_and(|list| !list.is_empty()), "{lists:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_exported_is_told_with_the_right_words_and_leaves_nothing_behind() {
    let bench = Bench::start(small).await;
    let machine = bench.sim.world().machine_id(1);
    let told: [(&[&str], i32, &[&str]); 9] = [
        (
            &["alerts", "--id", "no such", "--output", "a.ndjson"],
            1,
            &["simulated/alerts", "no such", "none with this id"],
        ),
        (&["machines", "--id", "no such", "--topic", "software"], 1, &["no such", "none with this id"]),
        (&["machines", "--id", &machine, "--topic", "files"], 2, &["files", "logon_users, alerts"]),
        (&["investigations", "--id", "1", "--topic", "users"], 2, &["there is none"]),
        (&["machines", "--since", "7d"], 2, &["machines has no time"]),
        (&["alerts", "--since", "1d", "--until", "2d"], 2, &["before the second"]),
        (&["alerts", "--since", "yesterday"], 2, &["yesterday", "7d"]),
        (&["alert"], 2, &["there is alerts, machines"]),
        (&["advanced_hunting"], 2, &["no query", "`hunt`"]),
    ];
    for (arguments, code, words) in told {
        let ended = export(&bench, arguments).ended().await.exits(code);
        for word in words {
            assert!(ended.stderr.contains(word), "{arguments:?}: {word:?} is not in {}", ended.stderr);
        }
        assert!(ended.stdout.is_empty() && left(&bench).is_empty(), "{arguments:?}: {:?}", left(&bench));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_export_keeps_what_it_has_under_another_name_and_the_next_one_is_whole() {
    let bench = Bench::start(|config| {
        config.alerts.count = 3_000;
        config.page.size = 500;
    })
    .await;
    bench.sim.scenario().times(RequestKind::Alerts, 6, Fault::Pass);
    bench.sim.scenario().always(RequestKind::Alerts, Fault::Slow { bytes: 2_000, pause_ms: 10 });
    let running = export(&bench, &["alerts", "--output", "alerts.ndjson"]);
    bench.sim.ledger().wait_rows_served(1_500).await;
    running.signal(Signal::INT);
    let ended = running.ended().await.exits(1);
    assert!(ended.stderr.contains("interrupted") && ended.stderr.contains("alerts.ndjson.partial"), "{}", ended.stderr);
    assert_eq!(left(&bench), ["alerts.ndjson.partial".to_owned()].into());
    let partial = fs::read_to_string(bench.path("alerts.ndjson.partial")).expect("text");
    let ids = members(&partial, "id");
    assert!(!ids.is_empty() && ids.len() < 3_000, "{}", ids.len());
    bench.sim.scenario().clear();
    export(&bench, &["alerts", "--output", "alerts.ndjson"]).ended().await.exits(0);
    assert_eq!(left(&bench), ["alerts.ndjson".to_owned()].into());
    let whole = fs::read_to_string(bench.path("alerts.ndjson")).expect("text");
    assert_eq!(members(&whole, "id").into_iter().collect::<BTreeSet<_>>(), bench.tenant_ids(Service::Alerts));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_named_and_all_others_are_there() {
    let bench = Bench::start(|config| {
        small(config);
        config.machines.count = 300;
    })
    .await;
    let (machine, alert) = (bench.sim.world().machine_id(77), bench.sim.world().versions()[100].id.clone());
    bench.sim.scenario().poison_always(&machine);
    bench.sim.scenario().poison(&alert);
    for (service, bad, named) in [(Service::Machines, &machine, "of the list"), (Service::Alerts, &alert, &alert)] {
        let file = format!("{}.ndjson", service.name());
        let ended = export(&bench, &[service.name(), "--output", &file]).ended().await.exits(1);
        assert!(ended.stderr.contains("not read") && ended.stderr.contains(named), "{}", ended.stderr);
        let partial = fs::read_to_string(bench.path(&format!("{file}.partial"))).expect("it is kept");
        let mut wanted = bench.tenant_ids(service);
        assert!(wanted.remove(bad));
        assert_eq!(members(&partial, "id").into_iter().collect::<BTreeSet<_>>(), wanted, "{service:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_role_is_exit_3_and_named() {
    // Hunting tables would stand in for the list.
    let is_there =
        |role: &String| !["Software", "ThreatHunting", "AdvancedQuery"].iter().any(|no| role.starts_with(no));
    let bench = Bench::start(|config| config.roles.retain(is_there)).await;
    let ended = export(&bench, &["software"]).ended().await.exits(3);
    assert!(ended.stderr.contains("Software.Read.All") && ended.stdout.is_empty(), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_export_calls_is_missing_in_everybodys_budget() {
    let bench = Bench::start(|config| {
        config.alerts.count = 2_000;
        config.page.size = 200;
    })
    .await;
    export(&bench, &["alerts"]).ended().await.exits(0);
    let calls = bench.sim.ledger().request_count(RequestKind::Alerts);
    assert!(calls > 10, "{calls}");
    let shown = bench.launch(&["state", "show", "--config", "config.yaml", "--format", "json"]).ended().await.exits(0);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let quota = shown["quota"].as_array().expect("rows");
    let used = quota.iter().filter_map(|row| row["hour"]["used"].as_u64()).max();
    assert!(used >= Some(calls), "{calls} calls, {used:?} in the budget");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_inputs_need_a_name_or_a_file_each() {
    let bench = Bench::start(small).await;
    let yaml = bench.sim.inputs_yaml();
    let input = yaml.strip_prefix("inputs:\n").expect("it begins so");
    let second = input.replacen("  simulated:", "  other:", 1).replacen("id: mde-sim-1", "id: other", 1);
    bench.edit("outputs:\n", &format!("{second}outputs:\n"));
    let ended = export(&bench, &["machines"]).ended().await.exits(2);
    assert!(ended.stderr.contains("simulated, other") && ended.stderr.contains("--tenant"), "{}", ended.stderr);
    export(&bench, &["machines", "--output", "{tenant}.ndjson"]).ended().await.exits(0);
    let both = ["other.ndjson", "simulated.ndjson"].map(str::to_owned);
    assert_eq!(left(&bench), both.clone().into());
    for file in both {
        let text = fs::read_to_string(bench.path(&file)).expect("text");
        assert_eq!(members(&text, "id").len(), 60, "{file}");
    }
    let one = export(&bench, &["machines", "--tenant", "other"]).ended().await.exits(0);
    assert_eq!(one.stdout.lines().count(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_enough_ends_it_quietly() {
    let bench = Bench::start(|config| config.alerts.count = 2_000).await;
    let mut command = Command::new("bash");
    let line = "\"$0\" export alerts --config config.yaml | head -c 10; echo \" ${PIPESTATUS[0]}\"";
    command.current_dir(bench.path("")).args(["-c", line, env!("CARGO_BIN_EXE_mde-collector")]);
    let ended = Running::of(command).ended().await.exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("{\"id\":\"da6 0\n", ""));
}
