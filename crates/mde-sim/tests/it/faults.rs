use crate::http::{Reply, ask_token, get, get_as, good_form, sim, token};
use mde_sim::{CutEnd, ErrorBody, Fault, Outcome, RequestKind, RetryAfter, Sim};
use std::io::ErrorKind;
use std::time::Duration;

/// A simulator of five alerts, its next list call meeting the fault.
async fn met(fault: Fault) -> (Sim, Reply) {
    let sim = sim(5).await;
    sim.scenario().once(RequestKind::Alerts, fault);
    let reply = get(&sim, "/api/alerts?$expand=evidence").await;
    (sim, reply)
}

/// What the ledger says of the last request.
fn last_outcome(sim: &Sim) -> (Outcome, u64) {
    let last = sim.ledger().requests().pop().unwrap();
    (last.outcome, last.rows)
}

#[tokio::test]
async fn a_429_tells_the_wait_where_the_script_says() {
    let (_, reply) = met(Fault::Throttle { told: RetryAfter::Seconds, seconds: 7 }).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("7")));
    assert!(reply.error_text().1.ends_with("You can send requests again in 7 seconds."));
    let (_, reply) = met(Fault::Throttle { told: RetryAfter::HttpDate, seconds: 7 }).await;
    assert_eq!(reply.header("retry-after"), Some("Tue, 24 Nov 2026 12:00:07 GMT"));
    let (_, reply) = met(Fault::Throttle { told: RetryAfter::Text, seconds: 7 }).await;
    assert_eq!(reply.header("retry-after"), None);
    assert_eq!(reply.error_text().0, "429");
    let (sim, reply) = met(Fault::Throttle { told: RetryAfter::Nowhere, seconds: 7 }).await;
    assert_eq!((reply.header("retry-after"), reply.error_text().0.as_str()), (None, "TooManyRequests"));
    assert_eq!(sim.ledger().throttled(), 0, "a scripted 429 is not the caller's fault");
}

