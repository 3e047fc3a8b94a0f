//! From nothing to the end of a first pull that finds nothing: what a start costs.

use crate::tenant::Tenant;
use crate::{Verdict, collector, median};
use clap::Args;

/// Time of `run --once` against a tenant without alerts.
#[derive(Args)]
pub struct Start {
    /// Runs, each in an empty folder.
    #[arg(long, value_name = "N", default_value_t = 20)]
    runs: usize,
}

impl Start {
    /// Each run makes its store, gets a token, asks once, finds nothing, closes the store and ends.
    pub async fn run(self) -> Verdict {
        let tenant = Tenant::start("alerts", 0)?;
        let (mut walls, mut processors, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let folder = collector::folder()?;
            let files = "outputs:\n  files:\n    type: file\n    config:\n      path: out/alerts.ndjson\n";
            let used = collector::once(folder.path(), "alerts", &format!("{}{files}", tenant.inputs), &[]).await?;
            if used.exit_code != 0 {
                let said = collector::last_words(folder.path());
                return Err(format!("run against an empty tenant: exit code {}\n{said}", used.exit_code).into());
            }
            walls.push(used.wall * 1e3);
            processors.push(used.processor * 1e3);
            peaks.push(used.peak as f64 / f64::from(1 << 20));
        }
        let least = walls.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "{} runs against an empty tenant: median {:.0} ms (least {least:.0} ms), {:.0} ms CPU, peak {:.1} MiB",
            self.runs,
            median(walls),
            median(processors),
            median(peaks)
        );
        let binary = std::fs::metadata(env!("CARGO_BIN_EXE_mde-collector"))?.len();
        println!("binary {:.1} MB", binary as f64 / 1e6);
        Ok(true)
    }
}
