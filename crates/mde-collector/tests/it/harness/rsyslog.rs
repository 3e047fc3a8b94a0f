//! A real rsyslogd that writes what it has understood of each message into a file: the receiver that most people have.

use super::process::{Ended, Running, Signal};
use super::{Arrived, count};
use mde_sim::receiver::TestPki;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// What must happen happens within this time; it is never used up unless a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A daemon in a folder of its own; it is killed when dropped.
pub struct Rsyslog {
    running: Option<Running>,
    folder: TempDir,
    /// Driver, authority, certificate: what stands in its configuration beside the usual.
    tls: Option<String>,
    /// Where it listens.
    pub port: u16,
}

/// A message as rsyslog has parsed it.
#[derive(Debug)]
pub struct Parsed {
    /// HOST.
    pub host: String,
    /// TAG with its colon.
    pub tag: String,
    /// Priority.
    pub pri: String,
    /// Time of the header, RFC 3339.
    pub time: String,
    /// What stands behind the colon.
    pub message: String,
}

impl Rsyslog {
    /// Starts one over plain TCP.
    pub async fn tcp() -> Self {
        Self::start(tempfile::tempdir().expect("a temporary folder"), None).await
    }

    /// Starts one over TLS by GnuTLS that lets in only a client of this name.
    pub async fn tls(pki: &TestPki, client: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = pki.write_to(folder.path()).expect("writable");
        let tls = format!(
            "global(DefaultNetstreamDriver=\"gtls\" DefaultNetstreamDriverCAFile=\"{}\" \
             DefaultNetstreamDriverCertFile=\"{}\" DefaultNetstreamDriverKeyFile=\"{}\")\n\
             module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"x509/name\" \
             PermittedPeer=[\"{client}\"])\n",
            files.chain.display(),
            files.server_cert.display(),
            files.server_key.display()
        );
        Self::start(folder, Some(tls)).await
    }

    async fn start(folder: TempDir, tls: Option<String>) -> Self {
        let mut server = Self { running: None, folder, tls, port: 0 };
        server.again().await;
        server
    }

    /// Starts it on the port that it had, or on any.
    pub async fn again(&mut self) {
        let module = self.tls.as_deref().unwrap_or("module(load=\"imtcp\")\n");
        let (folder, port) = (self.folder.path().display(), self.port);
        // Its own escapes would change octets; the usual bound of a message is 8 KiB.
        let config = format!(
            "global(workDirectory=\"{folder}\" maxMessageSize=\"1m\" parser.escapeControlCharactersOnReceive=\"off\")\n\
             {module}\
             template(name=\"parsed\" type=\"string\" \
             string=\"%hostname%\\t%syslogtag%\\t%pri%\\t%timereported:::date-rfc3339%\\t%msg%\\n\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\" listenPortFileName=\"{folder}/port\")\n\
             action(type=\"omfile\" file=\"{folder}/messages\" template=\"parsed\")\n"
        );
        fs::write(self.path("rsyslog.conf"), config).expect("writable");
        let mut command = Command::new("/usr/sbin/rsyslogd");
        command.arg("-n").arg("-f").arg(self.path("rsyslog.conf")).arg("-i").arg(self.path("pid"));
        command.stdin(Stdio::null());
        self.running = Some(Running::of(command));
        // A port that was chosen by us is not written down; who sends tries again until the daemon listens.
        if self.port == 0 {
            self.port = self.told_port().await;
        }
    }

    /// Reads the port that the daemon has written down.
    async fn told_port(&self) -> u16 {
        let told = async {
            loop {
                if let Some(port) = fs::read_to_string(self.path("port")).ok().and_then(|text| text.trim().parse().ok())
                {
                    return port;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, told).await.unwrap_or_else(|_| {
            panic!(
                "rsyslogd does not listen; is rsyslog-gnutls installed? {}",
                self.running.as_ref().map(Running::stdout).unwrap_or_default()
            )
        })
    }

    /// Asks it to end, which it does once it has written what it has taken.
    pub async fn stop(&mut self) -> Ended {
        let running = self.running.take().expect("it runs");
        running.signal(Signal::TERM);
        running.ended().await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whole messages so far.
    pub fn messages(&self) -> Vec<Parsed> {
        let octets = fs::read(self.path("messages")).unwrap_or_default();
        let whole = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |last| last + 1);
        let text = String::from_utf8(octets[..whole].to_vec()).expect("text");
        // It says a few words of its own, under its own tag.
        let lines = text.lines().filter(|line| !line.contains("\trsyslogd:"));
        let parsed = lines.map(|line| {
            let mut fields = line.splitn(5, '\t').map(str::to_owned);
            let mut next = || fields.next().expect("five fields");
            Parsed { host: next(), tag: next(), pri: next(), time: next(), message: next() }
        });
        parsed.collect()
    }

    /// Waits until so many different events have been written.
    pub async fn wait_events(&self, count: usize) {
        let waiting = async {
            while self.by_id().len() < count {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        assert!(found.is_ok(), "{} of {count} events were written", self.by_id().len());
    }

    /// How often each event was written, by its `@event_id`.
    pub fn by_id(&self) -> BTreeMap<String, (Value, u64)> {
        let mut events: BTreeMap<String, (Value, u64)> = BTreeMap::new();
        for message in self.messages() {
            let value: Value = serde_json::from_str(message.message.trim_start()).expect("an event");
            let id = value["@event_id"].as_str().expect("a text").to_owned();
            events.entry(id).or_insert_with(|| (value, 0)).1 += 1;
        }
        events
    }

    /// What was written, doubles dropped by `@event_id`.
    pub fn arrived(&self) -> Arrived {
        count(self.by_id().into_values().map(|(event, _)| event))
    }
}
