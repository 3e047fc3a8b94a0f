//! Processes that are killed at any point, and several at once, against what the server sees.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Duration;
use tokio::task::JoinSet;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A disk that outlives processes.
struct Disk {
    blocks: Mutex<Vec<(u32, Block)>>,
    running: Mutex<HashSet<u32>>,
    /// Attempts that fail before anything is written, from now on.
    failing: AtomicU32,
}

/// One process's way to the disk.
struct Handle {
    disk: Arc<Disk>,
    process: u32,
    /// How long writing takes before and after the moment that counts.
    slowness: (Duration, Duration),
}

#[async_trait::async_trait]
impl Journal for Handle {
    async fn append(&self, seen: u64, block: Option<&Block>) -> Result<Appended, JournalError> {
        sleep(self.slowness.0).await;
        let failing = &self.disk.failing;
        if failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(JournalError(Arc::new(std::io::Error::other("the disk is full"))));
        }
        let appended = {
            let mut blocks = self.disk.blocks.lock().expect("nobody panics with it");
            let running = self.disk.running.lock().expect("nobody panics with it");
            let found = |(process, block): &(u32, Block)| Found { block: *block, ended: !running.contains(process) };
            let others: Vec<Found> =
                blocks[seen as usize..].iter().filter(|(process, _)| *process != self.process).map(found).collect();
            if others.is_empty() {
                blocks.extend(block.map(|block| (self.process, *block)));
                Appended::Written { seen: blocks.len() as u64 }
            } else {
                Appended::Behind { seen: blocks.len() as u64, others }
            }
        };
        sleep(self.slowness.1).await;
        Ok(appended)
    }
}

fn disk() -> Arc<Disk> {
    Arc::new(Disk { blocks: Mutex::default(), running: Mutex::default(), failing: AtomicU32::new(0) })
}

/// A new process on that disk. The wall clock starts with the test's.
fn process(disk: &Arc<Disk>, number: u32, start: Instant, slowness: (Duration, Duration)) -> JournaledBudget {
    disk.running.lock().expect("nobody panics with it").insert(number);
    let journal = Arc::new(Handle { disk: Arc::clone(disk), process: number, slowness });
    let now: WallClock = Arc::new(move || 1_795_510_800_000 + start.elapsed().as_millis() as i64);
    JournaledBudget::new(InMemoryBudget::new(1.0, Vec::new()), journal, now)
}

/// When each call has reached the server, since the beginning.
type Seen = Arc<Mutex<Vec<Duration>>>;

/// One process of the model, from its start to its kill.
#[derive(Debug, Clone)]
struct Life {
    /// How long after the one before it starts; that one may still run.
    pause: Duration,
    /// How long it runs.
    length: Duration,
    /// Tasks that call as fast as they may.
    lanes: u64,
    /// How long a call is put off once it may be made, at most; it is dropped if that is too long.
    hesitation: Duration,
    /// How long calls travel there, at most. The rest of the way back takes as long again.
    travel: Duration,
    /// How long writing takes.
    slowness: (Duration, Duration),
}

fn life() -> impl Strategy<Value = Life> {
    let upto = |most: u64| (0..=most).prop_map(millis);
    let hesitation = prop_oneof![Just(Duration::ZERO), upto(11_000)];
    let travel = prop_oneof![Just(Duration::ZERO), Just(s(3)), upto(3_000)];
    (upto(70_000), upto(180_000), 1_u64..9, hesitation, travel, (upto(300), upto(300))).prop_map(
        |(pause, length, lanes, hesitation, travel, slowness)| Life {
            pause,
            length,
            lanes,
            hesitation,
            travel,
            slowness,
        },
    )
}

/// A part of a length, drawn.
fn part(length: Duration, turn: &mut u64) -> Duration {
    *turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    length.mul_f64((*turn >> 40) as f64 / ((1_u64 << 24) - 1) as f64)
}

