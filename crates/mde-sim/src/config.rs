//! What a simulator is made from. Every value has a default that behaves like the service itself.

use crate::clock::SimClock;
use crate::kind::Service;
use crate::quota::{Family, Limits};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What a simulator is made from.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// Where to listen. Default: a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Everything made up follows from it: the same seed and clock give the same octets.
    pub seed: u64,
    /// The clock of the simulated servers. Default: the machine's.
    pub clock: SimClock,
    /// The alerts of the tenant.
    pub alerts: AlertConfig,
    /// The machines of the tenant.
    pub machines: MachineConfig,
    /// The software of the tenant.
    pub software: SoftwareConfig,
    /// What is wrong with that software.
    pub vulnerabilities: VulnerabilityConfig,
    /// What should be done about it.
    pub recommendations: RecommendationConfig,
    /// Automated investigations.
    pub investigations: InvestigationConfig,
    /// Hunting tables and limits.
    pub hunting: HuntingConfig,
    /// Exports.
    pub exports: ExportConfig,
    /// What Microsoft Graph shows differently.
    pub graph: GraphConfig,
    /// Services that [`crate::Sim::inputs_yaml`] asks for. All of them are served, whatever it asks. Default: alerts.
    pub services: Vec<Service>,
    /// How list answers are cut into pages.
    pub page: PageConfig,
    /// Calls allowed for each API family; a family that is missing has no limit. Default: the documented numbers.
    pub quota: BTreeMap<Family, Limits>,
    /// How long a token is valid. Default 3,599 s.
    pub token_lifetime: Duration,
    /// Application roles granted, as the token's `roles` claim shows them. Default: all that a complete collector needs.
    pub roles: Vec<String>,
}

/// The alerts of the tenant and how they come into being.
#[derive(Clone, Debug)]
pub struct AlertConfig {
    /// Alerts there are at the start. Default 1,000.
    pub count: usize,
    /// Their update times are spread over this much time before the start. Default 7 days.
    pub span: Duration,
    /// Evidence rows of a new alert; each update adds one. Default 1 to 10, which makes about 5 KB.
    pub evidence: RangeInclusive<u32>,
    /// Severities and how often each comes. Weights, not percent.
    pub severities: Vec<(&'static str, u32)>,
    /// Statuses of new alerts and how often each comes.
    pub statuses: Vec<(&'static str, u32)>,
    /// Neighbouring alerts that share one `lastUpdateTime`. Default 1: none do. `usize::MAX`: all are updated at one instant.
    pub tied: usize,
    /// That instant, when all are tied; default: the middle of `span`.
    pub tied_at: Option<Timestamp>,
    /// Machines that the alerts name when the tenant has none; else they name the tenant's. Default 500.
    pub machines: u32,
    /// Alerts that appear by themselves, by the clock. Default 0.
    pub new_per_minute: f64,
    /// Updates of alerts that happen by themselves, by the clock. Default 0.
    pub updates_per_minute: f64,
}

/// The machines of the tenant. Their number costs no memory.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    /// Machines there are at the start. Default 200.
    pub count: usize,
    /// Products on one machine, on average. Default 25.
    pub software: usize,
    /// How often a machine reports by itself, each at its own time: `lastSeen` moves and nothing else. Default: never.
    pub report_every: Option<Duration>,
    /// Machines that come by themselves. Default 0.
    pub added_per_hour: f64,
    /// Machines that leave by themselves. Default 0.
    pub removed_per_hour: f64,
    /// Machines that report something new. Default 0.
    pub changed_per_hour: f64,
    /// Machines that are brought up to date. Default 0.
    pub patched_per_hour: f64,
    /// An empty machine list is answered with 404, as the vendor's page says, instead of an empty array. Default: off.
    pub empty_is_404: bool,
}

/// The software of the tenant.
#[derive(Clone, Debug)]
pub struct SoftwareConfig {
    /// Products. Default 60.
    pub count: usize,
    /// How many of them have no CPE: those are missing in the ordinary inventory. Default 0.
    pub without_cpe: usize,
    /// The undocumented properties `installedMachines` and `isNormalized` are there. Default: off.
    pub undocumented: bool,
}

/// What is wrong with the tenant's software.
#[derive(Clone, Debug)]
pub struct VulnerabilityConfig {
    /// Vulnerabilities. Default 300.
    pub count: usize,
    /// Vulnerabilities that become known. Default 0.
    pub added_per_hour: f64,
    /// Vulnerabilities whose entry is updated: `updatedOn` becomes that moment. Default 0.
    pub updated_per_hour: f64,
}

/// What should be done about it.
#[derive(Clone, Debug)]
pub struct RecommendationConfig {
    /// Recommendations: four in five are updates of products, the rest settings. Default 40.
    pub count: usize,
}

/// Automated investigations.
#[derive(Clone, Debug)]
pub struct InvestigationConfig {
    /// Investigations there are at the start. Default 50.
    pub count: usize,
    /// Their start times are spread over this much time before the start. Default 7 days.
    pub span: Duration,
    /// Investigations that begin by themselves. Default 0.
    pub new_per_hour: f64,
}

/// Hunting tables and limits.
#[derive(Clone, Debug)]
pub struct HuntingConfig {
    /// Rows of each table of events. Default 1.
    pub rows_per_minute: f64,
    /// How far back events go from the start; afterwards they go on by the clock. Default 2 days.
    pub span: Duration,
    /// One row in so many becomes visible late; 0: none. Default 50.
    pub late_one_in: u64,
    /// How much later than its time. Default 20 minutes.
    pub late_by: Duration,
    /// One row in so many equals the row before it in every column; 0: none. Default 40.
    pub twin_one_in: u64,
    /// Rows of an answer at most; further ones are left out without a word. Default 100,000.
    pub row_cap: usize,
    /// Octets of rows in a classic answer at most, beyond that 400. Default 124 MB.
    pub max_bytes: usize,
    /// The same on Graph. Default 50 MB.
    pub graph_max_bytes: usize,
}

/// Exports.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// Exports show the tenant as it was when they were built last, counted from the start; zero: as it is. Default 6 hours.
    pub rebuilt_every: Duration,
    /// Files of a file export. Default 3.
    pub files: usize,
}

