//! Installed software, as snapshots.

use super::{Count, Endpoint, Key, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List software" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "software",
    aliases: &["softwares"],
    endpoint: Endpoint {
        path: "/api/Software",
        expand: None,
        roles: &["Software.Read.All"],
        family: Family::VulnerabilityManagement,
        page_cap: limits::PAGE_CAP,
    },
    pull: &[Pull::Snapshot { min_period_s: 3_600 }],
    key: Key::Fields(&["id"]),
    counts: &[
        Count { option: "request_vulnerabilities_by_software", aliases: &[], field: "related_vulnerabilities" },
        Count {
            option: "request_software_missing_kbs",
            aliases: &["request_softtware_missing_kbs"],
            field: "related_missing_kbs",
        },
        Count { option: "request_machines_by_software", aliases: &[], field: "related_machines" },
        Count {
            option: "request_software_version_distributions",
            aliases: &["request_softtware_version_distributions"],
            field: "related_version_distribution",
        },
    ],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.software",
    period_s: 3600,
};
