//! docs/guarantees.md: every promise names its test, and every test that is named exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use walkdir::WalkDir;

/// The page.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guarantees.md");

/// Names of all functions in the crates.
fn functions() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut names = BTreeSet::new();
    for entry in WalkDir::new(crates).into_iter().map(|entry| entry.expect("a readable folder")) {
        if entry.path().extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(entry.path()).expect("a readable file");
            let after = text.split("fn ").skip(1);
            names.extend(after.map(|rest| {
                rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
            }));
        }
    }
    names
}

#[test]
fn every_guarantee_names_tests_that_exist() {
    let page = fs::read_to_string(PAGE).expect("readable");
    let functions = functions();
    let is_name =
        |text: &&str| text.matches('_').count() >= 3 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let named = |text: &str| text.split('`').filter(is_name).map(str::to_owned).collect::<Vec<_>>();
    for name in named(&page) {
        assert!(functions.contains(&name), "there is no test {name}");
    }
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).collect();
    assert!(rows.len() > 20, "a page with tables");
    let without: Vec<_> = rows
        .iter()
        .filter(|row| named(row).is_empty() && !row.contains("shown by") && !row.contains("how to recompute"))
        .collect();
    assert!(without.is_empty(), "without a test: {without:#?}");
}
