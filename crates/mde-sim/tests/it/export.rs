//! Exports: their pages, links, builds and files.

use crate::http::{Reply, config, get, get_as, send, start, token};
use mde_sim::{Family, Fault, RequestKind, Sim, SimConfig};
use serde_json::Value;
use std::time::Duration;

/// The path of a file export.
const FILES: &str = "/api/machines/SoftwareInventoryExport";

/// Path and query of a link.
fn target(link: &Value) -> String {
    let (_, rest) = link.as_str().unwrap().split_once("://").unwrap();
    rest[rest.find('/').unwrap()..].to_owned()
}

/// A file.
async fn file(sim: &Sim, link: &Value) -> Reply {
    send(sim.addr(), "GET", &target(link), &[], "").await
}

#[tokio::test]
async fn a_page_has_the_rows_asked_for_and_a_link_with_a_token_unless_top_is_asked() {
    let sim = start(config()).await;
    let path = "/api/machines/SoftwareVulnerabilitiesByMachine";
    let first = get(&sim, &format!("{path}?pageSize=300")).await;
    let link = first.next().unwrap();
    assert!(link.contains("pagesize=300") && link.contains("$skiptoken="), "{link}");
    assert_eq!(first.json()["value"].as_array().unwrap().len(), 300);
    let second = get(&sim, &link).await;
    assert_eq!(second.json()["value"].as_array().unwrap().len(), 300);
    assert_ne!(first.json()["value"][299], second.json()["value"][0]);
    let top = get(&sim, &format!("{path}?$top=300")).await;
    assert_eq!((top.next(), &top.json()["value"]), (None, &first.json()["value"]));
    for query in ["pageSize=200001", "$skiptoken=nonsense", "$filter=cveId%20eq%20null", "pageSize=x"] {
        assert_eq!(get(&sim, &format!("{path}?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(sim.ledger().request_count(RequestKind::ExportVulnerabilities), 7);
    sim.scenario().always(RequestKind::ExportVulnerabilities, Fault::LinkRefused);
    assert_eq!(get(&sim, &link).await.status, 400);
    assert_eq!(get(&sim, &format!("{path}?pageSize=300")).await.status, 200);
}

#[tokio::test]
async fn all_pages_of_a_run_show_one_build_and_builds_come_every_six_hours() {
    let sim = start(SimConfig { token_lifetime: Duration::from_secs(86_400), ..config() }).await;
    let token = token(&sim).await;
    let path = "/api/machines/SoftwareInventoryByMachine";
    let devices = async |first: String| {
        let (mut devices, mut next) = (std::collections::BTreeSet::new(), Some(first));
        while let Some(now) = next {
            let reply = get_as(&sim, &now, &token).await;
            devices.extend(reply.json()["value"].as_array().unwrap().iter().map(|row| row["deviceId"].to_string()));
            next = reply.next();
        }
        devices
    };
    let first = get_as(&sim, &format!("{path}?pageSize=2000"), &token).await;
    let generated = async || get_as(&sim, FILES, &token).await.json()["generatedTime"].as_str().unwrap().to_owned();
    assert_eq!(generated().await, "2026-11-24T12:00:00Z");
    sim.world().remove_machine(150);
    let gone = format!("\"{}\"", sim.world().machine_id(150));
    assert!(devices(path.to_owned()).await.contains(&gone), "asking does not build");
    sim.clock().advance(Duration::from_secs(6 * 3_600 + 60));
    assert!(!devices(path.to_owned()).await.contains(&gone));
    assert_eq!(generated().await, "2026-11-24T18:00:00Z");
    assert!(devices(first.next().unwrap()).await.contains(&gone), "a run goes on in the build in which it began");
}

#[tokio::test]
async fn changes_tell_what_came_left_and_was_mended() {
    let exports = mde_sim::ExportConfig { rebuilt_every: Duration::ZERO, ..Default::default() };
    let sim = start(SimConfig { exports, ..config() }).await;
    let path = "/api/machines/SoftwareVulnerabilityChangesByMachine";
    assert_eq!(get(&sim, path).await.error_text().0, "MissingRequiredParameter");
    assert_eq!(get(&sim, &format!("{path}?sinceTime=2026-11-10T11:59:59Z")).await.error_text().0, "InvalidInput");
    let since = format!("{path}?sinceTime=2026-11-24T12:00:00Z");
    assert!(get(&sim, &since).await.json()["value"].as_array().unwrap().is_empty());
    sim.clock().advance(Duration::from_secs(60));
    let exposures = async |machine: u32| {
        let id = sim.world().machine_id(machine);
        let rows = get(&sim, &format!("/api/vulnerabilities/machinesVulnerabilities?$filter=machineId%20eq%20'{id}'"))
            .await
            .json();
        rows["value"].as_array().unwrap().len()
    };
    let left = exposures(2).await;
    let number = (10..200).find(|number| sim.world().patch_machine(*number)).unwrap();
    sim.world().remove_machine(2);
    let came = sim.world().add_machines(1).start;
    let rows = get(&sim, &since).await.json();
    let count = |machine: u32, status: &str| {
        let id = sim.world().machine_id(machine);
        let rows = rows["value"].as_array().unwrap();
        rows.iter().filter(|row| row["deviceId"] == *id && row["status"] == status).count()
    };
    assert_eq!((count(2, "Fixed"), count(2, "New")), (left, 0));
    assert_eq!((count(came, "New"), count(came, "Fixed")), (exposures(came).await, 0));
    assert!(count(number, "Fixed") > 0);
    assert_eq!(rows["value"][0]["eventTimestamp"], "2026-11-24 12:01:00");
}

#[tokio::test]
async fn a_link_expires_takes_no_token_and_cannot_be_bent() {
    let sim = start(config()).await;
    let links = get(&sim, FILES).await.json();
    let links = links["exportFiles"].as_array().unwrap();
    assert_eq!(links.len(), 3);
    let good = file(&sim, &links[0]).await;
    assert_eq!((good.status, good.header("content-type")), (200, Some("application/octet-stream")));
    assert_eq!(good.header("content-encoding"), None);
    let bearer = format!("Bearer {}", token(&sim).await);
    assert_eq!(send(sim.addr(), "GET", &target(&links[0]), &[("Authorization", &bearer)], "").await.status, 400);
    let bent = links[0].as_str().unwrap().replace("part-00000", "part-00001");
    assert_eq!(file(&sim, &bent.into()).await.status, 403);
    sim.clock().advance(Duration::from_secs(3_599));
    assert_eq!(file(&sim, &links[1]).await.status, 200);
    sim.clock().advance(Duration::from_secs(1));
    let late = file(&sim, &links[1]).await;
    assert_eq!(late.status, 403);
    assert!(String::from_utf8_lossy(&late.body).contains("AuthenticationFailed"));
    let long = get(&sim, &format!("{FILES}?sasValidHours=6")).await.json();
    sim.clock().advance(Duration::from_secs(6 * 3_600 - 1));
    assert_eq!(file(&sim, &long["exportFiles"][2]).await.status, 200);
    assert_eq!(get(&sim, &format!("{FILES}?sasValidHours=7")).await.status, 400);
    assert!(sim.ledger().requests().iter().all(|request| !request.query.contains("telltale-sas")));
}

#[tokio::test]
async fn a_file_can_be_cut_and_an_empty_one_is_empty() {
    let machines = mde_sim::MachineConfig { count: 1, ..Default::default() };
    let sim = start(SimConfig { machines, ..config() }).await;
    let links = get(&sim, FILES).await.json();
    let mut sizes = Vec::new();
    for link in links["exportFiles"].as_array().unwrap() {
        let reply = file(&sim, link).await;
        assert!(reply.status == 200 && reply.whole);
        sizes.push(reply.body.len());
    }
    assert_eq!(sizes.iter().filter(|size| **size == 0).count(), 2, "one machine in three files: {sizes:?}");
    sim.scenario().once(RequestKind::Blob, Fault::Cut { after: 100, end: mde_sim::CutEnd::Chunked });
    let full = links["exportFiles"].as_array().unwrap().iter().zip(sizes).find(|(_, size)| *size > 0).unwrap().0;
    let cut = file(&sim, full).await;
    assert_eq!((cut.body.len(), cut.whole), (100, false));
}

#[tokio::test]
async fn exports_have_two_buckets_and_files_have_none() {
    let sim = start(config()).await;
    let token = token(&sim).await;
    let links = get_as(&sim, FILES, &token).await.json();
    for _ in 0..4 {
        assert_eq!(get_as(&sim, FILES, &token).await.status, 200);
    }
    assert_eq!(get_as(&sim, FILES, &token).await.status, 429);
    for _ in 0..7 {
        assert_eq!(file(&sim, &links["exportFiles"][0]).await.status, 200);
    }
    let page = "/api/machines/SoftwareInventoryByMachine?pageSize=1&$top=1";
    for _ in 0..30 {
        assert_eq!(get_as(&sim, page, &token).await.status, 200);
    }
    assert_eq!(get_as(&sim, page, &token).await.status, 429);
    assert_eq!(sim.ledger().peak(Family::FileExports).minute, 6);
    assert_eq!(sim.ledger().peak(Family::JsonExports).minute, 31);
}
