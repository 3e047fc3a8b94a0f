//! Incidents, which Microsoft Graph alone has: without their alerts, which are a stream of their own.

use super::{Api, Endpoint, Key, Paging, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List incidents". With `$expand=alerts` large tenants get a 500 for good, so it is not asked for.
pub static DEF: ServiceDef = ServiceDef {
    name: "incidents",
    aliases: &[],
    endpoint: Endpoint {
        api: Api::Graph,
        path: "/v1.0/security/incidents",
        expand: None,
        roles: &["SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All"],
        family: Family::GraphIncidents,
        page_cap: limits::GRAPH_INCIDENT_PAGE_CAP,
        paging: Paging::Counted { skip_cap: limits::GRAPH_SKIP_CAP },
    },
    elsewhere: &[],
    pull: &[Pull::Window {
        time: "lastUpdateDateTime",
        splits: &[
            ("severity", &["unknown", "informational", "low", "medium", "high"]),
            ("status", &["active", "resolved", "inProgress", "redirected", "awaitingAction"]),
            ("classification", &["unknown", "falsePositive", "truePositive", "informationalExpectedActivity"]),
        ],
    }],
    key: Key::Fields(&["id", "lastUpdateDateTime"]),
    counts: &[],
    flatten: &[],
    tag: "my.app.microsoft_graph.incidents",
    period_s: 300,
};
