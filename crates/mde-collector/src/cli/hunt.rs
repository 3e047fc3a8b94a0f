//! `hunt`: one hunting query, its rows on stdout.

use super::export::time;
use super::progress::{Measure, Progress};
use super::sheet::{Form, Sheet};
use super::target::Target;
use super::watched::Watched;
use super::{DENIED, DONE, PARTLY, Source, USAGE, known_tenants, quotas, say};
use crate::config::{Input, Options};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::pipeline::export::ExportError;
use crate::pipeline::hunt::{Answered, hunt};
use crate::pipeline::retry::PipelineError;
use clap::Args;
use mde_client::ErrorKind;
use mde_client::hunting::Endpoint;
use std::fs;
use std::io::{self, Read, Write, stdin};
use std::sync::Arc;

/// Run one advanced-hunting query.
#[derive(Debug, Args)]
#[command(
    after_help = "Runs on Microsoft Graph where the application has ThreatHunting.Read.All, else on the Defender endpoint \
                        (AdvancedQuery.Read.All), which stops answering on 2027-02-01. Times are UTC, as the API gives them. An \
                        answer has 100,000 rows at most; what was cut is said.\n\n\
                        Exit codes: 0 answered; 1 the query failed; 2 usage, configuration or a query that cannot be read; 3 a \
                        right is missing.\n\n\
                        Examples:\n  mde-collector hunt --config config.yaml 'DeviceLogonEvents | where Timestamp > ago(1h) | take 20'\n  \
                        mde-collector hunt --config config.yaml @query.kql --format csv > rows.csv\n  \
                        echo 'DeviceInfo | count' | mde-collector hunt --config config.yaml - --format ndjson --timespan 7d"
)]
pub struct HuntArguments {
    /// The query (KQL); `@FILE` reads it from a file, `-` from stdin.
    #[arg(value_name = "KQL")]
    query: String,
    #[command(flatten)]
    source: Source,
    /// The input whose tenant is asked; needed where there are several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Look at no other time than this: `7d`, or from and to (`2026-10-01/2026-11-01`). Only Microsoft Graph can be told so.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    timespan: Option<Span>,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

/// From and to; `None`: now. Unit: milliseconds since 1970, UTC.
type Span = (i64, Option<i64>);

/// A span as it is written.
fn span(text: &str) -> Result<Span, String> {
    let (from_ms, to_ms) = match text.split_once('/') {
        Some((from, to)) => (time(from)?, Some(time(to)?)),
        None => (time(text)?, None),
    };
    match to_ms.is_some_and(|to_ms| from_ms >= to_ms) {
        true => Err("the first moment must lie before the second".to_owned()),
        false => Ok((from_ms, to_ms)),
    }
}

impl HuntArguments {
    /// Asks, and gives the exit code.
    pub async fn run(self) -> u8 {
        match self.hunt().await {
            Ok(()) => DONE,
            Err(code) => code,
        }
    }

    async fn hunt(self) -> Result<(), u8> {
        let config = self.source.load_calmly(Options::default())?;
        let input = self.input(&config.inputs)?;
        let query = self.text().map_err(|error| {
            say(format_args!("failed to read the query: {error}"));
            USAGE
        })?;
        let quotas = quotas(&config, &config.globals.persistence).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let target = Target::open(None).map_err(|error| wrong(&error))?;
        let mut watched = Watched {
            sheet: Sheet::new(self.format, target)
                .map_err(|error| wrong(&format!("make a temporary file: {error}")))?,
            progress: Progress::new("hunting", Measure::None),
        };
        let within = self.timespan.map(|(from_ms, to_ms)| (from_ms, to_ms.unwrap_or_else(|| clock.wall_ms())));
        let answered = hunt(input, &quotas, &clock, (&query, within), &mut watched).await;
        let Watched { sheet, progress } = watched;
        progress.end(sheet.rows());
        match answered {
            Ok(answered) => self.told(&answered, sheet),
            Err(error) if error.is_over() => Ok(()),
            Err(error) => Err(refused(&error, &query)),
        }
    }

