//! Advanced hunting on both endpoints.

use crate::http::{Reply, config, graph_token, send, start, token};
use mde_sim::{Family, Fault, HuntingConfig, MachineConfig, RequestKind, Service, Sim, SimConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A call with this token and body.
async fn post(sim: &Sim, target: &str, token: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    send(sim.addr(), "POST", target, &[("Authorization", &bearer), ("Content-Type", "application/json")], body).await
}

/// A query on the Defender API.
async fn classic(sim: &Sim, query: &str) -> Reply {
    post(sim, "/api/advancedqueries/run", &token(sim).await, &json!({"Query": query}).to_string()).await
}

/// A query on Microsoft Graph.
async fn graph(sim: &Sim, body: &Value) -> Reply {
    post(sim, "/v1.0/security/runHuntingQuery", &graph_token(sim).await, &body.to_string()).await
}

/// Rows as text, in a fixed order.
fn sorted(rows: impl Iterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn every_table_answers_with_its_schema_and_the_rows_of_the_world() {
    let machines = MachineConfig { count: 40, ..MachineConfig::default() };
    let sim = start(SimConfig { machines, ..config() }).await;
    let mut served = 0;
    for table in sim.world().hunting_tables() {
        let reply = classic(&sim, table).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let body = reply.json();
        assert!(body["Stats"].is_object());
        let columns = body["Schema"].as_array().unwrap();
        let rows = body["Results"].as_array().unwrap();
        assert!(!rows.is_empty(), "{table}");
        assert!(rows.iter().all(|row| {
            let row = row.as_object().unwrap();
            row.len() == columns.len()
                && columns.iter().all(|column| row.contains_key(column["Name"].as_str().unwrap()))
        }));
        let expected = sim.world().hunt(table).unwrap();
        let parsed = expected.iter().map(|row| serde_json::from_str::<Value>(row).unwrap().to_string());
        assert_eq!(sorted(rows.iter().map(Value::to_string)), sorted(parsed), "{table}");
        served += rows.len() as u64;
        assert_eq!(sim.ledger().rows_served_of(Service::AdvancedHunting), served);
        assert!(sim.ledger().times_served(Service::AdvancedHunting, &expected[0]) >= 1);
    }
    assert_eq!(sim.ledger().request_count(RequestKind::Hunting), 9);
}

#[tokio::test]
async fn graph_gives_the_same_rows_with_sidecars_and_small_letters() {
    let sim = start(config()).await;
    for table in ["DeviceLogonEvents", "DeviceTvmSoftwareVulnerabilities", "DeviceProcessEvents"] {
        let query = format!("{table} | take 200");
        let classic = classic(&sim, &query).await.json();
        let graph = graph(&sim, &json!({"Query": query})).await.json();
        assert_eq!(graph.get("Stats"), None);
        let names = |schema: &Value, name: &str| -> Vec<String> {
            schema.as_array().unwrap().iter().map(|column| column[name].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&graph["schema"], "name"), names(&classic["Schema"], "Name"));
        let mut sidecars = 0;
        for (plain, row) in classic["Results"].as_array().unwrap().iter().zip(graph["results"].as_array().unwrap()) {
            let mut row = row.as_object().unwrap().clone();
            let marks: Vec<_> = row.keys().filter(|name| name.ends_with("@odata.type")).cloned().collect();
            sidecars += marks.len();
            for mark in marks {
                row.remove(&mark);
            }
            // Dynamic columns are JSON there and its text here.
            for (name, value) in &mut row {
                if value.is_array() {
                    *value = Value::String(value.to_string());
                }
                assert_eq!(*value, plain[name], "{table} {name}");
            }
            assert_eq!(row.len(), plain.as_object().unwrap().len());
        }
        assert!(sidecars >= 200, "{table}: {sidecars}");
    }
}

#[tokio::test]
async fn a_timespan_narrows_what_graph_finds() {
    let sim = start(config()).await;
    let count = async |body: Value| graph(&sim, &body).await.json()["results"].as_array().unwrap().len();
    let hour = count(json!({"Query": "DeviceLogonEvents", "Timespan": "PT1H"})).await;
    assert!((40..=70).contains(&hour), "{hour}");
    let slice = "2026-11-24T10:00:00Z/2026-11-24T11:00:00Z";
    let both =
        json!({"Query": "DeviceLogonEvents | where Timestamp >= datetime(2026-11-24T10:30:00Z)", "Timespan": slice});
    assert!((20..=40).contains(&count(both).await));
    assert_eq!(graph(&sim, &json!({"Query": "DeviceInfo", "Timespan": "soon"})).await.status, 400);
}

#[tokio::test]
async fn rows_appear_with_time_and_some_late() {
    let hunting = HuntingConfig { late_one_in: 10, ..HuntingConfig::default() };
    let sim = start(SimConfig { hunting, ..config() }).await;
    let query = "DeviceLogonEvents | where Timestamp >= datetime(2026-11-24T11:00:00Z) and Timestamp < datetime(2026-11-24T13:00:00Z)";
    let rows = || {
        let mut counted: BTreeMap<String, u32> = BTreeMap::new();
        sim.world().hunt(query).unwrap().into_iter().for_each(|row| *counted.entry(row).or_default() += 1);
        counted
    };
    let mut before = rows();
    let mut late = 0;
    for minute in 1..=90 {
        sim.clock().advance(Duration::from_secs(60));
        let after = rows();
        for (row, times) in &before {
            assert!(after[row] >= *times, "rows do not go");
        }
        let now = sim.clock().now();
        late += after
            .keys()
            .filter(|row| !before.contains_key(*row))
            .filter(|row| {
                let row: Value = serde_json::from_str(row).unwrap();
                let at: jiff::Timestamp = row["Timestamp"].as_str().unwrap().parse().unwrap();
                now.duration_since(at) > jiff::SignedDuration::from_mins(15)
            })
            .count();
        before = after;
        let _ = minute;
    }
    assert!(late >= 5, "{late} rows were late");
    let total: u32 = before.values().sum();
    assert!((115..=121).contains(&total), "two hours at one a minute: {total}");
    assert!(before.values().any(|times| *times == 2), "some rows are equal");
}

#[tokio::test]
async fn the_row_cap_cuts_without_a_word_and_too_many_octets_are_refused() {
    let hunting =
        HuntingConfig { row_cap: 500, max_bytes: 200_000, graph_max_bytes: 50_000, ..HuntingConfig::default() };
    let sim = start(SimConfig { hunting, ..config() }).await;
    let small = classic(&sim, "DeviceLogonEvents | project Timestamp, DeviceId").await;
    assert_eq!((small.status, small.json()["Results"].as_array().unwrap().len()), (200, 500));
    let large = classic(&sim, "DeviceLogonEvents").await;
    assert_eq!(large.status, 400);
    assert!(large.error_text().1.contains("exceeded the allowed result size"), "{large:?}");
    assert_eq!(classic(&sim, "DeviceLogonEvents | take 100").await.status, 200);
    assert_eq!(graph(&sim, &json!({"Query": "DeviceLogonEvents | take 100"})).await.status, 400);
}

#[tokio::test]
async fn mistakes_and_used_up_time_read_like_the_real_ones() {
    let sim = start(config()).await;
    let syntax = classic(&sim, "DeviceInfo | wher x").await;
    assert_eq!((syntax.status, syntax.error_text().0.as_str()), (400, "BadRequest"));
    assert!(syntax.error_text().1.contains("Query could not be parsed at 'wher' on line [1,14]"), "{syntax:?}");
    let body = post(&sim, "/api/advancedqueries/run", &token(&sim).await, "{\"query\":\"DeviceInfo\"}").await;
    assert_eq!(body.error_text().0, "InvalidRequestBody", "keys count with case");
    sim.scenario().once(RequestKind::Hunting, Fault::ComputeExhausted { seconds: 75 });
    let cpu = classic(&sim, "DeviceInfo").await;
    assert_eq!((cpu.status, cpu.header("retry-after")), (429, Some("75")));
    assert!(cpu.error_text().1.ends_with("You can run queries again in 00:01:15."));
    sim.scenario().once(RequestKind::GraphHunting, Fault::ComputeExhausted { seconds: 75 });
    let cpu = graph(&sim, &json!({"Query": "DeviceInfo"})).await;
    assert_eq!((cpu.status, cpu.header("retry-after")), (429, None));
    sim.scenario().once(RequestKind::Hunting, Fault::ResultTooLarge);
    assert_eq!(classic(&sim, "DeviceInfo").await.status, 400);
    let semantic = graph(&sim, &json!({"Query": "DeviceInfo | where Nope == 1"})).await.json();
    assert!(semantic["error"]["message"].as_str().unwrap().contains("'Nope'"));
    assert!(semantic["error"]["innerError"]["request-id"].is_string());
    assert_eq!(sim.ledger().throttled(), 0);
}

#[tokio::test]
async fn each_endpoint_wants_its_own_token_and_role_and_counts_alone() {
    let sim = start(config()).await;
    let body = json!({"Query": "DeviceInfo | take 1"}).to_string();
    let (mde, msgraph) = (token(&sim).await, graph_token(&sim).await);
    assert_eq!(post(&sim, "/api/advancedqueries/run", &msgraph, &body).await.status, 401);
    assert_eq!(post(&sim, "/v1.0/security/runHuntingQuery", &mde, &body).await.status, 401);
    assert_eq!(crate::http::get_as(&sim, "/api/alerts", &msgraph).await.status, 401);
    assert_eq!(crate::http::get_as(&sim, "/api/advancedqueries/run", &mde).await.status, 405);
    for _ in 0..45 {
        assert_eq!(post(&sim, "/beta/security/runHuntingQuery", &msgraph, &body).await.status, 200);
    }
    assert_eq!(post(&sim, "/v1.0/security/runHuntingQuery", &msgraph, &body).await.status, 429);
    assert_eq!(post(&sim, "/api/advancedqueries/run", &mde, &body).await.status, 200);
    assert_eq!(sim.ledger().peak(Family::GraphHunting).minute, 47);
    sim.entra().set_roles(vec!["Alert.Read.All".into()]);
    let refused = post(&sim, "/v1.0/security/runHuntingQuery", &graph_token(&sim).await, &body).await;
    assert_eq!(refused.status, 403);
    assert!(refused.error_text().1.contains("API required roles: ThreatHunting.Read.All, application roles: ."));
}
