use crate::http::{config, get, get_as, send, sim, start, token};
use mde_sim::{AlertConfig, Family, Order, PageConfig, RequestKind, SimConfig};
use std::collections::BTreeSet;
use std::io::Read;

#[tokio::test]
async fn following_links_gives_every_alert_once() {
    for order in [Order::NewestFirst, Order::OldestFirst, Order::Shuffled] {
        let page = PageConfig { size: 70, order, ..PageConfig::default() };
        let alerts = AlertConfig { count: 250, ..AlertConfig::default() };
        let sim = start(SimConfig { page, alerts, ..config() }).await;
        let mut target =
            Some("/api/alerts?$expand=evidence&%24filter=lastUpdateTime+ge+2020-01-01T00:00:00Z".to_owned());
        let (mut ids, mut pages) = (Vec::new(), 0);
        while let Some(now) = target {
            let reply = get(&sim, &now).await;
            ids.extend(reply.ids());
            target = reply.next();
            pages += 1;
            assert!(
                target.as_ref().is_none_or(
                    |next| next.contains("%24filter=lastUpdateTime+ge") && next.contains("$expand=evidence")
                )
            );
        }
        assert_eq!((pages, ids.len()), (4, 250));
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 250);
        assert_eq!(sim.ledger().versions_served().len(), 250);
        let world: BTreeSet<_> = sim.world().versions().into_iter().collect();
        assert_eq!(sim.ledger().versions_served().into_keys().collect::<BTreeSet<_>>(), world);
    }
}

#[tokio::test]
async fn a_top_takes_the_link_away_and_skip_goes_on() {
    let sim = sim(25).await;
    let mut ids = Vec::new();
    for skip in [0, 10, 20] {
        let reply = get(&sim, &format!("/api/v1.0/Alerts?$top=10&$skip={skip}&$count=true")).await;
        assert_eq!(reply.next(), None);
        assert_eq!(reply.json()["@odata.count"], 25);
        ids.extend(reply.ids());
    }
    assert_eq!(ids.len(), 25);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 25);
}

#[tokio::test]
async fn evidence_comes_only_when_expanded() {
    let sim = sim(3).await;
    let plain = get(&sim, "/api/alerts").await.json();
    assert!(plain["value"].as_array().unwrap().iter().all(|alert| alert["evidence"] == serde_json::json!([])));
    let expanded = get(&sim, "/api/alerts?$expand=evidence").await.json();
    assert!(
        expanded["value"].as_array().unwrap().iter().all(|alert| !alert["evidence"].as_array().unwrap().is_empty())
    );
    let id = plain["value"][0]["id"].as_str().unwrap();
    let single = get(&sim, &format!("/API/ALERTS/{id}")).await;
    assert_eq!(single.json(), expanded["value"][0]);
    assert_eq!(single.json(), serde_json::from_str::<serde_json::Value>(&sim.world().alert_json(id).unwrap()).unwrap());
    let missing = get(&sim, "/api/alerts/da1_2").await;
    assert_eq!((missing.status, missing.error_text().0.as_str()), (404, "ResourceNotFound"));
}

#[tokio::test]
async fn a_window_is_half_open_to_a_step_of_100_ns() {
    let sim = sim(0).await;
    for at in ["2026-11-24T10:00:00Z", "2026-11-24T10:00:00.0000001Z", "2026-11-24T11:00:00Z"] {
        sim.world().add_alert(at.parse().unwrap());
    }
    let count = async |filter: &str| {
        get(&sim, &format!("/api/alerts?$filter={}", filter.replace(' ', "%20"))).await.ids().len()
    };
    assert_eq!(count("lastUpdateTime ge 2026-11-24T10:00:00Z and lastUpdateTime lt 2026-11-24T11:00:00Z").await, 2);
    assert_eq!(count("lastUpdateTime gt 2026-11-24T10:00:00.0000000Z").await, 2);
    assert_eq!(count("lastUpdateTime le 2026-11-24T10:00:00.0000001Z").await, 2);
    assert_eq!(count("lastUpdateTime eq 2026-11-24T11:00:00Z").await, 1);
}

#[tokio::test]
async fn filters_over_every_listed_property_agree_with_the_rows() {
    let sim = sim(400).await;
    sim.set_quota(Family::Alerts, None);
    let all = get(&sim, "/api/alerts").await.json();
    let all = all["value"].as_array().unwrap();
    for property in [
        "id",
        "incidentId",
        "investigationId",
        "assignedTo",
        "severity",
        "status",
        "detectionSource",
        "category",
        "alertCreationTime",
        "lastEventTime",
        "lastUpdateTime",
    ] {
        for sample in [0, 17, 200] {
            let value = &all[sample][property];
            let literal = match value.as_str() {
                Some(text) if property.ends_with("Time") => text.to_owned(),
                Some(text) => format!("'{}'", text.replace('\'', "''")),
                None => value.to_string(),
            };
            let filter: String =
                url::form_urlencoded::byte_serialize(format!("{property} eq {literal}").as_bytes()).collect();
            let found = get(&sim, &format!("/api/alerts?$filter={filter}")).await.ids().len();
            assert_eq!(found, all.iter().filter(|alert| alert[property] == *value).count(), "{property} eq {literal}");
        }
    }
}

