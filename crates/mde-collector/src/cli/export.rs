//! `export`: one pull of one service into a file, or onto stdout.

use super::progress::{Measure, Progress};
use super::sheet::{Form, Sheet};
use super::signals;
use super::target::Target;
use super::watched::Watched;
use super::{DENIED, DONE, PARTLY, Source, USAGE, known_tenants, quotas, say};
use crate::config::{Config, Options, moment_before};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::pipeline::export::{ExportError, Exporter};
use crate::pipeline::source::{self, Export as Wanted};
use crate::pull::Gap;
use crate::quota::Quotas;
use crate::record::ms;
use crate::service::{self, Pull, SERVICES, ServiceDef};
use crate::status::moment;
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal, stderr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where an export begins when nobody says. Source: design, "Command line".
const BACK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Read one service once, into a file or onto stdout; the collector's own state is left alone.
#[derive(Debug, Args)]
#[command(
    after_help = "Entities leave as the API gives them, but for values that `obfuscation_data` hides, each once; --flatten \
                        gives the events that `run` would store. Alerts are read by lastUpdateTime, investigations by startTime \
                        (those that have not begun yet come too), hunting queries by their timestamp_column, vulnerabilities by \
                        updatedOn where --since is given; everything else is read as a whole.\n\n\
                        Exit codes: 0 all of it is there; 1 it is not whole (what there is lies in PATH.partial); 2 usage or \
                        configuration; 3 a right is missing.\n\n\
                        Examples:\n  mde-collector export alerts --config config.yaml --since 24h > alerts.ndjson\n  \
                        mde-collector export machines --config config.yaml --format csv --output machines.csv\n  \
                        mde-collector export alerts --config config.yaml --since 2026-10-01 --until 2026-11-01 --flatten | jq .title\n  \
                        mde-collector export machines --config config.yaml --id 1e5bc9d7e413ddd7902c2932e418702b84d0cc07 --topic software\n  \
                        mde-collector export advanced_hunting --config config.yaml --query logons --output '{tenant}.ndjson'"
)]
pub struct Export {
    /// alerts, machines, vulnerabilities, software, recommendations, investigations or advanced_hunting.
    #[arg(value_parser = find)]
    service: &'static ServiceDef,
    #[command(flatten)]
    source: Source,
    /// Only this input; may be given several times.
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<String>,
    /// From when on: so long ago (7d, 12h), a date, or a date with a time (RFC 3339). Default: 7 days back.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Until when, in the same forms. Default: now.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// Only this entity.
    #[arg(long, value_name = "ID", conflicts_with_all = ["since", "until"])]
    id: Option<String>,
    /// What belongs to it instead: files, users, machines …; each service has its own.
    #[arg(long, value_name = "TOPIC", requires = "id", conflicts_with = "flatten")]
    topic: Option<String>,
    /// Only this query of `advanced_hunting`.
    #[arg(long, value_name = "NAME")]
    query: Option<String>,
    /// The file; `{tenant}` and `{query}` in it are replaced. Default: stdout.
    #[arg(long, short, value_name = "PATH")]
    output: Option<String>,
    /// Form of the data.
    #[arg(long, value_enum, default_value_t = Lines::Ndjson)]
    format: Lines,
    /// Events instead of entities.
    #[arg(long)]
    flatten: bool,
}

/// Form of exported data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lines {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header; what is nested is JSON text.
    Csv,
}

/// A service by any of its spellings.
fn find(name: &str) -> Result<&'static ServiceDef, String> {
    let known: Vec<&str> = SERVICES.iter().map(|def| def.name).collect();
    service::find(name).ok_or_else(|| format!("there is no such service; there is {}", known.join(", ")))
}

/// A moment. Unit: milliseconds since 1970, UTC.
pub fn time(text: &str) -> Result<i64, String> {
    moment_before(text, SystemClock.wall_ms())
}

/// One stream to be exported, and where to.
struct Job {
    /// Place of its input in the configuration.
    input: usize,
    /// What is read.
    source: source::Source,
    /// The file; `None`: stdout.
    path: Option<PathBuf>,
}

impl Export {
    /// Exports, and gives the exit code.
    pub async fn run(self) -> u8 {
        match self.export().await {
            Ok(code) | Err(code) => code,
        }
    }

