use axum::body::Body;
use axum::http::Request;
use mde_sim::{ConnectionLost, CutEnd, Fault, Outcome, RequestKind, Sim, SimClock, SimConfig};
use std::time::Duration;
use tokio::time::Instant;

/// A call without a socket.
async fn call(
    sim: &Sim,
    method: &str,
    target: &str,
    token: &str,
    form: &str,
) -> Result<(u16, Result<Vec<u8>, axum::Error>), ConnectionLost> {
    let request = Request::builder().method(method).uri(target).header("authorization", format!("Bearer {token}"));
    let response = sim.call(request.body(Body::from(form.to_owned())).unwrap()).await?;
    let status = response.status().as_u16();
    Ok((status, axum::body::to_bytes(response.into_body(), usize::MAX).await.map(Vec::from)))
}

/// A token, asked for without a socket.
async fn token(sim: &Sim) -> String {
    let target = format!("/{}/oauth2/v2.0/token", sim.credentials().tenant_id);
    let (_, body) = call(sim, "POST", &target, "", &crate::http::good_form(sim)).await.unwrap();
    serde_json::from_slice::<serde_json::Value>(&body.unwrap()).unwrap()["access_token"].as_str().unwrap().to_owned()
}

/// A simulator on tokio's clock.
async fn sim() -> Sim {
    Sim::start(SimConfig { clock: SimClock::tokio("2026-11-24T12:00:00Z".parse().unwrap()), ..SimConfig::default() })
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_day_passes_in_no_time_and_tokens_end_in_it() {
    let sim = sim().await;
    let old = token(&sim).await;
    tokio::time::advance(Duration::from_secs(86_400)).await;
    assert_eq!(call(&sim, "GET", "/api/alerts", &old, "").await.unwrap().0, 401);
    let fresh = token(&sim).await;
    assert_eq!(call(&sim, "GET", "/api/alerts", &fresh, "").await.unwrap().0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_takes_simulated_time() {
    let sim = sim().await;
    let token = token(&sim).await;
    sim.scenario().once(RequestKind::Alerts, Fault::Slow { bytes: 100_000, pause_ms: 60_000 });
    let start = Instant::now();
    let (_, body) = call(&sim, "GET", "/api/alerts", &token, "").await.unwrap();
    let parts = body.unwrap().len().div_ceil(100_000) as u64;
    assert!(start.elapsed() >= Duration::from_secs(60 * parts));
}

#[tokio::test]
async fn broken_connections_are_seen_as_such() {
    let sim = sim().await;
    let token = token(&sim).await;
    for fault in [Fault::Reset { after: None }, Fault::Lost] {
        sim.scenario().once(RequestKind::Alerts, fault);
        assert_eq!(call(&sim, "GET", "/api/alerts", &token, "").await.unwrap_err(), ConnectionLost);
    }
    for fault in [
        Fault::Reset { after: Some(500) },
        Fault::Cut { after: 500, end: CutEnd::Chunked },
        Fault::Cut { after: 500, end: CutEnd::ContentLength },
    ] {
        sim.scenario().once(RequestKind::Alerts, fault);
        let (status, body) = call(&sim, "GET", "/api/alerts", &token, "").await.unwrap();
        assert_eq!((status, body.is_err()), (200, true));
    }
    let outcomes: Vec<_> = sim.ledger().requests().iter().skip(1).map(|request| request.outcome).collect();
    assert_eq!(outcomes, [Outcome::Cut, Outcome::Lost, Outcome::Cut, Outcome::Cut, Outcome::Cut]);
}
