//! What a server sees is the measure: calls may arrive at any time between sending and answer.

use super::*;
use proptest::prelude::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn windows(limits: &[(u64, u32)]) -> SlidingWindows {
    SlidingWindows::new(limits.iter().map(|(period, limit)| Window { period: s(*period), limit: *limit }).collect())
}

#[test]
fn a_share_is_rounded_down_and_never_nothing() {
    for (limit, share, calls) in
        [(100, 0.8, 80), (45, 0.8, 36), (5, 0.8, 4), (100, 0.29, 29), (20, 0.01, 1), (7, 1.0, 7)]
    {
        assert_eq!(Window::share_of(limit, share, s(60)).limit, calls, "{limit} × {share}");
    }
    assert_eq!(Window::share_of(10, 5.0, s(60)).limit, 10, "more than all is all");
    assert_eq!(Window::share_of(10, f64::NAN, s(60)).limit, 1);
}

#[test]
fn a_slot_is_held_from_sending_until_a_period_after_the_answer() {
    let mut log = windows(&[(60, 1)]);
    assert_eq!(log.room(s(0), Priority::NewestAlerts), Room::Now);
    log.send();
    assert_eq!(log.room(s(500), Priority::NewestAlerts), Room::AfterAnAnswer, "it travels still");
    log.answer(s(500));
    let free = s(560) + STEP;
    assert_eq!(log.room(s(560), Priority::NewestAlerts), Room::At(free), "a window may include both its ends");
    assert_eq!(log.room(free, Priority::NewestAlerts), Room::Now);
}

#[test]
fn both_windows_must_have_room_at_the_same_moment() {
    let mut log = windows(&[(60, 2), (3_600, 3)]);
    for at in [0, 61, 122] {
        assert_eq!(log.room(s(at), Priority::NewestAlerts), Room::Now);
        log.send();
        log.answer(s(at));
    }
    assert_eq!(
        log.room(s(300), Priority::NewestAlerts),
        Room::At(s(3_600) + STEP),
        "the minute is free, the hour is full"
    );
    let used: Vec<u32> = log.used(s(122)).iter().map(|window| window.used).collect();
    assert_eq!(used, [1, 3], "of the minute before 122 s only the last call");
}

#[test]
fn a_tenth_is_kept_for_the_newest_alerts_and_a_fifth_from_enrichment() {
    let mut log = windows(&[(60, 10)]);
    let mut sent_by = |priority| {
        let mut sent = 0;
        while log.room(s(0), priority) == Room::Now {
            log.send();
            sent += 1;
        }
        sent
    };
    assert_eq!(sent_by(Priority::Enrichment), 8);
    assert_eq!(sent_by(Priority::Lists), 1);
    assert_eq!(sent_by(Priority::Alerts), 0);
    assert_eq!(sent_by(Priority::NewestAlerts), 1);
}

#[test]
fn calls_of_an_earlier_process_count_until_they_are_a_period_old() {
    let mut log = windows(&[(60, 5)]);
    log.count(s(3), 5);
    assert_eq!(log.room(s(0), Priority::NewestAlerts), Room::At(s(63) + STEP), "also while their moment lies ahead");
    assert_eq!(log.room(s(64), Priority::NewestAlerts), Room::Now);
}

#[test]
fn a_limit_of_nothing_does_not_stop_everything_for_ever() {
    assert_eq!(windows(&[(60, 0)]).room(s(0), Priority::Enrichment), Room::Now);
}

#[test]
fn the_log_forgets_what_no_window_looks_at() {
    let mut log = windows(&[(1, 10)]);
    for second in 0..1_000 {
        log.send();
        log.answer(s(second));
    }
    assert!(log.answered.len() <= 2, "{}", log.answered.len());
}

/// One call of the simulated client: how long it waits before asking, and when it arrives and is answered after sending.
#[derive(Debug, Clone)]
struct Call {
    pause: Duration,
    there: Duration,
    back: Duration,
    priority: Priority,
}

fn call() -> impl Strategy<Value = Call> {
    let millis = |most: u64| (0..=most).prop_map(Duration::from_millis);
    let pause = prop_oneof![4 => Just(Duration::ZERO), 1 => millis(4_000)];
    let priorities =
        [Priority::NewestAlerts, Priority::Alerts, Priority::Lists, Priority::Hunting, Priority::Enrichment];
    let priority = prop::sample::select(priorities.to_vec());
    (pause, millis(3_000), millis(3_000), priority).prop_map(|(pause, there, back, priority)| Call {
        pause,
        there,
        back,
        priority,
    })
}

