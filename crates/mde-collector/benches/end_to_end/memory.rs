//! Peak memory of the main job with both kinds of output at once.

use crate::tenant::Tenant;
use crate::{Verdict, collector, receiver};
use clap::Args;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Peak memory of `run --once` with a file and a TLS output.
#[derive(Args)]
pub struct Memory {
    /// Alerts of the simulated tenant, about 5 KB and 5.5 events each; several sizes show whether the peak grows.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "25000")]
    alerts: Vec<usize>,
    /// The largest peak that passes. Unit: MiB.
    #[arg(long, value_name = "MIB", default_value_t = 40.0)]
    limit: f64,
}

impl Memory {
    /// One run for each size.
    pub async fn run(self) -> Verdict {
        let mut reached = true;
        for alerts in self.alerts {
            reached &= size(alerts).await? <= self.limit;
        }
        println!("limit {} MiB", self.limit);
        Ok(reached)
    }
}

/// One run; gives its peak. Unit: MiB.
async fn size(alerts: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let tenant = Tenant::start(alerts)?;
    let folder = collector::folder()?;
    let (receiver, devo) = receiver::start(folder.path()).await?;
    let files = "  files:\n    type: file\n    config:\n      path: out/alerts.ndjson\n";
    let config = format!("{}outputs:\n{files}{devo}", tenant.inputs);
    let used = collector::once(folder.path(), &config, &["--drain-timeout", "10m"]).await?;
    let events = receiver.event_count();
    let lines = lines(&folder.path().join("out/alerts.ndjson"))?;
    if used.exit_code != 0 || lines != events || events < alerts as u64 {
        let said = collector::last_words(folder.path());
        let code = used.exit_code;
        return Err(
            format!("deliver all: exit code {code}, {events} events over TLS, {lines} in the file\n{said}").into()
        );
    }
    let peak = used.peak as f64 / f64::from(1 << 20);
    println!(
        "{alerts} alerts, {events} events: peak {peak:.1} MiB, {:.2} CPU s, {:.2} s, {:.0} events/s, {:.1} CPU s per million events",
        used.processor,
        used.wall,
        events as f64 / used.wall,
        used.processor / events as f64 * 1e6
    );
    Ok(peak)
}

/// Lines of a file of any length.
fn lines(path: &Path) -> std::io::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut count = 0;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(count);
        }
        count += chunk.iter().filter(|octet| **octet == b'\n').count() as u64;
        let length = chunk.len();
        reader.consume(length);
    }
}
