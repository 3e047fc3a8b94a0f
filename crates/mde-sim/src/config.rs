//! What a simulator is made from. Every value has a default that behaves like the service itself.

use crate::clock::SimClock;
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
    /// Machines that the alerts name. Default 500.
    pub machines: u32,
    /// Alerts that appear by themselves, by the clock. Default 0.
    pub new_per_minute: f64,
    /// Updates of alerts that happen by themselves, by the clock. Default 0.
    pub updates_per_minute: f64,
}

/// How list answers are cut into pages.
#[derive(Clone, Debug)]
pub struct PageConfig {
    /// Rows of a page when no `$top` is given. Default 10,000.
    pub size: usize,
    /// Order of rows in lists without `$orderby`. Nothing is documented. Default: newest first.
    pub order: Order,
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

/// All application roles that a complete collector needs.
/// Source: permission tables of the vendor's API pages.
pub const ALL_ROLES: [&str; 10] = [
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
];

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            clock: SimClock::default(),
            alerts: AlertConfig::default(),
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

impl Default for PageConfig {
    fn default() -> Self {
        Self {
            size: 10_000,
            order: Order::default(),
            link_base: None,
            hidden_after: None,
            trailing_link: false,
            link_first: false,
        }
    }
}
