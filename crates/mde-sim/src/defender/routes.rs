//! The table of endpoints: path, role, bucket, answer. Whatever else is said of an endpoint is looked up here.

use super::{Call, alert, estate};
use crate::delivery::Answer;
use crate::export::{self, Export};
use crate::graph;
use crate::hunting;
use crate::kind::{RequestKind as Kind, Service};
use crate::quota::Family;
use axum::http::Method;

/// How an endpoint answers.
pub(crate) type Serve = fn(&Call<'_>) -> Result<Answer, Answer>;

/// One endpoint.
pub(crate) struct Endpoint {
    /// What the ledger and the script call it.
    pub(crate) kind: Kind,
    /// Segments under `/api`, or under the root of Microsoft Graph; `{}` stands for an id. Literals count without case.
    pub(crate) path: &'static str,
    /// Whether it is Microsoft Graph's.
    pub(crate) on_graph: bool,
    /// Its only method.
    pub(crate) method: Method,
    /// The bucket that its calls are counted in.
    pub(crate) family: Family,
    /// Roles of which one is needed. Source: permission table of each of the vendor's pages.
    pub(crate) roles: &'static [&'static str],
    /// How it answers.
    pub(crate) serve: Serve,
}

/// Roles for alerts and investigations.
const ALERT: &[&str] = &["Alert.Read.All", "Alert.ReadWrite.All"];
/// Roles for machines.
const MACHINE: &[&str] = &["Machine.Read.All", "Machine.ReadWrite.All"];
/// The role for users.
const USER: &[&str] = &["User.Read.All"];
/// The role for files.
const FILE: &[&str] = &["File.Read.All"];
/// The role for addresses.
const IP: &[&str] = &["Ip.Read.All"];
/// The role for domains.
const URL: &[&str] = &["URL.Read.All"];
/// The role for software.
const SOFTWARE: &[&str] = &["Software.Read.All"];
/// The role for vulnerabilities.
const VULNERABILITY: &[&str] = &["Vulnerability.Read.All"];
/// Roles for recommendations.
const RECOMMENDATION: &[&str] = &["SecurityRecommendation.Read.All"];

/// An endpoint of the Defender API that is read.
const fn read(
    kind: Kind,
    path: &'static str,
    family: Family,
    roles: &'static [&'static str],
    serve: Serve,
) -> Endpoint {
    Endpoint { kind, path, on_graph: false, method: Method::GET, family, roles, serve }
}

/// Roles for alerts of Microsoft Graph.
const GRAPH_ALERT: &[&str] = &[
    "SecurityAlert.Read.All",
    "SecurityAlert.ReadWrite.All",
    "SecurityIncident.Read.All",
    "SecurityIncident.ReadWrite.All",
];
/// Roles for incidents.
const GRAPH_INCIDENT: &[&str] = &["SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All"];

/// An endpoint of Microsoft Graph that is read.
const fn on_graph(
    kind: Kind,
    path: &'static str,
    family: Family,
    roles: &'static [&'static str],
    serve: Serve,
) -> Endpoint {
    Endpoint { kind, path, on_graph: true, method: Method::GET, family, roles, serve }
}

