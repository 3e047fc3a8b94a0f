//! `run`: the main job.

use super::chosen::Chosen;
use super::signals::{self, Hangups};
use super::{DENIED, DONE, PARTLY, Source, USAGE, place, quotas, say};
use crate::config::{Options, Persistence};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::pipeline::reload::{self, Outside};
use crate::pipeline::run::{self, Ended, RunError};
use crate::store::{Store, sqlite};
use clap::Args;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Pull and deliver until stopped.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mde-collector run --config config.yaml\n  \
                        mde-collector run --config config.yaml --once --service alerts --tenant acme\n  \
                        mde-collector run --job_config_loc job.json --collector_config_loc collector.json")]
pub struct Run {
    #[command(flatten)]
    source: Source,
    /// Pull every enabled service once, drain every output, end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    chosen: Chosen,
    /// With --once: how long outputs may take after the last pull.
    #[arg(long, default_value = "60s", value_parser = duration)]
    drain_timeout: Duration,
    /// At a signal: how long outputs may take.
    #[arg(long, default_value = "10s", value_parser = duration)]
    stop_timeout: Duration,
    /// Keep nothing (official spelling): state in memory, so the next start reads everything anew.
    #[arg(long)]
    no_save_state: bool,
}

/// `90s`, `10m`, `1h`, `500ms`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no duration: write 60s, 5m or 1h"))?;
    let milliseconds = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        unit => return Err(format!("unknown unit {unit:?}: write ms, s, m or h")),
    };
    Ok(Duration::from_millis(number.saturating_mul(milliseconds)))
}

impl Run {
    /// Runs, and gives the exit code.
    pub async fn run(self) -> u8 {
        let loaded = match self.source.load_or_say(Options::default()) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let config = &loaded.config;
        let Chosen { services, tenants } = match self.chosen.resolve(config) {
            Ok(chosen) => chosen,
            Err(code) => return code,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = place::wall();
        let persistence = if self.no_save_state { Persistence::Memory } else { config.globals.persistence.clone() };
        let opened = match &persistence {
            Persistence::Memory => sqlite::open_memory(now).await,
            Persistence::Filesystem { directory } => {
                if let Ok(foreign) = sqlite::foreign_files(directory)
                    && !foreign.is_empty()
                {
                    say(format_args!(
                        "{}: {} files of another program are left alone; `historical_poll_datetime` says where the first pull starts",
                        directory.display(),
                        foreign.len()
                    ));
                }
                sqlite::open(directory, now).await
            }
        };
        let store: Arc<dyn Store> = match opened {
            Ok(store) => Arc::new(store),
            Err(error) => return place::unusable(&error),
        };
        let quotas = match quotas(config, &persistence).await {
            Ok(quotas) => quotas,
            Err(told) => return told,
        };
        let options = run::Options {
            once: self.once,
            services,
            tenants,
            drain_timeout: self.drain_timeout,
            stop_timeout: self.stop_timeout,
        };
        let stopped = signals::stopping("stopping: outputs are drained, the rest stays in the outbox");
        let again = Arc::new(Notify::new());
        tokio::spawn({
            let again = Arc::clone(&again);
            async move {
                let Ok(mut hangups) = Hangups::new() else { return };
                loop {
                    hangups.next().await;
                    again.notify_one();
                }
            }
        });
        let read = || self.source.read_again(&options.tenants);
        let outside = Outside { stop: stopped, again: &again, read: &read };
        match reload::run((loaded, quotas), &options, (store, &persistence), clock, outside).await {
            Ok(Ended::Done) => DONE,
            Ok(Ended::Partly) => PARTLY,
            Ok(Ended::Denied) => DENIED,
            Err(RunError::Store(error)) => place::unusable(&error),
            Err(error) => {
                say(format_args!("failed to {error}"));
                USAGE
            }
        }
    }
}
