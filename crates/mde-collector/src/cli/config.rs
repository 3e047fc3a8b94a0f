//! `config`: what a configuration may hold, an example of one, and an official one in our own layout.

use super::{DONE, Files, Source, USAGE, give, say};
use crate::config::{Original, convert, example, schema};
use clap::{Args, Subcommand};

/// Schema, example and conversion of configurations.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mde-collector config example > config.yaml\n  mde-collector config schema > mde-collector.schema.json\n  mde-collector config convert --config official.yaml > config.yaml"
)]
pub struct Config {
    #[command(subcommand)]
    command: Command,
}

/// What is given.
#[derive(Debug, Subcommand)]
enum Command {
    /// JSON Schema, for editors.
    #[command(after_help = "Example:\n  mde-collector config schema > mde-collector.schema.json")]
    Schema,
    /// A commented configuration with every key.
    #[command(after_help = "Example:\n  mde-collector config example > config.yaml")]
    Example,
    /// A configuration of the official collector in our own layout, and on stderr what was changed.
    #[command(after_help = "Example:\n  mde-collector config convert --config official.yaml > config.yaml")]
    Convert(Source),
}

impl Config {
    /// Gives it, and the exit code.
    pub fn run(self) -> u8 {
        match self.command {
            Command::Schema => give(serde_json::to_string_pretty(&schema()).expect("a schema is JSON")),
            Command::Example => give(example().trim_end()),
            Command::Convert(source) => return converted(&source),
        }
        DONE
    }
}

/// Converts what the command line names.
fn converted(source: &Source) -> u8 {
    let files = source.files();
    let original = match &files {
        Some(Files::Job(job, collector)) => Original::Job(job, collector),
        Some(Files::One(file)) => Original::File(file),
        None => {
            say("no configuration: name one with --config FILE, or set CONFIG_FILE");
            return USAGE;
        }
    };
    match convert(original, &|name| std::env::var(name).ok()) {
        Ok(converted) => {
            converted.changes.iter().for_each(say);
            let count = converted.changes.len();
            let noun = if count == 1 { "change" } else { "changes" };
            say(format_args!("{count} {noun}; comments are not carried over"));
            give(converted.text.trim_end());
            DONE
        }
        Err(problems) => {
            problems.0.iter().for_each(say);
            USAGE
        }
    }
}
