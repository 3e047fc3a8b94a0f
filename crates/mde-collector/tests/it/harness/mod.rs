//! A tenant, a folder and the collector's binary: what every end-to-end test stands on.
//!
//! When a bench is dropped, all that its processes said and wrote is searched for secrets: no test can forget it.

mod browser;
mod disk;
mod front;
mod nats;
mod openssl;
mod process;
mod receiver;
mod rsyslog;
mod socks;
mod squid;
mod telltale;

pub use browser::{Browser, SCREENS};
pub use disk::SmallDisk;
pub use front::{Front, NAME as FRONT, authority};
pub use nats::{NatsServer, messages_behind};
pub use openssl::TlsServer;
pub use process::{Ended, Running, Signal};
pub use receiver::Devo;
pub use rsyslog::Rsyslog;
pub use socks::Socks;
pub use squid::Squid;

use mde_sim::{Service, Sim, SimConfig};
use process::Said;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// What a configuration begins with that says nothing of the process as a whole.
pub const NO_PAGE: &str = "globals:\n  status: false\n";

/// A tenant and a folder in which the collector runs.
pub struct Bench {
    /// The tenant.
    pub sim: Sim,
    /// Configuration, state and output lie here.
    folder: TempDir,
    /// All that the processes said.
    said: Mutex<Vec<Said>>,
}

/// (alert id, its `lastUpdateTime`, number of the evidence row): how often it arrived.
pub type Arrived = BTreeMap<(String, String, u64), u64>;

impl Bench {
    /// Starts a simulator without quotas, as `change` wants it, and writes a configuration with a file output.
    pub async fn start(change: impl FnOnce(&mut SimConfig)) -> Self {
        let mut config = SimConfig::default();
        config.quota.clear();
        // The first pull reaches back 7 days from its own start, which is later than the simulator's: an alert at the very
        // edge would be in or out by chance.
        config.alerts.span = Duration::from_secs(6 * 86_400);
        change(&mut config);
        let sim = Sim::start(config).await.expect("loopback has a free port");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bench = Self { sim, folder, said: Mutex::default() };
        let outputs = "outputs:\n  files:\n    type: file\n    config:\n      path: \"out/{service}.ndjson\"\n";
        fs::write(bench.path("config.yaml"), format!("{}{outputs}", bench.sim.inputs_yaml())).expect("writable");
        bench
    }

