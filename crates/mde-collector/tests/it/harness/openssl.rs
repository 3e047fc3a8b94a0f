//! `openssl s_server`, which asks for a client certificate and prints what it is sent.

use super::process::{Running, Signal};
use super::{Arrived, count};
use mde_sim::receiver::Identity;
use std::fs;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// The program with its certificates; it is killed when dropped.
pub struct TlsServer {
    running: Running,
    _folder: TempDir,
    /// Where it listens.
    pub port: u16,
}

impl TlsServer {
    /// Starts it with its certificate and the authority that it asks of clients; on this port, or any.
    pub async fn start(identity: &Identity, client_ca_pem: &str, port: Option<u16>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("writable");
            path
        };
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", &format!("127.0.0.1:{}", port.unwrap_or(0))]);
        command.arg("-cert").arg(write("server.crt", &identity.cert_pem));
        command.arg("-key").arg(write("server.key", &identity.key_pem));
        command.arg("-CAfile").arg(write("ca.crt", client_ca_pem)).args(["-Verify", "1", "-verify_return_error"]);
        // At the end of its input it ends, so the input stays open as long as it runs.
        command.stdin(Stdio::piped());
        let mut running = Running::of(command);
        // It tells the port only where it has chosen one itself.
        running.gives("ACCEPT").await;
        running.gives("\n").await;
        let said = running.stdout();
        let told = said.split("ACCEPT 127.0.0.1:").nth(1).and_then(|rest| rest.lines().next());
        let told = told.map(|told| told.trim().parse().expect("a port"));
        let port = told.or(port).expect("it was told, or chosen by us");
        Self { running, _folder: folder, port }
    }

    /// The lines of syslog that it was sent; what it says of sessions is none.
    pub fn lines(&self) -> Vec<String> {
        self.running.stdout().lines().filter(|line| line.starts_with("<14>")).map(str::to_owned).collect()
    }

    /// The events that it was sent.
    pub fn arrived(&self) -> Arrived {
        let event = |line: &String| serde_json::from_str(&line[line.find('{').expect("an event")..]).expect("JSON");
        count(self.lines().iter().map(event))
    }

    /// Ends it.
    pub async fn stop(self) {
        self.running.signal(Signal::KILL);
        self.running.ended().await;
    }
}
