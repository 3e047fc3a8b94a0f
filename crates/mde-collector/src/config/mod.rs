//! The configuration: the official collector's layout, read with the place of every value.
//!
//! Loading names every problem at once. It reads the configuration file and the files it names, nothing else: no network.

mod convert;
mod credentials;
mod endpoints;
mod example;
mod flatten;
mod globals;
mod hidden;
mod inputs;
mod interpolate;
mod key;
mod later;
mod limits;
mod load;
mod nearest;
mod obfuscation;
pub mod outputs;
mod parse;
mod problem;
mod queries;
mod report;
mod schema;
mod scope;
mod secret;
mod section;
mod services;
mod source;
mod tag;
mod tree;
mod units;

#[cfg(test)]
mod tests;

pub use crate::flatten::{FlattenConfig, Selection};
pub use crate::obfuscate::Obfuscation;
pub use crate::service::{Api, Elsewhere, Endpoint, Method};
pub use convert::{Converted, Original, convert};
pub(crate) use endpoints::is_loopback;
pub use example::example;
pub use load::{Loaded, Options, TextDigest, load, load_job};
pub use outputs::OutputConfig;
pub use problem::{Problem, Problems, Severity, Snippet};
pub use schema::schema;
pub use secret::Secret;
pub use units::moment_before;

use crate::service::{Count, Pull, ServiceDef};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// A configuration without errors.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// Settings of the whole process.
    pub globals: Globals,
    /// Where events go.
    pub outputs: Vec<OutputEntry>,
    /// Tenants.
    pub inputs: Vec<Input>,
}

/// Settings of the whole process.
#[derive(Debug, Clone)]
pub struct Globals {
    /// The collector's name, in the official spelling rules.
    pub name: Option<String>,
    /// Official `debug`: more log.
    pub debug: bool,
    /// Where state lies.
    pub persistence: Persistence,
    /// Bound of the outbox. Unit: octets on disk. Default 4 GiB.
    pub outbox_max_bytes: u64,
    /// Status page, health and metrics; none where they are switched off.
    pub status: Option<Status>,
    /// Own log events go to the Devo outputs as well. Default false.
    pub internal_messages: bool,
    /// Compression of all Devo outputs; it wins over an output's own.
    pub gzip: outputs::compression::Gzip,
}

/// The status page, health and metrics.
#[derive(Debug, Clone)]
pub struct Status {
    /// Where it listens. Default 127.0.0.1:9600.
    pub listen: SocketAddr,
    /// What a reader must show as bearer token, or as password.
    pub token: Option<Secret>,
    /// Its certificate and key.
    pub tls: Option<StatusTls>,
    /// Served beyond this machine without token and TLS. Default false.
    pub insecure: bool,
}

/// Certificate and key of the status page, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusTls {
    /// Certificate, followed by intermediates.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Where state lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Persistence {
    /// An embedded database in this folder.
    Filesystem {
        /// The folder, as written: relative to the working directory.
        directory: PathBuf,
    },
    /// Nowhere: everything is forgotten at the end.
    Memory,
}

/// One output with its name.
#[derive(Debug, Clone)]
pub struct OutputEntry {
    /// Its key under `outputs`.
    pub name: String,
    /// Where it begins when the store meets it for the first time.
    pub from: From,
    /// Whether a full outbox waits for it (`true`, the default) or passes it by.
    pub required: bool,
    /// Whether its events carry `@event_id`. Default true.
    pub event_id: bool,
    /// A larger event is a dead letter. Unit: octets. Default 1 MiB.
    pub max_event_bytes: u64,
    /// Connections at once, at least 1; each stream keeps to one. Default 1.
    pub connections: usize,
    /// What it is.
    pub output: OutputConfig,
}

/// Where a new output begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Behind what is stored then.
    Now,
    /// At the oldest frame still stored.
    Oldest,
    /// Where the output of this name stood.
    Output(String),
}

/// One tenant: an entry under `inputs`.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its key under `inputs`.
    pub name: String,
    /// Its `id`, to which state belongs.
    pub id: String,
    /// Adds `@devo_environment` to every event.
    pub environment: Option<String>,
    /// Who we are.
    pub credentials: Credentials,
    /// Where the tenant's APIs are.
    pub endpoints: Endpoints,
    /// Further roots of trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Proxy for API and token calls, with its credentials.
    pub proxy: Option<Secret>,
    /// Part of Microsoft's quota that we may use, 0 to 1. Default 0.8.
    pub quota_share: f64,
    /// Further limits on API calls of this input.
    pub limits: Vec<CallLimit>,
    /// Names of the outputs that get its events; all of them where the configuration names none.
    pub outputs: Vec<String>,
    /// Services to pull.
    pub services: Vec<ServiceConfig>,
}

/// Who we are.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Entra tenant: GUID or domain.
    pub tenant_id: String,
    /// Application (client) id; empty for the identity that a machine has from its system.
    pub client_id: String,
    /// How the application proves itself.
    pub proof: Proof,
}

/// How the application proves itself.
#[derive(Debug, Clone)]
pub enum Proof {
    /// `client_secret`.
    Secret(Secret),
    /// `client_secret_file`: read at each token request, so that a rotated secret is used.
    SecretFile(PathBuf),
    /// A certificate that the app registration knows; both are read at each token request.
    Certificate {
        /// PEM.
        certificate: PathBuf,
        /// Its key, PEM; it may be the same file.
        key: PathBuf,
    },
    /// The machine that we run on has it from its cloud.
    Managed,
    /// A file with another issuer's token, read at each token request.
    Federated(PathBuf),
}

