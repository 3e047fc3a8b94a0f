//! The configuration: the official collector's layout, read with the place of every value.
//!
//! Loading names every problem at once. It reads the configuration file and the files it names, nothing else: no network.

mod credentials;
mod endpoints;
mod flatten;
mod globals;
mod hidden;
mod inputs;
mod interpolate;
mod limits;
mod load;
mod nearest;
mod obfuscation;
pub mod outputs;
mod parse;
mod problem;
mod report;
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
pub use load::{Loaded, Options, load, load_job};
pub use outputs::OutputConfig;
pub use problem::{Problem, Problems, Severity, Snippet};
pub use secret::Secret;

use crate::service::ServiceDef;
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
    /// Whether pulling pauses rather than let it lose events. Default true.
    pub required: bool,
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
    /// Application (client) id.
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
    /// What is flattened.
    pub flatten: FlattenConfig,
    /// Devo tag.
    pub tag: String,
    /// ANDed, in brackets, into the OData filter.
    pub filter: Option<String>,
    /// Values replaced before anything is stored.
    pub obfuscation: Vec<Obfuscation>,
    /// Further limits on this service's calls.
    pub limits: Vec<CallLimit>,
    /// The way in which it is read.
    pub pull: &'static crate::service::Pull,
    /// Which entities of a snapshot leave.
    pub emit: Emit,
    /// Members that do not count as a change.
    pub changes_ignore: Vec<String>,
    /// Whether a snapshot ends with an event that says so.
    pub snapshot_marker: bool,
    /// Hunting queries.
    pub queries: Vec<QueryConfig>,
}

/// Which entities of a snapshot leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// All of them.
    All,
    /// Those that have changed since the last one, and of the gone a last word.
    Changes,
}

/// One hunting query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryConfig {
    /// Names its stream.
    pub name: String,
    /// KQL.
    pub query: String,
    /// Devo tag.
    pub tag: String,
    /// The column that slices; a query without one is a snapshot.
    pub timestamp_column: Option<String>,
}

/// A wider re-read: each `every`, reaching `back + every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// How often.
    pub every: Duration,
    /// How late an update may become visible and still be found.
    pub back: Duration,
}
