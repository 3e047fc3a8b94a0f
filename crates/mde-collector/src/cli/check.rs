//! `check`: everything that is wrong, at once, and everybody that a configuration names asked for once.

use super::{DENIED, DONE, Format, PARTLY, Source, USAGE, give, quotas, say};
use crate::config::{Config, Options, Persistence};
use crate::pipeline::check::{Finding, Verdict, check};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::store::sqlite;
use clap::Args;
use std::sync::Arc;

/// Look at the configuration, and ask everybody that it names. Sends no event.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all is well, warnings apart; 1 something cannot be reached or fails; 2 the configuration is wrong; 3 a right is missing.\n\nExamples:\n  mde-collector check --config config.yaml\n  mde-collector check --offline --config config.yaml\n  mde-collector check --config config.yaml --format json\n  mde-collector check --offline --format json --config config.yaml   # what is wrong, for editors and CI"
)]
pub struct Check {
    #[command(flatten)]
    source: Source,
    /// Only the files: no network.
    #[arg(long)]
    offline: bool,
    /// Unknown keys are errors; always so without --offline.
    #[arg(long)]
    strict: bool,
    /// Only this input; may be given several times.
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<String>,
    /// Form of the answer; `json` also for what is wrong with the configuration, each problem with its place.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl Check {
    /// Checks, and gives the exit code.
    pub async fn run(self) -> u8 {
        let options = Options { strict: self.strict || !self.offline, offline: self.offline, ..Options::default() };
        let loaded = match self.source.load_or_tell(options, self.format) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        if let Err(told) = super::known_tenants(&loaded.config.inputs, &self.tenants) {
            return told;
        }
        let mut findings = match self.offline {
            true => read(&loaded.config),
            false => {
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let persistence = &loaded.config.globals.persistence;
                let quotas = match quotas(&loaded.config, persistence).await {
                    Ok(quotas) => quotas,
                    Err(told) => return told,
                };
                match check(&loaded.config, &self.tenants, &quotas, &clock).await {
                    Ok(findings) => findings,
                    Err(error) => {
                        say(format_args!("failed to {error}"));
                        return USAGE;
                    }
                }
            }
        };
        findings.extend(change_over(&loaded.config));
        match self.format {
            Format::Json => give(serde_json::to_string_pretty(&findings).expect("a finding is plain data")),
            Format::Table => give(table(&findings).trim_end()),
        }
        code(&findings)
    }
}

/// Files of the official collector in a state folder that ours has not begun: what they know is to be taken over first.
fn change_over(config: &Config) -> Option<Finding> {
    let Persistence::Filesystem { directory } = &config.globals.persistence else { return None };
    let found = sqlite::foreign_files(directory).unwrap_or_default();
    let is_official = |name: &&String| name.len() == 32 && name.bytes().all(|octet| octet.is_ascii_hexdigit());
    let count = found.iter().filter(is_official).count();
    (count > 0 && !sqlite::is_begun(directory)).then(|| Finding {
        kind: "state",
        tenant: None,
        name: None,
        verdict: Verdict::Warn,
        found: format!("{count} files of the official collector lie in {}", directory.display()),
        fix: Some(format!(
            "stop it, then `state import-official {}` with this configuration goes on where it stood; without that the first pull reaches 7 days back, or to `historical_poll_datetime`",
            directory.display()
        )),
    })
}

/// What is known without asking anybody.
fn read(config: &Config) -> Vec<Finding> {
    let finding = |kind, tenant, name: &str, found: String| Finding {
        kind,
        tenant,
        name: Some(name.to_owned()),
        verdict: Verdict::Pass,
        found,
        fix: None,
    };
    let services = config.inputs.iter().flat_map(|input| {
        let one = |service: &crate::config::ServiceConfig| {
            let found = format!("read, every {} s", service.period.as_secs());
            finding("service", Some(input.name.clone()), service.def.name, found)
        };
        input.services.iter().map(one).collect::<Vec<_>>()
    });
    let outputs = config.outputs.iter().map(|entry| finding("output", None, &entry.name, "read".to_owned()));
    services.chain(outputs).collect()
}

/// One line for each finding, and one for what to do where something is to be done.
fn table(findings: &[Finding]) -> String {
    let subject = |finding: &Finding| {
        let parts = [finding.tenant.as_deref(), finding.name.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" / ")
    };
    let width = |of: &dyn Fn(&Finding) -> usize| findings.iter().map(of).max().unwrap_or_default();
    let (kinds, subjects) = (width(&|finding| finding.kind.len()), width(&|finding| subject(finding).len()));
    let mut text = String::new();
    for finding in findings {
        let word = match finding.verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Denied | Verdict::Fail => "fail",
        };
        let (kind, subject) = (finding.kind, subject(finding));
        text += &format!("{word}  {kind:kinds$}  {subject:subjects$}  {}\n", finding.found);
        if let Some(fix) = &finding.fix {
            text += &format!("      fix: {fix}\n");
        }
    }
    text
}

/// A missing right goes before what cannot be reached: it needs a person.
fn code(findings: &[Finding]) -> u8 {
    let any = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    match (any(Verdict::Denied), any(Verdict::Fail)) {
        (true, _) => DENIED,
        (_, true) => PARTLY,
        _ => DONE,
    }
}
