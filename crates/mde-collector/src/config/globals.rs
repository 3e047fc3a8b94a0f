//! `globals`: settings of the whole process.

use super::key::{Branch, Form, Key, Table, keys};
use super::outputs::compression::{self, Gzip};
use super::problem::Fault;
use super::report::Outcome;
use super::section::Section;
use super::{Globals, Persistence, Secret, Status, StatusTls};
use std::net::SocketAddr;
use std::path::PathBuf;

keys! {
    /// Keys of `globals`.
    static KEYS;
    /// The official collector puts it into the path of its state; any text, not needed here.
    ID: Key<Branch> = Key::tree("id", Form::Any).official();
    /// Name of the collector: letters, digits, `-` and `_`; `.`, `#` and space become `_`.
    NAME: Key<String> = Key::parsed("name", Form::Text, |_, name| legal(name)).official().example("microsoft_defender");
    /// More log.
    DEBUG: Key<bool> = Key::boolean("debug").official().default("false");
    /// Where state lies.
    PERSISTENCE: Key<Branch> = Key::tree("persistence", Form::Section(&STATE)).official();
    /// What waits to be delivered.
    OUTBOX: Key<Branch> = Key::tree("outbox", Form::Section(&OUTBOX_TABLE));
    /// Status page, health and metrics; `false` turns them off.
    STATUS: Key<Branch> = Key::tree("status", Form::SwitchOr(&STATUS_TABLE));
    /// `true`: own log events go to the Devo outputs as well, under the official tags.
    MESSAGES: Key<bool> = Key::boolean("internal_messages").default("false");
    /// A folder whose files each add entries to `inputs`.
    INPUTS: Key<String> = Key::text("inputs_dir");
}

keys! {
    /// Keys of the official collector that tune what is built otherwise here; the last four only older versions of it knew.
    static OBSOLETE;
    /// Bound of the official queue.
    QUEUE_MB: Key<Branch> = Key::tree("queue_max_size_in_mb", Form::Any).obsolete();
    /// Bound of the official queue.
    QUEUE_MESSAGES: Key<Branch> = Key::tree("queue_max_size_in_messages", Form::Any).obsolete();
    /// Age at which the official queue is emptied.
    QUEUE_TIME: Key<Branch> = Key::tree("queue_max_elapsed_time_in_sec", Form::Any).obsolete();
    /// Messages in one item of the official queue.
    QUEUE_WRAP: Key<Branch> = Key::tree("queue_wrap_max_size_in_messages", Form::Any).obsolete();
    /// Metrics of the official queue.
    QUEUE_METRICS: Key<Branch> = Key::tree("queue_generate_metrics", Form::Any).obsolete();
    /// Period of the official sender's statistics.
    SENDER_STATS: Key<Branch> = Key::tree("sender_stats_period_in_sec", Form::Any).obsolete();
    /// The official collector's description of itself.
    DETAILS: Key<Branch> = Key::tree("generate_collector_details", Form::Any).obsolete();
    /// Processes instead of threads.
    PROCESSES: Key<Branch> = Key::tree("multiprocessing", Form::Any).obsolete();
    /// Each message to one output instead of all.
    BALANCED: Key<Branch> = Key::tree("balanced_output", Form::Any).obsolete();
    /// Connections of the official sender.
    CONNECTIONS: Key<Branch> = Key::tree("sender_concurrent_connections", Form::Any).obsolete();
    /// A last queue of the official sender.
    FINAL_QUEUE: Key<Branch> = Key::tree("sender_activate_final_queue", Form::Any).obsolete();
}

/// `globals`.
pub(super) static TABLE: Table = Table {
    path: "globals",
    doc: "Settings of the whole process. The section may be left out.",
    groups: &[KEYS, compression::GLOBAL_KEYS, OBSOLETE],
};

