//! A week of one tenant under a paused clock: the real budget, streams and a server that are models.

use mde_client::WallClock;
use mde_client::budget::{
    Appended, Block, Budget, Found, InMemoryBudget, Journal, JournalError, JournaledBudget, Priority,
};
use mde_client::limits::Family;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Machines that are refreshed one by one, again and again.
const MACHINES: u64 = 50_000;

/// Counts as the vendor does: calls by their arrival, in any minute and any hour.
#[derive(Default)]
struct Server {
    arrivals: Mutex<HashMap<Family, VecDeque<Instant>>>,
    overruns: AtomicU64,
}

impl Server {
    fn arrive(&self, family: Family) {
        let (now, limits) = (Instant::now(), family.limits());
        let mut arrivals = self.arrivals.lock().expect("no panic");
        let calls = arrivals.entry(family).or_default();
        while calls.front().is_some_and(|call| *call + HOUR <= now) {
            calls.pop_front();
        }
        let in_minute = calls.len() - calls.partition_point(|call| *call + MINUTE <= now);
        if in_minute >= limits.per_minute as usize || calls.len() >= limits.per_hour as usize {
            self.overruns.fetch_add(1, Ordering::Relaxed);
        }
        calls.push_back(now);
    }
}

/// A disk that outlives processes, of which one runs at a time.
#[derive(Default)]
struct Disk(Mutex<Vec<(u32, Block)>>);

/// One process's way to it.
struct Handle {
    disk: Arc<Disk>,
    process: u32,
}

#[async_trait::async_trait]
impl Journal for Handle {
    async fn append(&self, seen: u64, block: Option<&Block>) -> Result<Appended, JournalError> {
        let mut blocks = self.disk.0.lock().expect("no panic");
        let found = |(_, block): &(u32, Block)| Found { block: *block, ended: true };
        let news = blocks[seen as usize..].iter().filter(|(process, _)| *process != self.process);
        let others: Vec<Found> = news.map(found).collect();
        if others.is_empty() {
            blocks.extend(block.map(|block| (self.process, *block)));
            return Ok(Appended::Written { seen: blocks.len() as u64 });
        }
        Ok(Appended::Behind { seen: blocks.len() as u64, others })
    }
}

/// One process: its budget and its way to the server.
#[derive(Clone)]
struct Process {
    budget: JournaledBudget,
    server: Arc<Server>,
    dice: Arc<AtomicU64>,
}

impl Process {
    /// A way to the server or back: up to two seconds.
    fn travel(&self) -> Duration {
        let turn = self.dice.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (turn ^ (turn >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Duration::from_millis((mixed >> 33) % 2_000)
    }

    /// One call; how long it had to wait before it was sent.
    async fn call(&self, family: Family, priority: Priority) -> Duration {
        let begun = Instant::now();
        let permit = self.budget.acquire(family, priority).await;
        let waited = begun.elapsed();
        sleep(self.travel()).await;
        self.server.arrive(family);
        sleep(self.travel()).await;
        permit.answered();
        waited
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_week_of_refreshes_and_kills_no_window_overruns_and_no_alert_poll_waits() {
    let (server, disk, start) = (Arc::new(Server::default()), Arc::new(Disk::default()), Instant::now());
    let (waits, refreshed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    for day in 0..7 {
        let journal = Arc::new(Handle { disk: Arc::clone(&disk), process: day });
        let now: WallClock = Arc::new(move || 1_795_510_800_000 + start.elapsed().as_millis() as i64);
        // All of the limit: nothing is left that could forgive a call too many.
        let budget = JournaledBudget::new(InMemoryBudget::new(1.0, Vec::new()), journal, now);
        let process = Process { budget, server: Arc::clone(&server), dice: Arc::new(AtomicU64::new(u64::from(day))) };
        let mut tasks = JoinSet::new();
        let (polls, seen) = (process.clone(), Arc::clone(&waits));
        tasks.spawn(async move {
            loop {
                let next = Instant::now() + MINUTE;
                let waited = polls.call(Family::Alerts, Priority::NewestAlerts).await;
                seen.lock().expect("no panic").push(waited);
                sleep_until(next).await;
            }
        });
        // A backfill that never ends, and hourly snapshots.
        let backfill = process.clone();
        tasks.spawn(async move {
            loop {
                backfill.call(Family::Alerts, Priority::Alerts).await;
            }
        });
        let lists = process.clone();
        tasks.spawn(async move {
            loop {
                let next = Instant::now() + HOUR;
                for _ in 0..12 {
                    lists.call(Family::Machines, Priority::Lists).await;
                }
                sleep_until(next).await;
            }
        });
        for family in [Family::Machines, Family::Machines, Family::Machines, Family::Alerts, Family::Alerts] {
            let (refresh, refreshed) = (process.clone(), Arc::clone(&refreshed));
            tasks.spawn(async move {
                loop {
                    refresh.call(family, Priority::Enrichment).await;
                    refreshed.fetch_add(u64::from(family == Family::Machines), Ordering::Relaxed);
                }
            });
        }
        // Killed in the middle of everything, at another minute each day.
        sleep_until(start + DAY * (day + 1) + MINUTE * (day * 7 % 60)).await;
        tasks.shutdown().await;
    }
    assert_eq!(server.overruns.load(Ordering::Relaxed), 0);
    let mut waits = waits.lock().expect("no panic").clone();
    waits.sort_unstable();
    assert!(waits.len() > 7 * 1_400, "{} polls", waits.len());
    let p99 = waits[waits.len() * 99 / 100];
    assert!(
        p99 <= Duration::from_secs(1),
        "with the way there and back alerts would be later than period + 5 s: {p99:?}"
    );
    // 1,200 in an hour at most: the whole refresh takes 42 hours, so it comes round three times.
    assert!(refreshed.load(Ordering::Relaxed) > 3 * MACHINES, "{}", refreshed.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn two_budgets_that_know_nothing_of_each_other_settle_below_the_limit() {
    use mde_client::budget::Throttle;
    let server = Arc::new(Server::default());
    let mut tasks = JoinSet::new();
    let refused: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let start = Instant::now();
    for _ in 0..2 {
        let (server, refused) = (Arc::clone(&server), Arc::clone(&refused));
        let budget = InMemoryBudget::new(0.8, Vec::new());
        tasks.spawn(async move {
            while start.elapsed() < 24 * HOUR {
                let permit = budget.acquire(Family::Alerts, Priority::Lists).await;
                sleep(Duration::from_millis(100)).await;
                let before = server.overruns.load(Ordering::Relaxed);
                server.arrive(Family::Alerts);
                let over = server.overruns.load(Ordering::Relaxed) > before;
                permit.answered();
                if over {
                    refused.lock().expect("no panic").push(Instant::now());
                    let arrivals = server.arrivals.lock().expect("no panic");
                    let calls = &arrivals[&Family::Alerts];
                    let recent = |window: Duration| calls.iter().filter(|call| call.elapsed() < window).count();
                    // The hour's wait is told where the hour is full.
                    let after = if recent(HOUR) > 1_500 { 600 } else { 30 };
                    drop(arrivals);
                    budget.throttled(
                        Family::Alerts,
                        &Throttle { after: Some(Duration::from_secs(after)), ..Throttle::default() },
                    );
                }
            }
        });
    }
    tasks.join_all().await;
    let refused = refused.lock().expect("no panic");
    let after_first_hours = refused.iter().filter(|at| **at >= start + 4 * HOUR).count();
    assert!(!refused.is_empty(), "together they want more than there is");
    assert!(after_first_hours <= 20 * 6, "{after_first_hours} refusals in the last 20 hours");
}
