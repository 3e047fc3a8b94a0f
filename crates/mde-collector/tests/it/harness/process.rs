//! The collector's binary as a child process whose every word is kept.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use rustix::process::Signal;
use rustix::process::{Pid, Resource, Rlimit};

/// A child that needs longer hangs. It guards against a suite that never ends; nothing is measured by it.
const HANGS: Duration = Duration::from_secs(300);

/// The collector's binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_mde-collector");
/// Variables of whoever runs the tests that would change what is tested.
const FOREIGN: &[&str] =
    &["RUST_LOG", "CONFIG_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "MDE_COLLECTOR_ETC"];

/// One stream of a child so far.
pub struct Said(watch::Receiver<Vec<u8>>);

impl Said {
    /// All of it.
    pub fn octets(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }
}

/// A running child; it is killed when dropped.
pub struct Running {
    child: Child,
    stdout: watch::Receiver<Vec<u8>>,
    stderr: watch::Receiver<Vec<u8>>,
    readers: [JoinHandle<()>; 2],
}

/// A child that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All that it said on stdout.
    pub stdout: String,
    /// All that it said on stderr.
    pub stderr: String,
}

impl Running {
    /// Starts the binary in a folder, with these variables in its environment.
    pub fn start(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(BINARY);
        command.current_dir(folder).args(arguments).envs(environment.iter().copied());
        Self::collector(command)
    }

    /// Starts the binary as the command says, without what the caller's environment wants of it.
    pub fn collector(mut command: Command) -> Self {
        for name in FOREIGN.iter().flat_map(|name| [(*name).to_owned(), name.to_lowercase()]) {
            let given = command.as_std().get_envs().any(|(known, value)| known == name.as_str() && value.is_some());
            if !given {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null());
        Self::of(command)
    }

    /// Starts any program; what is its input is the caller's business.
    pub fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{name} does not start ({error}): `cargo x check` installs what the tests need, or see xtask/src/packages.rs")
        });
        let (stdout, out) = keep(child.stdout.take().expect("piped"));
        let (stderr, err) = keep(child.stderr.take().expect("piped"));
        Self { child, stdout, stderr, readers: [out, err] }
    }

    /// What it has said on stdout so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Its two streams.
    pub fn said(&self) -> [Said; 2] {
        [Said(self.stdout.clone()), Said(self.stderr.clone())]
    }

    /// Waits until it has said this on stderr.
    pub async fn says(&mut self, text: &str) {
        comes(&mut self.stderr, text).await;
    }

    /// Waits until it has given this on stdout.
    pub async fn gives(&mut self, text: &str) {
        comes(&mut self.stdout, text).await;
    }

    /// Waits until it has given this on stdout; false where it ends without.
    pub async fn gives_or_ends(&mut self, wanted: &str) -> bool {
        timeout(HANGS, has(&mut self.stdout, wanted)).await.expect("it says something or ends")
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The same as the system calls it. The child has not been waited for, so its number is still its own.
    fn pid(&self) -> Pid {
        i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a number of a process")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("it is ours");
    }

    /// From now on none of its files may grow beyond that; `None`: as far as they like again. Unit: octets.
    pub fn limit_file_size(&self, octets: Option<u64>) {
        let limit = Rlimit { current: octets, maximum: None };
        rustix::process::prlimit(Some(self.pid()), Resource::Fsize, limit).expect("it is ours");
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let Ok(status) = timeout(HANGS, self.child.wait()).await else {
            panic!("it hangs: {}", text(&self.stderr));
        };
        let status = status.expect("it is ours");
        for reader in self.readers {
            reader.await.expect("no panic");
        }
        Ended { code: status.code(), signal: status.signal(), stdout: text(&self.stdout), stderr: text(&self.stderr) }
    }
}

impl Ended {
    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "signal {:?}, stderr:\n{}", self.signal, self.stderr);
        self
    }

    /// Fails unless it was ended by SIGKILL.
    #[track_caller]
    pub fn was_killed(&self) {
        assert_eq!(self.signal, Some(Signal::KILL.as_raw()), "code {:?}, stderr:\n{}", self.code, self.stderr);
    }
}

/// Waits until a stream has this text.
async fn comes(stream: &mut watch::Receiver<Vec<u8>>, wanted: &str) {
    let found = timeout(HANGS, has(stream, wanted)).await;
    match found {
        Ok(true) => {}
        Ok(false) => panic!("it ended without saying {wanted:?}: {}", text(stream)),
        Err(_) => panic!("it hangs without saying {wanted:?}: {}", text(stream)),
    }
}

/// Waits until a stream has this text; false where it ends without.
async fn has(stream: &mut watch::Receiver<Vec<u8>>, wanted: &str) -> bool {
    stream.wait_for(|said| said.windows(wanted.len()).any(|part| part == wanted.as_bytes())).await.is_ok()
}

/// What was said, as text.
fn text(said: &watch::Receiver<Vec<u8>>) -> String {
    String::from_utf8_lossy(&said.borrow()).into_owned()
}

/// Reads a stream to its end in the background.
fn keep(mut stream: impl AsyncRead + Unpin + Send + 'static) -> (watch::Receiver<Vec<u8>>, JoinHandle<()>) {
    let (said, keeps) = watch::channel(Vec::new());
    let reader = tokio::spawn(async move {
        let mut part = [0; 4_096];
        // A stream that cannot be read any more has ended, like the process behind it.
        while let Ok(length @ 1..) = stream.read(&mut part).await {
            said.send_modify(|said| said.extend_from_slice(&part[..length]));
        }
    });
    (keeps, reader)
}
