//! What hunting tables have of the classic lists, for applications that may read nothing else. Source: vendor pages of the tables,
//! read 2026-11.

use super::shape::{Field, Take, field, nothing, same};
use super::{Api, Elsewhere, Endpoint, Paging, Pull};
use mde_client::hunting::Endpoint as Hunting;
use mde_client::limits::{self, Family};

/// Either endpoint's role is enough.
const ROLES: &[&str] = &[Hunting::Graph.role(), Hunting::Defender.role()];

/// A list as the result of a query.
const fn queried(query: &'static str, shape: &'static [Field], lacks: &'static str) -> Elsewhere {
    Elsewhere {
        endpoint: Endpoint {
            api: Api::Hunting,
            path: Hunting::Graph.path(),
            expand: None,
            roles: ROLES,
            family: Family::GraphHunting,
            page_cap: limits::HUNTING_ROW_CAP,
            paging: Paging::Linked,
        },
        pull: Pull::Snapshot { min_period_s: 3_600 },
        query: Some(query),
        scope: None,
        shape,
        native: None,
        core: None,
        lacks,
    }
}

/// The newest whole row of each device; rows without a platform are heartbeats.
pub(super) const MACHINES: Elsewhere = queried(
    "DeviceInfo\n| where isnotempty(OSPlatform)\n| summarize arg_max(Timestamp, *) by DeviceId\n| where isempty(MergedToDeviceId)",
    MACHINE,
    "machines that have not reported for 30 days",
);

/// A machine in the classic form.
static MACHINE: &[Field] = &[
    same("id", &["DeviceId"]),
    same("mergedIntoMachineId", &["MergedToDeviceId"]),
    field("isExcluded", Take::Flag("IsExcluded")),
    same("exclusionReason", &["ExclusionReason"]),
    same("computerDnsName", &["DeviceName"]),
    nothing("firstSeen"),
    same("lastSeen", &["Timestamp"]),
    same("osPlatform", &["OSPlatform"]),
    same("version", &["OSVersionInfo"]),
    nothing("lastIpAddress"),
    same("lastExternalIpAddress", &["PublicIP"]),
    same("agentVersion", &["ClientVersion"]),
    same("osBuild", &["OSBuild"]),
    same("healthStatus", &["SensorHealthState"]),
    same("deviceValue", &["AssetValue"]),
    nothing("rbacGroupId"),
    same("rbacGroupName", &["MachineGroup"]),
    nothing("riskScore"),
    same("exposureLevel", &["ExposureLevel"]),
    field("isAadJoined", Take::Flag("IsAzureADJoined")),
    same("aadDeviceId", &["AadDeviceId"]),
    field("machineTags", Take::Lists(&["RegistryDeviceTag", "DeviceManualTags", "DeviceDynamicTags"])),
    same("onboardingStatus", &["OnboardingStatus"]),
    same("osArchitecture", &["OSArchitecture"]),
    nothing("managedBy"),
    nothing("ipAddresses"),
];

/// Products with the machines that have them, and with what is wrong with them. Counted by distinct rows: `dcount` estimates.
pub(super) const SOFTWARE: Elsewhere = queried(
    "DeviceTvmSoftwareInventory\n| distinct DeviceId, SoftwareVendor, SoftwareName\n\
     | summarize InstalledMachines = count() by SoftwareVendor, SoftwareName\n\
     | join kind=leftouter (DeviceTvmSoftwareVulnerabilities | distinct CveId, SoftwareVendor, SoftwareName \
     | summarize Weaknesses = count() by SoftwareVendor, SoftwareName) on SoftwareVendor, SoftwareName\n\
     | project SoftwareVendor, SoftwareName, InstalledMachines, Weaknesses\n\
     | join kind=leftouter (DeviceTvmSoftwareVulnerabilities | distinct DeviceId, SoftwareVendor, SoftwareName \
     | summarize ExposedMachines = count() by SoftwareVendor, SoftwareName) on SoftwareVendor, SoftwareName\n\
     | project SoftwareVendor, SoftwareName, InstalledMachines, Weaknesses, ExposedMachines",
    PRODUCT,
    "products that no machine has any more",
);

/// A product in the classic form.
static PRODUCT: &[Field] = &[
    field("id", Take::Joined(&["SoftwareVendor", "SoftwareName"])),
    same("name", &["SoftwareName"]),
    same("vendor", &["SoftwareVendor"]),
    field("weaknesses", Take::Total("Weaknesses")),
    nothing("publicExploit"),
    nothing("activeAlert"),
    field("exposedMachines", Take::Total("ExposedMachines")),
    field("installedMachines", Take::Total("InstalledMachines")),
    nothing("impactScore"),
];

/// Vulnerabilities with the machines that they affect.
pub(super) const VULNERABILITIES: Elsewhere = queried(
    "DeviceTvmSoftwareVulnerabilities\n| distinct DeviceId, CveId\n| summarize ExposedMachines = count() by CveId\n\
     | join kind=inner DeviceTvmSoftwareVulnerabilitiesKB on CveId",
    VULNERABILITY,
    "vulnerabilities that no machine has",
);

/// A vulnerability in the classic form.
static VULNERABILITY: &[Field] = &[
    same("id", &["CveId"]),
    nothing("name"),
    same("description", &["VulnerabilityDescription"]),
    same("severity", &["VulnerabilitySeverityLevel"]),
    same("cvssV3", &["CvssScore"]),
    same("cvssVector", &["CvssVector"]),
    field("exposedMachines", Take::Total("ExposedMachines")),
    same("publishedOn", &["PublishedDate"]),
    same("updatedOn", &["LastModifiedTime"]),
    nothing("firstDetected"),
    field("publicExploit", Take::Flag("IsExploitAvailable")),
    nothing("exploitVerified"),
    nothing("exploitInKit"),
    nothing("exploitTypes"),
    nothing("exploitUris"),
    field("tags", Take::Lists(&["CveTags"])),
    same("epss", &["EpssScore"]),
];
