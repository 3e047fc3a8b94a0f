//! Columns of text for a person: as wide as they must be, never wider than the terminal, no colours.

use std::io::IsTerminal;

/// Where nobody says how wide the terminal is.
const WIDTH: usize = 80;
/// Between two columns.
const GAP: &str = "  ";
/// Before a line that belongs to the row above it.
const INDENT: &str = "    ";

/// Columns of the terminal on stdout; 80 where there is none.
pub(super) fn width() -> usize {
    let stdout = std::io::stdout();
    let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns >= 40).unwrap_or(WIDTH)
}

/// On which side of its column a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table that grows row by row. Where it would be too wide, its first column is cut.
pub(super) struct Table<const N: usize> {
    sides: [Side; N],
    width: usize,
    rows: Vec<Row<N>>,
}

/// A row, or a line below one.
enum Row<const N: usize> {
    Cells([String; N]),
    Below(String),
}

impl<const N: usize> Table<N> {
    /// With these columns, within so many columns of the terminal.
    pub(super) fn new(columns: &[(&str, Side); N], width: usize) -> Self {
        let titles = columns.map(|(title, _)| title.to_owned());
        Self { sides: columns.map(|(_, side)| side), width, rows: vec![Row::Cells(titles)] }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(Row::Cells(cells));
    }

    /// Adds lines that belong to the row before.
    pub(super) fn below(&mut self, lines: &[String]) {
        self.rows.extend(lines.iter().cloned().map(Row::Below));
    }

    /// All of it, each line ended.
    pub(super) fn text(&self) -> String {
        let mut widths = [0; N];
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let rest: usize = widths.iter().skip(1).map(|width| width + GAP.len()).sum();
        widths[0] = widths[0].min(self.width.saturating_sub(rest).max(1));
        let mut text = String::new();
        for row in &self.rows {
            match row {
                Row::Below(line) => text.push_str(&format!("{INDENT}{line}")),
                Row::Cells(cells) => {
                    let padded = cells.iter().zip(widths).zip(self.sides).map(|((cell, width), side)| {
                        let cell = cut(cell, width);
                        match side {
                            Side::Left => format!("{cell:<width$}"),
                            Side::Right => format!("{cell:>width$}"),
                        }
                    });
                    text.push_str(padded.collect::<Vec<_>>().join(GAP).trim_end());
                }
            }
            text.push('\n');
        }
        text
    }
}

/// At most so many characters; the last one shows that there were more.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A text in lines for [`Table::below`]. A control character becomes a space, so that nothing draws on the terminal.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.saturating_sub(INDENT.len()).max(20);
    let mut lines = vec![String::new()];
    for word in text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty())
    {
        let line = lines.last_mut().expect("it begins with one");
        if line.is_empty() {
            line.push_str(&cut(word, width));
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(cut(&format!("  {word}"), width));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_gives_way_when_a_row_is_too_wide() {
        let mut table = Table::new(&[("NAME", Side::Left), ("N", Side::Right)], 12);
        table.row(["much too long a name".to_owned(), "12".to_owned()]);
        table.row(["b".to_owned(), "3".to_owned()]);
        assert_eq!(table.text(), "NAME       N\nmuch to…  12\nb          3\n");
    }

    #[test]
    fn a_long_text_is_broken_between_words_and_draws_nothing() {
        let lines = wrapped("one two three four five\u{1b}[31m six", 24);
        assert_eq!(lines, ["one two three four", "  five [31m six"]);
    }
}
