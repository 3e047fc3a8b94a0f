//! Security recommendations, as snapshots.

use super::count::{ADVISED, RECOMMENDATION, SOFTWARE, VULNERABILITY, count, list, single, walk};
use super::{Api, Bulk, Endpoint, Key, OWNER, Paging, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List all recommendations" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "recommendations",
    aliases: &[],
    endpoint: Endpoint {
        api: Api::Mde,
        path: "/api/recommendations",
        expand: None,
        roles: &["SecurityRecommendation.Read.All"],
        family: Family::VulnerabilityManagement,
        page_cap: limits::PAGE_CAP,
        paging: Paging::Linked,
    },
    elsewhere: &[],
    pull: &[Pull::Snapshot { min_period_s: 3_600 }],
    key: Key::Fields(&["id"]),
    counts: &[
        count(
            "request_recommendation_software",
            "related_software",
            single("/api/recommendations/{id}/software", SOFTWARE, Family::VulnerabilityManagement),
            &[Bulk::IdBegins("va-_-")],
            "a setting has no product; the call answers 404 for it, which is 0 as well",
        ),
        count(
            "request_recommendation_machines",
            "related_machines",
            list("/api/recommendations/{id}/machineReferences", RECOMMENDATION, Family::VulnerabilityManagement),
            &[Bulk::Row("exposedMachinesCount"), walk(&ADVISED, &[OWNER], &["id"])],
            "the list is refreshed in its own time",
        ),
        count(
            "request_recommendation_vulnerabilities",
            "related_vulnerabilities",
            list("/api/recommendations/{id}/vulnerabilities", VULNERABILITY, Family::VulnerabilityManagement),
            &[Bulk::Row("weaknesses")],
            "the list is refreshed in its own time",
        ),
    ],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.recommendations",
    period_s: 3600,
};
