//! A real squid on loopback, in a folder of its own: a proxy that asks for a login, or one that reads what TLS hides.

use super::process::Running;
use mde_sim::receiver::Identity;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// What must happen happens within this time; it is never used up unless a test fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where Debian puts its helpers.
const HELPERS: &str = "/usr/lib/squid";

/// A proxy; it is killed when dropped.
pub struct Squid {
    _running: Running,
    folder: TempDir,
    /// Where it listens.
    pub port: u16,
}

impl Squid {
    /// Lets in whoever shows this name and password. `hosts`: names that it knows to be this machine.
    pub async fn with_login(name: &str, password: &str, hosts: &[&str]) -> Self {
        let hashed = run(Command::new("openssl").args(["passwd", "-apr1", password]));
        Self::start(hosts, |folder| {
            fs::write(folder.join("passwd"), format!("{name}:{hashed}")).expect("writable");
            let folder = folder.display();
            (
                String::new(),
                format!(
                    "auth_param basic program {HELPERS}/basic_ncsa_auth {folder}/passwd\nauth_param basic realm test\n\
                     acl users proxy_auth REQUIRED\nhttp_access allow users\nhttp_access deny all\n"
                ),
            )
        })
        .await
    }

    /// Reads all that passes, with certificates signed by this authority, and trusts the far side's authority.
    pub async fn reading(authority: &Identity, far_ca_pem: &str, hosts: &[&str]) -> Self {
        Self::start(hosts, |folder| {
            fs::write(folder.join("own.pem"), format!("{}{}", authority.cert_pem, authority.key_pem))
                .expect("writable");
            fs::write(folder.join("far.pem"), far_ca_pem).expect("writable");
            let database = folder.join("certificates");
            run(Command::new(format!("{HELPERS}/security_file_certgen"))
                .arg("-c")
                .arg("-s")
                .arg(&database)
                .args(["-M", "4MB"]));
            for entry in walkdir::WalkDir::new(&database).into_iter().flatten() {
                open_to_all(entry.path());
            }
            let folder = folder.display();
            (
                format!(
                    " ssl-bump tls-cert={folder}/own.pem generate-host-certificates=on dynamic_cert_mem_cache_size=4MB"
                ),
                format!(
                    "sslcrtd_program {HELPERS}/security_file_certgen -s {folder}/certificates -M 4MB\n\
                     tls_outgoing_options cafile={folder}/far.pem\nssl_bump bump all\nhttp_access allow all\n"
                ),
            )
        })
        .await
    }

    /// Starts it with what `configure` gives: more of the listening line, and further lines.
    async fn start(hosts: &[&str], configure: impl FnOnce(&Path) -> (String, String)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        // Started as root it works as another user.
        open_to_all(path);
        let (listening, lines) = configure(path);
        let named =
            hosts.iter().fold("127.0.0.1 localhost\n".to_owned(), |all, host| all + &format!("127.0.0.1 {host}\n"));
        fs::write(path.join("hosts"), named).expect("writable");
        let port = free_port();
        let place = path.display();
        let config = format!(
            "http_port 127.0.0.1:{port}{listening}\n{lines}hosts_file {place}/hosts\npid_filename {place}/pid\n\
             access_log stdio:{place}/access.log\ncache_log {place}/cache.log\ncoredump_dir {place}\ncache deny all\n\
             memory_cache_shared off\nshutdown_lifetime 1 seconds\nvisible_hostname localhost\npinger_enable off\n"
        );
        fs::write(path.join("squid.conf"), config).expect("writable");
        let mut command = tokio::process::Command::new("/usr/sbin/squid");
        command.arg("-N").arg("-f").arg(path.join("squid.conf")).stdin(Stdio::null());
        let running = Running::of(command);
        let squid = Self { _running: running, folder, port };
        listens(squid.port, || fs::read_to_string(squid.path("cache.log")).unwrap_or_default()).await;
        squid
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What has passed, a line each: who asked for what, and what became of it.
    pub fn passed(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("access.log")).unwrap_or_default();
        // A connection that asked for nothing is our own look whether somebody listens.
        text.lines().filter(|line| !line.contains("transaction-end-before-headers")).map(str::to_owned).collect()
    }
}

/// A port that was free a moment ago, for programs that cannot choose one and tell it.
pub fn free_port() -> u16 {
    let found = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    found.expect("loopback has a free port").port()
}

/// Waits until somebody listens there; `said` tells why not.
pub async fn listens(port: u16, said: impl Fn() -> String) {
    let listening = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, listening).await.unwrap_or_else(|_| panic!("nobody listens: {}", said()));
}

/// Lets every user work there.
fn open_to_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o777)).expect("it is ours");
}

/// Runs a program to its end and gives what it says.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} does not start ({error}): `cargo x check` installs what the tests need, or see xtask/src/packages.rs")
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
