//! The command line: one file per command. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 done; 1 something failed while other things worked; 2 usage or configuration; 3 credentials refused for
//! every tenant; 4 the state store is unusable.

mod check;
mod chosen;
mod config;
mod demo;
#[cfg(test)]
mod documented;
mod explain;
mod export;
mod generated;
mod hunt;
mod place;
mod plan;
mod progress;
mod run;
mod sheet;
mod signals;
mod simulate;
mod state;
mod table;
mod target;
mod watched;

use crate::config::{Config, Input, Loaded, Options, Persistence, Problems, load, load_job};
use crate::quota::Quotas;
use clap::{Args, Parser, Subcommand, ValueEnum};
use progress::AboveBars;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Everything worked.
pub const DONE: u8 = 0;
/// Something failed while other things worked.
pub const PARTLY: u8 = 1;
/// Usage or configuration.
pub const USAGE: u8 = 2;
/// Credentials refused for every tenant.
pub const DENIED: u8 = 3;
/// The state store is unusable.
pub const STORE: u8 = 4;

/// Collects Microsoft Defender for Endpoint data and delivers it to Devo, losing nothing.
#[derive(Debug, Parser)]
#[command(
    name = "mde-collector",
    version,
    after_help = "Examples:\n  mde-collector demo\n  mde-collector check --offline --config config.yaml\n  mde-collector run --config config.yaml"
)]
struct Arguments {
    /// Form of the log on stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Auto)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    /// The main job: pull and deliver until stopped.
    Run(run::Run),
    /// Say everything that is wrong with the configuration, and whether everybody in it can be reached.
    Check(check::Check),
    /// Schema, example and conversion of configurations.
    Config(config::Config),
    /// Before anything runs: how many calls a configuration makes, and whether they fit Microsoft's quota.
    Plan(plan::Plan),
    /// Simulator, collector and outputs in one process: see it work.
    Demo(demo::Demo),
    /// A tenant to try things on, without Microsoft.
    Simulate(simulate::Simulate),
    /// Checkpoints, outbox, dead letters: look, check, start again, move.
    State(state::State),
    /// Where one record is: when it was seen, as which events it was stored, where they are.
    Explain(explain::Explain),
    /// One service once, into a file or onto stdout; the collector's own state is left alone.
    Export(export::Export),
    /// One advanced-hunting query, its rows as a table, JSON lines or CSV.
    Hunt(hunt::HuntArguments),
    /// Shell completions, on stdout.
    Completions(generated::Completions),
    /// Manual pages.
    Man(generated::Manual),
}