#[tokio::test]
async fn server_errors_have_the_body_the_script_says() {
    for (body, text) in [
        (ErrorBody::Json, "unexpected"),
        (ErrorBody::NoMessage, r#""message":"""#),
        (ErrorBody::Html, "<html>"),
        (ErrorBody::Empty, ""),
    ] {
        let (_, reply) = met(Fault::Status { status: 503, body }).await;
        assert_eq!(reply.status, 503);
        assert!(String::from_utf8_lossy(&reply.body).contains(text), "{reply:?}");
        assert_eq!(reply.body.is_empty(), body == ErrorBody::Empty);
    }
}

#[tokio::test]
async fn refusals_and_html_look_like_the_real_ones() {
    let (_, reply) = met(Fault::Unauthorized).await;
    assert_eq!(reply.status, 401);
    let (_, reply) = met(Fault::NoLicence).await;
    assert_eq!(
        (reply.status, reply.error_text().1.as_str()),
        (401, "Unauthorized request - reason of failure: No Tvm license")
    );
    let (_, reply) = met(Fault::Forbidden).await;
    assert_eq!(reply.status, 403);
    let (_, reply) = met(Fault::Html).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
}

#[tokio::test]
async fn a_cut_body_ends_after_exactly_so_many_octets() {
    let whole = get(&sim(5).await, "/api/alerts?$expand=evidence").await.body;
    for (end, header) in [(CutEnd::ContentLength, "content-length"), (CutEnd::Chunked, "transfer-encoding")] {
        let (sim, reply) = met(Fault::Cut { after: 6_000, end }).await;
        assert!(reply.header(header).is_some());
        assert_eq!((reply.status, reply.body.len(), reply.whole, reply.error), (200, 6_000, false, None), "{end:?}");
        // The port is part of the links and differs between two simulators.
        assert_eq!(reply.body[1_000..], whole[1_000..6_000]);
        assert_eq!(last_outcome(&sim).0, Outcome::Cut);
        assert!(sim.ledger().versions_served().is_empty());
    }
    let (sim, reply) = met(Fault::Cut { after: 6_000, end: CutEnd::Complete }).await;
    assert_eq!((reply.body.len(), reply.whole), (6_000, true));
    assert!(serde_json::from_slice::<serde_json::Value>(&reply.body).is_err());
    assert_eq!(last_outcome(&sim).0, Outcome::Cut);
}

#[tokio::test]
async fn a_body_shorter_than_the_cut_breaks_off_at_its_end() {
    for end in [CutEnd::ContentLength, CutEnd::Chunked] {
        let (sim, reply) = met(Fault::Cut { after: 10_000_000, end }).await;
        assert!(!reply.whole);
        assert_eq!(last_outcome(&sim), (Outcome::Cut, 5));
    }
}

#[tokio::test]
async fn a_reset_is_a_reset_before_and_in_the_middle() {
    let (sim, reply) = met(Fault::Reset { after: None }).await;
    assert_eq!((reply.status, reply.error), (0, Some(ErrorKind::ConnectionReset)));
    assert_eq!(last_outcome(&sim), (Outcome::Cut, 0));
    let (sim, reply) = met(Fault::Reset { after: Some(3_000) }).await;
    assert_eq!(reply.error, Some(ErrorKind::ConnectionReset));
    assert!(reply.body.len() <= 3_000 && !reply.whole);
    assert_eq!(last_outcome(&sim).0, Outcome::Cut);
}

#[tokio::test]
async fn a_lost_answer_was_carried_out() {
    let (sim, reply) = met(Fault::Lost).await;
    assert_eq!((reply.status, reply.error, reply.body.len()), (0, None, 0));
    assert_eq!(last_outcome(&sim), (Outcome::Lost, 5));
    assert!(sim.ledger().versions_served().is_empty());
}

#[tokio::test]
async fn a_slow_body_arrives_whole() {
    let (sim, reply) = met(Fault::Slow { bytes: 2_000, pause_ms: 1 }).await;
    assert!(reply.whole);
    assert_eq!(reply.ids().len(), 5);
    assert_eq!(last_outcome(&sim), (Outcome::Whole, 5));
}

#[tokio::test]
async fn a_hanging_request_never_ends_and_is_cut_when_the_caller_leaves() {
    let sim = sim(5).await;
    sim.scenario().once(RequestKind::Alerts, Fault::Hang);
    let call = tokio::spawn({
        let (addr, bearer) = (sim.addr(), format!("Bearer {}", token(&sim).await));
        async move { crate::http::send(addr, "GET", "/api/alerts", &[("Authorization", &bearer)], "").await }
    });
    sim.ledger().wait_requests(RequestKind::Alerts, 1).await;
    assert!(!call.is_finished());
    call.abort();
    sim.ledger().wait_until(|ledger| ledger.requests().last().is_some_and(|last| last.outcome == Outcome::Cut)).await;
    assert_eq!(get(&sim, "/api/alerts").await.ids().len(), 5, "others are served");
}

#[tokio::test]
async fn links_lie_as_the_script_says() {
    let sim = sim(5).await;
    let target = "/api/alerts?$filter=severity%20ne%20'x'&$skip=2";
    let token = token(&sim).await;
    let standing = sim.scenario().always(RequestKind::Alerts, Fault::RepeatLink);
    for _ in 0..3 {
        assert_eq!(get_as(&sim, target, &token).await.next().as_deref(), Some(target));
    }
    sim.scenario().stop(standing);
    sim.scenario().once(RequestKind::Alerts, Fault::ForeignLink { base: "https://evil.example".into() });
    let link = get_as(&sim, target, &token).await.json()["@odata.nextLink"].clone();
    assert_eq!(link, "https://evil.example/api/alerts?$filter=severity%20ne%20'x'&$skip=5");
    sim.scenario().once(RequestKind::Alerts, Fault::LinkWithoutFilter);
    assert_eq!(get_as(&sim, target, &token).await.next().as_deref(), Some("/api/alerts?$skip=5"));
    sim.scenario().once(RequestKind::Alerts, Fault::EmptyPage);
    let empty = get_as(&sim, target, &token).await;
    assert_eq!((empty.ids().len(), empty.next().as_deref()), (0, Some(target)));
    assert_eq!(get_as(&sim, target, &token).await.ids().len(), 3, "the script is used up");
}

#[tokio::test]
async fn an_ignored_filter_and_hidden_rows_look_like_success() {
    let sim = sim(5).await;
    sim.scenario().once(RequestKind::Alerts, Fault::FilterIgnored);
    let outside = get(&sim, "/api/alerts?$filter=lastUpdateTime%20lt%202020-01-01Z").await;
    assert_eq!((outside.status, outside.ids().len()), (200, 5));
    sim.scenario().once(RequestKind::Alerts, Fault::HiddenRows { after: 3 });
    let hidden = get(&sim, "/api/alerts").await;
    assert_eq!((hidden.ids().len(), hidden.next()), (3, None));
}

#[tokio::test]
async fn poisoned_evidence_breaks_only_answers_that_show_it() {
    let sim = sim(5).await;
    let token = token(&sim).await;
    let id = sim.world().versions()[2].id.clone();
    sim.scenario().poison(&id);
    assert_eq!(get_as(&sim, "/api/alerts?$expand=evidence", &token).await.status, 500);
    assert_eq!(get_as(&sim, &format!("/api/alerts/{id}"), &token).await.status, 500);
    assert_eq!(get_as(&sim, "/api/alerts", &token).await.status, 200);
    assert_eq!(get_as(&sim, "/api/alerts?$expand=evidence&$top=2", &token).await.status, 200);
    sim.scenario().heal(&id);
    assert_eq!(get_as(&sim, "/api/alerts?$expand=evidence", &token).await.status, 200);
}

#[tokio::test]
async fn the_token_endpoint_has_faults_of_its_own() {
    let sim = sim(1).await;
    let (tenant, form) = (sim.credentials().tenant_id, good_form(&sim));
    sim.scenario().once(
        RequestKind::Token,
        Fault::TokenRefused { status: 503, error: "temporarily_unavailable".into(), code: 90033 },
    );
    let reply = ask_token(&sim, &tenant, &form).await;
    assert_eq!((reply.status, &reply.json()["error"]), (503, &"temporarily_unavailable".into()));
    sim.scenario().once(RequestKind::Token, Fault::Reset { after: None });
    assert_eq!(ask_token(&sim, &tenant, &form).await.error, Some(ErrorKind::ConnectionReset));
    sim.scenario().once(RequestKind::Token, Fault::Lost);
    assert_eq!(ask_token(&sim, &tenant, &form).await.status, 0);
    sim.scenario().once(RequestKind::Token, Fault::Html);
    assert_eq!(ask_token(&sim, &tenant, &form).await.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(ask_token(&sim, &tenant, &form).await.status, 200);
}

#[tokio::test]
async fn a_late_update_is_shown_with_its_old_time() {
    let sim = sim(1).await;
    let version = sim.world().versions().remove(0);
    sim.world()
        .update_alert_late(&version.id, "2026-11-24T12:00:01Z".parse().unwrap(), Duration::from_secs(30))
        .unwrap();
    let shown = async || get(&sim, "/api/alerts").await.json()["value"][0]["lastUpdateTime"].clone();
    assert_eq!(shown().await, version.last_update_time.as_str());
    sim.clock().advance(Duration::from_secs(31));
    assert_eq!(shown().await, "2026-11-24T12:00:01Z");
}
