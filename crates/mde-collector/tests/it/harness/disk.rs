//! A small disk of its own for a state folder, whose size can be changed while somebody works on it.
//!
//! It is mounted in a name space that a helper holds: whatever becomes of the test, the mount goes with the helper.

use super::Running;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder on a small file system. Only processes that are started through it see its content.
pub struct SmallDisk {
    /// Where it is mounted.
    folder: PathBuf,
    /// Holds the name space. It ends with the disk.
    holder: u32,
    /// The helper itself.
    _process: Running,
}

impl SmallDisk {
    /// Mounts one with room for so many MiB. Only the superuser may: the test says so where it cannot run.
    pub async fn mount(folder: PathBuf, mebibytes: u64) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return cannot_run("mounting a file system needs the superuser");
        }
        std::fs::create_dir_all(&folder).expect("writable");
        let mut command = tokio::process::Command::new("unshare");
        let script = r#"mount -t tmpfs -o "size=$1m" none "$0" && echo mounted && exec sleep infinity"#;
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .arg(&folder)
            .arg(mebibytes.to_string());
        let mut process = Running::of(command);
        if !process.gives_or_ends("mounted").await {
            return cannot_run("a file system cannot be mounted here, though we are the superuser");
        }
        // `unshare` and `sh` both become what they start.
        Some(Self { folder, holder: process.id(), _process: process })
    }

    /// Starts a program that sees the disk, in that folder.
    pub fn enter(&self, folder: &Path, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder));
        // A folder that was entered outside would be looked up outside.
        command.args(["sh", "-c", r#"cd "$0" && exec "$@""#]).arg(folder).arg(program);
        command
    }

    /// How to change its size: told to somebody who may be anywhere.
    pub fn resizer(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let (namespace, folder) = (format!("--mount=/proc/{}/ns/mnt", self.holder), self.folder.clone());
        move |mebibytes| {
            let size = format!("remount,size={mebibytes}m");
            let status = Command::new("nsenter").args([&*namespace, "mount", "-o", &*size]).arg(&folder).status();
            assert!(status.expect("nsenter starts").success(), "the disk takes another size");
        }
    }
}

/// Says so.
#[expect(clippy::print_stderr, reason = "whoever reads the test's result must see that it has shown nothing")]
fn cannot_run(why: &str) -> Option<SmallDisk> {
    eprintln!("this test cannot run: {why}");
    None
}