/// What Microsoft Graph shows differently from the classic API.
#[derive(Clone, Debug)]
pub struct GraphConfig {
    /// How much later than the classic API Graph shows what happens to alerts. Default 0: at the same moment.
    pub delay: Duration,
    /// One alert in so many is kept away from Graph by a tuning rule; 0: none. Default 20.
    pub tuned_one_in: u32,
    /// One alert in so many has a companion of another product in its incident, which only Graph shows; 0: none. Default 5.
    pub companion_one_in: u32,
    /// Incidents with `$expand=alerts` are a 500 in a tenant with more alerts than this. Default 10,000.
    pub expand_limit: usize,
    /// Links carry `$skiptoken` and can pass `$skip=500`; else they carry `$skip`, and the service refuses its own links beyond
    /// that. The vendor tells neither. Default: true.
    pub skip_tokens: bool,
}

/// How list answers are cut into pages.
#[derive(Clone, Debug)]
pub struct PageConfig {
    /// Rows of a page when no `$top` is given. Default 10,000.
    pub size: usize,
    /// Order of rows in lists without `$orderby`. Nothing is documented. Default: newest first.
    pub order: Order,
    /// Which of the orders that [`Order::Shuffled`] can mean. Default 0.
    pub shuffle: u64,
    /// The last so many rows of a page come again in front of the next one. Default 0.
    pub repeated: usize,
    /// Base of `@odata.nextLink` and `@odata.context`, for example `https://api-eu.securitycenter.windows.com`. Default: as called.
    pub link_base: Option<String>,
    /// At most so many rows come without `$top`, **and no link tells of the rest**. Default: off.
    pub hidden_after: Option<usize>,
    /// The last page carries a link all the same; it leads to a page without rows. Default: off.
    pub trailing_link: bool,
    /// `@odata.nextLink` stands before `value`: JSON does not order keys. Default: behind it.
    pub link_first: bool,
}