keys! {
    /// Keys of `persistence`.
    static STATE_KEYS;
    /// An embedded database in a folder, or nothing that outlives the process.
    KIND: Key<Kind> = Key::word("type", &[("filesystem", Kind::Filesystem), ("memory", Kind::Memory)])
        .official().default("filesystem");
    /// Settings of that type.
    STATE_CONFIG: Key<Branch> = Key::tree("config", Form::Section(&FOLDER)).official();
}

/// `globals.persistence`.
static STATE: Table = Table {
    path: "globals.persistence",
    doc: "Where checkpoints, keys and undelivered events lie; one process at a time may use it.",
    groups: &[STATE_KEYS],
};

keys! {
    /// Keys of `persistence.config`.
    static FOLDER_KEYS;
    /// The folder, seen from the working directory. Only our own files in it are touched.
    DIRECTORY: Key<String> = Key::text("directory_name").alias(&["dir"]).official().default("state");
    /// Redis: host.
    REDIS_HOST: Key<Branch> = Key::tree("host", Form::Any).alias(&["location"]).obsolete();
    /// Redis: port.
    REDIS_PORT: Key<Branch> = Key::tree("port", Form::Any).obsolete();
    /// Redis: password.
    REDIS_PASSWORD: Key<Branch> = Key::tree("password", Form::Any).obsolete();
    /// Redis: database.
    REDIS_DB: Key<Branch> = Key::tree("db", Form::Any).obsolete();
    /// Redis: time-out.
    REDIS_TIMEOUT: Key<Branch> = Key::tree("socket_timeout", Form::Any).obsolete();
}

/// `globals.persistence.config`.
static FOLDER: Table =
    Table { path: "globals.persistence.config", doc: "Settings of the place.", groups: &[FOLDER_KEYS] };

keys! {
    /// Keys of `outbox`.
    static OUTBOX_KEYS;
    /// Bound of the outbox on disk. When it is full, pulling pauses until an output has taken something; nothing is dropped.
    MAX_BYTES: Key<u64> = Key::size("max_bytes", 256 << 20).default("4GiB");
}

/// `globals.outbox`.
static OUTBOX_TABLE: Table =
    Table { path: "globals.outbox", doc: "Events that wait for their outputs.", groups: &[OUTBOX_KEYS] };

keys! {
    /// Keys of `status`.
    static STATUS_KEYS;
    /// Address and port of the page, `/healthz`, `/readyz` and `/metrics`. A busy port is a warning.
    LISTEN: Key<SocketAddr> = Key::parsed("listen", Form::Text, |_, text| listen(text)).default("127.0.0.1:9600");
    /// What a reader must show: as bearer token, or as password of basic authentication under any name.
    TOKEN: Key<Secret> = Key::secret("token");
    /// Certificate and key of the page.
    TLS: Key<Branch> = Key::tree("tls", Form::Section(&STATUS_TLS));
    /// `true`: an address beyond this machine is served without token and TLS.
    INSECURE: Key<bool> = Key::boolean("insecure").default("false");
}

/// `globals.status`.
static STATUS_TABLE: Table =
    Table { path: "globals.status", doc: "The status page, health and metrics.", groups: &[STATUS_KEYS] };

keys! {
    /// Keys of `status.tls`.
    static STATUS_TLS_KEYS;
    /// Certificate, PEM, followed by intermediates.
    STATUS_CERT: Key<PathBuf> = Key::file("cert", "certs").required().example("my_domain.crt");
    /// Its private key, PEM.
    STATUS_KEY: Key<PathBuf> = Key::file("key", "certs").required().example("my_domain.key");
}

/// `globals.status.tls`.
static STATUS_TLS: Table =
    Table { path: "globals.status.tls", doc: "TLS of the status page.", groups: &[STATUS_TLS_KEYS] };

