//! Machines, software, vulnerabilities, recommendations, investigations: their lists, single entities and how they change.

use crate::http::{Reply, config, get, get_as, start, token};
use futures_util::StreamExt;
use mde_sim::{
    Entity, Family, InvestigationConfig, MachineConfig, Order, PageConfig, Service, Sim, SimConfig, VulnerabilityConfig,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// Path of a service's list, as the vendor spells it.
fn path(service: Service) -> &'static str {
    match service {
        Service::Machines => "/api/machines",
        Service::Software => "/api/Software",
        Service::Vulnerabilities => "/api/Vulnerabilities",
        Service::Recommendations => "/api/recommendations",
        Service::Investigations => "/api/investigations",
        Service::Alerts | Service::AdvancedHunting | Service::Incidents => panic!("not of the estate"),
    }
}

/// The services of the estate.
const ESTATE: [Service; 5] =
    [Service::Machines, Service::Software, Service::Vulnerabilities, Service::Recommendations, Service::Investigations];

/// A simulator without limits.
async fn free(config: SimConfig) -> Sim {
    let sim = start(config).await;
    for family in Family::ALL {
        sim.set_quota(family, None);
    }
    sim
}

/// All rows of a list, by links.
async fn walk(sim: &Sim, target: &str) -> Vec<Value> {
    let token = token(sim).await;
    let (mut rows, mut next) = (Vec::new(), Some(target.to_owned()));
    while let Some(now) = next {
        let reply = get_as(sim, &now, &token).await;
        assert_eq!(reply.status, 200, "{now}");
        rows.extend(reply.json()["value"].as_array().unwrap().iter().cloned());
        next = reply.next();
    }
    rows
}

/// An entity's JSON.
fn json(entity: &Entity) -> Value {
    serde_json::from_str(&entity.body).unwrap()
}

/// Status and code of an error.
fn error(reply: &Reply) -> (u16, String) {
    (reply.status, reply.error_text().0)
}

#[tokio::test]
async fn every_list_gives_every_entity_of_the_world_once() {
    for order in [Order::NewestFirst, Order::OldestFirst, Order::Shuffled] {
        let page = PageConfig { size: 23, order, ..PageConfig::default() };
        let sim = free(SimConfig { page, ..config() }).await;
        let picture = sim.world().picture();
        for service in ESTATE {
            let rows = walk(&sim, path(service)).await;
            let mut served: Vec<_> = rows.iter().map(Value::to_string).collect();
            let mut expected: Vec<_> = picture.entities(service).map(|entity| json(&entity).to_string()).collect();
            served.sort_unstable();
            expected.sort_unstable();
            assert_eq!(served, expected, "{service:?} {order:?}");
            assert_eq!(rows.len(), picture.count(service));
            assert_eq!(sim.ledger().rows_served_of(service), rows.len() as u64);
            assert_eq!(sim.ledger().entities_served(service), rows.len());
            let ids: BTreeSet<_> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
            assert_eq!(ids.len(), rows.len(), "ids are unique");
            assert!(ids.iter().all(|id| sim.ledger().times_served(service, id) == 1));
        }
    }
}

#[tokio::test]
async fn a_single_entity_is_the_row_of_the_list() {
    let sim = free(config()).await;
    for service in ESTATE {
        for entity in sim.world().picture().entities(service).step_by(7) {
            let segment: String = url::form_urlencoded::byte_serialize(entity.id.as_bytes()).collect();
            let reply = get(&sim, &format!("{}/{segment}", path(service).to_ascii_uppercase())).await;
            assert_eq!(reply.body, entity.body.as_bytes(), "{}", entity.id);
        }
        assert_eq!(error(&get(&sim, &format!("{}/nobody", path(service))).await), (404, "ResourceNotFound".into()));
    }
    let machine = sim.world().picture().entities(Service::Machines).find(|it| !json(it)["computerDnsName"].is_null());
    let machine = machine.unwrap();
    let by_name = get(&sim, &format!("/api/machines/{}", json(&machine)["computerDnsName"].as_str().unwrap())).await;
    assert_eq!(by_name.body, machine.body.as_bytes());
}

