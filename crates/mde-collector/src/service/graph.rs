//! What Microsoft Graph has of the classic sources, in its own words: alerts. Source: vendor pages "alert resource type" and
//! "Migrate from the alerts API", read 2026-11; pairs of words that no page states are as near as the lists of both lie.

use super::shape::{Core, Field, Pick, Take, field, nothing, same};
use super::{Api, Elsewhere, Endpoint, Key, Native, Paging, Pull};
use mde_client::limits::{self, Family};

/// Alerts of all Defender products; those of Defender for Endpoint have the ids of the classic API.
pub(super) const ALERTS: Elsewhere = Elsewhere {
    endpoint: Endpoint {
        api: Api::Graph,
        path: "/v1.0/security/alerts_v2",
        expand: None,
        roles: &[
            "SecurityAlert.Read.All",
            "SecurityAlert.ReadWrite.All",
            "SecurityIncident.Read.All",
            "SecurityIncident.ReadWrite.All",
        ],
        family: Family::GraphAlerts,
        page_cap: limits::GRAPH_ALERT_PAGE_CAP,
        paging: Paging::Counted { skip_cap: limits::GRAPH_SKIP_CAP },
    },
    pull: Pull::Window {
        time: "lastUpdateDateTime",
        splits: &[
            ("severity", &["unknown", "informational", "low", "medium", "high"]),
            ("status", &["unknown", "new", "inProgress", "resolved"]),
            (
                "serviceSource",
                &["microsoftDefenderForEndpoint", "microsoft365Defender", "microsoftDefenderForOffice365"],
            ),
        ],
    },
    query: None,
    scope: Some(("serviceSource", "microsoftDefenderForEndpoint")),
    shape: ALERT,
    native: Some(Native { key: Key::Fields(&["id", "lastUpdateDateTime"]), tag: "my.app.microsoft_graph.alerts_v2" }),
    core: Some(&CORE),
    lacks: "alerts that tuning rules suppress, and those that belong to no incident",
};

/// The device that an alert is about.
static DEVICE: Pick = Pick {
    array: "evidence",
    kind: "device",
    prefer: &[("detailedRoles", &["PrimaryDevice", "Main device"]), ("roles", &["compromised"])],
};

/// The user that an alert names first.
static USER: Pick = Pick { array: "evidence", kind: "user", prefer: &[] };

/// A property of the device.
const fn device(name: &'static str, from: &'static Take) -> Field {
    field(name, Take::Of(&DEVICE, from))
}

/// A word, as Graph has it under the same name.
const fn word(name: &'static str, pairs: &'static [(&'static str, &'static str)]) -> Field {
    field(name, Take::Word(name, pairs))
}

/// An alert in the classic form.
static ALERT: &[Field] = &[
    same("id", &["id"]),
    field("incidentId", Take::Number("incidentId")),
    nothing("investigationId"),
    same("assignedTo", &["assignedTo"]),
    word("severity", &[("unknown", "UnSpecified")]),
    word("status", &[]),
    word("classification", &[]),
    word("determination", &[]),
    word("investigationState", &[]),
    word(
        "detectionSource",
        &[
            ("microsoftDefenderForEndpoint", "WindowsDefenderAtp"),
            ("antivirus", "WindowsDefenderAv"),
            ("smartScreen", "WindowsDefenderSmartScreen"),
            ("customTi", "CustomerTI"),
        ],
    ),
    same("detectorId", &["detectorId"]),
    same("category", &["category"]),
    same("threatFamilyName", &["threatFamilyName"]),
    same("title", &["title"]),
    same("description", &["description"]),
    same("alertCreationTime", &["createdDateTime"]),
    same("firstEventTime", &["firstActivityDateTime"]),
    same("lastEventTime", &["lastActivityDateTime"]),
    same("lastUpdateTime", &["lastUpdateDateTime"]),
    same("resolvedTime", &["resolvedDateTime"]),
    device("machineId", &Take::Any(&["mdeDeviceId"])),
    device("computerDnsName", &Take::Any(&["deviceDnsName"])),
    device("rbacGroupName", &Take::Any(&["rbacGroupName"])),
    same("aadTenantId", &["tenantId"]),
    same("threatName", &["threatDisplayName"]),
    same("mitreTechniques", &["mitreTechniques"]),
    field(
        "relatedUser",
        Take::Object(
            &USER,
            &[same("userName", &["userAccount.accountName"]), same("domainName", &["userAccount.domainName"])],
        ),
    ),
    device("loggedOnUsers", &Take::Any(&["loggedOnUsers"])),
    field(
        "comments",
        Take::Each {
            array: "comments",
            but: "",
            fields: &[
                same("comment", &["comment"]),
                same("createdBy", &["createdByDisplayName", "createdBy"]),
                same("createdTime", &["createdDateTime", "createdTime"]),
            ],
        },
    ),
    // The classic list has no row for the machine itself.
    field("evidence", Take::Each { array: "evidence", but: "device", fields: EVIDENCE }),
];

/// A piece of evidence in the classic form; kinds share no names, so that one list serves them all.
static EVIDENCE: &[Field] = &[
    field("entityType", Take::Kind),
    same("evidenceCreationTime", &["createdDateTime"]),
    same("sha1", &["imageFile.sha1", "fileDetails.sha1"]),
    same("sha256", &["imageFile.sha256", "fileDetails.sha256"]),
    same("fileName", &["imageFile.fileName", "fileDetails.fileName"]),
    same("filePath", &["imageFile.filePath", "fileDetails.filePath"]),
    same("processId", &["processId"]),
    same("processCommandLine", &["processCommandLine"]),
    same("processCreationTime", &["processCreationDateTime"]),
    same("parentProcessId", &["parentProcessId"]),
    same("parentProcessCreationTime", &["parentProcessCreationDateTime"]),
    same("parentProcessFileName", &["parentProcessImageFile.fileName"]),
    same("parentProcessFilePath", &["parentProcessImageFile.filePath"]),
    same("ipAddress", &["ipAddress"]),
    same("url", &["url"]),
    same("registryKey", &["registryKey"]),
    same("registryHive", &["registryHive"]),
    same("registryValueType", &["registryValueType"]),
    same("registryValue", &["registryValue"]),
    same("registryValueName", &["registryValueName"]),
    same("accountName", &["userAccount.accountName"]),
    same("domainName", &["userAccount.domainName"]),
    same("userSid", &["userAccount.userSid"]),
    same("aadUserId", &["userAccount.azureAdUserId"]),
    same("userPrincipalName", &["userAccount.userPrincipalName"]),
    field("detectionStatus", Take::Word("detectionStatus", &[])),
];

/// What an alert shows in the same way in both.
static CORE: Core = Core {
    prefixes: &["da"],
    words: &["status", "severity", "classification", "determination", "assignedTo", "investigationState"],
    unknown: &["unknown", "unspecified"],
    lengths: &["comments"],
    array: "evidence",
    kind: "entityType",
    parts: &[
        ("User", &[&["userSid", "userPrincipalName", "accountName"]]),
        ("Process", &[&["processId"], &["processCreationTime"]]),
        ("File", &[&["sha256", "sha1", "fileName"]]),
        ("Ip", &[&["ipAddress"]]),
        ("Url", &[&["url"]]),
        ("RegistryKey", &[&["registryHive"], &["registryKey"]]),
        ("RegistryValue", &[&["registryHive"], &["registryKey"], &["registryValueName", "registryValue"]]),
    ],
};