/// Order of rows in lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Latest update first.
    #[default]
    NewestFirst,
    /// Latest update last.
    OldestFirst,
    /// No order that anyone could rely on, yet the same for each call.
    Shuffled,
}

/// All application roles that a complete collector needs; the last three are Microsoft Graph's.
/// Source: permission tables of the vendor's API pages.
pub const ALL_ROLES: [&str; 13] = [
    "Alert.Read.All",
    "Machine.Read.All",
    "User.Read.All",
    "File.Read.All",
    "Ip.Read.All",
    "URL.Read.All",
    "Vulnerability.Read.All",
    "Software.Read.All",
    "SecurityRecommendation.Read.All",
    "AdvancedQuery.Read.All",
    "ThreatHunting.Read.All",
    "SecurityAlert.Read.All",
    "SecurityIncident.Read.All",
];

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            clock: SimClock::default(),
            alerts: AlertConfig::default(),
            machines: MachineConfig::default(),
            software: SoftwareConfig::default(),
            vulnerabilities: VulnerabilityConfig::default(),
            recommendations: RecommendationConfig::default(),
            investigations: InvestigationConfig::default(),
            hunting: HuntingConfig::default(),
            exports: ExportConfig::default(),
            graph: GraphConfig::default(),
            services: vec![Service::Alerts],
            page: PageConfig::default(),
            quota: Family::ALL.iter().map(|family| (*family, family.documented())).collect(),
            token_lifetime: Duration::from_secs(3_599),
            roles: ALL_ROLES.map(String::from).to_vec(),
        }
    }
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self {
            count: 1_000,
            span: Duration::from_secs(7 * 86_400),
            evidence: 1..=10,
            severities: vec![("Informational", 35), ("Low", 30), ("Medium", 25), ("High", 9), ("UnSpecified", 1)],
            statuses: vec![("New", 60), ("InProgress", 20), ("Resolved", 18), ("Unknown", 2)],
            tied: 1,
            tied_at: None,
            machines: 500,
            new_per_minute: 0.0,
            updates_per_minute: 0.0,
        }
    }
}

impl Default for MachineConfig {
    fn default() -> Self {
        Self {
            count: 200,
            software: 25,
            report_every: None,
            added_per_hour: 0.0,
            removed_per_hour: 0.0,
            changed_per_hour: 0.0,
            patched_per_hour: 0.0,
            empty_is_404: false,
        }
    }
}

impl Default for SoftwareConfig {
    fn default() -> Self {
        Self { count: 60, without_cpe: 0, undocumented: false }
    }
}

impl Default for VulnerabilityConfig {
    fn default() -> Self {
        Self { count: 300, added_per_hour: 0.0, updated_per_hour: 0.0 }
    }
}

impl Default for RecommendationConfig {
    fn default() -> Self {
        Self { count: 40 }
    }
}

impl Default for InvestigationConfig {
    fn default() -> Self {
        Self { count: 50, span: Duration::from_secs(7 * 86_400), new_per_hour: 0.0 }
    }
}

impl Default for HuntingConfig {
    fn default() -> Self {
        Self {
            rows_per_minute: 1.0,
            span: Duration::from_secs(2 * 86_400),
            late_one_in: 50,
            late_by: Duration::from_secs(20 * 60),
            twin_one_in: 40,
            row_cap: 100_000,
            max_bytes: 124_000_000,
            graph_max_bytes: 50_000_000,
        }
    }
}

impl Default for ExportConfig {
    fn default() -> Self {
        Self { rebuilt_every: Duration::from_secs(6 * 3_600), files: 3 }
    }
}

impl Default for GraphConfig {
    fn default() -> Self {
        Self { delay: Duration::ZERO, tuned_one_in: 20, companion_one_in: 5, expand_limit: 10_000, skip_tokens: true }
    }
}

impl Default for PageConfig {
    fn default() -> Self {
        Self {
            size: 10_000,
            order: Order::default(),
            shuffle: 0,
            repeated: 0,
            link_base: None,
            hidden_after: None,
            trailing_link: false,
            link_first: false,
        }
    }
}
