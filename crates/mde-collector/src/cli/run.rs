//! `run`: the main job.

use super::chosen::Chosen;
use super::signals::{self, Hangups};
use super::{DENIED, DONE, PARTLY, Source, USAGE, place, quotas, say};
use crate::config::{Config, Options, Persistence};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::pipeline::reload::{self, InUse, Outside};
use crate::pipeline::run::{self, Ended, RunError};
use crate::quota::Quotas;
use crate::status::{Board, Notes};
use crate::store::{Store, sqlite};
use crate::web::{self, Serving, Sight};
use clap::Args;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

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

/// Serves the status page, where it is wanted and can be served.
pub async fn page(
    config: &Arc<Config>,
    persistence: &Persistence,
    (store, quotas, board): (&Arc<dyn Store>, &Arc<Quotas>, &Board),
) -> Result<Option<Serving>, u8> {
    let Some(settings) = &config.globals.status else { return Ok(None) };
    let directory = match persistence {
        Persistence::Filesystem { directory } => Some(directory.clone()),
        Persistence::Memory => None,
    };
    // Beside the one that works, so that looking never holds it up.
    let store = match &directory {
        Some(directory) => match sqlite::look(directory, place::wall()).await {
            Ok(store) => Arc::new(store) as Arc<dyn Store>,
            Err(error) => return Err(place::unusable(&error)),
        },
        None => Arc::clone(store),
    };
    let (config, quotas, board, now) = (Arc::clone(config), Arc::clone(quotas), board.clone(), place::wall());
    web::serve(settings, Sight { config, store, quotas, board, now, directory }).await.map_err(|error| {
        say(format_args!("failed to {error}"));
        USAGE
    })
}

/// Serves the page of whatever configuration is in use, until nobody tells of another one any more.
async fn pages(
    mut served: Option<Serving>,
    mut used: watch::Receiver<InUse>,
    (store, board, persistence): (Arc<dyn Store>, Board, Persistence),
) {
    while used.changed().await.is_ok() {
        // The port is free again before it is asked for.
        if let Some(page) = served.take() {
            page.stop().await;
        }
        let InUse { config, quotas } = used.borrow_and_update().clone();
        // What keeps it from being served has been said, and stops nothing else.
        served = page(&config, &persistence, (&store, &quotas, &board)).await.unwrap_or_default();
    }
    if let Some(page) = served {
        page.stop().await;
    }
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
        let config = Arc::new(loaded.config);
        let texts = (loaded.own, loaded.references);
        let Chosen { services, tenants } = match self.chosen.resolve(&config) {
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
        let quotas = match quotas(&config, &persistence).await {
            Ok(quotas) => Arc::new(quotas),
            Err(told) => return told,
        };
        let notes = match store.notes().await {
            Ok(notes) => notes,
            Err(error) => return place::unusable(&error),
        };
        let board = Board::after(Notes::read(&notes));
        let served = match page(&config, &persistence, (&store, &quotas, &board)).await {
            Ok(served) => served,
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
        let in_use = InUse { config, quotas };
        let (now_in_use, used) = watch::channel(in_use.clone());
        let pages = tokio::spawn(pages(served, used, (Arc::clone(&store), board.clone(), persistence.clone())));
        let outside = Outside { stop: stopped, again: &again, read: &read, in_use: &now_in_use };
        let seam = (Arc::clone(&store), board, &persistence);
        let ended = reload::run((in_use, texts), &options, seam, clock, outside).await;
        // Whoever looks goes first, so that the files are at rest when the store is closed.
        drop(now_in_use);
        pages.await.ok();
        let ended = match ended {
            Ok(ended) => store.close().await.map(|()| ended).map_err(RunError::from),
            Err(error) => Err(error),
        };
        match ended {
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
