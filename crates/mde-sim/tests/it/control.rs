use crate::http::{get, send, sim, token};
use mde_sim::{Sim, SimConfig};
use serde_json::{Value, json};

/// A control call.
async fn control(sim: &Sim, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let reply = send(sim.addr(), method, &format!("/_sim/{target}"), &[], &text).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn the_ledger_lists_what_was_served_whole() {
    let sim = sim(3).await;
    get(&sim, "/api/alerts?$expand=evidence").await;
    get(&sim, "/api/alerts?$expand=evidence").await;
    let (_, ledger) = control(&sim, "GET", "ledger", &Value::Null).await;
    assert_eq!(ledger["requests"], json!({"token": 2, "alerts": 2}));
    assert_eq!(
        (&ledger["rows_served"], &ledger["distinct_versions"], &ledger["throttled"]),
        (&json!(6), &json!(3), &json!(0))
    );
    assert_eq!(ledger["quota_used"]["alerts"], json!({"minute": 2, "hour": 2}));
    let (_, world) = control(&sim, "GET", "alerts", &Value::Null).await;
    let served: Vec<_> = ledger["versions"].as_array().unwrap().iter().map(|version| &version["id"]).collect();
    assert!(world.as_array().unwrap().iter().all(|version| served.contains(&&version["id"])));
    assert!(
        ledger["versions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|version| version["times"] == 2 && version["evidence"].as_u64() > Some(0))
    );
    let (_, short) = control(&sim, "GET", "ledger?versions=false", &Value::Null).await;
    assert_eq!(short.get("versions"), None);
}

#[tokio::test]
async fn a_shell_can_script_the_world_the_faults_and_the_secret() {
    let sim = sim(1).await;
    let (_, added) = control(&sim, "POST", "alerts", &json!({"count": 2, "at": "2026-11-24T11:00:00.5Z"})).await;
    let id = added["ids"][0].as_str().unwrap().to_owned();
    assert_eq!(get(&sim, "/api/alerts").await.ids().len(), 3);
    assert_eq!(control(&sim, "POST", &format!("alerts/{id}"), &Value::Null).await.0, 200);
    assert_eq!(control(&sim, "POST", &format!("alerts/{id}"), &json!({"at": "2020-01-01T00:00:00Z"})).await.0, 409);
    assert_eq!(control(&sim, "POST", "alerts/nobody", &Value::Null).await.0, 409);

    let fault = json!({"on": "alerts", "times": 1, "fault": {"kind": "status", "status": 502, "body": "html"}});
    assert_eq!(control(&sim, "POST", "faults", &fault).await, (200, json!({"pending": 1})));
    assert_eq!(get(&sim, "/api/alerts").await.status, 502);
    control(&sim, "POST", "faults", &json!({"always": true, "fault": {"kind": "reset", "after": null}})).await;
    assert_eq!(control(&sim, "DELETE", "faults", &Value::Null).await.0, 200);
    assert_eq!(get(&sim, "/api/alerts").await.status, 200);
    assert_eq!(control(&sim, "POST", "faults", &json!({"fault": {"kind": "nonsense"}})).await.0, 400);

    let known = token(&sim).await;
    let (_, rotated) = control(&sim, "POST", "secret", &Value::Null).await;
    assert_eq!(rotated["client_secret"], sim.credentials().client_secret.as_str());
    control(&sim, "DELETE", "tokens", &Value::Null).await;
    assert_eq!(crate::http::get_as(&sim, "/api/alerts", &known).await.status, 401);
    control(&sim, "POST", "clock", &json!({"offset_s": 3600})).await;
    assert_eq!(get(&sim, "/api/alerts").await.header("date"), Some("Tue, 24 Nov 2026 13:00:00 GMT"));
    let inputs = send(sim.addr(), "GET", "/_sim/inputs", &[], "").await;
    assert_eq!(String::from_utf8(inputs.body).unwrap(), sim.inputs_yaml());
}

#[tokio::test]
async fn a_simulator_that_is_shut_down_is_gone() {
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let address = sim.addr();
    let idle = tokio::net::TcpStream::connect(address).await.unwrap();
    sim.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_shell_can_change_the_estate_and_hunt_in_it() {
    let sim = sim(1).await;
    let (_, added) = control(&sim, "POST", "estate/machines", &json!({"count": 2})).await;
    assert_eq!(added, json!({"numbers": [200, 201]}));
    assert_eq!(control(&sim, "DELETE", "estate/machines/200", &Value::Null).await.0, 200);
    assert_eq!(control(&sim, "DELETE", "estate/machines/200", &Value::Null).await.0, 409);
    assert_eq!(control(&sim, "POST", "estate/machines/201", &Value::Null).await.0, 200);
    assert_eq!(control(&sim, "POST", "estate/vulnerabilities/3", &Value::Null).await.0, 200);
    assert_eq!(control(&sim, "POST", "estate/nothing", &Value::Null).await.0, 400);
    let (_, ledger) = control(&sim, "GET", "ledger", &Value::Null).await;
    assert_eq!(ledger["machines"], 201);
    let hunt = send(sim.addr(), "POST", "/_sim/hunt", &[], "DeviceInfo | distinct DeviceId | count").await;
    assert_eq!(hunt.json(), json!([{"Count": 201}]));
    assert_eq!(send(sim.addr(), "POST", "/_sim/hunt", &[], "DeviceInfo | nonsense").await.status, 400);
}

#[tokio::test]
async fn a_shell_sees_what_graph_shows_merges_incidents_and_ends_the_classic_api() {
    let sim = sim(40).await;
    let (_, alerts) = control(&sim, "GET", "graph/alerts", &Value::Null).await;
    assert_eq!(alerts, serde_json::to_value(sim.world().graph_versions()).unwrap());
    let (_, incidents) = control(&sim, "GET", "graph/incidents", &Value::Null).await;
    let id = |place: usize| incidents[place]["id"].as_str().unwrap();
    let target = format!("graph/incidents/{}", id(0));
    assert_eq!(control(&sim, "POST", &target, &json!({"into": "nothing"})).await.0, 409);
    assert_eq!(control(&sim, "POST", &target, &json!({"into": id(1)})).await, (200, json!({"id": id(1)})));
    let (_, after) = control(&sim, "GET", "graph/incidents", &Value::Null).await;
    let merged = after.as_array().unwrap().iter().find(|incident| incident["id"] == id(0)).unwrap();
    assert_eq!(merged["evidence"], 0);
    let token = token(&sim).await;
    let status = async || crate::http::get_as(&sim, "/api/alerts", &token).await.status;
    assert_eq!(control(&sim, "POST", "retirement", &json!({"how": "gone"})).await.0, 200);
    assert_eq!(status().await, 410);
    assert_eq!(control(&sim, "DELETE", "retirement", &Value::Null).await.0, 200);
    assert_eq!(status().await, 200);
    assert_eq!(control(&sim, "POST", "retirement", &json!({"how": "softly"})).await.0, 400);
}

#[tokio::test]
async fn the_configuration_block_names_the_services_asked_for() {
    assert!(sim(1).await.inputs_yaml().ends_with("    services:\n      alerts:\n"));
    let services = mde_sim::Service::ALL.to_vec();
    let sim = crate::http::start(SimConfig { services, ..crate::http::config() }).await;
    let block = sim.inputs_yaml();
    assert!(block.contains(&format!(
        "    override_graph_base_url: {}\n    services:\n      alerts:\n      machines:\n",
        sim.base_url()
    )));
    assert!(block.contains("      investigations:\n      advanced_hunting:\n        queries:\n          - {name: logons, query: DeviceLogonEvents, devo_tag"));
}
