//! Machines, software, vulnerabilities and settings derived from hunting tables say what the classic lists say.

use crate::http::{config, graph_token, send, start, token};
use mde_sim::{ExportConfig, MachineConfig, Sim, SimConfig};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A tenant in which something has happened.
async fn tenant() -> Sim {
    let machines = MachineConfig { count: 60, ..MachineConfig::default() };
    let exports = ExportConfig { rebuilt_every: std::time::Duration::ZERO, ..ExportConfig::default() };
    let sim = start(SimConfig { machines, exports, quota: BTreeMap::new(), ..config() }).await;
    sim.world().remove_machine(3);
    sim.world().add_machines(2);
    for number in 0..20 {
        sim.world().patch_machine(number);
    }
    sim
}

/// The rows of a query on Microsoft Graph.
async fn hunt(sim: &Sim, query: &str) -> Vec<Value> {
    let bearer = format!("Bearer {}", graph_token(sim).await);
    let body = json!({"Query": query}).to_string();
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json; charset=utf-8")];
    let reply = send(sim.addr(), "POST", "/v1.0/security/runHuntingQuery", &headers, &body).await;
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    reply.json()["results"].as_array().unwrap().clone()
}

/// The rows of a list by id.
async fn list(sim: &Sim, path: &str) -> BTreeMap<String, Value> {
    let rows = crate::http::get_as(sim, path, &token(sim).await).await.json();
    let rows = rows["value"].as_array().unwrap().iter();
    rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row.clone())).collect()
}

/// A value as text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[tokio::test]
async fn machines_are_the_newest_whole_rows_of_device_info() {
    let sim = tenant().await;
    let query = "DeviceInfo | where Timestamp > ago(30d) and isnotempty(OSPlatform) | summarize arg_max(Timestamp, *) by DeviceId \
                 | join kind=leftouter (DeviceNetworkInfo | summarize Addresses = make_set(IPAddresses) by DeviceId) on DeviceId";
    let rows = hunt(&sim, query).await;
    let machines = list(&sim, "/api/machines").await;
    assert_eq!(rows.len(), machines.len());
    for row in &rows {
        let machine = &machines[row["DeviceId"].as_str().unwrap()];
        for (column, property) in [
            ("Timestamp", "lastSeen"),
            ("DeviceName", "computerDnsName"),
            ("OSPlatform", "osPlatform"),
            ("OSArchitecture", "osArchitecture"),
            ("OSVersionInfo", "version"),
            ("AadDeviceId", "aadDeviceId"),
            ("ClientVersion", "agentVersion"),
            ("PublicIP", "lastExternalIpAddress"),
            ("OnboardingStatus", "onboardingStatus"),
            ("ExposureLevel", "exposureLevel"),
            ("AssetValue", "deviceValue"),
            ("MachineGroup", "rbacGroupName"),
            ("ExclusionReason", "exclusionReason"),
            ("MergedToDeviceId", "mergedIntoMachineId"),
        ] {
            assert_eq!(row[column], machine[property], "{column}");
        }
        assert_eq!(row["IsAzureADJoined"] == 1, machine["isAadJoined"] == true);
        assert_eq!(text(&row["OSBuild"]), text(&machine["osBuild"]));
        let mut tags: Vec<String> = serde_json::from_str(row["DeviceManualTags"].as_str().unwrap()).unwrap();
        tags.extend(row["RegistryDeviceTag"].as_str().filter(|tag| !tag.is_empty()).map(str::to_owned));
        let known = machine["machineTags"].as_array().unwrap().iter().map(text);
        assert_eq!(tags.into_iter().collect::<BTreeSet<_>>(), known.collect());
        let adapters = row["Addresses"].as_array().unwrap().iter();
        let addresses: BTreeSet<_> = adapters
            .flat_map(|adapter| serde_json::from_str::<Vec<Value>>(adapter.as_str().unwrap()).unwrap())
            .map(|address| text(&address["IPAddress"]))
            .collect();
        let known = machine["ipAddresses"].as_array().unwrap().iter().map(|address| text(&address["ipAddress"]));
        assert_eq!(addresses, known.collect());
    }
    assert!(hunt(&sim, "DeviceInfo | where isempty(OSPlatform)").await.len() > 5, "some heartbeats are partial");
    assert!(hunt(&sim, "DeviceInfo").await.len() > 2 * rows.len(), "machines report more than once");
}