/// Sends the calls as the log allows, up to `lanes` at once, and returns when the server saw each.
fn arrivals(log: &mut SlidingWindows, calls: &[Call], lanes: usize) -> Vec<Duration> {
    let mut now = Duration::ZERO;
    let mut answers: Vec<Duration> = Vec::new();
    let mut seen = Vec::new();
    for call in calls {
        now += call.pause;
        loop {
            answers.sort_unstable();
            let due = answers.iter().take_while(|answer| **answer <= now).count();
            answers.drain(..due).for_each(|answer| log.answer(answer));
            let room = if answers.len() >= lanes { Room::AfterAnAnswer } else { log.room(now, call.priority) };
            now = match room {
                Room::Now => break,
                // An answer before that moment changes nothing of when those before it leave.
                Room::At(at) => at,
                Room::AfterAnAnswer => answers[0],
            };
        }
        log.send();
        seen.push(now + call.there);
        answers.push(now + call.there + call.back);
    }
    seen.sort_unstable();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_window_of_the_server_ever_sees_more_than_the_limit(
        calls in prop::collection::vec(call(), 1..300),
        lanes in 1_usize..20,
        short in (1_u64..8, 1_u32..12),
        long in (8_u64..60, 1_u32..40),
    ) {
        let mut log = windows(&[short, long]);
        let seen = arrivals(&mut log, &calls, lanes);
        prop_assert_eq!(seen.len(), calls.len(), "every call is made in the end");
        for (period, limit) in [short, long] {
            let most = limit as usize;
            for group in seen.windows(most + 1) {
                let apart = group[most] - group[0];
                prop_assert!(apart > s(period), "{} calls within {apart:?}, allowed {limit} in {period} s", most + 1);
            }
        }
    }
}

/// Something that happens to the windows.
#[derive(Debug, Clone)]
enum Event {
    /// A call of that priority is sent if there is room.
    Send(Priority),
    /// The oldest call under way is answered.
    Answer,
    /// The newest call under way is not made after all.
    GiveBack,
    /// Calls of others are counted, some before now, some ahead.
    Count(u32, i64),
}

fn event() -> impl Strategy<Value = Event> {
    let priorities =
        [Priority::NewestAlerts, Priority::Alerts, Priority::Lists, Priority::Hunting, Priority::Enrichment];
    prop_oneof![
        6 => prop::sample::select(priorities.to_vec()).prop_map(Event::Send),
        4 => Just(Event::Answer),
        1 => Just(Event::GiveBack),
        1 => (1_u32..6, -30_000_i64..15_000).prop_map(|(calls, ahead)| Event::Count(calls, ahead)),
    ]
}

/// All calls ever, and the rules of design.md 5 in as many words.
struct Model {
    windows: Vec<Window>,
    open: usize,
    answered: Vec<Duration>,
}

impl Model {
    /// Whether a call may be sent: in each window fewer calls count than the limit less what is kept from that priority.
    fn has_room(&self, now: Duration, priority: Priority) -> bool {
        self.windows.iter().all(|window| {
            let counting = self.answered.iter().filter(|answered| **answered + window.period >= now).count();
            let kept = match priority {
                Priority::NewestAlerts => 0,
                Priority::Enrichment => window.limit / 5,
                _ => window.limit / 10,
            };
            self.open + counting < (window.limit - kept) as usize
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn there_is_room_exactly_when_a_count_over_all_calls_says_so(
        events in prop::collection::vec((0_u64..3_000, event()), 1..200),
        short in (1_u64..8, 1_u32..30),
        long in (8_u64..60, 1_u32..60),
    ) {
        let mut log = windows(&[short, long]);
        let mut model = Model { windows: log.windows().to_vec(), open: 0, answered: Vec::new() };
        let mut now = s(100);
        for (pause, event) in events {
            now += Duration::from_millis(pause);
            match event {
                Event::Send(priority) => {
                    let room = log.room(now, priority);
                    prop_assert_eq!(room == Room::Now, model.has_room(now, priority), "{:?}", room);
                    match room {
                        Room::Now => {
                            log.send();
                            model.open += 1;
                        }
                        Room::At(at) => {
                            prop_assert!(at > now && !model.has_room(at - STEP, priority), "no earlier than that");
                            prop_assert!(model.has_room(at, priority), "and then surely");
                        }
                        Room::AfterAnAnswer => {
                            prop_assert!(!model.has_room(now + s(1_000), priority), "waiting alone does not help");
                        }
                    }
                }
                Event::Answer if model.open > 0 => {
                    log.answer(now);
                    model.open -= 1;
                    model.answered.push(now);
                }
                Event::GiveBack if model.open > 0 => {
                    log.give_back();
                    model.open -= 1;
                }
                Event::Count(calls, ahead) => {
                    let made = Duration::from_millis((now.as_millis() as i64 + ahead).unsigned_abs());
                    log.count(made, calls);
                    (0..calls).for_each(|_| model.answered.push(made));
                }
                Event::Answer | Event::GiveBack => {}
            }
        }
    }
}

#[test]
fn a_slow_burst_and_the_burst_after_it_stay_below_the_vendors_minute() {
    // The history that broke counting at sending: a burst that takes two seconds to arrive, then one that takes none.
    let limits = crate::limits::Family::Alerts.limits();
    let mut log = windows(&[(60, limits.per_minute * 8 / 10), (3_600, limits.per_hour * 8 / 10)]);
    let travel = |there| Call { pause: Duration::ZERO, there, back: Duration::ZERO, priority: Priority::NewestAlerts };
    let calls: Vec<Call> = (0..400).map(|index| travel(s(if (index / 80) % 2 == 0 { 2 } else { 0 }))).collect();
    let seen = arrivals(&mut log, &calls, 1_000);
    assert!(seen.windows(81).all(|group| group[80] - group[0] > s(60)));
}
