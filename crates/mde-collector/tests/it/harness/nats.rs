//! A real nats-server with JetStream on loopback, in a folder of its own. The suite of the outputs uses it as well, so it
//! leans on nothing beside it.

use async_nats::jetstream::stream::{Config, Stream};
use std::fs;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// What must happen happens within this time; it is never used up unless a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The stream that takes every subject that begins so.
pub const SUBJECTS: &str = "mde.>";

/// A server; it is killed when dropped.
pub struct NatsServer {
    child: Child,
    folder: TempDir,
    /// Where it listens.
    pub port: u16,
}

impl NatsServer {
    /// Starts a server; `config` stands in its configuration file as it is.
    pub async fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("nats.conf"), config).expect("writable");
        let child = spawn(&folder, None);
        let mut server = Self { child, folder, port: 0 };
        server.port = server.told_port().await;
        server
    }

    /// Replaces its configuration file, for the next start.
    pub fn configure(&self, config: &str) {
        fs::write(self.folder.path().join("nats.conf"), config).expect("writable");
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it.
    pub async fn stop(&mut self) {
        self.child.kill().await.expect("it is ours");
    }

    /// Starts it again on the same port, with what it has stored.
    pub async fn again(&mut self) {
        self.child = spawn(&self.folder, Some(self.port));
        assert_eq!(self.told_port().await, self.port);
    }

    /// Makes the stream that the outputs publish to; `change` may change what is usual.
    pub async fn stream(&self, change: impl FnOnce(&mut Config)) -> Stream {
        let mut config = Config { name: "events".to_owned(), subjects: vec![SUBJECTS.to_owned()], ..Config::default() };
        change(&mut config);
        let client = async_nats::connect(self.url()).await.expect("it listens");
        async_nats::jetstream::new(client).get_or_create_stream(config).await.expect("JetStream is on")
    }

    /// Reads the port that the server has written down for its own number.
    async fn told_port(&self) -> u16 {
        let number = self.child.id().expect("it runs");
        let file = self.folder.path().join(format!("nats-server_{number}.ports"));
        let told = async {
            loop {
                let text = fs::read_to_string(&file).unwrap_or_default();
                let found = text.split("://127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next());
                match found.and_then(|port| port.parse().ok()) {
                    Some(port) => return port,
                    None => sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(PATIENCE, told).await.expect("nats-server listens")
    }
}

/// Messages of the stream behind that number, in order: number, `Nats-Msg-Id`, body.
pub async fn messages_behind(stream: &Stream, seen: u64) -> Vec<(u64, Option<String>, Vec<u8>)> {
    let last = stream.get_info().await.expect("it answers").state.last_sequence;
    let mut messages = Vec::new();
    for number in seen + 1..=last {
        let message = stream.get_raw_message(number).await.expect("nothing is removed");
        let id = message.headers.get("Nats-Msg-Id").map(|id| id.as_str().to_owned());
        messages.push((number, id, message.payload.to_vec()));
    }
    messages
}

/// Starts the program.
fn spawn(folder: &TempDir, port: Option<u16>) -> Child {
    let path = |name: &str| folder.path().join(name);
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", &port.map_or("-1".to_owned(), |port| port.to_string()), "-js"]);
    command.arg("-sd").arg(path("store")).arg("--ports_file_dir").arg(folder.path()).arg("-c").arg(path("nats.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| {
        panic!("nats-server does not start ({error}): `cargo x check` installs what the tests need, or see xtask/src/packages.rs")
    })
}
