//! One history: the tenant, the collector's lives, everything that happens to both, and then quiet.

use super::super::{Held, InProcess, START, hold};
use super::disk::Disk;
use super::medium::{Cut, Medium, Weather};
use super::oracle::{Facts, Watched, recovery_ms};
use super::plan::{Act, Change, Dice, End, Life, Plan};
use super::receiver::Far;
use super::tenant::Tenant;
use crate::config::{self, Config, Input, OutputEntry};
use crate::output::{Output, OutputError};
use crate::pipeline::clock::Clock;
use crate::pipeline::run::{Ended, Options, RunError, run_over};
use crate::pipeline::setup::Wire;
use crate::quota::{Owner, QuotaFile, Quotas};
use crate::record::{ErrorClass, StreamKey};
use crate::status::{Board, Notes};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{Checkpoints, Store, StoreError, StreamState, WallClock};
use async_trait::async_trait;
use jiff::Timestamp;
use mde_client::budget::Journal;
use mde_client::{HttpRequest, HttpResponse, Transport, TransportError};
use mde_sim::{Family, Sim, SimClock, SimConfig};
use std::collections::BTreeMap;
use std::fs;
use std::future::pending;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

/// What a history came to, in numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Lives of the collector.
    pub lives: u64,
    /// Requests that reached the simulator.
    pub requests: u64,
    /// Versions that were ever visible.
    pub versions: u64,
    /// Events that arrived, each once.
    pub events: u64,
    /// Events that arrived again.
    pub again: u64,
    /// Simulated time. Unit: seconds.
    pub seconds: u64,
}

impl Figures {
    /// Adds those of another history.
    pub fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.requests += other.requests;
        self.versions += other.versions;
        self.events += other.events;
        self.again += other.again;
        self.seconds += other.seconds;
    }
}

/// Runs a history. Fails with what was promised and did not hold.
pub fn run(plan: &Plan) -> Result<Figures, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(begin(plan))
}

/// A history under way.
struct History<'a> {
    plan: &'a Plan,
    begun: Instant,
    folder: TempDir,
    clock: Skewed,
    weather: Arc<Weather>,
    /// Every receiver that there may be.
    fars: Vec<Arc<Far>>,
    state: Mutex<Standing>,
}

/// What changes while it runs.
#[derive(Default)]
struct Standing {
    /// What the configuration says beyond the plan.
    tags: u32,
    machines: bool,
    /// Outputs that are configured, and from when each must have everything.
    outputs: Vec<Option<Option<i64>>>,
    /// What went wrong, from and to. Unit: milliseconds after the beginning.
    troubles: Vec<(i64, i64)>,
    /// What the store said last of each stream.
    streams: BTreeMap<StreamKey, StreamState>,
    /// Number of the folder in which state lies.
    folder: u32,
    figures: Figures,
}

/// The wall clock of simulated time, which can be wrong.
#[derive(Clone)]
struct Skewed {
    start_ms: i64,
    begun: Instant,
    /// Unit: milliseconds.
    off: Arc<AtomicI64>,
}

impl Clock for Skewed {
    fn wall_ms(&self) -> i64 {
        let since = i64::try_from(self.begun.elapsed().as_millis()).expect("some days");
        self.start_ms + since + self.off.load(Ordering::SeqCst)
    }
}

/// The network: requests and answers take their time.
struct Network {
    api: InProcess,
    delay_ms: u64,
    dice: Mutex<Dice>,
}

impl Network {
    /// One way.
    async fn way(&self) {
        if self.delay_ms > 0 {
            let way_ms = self.dice.lock().unwrap_or_else(PoisonError::into_inner).within(0..=self.delay_ms);
            sleep(Duration::from_millis(way_ms)).await;
        }
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.way().await;
        let answer = self.api.send(request).await;
        self.way().await;
        answer
    }
}

/// What lies outside of the collector.
struct Outside {
    network: Arc<Network>,
    fars: Vec<Arc<Far>>,
}

impl Wire for Outside {
    fn transport(&self, _input: &Input) -> Result<Arc<dyn Transport>, RunError> {
        Ok(Arc::<Network>::clone(&self.network))
    }

