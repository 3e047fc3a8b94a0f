//! What each list can be filtered by, and how long its pages are. Source: vendor page of each list; see [`Schema`].

use crate::odata::{DEFENDER, Field, Kind, Schema};

/// The machine list.
pub(crate) static MACHINES: Schema = Schema {
    set: "Machines",
    index: None,
    expand: None,
    top_limit: 10_000,
    manner: &DEFENDER,
    fields: &[
        Field::filterable("computerDnsName", Kind::Text),
        Field::filterable("id", Kind::Text),
        Field::filterable("version", Kind::Text),
        Field::filterable("deviceValue", Kind::Text),
        Field::filterable("aadDeviceId", Kind::Text),
        Field::filterable("machineTags", Kind::Text),
        Field::filterable("lastSeen", Kind::Time),
        Field::filterable("exposureLevel", Kind::Text),
        Field::filterable("onboardingStatus", Kind::Text),
        Field::filterable("lastIpAddress", Kind::Text),
        Field::filterable("healthStatus", Kind::Text),
        Field::filterable("osPlatform", Kind::Text),
        Field::filterable("riskScore", Kind::Text),
        Field::filterable("rbacGroupId", Kind::Number),
        Field::plain("firstSeen", Kind::Time),
        Field::plain("rbacGroupName", Kind::Text),
    ],
};

/// The software list.
pub(crate) static SOFTWARE: Schema = Schema {
    set: "Software",
    index: None,
    expand: None,
    top_limit: 10_000,
    manner: &DEFENDER,
    fields: &[
        Field::filterable("id", Kind::Text),
        Field::filterable("name", Kind::Text),
        Field::filterable("vendor", Kind::Text),
        Field::plain("weaknesses", Kind::Number),
        Field::plain("exposedMachines", Kind::Number),
    ],
};

/// The vulnerability list. Its pages are shorter than those of others.
pub(crate) static VULNERABILITIES: Schema = Schema {
    set: "Vulnerabilities",
    index: None,
    expand: None,
    top_limit: 8_000,
    manner: &DEFENDER,
    fields: &[
        Field::filterable("id", Kind::Text),
        Field::filterable("name", Kind::Text),
        Field::filterable("description", Kind::Text),
        Field::filterable("cvssV3", Kind::Number),
        Field::filterable("publishedOn", Kind::Time),
        Field::filterable("severity", Kind::Text),
        Field::filterable("updatedOn", Kind::Time),
        Field::plain("exposedMachines", Kind::Number),
    ],
};

/// The recommendation list.
pub(crate) static RECOMMENDATIONS: Schema = Schema {
    set: "Recommendations",
    index: None,
    expand: None,
    top_limit: 10_000,
    manner: &DEFENDER,
    fields: &[
        Field::filterable("id", Kind::Text),
        Field::filterable("productName", Kind::Text),
        Field::filterable("vendor", Kind::Text),
        Field::filterable("recommendedVersion", Kind::Text),
        Field::filterable("recommendationCategory", Kind::Text),
        Field::filterable("subCategory", Kind::Text),
        Field::filterable("severityScore", Kind::Number),
        Field::filterable("remediationType", Kind::Text),
        Field::filterable("recommendedProgram", Kind::Text),
        Field::filterable("recommendedVendor", Kind::Text),
        Field::filterable("status", Kind::Text),
        Field::plain("exposedMachinesCount", Kind::Number),
    ],
};

/// The investigation list.
pub(crate) static INVESTIGATIONS: Schema = Schema {
    set: "Investigations",
    index: None,
    expand: None,
    top_limit: 10_000,
    manner: &DEFENDER,
    fields: &[
        Field::filterable("startTime", Kind::Time),
        Field::filterable("id", Kind::Text),
        Field::filterable("state", Kind::Text),
        Field::filterable("machineId", Kind::Text),
        Field::filterable("triggeringAlertId", Kind::Text),
        Field::plain("endTime", Kind::Time),
    ],
};

/// The list of machine × software × vulnerability.
pub(crate) static MACHINES_VULNERABILITIES: Schema = Schema {
    set: "Collection(microsoft.windowsDefenderATP.api.PublicAssetVulnerabilityDto)",
    index: None,
    expand: None,
    top_limit: 10_000,
    manner: &DEFENDER,
    fields: &[
        Field::filterable("id", Kind::Text),
        Field::filterable("cveId", Kind::Text),
        Field::filterable("machineId", Kind::Text),
        Field::filterable("fixingKbId", Kind::Text),
        Field::filterable("productName", Kind::Text),
        Field::filterable("productVersion", Kind::Text),
        Field::filterable("severity", Kind::Text),
        Field::filterable("productVendor", Kind::Text),
    ],
};

/// A list that belongs to one entity; no filter is documented for any of them.
const fn related(set: &'static str, top_limit: usize) -> Schema {
    Schema { set, index: None, expand: None, top_limit, manner: &DEFENDER, fields: &[] }
}

/// Software on a machine.
pub(crate) static MACHINE_SOFTWARE: Schema = related("Software", 10_000);
/// Vulnerabilities of something.
pub(crate) static RELATED_VULNERABILITIES: Schema =
    related("Collection(Analytics.Contracts.PublicAPI.PublicVulnerabilityDto)", 8_000);
/// Recommendations for a machine.
pub(crate) static MACHINE_RECOMMENDATIONS: Schema = related("Recommendations", 10_000);
/// Machines that something is on.
pub(crate) static MACHINE_REFERENCES: Schema = related("MachineReferences", 10_000);
/// Users of a machine.
pub(crate) static USERS: Schema = related("Users", 10_000);
/// Updates that are missing.
pub(crate) static KBS: Schema = related("Collection(microsoft.windowsDefenderATP.api.PublicProductFixDto)", 10_000);
/// Versions of a product.
pub(crate) static DISTRIBUTIONS: Schema = related("Distributions", 10_000);
/// Files of an alert.
pub(crate) static FILES: Schema = related("Files", 10_000);
/// Addresses of an alert.
pub(crate) static IPS: Schema = related("Ips", 10_000);
/// Domains of an alert.
pub(crate) static DOMAINS: Schema = related("Domains", 10_000);