/// Calls without pause until it is killed; calls under way arrive even so.
async fn live(budget: JournaledBudget, life: Life, number: u64, start: Instant, seen: Seen) {
    let mut lanes = JoinSet::new();
    for lane in 0..life.lanes {
        let (budget, seen, life) = (budget.clone(), Arc::clone(&seen), life.clone());
        lanes.spawn(async move {
            let mut turn = number * 31 + lane;
            loop {
                let permit = budget.acquire(Family::ExportFiles, Priority::NewestAlerts).await;
                sleep(part(life.hesitation, &mut turn)).await;
                if !permit.is_good() {
                    continue;
                }
                let there = if life.travel == Block::TRAVEL { life.travel } else { part(life.travel, &mut turn) };
                seen.lock().expect("nobody panics with it").push(start.elapsed() + there);
                sleep(there * 2).await;
                permit.answered();
            }
        });
    }
    sleep(life.length).await;
    // The kill: tasks and memory are gone.
    lanes.abort_all();
    while let Some(ended) = lanes.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }
}

/// Runs those processes on one disk, at once where their times overlap, and returns what the server saw.
async fn history(lives: Vec<Life>) -> Vec<Duration> {
    let (disk, seen, start) = (disk(), Seen::default(), Instant::now());
    let mut processes = JoinSet::new();
    for (number, life) in lives.into_iter().enumerate() {
        sleep(life.pause).await;
        let budget = process(&disk, number as u32, start, life.slowness);
        let (disk, seen) = (Arc::clone(&disk), Arc::clone(&seen));
        processes.spawn(async move {
            live(budget, life, number as u64, start, seen).await;
            disk.running.lock().expect("nobody panics with it").remove(&(number as u32));
        });
    }
    while let Some(ended) = processes.join_next().await {
        ended.expect("the task ends");
    }
    let mut seen = std::mem::take(&mut *seen.lock().expect("nobody panics with it"));
    seen.sort_unstable();
    seen
}

/// Fails where the server would have seen more than it allows.
fn check(seen: &[Duration]) -> Result<(), TestCaseError> {
    let limits = Family::ExportFiles.limits();
    for (period, limit) in [(s(60), limits.per_minute as usize), (s(3_600), limits.per_hour as usize)] {
        for group in seen.windows(limit + 1) {
            let apart = group[limit] - group[0];
            prop_assert!(apart > period, "{} calls within {apart:?}, allowed {limit} in {period:?}", limit + 1);
        }
    }
    Ok(())
}

/// A runtime whose clock moves on whenever everybody waits.
fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn kills_at_any_point_and_processes_at_once_never_show_the_server_more_than_it_allows(
        lives in prop::collection::vec(life(), 1..12),
    ) {
        check(&run(history(lives)))?;
    }
}

#[test]
fn a_process_that_is_killed_and_restarted_without_pause_still_uses_the_whole_quota() {
    let life = Life {
        pause: s(20),
        length: s(20),
        lanes: 4,
        hesitation: s(0),
        travel: millis(100),
        slowness: (millis(5), millis(5)),
    };
    let seen = run(history(vec![life; 200]));
    check(&seen).expect("never too many");
    assert!(seen.len() >= 20, "an hour of twenty calls: {}", seen.len());
}

#[test]
fn one_block_covers_all_who_wait_and_no_call_is_reserved_that_nobody_makes() {
    run(async {
        let disk = disk();
        let budget = process(&disk, 0, Instant::now(), (millis(50), millis(50)));
        let mut asking = JoinSet::new();
        for _ in 0..40 {
            let budget = budget.clone();
            asking.spawn(async move { budget.acquire(Family::Alerts, Priority::NewestAlerts).await.answered() });
        }
        while let Some(asked) = asking.join_next().await {
            asked.expect("the task ends");
        }
        let blocks: Vec<u32> =
            disk.blocks.lock().expect("nobody panics").iter().map(|(_, block)| block.calls).collect();
        assert!(blocks.len() <= 2, "{blocks:?}");
        assert_eq!(blocks.iter().sum::<u32>(), 40);
    });
}

