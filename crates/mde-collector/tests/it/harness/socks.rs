//! A real microsocks on loopback, which looks names up in a file of ours.

use super::process::Running;
use super::squid::{free_port, listens};
use std::fs;
use std::process::Stdio;
use tempfile::TempDir;

/// A SOCKS5 proxy that asks for a login; it is killed when dropped.
pub struct Socks {
    running: Running,
    _folder: TempDir,
    /// Where it listens.
    pub port: u16,
}

impl Socks {
    /// Lets in whoever shows this name and password. `hosts`: names that it knows to be this machine.
    pub async fn with_login(name: &str, password: &str, hosts: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let named = hosts.iter().fold(String::new(), |all, host| all + &format!("127.0.0.1 {host}\n"));
        fs::write(folder.path().join("hosts"), named).expect("writable");
        let port = free_port();
        let mut command = tokio::process::Command::new("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", name, "-P", password]).stdin(Stdio::null());
        command.env("LD_PRELOAD", "libnss_wrapper.so").env("NSS_WRAPPER_HOSTS", folder.path().join("hosts"));
        let running = Running::of(command);
        listens(port, || "microsocks".to_owned()).await;
        Self { running, _folder: folder, port }
    }

    /// What it said of those who came: a line for each connection that it made.
    pub fn said(&self) -> String {
        self.running.said().iter().map(|said| String::from_utf8_lossy(&said.octets()).into_owned()).collect()
    }
}
