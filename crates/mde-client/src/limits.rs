//! The vendor's numbers: unit, source, day read. The only place that has them.
//!
//! Sources are pages of the Defender for Endpoint and the Microsoft Graph API reference, read 2026-11. A number that no page states says so.

/// An API family: one quota of the vendor's, counted per application and tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Family {
    /// Alerts and what hangs on one alert: domains, files, addresses, machine, user.
    Alerts,
    /// Machines, and of one machine its logged-on users and alerts.
    Machines,
    /// Vulnerabilities of one machine, which have a smaller quota than the rest of a machine.
    MachineVulnerabilities,
    /// Automated investigations.
    Investigations,
    /// Vulnerabilities, software, recommendations and their related lists, also those of one machine.
    VulnerabilityManagement,
    /// Advanced hunting.
    Hunting,
    /// Exports that answer rows (`…ByMachine`).
    ExportJson,
    /// Exports that answer links to files (`…Export`). Fetching the files is not counted.
    ExportFiles,
    /// Alerts by Microsoft Graph.
    GraphAlerts,
    /// Incidents, which only Microsoft Graph has.
    GraphIncidents,
    /// Advanced hunting by Microsoft Graph.
    GraphHunting,
}

/// What one family may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Whose limits these are.
    pub family: Family,
    /// The family in status rows and metric labels.
    pub name: &'static str,
    /// Unit: calls in any sliding minute.
    pub per_minute: u32,
    /// Unit: calls in any sliding hour.
    pub per_hour: u32,
    /// Whether a page of the vendor's states the numbers; otherwise they are assumed until a 429 says more.
    pub stated: bool,
    /// The page that was read in 2026-11.
    pub source: &'static str,
}

/// One line of the table below.
const fn row(family: Family, name: &'static str, limits: [u32; 2], stated: bool, source: &'static str) -> Limits {
    Limits { family, name, per_minute: limits[0], per_hour: limits[1], stated, source }
}

/// The limits of every family, in the order of [`Family`]. Unit: calls per minute, calls per hour.
pub static LIMITS: [Limits; 11] = [
    row(Family::Alerts, "alerts", [100, 1_500], true, "List alerts API"),
    row(Family::Machines, "machines", [100, 1_500], true, "List machines API"),
    row(Family::MachineVulnerabilities, "machine_vulnerabilities", [50, 1_500], true, "Get discovered vulnerabilities"),
    row(Family::Investigations, "investigations", [100, 1_500], true, "List investigations API"),
    row(Family::VulnerabilityManagement, "vulnerability_management", [50, 1_500], false, "no page states it"),
    row(Family::Hunting, "hunting", [45, 1_500], true, "Advanced hunting API"),
    row(Family::ExportJson, "export_json", [30, 1_000], true, "Export assessment methods (JSON response)"),
    row(Family::ExportFiles, "export_files", [5, 20], true, "Export assessment methods (via files)"),
    // Graph's pages state no hour but for incidents' twin in the Defender XDR API; 9,000 is no limit beside 150 a minute.
    row(Family::GraphAlerts, "graph_alerts", [150, 9_000], true, "Microsoft Graph throttling limits: security"),
    row(Family::GraphIncidents, "graph_incidents", [50, 1_500], false, "List incidents API (Defender XDR)"),
    row(Family::GraphHunting, "graph_hunting", [45, 1_500], true, "Microsoft Graph security API overview"),
];

impl Family {
    /// What the family may be asked for.
    #[must_use]
    pub fn limits(self) -> &'static Limits {
        &LIMITS[self as usize]
    }

    /// The family of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        LIMITS.iter().find(|limits| limits.name == name).map(|limits| limits.family)
    }

    /// Whether its calls are hunting queries, which are refused in words of their own.
    pub(crate) const fn is_hunting(self) -> bool {
        matches!(self, Self::Hunting | Self::GraphHunting)
    }

    /// Whether its calls go to Microsoft Graph.
    #[must_use]
    pub const fn is_graph(self) -> bool {
        matches!(self, Self::GraphAlerts | Self::GraphIncidents | Self::GraphHunting)
    }

    /// The family in status rows and metric labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.limits().name
    }
}

/// Most rows in one answer of an OData list. Unit: rows. Source: "List alerts API", "List machines API" (`$top` at most 10,000).
pub const PAGE_CAP: usize = 10_000;

