//! The project's own tasks: `cargo x check` is the gate and equals CI.
#![expect(clippy::print_stderr, reason = "it speaks to the person who called it")]

mod package;
mod packages;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use std::process::{Command, Stdio};

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo x", bin_name = "cargo x")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// What can be asked for.
#[derive(Subcommand)]
enum Task {
    /// The gate: format, lints as errors, all tests (generated files among them), licences and bans. Installs the receivers
    /// that the tests start, where it may.
    Check {
        /// Lints and tests the output `kafka` as well, which builds librdkafka first.
        #[arg(long)]
        kafka: bool,
    },
    /// Rewrites the golden files; review the difference like code.
    Golden,
    /// Rewrites docs/config.md, docs/services.md and docs/metrics.md from the code that they describe.
    Docs,
    /// Simulator, collector and output in one process: see it work. Arguments go to `mde-collector demo`.
    Demo {
        /// For example `--for 1m`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        more: Vec<String>,
    },
    /// Builds what somebody installs, into target/packages/dist: archive, .deb, .rpm, sums. Needs nfpm.
    Package {
        /// Installs, runs, upgrades and removes the package in a root of its own as well. Needs root and debootstrap.
        #[arg(long)]
        test: bool,
    },
    /// Measures a release build; fails where a goal is missed. docs/benchmarks.md says what the figures mean.
    Bench {
        /// All, one after the other, when none is named.
        which: Option<Bench>,
        /// For example `--alerts 25000,250000` after `memory`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        more: Vec<String>,
    },
    /// The real binary, killed and stopped over and over on a small disk behind a proxy that resets: nothing is lost, nothing
    /// stored twice. docs/guarantees.md says what the figures mean.
    Soak {
        /// For example `30m`: seconds (`s`), minutes (`m`) or hours (`h`).
        #[arg(long = "for", value_name = "DURATION", default_value = "30m", value_parser = seconds)]
        long: u64,
        /// The moments of another soak again, as it has printed it.
        #[arg(long)]
        seed: Option<u64>,
    },
}

/// What can be measured.
#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// Peak memory of `run --once`: below 40 MiB, the same for 10,000 and 100,000 machines, and below 64 MiB with all their
    /// counts.
    Memory,
    /// Calls of counts for tenants of three sizes, in simulated time: a hundredth of one by one; and a day of 50,000 machines.
    Enrichment,
    /// Throughput over TLS, confirmed after 5 s against at once: at least 0.9.
    Confirm,
    /// Time of a first run against a tenant without alerts, and the size of the binary.
    Start,
    /// Processor time of the whole path for a million events, beside a floor that does no work.
    EndToEnd,
    /// Time of the page and of its JSON for 1,000 tenants with 7 services each: at most 200 ms.
    Status,
    /// Events a second of one core.
    Flatten,
    /// Commits, reads, octets written and memory of the store.
    Store,
    /// What sending costs over TCP, TLS and TLS with gzip, over several connections, and its memory with a receiver that
    /// stands still; beside Devo's Python package where `DEVO_SDK_PYTHON` names an interpreter that has it.
    Ship,
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Check { kafka } => {
            packages::install(packages::TESTS);
            cargo(&["fmt", "--all", "--check"])?;
            cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
            test(&["--workspace"])?;
            if kafka {
                packages::install(packages::KAFKA);
                let feature = ["--package", "mde-collector", "--features", "kafka"];
                cargo(&[&["clippy"], &feature[..], &["--all-targets", "--", "-D", "warnings"]].concat())?;
                test(&[&feature[..], &["--lib", "kafka"]].concat())?;
            }
            deny()
        }
        Task::Golden => rewrite("golden"),
        Task::Docs => rewrite("docs_are_current"),
        Task::Package { test: true } => package::test(),
        Task::Package { test: false } => package::package().map(|made| eprintln!("made in {}", made.display())),
        Task::Demo { more } => cargo_with(&["run", "--release", "--package", "mde-collector", "--", "demo"], &more),
        Task::Bench { which: Some(which), more } => bench(which, &more),
        Task::Bench { which: None, .. } => Bench::value_variants().iter().try_for_each(|which| bench(*which, &[])),
        Task::Soak { long, seed } => {
            let mut command = Command::new(env!("CARGO"));
            command.args([
                "test",
                "--package",
                "mde-collector",
                "--test",
                "it",
                "soak::",
                "--",
                "--ignored",
                "--nocapture",
            ]);
            command.env("MDE_SOAK", long.to_string());
            if let Some(seed) = seed {
                command.env("MDE_SEED", seed.to_string());
            }
            run(&mut command)
        }
    }
}

