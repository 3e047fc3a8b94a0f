//! `obfuscation_data`: values replaced before anything is stored. A rule that cannot be read stops us: what it hides would leave.

use super::Obfuscation;
use super::key::{Branch, Form, Key, Table, keys};
use super::problem::Fault;
use super::report::Outcome;
use super::section::Section;
use super::tree::{Node, Scalar, Value};
use serde_json::value::RawValue;

keys! {
    /// Values replaced.
    pub(super) static KEYS;
    /// Values replaced before anything is stored; those of an input and of its service both apply.
    RULES: Key<Branch> = Key::tree("obfuscation_data", Form::List(&RULE)).official();
}

keys! {
    /// One rule.
    static RULE_KEYS;
    /// Path of a property in the record as the API gave it, through arrays to each element: `[evidence, fileName]`.
    NAME: Key<Branch> = Key::tree("name", Form::Texts).official().required();
    /// What takes the place of the value there; empty for null.
    VALUE: Key<Branch> = Key::tree("value", Form::Any).official().required();
}

/// One element of `obfuscation_data`.
static RULE: Table =
    Table { path: "obfuscation_data[]", doc: "One value to replace, of an input or a service.", groups: &[RULE_KEYS] };

/// Reads the rules of an input or a service.
pub(super) fn load(section: &Section<'_>) -> Vec<Obfuscation> {
    section.sections(&RULES).filter_map(|rule| one(&rule)).collect()
}

/// One rule; none when an error has been reported.
fn one(rule: &Section<'_>) -> Option<Obfuscation> {
    let path = path(rule);
    // An empty value is a value here: null takes the place.
    let value = match rule.entry(&VALUE) {
        Some(entry) => replacement(rule, &entry.value),
        None => {
            rule.missing(&VALUE);
            None
        }
    };
    for entry in rule.entries().iter().filter(|entry| !RULE.keys().any(|key| key.names().contains(&&*entry.key))) {
        let fault = Fault::new(format!("the key `{}` is not known in a rule", entry.key));
        rule.report.error(entry.at(), fault.help("a rule is `name` (a path of properties) and `value`"));
    }
    Some(Obfuscation { path: path?, value: value? })
}

/// The path of a rule.
fn path(rule: &Section<'_>) -> Option<Vec<String>> {
    let Some(entry) = rule.given(&NAME) else {
        rule.missing(&NAME);
        return None;
    };
    let items = rule.items(&NAME)?;
    let path: Vec<String> = rule.texts(&NAME)?.into_iter().map(|(name, _)| name).collect();
    let dotted = matches!(entry.value.value, Value::Scalar(_)) && path.iter().any(|name| name.contains('.'));
    if dotted || items.is_empty() {
        let fault = Fault::new("a path is a list of properties, from the outside to the inside");
        rule.report.error(entry.value.at(), fault.help("such as [relatedUser, userName]"));
    }
    (path.len() == items.len() && !dotted && !path.is_empty()).then_some(path)
}

/// The JSON text that takes a value's place; none when an error has been reported.
fn replacement(rule: &Section<'_>, node: &Node) -> Option<String> {
    let scalar = match &node.value {
        Value::Null => return Some("null".to_owned()),
        Value::Scalar(scalar) => scalar,
        Value::List(_) | Value::Map(_) => {
            rule.report.error(node.at(), Fault::new(format!("must be one value, not {}", node.kind())));
            return None;
        }
    };
    match rule.report.text(node) {
        Outcome::Good(text) => Some(json(scalar, &text)),
        Outcome::Absent => Some(json(scalar, "")),
        Outcome::Placeholder(text) => Some(json(scalar, &text)),
        Outcome::Faulty => None,
    }
}

/// A value as JSON: what is written like a JSON number or switch is one, unless it stands in quotes.
fn json(scalar: &Scalar, text: &str) -> String {
    let literal =
        !scalar.quoted && !text.starts_with(['"', '[', '{']) && serde_json::from_str::<&RawValue>(text).is_ok();
    if literal { text.trim().to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_keeps_its_kind_and_its_spelling() {
        for (text, quoted, out) in [
            ("hidden", false, r#""hidden""#),
            ("1.0", false, "1.0"),
            ("1.0", true, r#""1.0""#),
            ("true", false, "true"),
            ("007", false, r#""007""#),
            ("a\"\\\n", true, r#""a\"\\\n""#),
            ("[1]", false, r#""[1]""#),
            ("", true, r#""""#),
        ] {
            let scalar = Scalar { text: text.to_owned(), quoted, hidden: false };
            assert_eq!(json(&scalar, text), out, "{text}");
        }
    }
}