/// Most rows in one answer of the vulnerability list. Unit: rows. Source: "List vulnerabilities" (`$top` at most 8,000).
pub const VULNERABILITY_PAGE_CAP: usize = 8_000;

/// Most rows in one answer of Graph's alerts. Unit: rows. Source: "Use the Microsoft Graph security API" (`$top` at most 1,000).
pub const GRAPH_ALERT_PAGE_CAP: usize = 1_000;

/// Most rows in one answer of Graph's incidents; asked for more, it answers 400. Unit: rows. Source: "List incidents".
pub const GRAPH_INCIDENT_PAGE_CAP: usize = 50;

/// Furthest row that `$skip` reaches in Graph's security lists; beyond it is a 400. Unit: rows. Source: "Use the Microsoft Graph
/// security API".
pub const GRAPH_SKIP_CAP: usize = 500;

/// Rows in one answer of a JSON export where `pageSize` is not given. Unit: rows. Source: "Export assessment methods".
pub const EXPORT_PAGE_DEFAULT: usize = 50_000;

/// Most rows in one answer of a JSON export. Unit: rows. Source: "Export assessment methods" (`pageSize` at most 200,000).
pub const EXPORT_PAGE_CAP: usize = 200_000;

/// How long links of a file export stay good unless `sasValidHours` asks for more. Unit: hours. Source: "Export assessment methods".
pub const EXPORT_LINK_HOURS: u32 = 1;

/// The longest validity that `sasValidHours` may ask for. Unit: hours. Source: "Export assessment methods".
pub const EXPORT_LINK_HOURS_CAP: u32 = 6;

/// Most rows in one answer of a hunting query. Unit: rows. Source: "Advanced hunting API".
pub const HUNTING_ROW_CAP: usize = 100_000;

/// Largest answer of a hunting query. Unit: bytes (124 MB). Source: "Advanced hunting API".
pub const HUNTING_BYTE_CAP: usize = 124_000_000;

/// Longest run of one hunting query. Unit: seconds; by Graph 180. Source: "Advanced hunting API".
pub const HUNTING_SECONDS_CAP: u64 = 200;

/// Largest answer of a hunting query by Graph. Unit: bytes (50 MB). Source: "Advanced hunting API", newest copy.
pub const GRAPH_HUNTING_BYTE_CAP: usize = 50_000_000;

/// When the Defender endpoint for hunting stops answering. Unit: milliseconds since 1970, UTC (2027-02-01). Source:
/// message MC1220762, "Advanced hunting API".
pub const DEFENDER_HUNTING_END_MS: i64 = 1_801_440_000_000;

/// When the classic API is announced to stop answering as a whole. Unit: milliseconds since 1970, UTC (2027-02-01). Source: message
/// MC1220762; the reference pages say so of hunting only.
pub const DEFENDER_END_MS: i64 = DEFENDER_HUNTING_END_MS;

/// Running time of all hunting queries in an hour. Unit: seconds (10 min). Source: "Advanced hunting API".
pub const HUNTING_SECONDS_PER_HOUR: u64 = 600;

/// Running time of all hunting queries in a day. Unit: seconds (3 h). Source: "Advanced hunting API".
pub const HUNTING_SECONDS_PER_DAY: u64 = 10_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_finds_its_own_row() {
        for (index, limits) in LIMITS.iter().enumerate() {
            assert_eq!(limits.family as usize, index, "{limits:?}");
            assert_eq!(limits.family.limits(), limits);
            assert_eq!(Family::named(limits.name), Some(limits.family));
        }
    }

    #[test]
    fn a_name_of_none_is_no_family() {
        assert_eq!(Family::named("Alerts"), None);
    }

    #[test]
    fn the_end_of_the_older_endpoint_is_the_announced_day() {
        assert_eq!(crate::write_time(DEFENDER_HUNTING_END_MS).as_deref(), Some("2027-02-01T00:00:00.000Z"));
    }

    #[test]
    fn names_are_distinct_and_no_hour_is_smaller_than_its_minute() {
        let mut names: Vec<_> = LIMITS.iter().map(|limits| limits.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LIMITS.len());
        assert!(LIMITS.iter().all(|limits| limits.per_hour >= limits.per_minute));
    }
}
