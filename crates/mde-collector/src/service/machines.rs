//! Machines, as snapshots.

use super::{Count, Endpoint, Key, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List machines API" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "machines",
    aliases: &[],
    endpoint: Endpoint {
        path: "/api/machines",
        expand: None,
        roles: &["Machine.Read.All", "Machine.ReadWrite.All"],
        family: Family::Machines,
        page_cap: limits::PAGE_CAP,
    },
    pull: &[Pull::Snapshot { min_period_s: 3_600 }],
    key: Key::Fields(&["id"]),
    counts: &[
        Count { option: "request_machine_logon_users", aliases: &[], field: "related_logon_users" },
        Count { option: "request_machine_related_alerts", aliases: &[], field: "related_alerts" },
        Count { option: "request_machine_vulnerabilities", aliases: &[], field: "related_vulnerabilities" },
        Count { option: "request_machine_security_recommendations", aliases: &[], field: "related_recommendations" },
        Count { option: "request_machine_software", aliases: &[], field: "related_software" },
    ],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.machines",
    period_s: 3600,
};
