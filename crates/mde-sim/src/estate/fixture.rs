//! The fixtures of the estate: whole entities, one a line, as the API spells them. What is made up takes its shape from them.

use super::investigation::Investigation;
use super::machine::Machine;
use super::recommendation::Recommendation;
use super::software::Software;
use super::vulnerability::Vulnerability;
use serde::Deserialize;
use std::sync::LazyLock;

/// Images of machines.
pub(crate) static IMAGES: LazyLock<Vec<Machine>> = LazyLock::new(|| read(MACHINES));
/// Products with a name of their own.
pub(crate) static PRODUCTS: LazyLock<Vec<Software>> = LazyLock::new(|| read(SOFTWARE));
/// Sorts of vulnerabilities.
pub(crate) static VULNERABILITIES: LazyLock<Vec<Vulnerability>> =
    LazyLock::new(|| read(include_str!("../../fixtures/vulnerabilities.ndjson")));
/// Sorts of recommendations: updates first, then settings.
pub(crate) static RECOMMENDATIONS: LazyLock<Vec<Recommendation>> =
    LazyLock::new(|| read(include_str!("../../fixtures/recommendations.ndjson")));
/// Ends that investigations come to.
pub(crate) static INVESTIGATIONS: LazyLock<Vec<Investigation>> =
    LazyLock::new(|| read(include_str!("../../fixtures/investigations.ndjson")));

/// Lines of machines.
const MACHINES: &str = include_str!("../../fixtures/machines.ndjson");
/// Lines of products.
const SOFTWARE: &str = include_str!("../../fixtures/software.ndjson");

/// The entities of a file.
fn read<T: for<'a> Deserialize<'a>>(lines: &'static str) -> Vec<T> {
    lines.lines().map(|line| serde_json::from_str(line).expect("every fixture line is an entity")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    /// Asserts that the wire form writes each line as it stands.
    fn same<T: Serialize + for<'a> Deserialize<'a>>(lines: &'static str) {
        for (line, entity) in lines.lines().zip(read::<T>(lines)) {
            assert_eq!(serde_json::to_string(&entity).unwrap(), line);
        }
    }

    #[test]
    fn the_wire_forms_write_the_fixtures_octet_for_octet() {
        same::<Machine>(MACHINES);
        same::<Software>(SOFTWARE);
        same::<Vulnerability>(include_str!("../../fixtures/vulnerabilities.ndjson"));
        same::<Recommendation>(include_str!("../../fixtures/recommendations.ndjson"));
        same::<Investigation>(include_str!("../../fixtures/investigations.ndjson"));
    }
}