    async fn export(self) -> Result<u8, u8> {
        let refused = |what: String| {
            say(what);
            USAGE
        };
        self.possible().map_err(refused)?;
        let options = Options { service: Some(self.service.name), ..Options::default() };
        let config = self.source.load_calmly(options)?;
        known_tenants(&config.inputs, &self.tenants)?;
        let now_ms = SystemClock.wall_ms();
        let jobs = self.jobs(&config, now_ms).map_err(refused)?;
        let quotas = quotas(&config, &config.globals.persistence).await?;
        let stop = signals::stopping("stopping: what was read is kept");
        let (mut whole, mut denied) = (0, 0);
        let all = jobs.len();
        for job in jobs {
            match self.job(&config, &quotas, job, now_ms, stop.clone()).await {
                Ok(()) => whole += 1,
                Err(Failed::Denied) => denied += 1,
                Err(Failed::Usage) => return Ok(USAGE),
                Err(Failed::Partly) => {}
            }
            if *stop.borrow() {
                break;
            }
        }
        Ok(match (whole, denied) {
            (whole, _) if whole == all => DONE,
            (_, denied) if denied == all => DENIED,
            _ => PARTLY,
        })
    }

    /// Whether what was asked for goes together.
    fn possible(&self) -> Result<(), String> {
        let name = self.service.name;
        let hunts = self.service.pull.contains(&Pull::Slices);
        if hunts && self.id.is_some() {
            return Err(format!("--id: rows of {name} have no id; ask for them with `hunt`"));
        }
        if !hunts && self.query.is_some() {
            return Err(format!("--query: {name} has no queries; only advanced_hunting has"));
        }
        let timed = self.service.pull.iter().any(|pull| !matches!(pull, Pull::Snapshot { .. }));
        if !timed && (self.since.is_some() || self.until.is_some()) {
            return Err(format!(
                "--since, --until: {name} has no time to read it by; leave them out to read all of it"
            ));
        }
        if self.since.zip(self.until).is_some_and(|(since_ms, until_ms)| since_ms >= until_ms) {
            return Err("--since, --until: the first must lie before the second".to_owned());
        }
        if let Some(topic) = &self.topic
            && self.service.counts.iter().all(|count| !count.is_about(topic))
        {
            let known: Vec<&str> = self.service.counts.iter().map(service::Count::topic).collect();
            let there = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(format!("--topic {topic}: nothing of the kind belongs to one of {name}; there is {there}"));
        }
        Ok(())
    }

    /// What is read, and where it goes.
    fn jobs(&self, config: &Config, now_ms: i64) -> Result<Vec<Job>, String> {
        let since_ms = self.since.unwrap_or(self.until.unwrap_or(now_ms).saturating_sub(ms(BACK)));
        let wanted = Wanted { since_ms, until_ms: self.until, flatten: self.flatten, id: self.id.clone() };
        let mut jobs = Vec::new();
        for (input, tenant) in config.inputs.iter().enumerate() {
            if !self.tenants.is_empty() && !self.tenants.contains(&tenant.name) {
                continue;
            }
            for service in tenant.services.iter().filter(|service| service.def.name == self.service.name) {
                for source in source::Source::of(tenant, service) {
                    let name = source.query.as_ref().map(|query| query.name.clone());
                    if self.query.is_none() || self.query == name {
                        let source = source.exported(wanted.clone(), self.since.is_some() || self.until.is_some());
                        jobs.push(Job { input, source, path: self.path(&tenant.name, name.as_deref()) });
                    }
                }
            }
        }
        self.fits(config, &jobs)?;
        Ok(jobs)
    }

    /// The file for one of them.
    fn path(&self, tenant: &str, query: Option<&str>) -> Option<PathBuf> {
        // A name is a part of a path and never leads elsewhere.
        let safe = |name: &str| name.replace(['/', '\0'], "_");
        let path = self.output.as_ref()?.replace("{tenant}", &safe(tenant));
        Some(PathBuf::from(path.replace("{query}", &safe(query.unwrap_or_default()))))
    }

    /// Whether there is something to read, and a place of its own for each.
    fn fits(&self, config: &Config, jobs: &[Job]) -> Result<(), String> {
        let names = |jobs: &mut dyn Iterator<Item = String>| {
            let mut names: Vec<String> = jobs.collect();
            names.dedup();
            names
        };
        if jobs.is_empty() {
            let of = self.query.as_ref().map_or_else(|| "query".to_owned(), |query| format!("query {query}"));
            return Err(format!(
                "there is no {of} under advanced_hunting of these inputs; `hunt` runs one without configuration"
            ));
        }
        let tenants = names(&mut jobs.iter().map(|job| config.inputs[job.input].name.clone()));
        let has = |placeholder| self.output.as_ref().is_some_and(|output| output.contains(placeholder));
        if tenants.len() > 1 && !has("{tenant}") {
            let tenants = tenants.join(", ");
            return Err(format!(
                "several inputs have it ({tenants}): name one with --tenant, or write {{tenant}} into --output"
            ));
        }
        let mut queries = jobs.iter().filter_map(|job| Some(job.source.query.as_ref()?.name.clone()));
        let queries = names(&mut queries);
        if queries.len() > 1 && !has("{query}") {
            let queries = queries.join(", ");
            return Err(format!(
                "there are several queries ({queries}): name one with --query, or write {{query}} into --output"
            ));
        }
        if let Some(query) =
            jobs.iter().filter_map(|job| job.source.query.as_ref()).find(|query| query.timestamp_column.is_none())
            && (self.since.is_some() || self.until.is_some())
        {
            return Err(format!("--since, --until: the query {} has no timestamp_column to read it by", query.name));
        }
        Ok(())
    }

