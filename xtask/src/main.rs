//! The project's own tasks: `cargo x check` is the gate and equals CI.

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use std::process::Command;

/// The project's own tasks.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// What can be asked for.
#[derive(Subcommand)]
enum Task {
    /// Format, lints as errors, all tests.
    Check,
    /// Rewrites the golden files; review the difference like code.
    Golden,
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Check => {
            cargo(&["fmt", "--all", "--check"], None)?;
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], None)?;
            cargo(&["test", "--workspace"], None)
        }
        Task::Golden => cargo(&["test", "--package", "mde-collector", "--lib", "golden"], Some("UPDATE_GOLDEN")),
    }
}

/// Runs cargo, with a variable set to 1 if one is named.
fn cargo(arguments: &[&str], variable: Option<&str>) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments);
    if let Some(variable) = variable {
        command.env(variable, "1");
    }
    let shown = format!("cargo {}", arguments.join(" "));
    let status = command.status().with_context(|| format!("failed to start {shown}"))?;
    ensure!(status.success(), "{shown} failed");
    Ok(())
}
