//! Small rows in both forms, and rules that every row keeps.

use super::*;
use crate::service::{self, Elsewhere};
use serde_json::{Value, json};

/// Where a service can be read besides.
fn elsewhere(name: &str) -> &'static Elsewhere {
    &service::find(name).expect("a service").elsewhere[0]
}

/// A row in the classic form.
fn classic(name: &str, row: &Value) -> Value {
    let text = shaped(elsewhere(name).shape, row.to_string().as_bytes()).expect("an object");
    serde_json::from_str(&text).expect("JSON")
}

/// An alert of Graph with a device that is beside the point before the one that it is about.
fn graph() -> Value {
    json!({
        "id": "da1_1", "incidentId": "1126093", "status": "inProgress", "severity": "unknown", "classification": null,
        "determination": "notMalicious", "detectionSource": "antivirus", "investigationState": "terminatedBySystem",
        "serviceSource": "microsoftDefenderForEndpoint", "tenantId": "t", "threatDisplayName": "Bad", "assignedTo": null,
        "createdDateTime": "2026-11-01T00:00:00Z", "lastUpdateDateTime": "2026-11-01T10:00:00.0666667Z",
        "comments": [{"comment": "x", "createdByDisplayName": "a@b", "createdDateTime": "2026-11-01T01:00:00Z"}],
        "evidence": [
            {"@odata.type": "#microsoft.graph.security.deviceEvidence", "mdeDeviceId": "other", "roles": ["source"], "detailedRoles": []},
            {"@odata.type": "#microsoft.graph.security.deviceEvidence", "mdeDeviceId": "main", "deviceDnsName": "host",
             "rbacGroupName": "A", "roles": [], "detailedRoles": ["Main device"], "loggedOnUsers": []},
            {"@odata.type": "#microsoft.graph.security.userEvidence", "createdDateTime": "2026-11-01T00:00:01Z",
             "userAccount": {"accountName": "name", "domainName": "DOMAIN", "userSid": "S-1", "azureAdUserId": null}},
            {"@odata.type": "#microsoft.graph.security.processEvidence", "processId": 7, "detectionStatus": "detected",
             "processCreationDateTime": "2026-11-01T00:00:02Z", "imageFile": {"sha1": "aa", "fileName": "p.exe"},
             "parentProcessImageFile": {"fileName": "q.exe", "filePath": "C:\\\\x"}, "userAccount": null},
            {"@odata.type": "#microsoft.graph.security.mailboxEvidence", "upn": "x@y"}
        ]
    })
}

#[test]
fn an_alert_takes_the_classic_names_nesting_and_words() {
    let alert = classic("alerts", &graph());
    for (name, value) in [
        ("incidentId", json!(1_126_093)),
        ("severity", json!("UnSpecified")),
        ("status", json!("InProgress")),
        ("classification", json!(null)),
        ("determination", json!("NotMalicious")),
        ("detectionSource", json!("WindowsDefenderAv")),
        ("investigationState", json!("TerminatedBySystem")),
        ("investigationId", json!(null)),
        ("lastUpdateTime", json!("2026-11-01T10:00:00.0666667Z")),
        ("machineId", json!("main")),
        ("computerDnsName", json!("host")),
        ("aadTenantId", json!("t")),
        ("threatName", json!("Bad")),
        ("relatedUser", json!({"userName": "name", "domainName": "DOMAIN"})),
        ("comments", json!([{"comment": "x", "createdBy": "a@b", "createdTime": "2026-11-01T01:00:00Z"}])),
    ] {
        assert_eq!(alert[name], value, "{name}");
    }
    let kinds: Vec<_> = alert["evidence"].as_array().unwrap().iter().map(|row| row["entityType"].clone()).collect();
    assert_eq!(kinds, ["User", "Process", "Mailbox"], "a machine is no evidence there");
    let process = &alert["evidence"][1];
    assert_eq!((&process["sha1"], &process["parentProcessFileName"]), (&json!("aa"), &json!("q.exe")));
    assert_eq!((&process["detectionStatus"], &process["url"]), (&json!("Detected"), &json!(null)));
    assert!(alert.get("serviceSource").is_none(), "what the classic form does not know is left out");
}

#[test]
fn the_main_device_is_told_by_its_part_then_by_its_role_then_by_its_place() {
    let device = |id: &str, roles: Value, parts: Value| json!({"@odata.type": "#microsoft.graph.security.DeviceEvidence", "mdeDeviceId": id, "roles": roles, "detailedRoles": parts});
    let main = |devices: &[Value]| classic("alerts", &json!({"id": "1", "evidence": devices}))["machineId"].clone();
    let (plain, hit, first) = (
        device("plain", json!([]), json!([])),
        device("hit", json!(["compromised"]), json!([])),
        device("first", json!([]), json!(["PrimaryDevice"])),
    );
    assert_eq!(main(&[plain.clone(), hit.clone(), first]), "first");
    assert_eq!(main(&[plain.clone(), hit]), "hit");
    assert_eq!(main(&[plain]), "plain");
    assert_eq!(main(&[]), json!(null));
}