/// Reads the section; none when an error has been reported.
pub(super) fn load(section: Section<'_>) -> Option<Globals> {
    section.entry(&ID);
    let name = name(&section);
    let debug = section.value(&DEBUG);
    let persistence = persistence(section.section(&PERSISTENCE));
    let outbox = section.section(&OUTBOX);
    let outbox_max_bytes = outbox.value(&MAX_BYTES);
    outbox.finish();
    let status = status(&section);
    let internal_messages = section.value(&MESSAGES);
    let gzip = Gzip { queue: outbox_max_bytes, ..compression::load(&section, &compression::GLOBAL) };
    section.finish();
    Some(Globals { name, debug, persistence: persistence?, outbox_max_bytes, status, internal_messages, gzip })
}

/// The collector's name by the official rules: letters, digits, `-`, `_`; a dot, `#` or space becomes `_`.
fn name(section: &Section<'_>) -> Option<String> {
    let name = section.optional(&NAME)?;
    let mended = name.replace(MENDED, "_");
    if mended != name {
        let fault = Fault::new(format!("the name becomes `{mended}`"));
        section.warn(&NAME, fault.help("`.`, `#` and space are not used in names"));
    }
    Some(mended)
}

/// What the official collector replaces in a name.
const MENDED: [char; 3] = ['.', '#', ' '];

/// A name that the official rules let pass.
fn legal(name: &str) -> Result<String, Fault> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || MENDED.contains(&c);
    match name.chars().all(legal) {
        true => Ok(name.to_owned()),
        false => Err(Fault::new("is no collector name").help("use letters, digits, `-` and `_`")),
    }
}

/// Where state lies; none when an error has been reported.
fn persistence(section: Section<'_>) -> Option<Persistence> {
    let kind = section.evaluate(&KIND);
    let config = section.section(&STATE_CONFIG);
    section.finish();
    let kind = match kind {
        Outcome::Good(kind) => kind,
        Outcome::Absent | Outcome::Placeholder(_) => Kind::Filesystem,
        // Which keys a type has that we do not know is not known either; and another place than the one that was
        // asked for would be a silent fresh start, so none is taken instead.
        Outcome::Faulty => return None,
    };
    let directory = config.value(&DIRECTORY);
    config.finish();
    Some(match kind {
        Kind::Memory => Persistence::Memory,
        Kind::Filesystem => Persistence::Filesystem { directory: PathBuf::from(directory) },
    })
}

/// What a type word of `persistence` means.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A folder.
    Filesystem,
    /// Nowhere.
    Memory,
}

/// The status page; none where it is switched off.
fn status(section: &Section<'_>) -> Option<Status> {
    if section.switch(&STATUS) == Some(false) {
        return None;
    }
    // `true` is the section with its defaults.
    let given = section.switch(&STATUS).is_none();
    let section = if given { section.section(&STATUS) } else { section.empty(&STATUS) };
    let (listen, token, insecure) = (section.value(&LISTEN), section.optional(&TOKEN), section.value(&INSECURE));
    let tls = section.section(&TLS);
    let tls = match tls.is_absent() {
        true => None,
        false => {
            let (cert, key) = (tls.required(&STATUS_CERT), tls.required(&STATUS_KEY));
            tls.finish();
            cert.zip(key).map(|(cert, key)| StatusTls { cert, key })
        }
    };
    let missing = match (token.is_some(), tls.is_some()) {
        _ if listen.ip().is_loopback() || insecure => None,
        (true, true) => None,
        (false, true) => Some("`token`"),
        (true, false) => Some("`tls`"),
        (false, false) => Some("`token` and `tls`"),
    };
    if let Some(missing) = missing {
        let fault = Fault::new(format!("is an address beyond this machine, and {missing} is missing"));
        section.wrong(&LISTEN, fault.help("set both, listen on 127.0.0.1, or write `insecure: true`"));
    }
    section.finish();
    Some(Status { listen, token, tls, insecure })
}

/// An address with its port.
fn listen(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| Fault::new("is no address with a port").help("write 127.0.0.1:9600 or [::1]:9600"))
}
