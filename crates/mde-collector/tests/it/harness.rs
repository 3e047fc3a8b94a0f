//! A simulator in process and the collector's binary as a child.

use mde_sim::{Sim, SimConfig};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// A tenant and a folder in which the collector runs.
pub struct Bench {
    /// The tenant.
    pub sim: Sim,
    /// Configuration, state and output lie here.
    pub folder: TempDir,
}

/// (alert id, its lastUpdateTime, number of the evidence row): how often it arrived.
pub type Arrived = BTreeMap<(String, String, u64), u64>;

impl Bench {
    /// Starts a simulator and writes a configuration with a file output.
    pub async fn start(change: impl FnOnce(&mut SimConfig)) -> Self {
        let mut config = SimConfig::default();
        config.quota.clear();
        change(&mut config);
        let sim = Sim::start(config).await.expect("loopback has a free port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let outputs = "outputs:\n  files:\n    type: file\n    config:\n      path: \"out/{service}.ndjson\"\n";
        fs::write(folder.path().join("config.yaml"), format!("{}{outputs}", sim.inputs_yaml())).expect("writable");
        Self { sim, folder }
    }

    /// The binary with these arguments, in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mde-collector"));
        command.current_dir(self.folder.path()).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `run --once`, to its end.
    pub async fn once(&self) -> Output {
        let mut command = self.command(&["run", "--config", "config.yaml", "--once"]);
        tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("the binary starts")
    }

    /// `run --once` as a child that can be killed.
    pub fn spawn(&self) -> Child {
        let mut command = self.command(&["run", "--config", "config.yaml", "--once"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out/alerts.ndjson")
    }

    /// What stands in the output file.
    pub fn arrived(&self) -> Arrived {
        let mut arrived = Arrived::new();
        for line in fs::read_to_string(self.out()).unwrap_or_default().lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("one JSON object a line");
            let text = |name: &str| event[name].as_str().expect("a text").to_owned();
            let row = event["evidence_id"].as_u64().expect("a number");
            *arrived.entry((text("id"), text("lastUpdateTime"), row)).or_default() += 1;
        }
        arrived
    }

    /// The versions served and their evidence rows. An answer without `$expand` shows none, so the larger number counts.
    pub fn versions(&self) -> BTreeMap<(String, String), u64> {
        let mut versions = BTreeMap::new();
        for version in self.sim.ledger().versions_served().into_keys() {
            let evidence: &mut u64 = versions.entry((version.id, version.last_update_time)).or_default();
            *evidence = (*evidence).max(u64::from(version.evidence));
        }
        versions
    }

    /// What must stand there: each version that was served, one event for each evidence row, each once.
    pub fn expected(&self) -> Arrived {
        let mut expected = Arrived::new();
        for ((id, time), evidence) in self.versions() {
            for row in if evidence == 0 { 0..=0 } else { 1..=evidence } {
                expected.insert((id.clone(), time.clone(), row), 1);
            }
        }
        expected
    }
}
