//! `explain`: where one record is.

use super::chosen::Look;
use super::state::configuration;
use super::table::{width, wrapped};
use super::{DONE, Format, PARTLY, give, place, say};
use crate::pipeline::explain::{Explained, explain, told};
use crate::pipeline::survey::Only;
use clap::Args;
use std::fmt::Write;

/// Where one record is: when it was seen, as which events it was stored, where they are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mde-collector explain da637472900382838869_1364969609 --config config.yaml\n  \
                        mde-collector explain da637472900382838869_1364969609 --config config.yaml --format json\n\nAlerts, \
                        investigations and other records with versions: 30 days back. Machines and other entities of snapshots: \
                        the newest snapshot. Also beside a running collector. Exit code 1: nothing is known of it.")]
pub struct Explain {
    /// The record's id as the API gives it; of a hunting row its hash.
    id: String,
    #[command(flatten)]
    look: Look,
}

impl Explain {
    /// Tells it, and gives the exit code.
    pub async fn run(self) -> u8 {
        match self.tell().await {
            Ok(code) | Err(code) => code,
        }
    }

    async fn tell(self) -> Result<u8, u8> {
        let Look { source, chosen, format } = self.look;
        let config = configuration(&source)?;
        let chosen = chosen.resolve(&config)?;
        let only = Only { services: &chosen.services, tenants: &chosen.tenants };
        let store = place::look(&config).await?;
        let explained = explain(&config, only, &store, &self.id).await.map_err(|error| {
            say(format_args!("failed to {error}"));
            PARTLY
        })?;
        match format {
            Format::Json => give(serde_json::to_string(&explained).expect("it has a JSON form")),
            Format::Table => give(picture(&explained, width()).trim_end()),
        }
        let known = !explained.versions.is_empty() || !explained.entities.is_empty();
        Ok(if known { DONE } else { PARTLY })
    }
}

/// The whole story within so many columns.
fn picture(explained: &Explained, width: usize) -> String {
    let mut text = format!("{}\n", explained.id);
    let mut tell = |depth: usize, line: &str| {
        for part in wrapped(line, width.saturating_sub(2 * depth)) {
            writeln!(text, "{:1$}{part}", "", 2 * depth).expect("a String takes everything");
        }
    };
    told(explained, &mut tell);
    text
}
