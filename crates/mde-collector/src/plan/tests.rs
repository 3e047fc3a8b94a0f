//! Plans of whole configurations, with the lists' own calls given.

use super::*;
use crate::config::{Options, load};

/// The input of a configuration with these services.
fn input(services: &str) -> Input {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "inputs:\n  acme:\n    id: acme\n    credentials: {{tenant_id: t, client_id: c, client_secret: s}}\n    services:\n{services}\n\
         outputs:\n  screen: {{type: console}}\n"
    );
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text).expect("writable");
    load(&path, &|_| None, Options::default()).expect("a good configuration").config.inputs.remove(0)
}

fn sizes(machines: u64) -> Sizes {
    let mut sizes = Sizes::default();
    sizes.set("/api/machines", Size { rows: machines, per_day: 0.0 });
    sizes.set("/api/alerts", Size::daily(2_000.0));
    sizes
}

fn rows(services: &str, machines: u64) -> Plan {
    plan(&input(services), &[], &sizes(machines), |_| true)
}

fn row<'p>(plan: &'p Plan, part: &str) -> &'p Row {
    plan.rows.iter().find(|row| row.part.as_deref() == Some(part)).expect("it is planned")
}

#[test]
fn what_only_a_call_for_each_machine_tells_is_foretold_with_its_hours_and_is_the_conflict() {
    let plan = rows("      machines: {request_machine_logon_users: true}", 50_000);
    let users = row(&plan, "related_logon_users");
    assert_eq!((users.method, users.calls, users.first_calls), ("per_entity", 50_000, 50_000));
    // 1,500 × 0.8, of which a fifth is kept for others: 960 an hour.
    assert_eq!(users.duration_s / 3_600, 50_000 / 960);
    let conflict = plan.conflict.expect("it does not fit in six hours");
    assert!(conflict.contains("related_logon_users") && conflict.contains("6.0 h"), "{conflict}");
    assert!(plan.advice.iter().any(|advice| advice.contains("max_age")), "{:?}", plan.advice);
}

#[test]
fn the_way_follows_the_number_of_machines_and_a_reading_is_counted_once() {
    let services = "      machines: {request_machine_vulnerabilities: true}\n      \
                    software: {request_vulnerabilities_by_software: true, request_software_missing_kbs: true}";
    let few = rows(services, 100);
    assert_eq!(row(&few, "related_vulnerabilities").method, "per_entity");
    let many = rows(services, 10_000);
    let export = row(&many, "related_vulnerabilities");
    // 2,000,000 rows in pages of 200,000.
    assert_eq!((export.method, export.calls, export.family), ("vulnerability_export", 10, "export_json"));
    let huge = rows(services, 150_000);
    let export = row(&huge, "related_vulnerabilities");
    assert_eq!(
        (export.calls, export.family),
        (1, "export_files"),
        "links are one call, and what is behind them is none"
    );
    assert_eq!(many.conflict, None);
}

#[test]
fn a_missing_role_shows_as_a_count_that_cannot_be_had() {
    let input = input("      machines: {request_machine_logon_users: true}");
    let plan = plan(&input, &[], &sizes(10), |_| false);
    assert_eq!(row(&plan, "related_logon_users").method, "none");
    assert!(plan.advice.iter().any(|advice| advice.contains("role")), "{:?}", plan.advice);
}

#[test]
fn lists_that_do_not_fit_beside_each_other_are_named_in_the_order_of_their_urgency() {
    let input = input("      alerts: {}\n      machines: {}\n      software: {}");
    let listed = |index: usize, largest, priority| Listed {
        service: &input.services[index],
        query: None,
        pull: input.services[index].pull,
        period: Duration::from_secs(3_600),
        forecast: Forecast { first: largest, day: 24 * largest, largest },
        priority,
    };
    let all = [
        listed(0, 60, Priority::Alerts),
        // 1,200 may be made, of which a tenth is kept for the newest alerts.
        listed(1, 1_200, Priority::Lists),
        listed(2, 10, Priority::Lists),
    ];
    let conflict = plan(&input, &all, &sizes(10), |_| true).conflict.expect("machines take longer than an hour");
    assert!(conflict.starts_with("machines: 1200 calls"), "{conflict}");
    assert_eq!(plan(&input, &[all.into_iter().next().expect("three")], &sizes(10), |_| true).conflict, None);
}

#[test]
fn two_windows_make_calls_last_full_hours_then_full_minutes() {
    for (calls, lasts_s) in [(0, 0), (80, 0), (81, 60), (1_200, 14 * 60), (1_201, 3_600), (2_401, 7_200)] {
        assert_eq!(duration_s(calls, 80, 1_200), lasts_s, "{calls}");
    }
}
