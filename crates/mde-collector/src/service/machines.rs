//! Machines, as snapshots.

use super::count::{
    ADVISED, ALERT, ALERTS, EXPOSURES, INVENTORY, RECOMMENDATION, SOFTWARE, USER, VULNERABILITY, WEAKNESSES, count,
    export, list, walk,
};
use super::{Api, Endpoint, Key, OWNER, Paging, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List machines API" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "machines",
    aliases: &[],
    endpoint: Endpoint {
        api: Api::Mde,
        path: "/api/machines",
        expand: None,
        roles: &["Machine.Read.All", "Machine.ReadWrite.All"],
        family: Family::Machines,
        page_cap: limits::PAGE_CAP,
        paging: Paging::Linked,
    },
    elsewhere: &[super::hunting::MACHINES],
    pull: &[Pull::Snapshot { min_period_s: 3_600 }],
    key: Key::Fields(&["id"]),
    counts: &[
        count(
            "request_machine_logon_users",
            "related_logon_users",
            list("/api/machines/{id}/logonusers", USER, Family::Machines),
            &[],
            "",
        ),
        count(
            "request_machine_related_alerts",
            "related_alerts",
            list("/api/machines/{id}/alerts", ALERT, Family::Machines),
            &[walk(&ALERTS, &["machineId"], &["id"])],
            "an alert that only mentions the machine names another one in `machineId`",
        ),
        count(
            "request_machine_vulnerabilities",
            "related_vulnerabilities",
            list("/api/machines/{id}/vulnerabilities", VULNERABILITY, Family::MachineVulnerabilities),
            &[export(&WEAKNESSES, &["deviceId"], &["cveId"]), export(&EXPOSURES, &["machineId"], &["cveId"])],
            "the export is up to 6 hours old; a machine that it does not have has no count",
        ),
        count(
            "request_machine_security_recommendations",
            "related_recommendations",
            list("/api/machines/{id}/recommendations", RECOMMENDATION, Family::VulnerabilityManagement),
            &[walk(&ADVISED, &["id"], &[OWNER])],
            "the same relation from its other side, read over minutes instead of at one moment",
        ),
        count(
            "request_machine_software",
            "related_software",
            list("/api/machines/{id}/software", SOFTWARE, Family::VulnerabilityManagement),
            &[export(&INVENTORY, &["deviceId"], &["softwareVendor", "softwareName"])],
            "the export is up to 6 hours old and has products with a CPE only; a machine that it does not have has no count",
        ),
    ],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.machines",
    period_s: 3600,
};
