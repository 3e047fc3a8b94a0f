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

/// A simulator of 60 machines in pages of ten.
async fn paged() -> Sim {
    let machines = mde_sim::MachineConfig { count: 60, ..Default::default() };
    let page = mde_sim::PageConfig { size: 10, order: mde_sim::Order::OldestFirst, ..Default::default() };
    crate::http::start(mde_sim::SimConfig { machines, page, ..crate::http::config() }).await
}

/// Ids of a walk by links from a target on, and the status at which it ended.
async fn walk(sim: &Sim, target: &str) -> (Vec<String>, u16) {
    let token = token(sim).await;
    let (mut ids, mut next) = (Vec::new(), target.to_owned());
    loop {
        let reply = get_as(sim, &next, &token).await;
        if reply.status != 200 {
            return (ids, reply.status);
        }
        ids.extend(reply.ids());
        match reply.next() {
            Some(link) => next = link,
            None => return (ids, 200),
        }
    }
}

/// How many different ones there are.
fn different(ids: &[String]) -> usize {
    ids.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[tokio::test]
async fn a_removal_between_two_pages_hides_a_row_and_an_insertion_in_front_repeats_one() {
    let sim = paged().await;
    let (before, _) = walk(&sim, "/api/machines").await;
    // Removing it again with each further page changes nothing.
    sim.scenario().after_requests(RequestKind::Machines, 1, |world| {
        world.remove_machine(3);
    });
    let (ids, status) = walk(&sim, "/api/machines").await;
    assert_eq!((ids.len(), different(&ids), status), (59, 59, 200));
    assert!(ids.contains(&sim.world().machine_id(3)), "it was shown before it left");
    assert!(!ids.contains(&sim.world().machine_id(10)), "the row at the border slipped through");
    assert_eq!(before.len(), 60);

    let newest = mde_sim::PageConfig { size: 10, ..Default::default() };
    let machines = mde_sim::MachineConfig { count: 60, ..Default::default() };
    let sim = crate::http::start(mde_sim::SimConfig { page: newest, machines, ..crate::http::config() }).await;
    sim.scenario().after_requests(RequestKind::Machines, 3, |world| {
        world.add_machines(1);
    });
    let (ids, _) = walk(&sim, "/api/machines").await;
    assert_eq!(
        (ids.len(), different(&ids)),
        (62, 60),
        "a new machine in front pushes one row onto the next page, twice"
    );
}

#[tokio::test]
async fn rows_can_be_repeated_across_pages() {
    let sim = paged().await;
    sim.scenario().always(RequestKind::Machines, Fault::RepeatedRows { rows: 2 });
    let (ids, status) = walk(&sim, "/api/machines").await;
    assert_eq!((ids.len(), different(&ids), status), (60 + 5 * 2, 60, 200));
}

#[tokio::test]
async fn one_page_fails_for_good_until_it_is_lifted() {
    let sim = paged().await;
    let fault = sim.scenario().always(RequestKind::Machines, Fault::FailedPage { page: 3 });
    for _ in 0..3 {
        let (ids, status) = walk(&sim, "/api/machines").await;
        assert_eq!((ids.len(), status), (20, 500));
        assert_eq!(get(&sim, "/api/machines?$top=10&$skip=20").await.status, 500);
        assert_eq!(get(&sim, "/api/machines?$top=10&$skip=30").await.ids().len(), 10);
    }
    sim.scenario().stop(fault);
    assert_eq!(walk(&sim, "/api/machines").await.0.len(), 60);
}

#[tokio::test]
async fn an_empty_page_has_a_link_to_the_page_that_should_have_come() {
    let sim = paged().await;
    sim.scenario().once(RequestKind::Machines, Fault::Pass);
    sim.scenario().once(RequestKind::Machines, Fault::EmptyPage);
    let (ids, status) = walk(&sim, "/api/machines").await;
    assert_eq!((different(&ids), ids.len(), status), (60, 60, 200));
    assert_eq!(sim.ledger().request_count(RequestKind::Machines), 7);
}

#[tokio::test]
async fn a_refused_link_leaves_top_and_skip() {
    let sim = paged().await;
    sim.scenario().always(RequestKind::Machines, Fault::LinkRefused);
    let (ids, status) = walk(&sim, "/api/machines").await;
    assert_eq!((ids.len(), status), (10, 400));
    let rest = get(&sim, "/api/machines?$top=100&$skip=10").await;
    assert_eq!((rest.ids().len(), rest.next()), (50, None));
}

#[tokio::test]
async fn each_walk_has_an_order_of_its_own_and_keeps_it() {
    let sim = paged().await;
    sim.scenario().always(RequestKind::Machines, Fault::Reordered);
    let mut walks = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let (ids, _) = walk(&sim, "/api/machines").await;
        assert_eq!((ids.len(), different(&ids)), (60, 60));
        walks.insert(ids);
    }
    assert_eq!(walks.len(), 3);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_fails_whatever_shows_it() {
    let sim = paged().await;
    let (machine, alert) = (sim.world().machine_id(25), sim.world().versions()[0].id.clone());
    sim.scenario().poison_always(&machine);
    sim.scenario().poison_always(&alert);
    assert_eq!(walk(&sim, "/api/machines").await, (sim_ids(0..20, &sim), 500));
    assert_eq!(get(&sim, "/api/machines?$top=5&$skip=20").await.ids().len(), 5);
    assert_eq!(get(&sim, &format!("/api/machines/{machine}")).await.status, 500);
    let filter = format!("/api/alerts?$filter=id%20eq%20'{alert}'");
    assert_eq!(get(&sim, &filter).await.status, 500, "with and without its evidence");
    assert_eq!(get(&sim, &format!("{filter}&$expand=evidence")).await.status, 500);
    sim.scenario().heal(&machine);
    sim.scenario().heal(&alert);
    assert_eq!(walk(&sim, "/api/machines").await.0.len(), 60);
    sim.scenario().poison(&alert);
    assert_eq!(get(&sim, &filter).await.status, 200, "only its evidence is poisoned");
    assert_eq!(get(&sim, &format!("{filter}&$expand=evidence")).await.status, 500);
}

/// Ids of machines.
fn sim_ids(numbers: std::ops::Range<u32>, sim: &Sim) -> Vec<String> {
    numbers.map(|number| sim.world().machine_id(number)).collect()
}

#[tokio::test]
async fn hidden_roles_and_licences_stop_one_endpoint_and_not_another() {
    let sim = paged().await;
    let poor = sim.entra().add_application(vec!["Machine.Read.All".into(), "Vulnerability.Read.All".into()]);
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope=https://api.security.microsoft.com/.default",
        poor.client_id, poor.client_secret
    );
    let token =
        async || ask_token(&sim, &poor.tenant_id, &form).await.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get_as(&sim, "/api/machines", &token().await).await.status, 200);
    let refused = get_as(&sim, "/api/Software", &token().await).await;
    assert_eq!(
        (refused.status, refused.error_text()),
        (
            403,
            (
                "Forbidden".into(),
                "Missing application roles. API required roles: Software.Read.All, application roles: Machine.Read.All,Vulnerability.Read.All.".into()
            )
        )
    );
    sim.entra().set_roles_of(&poor.client_id, vec!["Software.Read.All".into()]);
    let renewed = token().await;
    assert_eq!(get_as(&sim, "/api/Software", &renewed).await.status, 200);
    assert_eq!(get_as(&sim, "/api/machines", &renewed).await.status, 403);
    sim.scenario().always(RequestKind::Vulnerabilities, Fault::NoLicence);
    let refused = get(&sim, "/api/vulnerabilities").await;
    assert_eq!((refused.status, refused.error_text().1.contains("No Tvm license")), (401, true));
    assert_eq!(get(&sim, "/api/machines").await.status, 200);
}
