//! What it costs to confirm late: the sending half alone, from a full outbox to a TLS receiver on loopback.

use crate::tenant::Tenant;
use crate::{Verdict, collector, median, receiver};
use clap::Args;
use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use tokio::time::Instant;

/// Throughput over TLS with `confirm_after: 5s` against `0s`.
#[derive(Args)]
pub struct Confirm {
    /// Alerts that fill the outbox; a round should take much longer than 5 s, else nothing is ever confirmed late.
    #[arg(long, value_name = "N", default_value_t = 250_000)]
    alerts: usize,
    /// Rounds, each of both kinds; which goes first alternates.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// The smallest median ratio that passes.
    #[arg(long, value_name = "RATIO", default_value_t = 0.9)]
    limit: f64,
}

impl Confirm {
    /// Fills an outbox, then empties copies of it.
    pub async fn run(self) -> Verdict {
        let tenant = Tenant::start("alerts", self.alerts)?;
        let full = collector::folder()?;
        fill(full.path(), &tenant).await?;
        let mut ratios = Vec::new();
        for round in 0..self.rounds {
            let late_first = round % 2 == 1;
            let first = drain(full.path(), &tenant, if late_first { "5s" } else { "0s" }).await?;
            let second = drain(full.path(), &tenant, if late_first { "0s" } else { "5s" }).await?;
            let (late, at_once) = if late_first { (first, second) } else { (second, first) };
            println!(
                "round {}: 5s {late:.0} events/s, 0s {at_once:.0} events/s, ratio {:.3}",
                round + 1,
                late / at_once
            );
            ratios.push(late / at_once);
        }
        let ratio = median(ratios);
        println!("median ratio {ratio:.3}, limit {}", self.limit);
        Ok(ratio >= self.limit)
    }
}

/// Pulls everything for an output that cannot be reached: all of it stays in the outbox.
async fn fill(folder: &Path, tenant: &Tenant) -> Result<(), Box<dyn Error>> {
    // A port that was free just now and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let nobody = format!("  devo:\n    type: relay\n    config: {{address: localhost, port: {port}, type: TCP}}\n");
    let config = format!("{}outputs:\n{nobody}", tenant.inputs);
    let used = collector::once(folder, "alerts", &config, &["--drain-timeout", "1s"]).await?;
    // 1: pulled, and not delivered.
    match used.exit_code {
        1 => Ok(()),
        code => Err(format!("fill the outbox: exit code {code}\n{}", collector::last_words(folder)).into()),
    }
}

/// Delivers a copy of the full outbox; gives events a second between the first and the last that arrive.
async fn drain(full: &Path, tenant: &Tenant, confirm_after: &str) -> Result<f64, Box<dyn Error>> {
    let folder = collector::folder()?;
    fs::create_dir(folder.path().join("state"))?;
    for entry in fs::read_dir(full.join("state"))? {
        let entry = entry?;
        fs::copy(entry.path(), folder.path().join("state").join(entry.file_name()))?;
    }
    let (receiver, devo) = receiver::start(folder.path()).await?;
    let config = format!("{}outputs:\n{devo}      confirm_after: {confirm_after}\n", tenant.inputs);
    let run = collector::once(folder.path(), "alerts", &config, &["--drain-timeout", "10m"]);
    let mut span: Option<(Instant, u64, Instant)> = None;
    let mut run = std::pin::pin!(run);
    let used = loop {
        let seen = span.map_or(0, |(_, events, _)| events);
        tokio::select! {
            used = &mut run => break used?,
            () = receiver.wait_until(|receiver| receiver.event_count() > seen) => {
                let (now, events) = (Instant::now(), receiver.event_count());
                span = Some((span.map_or(now, |(first, ..)| first), events, now));
            }
        }
    };
    if used.exit_code != 0 {
        let said = collector::last_words(folder.path());
        return Err(format!("empty the outbox: exit code {}\n{said}", used.exit_code).into());
    }
    let (first, _, last) = span.ok_or("empty the outbox: nothing arrived")?;
    Ok(receiver.event_count() as f64 / last.duration_since(first).as_secs_f64())
}
