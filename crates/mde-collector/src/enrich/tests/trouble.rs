//! What is refused, gone or broken costs its own count and nothing else.

use super::*;
use mde_sim::{ErrorBody, Fault, MachineConfig, RequestKind};
use std::collections::BTreeSet;

/// A tenant with so many machines.
async fn tenant(count: usize) -> Bench {
    Bench::new(SimConfig {
        machines: MachineConfig { count, ..MachineConfig::default() },
        exports: mde_sim::ExportConfig { rebuilt_every: Duration::ZERO, files: 2 },
        ..SimConfig::default()
    })
    .await
}

fn machines() -> &'static ServiceDef {
    service::find("machines").expect("a service")
}

/// The only count of that name.
fn named(field: &str) -> Vec<&'static Count> {
    machines().counts.iter().filter(|count| count.field == field).collect()
}

fn asked(bench: &Bench, kind: RequestKind) -> usize {
    bench.sim.ledger().requests().iter().filter(|request| request.kind == kind).count()
}

#[tokio::test]
async fn a_small_tenant_is_asked_one_by_one_and_a_large_one_in_bulk() {
    for (count, single) in [(40, true), (310, false)] {
        let bench = tenant(count).await;
        let enricher = bench.enricher_of(machines(), named("related_vulnerabilities"), Method::Auto);
        bench.counts(machines(), &enricher).await;
        assert_eq!(asked(&bench, RequestKind::MachineVulnerabilities), if single { count } else { 0 });
        assert_eq!(asked(&bench, RequestKind::ExportVulnerabilities), usize::from(!single));
        let kinds = bench.store.count_kinds(enricher.stream()).await.expect("a store");
        assert_eq!(kinds[0].method, if single { "per_entity" } else { "vulnerability_export" });
    }
}

#[tokio::test]
async fn a_role_that_is_missing_leads_to_the_next_way_and_the_last_one_leaves_the_count_out() {
    let bench = tenant(5).await;
    let fault = Fault::Status { status: 403, body: ErrorBody::Json };
    bench.sim.scenario().always(RequestKind::MachineVulnerabilities, fault.clone());
    let enricher = bench.enricher_of(machines(), named("related_vulnerabilities"), Method::Auto);
    let by_export = bench.counts(machines(), &enricher).await;
    assert!(by_export.values().all(|counts| counts[0].is_some()));
    assert!(asked(&bench, RequestKind::MachineVulnerabilities) <= 8, "what is refused is not asked again and again");
    assert_eq!(asked(&bench, RequestKind::ExportVulnerabilities), 1);

    bench.sim.scenario().always(RequestKind::MachineLogonUsers, fault);
    let enricher = bench.enricher_of(machines(), named("related_logon_users"), Method::Auto);
    let nobody = bench.counts(machines(), &enricher).await;
    assert!(nobody.values().all(|counts| counts[0].is_none()), "absent, never 0");
    let kinds = bench.store.count_kinds(enricher.stream()).await.expect("a store");
    let kind = kinds.iter().find(|kind| kind.name == "related_logon_users").expect("it was chosen");
    assert_eq!((kind.method.as_str(), kind.reason.as_str()), ("", "the application lacks the role for it"));
}

#[tokio::test]
async fn a_role_that_the_token_lacks_is_not_even_tried() {
    let mut config =
        SimConfig { machines: MachineConfig { count: 5, ..MachineConfig::default() }, ..SimConfig::default() };
    config.roles.retain(|role| role != "User.Read.All");
    let bench = Bench::new(config).await;
    let counts = bench.counts(machines(), &bench.enricher(machines(), Method::PerEntity)).await;
    assert!(counts.values().all(|counts| counts[0].is_none() && counts[1..].iter().all(Option::is_some)));
    assert_eq!(asked(&bench, RequestKind::MachineLogonUsers), 0);
}

#[tokio::test(start_paused = true)]
async fn an_entity_whose_call_fails_for_good_is_passed_over_with_its_reason_and_the_others_are_not() {
    let bench = tenant(12).await;
    for field in ["related_logon_users", "related_software"] {
        let (kind, status) = match field {
            "related_software" => (RequestKind::MachineSoftware, 400),
            _ => (RequestKind::MachineLogonUsers, 500),
        };
        // The first call and, for a server's fault, its tries.
        for _ in 0..if status == 500 { 3 } else { 1 } {
            bench.sim.scenario().once(kind, Fault::Status { status, body: ErrorBody::Json });
        }
        let enricher = bench.enricher_of(machines(), named(field), Method::PerEntity);
        let counts = bench.counts(machines(), &enricher).await;
        let missing = counts.values().filter(|counts| counts[0].is_none()).count();
        assert!(missing <= 1, "{field}: {missing} are missing");
        let states = bench.store.count_states(enricher.stream()).await.expect("a store");
        let state = states.iter().find(|state| state.kind.name == field).expect("it was wanted");
        assert_eq!((state.wanted, state.known, state.failed), (12, 12 - missing as u64, missing as u64));
    }
}

