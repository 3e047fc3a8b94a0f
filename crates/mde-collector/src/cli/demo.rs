//! `demo`: simulator, collector and a file, in one process and without a configuration.

use super::{DONE, PARTLY, STORE, say};
use crate::config::{self, Options};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::pipeline::run::{self, Ended};
use crate::store::{Store, sqlite};
use clap::Args;
use mde_sim::{Sim, SimConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// Where the demo keeps everything, below the working directory.
const FOLDER: &str = "mde-collector-demo";

/// Simulator, collector and output in one process: see it work.
#[derive(Debug, Args)]
pub struct Demo {
    /// End after this time; otherwise at Ctrl-C.
    #[arg(long = "for", value_name = "DURATION", value_parser = super::run::duration)]
    duration: Option<Duration>,
}

impl Demo {
    /// Shows it, and gives the exit code.
    pub async fn run(self) -> u8 {
        match self.show().await {
            Ok(code) => code,
            Err((code, text)) => {
                say(text);
                code
            }
        }
    }

    async fn show(self) -> Result<u8, (u8, String)> {
        let folder = Path::new(FOLDER);
        let failed = |action: &str, error: &dyn std::fmt::Display| (PARTLY, format!("failed to {action}: {error}"));
        std::fs::create_dir_all(folder).map_err(|error| failed("make the demo's folder", &error))?;
        let mut world = SimConfig::default();
        (world.alerts.new_per_minute, world.alerts.updates_per_minute) = (20.0, 10.0);
        let sim = Sim::start(world).await.map_err(|error| failed("start the simulator", &error))?;
        // Each demo has a tenant of its own, so its state is its own as well.
        let file = folder.join("config.yaml");
        let inputs = sim.inputs_yaml().replace("alerts:\n", "alerts: {request_period_in_seconds: 5}\n");
        let outputs = format!(
            "outputs:\n  files:\n    type: file\n    config:\n      path: \"{FOLDER}/out/{{service}}.ndjson\"\n"
        );
        std::fs::write(&file, format!("globals:\n  persistence: {{type: memory}}\n{outputs}{inputs}"))
            .map_err(|error| failed("write the demo's configuration", &error))?;
        let loaded =
            config::load(&file, &|_| None, Options::default()).map_err(|problems| (PARTLY, problems.to_string()))?;
        let out = folder.join("out/alerts.ndjson");
        let store = sqlite::open_memory(Arc::new(|| SystemClock.wall_ms())).await;
        let store: Arc<dyn Store> = Arc::new(store.map_err(|error| (STORE, format!("failed to {error}")))?);
        let options = run::Options {
            once: false,
            services: Vec::new(),
            tenants: Vec::new(),
            drain_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(10),
        };
        let (stop, stopped) = watch::channel(false);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = loaded.config;
        let job = tokio::spawn({
            let store = Arc::clone(&store);
            async move { run::run(&config, &options, store, clock, stopped).await }
        });
        say(format_args!("simulated tenant: {}\noutput:           {}", sim.base_url(), out.display()));
        let end = async {
            match self.duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut end => break,
                _ = tokio::signal::ctrl_c() => break,
                _ = tick.tick() => {
                    let depth = store.depth("files").await.unwrap_or_default();
                    let delivered = std::fs::metadata(&out).map_or(0, |file| file.len());
                    say(format_args!(
                        "alert versions served {:>6}   requests {:>4}   events waiting {:>6}   octets delivered {:>10}",
                        sim.ledger().versions_served().len(),
                        sim.ledger().request_count(None),
                        depth.events,
                        delivered,
                    ));
                }
            }
        }
        stop.send_replace(true);
        let ended =
            job.await.map_err(|error| failed("end the demo", &error))?.map_err(|error| failed("run", &error))?;
        say(format_args!(
            "output lies in {}\nyour own tenant: put its credentials and your outputs into a file like {} and start\n  mde-collector run --config FILE",
            out.display(),
            file.display(),
        ));
        Ok(if ended == Ended::Done { DONE } else { PARTLY })
    }
}
