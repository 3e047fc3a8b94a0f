//! The doors between the rooms, as ARCHITECTURE.md draws them, read from the `use` lines.

use std::path::Path;
use syn::UseTree;

/// Room and the rooms of this crate that it may import.
const DOORS: &[(&str, &[&str])] = &[
    ("record", &["record"]),
    ("service", &["service", "record"]),
    ("pull", &["pull", "record", "service"]),
    ("flatten", &["flatten", "record", "service"]),
    ("shape", &["shape", "record", "service"]),
    ("obfuscate", &["obfuscate", "record"]),
    ("config", &["config", "record", "service", "flatten", "obfuscate"]),
    ("store", &["store", "record"]),
    ("quota", &["quota", "config", "record", "telemetry"]),
    ("telemetry", &["telemetry", "record"]),
    // The last one exists in tests alone.
    ("enrich", &["enrich", "record", "service", "store", "telemetry", "simulation"]),
    ("status", &["status", "record", "store"]),
    ("plan", &["plan", "record", "service", "config", "pull", "enrich"]),
    ("output", &["output", "record", "config", "telemetry"]),
    (
        "pipeline",
        &[
            "pipeline",
            "record",
            "service",
            "pull",
            "flatten",
            "shape",
            "obfuscate",
            "config",
            "enrich",
            "store",
            "quota",
            "plan",
            "output",
            "telemetry",
            "status",
        ],
    ),
    ("web", &["web", "record", "config", "pipeline", "quota", "status", "store", "telemetry"]),
];

/// First segments behind `crate::` of a use tree.
fn rooms(tree: &UseTree, found: &mut Vec<String>) {
    if let UseTree::Path(path) = tree
        && path.ident == "crate"
    {
        match &*path.tree {
            UseTree::Path(inner) => found.push(inner.ident.to_string()),
            UseTree::Name(inner) => found.push(inner.ident.to_string()),
            UseTree::Group(group) => {
                for item in &group.items {
                    if let UseTree::Path(inner) = item {
                        found.push(inner.ident.to_string());
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_use_goes_through_a_door_of_the_table() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut wrong) = (0, Vec::new());
    for entry in walkdir::WalkDir::new(&sources).into_iter().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let inside = path.strip_prefix(&sources).expect("below the sources");
        let room = inside.iter().next().and_then(|part| part.to_str()).expect("a name").trim_end_matches(".rs");
        let Some((_, doors)) = DOORS.iter().find(|(name, _)| *name == room) else { continue };
        files += 1;
        let text = std::fs::read_to_string(path).expect("readable");
        for item in syn::parse_file(&text).expect("our own sources parse").items {
            let syn::Item::Use(line) = item else { continue };
            let mut found = Vec::new();
            rooms(&line.tree, &mut found);
            wrong.extend(
                found
                    .iter()
                    .filter(|to| !doors.contains(&to.as_str()))
                    .map(|to| format!("{}: crate::{to}", inside.display())),
            );
        }
    }
    assert!(files > 50, "the sources were not found");
    assert!(wrong.is_empty(), "doors that are not in the table: {wrong:#?}");
}

#[test]
fn the_simulator_and_the_client_share_nothing() {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (one, others) in [("mde-sim", ["mde-client", "mde-collector"]), ("mde-client", ["mde-sim", "mde-collector"])] {
        let text = std::fs::read_to_string(manifests.join(one).join("Cargo.toml")).expect("readable");
        for other in others {
            assert!(!text.lines().any(|line| line.starts_with(other)), "{one} must not depend on {other}");
        }
    }
}