#[tokio::test]
async fn what_is_known_is_not_asked_again_after_a_kill_and_the_rest_is() {
    let bench = tenant(30).await;
    let (def, field) = (machines(), named("related_logon_users"));
    let few = Bench { client: bench.client.clone().with_budget(Arc::new(Few::new(16))), ..bench.clone() };
    let first = few.enricher_of(def, field.clone(), Method::PerEntity);
    let list = Get::new(def.endpoint.path, def.endpoint.family, Priority::Enrichment);
    first.census(list, def.endpoint.page_cap).await.expect("a list");
    first.choose(Some(30)).await.expect("a token");
    let known = async || few.store.count_states(first.stream()).await.expect("a store")[0].known;
    // The process is gone in the middle: the future is dropped where it stands.
    let some = async {
        while known().await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = some => {}, settled = first.settle(true, None) => panic!("too early: {settled:?}") }
    let known = known().await;
    assert!((1..30).contains(&known), "{known}");
    let before = asked(&bench, RequestKind::MachineLogonUsers);
    let second = bench.enricher_of(def, field, Method::PerEntity);
    let counts = bench.counts(def, &second).await;
    assert!(counts.values().all(|counts| counts[0].is_some()));
    let after = asked(&bench, RequestKind::MachineLogonUsers);
    assert_eq!((after - before) as u64, 30 - known, "each that is not known once");
}

#[tokio::test]
async fn one_reading_fills_the_counts_of_all_services_in_it() {
    let bench = tenant(20).await;
    let (machines, software) = (machines(), service::find("software").expect("a service"));
    let field = |def: &'static ServiceDef, field: &str| -> Vec<&'static Count> {
        def.counts.iter().filter(|count| count.field == field).collect()
    };
    let (of_machines, of_software) = (field(machines, "related_software"), field(software, "related_machines"));
    let (one, other) = bench.pair((machines, of_machines), (software, of_software), Method::Bulk);
    let counts = bench.counts(machines, &one).await;
    assert!(counts.values().all(|counts| counts[0].is_some()));
    let counts = bench.counts(software, &other).await;
    assert!(counts.values().any(|counts| counts[0] > Some(0)));
    assert_eq!(asked(&bench, RequestKind::ExportInventory), 1);
}

#[tokio::test]
async fn a_related_list_of_several_pages_is_counted_to_its_end() {
    let mut config =
        SimConfig { machines: MachineConfig { count: 3, ..MachineConfig::default() }, ..SimConfig::default() };
    config.page.size = 4;
    let bench = Bench::new(config).await;
    let enricher = bench.enricher_of(machines(), named("related_software"), Method::PerEntity);
    let counts = bench.counts(machines(), &enricher).await;
    let all: BTreeSet<_> = counts.values().map(|counts| counts[0]).collect();
    assert!(all.iter().all(|count| *count > Some(4)), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn an_entity_that_fails_with_no_other_beside_it_is_passed_over_too() {
    let bench = tenant(1).await;
    bench.sim.scenario().always(RequestKind::MachineLogonUsers, Fault::Status { status: 500, body: ErrorBody::Json });
    let enricher = bench.enricher_of(machines(), named("related_logon_users"), Method::PerEntity);
    let counts = bench.counts(machines(), &enricher).await;
    assert!(counts.values().all(|counts| counts[0].is_none()));
    assert_eq!(bench.store.count_states(enricher.stream()).await.expect("a store")[0].failed, 1);
}

#[tokio::test]
async fn what_an_export_does_not_have_is_absent_and_is_not_asked_one_by_one() {
    let config =
        SimConfig { machines: MachineConfig { count: 400, ..MachineConfig::default() }, ..SimConfig::default() };
    let bench = Bench::new(config).await;
    // Exports are as of the start; these have come since.
    bench.sim.world().add_machines(3);
    for field in ["related_software", "related_vulnerabilities"] {
        let enricher = bench.enricher_of(machines(), named(field), Method::Auto);
        let counts = bench.counts(machines(), &enricher).await;
        let absent = counts.values().filter(|counts| counts[0].is_none()).count();
        assert_eq!((counts.len(), absent), (403, 3), "{field}: absent, never 0");
    }
    // All of the alert list was read: there no row does mean none.
    let counts = bench.counts(machines(), &bench.enricher_of(machines(), named("related_alerts"), Method::Auto)).await;
    assert!(counts.values().all(|counts| counts[0].is_some()));
    for kind in [RequestKind::MachineSoftware, RequestKind::MachineVulnerabilities, RequestKind::MachineAlerts] {
        assert_eq!(asked(&bench, kind), 0, "{kind:?}");
    }
}