#[tokio::test]
async fn filters_over_every_listed_property_agree_with_the_rows() {
    let sim = free(config()).await;
    let properties = [
        (
            Service::Machines,
            "computerDnsName id version deviceValue aadDeviceId lastSeen exposureLevel onboardingStatus lastIpAddress \
             healthStatus osPlatform riskScore rbacGroupId",
        ),
        (Service::Software, "id name vendor"),
        (Service::Vulnerabilities, "id name description cvssV3 publishedOn severity updatedOn"),
        (
            Service::Recommendations,
            "id productName vendor recommendedVersion recommendationCategory subCategory severityScore remediationType \
             recommendedProgram recommendedVendor status",
        ),
        (Service::Investigations, "startTime id state machineId triggeringAlertId"),
    ];
    for (service, names) in properties {
        let rows = walk(&sim, path(service)).await;
        for name in names.split_whitespace() {
            let value = &rows[rows.len() / 3][name];
            let time = ["lastSeen", "publishedOn", "updatedOn", "startTime"].contains(&name);
            let literal = match value.as_str() {
                Some(text) if !time => format!("'{}'", text.replace('\'', "''")),
                Some(text) => text.to_owned(),
                None => value.to_string(),
            };
            let filter: String =
                url::form_urlencoded::byte_serialize(format!("{name} eq {literal}").as_bytes()).collect();
            let found = walk(&sim, &format!("{}?$filter={filter}", path(service))).await.len();
            let expected = rows.iter().filter(|row| row[name] == *value).count();
            assert_eq!(found, expected, "{service:?}: {name} eq {literal}");
        }
        assert_eq!(get(&sim, &format!("{}?$filter=nothing%20eq%201", path(service))).await.status, 400);
        assert_eq!(get(&sim, &format!("{}?$select=id", path(service))).await.status, 400);
    }
}

#[tokio::test]
async fn pages_are_as_long_as_each_endpoint_allows() {
    let vulnerabilities = VulnerabilityConfig { count: 8_500, ..VulnerabilityConfig::default() };
    let machines = MachineConfig { count: 10_500, ..MachineConfig::default() };
    let sim = free(SimConfig { vulnerabilities, machines, ..config() }).await;
    let vulnerabilities = get(&sim, "/api/vulnerabilities").await;
    assert_eq!((vulnerabilities.ids().len(), vulnerabilities.next().is_some()), (8_000, true));
    assert_eq!(get(&sim, "/api/vulnerabilities?$top=8001").await.status, 400);
    let machines = get(&sim, "/api/machines").await;
    assert_eq!((machines.ids().len(), machines.next().is_some()), (10_000, true));
    let rest = get(&sim, "/api/machines?$top=10000&$skip=10000").await;
    assert_eq!((rest.ids().len(), rest.next()), (500, None));
}

#[tokio::test]
async fn an_empty_machine_list_is_a_404_only_when_told_so() {
    for empty_is_404 in [false, true] {
        let machines = MachineConfig { count: 0, empty_is_404, ..MachineConfig::default() };
        let sim = free(SimConfig { machines, ..config() }).await;
        assert_eq!(get(&sim, "/api/machines").await.status, if empty_is_404 { 404 } else { 200 });
    }
}

#[tokio::test]
async fn what_is_done_to_the_world_shows_exactly_in_the_next_picture() {
    let sim = free(config()).await;
    let world = sim.world();
    let entities = || world.picture().entities(Service::Machines).collect::<BTreeSet<_>>();
    let before = entities();
    sim.clock().advance(Duration::from_secs(60));
    assert_eq!(entities(), before, "time alone changes nothing");
    assert!(world.remove_machine(3) && !world.remove_machine(3));
    assert!(world.touch_machine(5));
    assert_eq!(world.add_machines(2), 200..202);
    let after = entities();
    let ids = |set: &BTreeSet<Entity>, other: &BTreeSet<Entity>| -> BTreeSet<String> {
        set.difference(other).map(|entity| entity.id.clone()).collect()
    };
    let id = |number| world.machine_id(number);
    assert_eq!(ids(&before, &after), BTreeSet::from([id(3), id(5)]));
    assert_eq!(ids(&after, &before), BTreeSet::from([id(5), id(200), id(201)]));
    assert_eq!(get(&sim, &format!("/api/machines/{}", id(3))).await.status, 404);
    let touched = get(&sim, &format!("/api/machines/{}", id(5))).await.json();
    assert_eq!(touched["lastSeen"], "2026-11-24T12:01:00Z");
    assert_eq!(world.machine_count(), 201);
}

