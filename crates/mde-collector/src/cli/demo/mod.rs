//! `demo`: simulator, collector and two outputs in one process, without a configuration: see it work.

mod facts;
mod view;

use super::signals::Signals;
use super::{DONE, PARTLY, STORE, place, say};
use crate::config::{self, Config, Options, Persistence};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::pipeline::run::{self, Ended};
use crate::quota::Quotas;
use crate::status::Board;
use crate::store::{Store, sqlite};
use clap::Args;
use facts::Watch;
use mde_sim::receiver::{DevoReceiver, ReceiverConfig, ReceiverTls, Record, TestPki};
use mde_sim::{Sim, SimConfig};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use view::Screen;

/// Where the demo keeps everything, below the working directory.
const FOLDER: &str = "mde-collector-demo";
/// New alerts and updates a minute.
const PER_MINUTE: (f64, f64) = (20.0, 10.0);
/// Part of the vendor's quota that the demo's collector may use; the collector's own default.
const SHARE: f64 = 0.8;
/// How long outputs may take at the end.
const STOP: Duration = Duration::from_secs(5);
/// Time between two pictures.
const PICTURE: Duration = Duration::from_millis(500);

/// A configuration for a real tenant, to be edited.
const TENANT: &str = include_str!("tenant.yaml");

/// Simulator, collector and outputs in one process: see it work.
#[derive(Debug, Args)]
#[command(
    after_help = "Everything lies in mde-collector-demo, below the working directory.\n\nExample:\n  mde-collector demo --for 30s"
)]
pub struct Demo {
    /// End after this time; otherwise at Ctrl-C.
    #[arg(long = "for", value_name = "DURATION", value_parser = super::run::duration)]
    duration: Option<Duration>,
}

/// What keeps the demo from being shown: exit code, and what a person is told.
type Failure = (u8, String);

/// "failed to …", for a person.
fn failed(action: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Failure {
    move |error| (PARTLY, format!("failed to {action}: {error}"))
}

/// The demo's own log: lines between its pictures would destroy them. `None`: the folder cannot be written, and the
/// demo will say so.
pub fn log_file() -> Option<File> {
    fs::create_dir_all(FOLDER).and_then(|()| File::create(place("log.txt"))).ok()
}

/// A file of the demo.
fn place(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

impl Demo {
    /// Shows it, and gives the exit code.
    pub async fn run(self) -> u8 {
        self.show().await.unwrap_or_else(|(code, text)| {
            say(text);
            code
        })
    }

    async fn show(self) -> Result<u8, Failure> {
        let begun = Instant::now();
        let mut signals = Signals::new().map_err(|error| failed("listen for signals")(&error))?;
        let mut world = SimConfig::default();
        (world.alerts.new_per_minute, world.alerts.updates_per_minute) = PER_MINUTE;
        let sim = Sim::start(world).await.map_err(|error| failed("start the simulator")(&error))?;
        let (receiver, config) = prepare(&sim).await?;
        let config = Arc::new(config);
        // Each demo has a tenant of its own, so its state is its own as well and ends with it.
        let store = sqlite::open_memory(place::wall()).await;
        let store: Arc<dyn Store> = Arc::new(store.map_err(|error| (STORE, format!("failed to {error}")))?);
        let quotas = Quotas::open(&config, &Persistence::Memory, place::wall()).await;
        let quotas = quotas.map_err(|error| (STORE, format!("failed to {error}")))?;
        let (quotas, board) = (Arc::new(quotas), Board::default());
        let page = super::run::page(&config, &Persistence::Memory, (&store, &quotas, &board)).await;
        let page = page.map_err(|code| (code, "the status page cannot be set up".to_owned()))?;
        if let Some(page) = &page {
            say(format_args!("Status page: http://{}/", page.address));
        }
        let (stop, stopped) = watch::channel(false);
        let mut job = tokio::spawn({
            let store = Arc::clone(&store);
            let options = run::Options {
                once: false,
                services: Vec::new(),
                tenants: Vec::new(),
                drain_timeout: STOP,
                stop_timeout: STOP,
            };
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            async move { run::run(&config, &options, (store, &quotas, board), clock, stopped).await }
        });
        let mut watch = Watch::new(sim, store, receiver, begun, place("out/alerts.ndjson"));
        let mut screen = Screen::new();
        let mut pictures = interval_at(Instant::now(), screen.pace(PICTURE));
        pictures.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                ended = &mut job => break ended,
                () = signals.next() => {
                    if stopping {
                        screen.end();
                        return Ok(DONE);
                    }
                    stopping = true;
                }
                () = at(self.duration.map(|duration| begun + duration)), if !stopping => stopping = true,
                _ = pictures.tick() => screen.show(watch.look().await),
            }
            if stopping {
                stop.send_replace(true);
            }
        };
        screen.end();
        if let Some(page) = page {
            page.stop().await;
        }
        let ended = ended.map_err(|error| failed("end the demo")(&error))?;
        let ended = ended.map_err(|error| (PARTLY, format!("failed to {error}")))?;
        let agrees = watch.agrees();
        say(view::farewell(watch.look().await, agrees, &program()));
        Ok(if agrees && ended == Ended::Done { DONE } else { PARTLY })
    }
}

/// At that moment, or never.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// How this program was called, to be repeated by hand.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "mde-collector".to_owned())
}

/// Starts the receiver, writes all files and loads the configuration: the very path that a user's file takes.
async fn prepare(sim: &Sim) -> Result<(DevoReceiver, Config), Failure> {
    let pki = TestPki::new();
    let tls = Some(ReceiverTls { identity: pki.server.clone(), client_ca_pem: Some(pki.ca_pem.clone()) });
    let receiver = ReceiverConfig { tls, record: Record::CountOnly, ..ReceiverConfig::default() };
    let receiver = DevoReceiver::start(receiver).await.map_err(|error| failed("start the receiver")(&error))?;
    let file = place("config.yaml");
    let written = write(sim, &receiver, &pki, &file);
    written.map_err(|error| failed("write the demo's files below mde-collector-demo")(&error))?;
    let loaded = config::load(&file, &|_| None, Options::default());
    Ok((receiver, loaded.map_err(|problems| (PARTLY, problems.to_string()))?.config))
}

/// Writes certificates, the configuration that runs now, and the one to be edited, unless somebody did so already.
fn write(sim: &Sim, receiver: &DevoReceiver, pki: &TestPki, file: &Path) -> io::Result<()> {
    let certs = place("certs");
    fs::create_dir_all(&certs)?;
    let certs = pki.write_to(&certs)?;
    // What an earlier demo wrote would be counted as this one's.
    match fs::remove_file(place("out/alerts.ndjson")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let inputs = sim.inputs_yaml().replace("alerts:\n", "alerts: {request_period_in_seconds: 5}\n");
    let (chain, cert, key) = (certs.chain.display(), certs.client_cert.display(), certs.client_key.display());
    let port = receiver.addr().port();
    fs::write(
        file,
        format!(
            "# What the demo runs; written anew by each.\nglobals:\n  persistence: {{type: memory}}\noutputs:\n  \
             files: {{type: file, config: {{path: \"{FOLDER}/out/{{service}}.ndjson\"}}}}\n  \
             devo: {{type: relay, config: {{address: localhost, port: {port}, chain: {chain}, cert: {cert}, key: {key}}}}}\n{inputs}"
        ),
    )?;
    match File::create_new(place("tenant.yaml")) {
        Ok(mut tenant) => tenant.write_all(TENANT.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
