//! The whole collector in simulated time, beside the simulator in one process: days pass in seconds, and no call takes any time
//! but what the quota makes it wait.
//!
//! The clock is tokio's, paused: it leaps to the next timer as soon as nobody has anything to do. Requests do not travel over
//! sockets, for which it would not wait, and it is held while a database works on a thread of its own.

mod day;
mod limits;
mod measure;
mod proof;

use crate::config::{self, Config};
use crate::pipeline::clock::Clock;
use crate::pipeline::run::{Ended, Options, run_over};
use crate::quota::{Owner, QuotaFile, Quotas};
use crate::service::{Count, SERVICES};
use crate::status::{Board, Notes};
use crate::store::sqlite::{self, Hold, SqliteStore};
use crate::store::{Store, WallClock};
use async_trait::async_trait;
use axum::body::Body;
use futures_util::StreamExt;
use jiff::Timestamp;
use mde_client::budget::{Appended, Block, Journal, JournalError};
use mde_client::{HttpRequest, HttpResponse, Transport, TransportError};
use mde_sim::{RequestKind, Sim, SimClock, SimConfig};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// When simulated time begins.
const START: &str = "2026-11-24T00:00:00Z";
/// One hour of it.
const HOUR: Duration = Duration::from_secs(3_600);

/// The simulator as a transport.
pub struct InProcess(pub Arc<Sim>);

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let target = match request.url.query() {
            Some(query) => format!("{}?{query}", request.url.path()),
            None => request.url.path().to_owned(),
        };
        let mut built = axum::http::Request::builder().method(request.method).uri(target);
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let built = built.body(Body::from(request.body.unwrap_or_default())).expect("a request");
        let answer = self.0.call(built).await.map_err(|_| TransportError::Broken(None))?;
        let (head, body) = answer.into_parts();
        let body = body.into_data_stream().map(|part| part.map_err(|_| TransportError::Cut(None)));
        Ok(HttpResponse { status: head.status.as_u16(), headers: head.headers, body: body.boxed() })
    }
}

/// The wall clock of simulated time.
#[derive(Clone, Copy)]
struct Simulated {
    /// Unit: milliseconds since 1970, UTC.
    start_ms: i64,
    begun: Instant,
}

impl Clock for Simulated {
    fn wall_ms(&self) -> i64 {
        self.start_ms + i64::try_from(self.begun.elapsed().as_millis()).expect("some days")
    }
}

/// Time stands still for as long as what this gives is held: a runtime whose blocking tasks are at work does not move its
/// paused clock.
fn hold() -> Hold {
    Arc::new(|| {
        let (end, ended) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || ended.recv().is_ok());
        Box::new(end)
    })
}

/// The record of calls, on which time does not pass.
struct Held(Owner);

#[async_trait]
impl Journal for Held {
    async fn append(&self, seen: u64, block: Option<&Block>) -> Result<Appended, JournalError> {
        let _held = hold()();
        self.0.append(seen, block).await
    }
}

/// Every service that has counts, with all those of them that `asks` wants, in the words of the configuration. `more`: what else
/// stands in a service's section, by its name.
fn counted(asks: impl Fn(&Count) -> bool, more: impl Fn(&str) -> &'static str) -> String {
    let mut text = String::new();
    for def in SERVICES.iter().filter(|def| !def.counts.is_empty()) {
        let asked = def.counts.iter().filter(|count| asks(count));
        let flags = asked.map(|count| format!("{}: true", count.option));
        let all: Vec<String> =
            Some(more(def.name).to_owned()).filter(|more| !more.is_empty()).into_iter().chain(flags).collect();
        text += &format!("      {}: {{{}}}\n", def.name, all.join(", "));
    }
    text
}

/// A tenant, a folder, and a collector that is started and stopped.
struct Trial {
    sim: Arc<Sim>,
    folder: TempDir,
    clock: Simulated,
}

