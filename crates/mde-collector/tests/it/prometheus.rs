//! What we hand to Prometheus and Grafana, judged by Prometheus' own tool and by the table of metrics.

use crate::harness::Signal;
use crate::status::{address, bench, get, until};
use mde_collector::telemetry::metrics::METRICS;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file of the repository.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Its text.
fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Fails unless promtool is content, having read this.
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(file("deploy/prometheus"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|error| {
        panic!("promtool does not start ({error}): `cargo x check` installs what the tests need, or see xtask/src/packages.rs")
    });
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let done = child.wait_with_output().expect("it ends");
    let said = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(done.status.success(), "promtool {}: {said}", arguments.join(" "));
}

/// What stands behind a word at the beginning of lines.
fn named<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim_start().strip_prefix(word)).map(str::trim)
}

/// The names of our metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("mde_collector_") || word.starts_with("process_")).collect()
}

#[test]
fn promtool_accepts_the_rules_and_every_alert_fires_when_it_should() {
    promtool(&["check", "rules", "mde-collector.rules.yml"], "");
    promtool(&["test", "rules", "mde-collector.test.yml"], "");
    let (rules, cases) =
        (text("deploy/prometheus/mde-collector.rules.yml"), text("deploy/prometheus/mde-collector.test.yml"));
    let fired: BTreeSet<&str> = named(&cases, "alertname:").collect();
    let alerts: BTreeSet<&str> = named(&rules, "- alert:").collect();
    assert_eq!(fired, alerts, "each has a case in which it fires");
    assert!(!alerts.is_empty());
}

#[test]
fn every_alert_has_a_page_that_names_it_and_says_what_to_do() {
    let rules = text("deploy/prometheus/mde-collector.rules.yml");
    let pages: Vec<&str> = named(&rules, "runbook_url:").collect();
    let alerts: Vec<&str> = named(&rules, "- alert:").collect();
    assert_eq!(pages.len(), alerts.len());
    for (alert, page) in alerts.into_iter().zip(&pages) {
        let page = text(page);
        for part in [&*format!("`{alert}`"), "**What it means.**", "**What happens by itself.**", "**What to do.**"] {
            assert!(page.contains(part), "the page of {alert} lacks {part}");
        }
    }
    for entry in fs::read_dir(file("docs/runbooks")).expect("a folder") {
        let name = format!("docs/runbooks/{}", entry.expect("readable").file_name().display());
        assert!(pages.contains(&&*name), "no alert leads to {name}");
    }
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_exist() {
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    for name in ["deploy/prometheus/mde-collector.rules.yml", "deploy/grafana/mde-collector.json", "docs/status.md"] {
        let text = text(name);
        let asked = metrics(&text);
        assert!(!asked.is_empty(), "{name}");
        for metric in asked {
            let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric);
            assert!(known.contains(metric) || known.contains(bare), "{name} asks for {metric}");
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(&text("deploy/grafana/mde-collector.json")).expect("JSON");
    for panel in dashboard["panels"].as_array().expect("panels") {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(
            targets.iter().any(|target| !metrics(target["expr"].as_str().unwrap_or_default()).is_empty()),
            "{panel}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_reads_what_a_running_collector_tells() {
    let bench = bench("").await;
    let mut running = bench.run(&[]);
    let address = address(&mut running).await;
    until(&address, "/metrics", |answer| answer.body.contains("mde_collector_api_end_timestamp_seconds{")).await;
    promtool(&["check", "metrics"], &get(&address, "/metrics", "").await.body);
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}
