//! The table of sources: nothing is forgotten when one is added, and adding one is adding a value.

use crate::harness::Bench;
use mde_client::limits::{self, Family};
use mde_collector::config::{self, Options, Persistence};
use mde_collector::pipeline::clock::{Clock, SystemClock};
use mde_collector::pipeline::run::{self, Ended};
use mde_collector::quota::Quotas;
use mde_collector::service::{Api, Endpoint, Key, Paging, Pull, SERVICES, ServiceDef};
use mde_collector::status::Board;
use mde_collector::store::{Store, sqlite};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

#[test]
fn every_source_has_a_fixture_a_golden_pair_and_its_page() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_to_string(here.join("../../docs/services.md")).expect("it is in the tree");
    for service in SERVICES {
        let name = service.name;
        let fixture = here.join(format!("../mde-sim/fixtures/{name}.ndjson"));
        assert!(fs::read_to_string(fixture).is_ok_and(|text| !text.trim().is_empty()), "{name} has no fixture");
        let golden = fs::read_dir(here.join(format!("tests/golden/{name}"))).expect("a folder of golden pairs");
        let files: BTreeSet<_> =
            golden.map(|file| file.expect("readable").file_name().into_string().expect("text")).collect();
        assert!(
            files.iter().any(|file| file
                .strip_suffix(".in.json")
                .is_some_and(|case| files.contains(&format!("{case}.out.ndjson")))),
            "{name} has no golden pair"
        );
        assert!(pages.lines().any(|line| line.starts_with('#') && line.contains(name)), "{name} has no page");
    }
}

/// A source that nobody has asked for: machine × software × vulnerability. This value is all that it takes.
static EIGHTH: ServiceDef = ServiceDef {
    name: "exposures",
    aliases: &[],
    endpoint: Endpoint {
        api: Api::Mde,
        path: "/api/vulnerabilities/machinesVulnerabilities",
        expand: None,
        roles: &["Vulnerability.Read.All"],
        family: Family::VulnerabilityManagement,
        page_cap: limits::PAGE_CAP,
        paging: Paging::Linked,
    },
    elsewhere: &[],
    pull: &[Pull::Snapshot { min_period_s: 3_600 }],
    key: Key::Fields(&["id"]),
    counts: &[],
    flatten: &[],
    tag: "my.app.exposures",
    period_s: 3_600,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_eighth_source_is_pulled_without_a_line_of_code() {
    let bench = Bench::start(|config| config.machines.count = 40).await;
    bench.ask("machines:");
    bench.edit("out/{service}", bench.path("out/{service}").to_str().expect("text"));
    let loaded = config::load(&bench.path("config.yaml"), &|_| None, Options::default()).expect("a good configuration");
    let mut config = loaded.config;
    let service = &mut config.inputs[0].services[0];
    (service.def, service.pull, service.tag) = (&EIGHTH, &EIGHTH.pull[0], EIGHTH.tag.to_owned());
    let store = sqlite::open_memory(Arc::new(|| SystemClock.wall_ms())).await.expect("an empty store");
    let options = run::Options {
        once: true,
        services: Vec::new(),
        tenants: Vec::new(),
        drain_timeout: Duration::from_secs(30),
        stop_timeout: Duration::from_secs(10),
    };
    let (_stop, stopped) = watch::channel(false);
    let quotas =
        Quotas::open(&config, &Persistence::Memory, Arc::new(|| SystemClock.wall_ms())).await.expect("no file");
    let seam = (Arc::new(store) as Arc<dyn Store>, &quotas, Board::default());
    let ended = run::run(&config, &options, seam, Arc::new(SystemClock), stopped).await;
    assert_eq!(ended.expect("a good run"), Ended::Done);
    let text = fs::read_to_string(bench.path("out/exposures.ndjson")).expect("rows");
    let ids: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().expect("a text").to_owned())
        .collect();
    assert!(ids.len() > 100, "{} rows", ids.len());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each once");
}
