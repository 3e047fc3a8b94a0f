//! Files of NDJSON.

use super::super::problem::Fault;
use super::super::section::Section;

/// One event JSON a line in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path with the placeholders `{tenant}`, `{service}`, `{tag}`, `{date}`.
    pub path: String,
}

/// What a path may hold in braces.
const PLACEHOLDERS: &[&str] = &["tenant", "service", "tag", "date"];

/// Reads `config` of an output of this type; none when an error has been reported.
pub(super) fn load(section: &Section<'_>) -> Option<File> {
    let path = section.text("path").check(|path| known_placeholders(path)).required();
    section.later(&[("rotate", ""), ("compress", "none")]);
    Some(File { path: path? })
}

/// Refuses braces that would end up in the name of a file.
fn known_placeholders(path: &str) -> Result<(), Fault> {
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('{') {
        let known = after.split_once('}').filter(|(name, _)| PLACEHOLDERS.contains(name));
        let Some((_, behind)) = known else {
            let help = PLACEHOLDERS.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ");
            return Err(Fault::new("has an unknown placeholder").help(format!("known: {help}")));
        };
        rest = behind;
    }
    Ok(())
}
