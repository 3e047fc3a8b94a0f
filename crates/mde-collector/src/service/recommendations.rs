//! Security recommendations, as snapshots.

use super::count::{ADVISED, RECOMMENDATION, SOFTWARE, VULNERABILITY, count, list, single};
use super::{Bulk, Endpoint, Grouped, Key, OWNER, Only, Pull, ServiceDef, Silence};
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
        count(
            "request_recommendation_software",
            "related_software",
            single("/api/recommendations/{id}/software", SOFTWARE, Family::VulnerabilityManagement),
            &[Bulk::IdBegins("va-_-")],
        ),
        count(
            "request_recommendation_machines",
            "related_machines",
            list("/api/recommendations/{id}/machineReferences", RECOMMENDATION, Family::VulnerabilityManagement),
            &[
                Bulk::Row("exposedMachinesCount"),
                Bulk::Grouped(Grouped {
                    pass: &ADVISED,
                    by: &[OWNER],
                    distinct: &["id"],
                    only: Only::Filled,
                    silence: Silence::Zero,
                }),
            ],
        ),
        count(
            "request_recommendation_vulnerabilities",
            "related_vulnerabilities",
            list("/api/recommendations/{id}/vulnerabilities", VULNERABILITY, Family::VulnerabilityManagement),
            &[Bulk::Row("weaknesses")],
        ),
    ],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.recommendations",
    period_s: 3600,
};
