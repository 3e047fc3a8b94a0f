//! Golden pairs: `tests/golden/<service>/<case>.in.json`, one record as the API gave it, and `<case>.out.ndjson`, its
//! events under the service's own defaults. `UPDATE_GOLDEN=1` writes the second anew; its diff is reviewed like code.

use super::*;
use crate::service::{SERVICES, ServiceDef};
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

/// The one thing that differs from the defaults: low, so that a case over the limit can be read.
const MAX_EVENTS: u64 = 4;

/// Where the pairs of a service lie.
fn folder(service: &ServiceDef) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(service.name)
}

/// Names of a service's cases, sorted.
fn cases(service: &ServiceDef) -> Vec<String> {
    let files = fs::read_dir(folder(service)).expect("every service has a folder of golden pairs");
    let mut cases: Vec<_> = files
        .filter_map(|file| {
            Some(file.expect("the folder can be read").file_name().to_str()?.strip_suffix(".in.json")?.to_owned())
        })
        .collect();
    cases.sort();
    cases
}

/// The events of one record, as lines, with a tail that is the same for all.
fn events(service: &ServiceDef, record: &[u8]) -> String {
    let record = RawObject::parse(record).expect("a golden record is JSON");
    let parts = service.key.parts(&record).expect("a golden record has its key");
    let identity = Identity::new("golden", service.name, parts.iter().map(AsRef::as_ref));
    // One count of each kind, so that their place in the event is seen.
    let counts: Vec<_> = service.counts.iter().zip([3, 0]).map(|(count, value)| (count.field, value)).collect();
    let tail = Tail { counts: &counts, environment: Some("golden"), pulled_ms: 1_790_000_000_123, identity: &identity };
    let config = FlattenConfig { max_events_per_record: MAX_EVENTS, ..FlattenConfig::of(service.flatten) };
    let mut lines = Vec::new();
    let outcome = Flattener::new(&config).events(&record, &tail, |line| {
        lines.extend_from_slice(line);
        Ok::<_, Infallible>(())
    });
    let lines = String::from_utf8(lines).expect("events are UTF-8");
    assert_eq!(outcome.unwrap().events, lines.lines().count() as u64);
    lines
}

#[test]
fn every_service_gives_its_golden_events() {
    for service in SERVICES {
        let cases = cases(service);
        assert!(!cases.is_empty(), "{} has no golden pair", service.name);
        for case in cases {
            let given = fs::read(folder(service).join(format!("{case}.in.json"))).expect("the record can be read");
            let made = events(service, &given);
            let expected = folder(service).join(format!("{case}.out.ndjson"));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::write(&expected, &made).expect("the events can be written");
            }
            let expected = fs::read_to_string(&expected).expect("the events can be read");
            assert_eq!(made, expected, "{}/{case}", service.name);
        }
    }
}