    /// A place in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces what stands in the configuration.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("config.yaml")).expect("readable");
        assert!(text.contains(from), "the configuration has no {from:?}");
        fs::write(self.path("config.yaml"), text.replace(from, to)).expect("writable");
    }

    /// Adds an output called `devo` with a Devo receiver over TLS at its other end.
    pub async fn devo(&self) -> Devo {
        let (devo, output) = Devo::start(self.folder.path()).await;
        self.output(&output);
        devo
    }

    /// Adds an output, in the words of the configuration: its name stands at the third column.
    pub fn output(&self, output: &str) {
        let text = fs::read_to_string(self.path("config.yaml")).expect("readable");
        fs::write(self.path("config.yaml"), text + output).expect("writable");
    }

    /// Starts the binary in the folder.
    pub fn launch(&self, arguments: &[&str]) -> Running {
        self.launch_in(arguments, &[])
    }

    /// Starts the binary in the folder, with these variables in its environment.
    pub fn launch_in(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        self.hide_page();
        self.heard(Running::start(self.folder.path(), arguments, environment))
    }

    /// Keeps what it says.
    fn heard(&self, running: Running) -> Running {
        self.said.lock().expect("no panic").extend(running.said());
        running
    }

    /// Most tests want no status page, and all of them at once cannot have the same port.
    fn hide_page(&self) {
        let text = fs::read_to_string(self.path("config.yaml")).unwrap_or_default();
        if !text.is_empty() && !text.contains("globals:") {
            fs::write(self.path("config.yaml"), format!("{NO_PAGE}{text}")).expect("writable");
        }
    }

    /// `run` with these arguments, on a disk that only it sees.
    pub fn run_on(&self, disk: &SmallDisk, arguments: &[&str]) -> Running {
        self.hide_page();
        let mut command = disk.enter(self.folder.path(), process::BINARY);
        command.args(["run", "--config", "config.yaml"]).args(arguments);
        self.heard(Running::collector(command.into()))
    }

    /// `run` with these arguments, which is not ended by a signal when a file of it may not grow any more.
    pub fn run_unsignalled(&self, arguments: &[&str]) -> Running {
        self.hide_page();
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, process::BINARY, "run", "--config", "config.yaml"]);
        command.args(arguments).current_dir(self.folder.path());
        self.heard(Running::collector(command))
    }

    /// Starts `run` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Running {
        self.launch(&[&["run", "--config", "config.yaml"], arguments].concat())
    }

    /// Waits until what has happened until now lies in a window that can be asked for: windows end where the API's clock
    /// surely is, and that one tells whole seconds.
    pub async fn settled(&self) {
        let settled = self.sim.clock().now() + jiff::SignedDuration::from_secs(2);
        while self.sim.clock().now() < settled {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `run --once`, to its end.
    pub async fn once(&self) -> Ended {
        self.run(&["--once"]).ended().await
    }

    /// `state show`, as JSON.
    pub async fn status(&self) -> Value {
        let show = ["state", "show", "--format", "json", "--config", "config.yaml"];
        let ended = self.launch(&show).ended().await.exits(0);
        serde_json::from_str(&ended.stdout).expect("one JSON object")
    }

    /// What stands in the output file.
    pub fn arrived(&self) -> Arrived {
        counted(&self.written())
    }

    /// The same while somebody may be writing: the line that has no end yet is not there yet.
    pub fn arrived_so_far(&self) -> Arrived {
        let text = self.written();
        counted(&text[..text.rfind('\n').map_or(0, |end| end + 1)])
    }

    /// The output file as it is.
    fn written(&self) -> String {
        fs::read_to_string(self.path("out/alerts.ndjson")).unwrap_or_default()
    }

    /// Asks for these services instead of alerts, in the words of the configuration.
    pub fn ask(&self, services: &str) {
        self.edit("      alerts:\n", &format!("      {services}\n"));
    }

    /// The events of a service in its file, as they lie there.
    pub fn lines(&self, service: Service) -> Vec<String> {
        let text = fs::read_to_string(self.path(&format!("out/{}.ndjson", service.name()))).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The same as JSON.
    pub fn events(&self, service: Service) -> Vec<Value> {
        self.lines(service).iter().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }

    /// How often each id of a service arrived.
    pub fn ids(&self, service: Service) -> BTreeMap<String, u64> {
        let mut ids = BTreeMap::new();
        for event in self.events(service) {
            *ids.entry(event["id"].as_str().expect("a text").to_owned()).or_default() += 1;
        }
        ids
    }

    /// The ids that the tenant shows now.
    pub fn tenant_ids(&self, service: Service) -> BTreeSet<String> {
        self.sim.world().picture().entities(service).map(|entity| entity.id).collect()
    }

    /// The versions in whole answers and their evidence rows. An answer without `$expand` shows none, so the larger
    /// number counts.
    pub fn versions(&self) -> BTreeMap<(String, String), u64> {
        let mut versions = BTreeMap::new();
        for version in self.sim.ledger().versions_served().into_keys() {
            let evidence: &mut u64 = versions.entry((version.id, version.last_update_time)).or_default();
            *evidence = (*evidence).max(u64::from(version.evidence));
        }
        versions
    }

    /// What must arrive: each version that was served, one event for each evidence row, each once.
    pub fn expected(&self) -> Arrived {
        events_of(self.versions())
    }

    /// What the API shows now, in the same form.
    pub fn shown(&self) -> Arrived {
        let versions = self.sim.world().versions().into_iter();
        events_of(versions.map(|version| ((version.id, version.last_update_time), u64::from(version.evidence))))
    }
}

/// Events, one JSON object a line.
fn counted(text: &str) -> Arrived {
    count(text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")))
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that has failed already tells more than its leaks.
        if std::thread::panicking() {
            return;
        }
        let said = std::mem::take(&mut *self.said.lock().expect("no panic"));
        let streams = said.iter().map(|said| ("what a process said".to_owned(), said.octets()));
        let leaks = telltale::search(self.folder.path(), streams);
        assert!(leaks.is_empty(), "secrets leaked: {leaks:#?}");
    }
}

/// A tenant with so many alerts in pages of a 25th of them, for tests that stop somewhere in between.
pub fn in_25_pages(alerts: usize) -> impl FnOnce(&mut SimConfig) {
    move |config| {
        config.alerts.count = alerts;
        config.alerts.evidence = 0..=2;
        config.page.size = alerts / 25;
    }
}

/// Counts events.
pub fn count(events: impl Iterator<Item = Value>) -> Arrived {
    let mut arrived = Arrived::new();
    for event in events {
        let text = |name: &str| event[name].as_str().expect("a text").to_owned();
        let row = event["evidence_id"].as_u64().expect("a number");
        *arrived.entry((text("id"), text("lastUpdateTime"), row)).or_default() += 1;
    }
    arrived
}

/// The events of versions, each once.
fn events_of(versions: impl IntoIterator<Item = ((String, String), u64)>) -> Arrived {
    let mut events = Arrived::new();
    for ((id, time), evidence) in versions {
        for row in if evidence == 0 { 0..=0 } else { 1..=evidence } {
            events.insert((id.clone(), time.clone(), row), 1);
        }
    }
    events
}

/// Fails where two multisets differ, and tells a few of the differences instead of megabytes.
#[track_caller]
pub fn assert_same(found: &Arrived, wanted: &Arrived) {
    let missing: Vec<_> = wanted.iter().filter(|(key, _)| !found.contains_key(*key)).take(3).collect();
    let strange: Vec<_> = found.iter().filter(|(key, times)| wanted.get(*key) != Some(times)).take(3).collect();
    assert!(
        missing.is_empty() && strange.is_empty(),
        "{} events found, {} wanted; missing: {missing:?}; too many or unknown: {strange:?}",
        found.len(),
        wanted.len()
    );
}
