//! Credentials leave a converted file: a reference to the environment stands where each of them stood.

use super::super::hidden::{carries_login, sounds_secret};
use super::super::report::is_placeholder;
use super::super::tree::{Node, Scalar, Value, item_path, key_path};
use std::collections::BTreeMap;

/// Segments of a path that say nothing in the name of a variable.
const SILENT: &[&str] = &["inputs", "outputs", "credentials", "config"];

/// Replaces each credential below the root. Gives a line for each, which names the place and the variable.
pub(super) fn in_place_of_secrets(root: &mut Node) -> Vec<String> {
    let mut moving = Moving::default();
    moving.node(root, "", false);
    moving.told
}

/// A replacing under way.
#[derive(Default)]
struct Moving {
    /// Variables so far, with what they stand for.
    names: BTreeMap<String, String>,
    /// What was done.
    told: Vec<String>,
}

impl Moving {
    /// Below one node at a place, which is told by keys alone; `secret`: whatever stands here is a credential.
    fn node(&mut self, node: &mut Node, path: &str, secret: bool) {
        match &mut node.value {
            Value::Null => {}
            Value::Scalar(scalar) => {
                if (secret || carries_login(&scalar.text)) && scalar.hidden && stands_here(&scalar.text) {
                    self.replace(path, scalar);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &item_path(path, index), secret);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let path = key_path(path, &entry.key);
                    self.node(&mut entry.value, &path, secret || sounds_secret(&entry.key));
                }
            }
        }
    }

    /// Puts a reference in the place of one credential.
    fn replace(&mut self, path: &str, scalar: &mut Scalar) {
        let mut name = variable(path);
        while self.names.get(&name).is_some_and(|known| *known != scalar.text) {
            name.push('_');
        }
        self.names.insert(name.clone(), scalar.text.clone());
        self.told.push(format!(
            "{path}: stood in the file; set {name} in the environment to it, or write `${{file:PATH}}` in its place"
        ));
        (scalar.text, scalar.quoted) = (format!("${{env:{name}}}"), true);
    }
}

/// Whether a text is a credential itself, and not a reference to one or a place kept for one.
fn stands_here(text: &str) -> bool {
    !text.is_empty() && !is_placeholder(text) && !text.contains("${env:") && !text.contains("${file:")
}

/// The variable for a place: `inputs.acme.credentials.client_secret` is `ACME_CLIENT_SECRET`.
fn variable(path: &str) -> String {
    let segments = path.split('.').filter(|segment| !SILENT.contains(segment));
    let name = segments.collect::<Vec<_>>().join("_").to_ascii_uppercase();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_variable_that_a_shell_can_set() {
        assert_eq!(variable("inputs.acme.credentials.client_secret"), "ACME_CLIENT_SECRET");
        assert_eq!(variable("outputs.http-1.config.headers.X-Key"), "HTTP_1_HEADERS_X_KEY");
        assert_eq!(variable("inputs.365.proxy"), "_365_PROXY");
    }

    #[test]
    fn references_and_placeholders_stay() {
        for text in ["${env:A}", "x${file:a}", "<client_secret_value>", ""] {
            assert!(!stands_here(text), "{text}");
        }
        assert!(stands_here("hunter2") && stands_here("${x}"));
    }
}