#[test]
fn calls_of_a_process_before_count_for_the_family_and_the_tenant_until_they_are_old() {
    run(async {
        let (disk, start) = (disk(), Instant::now());
        let first = process(&disk, 0, start, (millis(0), millis(0)));
        for _ in 0..5 {
            first.acquire(Family::ExportFiles, Priority::NewestAlerts).await.answered();
        }
        drop(first);
        disk.running.lock().expect("nobody panics").clear();
        let budget = InMemoryBudget::new(1.0, vec![Window { period: s(60), limit: 1_000 }]);
        let journal = Arc::new(Handle { disk: Arc::clone(&disk), process: 1, slowness: (millis(0), millis(0)) });
        let second = JournaledBudget::new(
            budget,
            journal,
            Arc::new(move || 1_795_510_800_000 + start.elapsed().as_millis() as i64),
        );
        second.catch_up().await.expect("a disk");
        let used = |bucket: usize| second.snapshot()[bucket].windows[0].used;
        assert_eq!((used(Family::ExportFiles as usize), used(LIMITS.len())), (5, 5));
        second.acquire(Family::ExportFiles, Priority::NewestAlerts).await.answered();
        let waited = start.elapsed();
        assert!(waited > s(63) && waited < s(64), "a minute after the restart and three seconds: {waited:?}");
    });
}

#[test]
fn a_journal_that_fails_holds_every_call_up_says_why_and_recovers_by_itself() {
    run(async {
        let disk = disk();
        disk.failing.store(3, Ordering::Relaxed);
        let budget = process(&disk, 0, Instant::now(), (millis(1), millis(1)));
        let calling = tokio::spawn({
            let budget = budget.clone();
            async move { budget.acquire(Family::Alerts, Priority::NewestAlerts).await.answered() }
        });
        sleep(s(1)).await;
        assert!(!calling.is_finished());
        assert_eq!(budget.failure().expect("it is told").to_string(), "write the quota down");
        calling.await.expect("the task ends");
        assert!(budget.failure().is_none());
        assert_eq!(disk.blocks.lock().expect("nobody panics").len(), 1);
    });
}

#[test]
fn a_block_that_has_run_out_is_not_used_although_calls_are_left_in_it() {
    run(async {
        let disk = disk();
        let budget = process(&disk, 0, Instant::now(), (millis(200), millis(200)));
        let leaving: Vec<_> = (0..3)
            .map(|_| {
                let budget = budget.clone();
                tokio::spawn(async move { budget.acquire(Family::Alerts, Priority::NewestAlerts).await })
            })
            .collect();
        // The first has a block of its own; the second writes one for the third as well, who leaves.
        sleep(millis(500)).await;
        leaving[2].abort();
        sleep(s(11)).await;
        let blocks =
            || disk.blocks.lock().expect("nobody panics").iter().map(|(_, block)| block.calls).collect::<Vec<_>>();
        assert_eq!(blocks(), [1, 2]);
        let permit = budget.acquire(Family::Alerts, Priority::NewestAlerts).await;
        assert!(permit.is_good());
        assert_eq!(blocks(), [1, 2, 1], "a new one was written");
        sleep(Block::VALIDITY).await;
        assert!(!permit.is_good());
    });
}

#[test]
fn who_gives_up_while_it_is_written_down_keeps_nobody_waiting() {
    run(async {
        let disk = disk();
        let budget = process(&disk, 0, Instant::now(), (millis(200), millis(200)));
        for pause in [100, 300] {
            let giving_up = tokio::time::timeout(millis(pause), budget.acquire(Family::Alerts, Priority::NewestAlerts));
            assert!(giving_up.await.is_err());
        }
        budget.acquire(Family::Alerts, Priority::NewestAlerts).await.answered();
        assert_eq!(budget.desk.wanted[Family::Alerts as usize].load(Ordering::Relaxed), 0);
    });
}