    /// The input that is asked.
    fn input<'c>(&self, inputs: &'c [Input]) -> Result<&'c Input, u8> {
        match (&self.tenant, inputs) {
            (Some(name), _) => {
                known_tenants(inputs, std::slice::from_ref(name))?;
                Ok(inputs.iter().find(|input| input.name == *name).expect("it is known"))
            }
            (None, [only]) => Ok(only),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|input| input.name.as_str()).collect();
                say(format_args!("there are several inputs ({}): name one with --tenant", names.join(", ")));
                Err(USAGE)
            }
        }
    }

    /// The query itself.
    fn text(&self) -> io::Result<String> {
        let text = match self.query.strip_prefix('@') {
            Some(file) => fs::read_to_string(file)?,
            None if self.query == "-" => {
                let mut text = String::new();
                stdin().read_to_string(&mut text)?;
                text
            }
            None => self.query.clone(),
        };
        // A file of another system begins with a mark that is no part of it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
        match text.is_empty() {
            true => Err(io::Error::other("it is empty")),
            false => Ok(text.to_owned()),
        }
    }

    /// Gives the rows, and says what should be known about them.
    fn told(&self, answered: &Answered, sheet: Sheet) -> Result<(), u8> {
        let columns: Vec<String> = answered.columns.iter().map(|(name, _)| name.clone()).collect();
        let cut = answered.is_cut().then(|| {
            format!("the answer was cut at {} rows: narrow the query, or write `summarize` into it", answered.rows)
        });
        let given = sheet.finish(&columns).and_then(|mut target| {
            if self.format == Form::Table {
                writeln!(target, "\n{} rows, times are UTC{}", answered.rows, note(answered.endpoint))?;
            }
            target.keep()
        });
        match given {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(wrong(&format!("write: {error}"))),
            _ => {}
        }
        if let Some(cut) = cut {
            say(cut);
        }
        Ok(())
    }
}

/// What is to be known about who has answered.
const fn note(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Graph => "",
        Endpoint::Defender => {
            "; the Defender endpoint has answered, which stops on 2027-02-01: grant ThreatHunting.Read.All"
        }
    }
}

/// Says what went wrong with a query, and where in it.
fn refused(error: &ExportError, query: &str) -> u8 {
    say(format_args!("failed to {error}"));
    let kind = match error {
        ExportError::Pull(PipelineError::Api(error)) => Some(error.kind()),
        _ => None,
    };
    if let Some(ErrorKind::UnknownColumn { name: Some(name) } | ErrorKind::UnknownTable { name: Some(name) }) = kind
        && let Some(place) = place(query, name)
    {
        say(place);
    }
    match kind {
        Some(
            ErrorKind::QueryRefused
            | ErrorKind::UnknownColumn { .. }
            | ErrorKind::UnknownTable { .. }
            | ErrorKind::BadRequest,
        ) => USAGE,
        Some(ErrorKind::ResultTooLarge) => {
            say("ask for less: a shorter time, fewer columns (`project`), or `summarize`");
            PARTLY
        }
        _ if error.is_denied() => DENIED,
        _ => {
            if matches!(error, ExportError::Timespan) {
                return USAGE;
            }
            if let Some(advice) = error.advice() {
                say(advice);
            }
            PARTLY
        }
    }
}

/// Where a name stands in a query: its line, and a mark below it.
fn place(query: &str, name: &str) -> Option<String> {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    query.lines().zip(1..).find_map(|(line, number)| {
        let alone = |at: &usize| {
            let (before, behind) = (&line[..*at], &line[at + name.len()..]);
            !before.ends_with(part) && !behind.starts_with(part)
        };
        let at = line.match_indices(name).map(|(at, _)| at).find(alone)?;
        let column = line[..at].chars().count();
        let below: String = line[..at].chars().map(|letter| if letter == '\t' { '\t' } else { ' ' }).collect();
        let mark = "^".repeat(name.chars().count());
        Some(format!("line {number}, column {}:\n  {line}\n  {below}{mark}", column + 1))
    })
}

/// Says what is wrong here, not there.
fn wrong(what: &str) -> u8 {
    say(format_args!("failed to {what}"));
    PARTLY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_marked_where_it_stands_alone() {
        let query = "DeviceInfo\n| where Timestamps > 1 and Tiem > ago(1d)";
        let wanted =
            "line 2, column 28:\n  | where Timestamps > 1 and Tiem > ago(1d)\n                             ^^^^";
        assert_eq!(place(query, "Tiem").as_deref(), Some(wanted));
        assert_eq!(place(query, "Timestamp"), None, "it is only part of another name");
        assert_eq!(place("é\tx", "x").as_deref(), Some("line 1, column 3:\n  é\tx\n   \t^"));
    }

    #[test]
    fn a_span_has_an_order() {
        assert!(span("2026-10-01/2026-11-01").is_ok_and(|(from_ms, to_ms)| to_ms == Some(from_ms + 31 * 86_400_000)));
        assert!(span("2026-11-01/2026-10-01").is_err());
        assert!(span("7d").is_ok_and(|(_, to_ms)| to_ms.is_none()));
        assert!(span("yesterday").is_err());
    }
}