#[tokio::test]
async fn a_picture_stays_as_it_was_while_the_world_goes_on() {
    let sim = free(config()).await;
    let picture = sim.world().picture();
    let before: Vec<_> = picture.entities(Service::Machines).collect();
    sim.world().remove_machine(0);
    sim.world().add_alert("2026-11-24T12:00:00Z".parse().unwrap());
    assert_eq!(picture.entities(Service::Machines).collect::<Vec<_>>(), before);
    assert_eq!((picture.count(Service::Machines), picture.count(Service::Alerts)), (200, 1_000));
    assert_eq!(sim.world().picture().count(Service::Machines), 199);
}

#[tokio::test]
async fn a_patched_machine_has_less_wrong_with_it_and_counts_follow() {
    let sim = free(config()).await;
    let count = async |number| {
        let id = sim.world().machine_id(number);
        walk(&sim, &format!("/api/machines/{id}/vulnerabilities")).await.len()
    };
    let total = async || -> u64 {
        walk(&sim, "/api/vulnerabilities").await.iter().map(|row| row["exposedMachines"].as_u64().unwrap()).sum()
    };
    let number = (0..200).find(|number| sim.world().patch_machine(*number)).unwrap();
    let after = (count(number).await, total().await);
    let fresh = free(config()).await;
    let id = fresh.world().machine_id(number);
    let before = walk(&fresh, &format!("/api/machines/{id}/vulnerabilities")).await.len();
    let sum: u64 =
        walk(&fresh, "/api/vulnerabilities").await.iter().map(|row| row["exposedMachines"].as_u64().unwrap()).sum();
    assert!(after.0 < before);
    assert_eq!(sum - after.1, (before - after.0) as u64, "each vulnerability lost is one machine less exposed");
    assert!(!sim.world().patch_machine(number), "once is enough");
}

#[tokio::test]
async fn a_living_estate_follows_the_clock_however_it_is_read() {
    let machines = MachineConfig {
        count: 50,
        added_per_hour: 60.0,
        removed_per_hour: 30.0,
        changed_per_hour: 120.0,
        patched_per_hour: 20.0,
        ..MachineConfig::default()
    };
    let vulnerabilities = VulnerabilityConfig { added_per_hour: 10.0, updated_per_hour: 40.0, ..Default::default() };
    let investigations = InvestigationConfig { new_per_hour: 12.0, ..InvestigationConfig::default() };
    let settings = || SimConfig {
        machines: machines.clone(),
        vulnerabilities: vulnerabilities.clone(),
        investigations: investigations.clone(),
        ..config()
    };
    let (watched, asleep) = (free(settings()).await, free(SimConfig { clock: config().clock, ..settings() }).await);
    for _ in 0..120 {
        watched.clock().advance(Duration::from_secs(60));
        watched.world().machine_count();
    }
    asleep.clock().advance(Duration::from_secs(7_200));
    for service in ESTATE {
        let entities = |sim: &Sim| sim.world().picture().entities(service).collect::<Vec<_>>();
        assert_eq!(entities(&watched), entities(&asleep), "{service:?}");
    }
    assert_eq!(watched.world().machine_count(), 50 + 120 - 60);
    assert_eq!(watched.world().picture().count(Service::Vulnerabilities), 320);
    assert_eq!(watched.world().picture().count(Service::Investigations), 74);
    let updated = walk(&watched, "/api/vulnerabilities?$filter=updatedOn%20gt%202026-11-24T12:00:00Z").await.len();
    assert!((60..=100).contains(&updated), "{updated}: eighty updates, some of the same entry, and twenty new entries");
}

