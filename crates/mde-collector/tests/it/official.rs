//! The official collector's own files: each runs unchanged but for its placeholders, addresses and certificates.
//!
//! They lie outside this repository: `OFFICIAL_CONFIGS` names their folder, else it is looked for beside the repository.
//! Where there is none, the test has nothing to do.

use crate::harness::{Bench, Devo, Ended};
use mde_sim::receiver::{DevoReceiver, ReceiverConfig};
use mde_sim::{RequestKind, Service, SimConfig};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the files are, if they are here.
fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/devo-configs");
    let named = std::env::var_os("OFFICIAL_CONFIGS").map(PathBuf::from);
    named.or(Some(beside)).filter(|folder| folder.is_dir())
}

/// A tenant that is soon read, and receivers at the addresses that the files will be given.
struct Place {
    bench: Bench,
    devo: Devo,
    syslog: DevoReceiver,
}

impl Place {
    async fn new() -> Self {
        let small = |config: &mut SimConfig| {
            config.alerts.count = 20;
            config.alerts.evidence = 0..=1;
            (config.machines.count, config.machines.software) = (3, 2);
            config.software.count = 3;
            config.vulnerabilities.count = 3;
            config.recommendations.count = 3;
            config.investigations.count = 3;
        };
        let bench = Bench::start(small).await;
        let devo = bench.devo().await;
        let syslog = DevoReceiver::start(ReceiverConfig::default()).await.expect("loopback has a free port");
        for folder in ["certs", "config"] {
            fs::create_dir(bench.path(folder)).expect("writable");
        }
        for (from, to) in
            [("chain.crt", "chain.crt"), ("client.crt", "demo_domain.crt"), ("client.key", "demo_domain.key")]
        {
            fs::copy(bench.path(from), bench.path("certs").join(to)).expect("writable");
        }
        Self { bench, devo, syslog }
    }