impl Trial {
    /// A tenant with the vendor's limits, and these services in the words of the configuration.
    async fn new(change: impl FnOnce(&mut SimConfig), services: &str) -> Self {
        let start: Timestamp = START.parse().expect("a moment");
        let clock = Simulated { start_ms: start.as_millisecond(), begun: Instant::now() };
        let mut config = SimConfig { clock: SimClock::tokio(start), ..SimConfig::default() };
        change(&mut config);
        let sim = Arc::new(Sim::start(config).await.expect("loopback has a free port"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let trial = Self { sim, folder, clock };
        let inputs = trial.sim.inputs_yaml().replace("      alerts:\n", services);
        let (state, out) = (trial.state(), trial.folder.path().join("out/{service}.ndjson"));
        let rest = format!(
            "outputs:\n  files: {{type: file, config: {{path: \"{}\"}}}}\nglobals:\n  persistence: {{type: filesystem, config: {{directory_name: \"{}\"}}}}\n",
            out.display(),
            state.display()
        );
        fs::write(trial.folder.path().join("config.yaml"), inputs + &rest).expect("writable");
        trial
    }

    /// Where state lies.
    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The time that rooms are given.
    fn now(&self) -> WallClock {
        let clock = self.clock;
        Arc::new(move || clock.wall_ms())
    }

    /// The configuration as a run reads it.
    fn config(&self) -> Config {
        let path = self.folder.path().join("config.yaml");
        config::load(&path, &|_| None, config::Options::default()).expect("a good configuration").config
    }

    /// Pulls everything once. Returns how long that lasted.
    async fn once(&self) -> Duration {
        let (stop, stopped) = watch::channel(false);
        let begun = Instant::now();
        assert_eq!(self.run(true, stopped).await, Ended::Done);
        drop(stop);
        begun.elapsed()
    }

    /// Runs for so long and is then told to stop.
    async fn run_for(&self, long: Duration) {
        let (stop, stopped) = watch::channel(false);
        let told = async {
            sleep(long).await;
            stop.send_replace(true);
        };
        let (ended, ()) = tokio::join!(self.run(false, stopped), told);
        assert_eq!(ended, Ended::Done);
    }

    /// One process's life, from opening its files to closing them.
    async fn run(&self, once: bool, stopped: watch::Receiver<bool>) -> Ended {
        let config = self.config();
        let held = hold()();
        let store = sqlite::open(&self.state(), self.now()).await.expect("a store").holding(hold());
        let file = Arc::new(QuotaFile::open(&self.state()).await.expect("a record of calls"));
        drop(held);
        let journal = |tenant: &str, application: &str| -> Arc<dyn Journal> {
            Arc::new(Held(Owner::new(Arc::clone(&file), tenant, application)))
        };
        let quotas = Quotas::over(&config, journal, self.now());
        let options = Options {
            once,
            services: Vec::new(),
            tenants: Vec::new(),
            drain_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(10),
        };
        let sim = Arc::clone(&self.sim);
        let wire = move |_: &config::Input| Ok(Arc::new(InProcess(Arc::clone(&sim))) as Arc<dyn Transport>);
        let store: Arc<dyn Store> = Arc::new(store);
        let seam = (Arc::clone(&store), &quotas, Board::after(Notes::read(&store.notes().await.expect("notes"))));
        let ended = run_over(&wire, &config, &options, seam, Arc::new(self.clock), stopped).await;
        store.close().await.expect("a store that works");
        ended.expect("a store and a configuration that work")
    }

    /// What the collector has left behind.
    async fn left(&self) -> SqliteStore {
        sqlite::look(&self.state(), self.now()).await.expect("a store")
    }

    /// Calls of that kind so far.
    fn asked(&self, kind: RequestKind) -> u64 {
        self.sim.ledger().request_count(kind)
    }

    /// Fails where a call was refused, or more were made in a window than the vendor allows.
    #[track_caller]
    fn assert_within_quota(&self) {
        let ledger = self.sim.ledger();
        assert_eq!(ledger.throttled(), 0, "calls were refused");
        for family in mde_sim::Family::ALL {
            let (peak, limits) = (ledger.peak(family), family.documented());
            assert!(peak.minute <= limits.per_minute as usize, "{family:?}: {peak:?}");
            assert!(peak.hour <= limits.per_hour as usize, "{family:?}: {peak:?}");
        }
    }
}
