//! Events a second of one core: alerts up to 5 KB, one event for each piece of evidence. `cargo bench --bench flatten`.
#![expect(clippy::print_stdout, reason = "its only output is its numbers")]

use mde_collector::flatten::{FlattenConfig, Flattener, Selection, Tail};
use mde_collector::record::{Identity, RawObject};
use std::hint::black_box;

/// Time for each number. Unit: seconds on the processor, so that a busy machine falsifies less.
const SPAN: f64 = 2.0;

fn main() {
    // A test run over all targets comes here as well; it has nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let selection = |name: &str| Selection::Named(vec![name.to_owned()]);
    let exploded = FlattenConfig {
        enabled: true,
        objects: selection("relatedUser"),
        arrays: selection("evidence"),
        max_events_per_record: FlattenConfig::MAX_EVENTS,
    };
    let off = FlattenConfig { enabled: false, ..exploded.clone() };
    for evidence in [4, 1, 0] {
        let alert = alert(evidence);
        println!("alert of {} octets, {evidence} pieces of evidence", alert.len());
        rate("parse only, records", || {
            black_box(RawObject::parse(black_box(alert.as_bytes())).expect("JSON"));
            (1, 0)
        });
        for (what, config) in [("exploded, events", &exploded), ("flatten: false, events", &off)] {
            let flattener = Flattener::new(config);
            let record = RawObject::parse(alert.as_bytes()).expect("JSON");
            rate(what, || events(&flattener, &record));
            rate(&format!("parsed and {what}"), || {
                events(&flattener, &RawObject::parse(black_box(alert.as_bytes())).expect("JSON"))
            });
        }
    }
}

/// Numbers of events and of their octets.
fn events(flattener: &Flattener, record: &RawObject<'_>) -> (u64, u64) {
    let identity = Identity::new("acme", "alerts", ["da637472900382838869_1364969609", "2026-10-01T20:33:59.2Z"]);
    let tail = Tail {
        counts: &[("related_files", 1), ("related_ips", 2)],
        environment: Some("production"),
        pulled_ms: 1_790_000_000_123,
        identity: &identity,
    };
    let mut events = flattener.start(record, &tail);
    let mut octets = 0;
    while let Some(line) = events.next_line() {
        octets += black_box(line).len() as u64;
    }
    (events.outcome().events, octets)
}

fn rate(what: &str, mut once: impl FnMut() -> (u64, u64)) {
    let (start, mut count, mut octets) = (processor_seconds(), 0, 0);
    while processor_seconds() - start < SPAN {
        for _ in 0..100 {
            let (more, longer) = once();
            count += more;
            octets += longer;
        }
    }
    let seconds = processor_seconds() - start;
    let (thousands, megabytes) = (count as f64 / seconds / 1e3, octets as f64 / seconds / 1e6);
    println!("  {what}: {thousands:.0} thousand/s, {megabytes:.0} MB/s, {} octets each", octets / count.max(1));
}

/// Time that this thread has spent on a processor, as Linux counts it.
fn processor_seconds() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps this file");
    let nanoseconds = counts.split_whitespace().next().and_then(|first| first.parse::<f64>().ok());
    nanoseconds.expect("its first number is a time") / 1e9
}

/// An alert with the properties of a real one.
fn alert(evidence: usize) -> String {
    let piece = r#"{"entityType":"Process","evidenceCreationTime":"2026-10-01T20:33:58.6133333Z","sha1":"ff836cfb1af40252bd2a2ea843032e99a5b262ed","sha256":"a4752c71d81afd3d5865d24ddb11a6b0c615062fcc448d24050c2172d2cbccd6","fileName":"rundll32.exe","filePath":"C:\\Windows\\SysWOW64","processId":3276,"processCommandLine":"rundll32.exe  c:\\temp\\odd.dll,Run","processCreationTime":"2026-10-01T20:31:32.9581596Z","parentProcessId":8420,"parentProcessCreationTime":"2026-10-01T20:31:32.9004163Z","parentProcessFileName":"rundll32.exe","parentProcessFilePath":"C:\\Windows\\System32","ipAddress":null,"url":null,"registryKey":null,"registryHive":null,"registryValueType":null,"registryValue":null,"accountName":null,"domainName":null,"userSid":null,"aadUserId":null,"userPrincipalName":null,"detectionStatus":"Detected"}"#;
    let pieces = vec![piece; evidence].join(",");
    let head = r#"{"id":"da637472900382838869_1364969609","incidentId":1126093,"investigationId":null,"assignedTo":null,"severity":"Low","status":"New","classification":null,"determination":null,"investigationState":"Queued","detectionSource":"WindowsDefenderAtp","detectorId":"17e10bbc-3a68-474a-8aad-faef14d43952","category":"Execution","threatFamilyName":null,"title":"Signed program ran code of low reputation","description":"A signed program loaded a library that few machines have, and what it did then may hide in the trusted process: it may listen on a port, or reach a server that commands it.","alertCreationTime":"2026-10-01T20:33:57.7220239Z","firstEventTime":"2026-10-01T20:31:32.9562661Z","lastEventTime":"2026-10-01T20:31:33.0577322Z","lastUpdateTime":"2026-10-01T20:33:59.2Z","resolvedTime":null,"machineId":"111e6dd8c833c8a052ea231ec1b19adaf497b625","computerDnsName":"host-1.example.com","rbacGroupName":"A","aadTenantId":"a839b112-1253-6432-9bf6-94542403f21c","threatName":null,"mitreTechniques":["T1064","T1085","T1220"],"relatedUser":{"userName":"user1","domainName":"EXAMPLE"},"loggedOnUsers":[{"accountName":"user1","domainName":"EXAMPLE"}],"comments":[{"comment":"looked at","createdBy":"soc@example.com","createdTime":"2026-10-01T21:00:37.8404534Z"}]"#;
    format!("{head},\"evidence\":[{pieces}]}}")
}
