//! The simulator as a process of its own, so that its memory and its processor time are not the collector's.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A running simulator; it ends when this is dropped.
pub struct Tenant {
    /// The process.
    process: Child,
    /// The `inputs` block that reads from it.
    pub inputs: String,
}

impl Tenant {
    /// Starts one with so many entities of a service (alerts of about 5 KB, machines) and waits until it serves.
    pub fn start(service: &str, count: usize) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mde-collector"))
            .args(["simulate", &format!("--{service}"), &count.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = process.stdout.take().expect("it was asked for");
        let mut inputs = String::new();
        // The block ends with an empty line, and the simulator serves before it prints.
        for line in BufReader::new(out).lines() {
            let line = line?;
            if line.is_empty() {
                return Ok(Self { process, inputs });
            }
            inputs.push_str(&line);
            inputs.push('\n');
        }
        Err("start the simulator: it ended without printing its inputs".into())
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
