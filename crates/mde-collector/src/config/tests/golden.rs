//! Broken configurations and exactly what a person is told about them: `tests/golden/config/<case>.yaml` and `<case>.txt`.
//!
//! `UPDATE_GOLDEN=1` rewrites the answers; the difference is to be read like code. A first line `# strict` or `# offline` sets the option.

use super::*;
use std::fs;

/// Where the pairs are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/config");

/// What a person is told, without the folder that differs from machine to machine.
fn answer(case: &Path) -> String {
    let first = fs::read(case)
        .map(|text| String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
        .unwrap();
    let options =
        Options { strict: first.contains("# strict"), offline: first.contains("# offline"), ..Options::default() };
    let answer = match load(case, &environment, options) {
        Ok(loaded) => {
            let warnings: String = loaded.warnings.iter().map(|warning| format!("{warning}\n\n")).collect();
            format!("{warnings}loaded")
        }
        Err(problems) => problems.to_string(),
    };
    answer.replace(FOLDER, "here") + "\n"
}

#[test]
fn each_broken_configuration_is_told_exactly_so() {
    let mut cases: Vec<_> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "json"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut differing = Vec::new();
    for case in cases {
        let (told, expected) = (answer(&case), case.with_extension("txt"));
        assert!(!told.contains("hunter2"), "{}: a secret is shown\n{told}", case.display());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &told).unwrap();
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if told != expected {
            differing.push(format!("--- {}\nexpected:\n{expected}\ntold:\n{told}", case.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