#[tokio::test]
async fn machines_that_report_regularly_move_only_their_last_seen() {
    let machines = MachineConfig { report_every: Some(Duration::from_secs(86_400)), ..MachineConfig::default() };
    let sim = free(SimConfig { machines, ..config() }).await;
    let before = walk(&sim, "/api/machines").await;
    sim.clock().advance(Duration::from_secs(86_400));
    for (mut old, mut new) in before.into_iter().zip(walk(&sim, "/api/machines").await) {
        assert_ne!(old["lastSeen"], new["lastSeen"]);
        (old["lastSeen"], new["lastSeen"]) = (Value::Null, Value::Null);
        assert_eq!(old, new);
    }
}

#[tokio::test]
async fn investigations_run_to_an_end_and_some_never_tell_when_they_began() {
    let sim = free(config()).await;
    let states = async || {
        let rows = walk(&sim, "/api/investigations").await;
        rows.into_iter().map(|row| (row["id"].to_string(), row)).collect::<std::collections::BTreeMap<_, _>>()
    };
    let start = "2026-11-24T12:00:00Z".parse().unwrap();
    let id = sim.world().add_investigation(Some(start), Duration::from_secs(3_600));
    let silent = sim.world().add_investigation(None, Duration::from_secs(3_600));
    let first = get(&sim, &format!("/api/investigations/{id}")).await.json();
    assert_eq!((&first["state"], &first["endTime"]), (&Value::from("Running"), &Value::Null));
    assert_eq!(get(&sim, &format!("/api/investigations/{silent}")).await.json()["state"], "Queued");
    let before = states().await;
    assert!(before.values().any(|row| row["startTime"].is_null()));
    assert!(before.values().any(|row| row["state"] == "Running" || row["state"] == "PendingApproval"));
    sim.clock().advance(Duration::from_secs(3_600));
    let last = get(&sim, &format!("/api/investigations/{id}")).await.json();
    assert_eq!(last["endTime"], "2026-11-24T13:00:00Z");
    assert_eq!(last["startTime"], first["startTime"]);
    sim.clock().advance(Duration::from_secs(50 * 86_400));
    for (id, row) in states().await {
        assert!(!["Running", "PendingApproval", "Queued"].contains(&row["state"].as_str().unwrap()), "{id}");
        assert_eq!(row["startTime"].is_null(), row["endTime"].is_null());
    }
    let alert = last["triggeringAlertId"].as_str().map(str::to_owned);
    assert_eq!(alert, None);
    let called = before.values().find(|row| row["triggeringAlertId"].is_string()).unwrap();
    let alert = called["triggeringAlertId"].as_str().unwrap();
    assert_eq!(get(&sim, &format!("/api/alerts/{alert}")).await.status, 200, "the alert exists");
    assert_eq!(get(&sim, &format!("/api/investigations/{alert}")).await.json()["id"], called["id"]);
}

#[tokio::test]
async fn alerts_name_machines_of_the_tenant() {
    let sim = free(config()).await;
    let alerts = walk(&sim, "/api/alerts").await;
    let mut named = 0;
    for id in alerts.iter().filter_map(|alert| alert["machineId"].as_str()).take(50) {
        assert_eq!(get(&sim, &format!("/api/machines/{id}")).await.status, 200);
        named += 1;
    }
    assert_eq!(named, 50);
}

#[tokio::test]
async fn a_hundred_thousand_machines_are_there_at_once_and_leave_in_small_parts() {
    let machines = MachineConfig { count: 100_000, ..MachineConfig::default() };
    let sim = free(SimConfig { machines, ..config() }).await;
    let request = axum::http::Request::get("/api/machines?$skip=50000")
        .header("authorization", format!("Bearer {}", token(&sim).await))
        .body(axum::body::Body::empty())
        .unwrap();
    let mut parts = sim.call(request).await.unwrap().into_body().into_data_stream();
    let (mut largest, mut whole) = (0, 0);
    while let Some(part) = parts.next().await {
        let length = part.unwrap().len();
        (largest, whole) = (largest.max(length), whole + length);
    }
    assert!(whole > 8_000_000 && largest < 200_000, "{whole} octets in parts of at most {largest}");
    let last = get(&sim, "/api/machines?$top=10000&$skip=99990").await;
    assert_eq!(last.ids().len(), 10);
    let exposed: u64 =
        walk(&sim, "/api/software").await.iter().map(|row| row["exposedMachines"].as_u64().unwrap()).max().unwrap();
    assert!(exposed > 10_000, "{exposed}");
}
