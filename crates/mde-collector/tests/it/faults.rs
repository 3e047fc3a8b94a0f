//! Whatever the API does wrong, everything arrives, once.

use crate::harness::{Bench, assert_same};
use mde_sim::{CutEnd, ErrorBody, Fault, RequestKind};

/// What the third answer has wrong with it. Each is got over within one run.
fn faults() -> Vec<Fault> {
    let mut faults = vec![
        Fault::Unauthorized,
        Fault::Html,
        Fault::Slow { bytes: 4_000, pause_ms: 1 },
        Fault::Reset { after: None },
        Fault::Reset { after: Some(2_000) },
        Fault::Lost,
        Fault::RepeatLink,
        Fault::ForeignLink { base: "https://evil.example".to_owned() },
        Fault::LinkWithoutFilter,
        Fault::EmptyPage,
        Fault::HiddenRows { after: 100 },
    ];
    let ends = [CutEnd::ContentLength, CutEnd::Chunked, CutEnd::Complete];
    faults.extend(ends.map(|end| Fault::Cut { after: 2_000, end }));
    let bodies = [ErrorBody::Json, ErrorBody::NoMessage, ErrorBody::Html, ErrorBody::Empty];
    faults.extend(bodies.into_iter().zip([500, 502, 503, 504]).map(|(body, status)| Fault::Status { status, body }));
    faults
}

/// Alerts of a tenant with pages of 250.
const ALERTS: usize = 1_200;

/// A tenant whose answers hold 250 rows.
async fn bench() -> Bench {
    Bench::start(|config| {
        config.alerts.count = ALERTS;
        config.alerts.evidence = 0..=2;
        config.page.size = 250;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_fault_in_the_middle_of_a_run_costs_a_request_and_no_event() {
    for fault in faults() {
        let bench = bench().await;
        bench.sim.scenario().times(RequestKind::Alerts, 2, Fault::Pass);
        bench.sim.scenario().once(RequestKind::Alerts, fault.clone());
        let ended = bench.once().await;
        assert_eq!(ended.code, Some(0), "{fault:?}: {}", ended.stderr);
        assert_eq!(bench.sim.scenario().pending(), 0, "{fault:?} took place");
        assert_eq!(bench.versions().len(), ALERTS, "{fault:?}");
        assert_same(&bench.arrived(), &bench.expected());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_ignored_is_an_error_and_the_next_run_reads_everything() {
    let bench = bench().await;
    bench.sim.scenario().times(RequestKind::Alerts, 2, Fault::Pass);
    bench.sim.scenario().once(RequestKind::Alerts, Fault::FilterIgnored);
    let ended = bench.once().await.exits(1);
    assert!(ended.stderr.contains("filter"), "{}", ended.stderr);
    bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), ALERTS);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_end_in_mid_run_are_renewed() {
    let bench = bench().await;
    let entra = bench.sim.entra().clone();
    bench.sim.scenario().after_requests(RequestKind::Alerts, 2, move |_| entra.revoke_tokens());
    bench.once().await.exits(0);
    assert!(bench.sim.ledger().request_count(RequestKind::Token) >= 3);
    assert_eq!(bench.versions().len(), ALERTS);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_is_away_for_a_moment_ends_nothing() {
    let bench = bench().await;
    let refused = Fault::TokenRefused { status: 503, error: "temporarily_unavailable".to_owned(), code: 90_033 };
    // Half-way through, when the first token is gone.
    let (entra, scenario) = (bench.sim.entra().clone(), bench.sim.scenario().clone());
    bench.sim.scenario().after_requests(RequestKind::Alerts, 4, move |_| {
        entra.revoke_tokens();
        scenario.once(RequestKind::Token, refused.clone());
    });
    bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), ALERTS);
    assert_same(&bench.arrived(), &bench.expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_away_is_exit_1_and_the_next_run_reads_on() {
    let bench = bench().await;
    bench.sim.scenario().times(RequestKind::Alerts, 4, Fault::Pass);
    let away = bench.sim.scenario().always(RequestKind::Alerts, Fault::Status { status: 503, body: ErrorBody::Html });
    bench.once().await.exits(1);
    assert!(!bench.arrived().is_empty(), "what was read is delivered");
    bench.sim.scenario().stop(away);
    bench.once().await.exits(0);
    assert_eq!(bench.versions().len(), ALERTS);
    assert_same(&bench.arrived(), &bench.expected());
}
