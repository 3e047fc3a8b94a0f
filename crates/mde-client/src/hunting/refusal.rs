//! What a 400 to a hunting query means. Nothing but its text tells, so only words of the vendor's own are looked for.
//!
//! Source of the texts: "Handle advanced hunting errors", "Advanced hunting API", read 2026-11.

use crate::error::ErrorKind;
use crate::wording;

/// Signs that the query can be answered once it asks for less. Lower case.
const TOO_MUCH: [&str; 6] = [
    "exceeded the allowed result size",
    "result size limit exceeded",
    "exceeded the allowed limits",
    "exceeded the timeout period",
    "excessive resource consumption",
    "query timed out",
];

/// What introduces a column that is not there. Lower case; the name stands behind it in quotes.
const NO_COLUMN: [&str; 3] = [
    "failed to resolve scalar expression named ",
    "failed to resolve column or scalar expression named ",
    "failed to resolve column named ",
];

/// What introduces a table that this tenant does not have. See [`NO_COLUMN`].
const NO_TABLE: [&str; 2] =
    ["failed to resolve table or column expression named ", "failed to resolve table expression named "];

/// Signs of a query that can never run. Lower case.
const UNREADABLE: [&str; 7] = [
    "syntax error",
    "semantic error",
    "recognition error",
    "could not be parsed",
    "operator:",
    "unknown function",
    "exceeds the allowed size limit when processed",
];

/// The kind of a 400 with that text.
pub(crate) fn kind(message: &str) -> ErrorKind {
    // Only ASCII changes, so that places in one text are places in the other.
    let lower = message.to_ascii_lowercase();
    let named = |signs: &[&str]| {
        let after = signs.iter().find_map(|sign| lower.find(sign).map(|at| at + sign.len()))?;
        Some(quoted(&message[after..]))
    };
    let says = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
    if let Some(name) = named(&NO_TABLE) {
        ErrorKind::UnknownTable { name }
    } else if let Some(name) = named(&NO_COLUMN) {
        ErrorKind::UnknownColumn { name }
    } else if says(&TOO_MUCH) {
        ErrorKind::ResultTooLarge
    } else if says(&UNREADABLE) {
        ErrorKind::QueryRefused
    } else {
        ErrorKind::BadRequest
    }
}

/// The name that a text begins with, in quotes or bare, if it looks like one.
fn quoted(text: &str) -> Option<String> {
    let quotes = ['\'', '"', '`'];
    let inside = match text.strip_prefix(quotes) {
        Some(inside) => inside.split(quotes).next(),
        None => text.split_whitespace().next().map(|word| word.trim_end_matches(['.', ',', ';'])),
    };
    inside.and_then(wording::word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_asks_for_too_much_is_told_from_one_that_can_never_run() {
        let column = |name: &str| ErrorKind::UnknownColumn { name: Some(name.into()) };
        let table = |name: &str| ErrorKind::UnknownTable { name: Some(name.into()) };
        for (message, expected) in [
            (
                "Query execution has exceeded the allowed result size. Optimize your query by limiting the number of \
                 results and try again",
                ErrorKind::ResultTooLarge,
            ),
            ("Query execution has exceeded the allowed limits. It was preempted.", ErrorKind::ResultTooLarge),
            ("Result size limit exceeded. Use \"summarize\" to aggregate results.", ErrorKind::ResultTooLarge),
            ("Query exceeded the timeout period.", ErrorKind::ResultTooLarge),
            ("Query stopped due to excessive resource consumption.", ErrorKind::ResultTooLarge),
            (
                "'summarize' operator: Failed to resolve scalar expression named 'IsInteetFacing'. Fix semantic errors \
                 in your query.",
                column("IsInteetFacing"),
            ),
            (
                "'where' operator: Failed to resolve column or scalar expression named 'é'",
                ErrorKind::UnknownColumn { name: None },
            ),
            ("É: failed to resolve column named \"x\"", column("x")),
            ("Failed to resolve scalar expression named Time.", column("Time")),
            ("'' operator: Failed to resolve table or column expression named 'DeviceTvm'.", table("DeviceTvm")),
            ("A recognition error occurred.", ErrorKind::QueryRefused),
            ("Query could not be parsed at 'summarise' on line [1,13]", ErrorKind::QueryRefused),
            ("The query cannot run because it exceeds the allowed size limit when processed.", ErrorKind::QueryRefused),
            ("Request body is incorrect", ErrorKind::BadRequest),
            ("", ErrorKind::BadRequest),
        ] {
            assert_eq!(kind(message), expected, "{message}");
        }
    }

    #[test]
    fn a_name_that_looks_like_none_is_not_repeated() {
        let secret = format!("Failed to resolve scalar expression named '{}'", "tell tale");
        assert_eq!(kind(&secret), ErrorKind::UnknownColumn { name: None });
        assert_eq!(kind("Failed to resolve scalar expression named '"), ErrorKind::UnknownColumn { name: None });
    }
}