#[test]
fn spelling_passes_through_and_numbers_come_out_of_texts_only_where_they_are_some() {
    let raw =
        br#"{"id":"\u0061","title":"caf\u00e9 \ud83d\ude00","incidentId":"007","mitreTechniques":[ "T1" , "T2"]}"#;
    let text = shaped(elsewhere("alerts").shape, raw).expect("an object");
    assert!(text.starts_with(r#"{"id":"\u0061","incidentId":"007","#), "{text}");
    assert!(text.contains(r#""title":"caf\u00e9 \ud83d\ude00""#) && text.contains(r#""mitreTechniques":["T1","T2"]"#));
    assert!(shaped(elsewhere("alerts").shape, b"[1]").is_err());
}

#[test]
fn tables_give_the_classic_lists() {
    let row = json!({"DeviceId": "d", "DeviceName": "host", "IsAzureADJoined": 1, "IsExcluded": 0, "OSBuild": 19042,
        "RegistryDeviceTag": "one", "DeviceManualTags": "[\"two\",\"three\"]", "DeviceDynamicTags": ["four"]});
    let machine = classic("machines", &row);
    assert_eq!(
        (&machine["id"], &machine["isAadJoined"], &machine["isExcluded"]),
        (&json!("d"), &json!(true), &json!(false))
    );
    assert_eq!(machine["machineTags"], json!(["one", "two", "three", "four"]));
    assert_eq!((&machine["riskScore"], &machine["osBuild"]), (&json!(null), &json!(19_042)));
    let product = classic(
        "software",
        &json!({"SoftwareVendor": "v", "SoftwareName": "n", "InstalledMachines": 3, "Weaknesses": null}),
    );
    assert_eq!((&product["id"], &product["weaknesses"]), (&json!("v-_-n"), &json!(0)));
    let weakness = classic(
        "vulnerabilities",
        &json!({"CveId": "CVE-1", "ExposedMachines": 2, "IsExploitAvailable": 1, "CveTags": "[]"}),
    );
    assert_eq!(
        (&weakness["id"], &weakness["publicExploit"], &weakness["tags"]),
        (&json!("CVE-1"), &json!(true), &json!([]))
    );
}

/// The core of a row in the classic form.
fn core(alert: &Value) -> [u8; 16] {
    let text = alert.to_string();
    core_hash(
        elsewhere("alerts").core.expect("alerts have one"),
        &RawObject::parse(text.as_bytes()).expect("an object"),
    )
}

#[test]
fn the_core_is_the_same_from_both_and_another_for_each_change_that_counts() {
    let from_graph = classic("alerts", &graph());
    // As the classic API would give it: other spelling of nothing, evidence in another order and twice, no machine, no mailbox.
    let mut own = from_graph.clone();
    own["severity"] = json!(null);
    own["classification"] = json!("Unknown");
    own["title"] = json!("another");
    let rows = own["evidence"].as_array().unwrap().clone();
    own["evidence"] = json!([rows[1], rows[0], rows[1]]);
    assert_eq!(core(&own), core(&from_graph));
    for (name, value) in [
        ("status", json!("Resolved")),
        ("severity", json!("High")),
        ("classification", json!("TruePositive")),
        ("assignedTo", json!("me")),
        ("investigationState", json!("Running")),
        ("comments", json!([])),
        ("evidence", json!([rows[0]])),
    ] {
        let mut changed = own.clone();
        changed[name] = value;
        assert_ne!(core(&changed), core(&from_graph), "{name}");
    }
}

/// The answers that lie beside the project, where they do: the same alert from both APIs.
#[test]
fn a_real_pair_has_one_core_and_the_same_evidence() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let read = |name: &str| {
        std::fs::read_to_string(folder.join(name)).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok())
    };
    let own = read("alerts/list_expand_evidence.json");
    let graph = read("graph/alerts_pair_of_classic_list_expand_evidence.json");
    let (Some(own), Some(graph)) = (own, graph) else { return };
    let (own, graph) = (&own["value"][0], classic("alerts", &graph["value"][0]));
    assert_eq!(core(own), core(&graph));
    for (name, value) in
        own.as_object().unwrap().iter().filter(|(name, _)| *name != "relatedUser" && *name != "evidence")
    {
        assert_eq!(&graph[name], value, "{name}");
    }
    let pairs = own["evidence"].as_array().unwrap().iter().zip(graph["evidence"].as_array().unwrap());
    for (own, graph) in pairs {
        for (name, value) in own.as_object().unwrap() {
            assert_eq!(&graph[name], value, "evidence {name}");
        }
    }
}
