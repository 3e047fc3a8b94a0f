//! What a 429 does to a bucket.

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits(bucket: &Bucket) -> Vec<u32> {
    bucket.windows().windows().iter().map(|window| window.limit).collect()
}

fn told(after: u64) -> Throttle {
    Throttle { after: Some(s(after)), allowed: None, ..Throttle::default() }
}

#[test]
fn a_429_is_obeyed_to_the_end_of_its_wait() {
    let mut bucket = Bucket::of_family(Family::Alerts, 0.8);
    bucket.throttle(s(100), &told(21));
    assert_eq!(bucket.room(s(100), Priority::NewestAlerts), Room::At(s(121)));
    assert_eq!(bucket.room(s(121), Priority::NewestAlerts), Room::Now);
    assert_eq!((bucket.throttled(), bucket.blocked_for(s(101))), (1, s(20)));
}

#[test]
fn a_shorter_wait_never_cuts_a_longer_one() {
    let mut bucket = Bucket::of_family(Family::Alerts, 0.8);
    bucket.throttle(s(0), &told(50));
    bucket.throttle(s(1), &told(8));
    assert_eq!(bucket.blocked_for(s(1)), s(49));
}

#[test]
fn the_window_that_was_full_loses_a_fifth_and_gets_it_back_by_the_hour() {
    let mut bucket = Bucket::of_family(Family::Alerts, 0.8);
    assert_eq!(limits(&bucket), [80, 1_200]);
    bucket.throttle(s(0), &told(30));
    bucket.throttle(s(5), &told(25));
    assert_eq!(limits(&bucket), [64, 1_200], "answers during the wait teach nothing more");
    bucket.throttle(s(100), &told(1_800));
    assert_eq!(limits(&bucket), [64, 960], "half an hour is no matter of the minute");
    let _ = bucket.room(s(3_699), Priority::Lists);
    assert_eq!(limits(&bucket), [64, 960]);
    let _ = bucket.room(s(3_700), Priority::Lists);
    assert_eq!(limits(&bucket), [72, 1_080]);
    let _ = bucket.room(s(7_300 + 3_600 * 9), Priority::Lists);
    assert_eq!(limits(&bucket), [80, 1_200], "never more than the whole");
}

#[test]
fn a_limit_that_the_server_names_is_the_limit_from_now_on() {
    let mut bucket = Bucket::of_family(Family::VulnerabilityManagement, 0.8);
    let allowed = Some(Allowed { calls: 30, period: s(60) });
    bucket.throttle(s(0), &Throttle { after: Some(s(8)), allowed, ..Throttle::default() });
    assert_eq!(limits(&bucket), [24, 1_200]);
    let _ = bucket.room(s(100_000), Priority::Lists);
    assert_eq!(limits(&bucket), [24, 1_200], "it does not grow back");
    bucket.throttle(s(100_000), &Throttle { after: Some(s(8)), allowed, ..Throttle::default() });
    assert_eq!(limits(&bucket), [19, 1_200], "we kept to it, so others spend too");
}

#[test]
fn a_429_that_tells_no_wait_is_met_with_longer_and_longer_ones() {
    let mut bucket = Bucket::of_family(Family::Hunting, 1.0);
    let mut now = s(1_000);
    let waits: Vec<u64> = (0..8)
        .map(|_| {
            bucket.throttle(now, &Throttle::default());
            let wait = bucket.blocked_for(now);
            now += wait;
            wait.as_secs()
        })
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    now += s(61);
    bucket.throttle(now, &Throttle::default());
    assert_eq!(bucket.blocked_for(now), s(1), "a minute of peace begins a new row");
}

#[test]
fn a_wait_of_nothing_is_still_a_wait() {
    let mut bucket = Bucket::of_family(Family::Alerts, 1.0);
    bucket.throttle(s(0), &told(0));
    assert_eq!(bucket.blocked_for(s(0)), s(1));
}

#[test]
fn limits_never_fall_to_nothing() {
    let mut bucket = Bucket::of_family(Family::ExportFiles, 0.1);
    for round in 0..50 {
        bucket.throttle(s(round * 100), &told(10));
    }
    assert!(limits(&bucket).iter().all(|limit| *limit >= 1));
    assert_eq!(bucket.room(s(6_000), Priority::Enrichment), Room::Now);
}
