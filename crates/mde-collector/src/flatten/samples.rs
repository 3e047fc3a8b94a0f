//! Real answers, where they lie beside the project: what is not flattened passes through octet for octet.

use super::{FlattenConfig, Flattener, Tail};
use crate::record::{Cursor, Identity, RawObject};
use crate::service::SERVICES;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// The files below a folder, none where there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The entities of an answer: elements of its array, or itself. An element that is no object is none.
fn entities(text: &str) -> Vec<&str> {
    let Ok(answer) = RawObject::parse(text.as_bytes()) else { return Vec::new() };
    let rows = ["value", "Results", "results"].into_iter().find_map(|name| answer.get(name));
    let Some(rows) = rows.filter(|rows| rows.starts_with('[')) else { return vec![text] };
    let (mut cursor, mut found) = (Cursor::new(rows), Vec::new());
    cursor.open();
    while cursor.element() {
        found.push(cursor.value());
    }
    found.retain(|entity| entity.starts_with('{'));
    found
}

#[test]
fn real_answers_pass_through_and_their_events_are_json() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let off = Flattener::new(&FlattenConfig { enabled: false, ..FlattenConfig::of(&[]) });
    for path in files(&folder).iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let text = std::fs::read_to_string(path).expect("readable");
        for entity in entities(&text) {
            let record = RawObject::parse(entity.as_bytes()).expect("an object");
            let identity = Identity::new("samples", "any", ["1"]);
            let tail = Tail { counts: &[], environment: None, pulled_ms: 0, identity: &identity };
            let mut compact = String::new();
            Cursor::new(entity).compact(&mut compact);
            let mut lines = Vec::new();
            let outcome = off.events(&record, &tail, |line| {
                lines.extend_from_slice(line);
                Ok::<_, Infallible>(())
            });
            assert_eq!(outcome.expect("infallible").events, 1);
            let open = &compact[..compact.len() - 1];
            assert!(lines.starts_with(open.as_bytes()), "{}", path.display());
            for service in SERVICES {
                let flattener = Flattener::new(&FlattenConfig::of(service.flatten));
                let outcome = flattener.events(&record, &tail, |line| {
                    assert!(serde_json::from_slice::<serde_json::Value>(line).is_ok(), "{}", path.display());
                    Ok::<_, Infallible>(())
                });
                assert!(outcome.expect("infallible").events > 0);
            }
        }
    }
}