/// A length of time in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err("it needs a unit: s, m or h".to_owned()),
    };
    number.parse::<u64>().map(|number| number * each).map_err(|error| error.to_string())
}

/// Runs the tests of that name, told to write what they would compare with.
fn rewrite(test: &str) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    run(command.args(["test", "--package", "mde-collector", "--lib", test]).env("UPDATE_GOLDEN", "1"))
}

/// Runs one benchmark.
fn bench(which: Bench, more: &[String]) -> Result<()> {
    let of = |name: &'static str| ["bench", "--quiet", "--package", "mde-collector", "--bench", name, "--"];
    let end_to_end = |name| cargo_with(&[&of("end_to_end")[..], &[name]].concat(), more);
    match which {
        Bench::Memory => end_to_end("memory"),
        Bench::Confirm => end_to_end("confirm"),
        Bench::Start => end_to_end("start"),
        Bench::EndToEnd => end_to_end("end-to-end"),
        Bench::Status => end_to_end("status"),
        Bench::Flatten => cargo_with(&of("flatten"), more),
        Bench::Enrichment => cargo_with(&measure("simulation::measure"), more),
        Bench::Store => cargo_with(&measure("sqlite::tests::measure"), more),
        Bench::Ship => cargo_with(&measure("devo::tests::measure"), more),
    }
}

/// Runs the measurements of that name, which stand among the tests since they need what only a test may see.
fn measure(name: &str) -> [&str; 11] {
    let told = ["--ignored", "--nocapture", "--test-threads=1"];
    ["test", "--release", "--quiet", "--package", "mde-collector", "--lib", name, "--", told[0], told[1], told[2]]
}

/// Licences, bans and sources need nothing but the tree; advisories need today's database.
fn deny() -> Result<()> {
    let asks = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        let answer = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        answer.is_ok_and(|status| status.success())
    };
    if !asks(&["deny", "--version"]) {
        eprintln!("cargo-deny is not installed: licences, bans and advisories were not checked");
        return Ok(());
    }
    cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"])?;
    if !asks(&["deny", "fetch", "db"]) {
        eprintln!("the advisory database cannot be reached: advisories were not checked");
        return Ok(());
    }
    cargo(&["deny", "check", "advisories"])
}

/// Runs tests, three at once for each core where the caller does not say: many wait for a quota, a receiver or a process.
fn test(arguments: &[&str]) -> Result<()> {
    const TOLD: &str = "RUST_TEST_THREADS";
    let threads = std::env::var(TOLD).unwrap_or_else(|_| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        (cores * 3).to_string()
    });
    run(Command::new(env!("CARGO")).arg("test").args(arguments).env(TOLD, threads))
}

/// Runs cargo.
fn cargo(arguments: &[&str]) -> Result<()> {
    cargo_with(arguments, &[])
}

/// Runs cargo, with the caller's own arguments last.
fn cargo_with(arguments: &[&str], more: &[String]) -> Result<()> {
    run(Command::new(env!("CARGO")).args(arguments).args(more))
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<()> {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let program = command.get_program().to_string_lossy();
    let shown = format!("{} {}", program.rsplit('/').next().unwrap_or_default(), arguments.join(" "));
    let status = command.status().with_context(|| format!("failed to start {shown}"))?;
    ensure!(status.success(), "{shown} failed");
    Ok(())
}
