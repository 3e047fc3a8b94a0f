//! Typed evidence of our own alerts: each row of the classic API in Graph's form, and the device, which has no row there.

use super::words::camel;
use crate::estate::View;
use crate::world::dice::mix;
use crate::world::names;
use crate::world::{Alert, Evidence, Version};
use serde_json::{Map, Value, json};

/// One alert in so many names a second device.
const SECOND_DEVICE_ONE_IN: u64 = 16;

/// Properties of a device that are properties of the machine: Graph's name, the classic one, and whether it is a word.
const DEVICE: [(&str, &str, bool); 12] = [
    ("azureAdDeviceId", "aadDeviceId", false),
    ("osPlatform", "osPlatform", false),
    ("osBuild", "osBuild", false),
    ("version", "version", false),
    ("healthStatus", "healthStatus", true),
    ("riskScore", "riskScore", true),
    ("rbacGroupId", "rbacGroupId", false),
    ("onboardingStatus", "onboardingStatus", true),
    ("defenderAvStatus", "defenderAvStatus", true),
    ("firstSeenDateTime", "firstSeen", false),
    ("lastIpAddress", "lastIpAddress", false),
    ("lastExternalIpAddress", "lastExternalIpAddress", false),
];

/// The numbers of the devices that an alert names, the one it is about last.
pub(super) fn devices(view: &View, version: &Version, alert: &Alert, machines: u32) -> Vec<u32> {
    let seed = view.estate.seed;
    let Some(own) = alert.machine_id.as_deref().and_then(|id| names::machine_number(seed, id)) else {
        return Vec::new();
    };
    let second = mix(seed ^ 0x94, u64::from(version.number)).is_multiple_of(SECOND_DEVICE_ONE_IN) && machines > 1;
    second.then(|| (own + 1) % machines).into_iter().chain([own]).collect()
}

/// All evidence of an alert: devices first.
pub(super) fn all(view: &View, version: &Version, alert: &Alert, rows: &[Evidence], machines: u32) -> Vec<Value> {
    let created = version.created.plus(4_166_667).min(version.updated).on_database_grid().to_string();
    let devices = devices(view, version, alert, machines);
    let own = devices.last().copied();
    let devices = devices.iter().map(|number| match Some(*number) == own {
        true => device(view, *number, &created, Some(alert)),
        false => device(view, *number, &created, None),
    });
    let account = alert.user.map(|user| {
        account(&[
            ("accountName", names::user_name(user)),
            ("domainName", names::domain(user).to_owned()),
            ("userSid", names::user_sid(user)),
            ("userPrincipalName", names::user_principal_name(user)),
        ])
    });
    devices.chain(rows.iter().map(|row| typed(row, alert.machine_id.as_deref(), account.as_ref()))).collect()
}

/// What every type of evidence has.
fn base(kind: &str, created: &str, verdict: &str, remediation: &str) -> Map<String, Value> {
    let base = json!({"@odata.type": format!("#microsoft.graph.security.{kind}Evidence"), "createdDateTime": created,
        "verdict": verdict, "remediationStatus": remediation, "remediationStatusDetails": null, "roles": [],
        "detailedRoles": [], "tags": []});
    match base {
        Value::Object(base) => base,
        _ => unreachable!("it is made as an object above"),
    }
}

/// A device. `about`: the alert, when it is about this one.
fn device(view: &View, number: u32, created: &str, about: Option<&Alert>) -> Value {
    let mut device = base("device", created, "unknown", "none");
    let name = names::machine_dns_name(number);
    let (host, domain) = name.split_once('.').unwrap_or((&name, ""));
    let known = view
        .estate
        .machines
        .has(number)
        .then(|| serde_json::to_value(view.machine(number)).expect("a machine is JSON"));
    for (property, classic, is_word) in DEVICE {
        let value = known.as_ref().map_or(Value::Null, |machine| machine[classic].clone());
        let value = match value.as_str() {
            Some(word) if is_word => camel(word).into(),
            _ => value,
        };
        device.insert(property.to_owned(), value);
    }
    let users = view
        .logon_users(number)
        .into_iter()
        .map(|user| json!({"accountName": names::user_name(user), "domainName": names::domain(user)}));
    let addresses = known.as_ref().and_then(|machine| machine["ipAddresses"].as_array().cloned()).unwrap_or_default();
    let addresses: Vec<_> = addresses.iter().map(|address| address["ipAddress"].clone()).collect();
    let group = match about {
        Some(alert) => json!(alert.rbac_group_name),
        None => known.as_ref().map_or(Value::Null, |machine| machine["rbacGroupName"].clone()),
    };
    let roles = if about.is_some() { json!(["compromised"]) } else { json!(["destination"]) };
    let detailed = if about.is_some() { json!(["PrimaryDevice"]) } else { json!([]) };
    for (property, value) in [
        ("mdeDeviceId", json!(names::machine_id(view.estate.seed, number))),
        ("deviceDnsName", json!(name)),
        ("hostName", json!(host)),
        ("dnsDomain", json!(domain)),
        ("ntDomain", Value::Null),
        ("rbacGroupName", group),
        ("loggedOnUsers", users.collect()),
        ("ipInterfaces", Value::Array(addresses)),
        ("vmMetadata", known.as_ref().map_or(Value::Null, |machine| machine["vmMetadata"].clone())),
        ("roles", roles),
        ("detailedRoles", detailed),
    ] {
        device.insert(property.to_owned(), value);
    }
    Value::Object(device)
}

