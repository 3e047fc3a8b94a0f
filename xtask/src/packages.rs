//! What the tests need of the system: receivers, proxies, a browser and a reader of metrics that others have written. One line adds one.

use anyhow::{Result, bail, ensure};
use std::process::{Command, Stdio};

/// Debian's packages with what the tests start.
pub const TESTS: &[&str] = &[
    "chromium",
    "chromium-driver",
    "groff-base",
    "libnss-wrapper",
    "microsocks",
    "nats-server",
    "openssl",
    "prometheus",
    "rsyslog",
    "rsyslog-gnutls",
    "squid-openssl",
];

/// Debian's packages with which librdkafka is built, for the feature `kafka`.
pub const KAFKA: &[&str] = &["gcc", "libssl-dev", "make", "pkg-config", "zlib1g-dev"];

/// Installs what is missing, where the system is Debian's and we may. Where not, this says what is missing and goes on: the
/// tests that need it fail and say so, too.
#[expect(clippy::print_stderr, reason = "it speaks to the person who called it")]
pub fn install(packages: &[&str]) {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return;
    }
    eprintln!("installing {}", missing.join(", "));
    if let Err(error) = apt_get(&["update", "-qq"])
        .and_then(|()| apt_get(&[&["install", "--yes", "-qq", "--no-install-recommends"], &missing[..]].concat()))
    {
        eprintln!("{error}: the tests that need {} will fail; install them by hand", missing.join(", "));
    }
}

/// Whether dpkg knows the package as installed.
fn is_installed(package: &str) -> bool {
    let answer = Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]).output();
    answer.is_ok_and(|answer| answer.status.success() && answer.stdout == b"installed")
}

/// Runs apt-get as root, or by a sudo that asks nothing.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let id = Command::new("id").arg("-u").output();
    let is_root = id.is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    let mut command = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
    if !is_root {
        command.args(["--non-interactive", "--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
    }
    let done = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).status();
    let Ok(status) = done else { bail!("there is no {}", command.get_program().to_string_lossy()) };
    ensure!(status.success(), "apt-get {} failed", arguments[0]);
    Ok(())
}
