//! `plan` against what a run then calls, by the simulator's ledger.

use crate::harness::Bench;
use mde_sim::{Family, RequestKind};
use serde_json::Value;

/// What `plan` says, and how many calls it took itself.
async fn planned(bench: &Bench, arguments: &[&str]) -> (Value, u64) {
    let before = bench.sim.ledger().request_count(None);
    let all = [&["plan", "--config", "config.yaml", "--format", "json"], arguments].concat();
    let ended = bench.launch(&all).ended().await.exits(0);
    let plans: Value = serde_json::from_str(&ended.stdout).expect("JSON alone on stdout");
    (plans[0].clone(), bench.sim.ledger().request_count(None) - before)
}

/// First calls of the rows that fit.
fn first_calls(plan: &Value, fits: impl Fn(&Value) -> bool) -> u64 {
    let rows = plan["rows"].as_array().expect("rows").iter();
    rows.filter(|row| fits(row)).map(|row| row["first_calls"].as_u64().expect("a number")).sum()
}

/// Fails where what was foretold is off by more than a tenth and a call.
#[track_caller]
fn assert_near(what: &str, foretold: u64, made: u64) {
    assert!(foretold.abs_diff(made) <= made / 10 + 1, "{what}: {foretold} foretold, {made} made");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plan_says_of_lists_is_within_a_tenth_of_what_a_run_then_calls() {
    let bench = Bench::start(|config| {
        config.alerts.count = 12_345;
        config.alerts.evidence = 0..=1;
        config.machines.count = 45_678;
    })
    .await;
    bench.edit(
        "      alerts:\n",
        "      alerts:\n      machines:\n      software:\n      vulnerabilities:\n      recommendations:\n      investigations:\n",
    );
    let (plan, asked) = planned(&bench, &[]).await;
    assert!(asked <= 12, "sizes cost {asked} calls, the token among them");
    let ledger = bench.sim.ledger();
    let kinds = [
        ("alerts", RequestKind::Alerts),
        ("machines", RequestKind::Machines),
        ("software", RequestKind::Software),
        ("vulnerabilities", RequestKind::Vulnerabilities),
        ("recommendations", RequestKind::Recommendations),
        ("investigations", RequestKind::Investigations),
    ];
    let before = kinds.map(|(_, kind)| ledger.request_count(kind));
    bench.once().await.exits(0);
    for ((name, kind), before) in kinds.into_iter().zip(before) {
        let foretold = first_calls(&plan, |row| row["service"] == name && row["part"].is_null());
        assert_near(name, foretold, ledger.request_count(kind) - before);
    }
    assert!(first_calls(&plan, |row| row["service"] == "machines") >= 10, "it takes several pages: {plan}");
    assert_eq!(plan["conflict"], Value::Null);
}

/// Every quota that enrichment spends from, by the names of `plan` and of the simulator.
const FAMILIES: [(&str, Family); 5] = [
    ("alerts", Family::Alerts),
    ("machines", Family::Machines),
    ("machine_vulnerabilities", Family::MachineVulnerabilities),
    ("vulnerability_management", Family::VulnerabilityManagement),
    ("export_json", Family::JsonExports),
];

/// Tenants of several sizes and what is asked of them: machines, recommendations, services.
const TENANTS: [(usize, usize, &str); 4] = [
    // One by one.
    (30, 10, "machines: {request_machine_logon_users: true, request_machine_vulnerabilities: true}"),
    // By an export of several pages, shared by two services.
    (
        5_000,
        40,
        "machines: {request_machine_vulnerabilities: true, request_machine_related_alerts: true}\n      \
         software: {request_software_missing_kbs: true, request_machines_by_software: true}",
    ),
    // A call for each recommendation, and fields of the rows.
    (
        1_234,
        12,
        "machines: {request_machine_security_recommendations: true}\n      \
         recommendations: {request_recommendation_machines: true, enrichment: {method: bulk}}\n      \
         vulnerabilities: {request_machine_by_vulnerabilities: true, enrichment: {method: bulk}}",
    ),
    // Alerts one by one.
    (
        20,
        5,
        "alerts: {request_alert_related_users: true, request_alert_related_files: true, enrichment: {method: per_entity}}",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_plan_says_of_enrichment_is_within_a_tenth_of_what_a_run_then_calls() {
    for (machines, recommendations, services) in TENANTS {
        let bench = Bench::start(|config| {
            config.machines.count = machines;
            config.recommendations.count = recommendations;
            // Few enough that no tenant needs more than a minute's calls.
            config.alerts.count = 20;
        })
        .await;
        bench.ask(services);
        let (plan, _) = planned(&bench, &[]).await;
        let ledger = bench.sim.ledger();
        let before = FAMILIES.map(|(_, family)| ledger.family_count(family));
        bench.once().await.exits(0);
        for ((name, family), before) in FAMILIES.into_iter().zip(before) {
            let told = format!("{name} of {machines} machines with {services}");
            assert_near(&told, first_calls(&plan, |row| row["family"] == name), ledger.family_count(family) - before);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plan_says_of_tables_is_what_a_run_then_calls() {
    let bench = Bench::start(|config| {
        config.roles.retain(|role| role.starts_with("ThreatHunting"));
        config.machines.count = 700;
        config.hunting.row_cap = 100_000;
    })
    .await;
    bench.ask("machines:\n      software:\n      vulnerabilities:");
    let (plan, asked) = planned(&bench, &[]).await;
    assert!(asked <= 5, "sizes cost {asked} calls, the two tokens among them");
    let before = bench.sim.ledger().family_count(Family::GraphHunting);
    bench.once().await.exits(0);
    let made = bench.sim.ledger().family_count(Family::GraphHunting) - before;
    let rows = plan["rows"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["family"] == "graph_hunting" && row["method"] == "tables"), "{plan}");
    assert_eq!(first_calls(&plan, |_| true), made, "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_sizes_given_nobody_is_asked_and_the_table_names_the_conflict() {
    let bench = Bench::start(|_| {}).await;
    bench.ask("machines: {request_machine_logon_users: true}");
    let (plan, asked) = planned(&bench, &["--machines", "100000"]).await;
    assert_eq!(asked, 0);
    assert!(plan["conflict"].as_str().is_some_and(|text| text.contains("related_logon_users")), "{plan}");
    let ended = bench.launch(&["plan", "--config", "config.yaml", "--machines", "100000"]).ended().await.exits(0);
    for part in ["machines related_logon_users", "per_entity", "100000", "does not fit", "max_age"] {
        assert!(ended.stdout.contains(part), "{part} is missing:\n{}", ended.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_granted_is_foretold() {
    let bench = Bench::start(|config| config.roles.retain(|role| role != "User.Read.All")).await;
    bench.ask("machines: {request_machine_logon_users: true}");
    let (plan, _) = planned(&bench, &[]).await;
    let row = plan["rows"].as_array().expect("rows").iter().find(|row| row["part"] == "related_logon_users");
    assert_eq!(row.expect("it is named")["method"], "none");
}
