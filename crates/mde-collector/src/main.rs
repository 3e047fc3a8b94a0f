//! Parse, run, exit code; nothing else.
//!
//! The allocator is the system's: over the whole path it needs less memory and less time than mimalloc (docs/benchmarks.md).

use mde_collector::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Stacks and heaps of many threads are mostly empty, and a huge page becomes resident whole at its first octet. Where
    // the kernel refuses, nothing but memory is lost.
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).ok();
    cli::main()
}
