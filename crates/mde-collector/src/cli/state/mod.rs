//! `state`: everyday work on what the collector keeps.

mod change;
mod moving;
mod official;
mod pickle;
mod show;
mod table;

pub(in crate::cli) use table::{width, wrapped};

use super::chosen::Chosen;
use super::{DONE, Source, USAGE, give, place, say};
use crate::config::{Config, Options};
use crate::store::sqlite;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Checkpoints, outbox, dead letters: look, check, start again, move.
#[derive(Debug, Args)]
pub struct State {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with it.
#[derive(Debug, Subcommand)]
enum Command {
    /// How every stream and output stands; also beside a running collector.
    #[command(after_help = "Examples:\n  mde-collector state show --config config.yaml\n  \
                            mde-collector state show --config config.yaml --format json | jq '.streams[] | select(.lag_s > 600)'")]
    Show(Show),
    /// Read every page, every frame and every sum; changes nothing.
    #[command(
        after_help = "Examples:\n  mde-collector state verify --config config.yaml\n\nExit code 4: the files are damaged, \
                            not ours, or of another version; the last line says the way out."
    )]
    Verify(Plain),
    /// Start streams again: everything from their first start is sent once more, with the same @event_id.
    #[command(
        after_help = "Examples:\n  mde-collector state reset --config config.yaml --tenant acme --service alerts\n\nWithout \
                            --tenant and --service all streams start again. What waits to be delivered stays."
    )]
    Reset(Reset),
    /// Have dead letters sent again by the next run.
    #[command(after_help = "Examples:\n  mde-collector state replay --config config.yaml\n  \
                            mde-collector state replay --config config.yaml --output devo_1")]
    Replay(Replay),
    /// Forget an output that was removed from the configuration, with what waits for it.
    #[command(after_help = "Examples:\n  mde-collector state drop-output old_devo --config config.yaml")]
    DropOutput(DropOutput),
    /// Write the whole state to a file, to move it or to keep it; also beside a running collector.
    #[command(
        after_help = "Examples:\n  mde-collector state export backup.ndjson --config config.yaml\n\nThe file holds events that \
                            wait to be delivered: keep it as safe as the state folder. Its form: docs/operations.md."
    )]
    Export(Moving),
    /// Read such a file into an empty state folder.
    #[command(after_help = "Examples:\n  mde-collector state import backup.ndjson --config config.yaml")]
    Import(Moving),
    /// Go on where the official collector stood, as far as its state files tell.
    #[command(
        after_help = "Examples:\n  mde-collector state import-official /devo-collector/state --config config.yaml\n\nOnly plain \
                            values are read; nothing in the files is executed. Before the first run with this configuration."
    )]
    ImportOfficial(ImportOfficial),
}

/// Form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person.
    Table,
    /// For a program.
    Json,
}

/// `show`.
#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    chosen: Chosen,
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// A command that needs the configuration and no more.
#[derive(Debug, Args)]
struct Plain {
    #[command(flatten)]
    source: Source,
}

/// `reset`.
#[derive(Debug, Args)]
struct Reset {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    chosen: Chosen,
}

/// `replay`.
#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    source: Source,
    /// Only those of this output.
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
}

/// `drop-output`.
#[derive(Debug, Args)]
struct DropOutput {
    /// Its name, as it stood in the configuration.
    name: String,
    #[command(flatten)]
    source: Source,
}

/// `export` and `import`.
#[derive(Debug, Args)]
struct Moving {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    source: Source,
}

/// `import-official`.
#[derive(Debug, Args)]
struct ImportOfficial {
    /// The official collector's state folder.
    directory: PathBuf,
    #[command(flatten)]
    source: Source,
}

/// The configuration. Nothing here calls an API, so what only calls need may still be missing.
pub fn configuration(source: &Source) -> Result<Config, u8> {
    source.load_or_say(Options { offline: true, ..Options::default() }).map(|loaded| loaded.config)
}

impl State {
    /// Does it, and gives the exit code.
    pub async fn run(self) -> u8 {
        let done = match self.command {
            Command::Show(show) => show::run(show).await,
            Command::Verify(plain) => verify(&plain.source).await,
            Command::Reset(reset) => change::reset(reset).await,
            Command::Replay(replay) => change::replay(replay).await,
            Command::DropOutput(drop) => change::drop_output(drop).await,
            Command::Export(moving) => moving::export(moving).await,
            Command::Import(moving) => moving::import(moving).await,
            Command::ImportOfficial(import) => official::run(import).await,
        };
        done.map_or_else(|code| code, |()| DONE)
    }
}

/// Checks everything.
async fn verify(source: &Source) -> Result<(), u8> {
    let config = configuration(source)?;
    let directory = place::folder(&config)?;
    if !sqlite::is_begun(directory) {
        say(format_args!("{}: there is no state yet", directory.display()));
        return Err(USAGE);
    }
    let frames = sqlite::verify(directory, place::wall()).await.map_err(|error| place::unusable(&error))?;
    give(format_args!("{}: whole; {frames} frames wait to be delivered", directory.display()));
    Ok(())
}
