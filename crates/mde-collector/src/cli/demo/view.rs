//! How the demo looks: a picture that is drawn over itself on a terminal, a line now and then elsewhere.

use super::facts::{DEVO, Facts, OutputFacts};
use crate::record::Position;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _, stderr};
use std::time::Duration;

/// Columns where the terminal does not tell.
const WIDTH: usize = 100;
/// Time between two plain lines.
const LINE: Duration = Duration::from_secs(1);

/// The place on which pictures are drawn: stderr, since stdout is for data.
pub struct Screen {
    /// Whether it is a terminal.
    terminal: bool,
    /// Lines of the last picture.
    height: usize,
}

impl Screen {
    /// Looks whether stderr is a terminal, and hides its cursor until `end`.
    pub fn new() -> Self {
        let terminal = stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        if terminal {
            put("\x1b[?25l");
        }
        Self { terminal, height: 0 }
    }

    /// Time between two pictures, where a terminal is to get one each `picture`.
    pub fn pace(&self, picture: Duration) -> Duration {
        if self.terminal { picture } else { LINE }
    }

    /// Shows a moment.
    pub fn show(&mut self, facts: &Facts) {
        if !self.terminal {
            put(&(line(facts) + "\n"));
            return;
        }
        let width = rustix::termios::tcgetwinsize(stderr()).map_or(WIDTH, |size| usize::from(size.ws_col).max(20));
        let lines = picture(facts);
        put(&over(self.height, &lines, width));
        self.height = lines.len();
    }

    /// Leaves the last picture and gives the cursor back.
    pub fn end(&mut self) {
        if self.terminal {
            put("\x1b[?25h\n");
        }
        self.terminal = false;
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end();
    }
}