/// Every endpoint. The first one that fits a path answers, so that literal paths stand before ids.
pub(crate) static ENDPOINTS: &[Endpoint] = &[
    read(Kind::Alerts, "alerts", Family::Alerts, ALERT, alert::list),
    read(Kind::Alert, "alerts/{}", Family::Alerts, ALERT, alert::single),
    read(Kind::AlertDomains, "alerts/{}/domains", Family::Alerts, URL, alert::domains),
    read(Kind::AlertFiles, "alerts/{}/files", Family::Alerts, FILE, alert::files),
    read(Kind::AlertIps, "alerts/{}/ips", Family::Alerts, IP, alert::ips),
    read(Kind::AlertMachine, "alerts/{}/machine", Family::Alerts, MACHINE, alert::machine),
    read(Kind::AlertUser, "alerts/{}/user", Family::Alerts, USER, alert::user),
    read(Kind::Machines, "machines", Family::Machines, MACHINE, |call| estate::list(call, Service::Machines)),
    read(
        Kind::ExportVulnerabilities,
        "machines/softwarevulnerabilitiesbymachine",
        Family::JsonExports,
        VULNERABILITY,
        |call| export::answer(call, Export::Vulnerabilities),
    ),
    read(
        Kind::ExportVulnerabilityChanges,
        "machines/softwarevulnerabilitychangesbymachine",
        Family::JsonExports,
        VULNERABILITY,
        |call| export::answer(call, Export::VulnerabilityChanges),
    ),
    read(Kind::ExportInventory, "machines/softwareinventorybymachine", Family::JsonExports, SOFTWARE, |call| {
        export::answer(call, Export::Inventory)
    }),
    read(
        Kind::ExportInventoryWithoutCpe,
        "machines/softwareinventorynoproductcodebymachine",
        Family::JsonExports,
        SOFTWARE,
        |call| export::answer(call, Export::InventoryWithoutCpe),
    ),
    read(
        Kind::ExportConfigurations,
        "machines/secureconfigurationsassessmentbymachine",
        Family::JsonExports,
        VULNERABILITY,
        |call| export::answer(call, Export::Configurations),
    ),
    read(
        Kind::ExportVulnerabilityFiles,
        "machines/softwarevulnerabilitiesexport",
        Family::FileExports,
        VULNERABILITY,
        |call| export::files::answer(call, Export::Vulnerabilities),
    ),
    read(Kind::ExportInventoryFiles, "machines/softwareinventoryexport", Family::FileExports, SOFTWARE, |call| {
        export::files::answer(call, Export::Inventory)
    }),
    read(
        Kind::ExportInventoryWithoutCpeFiles,
        "machines/softwareinventorynoncpeexport",
        Family::FileExports,
        SOFTWARE,
        |call| export::files::answer(call, Export::InventoryWithoutCpe),
    ),
    read(
        Kind::ExportConfigurationFiles,
        "machines/secureconfigurationsassessmentexport",
        Family::FileExports,
        VULNERABILITY,
        |call| export::files::answer(call, Export::Configurations),
    ),
    read(Kind::Machine, "machines/{}", Family::Machines, MACHINE, |call| estate::single(call, Service::Machines)),
    read(Kind::MachineLogonUsers, "machines/{}/logonusers", Family::Machines, USER, estate::logon_users),
    read(Kind::MachineAlerts, "machines/{}/alerts", Family::Machines, ALERT, estate::machine_alerts),
    read(
        Kind::MachineSoftware,
        "machines/{}/software",
        Family::VulnerabilityManagement,
        SOFTWARE,
        estate::machine_software,
    ),
    read(
        Kind::MachineVulnerabilities,
        "machines/{}/vulnerabilities",
        Family::MachineVulnerabilities,
        VULNERABILITY,
        estate::machine_vulnerabilities,
    ),
    read(
        Kind::MachineRecommendations,
        "machines/{}/recommendations",
        Family::VulnerabilityManagement,
        RECOMMENDATION,
        estate::machine_recommendations,
    ),
    read(
        Kind::MachineMissingKbs,
        "machines/{}/getmissingkbs",
        Family::VulnerabilityManagement,
        SOFTWARE,
        estate::machine_kbs,
    ),
    read(Kind::Software, "software", Family::VulnerabilityManagement, SOFTWARE, |call| {
        estate::list(call, Service::Software)
    }),
    read(Kind::SoftwareProduct, "software/{}", Family::VulnerabilityManagement, SOFTWARE, |call| {
        estate::single(call, Service::Software)
    }),
    read(
        Kind::SoftwareDistributions,
        "software/{}/distributions",
        Family::VulnerabilityManagement,
        SOFTWARE,
        estate::distributions,
    ),
    read(
        Kind::SoftwareMachines,
        "software/{}/machinereferences",
        Family::VulnerabilityManagement,
        SOFTWARE,
        estate::software_machines,
    ),
    read(
        Kind::SoftwareVulnerabilities,
        "software/{}/vulnerabilities",
        Family::VulnerabilityManagement,
        VULNERABILITY,
        estate::software_vulnerabilities,
    ),
    read(
        Kind::SoftwareMissingKbs,
        "software/{}/getmissingkbs",
        Family::VulnerabilityManagement,
        SOFTWARE,
        estate::software_kbs,
    ),
    read(
        Kind::MachinesVulnerabilities,
        "vulnerabilities/machinesvulnerabilities",
        Family::VulnerabilityManagement,
        VULNERABILITY,
        estate::machines_vulnerabilities,
    ),
    read(Kind::Vulnerabilities, "vulnerabilities", Family::VulnerabilityManagement, VULNERABILITY, |call| {
        estate::list(call, Service::Vulnerabilities)
    }),
    read(Kind::Vulnerability, "vulnerabilities/{}", Family::VulnerabilityManagement, VULNERABILITY, |call| {
        estate::single(call, Service::Vulnerabilities)
    }),
    read(
        Kind::VulnerabilityMachines,
        "vulnerabilities/{}/machinereferences",
        Family::VulnerabilityManagement,
        VULNERABILITY,
        estate::vulnerability_machines,
    ),
    read(Kind::Recommendations, "recommendations", Family::VulnerabilityManagement, RECOMMENDATION, |call| {
        estate::list(call, Service::Recommendations)
    }),
    read(Kind::Recommendation, "recommendations/{}", Family::VulnerabilityManagement, RECOMMENDATION, |call| {
        estate::single(call, Service::Recommendations)
    }),
    read(
        Kind::RecommendationSoftware,
        "recommendations/{}/software",
        Family::VulnerabilityManagement,
        SOFTWARE,
        estate::recommendation_software,
    ),
    read(
        Kind::RecommendationMachines,
        "recommendations/{}/machinereferences",
        Family::VulnerabilityManagement,
        RECOMMENDATION,
        estate::recommendation_machines,
    ),
    read(
        Kind::RecommendationVulnerabilities,
        "recommendations/{}/vulnerabilities",
        Family::VulnerabilityManagement,
        VULNERABILITY,
        estate::recommendation_vulnerabilities,
    ),
    read(Kind::Investigations, "investigations", Family::Investigations, ALERT, |call| {
        estate::list(call, Service::Investigations)
    }),
    read(Kind::Investigation, "investigations/{}", Family::Investigations, ALERT, |call| {
        estate::single(call, Service::Investigations)
    }),
    Endpoint {
        kind: Kind::Hunting,
        path: "advancedqueries/run",
        on_graph: false,
        method: Method::POST,
        family: Family::Hunting,
        roles: &["AdvancedQuery.Read.All"],
        serve: hunting::answer,
    },
    Endpoint {
        kind: Kind::GraphHunting,
        path: "security/runhuntingquery",
        on_graph: true,
        method: Method::POST,
        family: Family::GraphHunting,
        roles: &["ThreatHunting.Read.All"],
        serve: hunting::answer,
    },
    on_graph(Kind::GraphAlerts, "security/alerts_v2", Family::GraphAlerts, GRAPH_ALERT, graph::alerts),
    on_graph(Kind::GraphAlert, "security/alerts_v2/{}", Family::GraphAlerts, GRAPH_ALERT, graph::alert),
    on_graph(Kind::Incidents, "security/incidents", Family::Incidents, GRAPH_INCIDENT, graph::incidents),
    on_graph(Kind::Incident, "security/incidents/{}", Family::Incidents, GRAPH_INCIDENT, graph::incident),
    on_graph(
        Kind::IncidentAlerts,
        "security/incidents/{}/alerts",
        Family::Incidents,
        GRAPH_INCIDENT,
        graph::incident_alerts,
    ),
];