/// Where the tenant's APIs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Base of the Defender API.
    pub api: Url,
    /// Token endpoint, in full (authority + tenant + path, or as overridden).
    pub token: Url,
    /// Scope asked for.
    pub scope: String,
    /// Base of Microsoft Graph.
    pub graph: Url,
    /// Scope asked for there.
    pub graph_scope: String,
}

/// At most `calls` in any `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimit {
    /// The window.
    pub period: Duration,
    /// Calls in it.
    pub calls: u64,
}

/// One service of one tenant.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// The source.
    pub def: &'static ServiceDef,
    /// The way it is read, one of the source's own. Hunting queries each have theirs.
    pub pull: &'static Pull,
    /// Time between two pulls.
    pub period: Duration,
    /// Pulls start at multiples of the period (`use_time_slots_for_retrievals`).
    pub time_slots: bool,
    /// Where the first pull starts. Unit: milliseconds since 1970, UTC.
    pub historical_ms: Option<i64>,
    /// Re-read before the checkpoint, for updates that become visible late. Default 10 min.
    pub overlap: Duration,
    /// A wider re-read now and then. Default: every 1 h, back 24 h.
    pub sweep: Sweep,
    /// What of a snapshot leaves. Default: all.
    pub emit: Emit,
    /// Properties that are no change for [`Emit::Changes`].
    pub changes_ignore: Vec<String>,
    /// Whether a snapshot ends with an event that says so. Default false.
    pub snapshot_marker: bool,
    /// Counts asked for, in the order of the source's table.
    pub counts: Vec<&'static Count>,
    /// How counts are had.
    pub enrichment: Enrichment,
    /// Hunting queries, names all different; none for other services.
    pub queries: Vec<QueryConfig>,
    /// What is flattened.
    pub flatten: FlattenConfig,
    /// Devo tag; empty for hunting, whose queries have their own.
    pub tag: String,
    /// ANDed, in brackets, into the OData filter of the classic API.
    pub filter: Option<String>,
    /// Which API is read. Default: the classic one while it answers.
    pub backend: Backend,
    /// Whether rows of Graph leave in its own form. Default: in the classic one.
    pub native: bool,
    /// Devo tag of rows in Graph's own form; empty where the source has none.
    pub native_tag: String,
    /// Whether Graph is asked for all products, not only for what the classic API shows. Default: only that.
    pub all_products: bool,
    /// As `filter`, for Graph.
    pub graph_filter: Option<String>,
    /// Values replaced before anything is stored.
    pub obfuscation: Vec<Obfuscation>,
    /// Further limits on this service's calls.
    pub limits: Vec<CallLimit>,
}

impl ServiceConfig {
    /// Where it may be read, best first; `None` is the source itself.
    pub fn places(&self) -> impl Iterator<Item = Option<&'static Elsewhere>> + use<> {
        let (itself, others) = match (self.backend, self.def.endpoint.api) {
            (Backend::Graph, Api::Mde) => (false, true),
            (Backend::Auto, _) => (true, true),
            _ => (true, false),
        };
        let (pull, filtered) = (self.pull, self.filter.is_some());
        // A filter in the classic API's words cannot be asked of a table.
        let reads = move |other: &&Elsewhere| others && other.reads(pull) && !(filtered && other.query.is_some());
        itself.then_some(None).into_iter().chain(self.def.elsewhere.iter().filter(reads).map(Some))
    }

    /// Where it is read first.
    #[must_use]
    pub fn endpoint(&self) -> &'static Endpoint {
        self.def.endpoint_at(self.places().next().flatten())
    }
}

/// Which API a service is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The classic one while it answers and its role is granted, else Graph.
    #[default]
    Auto,
    /// The classic one.
    Mde,
    /// Graph.
    Graph,
}

/// What of a snapshot leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emit {
    /// Every entity.
    #[default]
    All,
    /// Those whose content has changed since the last snapshot, and a tombstone for each that is gone.
    Changes,
}

/// How `related_*` counts are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enrichment {
    /// By which calls.
    pub method: Method,
    /// A count older than this is asked for again. Default 6 h.
    pub max_age: Duration,
}

/// One hunting query: a stream of its own.
#[derive(Debug, Clone)]
pub struct QueryConfig {
    /// Part of the stream's name: letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// The KQL text; it holds `{from}` and `{to}`, or neither.
    pub query: String,
    /// Devo tag.
    pub tag: String,
    /// Slices where the rows have a time (a column, or `{from}` and `{to}`), else snapshots.
    pub pull: &'static Pull,
    /// The column whose time puts a row into a slice.
    pub timestamp_column: Option<String>,
    /// Time between two runs.
    pub period: Duration,
    /// Re-read before the checkpoint. Default 30 min; zero with `align`.
    pub overlap: Duration,
    /// A wider re-read now and then. Default: every 6 h, back 24 h; none with `align`.
    pub sweep: Option<Sweep>,
    /// Slices begin at multiples of this and are read once.
    pub align: Option<Duration>,
    /// How long after the end of an aligned slice it is read. Default 30 min.
    pub settle: Duration,
    /// An answer of so many rows is not whole. Unit: rows. Default 100,000.
    pub row_cap: usize,
}

/// A wider re-read: each `every`, reaching `back + every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// How often.
    pub every: Duration,
    /// How late an update may become visible and still be found.
    pub back: Duration,
}