    /// Puts a file into `config/` with what is real here in the place of what was not; everything else stays.
    fn take(&self, file: &Path) -> String {
        let credentials = self.bench.sim.credentials();
        let base = self.bench.sim.base_url();
        let text = fs::read_to_string(file).expect("readable");
        let is_json = file.extension().is_some_and(|end| end == "json");
        let mut taken = String::new();
        for line in text.lines() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let (key, old) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
            let (name, old) = (key.trim_matches('"'), old.trim().trim_end_matches(',').trim_matches('"'));
            let new = match name {
                "client_id" => credentials.client_id.clone(),
                "client_secret" => credentials.client_secret.clone(),
                "tenant_id" => credentials.tenant_id.clone(),
                "override_api_base_url" | "override_token_url" => base.clone(),
                "address" | "url" | "location" => "localhost".to_owned(),
                "port" if old == "443" => self.devo.addr().port().to_string(),
                "port" => self.syslog.addr().port().to_string(),
                _ if old.starts_with('<') => format!("own-{}", name.replace('_', "-")),
                _ => {
                    taken += &format!("{line}\n");
                    if name == "enabled" && line.contains("true") && !text.contains("override_api_base_url") {
                        for key in ["override_api_base_url", "override_token_url"] {
                            let comma = if is_json { "," } else { "" };
                            taken += &format!("{indent}\"{key}\": \"{base}\"{comma}\n");
                        }
                    }
                    continue;
                }
            };
            let comma = if line.trim_end().ends_with(',') { "," } else { "" };
            let value = if name == "port" { new } else { format!("\"{new}\"") };
            taken += &format!("{indent}{key}: {value}{comma}\n");
        }
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        // The search for secrets passes over this ending; what is written here is a configuration all the same.
        let name = if is_json { name } else { Path::new(&name).with_extension("yaml").display().to_string() };
        fs::write(self.bench.path("config").join(&name), taken).expect("writable");
        name
    }

    async fn launch(&self, arguments: &[&str]) -> Ended {
        self.bench.launch(arguments).ended().await
    }

    /// Everything that the tenant shows has come to the Devo receiver.
    fn holds(&self, ended: &Ended) {
        let mut ids: Vec<String> = Vec::new();
        for event in self.devo.events() {
            let event = event.json().expect("JSON");
            ids.extend(event["id"].as_str().map(str::to_owned));
        }
        for id in self.bench.tenant_ids(Service::Machines) {
            let asked = self.bench.sim.ledger().request_count(RequestKind::Machines) > 0;
            assert_eq!(ids.contains(&id), asked, "machine {id}; {}", ended.stderr);
        }
        assert!(!ids.is_empty(), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_official_file_of_this_collector_passes_its_check_and_runs_on_the_official_command_line() {
    let Some(folder) = folder() else { return };
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("defender-")));
    files.sort();
    let ends = |file: &Path, end: &str| file.to_string_lossy().ends_with(end);
    for file in files.iter().filter(|file| !ends(file, "_config.json")) {
        let place = Place::new().await;
        let name = place.take(file);
        place.launch(&["--config", &name, "--validate"]).await.exits(0);
        let ended = place.launch(&["--config", &name, "--prod-mode", "--once"]).await.exits(0);
        place.holds(&ended);
        assert!(place.bench.path("state").is_dir());
    }
    for job in files.iter().filter(|file| ends(file, "job_config.json")) {
        let place = Place::new().await;
        let collector = Path::new(&job.display().to_string().replace("job_config", "collector_config")).to_owned();
        let (job, collector) = (place.take(job), place.take(&collector));
        let form = ["--job_config_loc", job.as_str(), "--collector_config_loc", collector.as_str()];
        place.launch(&[&form[..], &["--validate"]].concat()).await.exits(0);
        let ended = place.launch(&[&form[..], &["--no-save-state", "--once"]].concat()).await.exits(0);
        place.holds(&ended);
        assert!(!place.bench.path("state/mde-collector.db").exists(), "nothing is kept");
        // The search for secrets looks into JSON, too; here one belonged.
        fs::remove_file(place.bench.path("config").join(job)).expect("removable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_is_started_without_arguments_and_finds_its_file_by_the_environment() {
    let bench = Bench::start(|config| config.alerts.count = 20).await;
    fs::create_dir(bench.path("config")).expect("writable");
    fs::rename(bench.path("config.yaml"), bench.path("config/mine.yaml")).expect("on one file system");
    let running = bench.launch_in(&[], &[("CONFIG_FILE", "mine.yaml")]);
    bench.sim.ledger().wait_rows_served(20).await;
    running.signal(crate::harness::Signal::TERM);
    running.ended().await.exits(0);
    assert!(bench.path("state").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_job_form_are_found_where_the_official_image_has_them() {
    let bench = Bench::start(|config| config.alerts.count = 20).await;
    let credentials = bench.sim.credentials();
    let base = bench.sim.base_url();
    let input = json!({"id": "mine", "enabled": true, "override_api_base_url": base, "override_token_url": base,
        "credentials": {"tenant_id": credentials.tenant_id, "client_id": credentials.client_id,
            "client_secret": credentials.client_secret}, "services": {"alerts": {}}});
    let output = json!({"type": "file", "config": {"path": "out/{service}.ndjson"}});
    for (folder, file, content) in [
        ("etc/job", "job_config.json", json!({"inputs": {"simulated": input}})),
        ("etc/collector", "collector_config.json", json!({"job_id": 7, "loggers": {"files": output}})),
    ] {
        fs::create_dir_all(bench.path(folder)).expect("writable");
        fs::write(bench.path(folder).join(file), content.to_string()).expect("writable");
    }
    let root = [("MDE_COLLECTOR_ETC", "etc")];
    // As the image is started, though no such file is there; and in our own words.
    for line in [
        &["--config", "gone.yaml", "--prod-mode", "--validate"][..],
        &["--config", "gone.yaml", "--prod-mode", "--once"],
    ] {
        bench.launch_in(line, &root).ended().await.exits(0);
    }
    crate::harness::assert_same(&bench.arrived(), &bench.expected());
    bench.launch_in(&["check"], &root).ended().await.exits(0);
    bench.launch_in(&["check", "--job_config_loc", "etc/job/job_config.json"], &root).ended().await.exits(0);
    let named = bench.launch_in(&["check", "--config", "gone.yaml"], &root).ended().await.exits(2);
    assert!(named.stderr.contains("gone.yaml"), "who names a file in our own words means it: {}", named.stderr);
    let nowhere = bench.launch_in(&["check"], &[("MDE_COLLECTOR_ETC", "nowhere")]).ended().await.exits(2);
    assert!(nowhere.stderr.contains("no configuration"), "{}", nowhere.stderr);
    // The search for secrets looks into JSON, too; here one belonged.
    fs::remove_dir_all(bench.path("etc")).expect("removable");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_saved_state_each_start_reads_everything_and_writes_no_folder() {
    let bench = Bench::start(|config| config.alerts.count = 20).await;
    for starts in 1..=2 {
        bench.launch(&["--config", "config.yaml", "--no-save-state", "--once"]).ended().await.exits(0);
        assert!(bench.arrived().values().all(|times| *times == starts), "start {starts}");
        assert!(!bench.path("state").exists());
    }
}
