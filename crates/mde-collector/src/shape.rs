//! Rows of another API in the form of the source, and what versions from two APIs are compared by. Pure: the same row gives the
//! same text, octet for octet; what the form lacks is left out, what the row lacks is null.

use crate::record::{Cursor, JsonError, RawObject, unquoted};
use crate::service::{Core, Field, JOINT, Pick, Take};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// How an element of an array says what it is.
const TYPE: &str = "@odata.type";
/// What stands around the kind in it.
const TYPED: (&str, &str) = ("#microsoft.graph.security.", "Evidence");

/// A row in the source's own form, compact.
///
/// # Errors
/// A row that is no JSON object.
pub fn shaped(fields: &[Field], row: &[u8]) -> Result<String, JsonError> {
    let mut text = String::with_capacity(row.len());
    object(fields, &RawObject::parse(row)?, &mut text);
    Ok(text)
}

/// Writes an object of these properties.
fn object(fields: &[Field], row: &RawObject<'_>, out: &mut String) {
    out.push('{');
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push('"');
        out.push_str(field.name);
        out.push_str("\":");
        value(&field.take, row, out);
    }
    out.push('}');
}

/// Writes one value.
fn value(take: &Take, row: &RawObject<'_>, out: &mut String) {
    let null = |out: &mut String| out.push_str("null");
    match take {
        Take::Any(paths) => match first(row, paths) {
            Some(value) => Cursor::new(value).compact(out),
            None => null(out),
        },
        Take::Word(path, pairs) => match at(row, path).filter(|value| value.starts_with('"')) {
            Some(value) => {
                let word = unquoted(value);
                let other = pairs.iter().find(|(theirs, _)| word.eq_ignore_ascii_case(theirs));
                quoted(&other.map_or_else(|| capital(&word), |(_, ours)| (*ours).to_owned()), out);
            }
            None => null(out),
        },
        Take::Number(path) => match at(row, path) {
            Some(value) if is_number_in_quotes(value) => out.push_str(&unquoted(value)),
            Some(value) => out.push_str(value),
            None => null(out),
        },
        Take::Total(path) => out.push_str(at(row, path).unwrap_or("0")),
        Take::Flag(path) => match at(row, path) {
            Some("1" | "true") => out.push_str("true"),
            Some("0" | "false") => out.push_str("false"),
            Some(other) => Cursor::new(other).compact(out),
            None => null(out),
        },
        Take::Lists(paths) => lists(row, paths, out),
        Take::Joined(paths) => {
            let parts: Option<Vec<_>> = paths.iter().map(|path| row.text(path)).collect();
            match parts {
                Some(parts) => quoted(&parts.join(JOINT), out),
                None => null(out),
            }
        }
        Take::Kind => match kind(row) {
            Some(kind) => quoted(&capital(&kind), out),
            None => null(out),
        },
        Take::Of(pick, take) => match picked(row, pick) {
            Some(element) => value(take, &element, out),
            None => null(out),
        },
        Take::Object(pick, fields) => match picked(row, pick) {
            Some(element) => object(fields, &element, out),
            None => null(out),
        },
        Take::Each { array, but, fields } => {
            out.push('[');
            let mut first = true;
            for element in objects(row.get(array)) {
                if !but.is_empty() && is_kind(&element, but) {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                object(fields, &element, out);
            }
            out.push(']');
        }
        Take::Nothing => null(out),
    }
}

/// Writes all elements of lists; a text that is no list is one element.
fn lists(row: &RawObject<'_>, paths: &[&str], out: &mut String) {
    out.push('[');
    let mut first = true;
    let mut add = |element: &str, out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        Cursor::new(element).compact(out);
    };
    for value in paths.iter().filter_map(|path| at(row, path)) {
        let inside = if value.starts_with('"') { unquoted(value) } else { Cow::Borrowed(value) };
        let is_list = inside.starts_with('[') && serde_json::from_str::<serde::de::IgnoredAny>(&inside).is_ok();
        if is_list {
            elements(&inside).for_each(|element| add(element, out));
        } else if !inside.is_empty() {
            add(value, out);
        }
    }
    out.push(']');
}

