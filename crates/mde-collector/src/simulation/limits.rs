//! Further limits of the configuration hold for what counts cost as for what lists cost.

use super::Trial;
use mde_sim::{RequestKind, SimConfig};

/// A tenant whose recommendations each cost a call.
fn tenant(config: &mut SimConfig) {
    config.machines.count = 400;
    config.recommendations.count = 30;
}

/// The most calls of these kinds in any minute.
fn fullest_minute(trial: &Trial, kinds: &[RequestKind]) -> usize {
    let requests = trial.sim.ledger().requests();
    let times: Vec<i64> = requests
        .iter()
        .filter(|request| kinds.contains(&request.kind))
        .map(|request| request.at.as_millisecond())
        .collect();
    times.iter().map(|at| times.iter().filter(|other| (*at..at + 60_000).contains(*other)).count()).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn readings_and_single_calls_obey_the_limits_of_their_service() {
    for (flags, kinds) in [
        (
            "request_machine_security_recommendations: true",
            &[RequestKind::Recommendations, RequestKind::RecommendationMachines][..],
        ),
        ("enrichment: {method: per_entity}, request_machine_software: true", &[RequestKind::MachineSoftware][..]),
    ] {
        let services =
            format!("      machines: {{{flags}, requests_limits: [{{period: 1m, number_of_requests: 7}}]}}\n");
        let trial = Trial::new(tenant, &services).await;
        trial.once().await;
        let all = [kinds, &[RequestKind::Machines]].concat();
        assert!(trial.asked(kinds[kinds.len() - 1]) >= 30, "{flags}");
        // A fifth of every limit is kept from enrichment.
        assert!((6..=7).contains(&fullest_minute(&trial, &all)), "{flags}: {}", fullest_minute(&trial, &all));
    }
}

#[tokio::test(start_paused = true)]
async fn readings_obey_the_limits_of_their_input() {
    let services = "      machines: {request_machine_security_recommendations: true}\n    requests_per_second: 1\n";
    let trial = Trial::new(tenant, services).await;
    trial.once().await;
    let requests = trial.sim.ledger().requests();
    let times: Vec<i64> = requests
        .iter()
        .filter(|request| request.kind != RequestKind::Token)
        .map(|request| request.at.as_millisecond())
        .collect();
    assert!(times.len() > 30);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "one a second: {times:?}");
}
