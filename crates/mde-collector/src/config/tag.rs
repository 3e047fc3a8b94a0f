//! Devo tags: what breaks a header is refused, what no table answers to is warned about.

use super::key::{Form, Key, keys};
use super::problem::Fault;
use super::section::Section;

/// The official collector's bound. Unit: characters.
const LONGEST: usize = 1_024;

keys! {
    /// Where events go in Devo.
    pub(super) static KEYS;
    /// Devo tag of the events. An input's holds for all its services, a service's for all its queries.
    TAG: Key<String> = Key::parsed("devo_tag", Form::Text, |_, tag| legal(tag).map(|()| tag.to_owned()))
        .alias(&["override_devo_tag"]).official().otherwise("see services.md");
}

/// The tag, where one is written.
pub(super) fn load(section: &Section<'_>) -> Option<String> {
    let tag = section.optional(&TAG)?;
    if !usual(&tag) {
        let fault = Fault::new("the tag has an unusual shape, so that no table may answer to it");
        let help = "two to six levels of letters, digits, `_` and `-`, such as my.app.defender.alerts";
        section.warn(&TAG, fault.help(help));
    }
    Some(tag)
}

/// Reports that there is none and that there must be one; a wrong one has been reported already.
pub(super) fn missing(section: &Section<'_>) {
    if section.given(&TAG).is_none() {
        section.missing(&TAG);
    }
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
