//! Devo tags: what breaks a header is refused, what no table answers to is warned about.

use super::problem::Fault;
use super::section::Section;

/// The official collector's bound. Unit: characters.
const LONGEST: usize = 1_024;

/// The tag under `devo_tag`, or `override_devo_tag`, its official name.
pub(super) fn load(section: &Section<'_>) -> Option<String> {
    let tag = section.text("devo_tag").alias("override_devo_tag").check(|tag| legal(tag)).optional()?;
    if !usual(&tag)
        && let Some(entry) = section.entry("devo_tag").or(section.entry("override_devo_tag"))
    {
        let fault = Fault::new("the tag has an unusual shape, so that no table may answer to it");
        section.report.warning(
            entry.value.at(),
            fault.help("two to six levels of letters, digits, `_` and `-`, such as my.app.defender.alerts"),
        );
    }
    Some(tag)
}

/// Refuses what would break the header of an event.
fn legal(tag: &str) -> Result<(), Fault> {
    if tag.len() > LONGEST {
        return Err(Fault::new(format!("is a tag of more than {LONGEST} characters")));
    }
    match tag.chars().any(|c| !c.is_ascii_graphic() || c == ':') {
        true => Err(Fault::new("is no tag").help("a tag has no space, colon, control or non-ASCII character")),
        false => Ok(()),
    }
}

/// Whether it is two to six levels of letters, digits, `_` and `-`.
fn usual(tag: &str) -> bool {
    let level =
        |level: &str| !level.is_empty() && level.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    (2..=6).contains(&tag.split('.').count()) && tag.split('.').all(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_breaks_the_header_is_refused() {
        for tag in ["a b", "a:b", "a.é", "a.\n", &"a".repeat(1_025)] {
            assert!(legal(tag).is_err(), "{tag}");
        }
        assert!(legal(&"a".repeat(1_024)).is_ok());
    }

    #[test]
    fn two_to_six_levels_are_usual() {
        for (tag, is) in [
            ("a.b", true),
            ("a.b.c.d.e.f", true),
            ("a", false),
            ("a.b.c.d.e.f.g", false),
            ("a..b", false),
            ("a.*", false),
        ] {
            assert_eq!(usual(tag), is, "{tag}");
        }
    }
}
