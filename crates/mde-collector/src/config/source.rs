//! A configuration file's text: the lines that a message shows, and the parts of them that none ever shows.

use super::problem::Snippet;
use std::path::{Path, PathBuf};

/// A place in a file; both count from 1. Unit: characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Point {
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
}

/// A stretch of a file, its end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Span {
    /// Number of the file, in the order of reading.
    pub source: usize,
    /// Its first character.
    pub start: Point,
    /// The character after its last.
    pub end: Point,
}

/// Most characters of a line that a message shows; a file of one long line is no reason to flood a terminal.
const WINDOW: usize = 110;
/// Characters shown before the part that matters when the line is cut.
const LEAD: usize = 40;
/// Characters of a line on either side of a place that are looked at; more than can be shown.
const SURROUNDINGS: usize = 400;
/// What stands for a hidden part.
const MASK: &str = "***";

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    /// The file, as it was named.
    pub name: String,
    /// The folder it lies in.
    pub folder: PathBuf,
    /// Its text, without the ends of the lines.
    lines: Vec<String>,
    /// What may be shown beside punctuation, in no order: keys and values, so neither comments nor names of anchors.
    shown: Vec<(Point, Point)>,
    /// What is never shown, whatever else is said about it, in no order.
    hidden: Vec<(Point, Point)>,
}

impl Source {
    /// Takes a file's text in, of which nothing may be shown yet.
    pub fn new(path: &Path, text: &str) -> Self {
        // A lone CR ends a line in YAML as well.
        let lines = text.replace("\r\n", "\n").split(['\n', '\r']).map(str::to_owned).collect();
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Self { name: path.display().to_string(), folder, lines, shown: Vec::new(), hidden: Vec::new() }
    }

    /// From now on this stretch is shown, unless it is hidden.
    pub fn show(&mut self, span: Span) {
        self.shown.push((span.start, span.end));
    }

    /// From now on this stretch is masked.
    pub fn hide(&mut self, span: Span) {
        self.hidden.push((span.start, span.end));
    }

    /// The line in which a stretch begins, masked but for what may be shown, and with controls made harmless.
    pub fn snippet(&self, span: Span) -> Option<Snippet> {
        let Point { line: number, column } = span.start;
        let line = self.lines.get(number - 1)?;
        let touches = |(start, end): &&(Point, Point)| start.line <= number && number <= end.line;
        let shown: Vec<_> = self.shown.iter().filter(touches).collect();
        let hidden: Vec<_> = self.hidden.iter().filter(touches).collect();
        let holds = |spans: &[&(Point, Point)], at: Point| spans.iter().any(|(start, end)| *start <= at && at < *end);
        let mut text: Vec<char> = Vec::new();
        let (mut from, mut to, mut masked) = (None, None, false);
        // Of a very long line only the surroundings are looked at.
        let first = column.saturating_sub(SURROUNDINGS);
        for (index, c) in line.chars().enumerate().skip(first).take(2 * SURROUNDINGS) {
            let at = Point { line: number, column: index + 1 };
            from = from.or((at >= span.start).then_some(text.len()));
            to = to.or((at >= span.end).then_some(text.len()));
            let hide = holds(&hidden, at) || !(is_structure(c) || holds(&shown, at));
            match (hide, masked) {
                (true, false) => text.extend(MASK.chars()),
                (true, true) => {}
                (false, _) => text.push(if c.is_control() { ' ' } else { c }),
            }
            masked = hide;
        }
        let offset = from.unwrap_or(text.len());
        let width = to.unwrap_or(text.len()).saturating_sub(offset).max(1);
        Some(window(&text, offset, width))
    }
}

/// The part of a line that is shown.
fn window(line: &[char], offset: usize, width: usize) -> Snippet {
    if line.len() <= WINDOW {
        return Snippet { text: line.iter().collect::<String>().trim_end().to_owned(), offset, width };
    }
    let skip = offset.saturating_sub(LEAD);
    let end = line.len().min(skip + WINDOW);
    let mut text: String = line[skip..end].iter().collect();
    let mut offset = offset - skip;
    if skip > 0 {
        text.insert(0, '…');
        offset += 1;
    }
    if end < line.len() {
        text.push('…');
    }
    let width = width.min(text.chars().count().saturating_sub(offset)).max(1);
    Snippet { text, offset, width }
}

/// Whether a character is the grammar's and no value's.
fn is_structure(c: char) -> bool {
    c.is_whitespace() || matches!(c, ':' | ',' | '{' | '}' | '[' | ']' | '"' | '\'' | '-' | '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(line: usize, from: usize, to: usize) -> Span {
        Span { source: 0, start: Point { line, column: from }, end: Point { line, column: to } }
    }

    #[test]
    fn a_hidden_part_is_masked_and_the_caret_still_points_right() {
        let mut source = Source::new(Path::new("a.yaml"), "{secret: hunter2, id: ''} # hunter3");
        source.show(span(1, 1, 26));
        source.hide(span(1, 10, 17));
        let snippet = source.snippet(span(1, 23, 25)).unwrap();
        assert_eq!(snippet, Snippet { text: "{secret: ***, id: ''} # ***".into(), offset: 18, width: 2 });
    }

    #[test]
    fn a_long_line_is_cut_around_what_matters() {
        let line = format!("{}X{}", "a".repeat(5_000), "b".repeat(5_000));
        let mut source = Source::new(Path::new("a"), &line);
        source.show(span(1, 1, 10_002));
        let snippet = source.snippet(span(1, 5_001, 5_002)).unwrap();
        assert_eq!(snippet.text.chars().nth(snippet.offset), Some('X'));
        assert_eq!(snippet.text.chars().count(), WINDOW + 2);
    }
}
