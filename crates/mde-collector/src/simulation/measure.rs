//! What counts cost, measured: `cargo x bench enrichment`. docs/benchmarks.md says what the figures mean.

use super::day::{BETWEEN, latencies, permille, small, tenant};
use super::{HOUR, Trial, counted};
use crate::plan::{Plan, Size, Sizes, plan};
use mde_sim::{RequestKind, SimConfig};
use std::time::Duration;

/// All counts but logon users, which only a call for each machine tells.
fn flags(more: &'static str) -> String {
    counted(|count| !count.bulk.is_empty(), move |_| more)
}

/// The vendor's catalogue as in the worked example of the equivalences, with so many machines.
fn example(machines: usize) -> impl FnOnce(&mut SimConfig) {
    move |config| {
        config.machines.count = machines;
        config.machines.software = 10;
        config.software.count = 3_000;
        config.vulnerabilities.count = 20_000;
        config.recommendations.count = 600;
        config.alerts.count = 2_000;
        config.alerts.evidence = 1..=2;
        config.alerts.span = Duration::from_secs(6 * 86_400);
    }
}

/// Calls so far, tokens left out.
fn calls(trial: &Trial) -> u64 {
    trial.sim.ledger().request_count(None) - trial.asked(RequestKind::Token)
}

/// What the documented calls for each entity come to, by arithmetic.
fn foretold(trial: &Trial, machines: u64) -> Plan {
    let mut sizes = Sizes::default();
    let whole = |rows| Size { rows, per_day: 0.0 };
    for (path, size) in [
        ("/api/machines", whole(machines)),
        ("/api/Software", whole(3_000)),
        ("/api/vulnerabilities", whole(20_000)),
        ("/api/recommendations", whole(600)),
        ("/api/alerts", Size { rows: 2_000, per_day: 2_000.0 / 7.0 }),
    ] {
        sizes.set(path, size);
    }
    let config = trial.config();
    plan(&config.inputs[0], &[], &sizes, |_| true)
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes in a release build: `cargo x bench enrichment`"]
async fn enrichment_takes_calls_by_pages_and_a_hundredth_of_one_by_one() {
    let few = Trial::new(example(1_000), &flags("enrichment: {method: per_entity}")).await;
    let lasted = few.once().await;
    let measured = calls(&few);
    let told: u64 = foretold(&few, 1_000).rows.iter().map(|row| row.first_calls).sum();
    println!("1000 machines, one by one: {measured} calls measured in {:.1} h, {told} foretold", hours(lasted));
    assert!(told.abs_diff(measured) <= measured / 10, "arithmetic and measurement agree within a tenth");
    let mut all = Vec::new();
    for machines in [1_000, 10_000, 100_000] {
        let ours = Trial::new(example(machines), &flags("")).await;
        let lasted = ours.once().await;
        ours.assert_within_quota();
        let theirs: u64 = foretold(&few, machines as u64).rows.iter().map(|row| row.first_calls).sum();
        let ratio = theirs as f64 / calls(&ours) as f64;
        println!(
            "{machines} machines: {} calls in {:.2} h, one by one {theirs}: {ratio:.0} times as many",
            calls(&ours),
            hours(lasted)
        );
        all.push((calls(&ours), ratio));
    }
    assert!(all[1].0 <= 700 && all[1].1 >= 100.0, "10,000 machines: at most 700 calls and a hundredth");
    // A hundred times as many machines: pages are added, and no call for each of them.
    assert!(all[2].0 < all[0].0 + 1_000, "{all:?}");
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes in a release build: `cargo x bench enrichment`"]
async fn logon_users_are_spread_over_their_age() {
    for max_age in [6, 24] {
        let services = format!(
            "      machines: {{emit: changes, request_machine_logon_users: true, enrichment: {{max_age: {max_age}h}}}}\n"
        );
        let trial = Trial::new(tenant(10_000), &services).await;
        trial.run_for(HOUR * 36).await;
        let mut hours = [0; 37];
        let requests = trial.sim.ledger().requests();
        for request in requests.iter().filter(|request| request.kind == RequestKind::MachineLogonUsers) {
            let since = Duration::from_millis((request.at.as_millisecond() - trial.clock.start_ms).unsigned_abs());
            hours[since.as_secs() as usize / 3_600] += 1;
        }
        let first: u64 = hours[..11].iter().sum();
        assert!(first >= 10_000, "in eleven hours all are known: {first}");
        trial.assert_within_quota();
        println!("10000 machines, logon users not older than {max_age} h, calls in each hour: {hours:?}");
    }
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes in a release build: `cargo x bench enrichment`"]
async fn in_a_day_of_50_000_machines_no_call_is_refused_and_no_alert_waits() {
    let trial = Trial::new(tenant(50_000), &counted(|_| true, small)).await;
    // The restart comes in the middle of an hour.
    for long in [HOUR * 10 + HOUR / 3, HOUR * 14 - HOUR / 3] {
        trial.run_for(long + BETWEEN).await;
    }
    trial.assert_within_quota();
    let late = latencies(&trial, Duration::ZERO).await;
    println!(
        "50000 machines, all flags, a day with a restart: {} calls, none refused; {} versions of alerts stored {:.1} s after their time (median), {:.1} s (99 %), {:.1} s (latest)",
        calls(&trial),
        late.len(),
        permille(&late, 500) as f64 / 1e3,
        permille(&late, 990) as f64 / 1e3,
        permille(&late, 1_000) as f64 / 1e3
    );
    assert!(permille(&late, 990) <= 65_000);
}

/// Unit: hours.
fn hours(lasted: Duration) -> f64 {
    lasted.as_secs_f64() / HOUR.as_secs_f64()
}
