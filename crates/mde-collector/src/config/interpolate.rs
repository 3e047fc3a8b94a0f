//! `${env:NAME}` and `${file:PATH}` inside any text; `$${` is a literal `${`.

use super::problem::Fault;

/// What a reference asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference<'t> {
    /// A variable of the environment.
    Env(&'t str),
    /// The content of a file.
    File(&'t str),
}

/// The text with every reference replaced; what `resolve` gives is taken as it is and not looked at again.
///
/// A `${` of another kind stays as it is: the official collector has no references, and a secret may hold anything.
pub(super) fn expand(text: &str, resolve: &dyn Fn(Reference<'_>) -> Result<String, Fault>) -> Result<String, Fault> {
    let (mut expanded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(literal) = before.strip_suffix('$') {
            expanded += literal;
            expanded += "${";
            rest = &reference[2..];
            continue;
        }
        expanded += before;
        let split = |prefix| {
            let end =
                || Fault::new("a reference has no end").help("close it with `}`, or write `$${` for a literal `${`");
            reference.strip_prefix(prefix).map(|name| name.split_once('}').ok_or_else(end)).transpose()
        };
        if let Some((name, after)) = split("${env:")? {
            expanded += &resolve(Reference::Env(name))?;
            rest = after;
        } else if let Some((path, after)) = split("${file:")? {
            expanded += &resolve(Reference::File(path))?;
            rest = after;
        } else {
            expanded += "${";
            rest = &reference[2..];
        }
    }
    expanded += rest;
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expands with `A` = `1` in the environment and `f` = `2` among the files.
    fn run(text: &str) -> Result<String, String> {
        let resolve = |reference: Reference<'_>| match reference {
            Reference::Env("A") => Ok("1".to_owned()),
            Reference::File("f") => Ok("${env:A}".to_owned()),
            other => Err(Fault::new(format!("{other:?}"))),
        };
        expand(text, &resolve).map_err(|fault| fault.message)
    }

    #[test]
    fn references_are_replaced_once_and_literals_stay() {
        for (text, expanded) in [
            ("", ""),
            ("a${env:A}b${env:A}", "a1b1"),
            ("${file:f}", "${env:A}"),
            ("$${env:A}", "${env:A}"),
            ("$${x} $5 $$ ${x} ${", "${x} $5 $$ ${x} ${"),
            ("é${env:A}é", "é1é"),
        ] {
            assert_eq!(run(text).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn a_reference_to_nothing_or_without_an_end_is_a_fault() {
        assert_eq!(run("${env:B}"), Err("Env(\"B\")".into()));
        assert_eq!(run("x${env:A"), Err("a reference has no end".into()));
    }
}