    fn output(&self, entry: &OutputEntry, _memory: Option<&str>) -> Result<Box<dyn Output>, OutputError> {
        let far = self.fars.iter().find(|far| far.name == entry.name);
        let unknown = || OutputError { class: ErrorClass::Fatal, action: "find the receiver".to_owned(), cause: None };
        Ok(Box::new(far.ok_or_else(unknown)?.connect()))
    }
}

/// Something to do at its time.
#[derive(Debug)]
enum Deed {
    Act(Act),
    Look,
    Heal(String),
    NotFull,
    NotSlow,
    Secret(String),
}

impl History<'_> {
    /// Time since the beginning. Unit: milliseconds.
    fn now_ms(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_millis()).expect("some days")
    }

    /// What changes, also after a panic elsewhere.
    fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time that rooms are given.
    fn wall(&self) -> WallClock {
        let clock = self.clock.clone();
        Arc::new(move || clock.wall_ms())
    }

    /// Where state lies.
    fn state_folder(&self) -> PathBuf {
        self.folder.path().join(format!("state-{}", self.standing().folder))
    }

    /// Writes the configuration and reads it as a run does.
    fn config(&self, sim: &Sim) -> Config {
        let settings = &self.plan.settings;
        let (tags, machines, outputs) = {
            let standing = self.standing();
            (standing.tags, standing.machines, standing.outputs.clone())
        };
        let flatten = if settings.flatten { "" } else { ", flatten: false" };
        let mut services = format!(
            "      alerts: {{request_period_in_seconds: {}, overlap: {}s, sweep: {{every: {}s, back: {}s}}, devo_tag: my.app.alerts.t{tags}{flatten}}}\n",
            settings.period, settings.overlap, settings.every, settings.back
        );
        if machines {
            services += "      machines: {snapshot_marker: true}\n";
        }
        // Microsoft Graph leaves out what rules have tuned away, and would be asked after the first refusal.
        services += "    backend: mde\n    quota: {share: 1}\n";
        let secret = sim.credentials().client_secret;
        let file = self.folder.path().join("secret");
        let inputs = sim
            .inputs_yaml()
            .replace("      alerts:\n", &services)
            .replace(&format!("client_secret: \"{secret}\""), &format!("client_secret_file: \"{}\"", file.display()));
        let mut text = inputs + "outputs:\n";
        for (far, configured) in self.fars.iter().zip(&outputs) {
            if configured.is_some() {
                text += &format!("  {}: {{type: console, config: {{from: oldest}}}}\n", far.name);
            }
        }
        let state = self.state_folder();
        text += &format!(
            "globals:\n  status: false\n  persistence: {{type: filesystem, config: {{directory_name: \"{}\"}}}}\n",
            state.display()
        );
        let path = self.folder.path().join("config.yaml");
        fs::write(&path, text).expect("a writable folder");
        config::load(&path, &|_| None, config::Options::default()).expect("a good configuration").config
    }

    /// Opens what an earlier life has left. Fails where that is not usable, or has gone back.
    async fn open(&self, disk: &Disk) -> Result<Arc<SqliteStore>, String> {
        for _ in 0..10_000 {
            let held = hold()();
            let opened = sqlite::open(&self.state_folder(), self.wall()).await;
            drop(held);
            match opened {
                // What is left of the last life has not let go of the folder.
                Err(StoreError::Locked { .. }) if !disk.has_stopped() => yield_now().await,
                Err(error) => return Err(format!("what the last life has left cannot be opened: {error}")),
                Ok(store) => {
                    let store = Arc::new(store.holding(hold()));
                    self.went_on(&store).await?;
                    return Ok(store);
                }
            }
        }
        Err("the last life never lets go of its folder".to_owned())
    }

    /// Checkpoints have moved forward only, within an epoch, unless a clock was wrong.
    async fn went_on(&self, store: &SqliteStore) -> Result<(), String> {
        let clocks = self.plan.has(|act| matches!(act, Act::Clock(_)));
        let streams = store.streams().await.map_err(|error| error.to_string())?;
        for (stream, now) in streams {
            if let Some(before) = self.standing().streams.insert(stream.clone(), now.clone()) {
                let back = now.epoch == before.epoch && now.checkpoint_ms < before.checkpoint_ms;
                if (back && !clocks) || now.epoch < before.epoch || now.last_batch < before.last_batch {
                    return Err(format!("{stream} went back from {before:?} to {now:?}"));
                }
            }
        }
        Ok(())
    }

    /// One process over that store, from its start to its end.
    async fn process(
        &self,
        sim: &Arc<Sim>,
        medium: Arc<Medium>,
        stopped: watch::Receiver<bool>,
    ) -> Result<Ended, RunError> {
        let config = self.config(sim);
        let held = hold()();
        let file = Arc::new(QuotaFile::open(&self.state_folder()).await.expect("a record of calls"));
        drop(held);
        let journal = |tenant: &str, application: &str| -> Arc<dyn Journal> {
            Arc::new(Held(Owner::new(Arc::clone(&file), tenant, application)))
        };
        let quotas = Quotas::over(&config, journal, self.wall());
        let options = Options {
            once: false,
            services: Vec::new(),
            tenants: Vec::new(),
            drain_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(10),
        };
        let dice = Mutex::new(Dice::new(self.plan.seed ^ 0xAA));
        let network = Network { api: InProcess(Arc::clone(sim)), delay_ms: self.plan.tenant.delay_ms, dice };
        let outside = Outside { network: Arc::new(network), fars: self.fars.clone() };
        let store: Arc<dyn Store> = medium;
        let board = Board::after(Notes::read(&store.notes().await?));
        let seam = (Arc::clone(&store), &quotas, board);
        let ended = run_over(&outside, &config, &options, seam, Arc::new(self.clock.clone()), stopped).await?;
        store.close().await?;
        Ok(ended)
    }

    /// One life. True when it ended because all is told to.
    async fn live(&self, sim: &Arc<Sim>, life: Option<&Life>, stop: &watch::Receiver<bool>) -> Result<bool, String> {
        self.standing().figures.lives += 1;
        tracing::info!(seconds = self.now_ms() / 1_000, "a life begins: {life:?}");
        let left = match life.map(|life| life.end) {
            Some(End::Write(write)) if !self.weather.calm.load(Ordering::SeqCst) => write,
            _ => u64::MAX,
        };
        let folder = self.state_folder();
        let disk = Disk::watch(&folder, left);
        let store = match self.open(&disk).await {
            Ok(store) => store,
            Err(_) if disk.has_stopped() => return Ok(self.move_on(&disk, life, stop)),
            Err(error) => return Err(error),
        };
        let cut = match life.map(|life| life.end) {
            Some(End::Before(call) | End::Frozen(call, _)) => Cut::Before(call),
            Some(End::Behind(call)) => Cut::Behind(call),
            _ => Cut::Never,
        };
        let frozen = matches!(life.map(|life| life.end), Some(End::Frozen(..)));
        let medium = Arc::new(Medium::new(Arc::clone(&store), Arc::clone(&self.weather), cut, !frozen));
        let (own_stop, own_stopped) = watch::channel(false);
        let ended = {
            let mut process = Box::pin(self.process(sim, Arc::clone(&medium), own_stopped));
            let mut stop = stop.clone();
            let end = async {
                match life.map(|life| life.end) {
                    Some(End::Kill(ms)) => self.unless_calm(sleep(Duration::from_millis(ms))).await,
                    Some(End::Stop(ms)) => {
                        self.unless_calm(sleep(Duration::from_millis(ms))).await;
                        own_stop.send_replace(true);
                        pending().await
                    }
                    Some(End::Frozen(_, seconds)) => {
                        medium.reached().await;
                        self.replaced(sim, &store, &medium, Duration::from_secs(seconds)).await;
                    }
                    Some(End::Write(_)) => disk.stopped().await,
                    _ => medium.reached().await,
                }
            };
            let told = async {
                stop.wait_for(|stop| *stop).await.ok();
                own_stop.send_replace(true);
                pending::<()>().await;
            };
            tokio::select! {
                ended = &mut process => Some(ended),
                () = end => None,
                () = told => None,
            }
        };
        let all_over = self.move_on(&disk, life, stop);
        drop(medium);
        for _ in 0..1_000 {
            if Arc::strong_count(&store) == 1 {
                break;
            }
            yield_now().await;
        }
        if Arc::strong_count(&store) > 1 {
            return Err("somebody works on although the process has ended".to_owned());
        }
        drop(store);
        match ended {
            None | Some(Ok(_) | Err(RunError::Store(StoreError::Disk(_)))) => {}
            // A disk that stops says so in many words.
            Some(Err(_)) if matches!(life.map(|life| life.end), Some(End::Write(_))) => {}
            Some(Err(error)) => return Err(format!("the collector gave up: failed to {error}")),
        }
        Ok(all_over)
    }

    /// The process is gone: the next one finds what lies on the disk now. True when there is none.
    fn move_on(&self, disk: &Disk, life: Option<&Life>, stop: &watch::Receiver<bool>) -> bool {
        let power = life.is_some_and(|life| life.power && !matches!(life.end, End::Frozen(..) | End::Stop(_)));
        let old = self.state_folder();
        let number = {
            let mut standing = self.standing();
            standing.folder += 1;
            standing.folder
        };
        let mut dice = Dice::new(self.plan.seed ^ u64::from(number));
        disk.copy_to(&self.state_folder(), power.then_some(&mut dice));
        fs::remove_dir_all(old).ok();
        *stop.borrow()
    }

    /// The process stands still; another takes over. Then both run for a while, and both end.
    async fn replaced(&self, sim: &Arc<Sim>, store: &Arc<SqliteStore>, first: &Medium, still: Duration) {
        let (_stop, stopped) = watch::channel(false);
        let second = Medium::new(Arc::clone(store), Arc::clone(&self.weather), Cut::Never, false);
        let goes_on = async {
            sleep(still).await;
            first.go_on();
            sleep(Duration::from_secs(90)).await;
        };
        tokio::select! {
            _ = self.process(sim, Arc::new(second), stopped) => {}
            () = goes_on => {}
        }
    }

    /// Waits for it, for ever once it is quiet.
    async fn unless_calm(&self, wait: impl Future<Output = ()>) {
        wait.await;
        if self.weather.calm.load(Ordering::SeqCst) {
            pending().await
        }
    }

    /// All lives, and the last one until told to stop.
    async fn lives(&self, sim: &Arc<Sim>, stop: &watch::Receiver<bool>) -> Result<(), String> {
        for life in self.plan.lives.iter().map(Some).chain(std::iter::repeat(None)) {
            if self.live(sim, life, stop).await? {
                break;
            }
            let (from_ms, down) = (self.now_ms(), life.map_or(5, |life| life.down));
            if let Some(change) = life.and_then(|life| life.change) {
                self.change(change);
            }
            if !self.weather.calm.load(Ordering::SeqCst) {
                sleep(Duration::from_secs(down)).await;
            }
            self.standing().troubles.push((from_ms, self.now_ms() + 1));
        }
        Ok(())
    }

    /// What an operator changes.
    fn change(&self, change: Change) {
        let now_ms = self.now_ms();
        let mut standing = self.standing();
        match change {
            Change::Tag => standing.tags += 1,
            Change::Machines => standing.machines = !standing.machines,
            Change::OutputOldest => {
                if let Some(free) = standing.outputs.iter_mut().find(|output| output.is_none()) {
                    *free = Some(Some(now_ms));
                }
            }
            Change::OutputGone => {
                // One that comes back has kept its backlog: nothing is forgiven.
                let last = standing.outputs.iter().skip(1).rposition(Option::is_some).map(|place| place + 1);
                if let Some(last) = last {
                    standing.outputs[last] = None;
                }
            }
        }
    }

    /// Everything that happens, at its time. Ends when no more will.
    async fn storm(&self, sim: &Arc<Sim>, tenant: &Tenant) {
        let mut agenda: BTreeMap<(u64, u64), Deed> = BTreeMap::new();
        for timed in &self.plan.acts {
            agenda.insert((timed.at_ms, agenda.len() as u64), Deed::Act(timed.act.clone()));
        }
        let dice = &mut Dice::new(self.plan.seed ^ 0x55);
        while let Some(((at_ms, _), deed)) = agenda.pop_first() {
            sleep_until(self.begun + Duration::from_millis(at_ms)).await;
            tracing::info!(seconds = at_ms / 1_000, "{deed:?}");
            for (after_s, next) in self.happen(sim, tenant, deed, dice) {
                agenda.insert((at_ms + after_s * 1_000, agenda.len() as u64 + 1_000_000), next);
            }
        }
    }

    /// One thing happens. Returns what follows from it, in so many seconds each.
    fn happen(&self, sim: &Arc<Sim>, tenant: &Tenant, deed: Deed, dice: &mut Dice) -> Vec<(u64, Deed)> {
        let trouble = |seconds: u64| {
            let now_ms = self.now_ms();
            self.standing().troubles.push((now_ms, now_ms + seconds as i64 * 1_000 + 1));
        };
        let mut draw = |last: u64| dice.within(0..=last);
        match deed {
            Deed::Look => tenant.look(),
            Deed::Heal(id) => sim.scenario().heal(&id),
            Deed::NotFull => self.weather.full.store(false, Ordering::SeqCst),
            Deed::NotSlow => self.weather.slow_ms.store(0, Ordering::SeqCst),
            Deed::Secret(secret) => fs::write(self.folder.path().join("secret"), secret).expect("a writable folder"),
            Deed::Act(act) => match act {
                Act::Add(count) => tenant.add(count),
                Act::Update => tenant.alert(draw).iter().for_each(|id| tenant.update(id)),
                Act::AddLate(seconds) => tenant.add_late(seconds),
                Act::UpdateLate(seconds) => {
                    if let Some(id) = tenant.alert(draw) {
                        tenant.update_late(&id, seconds);
                        return vec![(seconds, Deed::Look), (seconds + 1, Deed::Look)];
                    }
                }
                Act::AddMachine => tenant.add_machine(),
                Act::RemoveMachine => tenant.remove_machine(draw),
                Act::ShiftMachines(answers) => {
                    self.shift(sim, tenant, mde_sim::RequestKind::Machines, answers, draw(99))
                }
                Act::ShiftAlerts(answers) => self.shift(sim, tenant, mde_sim::RequestKind::Alerts, answers, draw(99)),
                Act::Api(kind, fault, times) => {
                    trouble(120);
                    sim.scenario().times(kind, times, fault);
                }
                Act::Poison(seconds) => {
                    trouble(seconds);
                    if let Some(id) = tenant.alert(draw) {
                        sim.scenario().poison(&id);
                        return vec![(seconds, Deed::Heal(id))];
                    }
                }
                Act::Far(output, what) => {
                    trouble(120);
                    self.fars[output % self.fars.len()].trouble(what);
                }
                Act::Clock(seconds) => {
                    trouble(1);
                    self.clock.off.fetch_add(seconds * 1_000, Ordering::SeqCst);
                }
                Act::DiskFull(seconds) => {
                    trouble(seconds);
                    self.weather.full.store(true, Ordering::SeqCst);
                    return vec![(seconds, Deed::NotFull)];
                }
                Act::DiskSlow(ms, seconds) => {
                    trouble(seconds);
                    self.weather.slow_ms.store(ms, Ordering::SeqCst);
                    return vec![(seconds, Deed::NotSlow)];
                }
                Act::Revoked => {
                    trouble(1);
                    sim.entra().revoke_tokens();
                }
                Act::Rotated(seconds) => {
                    trouble(seconds + 300);
                    return vec![(seconds, Deed::Secret(sim.entra().rotate_secret()))];
                }
                Act::Quota(per_minute) => {
                    trouble(600);
                    let limits = mde_sim::Limits { per_minute, ..Family::Alerts.documented() };
                    sim.set_quota(Family::Alerts, Some(limits));
                }
            },
        }
        Vec::new()
    }

    /// After so many answers of a kind, once: something moves.
    fn shift(&self, sim: &Arc<Sim>, tenant: &Tenant, kind: mde_sim::RequestKind, answers: u64, choice: u64) {
        let (tenant, done) = (tenant.clone(), AtomicI64::new(0));
        sim.scenario().after_requests(kind, answers, move |_| {
            if done.fetch_add(1, Ordering::SeqCst) > 0 {
                return;
            }
            if kind == mde_sim::RequestKind::Machines {
                tenant.remove_machine(|last| choice * last / 100);
                tenant.add_machine();
            } else if let Some(id) = tenant.alert(|last| choice * last / 100) {
                tenant.update(&id);
            }
        });
    }

    /// Waits for the end of the storm, and then until everything is where it belongs.
    async fn quiet(&self, sim: &Arc<Sim>, tenant: &Tenant, stop: &watch::Sender<bool>) -> Result<(), String> {
        self.storm(sim, tenant).await;
        sim.scenario().clear();
        sim.set_quota(Family::Alerts, Some(Family::Alerts.documented()));
        self.fars.iter().for_each(|far| far.clear());
        self.clock.off.store(0, Ordering::SeqCst);
        self.weather.calm.store(true, Ordering::SeqCst);
        tenant.look();
        let settings = &self.plan.settings;
        let every = if settings.every < 10_000 { settings.every } else { 0 };
        let most = recovery_ms(self.plan) + (every + 2 * settings.period + 1_200) as i64 * 1_000;
        let bound = self.now_ms() + most;
        loop {
            sleep(Duration::from_secs(2 * settings.period)).await;
            let verdict = self.judge(sim, tenant, |facts| {
                facts.sound()?;
                Ok(facts.missing(false))
            });
            match verdict? {
                None => break,
                Some(missing) if self.now_ms() > bound => {
                    return Err(format!("{} min after the last trouble: {missing}", most / 60_000));
                }
                Some(_) => {}
            }
        }
        stop.send_replace(true);
        Ok(())
    }

    /// Asks the oracle.
    fn judge<T>(
        &self,
        sim: &Sim,
        tenant: &Tenant,
        ask: impl FnOnce(&Facts<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let (outputs, troubles) = {
            let standing = self.standing();
            let watched = |(far, configured): (&Arc<Far>, &Option<Option<i64>>)| Watched {
                far: Arc::clone(far),
                since_ms: configured.flatten(),
                configured: configured.is_some(),
            };
            let outputs: Vec<_> = self.fars.iter().zip(&standing.outputs).map(watched).collect();
            (outputs, standing.troubles.clone())
        };
        ask(&Facts { plan: self.plan, sim, tenant, outputs: &outputs, troubles: &troubles, begun: self.begun })
    }

    /// From the beginning to the verdict.
    async fn run(self, sim: Arc<Sim>, tenant: Tenant) -> Result<Figures, String> {
        let (stop, stopped) = watch::channel(false);
        let lives = async {
            self.lives(&sim, &stopped).await?;
            Ok::<_, String>(())
        };
        tokio::try_join!(lives, self.quiet(&sim, &tenant, &stop))?;
        self.judge(&sim, &tenant, |facts| {
            facts.sound()?;
            facts.missing(true).map_or(Ok(()), Err)
        })?;
        let mut figures = self.standing().figures;
        figures.requests = sim.ledger().request_count(None);
        figures.versions = tenant.versions().len() as u64;
        figures.seconds = self.begun.elapsed().as_secs();
        for arrived in self.fars.iter().flat_map(|far| far.arrived().into_values()) {
            figures.events += 1;
            figures.again += arrived.times - 1;
        }
        Ok(figures)
    }
}

