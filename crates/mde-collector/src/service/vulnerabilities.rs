//! Vulnerabilities that affect the organisation, as snapshots or by their last change.

use super::count::{VULNERABILITY, WEAKNESSES, count, export, list};
use super::{Api, Bulk, Endpoint, Key, Paging, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List vulnerabilities" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "vulnerabilities",
    aliases: &["vulnerabiities"],
    endpoint: Endpoint {
        api: Api::Mde,
        path: "/api/vulnerabilities",
        expand: None,
        roles: &["Vulnerability.Read.All"],
        family: Family::VulnerabilityManagement,
        page_cap: limits::VULNERABILITY_PAGE_CAP,
        paging: Paging::Linked,
    },
    elsewhere: &[super::hunting::VULNERABILITIES],
    pull: &[
        Pull::Snapshot { min_period_s: 3_600 },
        Pull::Window { time: "updatedOn", splits: &[("severity", &["Low", "Medium", "High", "Critical"])] },
    ],
    key: Key::Fields(&["id", "updatedOn"]),
    counts: &[count(
        "request_machine_by_vulnerabilities",
        "related_machines",
        list("/api/vulnerabilities/{id}/machineReferences", VULNERABILITY, Family::VulnerabilityManagement),
        &[Bulk::Row("exposedMachines"), export(&WEAKNESSES, &["cveId"], &["deviceId"])],
        "the list is refreshed in its own time",
    )],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.vulnerabilities",
    period_s: 3600,
};
