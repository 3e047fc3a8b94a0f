//! Parse, run, exit code; nothing else.
//!
//! The allocator is the system's: over the whole path it needs less memory and less time than mimalloc (docs/benchmarks.md).

use mde_collector::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    keep_memory_small();
    cli::main()
}

/// Tells the system what suits a process that many threads share and that should stay small. Where it refuses, nothing but memory
/// is lost.
#[cfg(target_os = "linux")]
fn keep_memory_small() {
    // A huge page becomes resident whole at its first octet, and stacks and heaps of many threads are mostly empty.
    rustix::thread::disable_transparent_huge_pages(true).ok();
    // Each thread's own arena would keep what that thread once needed, and the peak would creep up for minutes.
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two numbers; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Other systems are left as they are.
#[cfg(not(target_os = "linux"))]
fn keep_memory_small() {}