    /// Exports one of them, and says what is missing.
    async fn job(
        &self,
        config: &Config,
        quotas: &Quotas,
        Job { input, source, path }: Job,
        now_ms: i64,
        stop: watch::Receiver<bool>,
    ) -> Result<(), Failed> {
        let query = source.query.as_ref().map_or_else(String::new, |query| format!("/{}", query.name));
        let name = format!("{}/{}{query}", source.input, source.service.def.name);
        let failed = |what: &dyn std::fmt::Display, failed: Failed| {
            say(format_args!("failed to {what}"));
            failed
        };
        let target = Target::open(path.as_deref()).map_err(|error| failed(&error, Failed::Usage))?;
        let folder = target.folder();
        let on_disk = |error: io::Error| failed(&format_args!("make temporary files: {error}"), Failed::Partly);
        let form = match self.format {
            Lines::Ndjson => Form::Ndjson,
            Lines::Csv => Form::Csv,
        };
        let sheet = Sheet::new(form, target).map_err(on_disk)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let exporter = Exporter::new(config, &config.inputs[input], quotas, clock);
        let exporter = exporter.map_err(|error| failed(&error, Failed::Usage))?;
        let count =
            self.topic.as_ref().and_then(|topic| source.service.def.counts.iter().find(|it| it.is_about(topic)));
        let rows = match (stderr().is_terminal(), count) {
            (true, None) => exporter.rows(&source).await,
            _ => None,
        };
        let wanted = source.export.as_ref().filter(|_| *source.pull == Pull::Slices);
        let measure = match (rows, wanted) {
            (Some(rows), _) => Measure::Rows(rows),
            (None, Some(Wanted { since_ms, until_ms, .. })) => Measure::Span(*since_ms, until_ms.unwrap_or(now_ms)),
            (None, None) => Measure::None,
        };
        let mut watched = Watched { sheet, progress: Progress::new(&name, measure) };
        let exported = match count {
            Some(count) => {
                let related = source.clone().related(count, self.id.as_deref().unwrap_or_default());
                exporter.related((source, related), &folder, &mut watched, stop).await
            }
            None => exporter.source(source, &folder, &mut watched, stop).await,
        };
        let Watched { sheet, progress } = watched;
        let told = progress.end(sheet.rows());
        ended(&name, exported, sheet, told)
    }
}

/// How an export that is not whole counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// A right is missing.
    Denied,
    /// Usage.
    Usage,
    /// Anything else.
    Partly,
}

/// Writes what waits, gives the file its name, or says what is missing and where the rest lies.
fn ended(
    name: &str,
    exported: Result<Vec<Gap>, ExportError>,
    sheet: Sheet,
    told: Option<String>,
) -> Result<(), Failed> {
    let missing = match exported {
        Ok(gaps) if gaps.is_empty() => None,
        Ok(gaps) => {
            for Gap { from_ms, to_ms, id, reason, .. } in &gaps {
                let what = id.as_ref().map_or_else(String::new, |id| format!("{id}, "));
                say(format_args!("{name}: not read: {what}{} to {}: {reason}", moment(*from_ms), moment(*to_ms)));
            }
            Some(Failed::Partly)
        }
        Err(error) if error.is_over() => return Ok(()),
        Err(error) => {
            say(format_args!("{name}: failed to {error}"));
            if let Some(advice) = error.advice() {
                say(format_args!("{name}: {advice}"));
            }
            Some(if error.is_denied() { Failed::Denied } else { Failed::Partly })
        }
    };
    let Some(failed) = missing else {
        return match sheet.finish(&[]).and_then(Target::keep) {
            Ok(()) => {
                if let Some(told) = told {
                    say(format_args!("{name}: {told}"));
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                say(format_args!("{name}: failed to write: {error}"));
                Err(Failed::Partly)
            }
        };
    };
    if let Some(partial) = sheet.leave().leave() {
        say(format_args!("{name}: it is not whole; what there is lies in {}", partial.display()));
    }
    Err(failed)
}