#[tokio::test]
async fn bad_queries_are_400_odata_errors() {
    let sim = sim(1).await;
    for query in [
        "$filter=nope%20eq%201",
        "$filter=title%20eq%20'x'",
        "$filter=severity%20eq%20High",
        "$top=10001",
        "$select=id",
        "$filter=",
        "$expand=machine",
    ] {
        let reply = get(&sim, &format!("/api/alerts?{query}")).await;
        assert_eq!((reply.status, reply.error_text().0.as_str()), (400, "ODataError"), "{query}");
    }
    assert_eq!(get(&sim, "/api/nothing").await.status, 404);
    let token = token(&sim).await;
    assert_eq!(
        send(sim.addr(), "POST", "/api/alerts", &[("Authorization", &format!("Bearer {token}"))], "{}").await.status,
        405
    );
}

#[tokio::test]
async fn gzip_changes_the_octets_and_not_the_content() {
    let sim = sim(300).await;
    let token = format!("Bearer {}", token(&sim).await);
    let target = "/api/alerts?$expand=evidence";
    let plain = send(sim.addr(), "GET", target, &[("Authorization", &token)], "").await;
    let small =
        send(sim.addr(), "GET", target, &[("Authorization", &token), ("Accept-Encoding", "br, gzip;q=0.5")], "").await;
    assert_eq!((plain.header("content-encoding"), small.header("content-encoding")), (None, Some("gzip")));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&small.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    assert!(small.body.len() * 3 < plain.body.len());
    let refused =
        send(sim.addr(), "GET", target, &[("Authorization", &token), ("Accept-Encoding", "gzip;q=0")], "").await;
    assert_eq!(refused.header("content-encoding"), None);
}

#[tokio::test]
async fn the_same_seed_and_clock_give_the_same_octets() {
    let octets = async |seed| {
        let page = PageConfig {
            link_base: Some("https://api-eu.securitycenter.windows.com".into()),
            size: 50,
            ..PageConfig::default()
        };
        let sim = start(SimConfig { seed, page, ..config() }).await;
        let reply = get(&sim, "/api/alerts?$expand=evidence").await;
        assert!(
            String::from_utf8_lossy(&reply.body)
                .contains(r#""@odata.nextLink":"https://api-eu.securitycenter.windows.com/api/alerts?"#)
        );
        reply.body
    };
    assert_eq!(octets(3).await, octets(3).await);
    assert_ne!(octets(3).await, octets(4).await);
}

#[tokio::test]
async fn both_servers_tell_the_time_and_can_be_wrong_alone() {
    let sim = sim(1).await;
    sim.scenario().set_date_skew(mde_sim::Server::Api, jiff::SignedDuration::from_hours(48));
    assert_eq!(get(&sim, "/api/alerts").await.header("date"), Some("Thu, 26 Nov 2026 12:00:00 GMT"));
    let token = send(sim.addr(), "POST", "/x/oauth2/v2.0/token", &[], "").await;
    assert_eq!(token.header("date"), Some("Tue, 24 Nov 2026 12:00:00 GMT"));
    sim.clock().set_offset(jiff::SignedDuration::from_mins(-60));
    assert_eq!(get(&sim, "/api/alerts").await.header("date"), Some("Thu, 26 Nov 2026 11:00:00 GMT"));
}

#[tokio::test]
async fn the_world_changes_between_two_pages_when_told_so() {
    let page = PageConfig { size: 10, ..PageConfig::default() };
    let sim = start(SimConfig { page, alerts: AlertConfig { count: 30, ..AlertConfig::default() }, ..config() }).await;
    let oldest = sim.world().versions().remove(0).id;
    sim.scenario().after_requests(RequestKind::Alerts, 1, {
        let oldest = oldest.clone();
        // The oldest alert jumps to the front: the rows behind it shift, and the last page never shows it.
        move |world| drop(world.update_alert(&oldest, "2026-11-24T12:00:00Z".parse().unwrap()))
    });
    let token = token(&sim).await;
    let (mut ids, mut target) = (Vec::new(), Some("/api/alerts".to_owned()));
    while let Some(now) = target {
        let reply = get_as(&sim, &now, &token).await;
        ids.extend(reply.ids());
        target = reply.next();
    }
    assert!(!ids.contains(&oldest), "paging by skip loses a row that moves");
    assert_eq!(ids.len(), 30, "and shows another one twice");
}