#[tokio::test]
async fn software_and_its_counts_follow_from_inventory_and_weaknesses() {
    let sim = tenant().await;
    let query = "DeviceTvmSoftwareInventory | distinct DeviceId, SoftwareVendor, SoftwareName \
        | summarize installedMachines = count() by SoftwareVendor, SoftwareName \
        | join kind=leftouter (DeviceTvmSoftwareVulnerabilities | distinct DeviceId, SoftwareVendor, SoftwareName, CveId \
            | summarize weaknesses = dcount(CveId), exposedMachines = dcount(DeviceId) by SoftwareVendor, SoftwareName) \
          on SoftwareVendor, SoftwareName \
        | project id = strcat(SoftwareVendor, '-_-', SoftwareName), installedMachines, weaknesses = coalesce(weaknesses, 0), \
          exposedMachines = coalesce(exposedMachines, 0)";
    let rows = hunt(&sim, query).await;
    let software = list(&sim, "/api/Software").await;
    let mut exposed = 0;
    for row in &rows {
        let product = &software[row["id"].as_str().unwrap()];
        assert_eq!(row["weaknesses"], product["weaknesses"], "{row}");
        assert_eq!(row["exposedMachines"], product["exposedMachines"], "{row}");
        exposed += usize::from(row["exposedMachines"] != 0);
    }
    assert!(rows.len() > 40 && exposed > 20);
    // What is installed nowhere is in the list alone.
    let shown: BTreeSet<_> = rows.iter().map(|row| text(&row["id"])).collect();
    let absent = software.iter().filter(|(id, _)| !shown.contains(*id));
    assert!(absent.into_iter().all(|(_, product)| product["exposedMachines"] == 0));
}

#[tokio::test]
async fn vulnerabilities_follow_from_exposures_and_the_knowledge_base() {
    let sim = tenant().await;
    let query = "DeviceTvmSoftwareVulnerabilities | distinct DeviceId, CveId | summarize exposedMachines = count() by CveId \
        | join kind=inner DeviceTvmSoftwareVulnerabilitiesKB on CveId";
    let rows = hunt(&sim, query).await;
    let known = list(&sim, "/api/vulnerabilities").await;
    let exposed = known.values().filter(|row| row["exposedMachines"] != 0).count();
    assert!(exposed > 100 && rows.len() == exposed, "{} {exposed}", rows.len());
    for row in &rows {
        assert_eq!(row["CveId"], row["CveId1"]);
        let vulnerability = &known[row["CveId"].as_str().unwrap()];
        for (column, property) in [
            ("exposedMachines", "exposedMachines"),
            ("VulnerabilityDescription", "description"),
            ("VulnerabilitySeverityLevel", "severity"),
            ("CvssVector", "cvssVector"),
            ("EpssScore", "epss"),
            ("PublishedDate", "publishedOn"),
            ("LastModifiedTime", "updatedOn"),
        ] {
            assert_eq!(row[column], vulnerability[property], "{column}");
        }
        assert_eq!(row["CvssScore"].as_f64(), vulnerability["cvssV3"].as_f64());
        assert_eq!(row["IsExploitAvailable"] == 1, vulnerability["publicExploit"] == true);
        assert_eq!(row["IsExploitAvailable@odata.type"], "#SByte");
    }
    let all = hunt(&sim, "DeviceTvmSoftwareVulnerabilitiesKB | count").await;
    assert_eq!(all[0]["Count"], known.len(), "the knowledge base has also what nobody is exposed to");
    // Cuts by the hash of the machine have together every row.
    let mut parts = Vec::new();
    for part in 0..4 {
        let query = format!("DeviceTvmSoftwareVulnerabilities | where hash(DeviceId, 4) == {part}");
        parts.extend(hunt(&sim, &query).await.iter().map(Value::to_string));
    }
    let mut whole: Vec<_> = hunt(&sim, "DeviceTvmSoftwareVulnerabilities").await.iter().map(Value::to_string).collect();
    parts.sort_unstable();
    whole.sort_unstable();
    assert!(parts == whole);
}

#[tokio::test]
async fn settings_follow_from_the_assessment_of_each_machine() {
    let sim = tenant().await;
    let query = "DeviceTvmSecureConfigurationAssessment | where IsApplicable == 1 and IsCompliant == 0 \
        | distinct DeviceId, ConfigurationId | summarize exposedMachinesCount = count() by ConfigurationId \
        | join kind=inner DeviceTvmSecureConfigurationAssessmentKB on ConfigurationId";
    let rows = hunt(&sim, query).await;
    let known = list(&sim, "/api/recommendations").await;
    for row in &rows {
        let advice = &known[&format!("sca-_-{}", text(&row["ConfigurationId"]))];
        assert_eq!(row["exposedMachinesCount"], advice["exposedMachinesCount"]);
        assert_eq!(row["ConfigurationName"], advice["recommendationName"]);
    }
    let settings = known.iter().filter(|(id, row)| id.starts_with("sca-") && row["exposedMachinesCount"] != 0);
    assert_eq!(rows.len(), settings.count());
    assert!(rows.len() > 3);
}
