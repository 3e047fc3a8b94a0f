//! Security recommendations, as snapshots.

use super::{Count, Endpoint, Key, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List all recommendations" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "recommendations",
    aliases: &[],
    endpoint: Endpoint {
        path: "/api/recommendations",
        expand: None,
        roles: &["SecurityRecommendation.Read.All"],
        family: Family::VulnerabilityManagement,
        page_cap: limits::PAGE_CAP,
    },
    pull: &[Pull::Snapshot { min_period_s: 3_600 }],
    key: Key::Fields(&["id"]),
    counts: &[
        Count { option: "request_recommendation_software", aliases: &[], field: "related_software" },
        Count { option: "request_recommendation_machines", aliases: &[], field: "related_machines" },
        Count { option: "request_recommendation_vulnerabilities", aliases: &[], field: "related_vulnerabilities" },
    ],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.recommendations",
    period_s: 3600,
};