impl Command {
    /// Whether it speaks of errors alone where nobody watches: its data is for other programs.
    const fn is_calm(&self) -> bool {
        matches!(self, Self::Export(_) | Self::Hunt(_))
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

/// Form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person.
    Table,
    /// For a program.
    Json,
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct Source {
    /// Configuration file, YAML or JSON; looked up as given, then in `config/`.
    #[arg(long, env = "CONFIG_FILE", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The official job form: inputs.
    #[arg(long = "job_config_loc", value_name = "FILE", requires = "collector_config_loc")]
    job_config_loc: Option<PathBuf>,
    /// The official job form: outputs and state.
    #[arg(long = "collector_config_loc", value_name = "FILE", requires = "job_config_loc")]
    collector_config_loc: Option<PathBuf>,
}

impl Source {
    /// Loads it. `None`: the command line names no file.
    fn load(&self, options: Options) -> Option<Result<Loaded, Problems>> {
        let environment = |name: &str| std::env::var(name).ok();
        match (&self.job_config_loc, &self.collector_config_loc, &self.config) {
            (Some(job), Some(collector), _) => Some(load_job(job, collector, &environment, options)),
            (_, _, Some(file)) => Some(load(file, &environment, options)),
            _ => None,
        }
    }

    /// Loads it once more, for a process that runs with these inputs of it; everything that is wrong where it cannot be used.
    fn read_again(&self, tenants: &[String]) -> Result<Loaded, Vec<String>> {
        let loaded = self.load(Options::default()).ok_or_else(Vec::new)?;
        let loaded = loaded.map_err(|problems| problems.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        unknown_tenant(&loaded.config.inputs, tenants).map_or(Ok(loaded), |told| Err(vec![told]))
    }

    /// Loads it, or says everything that is wrong on stderr.
    fn load_or_say(&self, options: Options) -> Result<Loaded, u8> {
        self.load_or_tell(options, Format::Table)
    }

    /// The same, where warnings are for nobody but a person: `check` has them for all others.
    fn load_calmly(&self, options: Options) -> Result<Config, u8> {
        let loaded = self.loaded(options, Format::Table)?;
        if std::io::stderr().is_terminal() {
            loaded.warnings.iter().for_each(say);
        }
        Ok(loaded.config)
    }

    /// Loads it, or says everything that is wrong: on stderr for a person, on stdout as one JSON array for a program.
    fn load_or_tell(&self, options: Options, format: Format) -> Result<Loaded, u8> {
        let loaded = self.loaded(options, format)?;
        loaded.warnings.iter().for_each(say);
        Ok(loaded)
    }

    /// Loads it, or says what is wrong.
    fn loaded(&self, options: Options, format: Format) -> Result<Loaded, u8> {
        match self.load(options) {
            Some(Ok(loaded)) => Ok(loaded),
            Some(Err(problems)) if format == Format::Json => {
                give(serde_json::to_string_pretty(&problems).expect("a problem is plain data"));
                Err(USAGE)
            }
            Some(Err(problems)) => {
                problems.0.iter().for_each(say);
                Err(USAGE)
            }
            None => {
                say(
                    "no configuration: name one with --config FILE, or set CONFIG_FILE; `demo` writes one to start from",
                );
                Err(USAGE)
            }
        }
    }
}

/// The budgets of a configuration, kept where its state is; says so where they cannot be.
async fn quotas(config: &Config, persistence: &Persistence) -> Result<Quotas, u8> {
    Quotas::open(config, persistence, place::wall()).await.map_err(|error| {
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        say(format_args!("failed to {error}{cause}"));
        STORE
    })
}

/// Whether these are inputs of the configuration; says so where one is not.
fn known_tenants(inputs: &[Input], tenants: &[String]) -> Result<(), u8> {
    unknown_tenant(inputs, tenants).map_or(Ok(()), |told| {
        say(told);
        Err(USAGE)
    })
}

/// What is wrong with the first of these that is no input; `None` where all are.
fn unknown_tenant(inputs: &[Input], tenants: &[String]) -> Option<String> {
    let name = tenants.iter().find(|name| inputs.iter().all(|input| input.name != **name))?;
    let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    Some(format!("--tenant {name}: there is no such entry under inputs; there is {}", known.join(", ")))
}

/// One thing for a person, on stderr.
fn say(what: impl Display) {
    // Where stderr is gone there is nobody to tell.
    writeln!(AboveBars, "{what}").ok();
}

/// Data, on stdout.
fn give(what: impl Display) {
    // A reader that has gone, as `head` does, has had enough.
    writeln!(stdout(), "{what}").ok();
}

/// The official command line has no sub-command: `--config F` is `run`, `--validate` is `check`. So is a bare call where
/// the environment names a configuration, as the official image is started; `named`: it does.
fn official(arguments: impl IntoIterator<Item = OsString>, named: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let flags =
        ["--config", "--job_config_loc", "--collector_config_loc", "--prod-mode", "--no-save-state", "--validate"];
    let names_flag = |argument: &OsString| {
        argument.to_str().is_some_and(|text| flags.contains(&text.split('=').next().unwrap_or(text)))
    };
    // Ours may stand before it.
    let place = if arguments.get(1).is_some_and(|argument| argument == "--log-format") { 3 } else { 1 };
    if arguments.get(place).map_or(named && arguments.len() == place, names_flag) {
        let validate = arguments.iter().any(|argument| argument == "--validate");
        arguments.retain(|argument| argument != "--validate" && argument != "--prod-mode");
        arguments.insert(place, if validate { "check" } else { "run" }.into());
        if validate {
            arguments.retain(|argument| argument != "--no-save-state");
        }
    }
    arguments
}

/// Parses, runs, and gives the exit code.
pub fn main() -> ExitCode {
    let named = std::env::var_os("CONFIG_FILE").is_some_and(|file| !file.is_empty());
    let arguments = match Arguments::try_parse_from(official(std::env::args_os(), named)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { DONE };
            return error.print().map_or(ExitCode::from(PARTLY), |()| ExitCode::from(code));
        }
    };
    let demo = matches!(arguments.command, Command::Demo(_));
    match demo.then(demo::log_file).flatten() {
        Some(file) => log(arguments.log_format == LogFormat::Json, false, LOGGED, std::sync::Mutex::new(file)),
        None => log_to_stderr(arguments.log_format, arguments.command.is_calm()),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format_args!("failed to start the runtime: {error}"));
            return ExitCode::from(PARTLY);
        }
    };
    let code = runtime.block_on(async {
        match arguments.command {
            Command::Run(run) => run.run().await,
            Command::Check(check) => check.run().await,
            Command::Config(config) => config.run(),
            Command::Plan(plan) => plan.run().await,
            Command::Demo(demo) => demo.run().await,
            Command::Simulate(simulate) => simulate.run().await,
            Command::State(state) => state.run().await,
            Command::Explain(explain) => explain.run().await,
            Command::Export(export) => export.run().await,
            Command::Hunt(hunt) => hunt.run().await,
            Command::Completions(completions) => completions.run(),
            Command::Man(manual) => manual.run(),
        }
    });
    ExitCode::from(code)
}

