//! `check`: everything that is wrong, at once.

use super::{DONE, PARTLY, Source, give};
use crate::config::Options;
use clap::Args;

/// Look at the configuration.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    source: Source,
    /// Only the files: no network.
    #[arg(long)]
    offline: bool,
    /// Unknown keys are errors.
    #[arg(long)]
    strict: bool,
}

impl Check {
    /// Checks, and gives the exit code.
    pub fn run(self) -> u8 {
        let options = Options { strict: self.strict || !self.offline, offline: self.offline };
        let loaded = match self.source.load_or_say(options) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        for input in &loaded.config.inputs {
            let services: Vec<&str> = input.services.iter().map(|service| service.def.name).collect();
            give(format_args!("pass  input {}: {}", input.name, services.join(", ")));
        }
        for output in &loaded.config.outputs {
            give(format_args!("pass  output {}", output.name));
        }
        if !self.offline {
            give("warn  credentials and network: not looked at by this version; with --offline this is no warning");
            return PARTLY;
        }
        DONE
    }
}
