//! The binary as it ships, against the simulator in a process of its own and a receiver in this one.
//! `cargo x bench memory|confirm|start|status|end-to-end`; docs/benchmarks.md says what each figure means.
#![expect(clippy::print_stdout, reason = "its only output is its numbers")]

mod collector;
mod confirm;
mod floor;
mod load;
mod memory;
mod receiver;
mod start;
mod status;
mod tenant;
mod whole;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::process::ExitCode;

/// A figure missed is an answer, not an error.
type Verdict = Result<bool, Box<dyn Error>>;

/// The binary against simulator and receiver.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
    /// What cargo adds when it runs benchmarks.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

/// What can be measured.
#[derive(Subcommand)]
enum Benchmark {
    /// Peak memory of `run --once` with a file and a TLS output.
    Memory(memory::Memory),
    /// Throughput over TLS with `confirm_after: 5s` against `0s`.
    Confirm(confirm::Confirm),
    /// Time of `run --once` against a tenant without alerts.
    Start(start::Start),
    /// Time of the status page and of its JSON for a thousand tenants.
    Status(status::Status),
    /// Processor time of the whole path for a million events, beside a floor that does no work.
    EndToEnd(whole::Whole),
    /// The floor, as a process of its own.
    #[command(hide = true)]
    Floor(floor::Floor),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A test run over all targets comes here as well; it has nothing to measure.
    let (true, Some(benchmark)) = (arguments.bench, arguments.benchmark) else {
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
    let reached = runtime.block_on(async {
        match benchmark {
            Benchmark::Memory(memory) => memory.run().await,
            Benchmark::Confirm(confirm) => confirm.run().await,
            Benchmark::Start(start) => start.run().await,
            Benchmark::Status(status) => status.run().await,
            Benchmark::EndToEnd(whole) => whole.run().await,
            Benchmark::Floor(floor) => floor.run().await,
        }
    });
    match reached {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("the goal was missed");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("failed to {error}");
            ExitCode::FAILURE
        }
    }
}

/// The middle one; of an even number the upper of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
