//! A path, an address or a name that depends on the batch: literal text with `{tenant}`, `{service}`, `{tag}` and `{date}` in it.

use crate::record::BatchHead;
use jiff::Timestamp;
use jiff::tz::Offset;
use std::path::{Path, PathBuf};

/// A text with placeholders, parsed.
#[derive(Debug, Clone)]
pub(super) struct Template(Vec<Piece>);

/// A stretch of the text.
#[derive(Debug, Clone)]
enum Piece {
    /// Taken as it stands.
    Literal(String),
    /// Name of the input.
    Tenant,
    /// Canonical service name.
    Service,
    /// Devo tag.
    Tag,
    /// UTC day of the pull, `YYYY-MM-DD`.
    Date,
}

/// A path that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// There is no path.
    #[error("the path is empty")]
    Empty,
    /// A brace without its partner.
    #[error("the path has a `{{` without `}}`")]
    Unclosed,
    /// A name that we do not know.
    #[error("the path has the placeholder {0:?}; known are tenant, service, tag and date")]
    Unknown(String),
}

impl Template {
    /// Reads a path.
    pub(super) fn parse(path: &str) -> Result<Self, TemplateError> {
        if path.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut pieces = Vec::new();
        let mut rest = path;
        while let Some((literal, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or(TemplateError::Unclosed)?;
            pieces.push(Piece::Literal(literal.to_owned()));
            pieces.push(match name {
                "tenant" => Piece::Tenant,
                "service" => Piece::Service,
                "tag" => Piece::Tag,
                "date" => Piece::Date,
                unknown => return Err(TemplateError::Unknown(unknown.to_owned())),
            });
            rest = behind;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The file that events of this batch go to.
    pub(super) fn path(&self, head: &BatchHead) -> String {
        self.fill(head, push_safe)
    }

    /// The text for events of this batch; `push` adds a value in the form that is safe where the text goes.
    pub(super) fn fill(&self, head: &BatchHead, push: fn(&mut String, &str)) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::Tenant => push(&mut filled, &head.input),
                Piece::Service => push(&mut filled, &head.service),
                Piece::Tag => push(&mut filled, &head.tag),
                Piece::Date => filled.push_str(&date(head.pulled_ms)),
            }
        }
        filled
    }

    /// Whether each day has a path of its own.
    pub(super) fn has_date(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Date))
    }

    /// The whole path where there is no placeholder in it, else the folder in front of the first one.
    pub(super) fn fixed_part(&self) -> PathBuf {
        let Some(Piece::Literal(first)) = self.0.first() else { return PathBuf::from(".") };
        if self.0.len() == 1 {
            return PathBuf::from(first);
        }
        let folder = first.rsplit_once('/').map_or(".", |(folder, _)| if folder.is_empty() { "/" } else { folder });
        Path::new(folder).to_owned()
    }
}

/// Adds a value so that it stays one part of a file name: no separator, no control character, and no dot at its start
/// or behind another dot, so that neither it nor two values side by side can climb out of the folder.
fn push_safe(path: &mut String, value: &str) {
    if value.is_empty() {
        path.push('_');
    }
    let mut before = '.';
    for letter in value.chars() {
        let unsafe_here = matches!(letter, '/' | '\\' | ':') || letter.is_control() || (letter == '.' && before == '.');
        path.push(if unsafe_here { '_' } else { letter });
        before = letter;
    }
}

/// UTC day as `YYYY-MM-DD`. A time that no calendar has counts as 1970.
fn date(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    Offset::UTC.to_datetime(time).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(input: &str, tag: &str) -> BatchHead {
        BatchHead {
            input: input.to_owned(),
            service: "alerts".to_owned(),
            tag: tag.to_owned(),
            pulled_ms: 1_795_564_799_999,
        }
    }

    #[test]
    fn placeholders_are_filled_from_the_batch() {
        let template = Template::parse("out/{tenant}/{service}-{date}.{tag}.ndjson").expect("valid");
        assert_eq!(template.path(&head("acme", "edr.x")), "out/acme/alerts-2026-11-24.edr.x.ndjson");
        assert_eq!(template.fixed_part(), Path::new("out"));
    }

    #[test]
    fn values_cannot_leave_their_place() {
        let template = Template::parse("/out/{tenant}{tag}/{service}").expect("valid");
        for (input, tag) in
            [("../../etc", "x"), (".", "."), ("..", "/"), ("", ".."), ("a/..", "../b"), ("a\0\n", "c:d\\e")]
        {
            let path = template.path(&head(input, tag));
            assert_eq!(path.matches('/').count(), 3, "{path}");
            assert!(path.starts_with("/out/") && path.ends_with("/alerts"), "{path}");
            assert!(!path.contains("..") && !path.contains("/."), "{path}");
        }
    }

    #[test]
    fn a_bad_path_is_refused_with_what_is_wrong() {
        assert_eq!(Template::parse("x/{tenat}").expect_err("bad"), TemplateError::Unknown("tenat".to_owned()));
        assert_eq!(Template::parse("x/{tenant").expect_err("bad"), TemplateError::Unclosed);
        assert_eq!(Template::parse("").expect_err("bad"), TemplateError::Empty);
    }

    #[test]
    fn the_fixed_part_is_what_no_batch_can_change() {
        for (path, fixed) in [("a/b.ndjson", "a/b.ndjson"), ("{service}", "."), ("/{tag}", "/"), ("a/b-{tag}/c", "a")] {
            assert_eq!(Template::parse(path).expect("valid").fixed_part(), Path::new(fixed), "{path}");
        }
    }
}
