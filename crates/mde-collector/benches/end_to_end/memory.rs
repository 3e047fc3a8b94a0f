//! Peak memory of the main job: alerts to both kinds of output at once, snapshots of tenants of two sizes, and all counts.

use crate::tenant::Tenant;
use crate::{Verdict, collector, median, receiver};
use clap::Args;
use mde_collector::service::SERVICES;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Peak memory of `run --once`.
#[derive(Args)]
pub struct Memory {
    /// Alerts of the simulated tenant, about 5 KB and 5.5 events each; several sizes show whether the peak grows.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "25000")]
    alerts: Vec<usize>,
    /// Machines of simulated tenants, in pages of 10,000; the last size is compared with the first.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "10000,100000")]
    machines: Vec<usize>,
    /// Runs for each number of machines, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: usize,
    /// The largest peak that passes. Unit: MiB.
    #[arg(long, value_name = "MIB", default_value_t = 40.0)]
    limit: f64,
    /// Machines of simulated tenants of which all counts are had that a run can have within an hour; 0: none.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "100000")]
    counts: Vec<usize>,
    /// The largest peak with counts that passes. Unit: MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64.0)]
    counts_limit: f64,
    /// The largest ratio between the peaks of the last and the first number of machines that passes.
    #[arg(long, value_name = "RATIO", default_value_t = 1.1)]
    growth: f64,
}

impl Memory {
    /// One run for each number of alerts, some for each number of machines.
    pub async fn run(self) -> Verdict {
        let mut reached = true;
        for alerts in self.alerts {
            reached &= peak("alerts", alerts, Kind::OverTls).await? <= self.limit;
        }
        let mut peaks = Vec::new();
        for machines in self.machines {
            let mut runs = Vec::new();
            for _ in 0..self.runs.max(1) {
                runs.push(peak("machines", machines, Kind::Plain).await?);
            }
            peaks.push(median(runs));
            reached &= peaks.iter().all(|peak| *peak <= self.limit);
        }
        if let [first, .., last] = *peaks {
            println!(
                "machines: from the first size to the last {:.3} times as much, limit {}",
                last / first,
                self.growth
            );
            reached &= last / first <= self.growth;
        }
        for machines in self.counts.into_iter().filter(|machines| *machines > 0) {
            reached &= peak("machines", machines, Kind::Counted).await? <= self.counts_limit;
        }
        println!("limit {} MiB, with counts {} MiB", self.limit, self.counts_limit);
        Ok(reached)
    }
}

/// What a run has beside the service's list and a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Plain,
    /// A TLS output.
    OverTls,
    /// All services that have counts, and all of these that need no call for each entity: for logon users the vendor's quota makes
    /// days of 100,000 machines.
    Counted,
}

/// One run for a service; gives its peak. Unit: MiB.
async fn peak(service: &str, count: usize, kind: Kind) -> Result<f64, Box<dyn Error>> {
    let mut tenant = Tenant::start(service, count)?;
    let over_tls = kind == Kind::OverTls;
    let mut more = vec!["--drain-timeout", "10m"];
    if kind == Kind::Counted {
        tenant.inputs = tenant.inputs.replace("    services:\n", "    quota: {share: 1.0}\n    services:\n");
        for def in SERVICES.iter().filter(|def| !def.counts.is_empty()) {
            let in_bulk = def.counts.iter().filter(|count| !count.bulk.is_empty());
            let flags: Vec<String> = in_bulk.map(|count| format!("{}: true", count.option)).collect();
            // In bulk whatever the size, and with all of the quota: single calls would last an hour.
            let asking = format!("      {}: {{enrichment: {{method: bulk}}, {}}}\n", def.name, flags.join(", "));
            tenant.inputs = tenant.inputs.replace(&format!("      {}:\n", def.name), &asking);
            more.extend(["--service", def.name]);
        }
    }
    let folder = collector::folder()?;
    let (receiver, devo) = receiver::start(folder.path()).await?;
    let files = "  files:\n    type: file\n    config:\n      path: out/events.ndjson\n";
    let config = format!("{}outputs:\n{files}{}", tenant.inputs, if over_tls { &devo } else { "" });
    let used = collector::once(folder.path(), service, &config, &more).await?;
    let lines = lines(&folder.path().join("out/events.ndjson"))?;
    let received = if over_tls { receiver.event_count() } else { lines };
    if used.exit_code != 0 || lines != received || lines < count as u64 {
        let said = collector::last_words(folder.path());
        let code = used.exit_code;
        return Err(
            format!("deliver all: exit code {code}, {received} events over TLS, {lines} in the file\n{said}").into()
        );
    }
    let peak = used.peak as f64 / f64::from(1 << 20);
    println!(
        "{count} {service}{}, {lines} events: peak {peak:.1} MiB, {:.2} CPU s, {:.2} s, {:.0} events/s, {:.1} CPU s per million events",
        if kind == Kind::Counted { " with all services and counts" } else { "" },
        used.processor,
        used.wall,
        lines as f64 / used.wall,
        used.processor / lines as f64 * 1e6
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