/// Writes to stderr. A terminal that has gone needs no picture.
fn put(text: &str) {
    let mut stderr = stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// A picture over one of `height` lines, on a terminal of `width` columns.
fn over(height: usize, lines: &[String], width: usize) -> String {
    let mut text = match height {
        0 => String::new(),
        // The last picture may have been higher; what is left of it goes.
        height => format!("\x1b[{height}A\x1b[J"),
    };
    for line in lines {
        // A line that is wrapped would take two rows and spoil the way back.
        text.extend(line.chars().take(width - 1));
        text.push('\n');
    }
    text
}

/// A moment as lines of a picture.
fn picture(facts: &Facts) -> Vec<String> {
    let Facts { running, tenant, alerts, newest, versions, requests, quota, checkpoint_ms, stored, outputs } = facts;
    let [(minute, per_minute), (hour, per_hour)] = *quota;
    let mut lines = vec![
        format!("mde-collector demo, {} s; Ctrl-C ends it", running.as_secs()),
        String::new(),
        format!("Microsoft, simulated at {tenant}"),
        format!("  {} alerts, the newest:", grouped(*alerts as u64)),
    ];
    for alert in newest {
        lines.push(format!("    {}  {:<13}  {}", clock(&alert.updated), alert.severity, alert.title));
    }
    lines.push(format!("  {} requests, {} versions of alerts served", grouped(*requests), grouped(*versions as u64)));
    lines.push(format!(
        "  quota used: {minute} of {per_minute} calls a minute, {hour} of {} an hour",
        grouped(per_hour.into())
    ));
    let read = checkpoint_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let read = read.map_or_else(|| "nothing yet".to_owned(), |time| clock(&time.to_string()).to_owned());
    lines.extend([
        String::new(),
        "Collector".to_owned(),
        format!("  alerts read up to {read}, {} events stored", grouped(*stored)),
        String::new(),
        format!("{:<18}{:>10}{:>13}   {:<20}{}", "Outputs", "arrived", "unconfirmed", "confirmed up to", "where"),
    ]);
    for output in outputs {
        let OutputFacts { arrived, waiting, confirmed, place, .. } = output;
        let (arrived, waiting) = (grouped(*arrived), grouped(*waiting));
        let (title, confirmed) = (title(output), position(*confirmed));
        lines.push(format!("  {title:<16}{arrived:>10}{waiting:>13}   {confirmed:<20}{place}"));
    }
    lines
}

/// A moment as one line.
fn line(facts: &Facts) -> String {
    let mut line = format!(
        "{:>3} s: {} alerts, {} requests, {} events stored",
        facts.running.as_secs(),
        grouped(facts.alerts as u64),
        grouped(facts.requests),
        grouped(facts.stored)
    );
    for output in &facts.outputs {
        let _ = write!(line, ", {} arrived: {}", output.name, grouped(output.arrived));
    }
    line
}

/// What a person is told at the end: what came out, where it lies, and how to go on.
pub fn farewell(facts: &Facts, agrees: bool, program: &str) -> String {
    let folder = super::FOLDER;
    let mut text = String::new();
    for output in &facts.outputs {
        let _ = writeln!(text, "{:>10} events: {} ({})", grouped(output.arrived), output.place, title(output));
    }
    text.push_str(match agrees {
        true => "Both hold the same events, each as often.\n",
        false => "They differ: the demo ended before everything was confirmed, or sent something twice.\n",
    });
    let _ = write!(
        text,
        "\nLog: {folder}/log.txt; what ran: {folder}/config.yaml\n\nYour own tenant:\n  \
         1. replace what stands in <…> in {folder}/tenant.yaml\n  \
         2. {program} check --offline --config {folder}/tenant.yaml\n  \
         3. {program} run --config {folder}/tenant.yaml"
    );
    text
}

/// What an output is called.
fn title(output: &OutputFacts) -> String {
    match output.name {
        DEVO => "devo, over TLS".to_owned(),
        name => name.to_owned(),
    }
}

/// A position in words.
fn position(position: Position) -> String {
    match position {
        Position { batch: 0, .. } => "nothing yet".to_owned(),
        Position { batch, frame: u32::MAX } => format!("batch {batch}"),
        Position { batch, frame } => format!("batch {batch}, frame {frame}"),
    }
}

/// Time of day of an ISO time, to the second.
fn clock(time: &str) -> &str {
    time.get(11..19).unwrap_or(time)
}

/// A number in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::facts::Alert;
    use super::*;

    fn facts() -> Facts {
        let output = |name, batch| OutputFacts {
            name,
            arrived: 5_530,
            waiting: 0,
            confirmed: Position { batch, frame: 3 },
            place: format!("{name}-place"),
        };
        Facts {
            running: Duration::from_millis(12_900),
            tenant: "http://127.0.0.1:1".to_owned(),
            alerts: 1_004,
            newest: vec![Alert {
                updated: "2026-11-24T13:00:02.1234567Z".to_owned(),
                severity: "High".to_owned(),
                title: "Suspicious".to_owned(),
            }],
            versions: 1_010,
            requests: 15,
            quota: [(6, 80), (14, 1_200)],
            checkpoint_ms: Some(1_795_525_203_000),
            stored: 5_530,
            outputs: vec![output("files", 14), output("devo", 0)],
        }
    }

    #[test]
    fn a_picture_names_what_happens_at_each_place() {
        let picture = picture(&facts()).join("\n");
        for part in [
            "12 s",
            "1,004 alerts",
            "13:00:02  High",
            "15 requests, 1,010 versions",
            "6 of 80 calls a minute, 14 of 1,200 an hour",
            "5,530 events stored",
            "batch 14, frame 3",
            "devo, over TLS",
            "nothing yet",
        ] {
            assert!(picture.contains(part), "{part:?} is not in\n{picture}");
        }
    }

    #[test]
    fn the_plain_line_and_the_farewell_count_both_outputs() {
        assert_eq!(
            line(&facts()),
            " 12 s: 1,004 alerts, 15 requests, 5,530 events stored, files arrived: 5,530, devo arrived: 5,530"
        );
        let farewell = farewell(&facts(), true, "./mde-collector");
        assert!(farewell.contains("files-place") && farewell.contains("the same events"));
        assert!(farewell.contains("./mde-collector run --config mde-collector-demo/tenant.yaml"));
    }

    #[test]
    fn a_picture_covers_the_last_one_and_no_line_is_wrapped() {
        let lines = ["12345678".to_owned(), "é".repeat(9)];
        assert_eq!(over(0, &lines, 5), "1234\néééé\n");
        assert_eq!(over(3, &lines[..1], 80), "\x1b[3A\x1b[J12345678\n");
    }

    #[test]
    fn numbers_are_grouped_from_the_right() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