/// Makes the tenant and lets everything happen.
async fn begin(plan: &Plan) -> Result<Figures, String> {
    let start: Timestamp = START.parse().expect("a moment");
    let begun = Instant::now();
    let mut config = SimConfig { clock: SimClock::tokio(start), seed: plan.seed, ..SimConfig::default() };
    config.alerts.count = plan.tenant.alerts;
    config.alerts.tied = plan.tenant.tied;
    config.alerts.span = Duration::from_secs(plan.tenant.hours * 3_600);
    config.alerts.evidence = 1..=3;
    config.page.size = plan.tenant.page;
    config.machines.count = plan.tenant.machines;
    config.machines.software = 1;
    config.software.count = 3;
    config.vulnerabilities.count = 3;
    config.recommendations.count = 2;
    config.investigations.count = 0;
    let sim = Arc::new(Sim::start(config).await.expect("loopback has a free port"));
    let tenant = Tenant::new(&sim, plan.tenant.machines);
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("secret"), sim.credentials().client_secret).expect("a writable folder");
    let fars: Vec<_> = (0..3_u64).map(|number| Far::new(&format!("far_{number}"), plan.seed ^ number)).collect();
    let outputs = (0..fars.len()).map(|number| (number < plan.settings.outputs).then_some(None)).collect();
    let state = Standing { machines: plan.tenant.machines > 0, outputs, ..Standing::default() };
    let clock = Skewed { start_ms: start.as_millisecond(), begun, off: Arc::default() };
    let (weather, state) = (Arc::default(), Mutex::new(state));
    History { plan, begun, folder, clock, weather, fars, state }.run(sim, tenant).await
}
