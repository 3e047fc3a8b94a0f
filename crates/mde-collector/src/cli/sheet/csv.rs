//! Comma-separated values, RFC 4180: CRLF ends a line, quotes stand where a value has a comma, a quote or the end of a line in it.

use super::{Columns, each, text};
use std::io::{self, BufRead, Write};

/// Writes a header and all rows; nothing where there is no column.
pub fn write(columns: &Columns, rows: impl BufRead, out: &mut dyn Write) -> io::Result<()> {
    if columns.names.is_empty() {
        return Ok(());
    }
    let mut line = Vec::new();
    for title in columns.titles() {
        push(&mut line, &title, false);
    }
    end(&mut line, out)?;
    each(rows, |record| {
        for cell in columns.cells(record) {
            let value = cell.unwrap_or("null");
            // Null is nothing at all; an empty text is two quotes, so that one is told from the other.
            push(&mut line, &text(value), value == "\"\"");
        }
        end(&mut line, out)
    })
}

/// Adds a value and the comma behind it.
fn push(line: &mut Vec<u8>, value: &str, quoted: bool) {
    if quoted || value.contains(['"', ',', '\r', '\n']) {
        line.push(b'"');
        line.extend_from_slice(value.replace('"', "\"\"").as_bytes());
        line.push(b'"');
    } else {
        line.extend_from_slice(value.as_bytes());
    }
    line.push(b',');
}

/// Ends a line and writes it.
fn end(line: &mut Vec<u8>, out: &mut dyn Write) -> io::Result<()> {
    line.pop();
    line.extend_from_slice(b"\r\n");
    out.write_all(line)?;
    line.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RawObject;
    use proptest::prelude::*;

    /// What is written of these records.
    fn written(records: &[&str], declared: &[String]) -> String {
        let mut columns = Columns::default();
        for record in records {
            columns.note(&RawObject::parse(record.as_bytes()).expect("an object"));
        }
        let mut out = Vec::new();
        let spool: String = records.iter().map(|record| format!("{record}\n")).collect();
        write(&columns.behind(declared), spool.as_bytes(), &mut out).expect("memory takes everything");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_header_is_the_union_and_each_value_stands_below_its_own() {
        let records = [r#"{"a":1.0,"b":{"c":[1,"x"]}}"#, r#"{"d":"e,\"f\"\r\ng","a":null}"#, r#"{"b":"","a":true}"#];
        let wanted = "a,b,d\r\n1.0,\"{\"\"c\"\":[1,\"\"x\"\"]}\",\r\n,,\"e,\"\"f\"\"\r\ng\"\r\ntrue,\"\",\r\n";
        assert_eq!(written(&records, &[]), wanted);
    }

    #[test]
    fn a_name_that_stands_twice_is_two_columns_and_declared_ones_come_first() {
        let declared = ["z".to_owned(), "a".to_owned()];
        assert_eq!(written(&[r#"{"a":1,"a":2,"é":3}"#], &declared), "z,a,a_2,é\r\n,1,2,3\r\n");
        assert_eq!(written(&[], &declared), "z,a\r\n");
        assert_eq!(written(&[], &[]), "");
    }

    proptest! {
        #[test]
        fn another_reader_finds_the_values_that_went_in(rows in prop::collection::vec(prop::collection::vec(any::<String>(), 3), 1..8)) {
            let records: Vec<String> = rows.iter().map(|row| serde_json::json!({"x": row[0], "y": row[1], "z,\"": row[2]}).to_string()).collect();
            let records: Vec<&str> = records.iter().map(String::as_str).collect();
            let text = written(&records, &[]);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            prop_assert_eq!(reader.headers().unwrap(), &vec!["x", "y", "z,\""]);
            let found: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
            prop_assert_eq!(found, rows);
        }
    }
}
