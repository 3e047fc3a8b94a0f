//! One world, many answers: lists, related lists and exports say the same, found by brute force on small seeded worlds.

use crate::http::{config, good_form};
use axum::body::Body;
use axum::http::Request;
use mde_sim::{
    Family, MachineConfig, PageConfig, RecommendationConfig, Service, Sim, SimConfig, SoftwareConfig,
    VulnerabilityConfig,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// A simulator called without sockets.
struct Bench {
    sim: Sim,
    token: String,
}

impl Bench {
    async fn new(config: SimConfig) -> Self {
        let sim = Sim::start(config).await.unwrap();
        for family in Family::ALL {
            sim.set_quota(family, None);
        }
        let target = format!("/{}/oauth2/v2.0/token", sim.credentials().tenant_id);
        let request = Request::post(target).body(Body::from(good_form(&sim))).unwrap();
        let mut bench = Self { sim, token: String::new() };
        bench.token = bench.body(request).await.1["access_token"].as_str().unwrap().to_owned();
        bench
    }

    async fn body(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.sim.call(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn get(&self, target: &str) -> (u16, Value) {
        let request = Request::get(target).header("authorization", format!("Bearer {}", self.token));
        self.body(request.body(Body::empty()).unwrap()).await
    }

    /// All rows of a list, by links.
    async fn rows(&self, target: &str) -> Vec<Value> {
        let (mut rows, mut next) = (Vec::new(), Some(target.to_owned()));
        while let Some(now) = next {
            let (status, mut page) = self.get(&now).await;
            assert_eq!(status, 200, "{now}");
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
            rows.append(page["value"].as_array_mut().unwrap());
        }
        rows
    }

    /// One property of all rows, each value once.
    async fn set(&self, target: &str, property: &str) -> BTreeSet<String> {
        let rows = self.rows(target).await;
        let set: BTreeSet<_> = rows.iter().map(|row| text(&row[property])).collect();
        assert_eq!(set.len(), rows.len(), "{target} has doubles");
        set
    }

    /// The rows of a file export.
    async fn lines(&self, target: &str) -> Vec<Value> {
        let (_, links) = self.get(target).await;
        let mut lines = Vec::new();
        for link in links["exportFiles"].as_array().unwrap() {
            let request = Request::get(link.as_str().unwrap()).body(Body::empty()).unwrap();
            let response = self.sim.call(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let mut text = String::new();
            flate2::read::MultiGzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        lines
    }
}

/// A value as text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An id as a path segment.
fn segment(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

/// Groups rows: for each value of `key` the different values made by `value`.
fn grouped(
    rows: &[Value],
    key: impl Fn(&Value) -> String,
    value: impl Fn(&Value) -> Option<String>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut groups: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in rows {
        groups.entry(key(row)).or_default().extend(value(row));
    }
    groups
}

/// Software id of an export row.
fn product(row: &Value) -> String {
    format!("{}-_-{}", text(&row["softwareVendor"]), text(&row["softwareName"]))
}

/// The set in a group that may be missing.
fn of<'a>(groups: &'a BTreeMap<String, BTreeSet<String>>, key: &str) -> &'a BTreeSet<String> {
    static EMPTY: BTreeSet<String> = BTreeSet::new();
    groups.get(key).unwrap_or(&EMPTY)
}

/// Worlds of all sizes: empty, one machine, machines that all have everything, machines that left or were patched.
async fn worlds(mut check: impl AsyncFnMut(&Bench, String)) {
    for seed in 0..50 {
        let machines = MachineConfig {
            count: [0, 1, 3, 9, 14][seed as usize % 5],
            software: [4, 25, 12][seed as usize % 3],
            ..MachineConfig::default()
        };
        let software = SoftwareConfig { count: [25, 18][seed as usize % 2], ..SoftwareConfig::default() };
        let vulnerabilities =
            VulnerabilityConfig { count: [45, 0, 120][seed as usize % 3], ..VulnerabilityConfig::default() };
        let recommendations = RecommendationConfig { count: [24, 1, 40][seed as usize % 3] };
        let page = PageConfig { size: 7, ..PageConfig::default() };
        let exports = mde_sim::ExportConfig { rebuilt_every: std::time::Duration::ZERO, files: 2 };
        let bench = Bench::new(SimConfig {
            seed,
            machines,
            software,
            vulnerabilities,
            recommendations,
            page,
            exports,
            alerts: mde_sim::AlertConfig { count: 30, ..Default::default() },
            ..config()
        })
        .await;
        if seed % 4 == 3 {
            bench.sim.world().remove_machine(0);
            bench.sim.world().add_machines(2);
            for number in 0..5 {
                bench.sim.world().patch_machine(number);
            }
            bench.sim.world().remove(Service::Software, 3);
            bench.sim.world().remove(Service::Vulnerabilities, 5);
            bench.sim.world().add(Service::Vulnerabilities, 3);
        }
        check(&bench, format!("seed {seed}")).await;
    }
}

#[tokio::test]
async fn machines_and_what_is_wrong_with_them_agree_everywhere() {
    let mut exposed = 0;
    worlds(async |bench, seed| {
        let machines = bench.set("/api/machines", "id").await;
        let weaknesses = bench.rows("/api/machines/SoftwareVulnerabilitiesByMachine?pageSize=11").await;
        let known: Vec<_> = weaknesses.iter().filter(|row| !row["cveId"].is_null()).cloned().collect();
        let cves = grouped(&known, |row| text(&row["deviceId"]), |row| Some(text(&row["cveId"])));
        let inventory = bench.rows("/api/machines/SoftwareInventoryByMachine?pageSize=5").await;
        let products = grouped(&inventory, |row| text(&row["deviceId"]), |row| Some(product(row)));
        let kbs = grouped(
            &known,
            |row| text(&row["deviceId"]),
            |row| row["recommendedSecurityUpdateId"].as_str().map(str::to_owned),
        );
        exposed += known.len();
        let mut advised: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for advice in bench.set("/api/recommendations", "id").await {
            let target = format!("/api/recommendations/{}/machineReferences", segment(&advice));
            for machine in bench.set(&target, "id").await {
                advised.entry(machine).or_default().insert(advice.clone());
            }
        }
        for machine in &machines {
            let list = async |topic: &str| bench.set(&format!("/api/machines/{machine}/{topic}"), "id").await;
            assert_eq!(&list("vulnerabilities").await, of(&cves, machine), "{seed}");
            assert_eq!(&list("software").await, of(&products, machine), "{seed}");
            assert_eq!(&list("recommendations").await, of(&advised, machine), "{seed}");
            assert_eq!(&list("getmissingkbs").await, of(&kbs, machine), "{seed}");
        }
        for groups in [&cves, &products, &advised] {
            assert!(groups.keys().all(|machine| machines.contains(machine)), "{seed}");
        }
        // The list of the three together has exactly the rows of the export that have a CVE.
        let listed: BTreeSet<_> = bench
            .rows("/api/vulnerabilities/machinesVulnerabilities")
            .await
            .iter()
            .map(|row| {
                ["machineId", "cveId", "productVendor", "productName", "productVersion"].map(|name| text(&row[name]))
            })
            .collect();
        let exported: BTreeSet<_> = known
            .iter()
            .map(|row| {
                ["deviceId", "cveId", "softwareVendor", "softwareName", "softwareVersion"].map(|name| text(&row[name]))
            })
            .collect();
        assert_eq!(listed, exported, "{seed}");
        assert_eq!(exported.len(), known.len(), "{seed}");
    })
    .await;
    assert!(exposed > 1_000, "{exposed} rows is little to compare");
}

#[tokio::test]
async fn counts_in_lists_are_the_lengths_of_related_lists_and_groups_of_exports() {
    worlds(async |bench, seed| {
        let weaknesses = bench.rows("/api/machines/SoftwareVulnerabilitiesByMachine").await;
        let known: Vec<_> = weaknesses.into_iter().filter(|row| !row["cveId"].is_null()).collect();
        let inventory = bench.rows("/api/machines/SoftwareInventoryByMachine").await;
        let by_cve = grouped(&known, |row| text(&row["cveId"]), |row| Some(text(&row["deviceId"])));
        let by_product = grouped(&known, product, |row| Some(text(&row["cveId"])));
        let exposed = grouped(&known, product, |row| Some(text(&row["deviceId"])));
        let kbs = grouped(&known, product, |row| row["recommendedSecurityUpdateId"].as_str().map(str::to_owned));
        let installed = grouped(&inventory, product, |row| Some(text(&row["deviceId"])));
        let versions = grouped(&inventory, product, |row| Some(text(&row["softwareVersion"])));
        for row in bench.rows("/api/vulnerabilities").await {
            let id = text(&row["id"]);
            let machines = bench.set(&format!("/api/vulnerabilities/{id}/machineReferences"), "id").await;
            assert_eq!(&machines, of(&by_cve, &id), "{seed}");
            assert_eq!(row["exposedMachines"], machines.len(), "{seed}");
        }
        for row in bench.rows("/api/Software").await {
            let id = text(&row["id"]);
            let list = async |topic: &str, property: &str| {
                bench.set(&format!("/api/Software/{}/{topic}", segment(&id)), property).await
            };
            let found = list("vulnerabilities", "id").await;
            assert_eq!(&found, of(&by_product, &id), "{seed}");
            assert_eq!(row["weaknesses"], found.len(), "{seed}");
            assert_eq!(row["exposedMachines"], of(&exposed, &id).len(), "{seed}");
            assert_eq!(&list("machineReferences", "id").await, of(&installed, &id), "{seed}");
            assert_eq!(&list("distributions", "version").await, of(&versions, &id), "{seed}");
            assert_eq!(&list("getmissingkbs", "id").await, of(&kbs, &id), "{seed}");
        }
        let settings = bench.rows("/api/machines/SecureConfigurationsAssessmentByMachine").await;
        let wrong: Vec<_> =
            settings.into_iter().filter(|row| row["isApplicable"] == true && row["isCompliant"] == false).collect();
        let wrong = grouped(&wrong, |row| text(&row["recommendationReference"]), |row| Some(text(&row["deviceId"])));
        for row in bench.rows("/api/recommendations").await {
            let id = text(&row["id"]);
            let base = format!("/api/recommendations/{}", segment(&id));
            let machines = bench.set(&format!("{base}/machineReferences"), "id").await;
            assert_eq!(row["exposedMachinesCount"], machines.len(), "{seed}");
            let found = bench.set(&format!("{base}/vulnerabilities"), "id").await;
            assert_eq!(row["weaknesses"], found.len(), "{seed}");
            let (status, software) = bench.get(&format!("{base}/software")).await;
            match id.strip_prefix("va-_-") {
                Some(product) if status == 200 => {
                    assert_eq!(software["id"], product, "{seed}");
                    assert_eq!(&machines, of(&exposed, product), "{seed}");
                }
                Some(_) => assert_eq!(status, 404, "{seed}: the product has been removed"),
                None => {
                    assert_eq!(status, 404, "{seed}");
                    assert_eq!(&machines, of(&wrong, &id), "{seed}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn files_have_the_rows_of_the_pages_in_other_letters() {
    let pairs = [
        ("SoftwareVulnerabilitiesByMachine", "SoftwareVulnerabilitiesExport"),
        ("SoftwareInventoryByMachine", "SoftwareInventoryExport"),
        ("SoftwareInventoryNoProductCodeByMachine", "SoftwareInventoryNonCpeExport"),
        ("SecureConfigurationsAssessmentByMachine", "SecureConfigurationsAssessmentExport"),
    ];
    let software = SoftwareConfig { without_cpe: 20, ..SoftwareConfig::default() };
    let bench = Bench::new(SimConfig { software, ..config() }).await;
    for (pages, files) in pairs {
        let small = |row: &Value| {
            let object = row.as_object().unwrap().iter();
            object.map(|(name, value)| (name.to_ascii_lowercase(), value.to_string())).collect::<BTreeMap<_, _>>()
        };
        let rows: BTreeSet<_> =
            bench.rows(&format!("/api/machines/{pages}?pageSize=900")).await.iter().map(small).collect();
        let lines = bench.lines(&format!("/api/machines/{files}")).await;
        assert!(lines.len() > 200, "{files}");
        assert!(lines[0]["OSPlatform"].is_string() && lines[0]["DeviceId"].is_string());
        assert_eq!(lines.len(), rows.len());
        assert_eq!(lines.iter().map(small).collect::<BTreeSet<_>>(), rows, "{files}");
    }
}

#[tokio::test]
async fn related_lists_of_alerts_agree_with_their_evidence() {
    let bench = Bench::new(config()).await;
    let gone = bench.sim.world().machine_id(0);
    bench.sim.world().remove_machine(0);
    let mut statuses = BTreeSet::new();
    for alert in bench.rows("/api/alerts?$expand=evidence&$top=600").await {
        let id = text(&alert["id"]);
        let evidence = alert["evidence"].as_array().unwrap();
        let distinct = |name: &str| -> BTreeSet<_> {
            evidence.iter().filter_map(|row| row[name].as_str()).map(str::to_owned).collect()
        };
        assert_eq!(bench.set(&format!("/api/alerts/{id}/files"), "sha1").await, distinct("sha1"));
        assert_eq!(bench.set(&format!("/api/alerts/{id}/ips"), "id").await, distinct("ipAddress"));
        let urls = distinct("url");
        let hosts = bench.set(&format!("/api/alerts/{id}/domains"), "host").await;
        assert_eq!(hosts.is_empty(), urls.is_empty());
        assert!(hosts.iter().all(|host| urls.iter().any(|url| url.to_lowercase().contains(host))));
        let (machine, body) = bench.get(&format!("/api/alerts/{id}/machine")).await;
        let named = alert["machineId"].as_str().filter(|id| *id != gone);
        assert_eq!((machine, body["id"].as_str()), (if named.is_some() { 200 } else { 404 }, named));
        let (user, body) = bench.get(&format!("/api/alerts/{id}/user")).await;
        assert_eq!(user, if alert["relatedUser"].is_null() { 404 } else { 200 });
        assert!(user == 404 || body["accountName"] == alert["relatedUser"]["userName"]);
        statuses.insert((machine, user));
    }
    assert_eq!(statuses.len(), 4, "alerts with and without a machine, with and without a user");
    assert_eq!(bench.get("/api/alerts/da1_1/files").await.0, 404);
}

#[tokio::test]
async fn alerts_of_all_machines_are_the_alerts_that_name_one() {
    let bench =
        Bench::new(SimConfig { machines: MachineConfig { count: 12, ..MachineConfig::default() }, ..config() }).await;
    let alerts = bench.rows("/api/alerts").await;
    let by_machine = grouped(&alerts, |row| text(&row["machineId"]), |row| Some(text(&row["id"])));
    for machine in bench.set("/api/machines", "id").await {
        let listed = bench.set(&format!("/api/machines/{machine}/alerts"), "id").await;
        assert_eq!(&listed, of(&by_machine, &machine));
    }
    let users = bench.rows(&format!("/api/machines/{}/logonusers", bench.sim.world().machine_id(1))).await;
    assert!(users.len() <= 5 && users.iter().all(|user| user["accountSid"].is_null() && user["id"].is_string()));
}
