//! Microsoft Graph's limits hold as the classic API's do, whatever is asked of it at once.

use super::day::{BETWEEN, tenant};
use super::{HOUR, Trial};
use mde_sim::RequestKind;
use std::fmt::Write;

#[tokio::test(start_paused = true)]
async fn more_queries_than_graph_allows_beside_lists_and_tables_are_never_refused_and_hold_up_no_alert() {
    // 60 a minute where 45 are allowed, each hour far more than the hour's.
    let mut queries = String::new();
    for number in 0..60 {
        writeln!(
            queries,
            "          - {{name: q{number}, query: \"DeviceLogonEvents | where LogonType != '{number}'\", devo_tag: my.app.q, \
             timestamp_column: Timestamp, request_period_in_seconds: 60}}"
        )
        .expect("a String takes everything");
    }
    let services = format!(
        "      alerts: {{flatten: false}}\n      incidents:\n      machines:\n      software:\n      advanced_hunting:\n        \
         queries:\n{queries}    backend: graph\n"
    );
    let trial = Trial::new(
        |config| {
            tenant(50)(config);
            config.graph.tuned_one_in = 0;
            config.hunting.rows_per_minute = 0.5;
        },
        &services,
    )
    .await;
    trial.run_for(HOUR + BETWEEN).await;
    trial.assert_within_quota();
    let hunted = trial.asked(RequestKind::GraphHunting);
    assert!(hunted > 1_000, "the hour's share is used: {hunted}");
    // Each minute, however many queries wait.
    let alerts = trial.asked(RequestKind::GraphAlerts);
    assert!(alerts >= 55, "{alerts}");
    // Each five minutes.
    assert!(trial.asked(RequestKind::Incidents) >= 10);
    assert_eq!(trial.asked(RequestKind::Alerts), 0);
}
