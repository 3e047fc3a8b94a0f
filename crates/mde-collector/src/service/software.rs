//! Installed software, as snapshots.

use super::count::{EXPOSURES, INVENTORY, SOFTWARE, VULNERABILITY, WEAKNESSES, count, export, list};
use super::{Api, Bulk, Count, Endpoint, Grouped, Key, Only, Paging, Pass, Pull, ServiceDef, Silence};
use mde_client::limits::{self, Family};

/// Properties of an export's row that make a product's id.
const PRODUCT: &[&str] = &["softwareVendor", "softwareName"];

/// Different updates of Microsoft's that a product lacks: numbers; other vendors' have other names.
const fn updates(pass: &'static Pass, by: &'static [&'static str], distinct: &'static [&'static str]) -> Bulk {
    Bulk::Grouped(Grouped { pass, by, distinct, only: Only::Digits, silence: Silence::Unknown })
}

/// Source: vendor page "List software" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "software",
    aliases: &["softwares"],
    endpoint: Endpoint {
        api: Api::Mde,
        path: "/api/Software",
        expand: None,
        roles: &["Software.Read.All"],
        family: Family::VulnerabilityManagement,
        page_cap: limits::PAGE_CAP,
        paging: Paging::Linked,
    },
    elsewhere: &[super::hunting::SOFTWARE],
    pull: &[Pull::Snapshot { min_period_s: 3_600 }],
    key: Key::Fields(&["id"]),
    counts: &[
        count(
            "request_vulnerabilities_by_software",
            "related_vulnerabilities",
            list("/api/Software/{id}/vulnerabilities", VULNERABILITY, Family::VulnerabilityManagement),
            &[Bulk::Row("weaknesses"), export(&WEAKNESSES, PRODUCT, &["cveId"])],
            "the list is refreshed in its own time; the call's own list may be cut for operating systems",
        ),
        Count {
            option: "request_software_missing_kbs",
            aliases: &["request_softtware_missing_kbs"],
            field: "related_missing_kbs",
            per_entity: list("/api/Software/{id}/getmissingkbs", SOFTWARE, Family::VulnerabilityManagement),
            bulk: &[
                updates(&WEAKNESSES, PRODUCT, &["recommendedSecurityUpdateId"]),
                updates(&EXPOSURES, &["productVendor", "productName"], &["fixingKbId"]),
            ],
            differs: "only updates that fix a known vulnerability count, superseded ones among them; a product that the export does not have has no count",
        },
        count(
            "request_machines_by_software",
            "related_machines",
            list("/api/Software/{id}/machineReferences", SOFTWARE, Family::VulnerabilityManagement),
            // `exposedMachines` is another number: only machines on which it is vulnerable.
            &[export(&INVENTORY, PRODUCT, &["deviceId"]), Bulk::Row("installedMachines")],
            "the export is up to 6 hours old and has products with a CPE only; one that it does not have has no count",
        ),
        Count {
            option: "request_software_version_distributions",
            aliases: &["request_softtware_version_distributions"],
            field: "related_version_distribution",
            per_entity: list("/api/Software/{id}/distributions", SOFTWARE, Family::VulnerabilityManagement),
            bulk: &[Bulk::Grouped(Grouped {
                pass: &INVENTORY,
                by: PRODUCT,
                distinct: &["softwareVersion"],
                only: Only::All,
                silence: Silence::Unknown,
            })],
            differs: "the call may group versions or leave some out; a product that the export does not have has no count",
        },
    ],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.software",
    period_s: 3600,
};
