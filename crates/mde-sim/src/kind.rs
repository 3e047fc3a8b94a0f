//! The words for what is asked and what is served.

use serde::{Deserialize, Serialize};

/// A data source of the tenant, as a collector names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Alerts.
    Alerts,
    /// Machines.
    Machines,
    /// Software products.
    Software,
    /// Vulnerabilities.
    Vulnerabilities,
    /// Recommendations.
    Recommendations,
    /// Automated investigations.
    Investigations,
    /// Rows of hunting tables.
    AdvancedHunting,
    /// Incidents, which only Microsoft Graph has.
    Incidents,
}

impl Service {
    /// Every service that the Defender API has.
    pub const ALL: [Self; 7] = [
        Self::Alerts,
        Self::Machines,
        Self::Software,
        Self::Vulnerabilities,
        Self::Recommendations,
        Self::Investigations,
        Self::AdvancedHunting,
    ];

    /// Its key in a collector's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Machines => "machines",
            Self::Software => "software",
            Self::Vulnerabilities => "vulnerabilities",
            Self::Recommendations => "recommendations",
            Self::Investigations => "investigations",
            Self::AdvancedHunting => "advanced_hunting",
            Self::Incidents => "incidents",
        }
    }
}

/// What a request is about: one for each endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// A token is asked for.
    Token,
    /// The alert list, any page of it. Lists below likewise.
    Alerts,
    /// One alert by id.
    Alert,
    /// Domains of an alert.
    AlertDomains,
    /// Files of an alert.
    AlertFiles,
    /// Addresses of an alert.
    AlertIps,
    /// The machine of an alert.
    AlertMachine,
    /// The user of an alert.
    AlertUser,
    /// The machine list.
    Machines,
    /// One machine by id or name.
    Machine,
    /// Users who logged on to a machine.
    MachineLogonUsers,
    /// Alerts of a machine.
    MachineAlerts,
    /// Software on a machine.
    MachineSoftware,
    /// Vulnerabilities of a machine.
    MachineVulnerabilities,
    /// Recommendations for a machine.
    MachineRecommendations,
    /// Updates that a machine lacks.
    MachineMissingKbs,
    /// The software list.
    Software,
    /// One product by id.
    SoftwareProduct,
    /// Versions of a product.
    SoftwareDistributions,
    /// Machines with a product.
    SoftwareMachines,
    /// Vulnerabilities of a product.
    SoftwareVulnerabilities,
    /// Updates of a product that machines lack.
    SoftwareMissingKbs,
    /// The vulnerability list.
    Vulnerabilities,
    /// One vulnerability by id.
    Vulnerability,
    /// Machines exposed to a vulnerability.
    VulnerabilityMachines,
    /// The list of machine × software × vulnerability.
    MachinesVulnerabilities,
    /// The recommendation list.
    Recommendations,
    /// One recommendation by id.
    Recommendation,
    /// The product of a recommendation.
    RecommendationSoftware,
    /// Machines that a recommendation is for.
    RecommendationMachines,
    /// Vulnerabilities that a recommendation cures.
    RecommendationVulnerabilities,
    /// The investigation list.
    Investigations,
    /// One investigation by its id or its alert's.
    Investigation,
    /// A hunting query on the Defender API.
    Hunting,
    /// A hunting query on Microsoft Graph.
    GraphHunting,
    /// The alert list of Microsoft Graph.
    GraphAlerts,
    /// One alert of Microsoft Graph by id.
    GraphAlert,
    /// The incident list of Microsoft Graph.
    Incidents,
    /// One incident by id.
    Incident,
    /// Alerts of an incident.
    IncidentAlerts,
    /// JSON export `SoftwareVulnerabilitiesByMachine`.
    ExportVulnerabilities,
    /// JSON export `SoftwareVulnerabilityChangesByMachine`.
    ExportVulnerabilityChanges,
    /// JSON export `SoftwareInventoryByMachine`.
    ExportInventory,
    /// JSON export `SoftwareInventoryNoProductCodeByMachine`.
    ExportInventoryWithoutCpe,
    /// JSON export `SecureConfigurationsAssessmentByMachine`.
    ExportConfigurations,
    /// File export `SoftwareVulnerabilitiesExport`.
    ExportVulnerabilityFiles,
    /// File export `SoftwareInventoryExport`.
    ExportInventoryFiles,
    /// File export `SoftwareInventoryNonCpeExport`.
    ExportInventoryWithoutCpeFiles,
    /// File export `SecureConfigurationsAssessmentExport`.
    ExportConfigurationFiles,
    /// A file of a file export.
    Blob,
    /// Anything else under the API's address.
    Other,
}