/// Logs to stderr: for a person on a terminal, else for a program.
fn log_to_stderr(format: LogFormat, calm: bool) {
    let terminal = stderr().is_terminal();
    let json = format == LogFormat::Json || (format == LogFormat::Auto && !terminal);
    let logged = match (calm, terminal) {
        (false, _) => LOGGED,
        (true, true) => "warn",
        (true, false) => "error",
    };
    log(json, terminal, logged, || AboveBars);
}

/// What is logged where `RUST_LOG` does not say: our own events and everybody's warnings.
const LOGGED: &str = "warn,mde_collector=info";

/// Logs what `RUST_LOG` asks for; `logged` where it is not set.
fn log<W>(json: bool, colours: bool, logged: &str, writer: W)
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(logged));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    if json { builder.json().flatten_event(true).init() } else { builder.with_ansi(colours).init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_official_command_line_is_run_or_check() {
        for (given, meant) in [
            ("c --config f --prod-mode", "c run --config f"),
            ("c --prod-mode --config f", "c run --config f"),
            ("c --config f --no-save-state", "c run --config f --no-save-state"),
            ("c --config=f --validate", "c check --config=f"),
            ("c --validate --no-save-state --config f", "c check --config f"),
            ("c --job_config_loc j --collector_config_loc k", "c run --job_config_loc j --collector_config_loc k"),
            ("c --log-format json --config f", "c --log-format json run --config f"),
            ("c run --config f", "c run --config f"),
            ("c --help", "c --help"),
            ("c", "c"),
        ] {
            assert_eq!(official(words(given), false), words(meant), "{given}");
        }
        assert_eq!(official(words("c"), true), words("c run"), "the environment names the file");
        assert_eq!(official(words("c --help"), true), words("c --help"));
        for meant in ["c run --config f --no-save-state", "c check --config f", "c run --config f"] {
            Arguments::try_parse_from(words(meant)).expect("it is understood");
        }
    }
}
