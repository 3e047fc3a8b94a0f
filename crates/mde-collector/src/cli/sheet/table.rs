//! A table for a person: as many columns as the terminal has room for, each as wide as it needs or as it may be.

use super::{Columns, each, text};
use crate::cli::table::cut;
use std::io::{self, BufRead, Write};

/// A column gets at least this, if it needs it. Unit: characters.
const LEAST: usize = 8;
/// Between two columns.
const GAP: &str = "  ";

/// Writes titles and all rows within so many characters a line, and a line below that names what had no room.
pub fn write(columns: &Columns, rows: impl BufRead, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let titles: Vec<String> = columns.titles().map(|title| plain(&title)).collect();
    let needed = titles.iter().zip(&columns.widths).map(|(title, width)| title.chars().count().max(*width));
    let widths = fit(&needed.collect::<Vec<_>>(), width);
    let mut line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", cut(cell, *width)));
        writeln!(out, "{}", padded.collect::<Vec<_>>().join(GAP).trim_end())
    };
    if !titles.is_empty() {
        line(&titles)?;
    }
    each(rows, |record| {
        let cells = columns.cells(record);
        let shown = cells.iter().take(widths.len()).map(|cell| plain(&text(cell.unwrap_or("null"))));
        line(&shown.collect::<Vec<_>>())
    })?;
    let hidden = &titles[widths.len()..];
    if !hidden.is_empty() {
        writeln!(out, "\n{} more columns have no room here: {}", hidden.len(), hidden.join(", "))?;
    }
    Ok(())
}

/// The widths of the columns that have room, from the left: the widest give way first.
fn fit(needed: &[usize], width: usize) -> Vec<usize> {
    let least = needed.iter().map(|needed| (*needed).min(LEAST));
    let mut end = 0;
    let room = least.take_while(|least| {
        end += least + GAP.len();
        end - GAP.len() <= width
    });
    let shown = &needed[..room.count().max(1).min(needed.len())];
    let gaps = shown.len().saturating_sub(1) * GAP.len();
    let all = |most: usize| shown.iter().map(|needed| (*needed).min(most)).sum::<usize>() + gaps;
    let (mut fits, mut over) = (LEAST, shown.iter().max().map_or(LEAST, |widest| widest + 1));
    while over.saturating_sub(fits) > 1 {
        let middle = fits + (over - fits) / 2;
        if all(middle) <= width { fits = middle } else { over = middle }
    }
    shown.iter().map(|needed| (*needed).min(fits)).collect()
}

/// A text that draws nothing: a control character becomes a space.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RawObject;

    /// What is written of these records.
    fn written(records: &[&str], width: usize) -> String {
        let mut columns = Columns::default();
        for record in records {
            columns.note(&RawObject::parse(record.as_bytes()).expect("an object"));
        }
        let mut out = Vec::new();
        write(&columns, (records.join("\n") + "\n").as_bytes(), width, &mut out).expect("memory takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_widest_column_gives_way_and_no_line_is_wider_than_the_terminal() {
        let records =
            [r#"{"Id":1,"Command":"powershell -enc aaaaaaaaaaaaaaaaaaaa","Who":"adele"}"#, r#"{"Who":"\u001b[31m"}"#];
        let lines = [
            "Id  Command              Who".to_owned(),
            "1   powershell -enc aa…  adele".to_owned(),
            format!("{:26}[31m", ""),
        ];
        assert_eq!(written(&records, 30), lines.join("\n") + "\n");
    }

    #[test]
    fn columns_without_room_are_named_below() {
        let record = r#"{"First":"aaaaaaaaaaaa","Second":"bbbbbbbbbbbb","Third":"cccccccccccc"}"#;
        let text = written(&[record], 20);
        assert_eq!(text, "First      Second\naaaaaaaa…  bbbbbbbb…\n\n1 more columns have no room here: Third\n");
        assert!(written(&[record], usize::MAX).contains("cccccccccccc"));
    }
}
