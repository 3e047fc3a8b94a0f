//! The queue on a paused clock: time moves only when all wait.

use super::*;
use tokio::sync::mpsc;
use tokio::time::advance;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A budget whose only limit that matters is one of the tenant's own.
fn budget(period: u64, limit: u32) -> InMemoryBudget {
    InMemoryBudget::new(1.0, vec![Window { period: s(period), limit }])
}

/// Lets every task that can go on do so.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_wait_for_the_end_of_the_window() {
    let budget = budget(10, 2);
    let start = Instant::now();
    for expected in [0, 0, 10, 10, 20] {
        budget.acquire(Family::Alerts, Priority::NewestAlerts).await.answered();
        assert_eq!(start.elapsed().as_secs(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_holds_its_slot_until_after_its_answer() {
    let budget = budget(10, 1);
    let permit = budget.acquire(Family::Alerts, Priority::NewestAlerts).await;
    let start = Instant::now();
    let waiting = tokio::spawn({
        let budget = budget.clone();
        async move {
            budget.acquire(Family::Machines, Priority::NewestAlerts).await.answered();
            start.elapsed().as_secs()
        }
    });
    settle().await;
    advance(s(100)).await;
    permit.answered();
    assert_eq!(waiting.await.expect("the task ends"), 110);
}

#[tokio::test(start_paused = true)]
async fn the_more_urgent_is_served_first_whoever_came_first() {
    let budget = budget(10, 1);
    budget.acquire(Family::Alerts, Priority::NewestAlerts).await.answered();
    let (served, mut order) = mpsc::unbounded_channel();
    for priority in [Priority::Enrichment, Priority::Lists, Priority::NewestAlerts, Priority::Lists, Priority::Alerts] {
        let (budget, served) = (budget.clone(), served.clone());
        tokio::spawn(async move {
            budget.acquire(Family::Alerts, priority).await.answered();
            let _ = served.send(priority);
        });
        settle().await;
    }
    drop(served);
    let mut seen = Vec::new();
    while let Some(priority) = order.recv().await {
        seen.push(priority);
    }
    let expected = [Priority::NewestAlerts, Priority::Alerts, Priority::Lists, Priority::Lists, Priority::Enrichment];
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_full_family_holds_up_nobody_else() {
    let budget = InMemoryBudget::new(1.0, Vec::new());
    for _ in 0..5 {
        budget.acquire(Family::ExportFiles, Priority::NewestAlerts).await.answered();
    }
    let start = Instant::now();
    let blocked = tokio::spawn({
        let budget = budget.clone();
        async move { budget.acquire(Family::ExportFiles, Priority::NewestAlerts).await.answered() }
    });
    settle().await;
    budget.acquire(Family::Machines, Priority::Enrichment).await.answered();
    assert_eq!(start.elapsed(), Duration::ZERO);
    blocked.await.expect("the task ends");
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_family_is_not_called_and_others_are() {
    let budget = InMemoryBudget::new(1.0, Vec::new());
    budget.throttled(Family::Alerts, &Throttle { after: Some(s(30)), allowed: None, ..Throttle::default() });
    let start = Instant::now();
    budget.acquire(Family::Machines, Priority::Enrichment).await.answered();
    assert_eq!(start.elapsed(), Duration::ZERO);
    budget.acquire(Family::Alerts, Priority::NewestAlerts).await.answered();
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_longer_wait_is_noticed_by_those_who_wait_already() {
    let budget = InMemoryBudget::new(1.0, Vec::new());
    budget.throttled(Family::Alerts, &Throttle { after: Some(s(10)), allowed: None, ..Throttle::default() });
    let start = Instant::now();
    let waiting = tokio::spawn({
        let budget = budget.clone();
        async move { budget.acquire(Family::Alerts, Priority::Alerts).await.answered() }
    });
    settle().await;
    budget.throttled(Family::Alerts, &Throttle { after: Some(s(40)), allowed: None, ..Throttle::default() });
    waiting.await.expect("the task ends");
    assert_eq!(start.elapsed().as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_one_service_hold_up_its_calls_only() {
    let budget = InMemoryBudget::new(1.0, Vec::new());
    let service = budget.with_limits(vec![Window { period: s(30), limit: 1 }]);
    let start = Instant::now();
    service.acquire(Family::Machines, Priority::Lists).await.answered();
    budget.acquire(Family::Machines, Priority::Lists).await.answered();
    assert_eq!(start.elapsed(), Duration::ZERO);
    service.acquire(Family::Machines, Priority::Lists).await.answered();
    assert_eq!(start.elapsed().as_secs(), 30);
    let machines = &budget.snapshot()[Family::Machines as usize];
    assert_eq!(machines.windows[0].used, 3, "all of them count for the family");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_the_queue() {
    let budget = budget(10, 1);
    let permit = budget.acquire(Family::Alerts, Priority::NewestAlerts).await;
    let urgent = tokio::spawn({
        let budget = budget.clone();
        async move { budget.acquire(Family::Alerts, Priority::NewestAlerts).await }
    });
    let patient = tokio::spawn({
        let budget = budget.clone();
        async move { budget.acquire(Family::Alerts, Priority::Enrichment).await }
    });
    settle().await;
    urgent.abort();
    assert!(urgent.await.is_err());
    permit.answered();
    let start = Instant::now();
    patient.await.expect("the task ends").answered();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert!(budget.shared.state().waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_granted_to_one_who_left_is_not_lost() {
    let budget = budget(10, 1);
    let mut ticket = Ticket::draw(Arc::clone(&budget.shared), Priority::Alerts, [None, Some(LIMITS.len()), None]);
    budget.shared.state().serve(budget.shared.now());
    assert!(budget.shared.state().waiting[&ticket.place].granted);
    ticket.done = false;
    drop(ticket);
    let start = Instant::now();
    budget.acquire(Family::Alerts, Priority::NewestAlerts).await.answered();
    assert_eq!(start.elapsed().as_secs(), 10, "it counts as made, and its slot comes back");
}

#[tokio::test(start_paused = true)]
async fn the_snapshot_tells_how_full_each_window_is() {
    let budget = budget(10, 7);
    let open = budget.acquire(Family::Hunting, Priority::Hunting).await;
    budget.acquire(Family::Hunting, Priority::Hunting).await.answered();
    budget.throttled(Family::Hunting, &Throttle { after: Some(s(9)), allowed: None, ..Throttle::default() });
    let snapshot = budget.snapshot();
    assert_eq!(snapshot.len(), LIMITS.len() + 1);
    let hunting = snapshot.iter().find(|bucket| bucket.family == Some(Family::Hunting)).expect("its row");
    assert_eq!((hunting.throttled, hunting.blocked_for), (1, s(9)));
    assert_eq!(hunting.windows[1], WindowUse { period: s(3_600), used: 2, limit: 1_500, free_in: Duration::ZERO });
    assert_eq!(snapshot.last().map(|bucket| bucket.windows[0].used), Some(2), "the tenant's own limit");
    drop(open);
}

#[tokio::test(start_paused = true)]
async fn a_server_with_the_vendors_limits_never_sees_one_call_too_many() {
    // Enrichment in forty lanes with answers of different slowness, newest alerts once a minute, two hours long.
    let budget = InMemoryBudget::new(0.8, Vec::new());
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let start = Instant::now();
    let until = start + s(7_200);
    for lane in 0_u64..40 {
        let (budget, arrived) = (budget.clone(), arrived.clone());
        tokio::spawn(async move {
            let mut turn = lane;
            while Instant::now() < until {
                let permit = budget.acquire(Family::Alerts, Priority::Enrichment).await;
                turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                tokio::time::sleep(Duration::from_millis((turn >> 33) % 2_000)).await;
                let _ = arrived.send(start.elapsed());
                tokio::time::sleep(Duration::from_millis((turn >> 40) % 500)).await;
                permit.answered();
            }
        });
    }
    let mut longest_wait = Duration::ZERO;
    while Instant::now() < until {
        let asked = Instant::now();
        let permit = budget.acquire(Family::Alerts, Priority::NewestAlerts).await;
        longest_wait = longest_wait.max(asked.elapsed());
        let _ = arrived.send(start.elapsed());
        permit.answered();
        tokio::time::sleep(s(60)).await;
    }
    drop(arrived);
    let mut seen = Vec::new();
    while let Some(at) = arrivals.recv().await {
        seen.push(at);
    }
    seen.sort_unstable();
    assert!(seen.len() > 2_000, "the budget is used: {}", seen.len());
    for (period, limit) in [(s(60), 80), (s(3_600), 1_200)] {
        assert!(seen.windows(limit + 1).all(|group| group[limit] - group[0] > period), "{limit} in {period:?}");
    }
    assert_eq!(longest_wait, Duration::ZERO, "what is kept for the newest alerts is there when they come");
}