/// The value at a path; null counts as none.
fn at<'a>(row: &RawObject<'a>, path: &str) -> Option<&'a str> {
    let value = match path.split_once('.') {
        None => row.get(path)?,
        Some((outer, inner)) => {
            let outer = row.get(outer).filter(|value| value.starts_with('{'))?;
            at(&RawObject::parse(outer.as_bytes()).ok()?, inner)?
        }
    };
    (value != "null").then_some(value)
}

/// The first of them that is there.
fn first<'a>(row: &RawObject<'a>, paths: &[&str]) -> Option<&'a str> {
    paths.iter().find_map(|path| at(row, path))
}

/// Elements of an array, as written; none of anything else.
fn elements(array: &str) -> impl Iterator<Item = &str> {
    let is_array = array.starts_with('[');
    let mut cursor = Cursor::new(array);
    if is_array {
        cursor.open();
    }
    std::iter::from_fn(move || (is_array && cursor.element()).then(|| cursor.value()))
}

/// Those that are objects.
fn objects(array: Option<&str>) -> impl Iterator<Item = RawObject<'_>> {
    elements(array.unwrap_or_default()).filter_map(|element| RawObject::parse(element.as_bytes()).ok())
}

/// What an element says that it is, without what stands around it.
fn kind<'a>(element: &RawObject<'a>) -> Option<Cow<'a, str>> {
    let name = element.text(TYPE)?;
    let name = name.strip_prefix(TYPED.0).unwrap_or(&name);
    Some(Cow::Owned(name.strip_suffix(TYPED.1).unwrap_or(name).to_owned()))
}

/// Whether an element is of that kind; the vendor spells kinds in two ways.
fn is_kind(element: &RawObject<'_>, wanted: &str) -> bool {
    kind(element).is_some_and(|kind| kind.eq_ignore_ascii_case(wanted))
}

/// The element that is meant.
fn picked<'a>(row: &RawObject<'a>, pick: &Pick) -> Option<RawObject<'a>> {
    let all: Vec<_> = objects(row.get(pick.array)).filter(|element| is_kind(element, pick.kind)).collect();
    let holds = |element: &RawObject<'_>, list: &str, wanted: &[&str]| {
        let mut words = elements(element.get(list).unwrap_or_default()).map(unquoted);
        words.any(|word| wanted.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)))
    };
    let mut preferred =
        pick.prefer.iter().filter_map(|(list, wanted)| all.iter().position(|one| holds(one, list, wanted)));
    let index = preferred.next().unwrap_or(0);
    all.into_iter().nth(index)
}

/// A word with its first letter in upper case.
fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Writes a text as JSON.
fn quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("a text has a JSON form"));
}

/// Whether a literal is a text of digits that JSON takes for a number.
fn is_number_in_quotes(literal: &str) -> bool {
    let digits = unquoted(literal);
    let plain = digits == "0" || !digits.starts_with('0');
    literal.starts_with('"') && !digits.is_empty() && plain && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// A hash of what both APIs show of a version in the same way; of a row in the source's own form.
#[must_use]
pub fn core_hash(core: &Core, row: &RawObject<'_>) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update(part.as_bytes());
        hash.update([0]);
    };
    for name in core.words {
        let word = row.text(name).unwrap_or_default().to_lowercase();
        add(if core.unknown.contains(&word.as_str()) { "" } else { &word });
    }
    for name in core.lengths {
        add(&elements(row.get(name).unwrap_or_default()).count().to_string());
    }
    // Updates append what is there already, so different elements count, in any order.
    let names: BTreeSet<String> =
        objects(row.get(core.array)).filter_map(|element| part_name(core, &element)).collect();
    names.iter().for_each(|name| add(name));
    let digest = hash.finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// What names an element; `None` where its kind does not count.
fn part_name(core: &Core, element: &RawObject<'_>) -> Option<String> {
    let kind = element.text(core.kind)?;
    let (kind, parts) = core.parts.iter().find(|(known, _)| kind.eq_ignore_ascii_case(known))?;
    let values =
        parts.iter().map(|names| first(element, names).map(unquoted_or_bare).unwrap_or_default().to_lowercase());
    Some(std::iter::once((*kind).to_owned()).chain(values).collect::<Vec<_>>().join("\u{1}"))
}

/// A text without its quotes, anything else as it is.
fn unquoted_or_bare(literal: &str) -> Cow<'_, str> {
    if literal.starts_with('"') { unquoted(literal) } else { Cow::Borrowed(literal) }
}

#[cfg(test)]
mod tests;
