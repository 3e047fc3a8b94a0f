//! The status page of a thousand tenants: how long a reader waits, and what the process needs.

use crate::tenant::Tenant;
use crate::{Verdict, collector, median};
use clap::Args;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// The most that a reader may wait. Unit: milliseconds.
const GOAL_MS: f64 = 200.0;
/// Time between two readings: longer than a picture is fresh, so that each asks for a new one.
const BETWEEN: Duration = Duration::from_millis(1_500);
/// What is read; the first two have the goal.
const PATHS: [&str; 4] = ["/", "/api/status", "/?q=tenant-05", "/metrics"];

/// Time of the page and of its JSON.
#[derive(Args)]
pub struct Status {
    /// Tenants, each with seven services.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    tenants: usize,
    /// Readings of each address.
    #[arg(long, value_name = "N", default_value_t = 20)]
    readings: usize,
}

impl Status {
    /// All tenants call as one application of one small simulated tenant, so most streams wait for the quota meanwhile.
    pub async fn run(self) -> Verdict {
        let tenant = Tenant::start("machines", 100)?;
        let folder = collector::folder()?;
        fs::write(folder.path().join("config.yaml"), self.config(&tenant.inputs)?)?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_mde-collector"))
            .current_dir(folder.path())
            .args(["run", "--config", "config.yaml"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log"))?)
            .spawn()?;
        let measured = self.measure(folder.path(), child.id()).await;
        child.kill().ok();
        child.wait()?;
        measured
    }

    /// A configuration in which the one input of the simulator stands so many times.
    fn config(&self, inputs: &str) -> Result<String, Box<dyn Error>> {
        let (_, input) = inputs.split_once("  simulated:\n").ok_or("read the simulator's inputs")?;
        let head = "globals:\n  status: {listen: \"127.0.0.1:0\"}\noutputs:\n  files: {type: file, config: {path: out/all.ndjson}}\n";
        let tenants = (0..self.tenants)
            .map(|number| format!("  tenant-{number:04}:\n{}", input.replace("mde-sim-1", &format!("id-{number:04}"))));
        Ok(format!("{head}inputs:\n{}", tenants.collect::<String>()))
    }

    async fn measure(&self, folder: &std::path::Path, process: u32) -> Verdict {
        let address = address(&folder.join("log")).await?;
        let mut reached = true;
        // The first picture, and whatever a start costs, are not what a reader meets.
        for path in PATHS {
            get(&address, path).await?;
        }
        for path in PATHS {
            let (mut times, mut octets) = (Vec::new(), 0);
            for _ in 0..self.readings {
                sleep(BETWEEN).await;
                let begun = Instant::now();
                octets = get(&address, path).await?;
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            let most = times.iter().copied().fold(0.0, f64::max);
            let middle = median(times);
            reached &= middle <= GOAL_MS || !PATHS[..2].contains(&path);
            println!("{path}: median {middle:.0} ms, most {most:.0} ms, {:.0} KiB", octets as f64 / 1024.0);
        }
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        for line in status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")) {
            println!("{line}");
        }
        Ok(reached)
    }
}

/// Where the page is, once the log says so.
async fn address(log: &std::path::Path) -> Result<String, Box<dyn Error>> {
    for _ in 0..600 {
        for line in BufReader::new(File::open(log)?).lines() {
            if let Some((_, rest)) = line?.split_once("\"url\":\"http://")
                && let Some((address, _)) = rest.split_once('/')
            {
                return Ok(address.to_owned());
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err("find the page's address in the log".into())
}

/// Reads an address to its end; the octets of the answer.
async fn get(address: &str, path: &str) -> Result<usize, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 200") { Ok(answer.len()) } else { Err(format!("read {path}").into()) }
}
