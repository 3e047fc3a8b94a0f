//! The collector as a child, and what the kernel says that it used.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::time::Instant;

/// What a run used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// What the shell would show.
    pub exit_code: i32,
    /// Largest resident set; pages of the binary's own file count. Unit: octets.
    pub peak: u64,
    /// User and system time of all threads. Unit: seconds.
    pub processor: f64,
    /// From start to end. Unit: seconds.
    pub wall: f64,
}

/// A folder for state, output and certificates, on the disk that the build uses: temporary folders are often memory.
pub fn folder() -> io::Result<TempDir> {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))
}

/// Runs it once to its end, for one service.
pub async fn once(folder: &Path, service: &str, config: &str, more: &[&str]) -> Result<Usage, Box<dyn Error>> {
    used_by(start(folder, service, config, more)?).await
}

/// What a child that has just been started uses until it ends.
pub async fn used_by(child: Child) -> Result<Usage, Box<dyn Error>> {
    let started = Instant::now();
    let mut usage = tokio::task::spawn_blocking(move || wait(&child)).await??;
    usage.wall = started.elapsed().as_secs_f64();
    Ok(usage)
}

/// Starts it, told to pull the service once. Its log goes to `log` in the folder.
fn start(folder: &Path, service: &str, config: &str, more: &[&str]) -> io::Result<Child> {
    fs::write(folder.join("config.yaml"), config)?;
    Command::new(env!("CARGO_BIN_EXE_mde-collector"))
        .current_dir(folder)
        .args(["run", "--config", "config.yaml", "--once", "--service", service])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log"))?)
        .spawn()
}

/// Waits for its end and asks the kernel what it used. The peak counts from the fork on, so it is never below what this
/// process held at that moment: a few MiB, far below what is measured.
fn wait(child: &Child) -> io::Result<Usage> {
    let process = libc::pid_t::try_from(child.id()).expect("a process number fits");
    let mut status = 0;
    // SAFETY: `rusage` holds integers only, for which all zeroes is a value.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both addresses are of live values of the types that wait4 writes, and nobody else waits for this child.
    let ended = unsafe { libc::wait4(process, &raw mut status, 0, &raw mut used) };
    if ended != process {
        return Err(io::Error::last_os_error());
    }
    let exit_code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let processor = seconds(used.ru_utime) + seconds(used.ru_stime);
    Ok(Usage { exit_code, peak: used.ru_maxrss as u64 * 1024, processor, wall: 0.0 })
}

/// What it said at the end, for a run that failed.
pub fn last_words(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
