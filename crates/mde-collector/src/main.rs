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
    tell(libc::M_ARENA_MAX, 2);
    // Left alone, both grow with the largest block that was ever freed, and then the heap keeps what it has once had.
    #[cfg(target_env = "gnu")]
    for limit in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        tell(limit, LARGE_BLOCK);
    }
}

/// Blocks from here on are mapped by themselves, and as much free room at the heap's end is given back. Unit: octets (512 KiB: frames
/// and rows under way come and go at this size).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK: libc::c_int = 512 * 1024;

/// Sets one number of the allocator.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn tell(parameter: libc::c_int, value: libc::c_int) {
    // SAFETY: takes two numbers; no other thread runs yet.
    unsafe {
        libc::mallopt(parameter, value);
    }
}

/// Other systems are left as they are.
#[cfg(not(target_os = "linux"))]
fn keep_memory_small() {}