/// The endpoint that a path leads to, and the id in it. A version in the path changes nothing.
pub(crate) fn find(path: &str) -> Option<(&'static Endpoint, String)> {
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
    let (on_graph, rest) = match segments.as_slice() {
        [api, version, rest @ ..] if is(api, "api") && is(version, "v1.0") => (false, rest),
        [api, rest @ ..] if is(api, "api") => (false, rest),
        [version, rest @ ..] if is(version, "v1.0") || is(version, "beta") => (true, rest),
        rest => (true, rest),
    };
    ENDPOINTS.iter().filter(|endpoint| endpoint.on_graph == on_graph).find_map(|endpoint| {
        let mut id = String::new();
        let words: Vec<_> = endpoint.path.split('/').collect();
        let fits = words.len() == rest.len()
            && words.iter().zip(rest).all(|(word, segment)| match *word {
                "{}" => {
                    id = decoded(segment);
                    true
                }
                word => is(segment, word),
            });
        fits.then_some((endpoint, id))
    })
}

/// Whether a path is one of Microsoft Graph, whether or not anything is there.
pub(crate) fn is_on_graph(path: &str) -> bool {
    let first = path.split('/').find(|segment| !segment.is_empty());
    first.is_some_and(|word| ["v1.0", "beta"].iter().any(|version| word.eq_ignore_ascii_case(version)))
}

/// A path segment with its percent signs undone. `+` is itself in a path.
fn decoded(segment: &str) -> String {
    let pair = segment.replace('+', "%2B");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What a path leads to.
    fn kind(path: &str) -> Option<Kind> {
        find(path).map(|(endpoint, _)| endpoint.kind)
    }

    #[test]
    fn paths_count_without_case_and_with_or_without_a_version() {
        for path in ["/api/alerts", "/api/v1.0/alerts", "/API/Alerts", "/api/V1.0/ALERTS/"] {
            assert_eq!(kind(path), Some(Kind::Alerts), "{path}");
        }
        assert_eq!(find("/api/alerts/da63_-1%2F2").map(|(_, id)| id).as_deref(), Some("da63_-1/2"));
        assert_eq!(find("/api/Software/notepad++-_-notepad++").map(|(_, id)| id).unwrap(), "notepad++-_-notepad++");
        for path in ["/alerts", "/api", "/api/alerts/1/2", "/api/v2.0/alerts"] {
            assert_eq!(kind(path), None, "{path}");
        }
    }

    #[test]
    fn a_literal_path_is_not_taken_for_an_id() {
        assert_eq!(kind("/api/vulnerabilities/machinesVulnerabilities"), Some(Kind::MachinesVulnerabilities));
        assert_eq!(kind("/api/vulnerabilities/CVE-2026-10001"), Some(Kind::Vulnerability));
        assert_eq!(kind("/api/Machines/abc/LogonUsers"), Some(Kind::MachineLogonUsers));
    }

    #[test]
    fn every_endpoint_has_a_kind_of_its_own() {
        let kinds: BTreeSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.kind).collect();
        assert_eq!(kinds.len(), ENDPOINTS.len());
    }
}