/// A classic row in Graph's form. A kind without a form of its own keeps its name and nothing else.
fn typed(row: &Evidence, machine: Option<&str>, alert_user: Option<&Value>) -> Value {
    let status = row.detection_status.as_deref().map(camel);
    let verdict = if status.is_some() { "suspicious" } else { "unknown" };
    let remediation = match status.as_deref() {
        Some("detected") => "active",
        Some("blocked") => "blocked",
        Some("prevented") => "prevented",
        _ => "none",
    };
    let (kind, own) = match row.entity_type.as_str() {
        "File" => (
            "file",
            json!({"fileDetails": file(&row.file_name, &row.file_path, &row.sha1, &row.sha256),
                "detectionStatus": status, "mdeDeviceId": machine}),
        ),
        "Process" => (
            "process",
            json!({"processId": row.process_id, "processCommandLine": row.process_command_line,
                "processCreationDateTime": row.process_creation_time, "parentProcessId": row.parent_process_id,
                "parentProcessCreationDateTime": row.parent_process_creation_time,
                "imageFile": file(&row.file_name, &row.file_path, &row.sha1, &row.sha256),
                "parentProcessImageFile":
                    file(&row.parent_process_file_name, &row.parent_process_file_path, &None, &None),
                "userAccount": alert_user, "detectionStatus": status, "mdeDeviceId": machine}),
        ),
        "User" => {
            let own = [
                ("accountName", &row.account_name),
                ("domainName", &row.domain_name),
                ("userSid", &row.user_sid),
                ("azureAdUserId", &row.aad_user_id),
                ("userPrincipalName", &row.user_principal_name),
            ];
            let known: Vec<_> = own.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
            ("user", json!({"stream": null, "userAccount": account(&known)}))
        }
        "Ip" => {
            ("ip", json!({"ipAddress": row.ip_address, "countryLetterCode": null, "location": null, "stream": null}))
        }
        "Url" => ("url", json!({"url": row.url})),
        "RegistryKey" => ("registryKey", json!({"registryHive": row.registry_hive, "registryKey": row.registry_key})),
        "RegistryValue" => (
            "registryValue",
            json!({"registryHive": row.registry_hive, "registryKey": row.registry_key,
                "registryValue": row.registry_value, "registryValueName": null,
                "registryValueType": row.registry_value_type, "mdeDeviceId": machine}),
        ),
        other => return Value::Object(base(&camel(other), &created(row), verdict, remediation)),
    };
    let mut evidence = base(kind, &created(row), verdict, remediation);
    if let Value::Object(own) = own {
        evidence.extend(own);
    }
    Value::Object(evidence)
}

/// When a row was added.
fn created(row: &Evidence) -> String {
    row.evidence_creation_time.clone().unwrap_or_default()
}

/// A file; none where nothing is known of it.
fn file(name: &Option<String>, path: &Option<String>, sha1: &Option<String>, sha256: &Option<String>) -> Value {
    if [name, path, sha1, sha256].iter().all(|value| value.is_none()) {
        return Value::Null;
    }
    json!({"fileName": name, "filePath": path, "fileSize": null, "filePublisher": null, "signer": null, "issuer": null,
        "sha1": sha1, "sha256": sha256})
}

/// A user's account; what is not known is null.
fn account(known: &[(&str, String)]) -> Value {
    let mut account = json!({"accountName": null, "domainName": null, "userSid": null, "azureAdUserId": null,
        "userPrincipalName": null, "displayName": null});
    for (name, value) in known {
        account[*name] = value.as_str().into();
    }
    account
}
