//! Columns of the hunting tables. Source: the vendor's page of each table, and answers seen live for columns that a page lacks.

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name; two may differ by case alone.
    pub(crate) name: std::borrow::Cow<'static, str>,
    /// What it holds.
    pub(crate) of: Type,
}

/// What a column holds, in the words of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// An instant.
    DateTime,
    /// A text.
    String,
    /// A whole number.
    Int64,
    /// True or false, as 1 or 0.
    SByte,
    /// A number.
    Double,
    /// Any JSON. The Defender API gives it as a text, Microsoft Graph as it is.
    Dynamic,
}

/// A column of a table.
const fn column(name: &'static str, of: Type) -> Column {
    Column { name: std::borrow::Cow::Borrowed(name), of }
}

/// Columns of `DeviceLogonEvents`.
pub(super) static LOGON_EVENTS: &[Column] = &[
    column("Timestamp", Type::DateTime),
    column("DeviceId", Type::String),
    column("DeviceName", Type::String),
    column("ActionType", Type::String),
    column("LogonType", Type::String),
    column("AccountDomain", Type::String),
    column("AccountName", Type::String),
    column("AccountSid", Type::String),
    column("Protocol", Type::String),
    column("FailureReason", Type::String),
    column("IsLocalAdmin", Type::SByte),
    column("LogonId", Type::Int64),
    column("RemoteDeviceName", Type::String),
    column("RemoteIP", Type::String),
    column("RemoteIPType", Type::String),
    column("RemotePort", Type::String),
    column("InitiatingProcessId", Type::Int64),
    column("InitiatingProcessCreationTime", Type::DateTime),
    column("InitiatingProcessFileName", Type::String),
    column("InitiatingProcessFolderPath", Type::String),
    column("InitiatingProcessCommandLine", Type::String),
    column("InitiatingProcessSHA1", Type::String),
    column("ReportId", Type::Int64),
    column("AppGuardContainerId", Type::String),
    column("AdditionalFields", Type::String),
    column("MachineGroup", Type::String),
];

/// Columns of `DeviceProcessEvents`. Two of them differ by case alone.
pub(super) static PROCESS_EVENTS: &[Column] = &[
    column("Timestamp", Type::DateTime),
    column("DeviceId", Type::String),
    column("DeviceName", Type::String),
    column("ActionType", Type::String),
    column("FileName", Type::String),
    column("FolderPath", Type::String),
    column("SHA1", Type::String),
    column("SHA256", Type::String),
    column("MD5", Type::String),
    column("FileSize", Type::Int64),
    column("ProcessId", Type::Int64),
    column("ProcessCommandLine", Type::String),
    column("ProcessIntegrityLevel", Type::String),
    column("ProcessTokenElevation", Type::String),
    column("ProcessCreationTime", Type::DateTime),
    column("AccountDomain", Type::String),
    column("AccountName", Type::String),
    column("AccountSid", Type::String),
    column("AccountUpn", Type::String),
    column("LogonId", Type::Int64),
    column("LogonID", Type::String),
    column("InitiatingProcessId", Type::Int64),
    column("InitiatingProcessFileName", Type::String),
    column("InitiatingProcessCommandLine", Type::String),
    column("InitiatingProcessParentFileName", Type::String),
    column("InitiatingProcessVersionInfoCompanyName", Type::String),
    column("IsProcessRemoteSession", Type::SByte),
    column("ReportId", Type::Int64),
    column("AppGuardContainerId", Type::String),
    column("AdditionalFields", Type::String),
    column("MachineGroup", Type::String),
];

/// Columns of `DeviceInfo`.
pub(super) static INFO: &[Column] = &[
    column("Timestamp", Type::DateTime),
    column("DeviceId", Type::String),
    column("DeviceName", Type::String),
    column("ClientVersion", Type::String),
    column("PublicIP", Type::String),
    column("OSArchitecture", Type::String),
    column("OSPlatform", Type::String),
    column("OSBuild", Type::String),
    column("OSVersion", Type::String),
    column("IsAzureADJoined", Type::SByte),
    column("JoinType", Type::String),
    column("AadDeviceId", Type::String),
    column("LoggedOnUsers", Type::String),
    column("OnboardingStatus", Type::String),
    column("DeviceCategory", Type::String),
    column("DeviceType", Type::String),
    column("AdditionalFields", Type::String),
    column("MachineGroup", Type::String),
    column("ReportId", Type::Int64),
    column("OSVersionInfo", Type::String),
    column("SensorHealthState", Type::String),
    column("ExposureLevel", Type::String),
    column("AssetValue", Type::String),
    column("IsExcluded", Type::SByte),
    column("ExclusionReason", Type::String),
    column("RegistryDeviceTag", Type::String),
    column("DeviceManualTags", Type::String),
    column("DeviceDynamicTags", Type::String),
    column("MergedDeviceIds", Type::String),
    column("MergedToDeviceId", Type::String),
    column("IsInternetFacing", Type::SByte),
];

/// Columns of `DeviceTvmSoftwareVulnerabilities`; none is a time.
pub(super) static VULNERABILITIES: &[Column] = &[
    column("DeviceId", Type::String),
    column("DeviceName", Type::String),
    column("OSPlatform", Type::String),
    column("OSVersion", Type::String),
    column("OSArchitecture", Type::String),
    column("SoftwareVendor", Type::String),
    column("SoftwareName", Type::String),
    column("SoftwareVersion", Type::String),
    column("CveId", Type::String),
    column("VulnerabilitySeverityLevel", Type::String),
    column("RecommendedSecurityUpdate", Type::String),
    column("RecommendedSecurityUpdateId", Type::String),
    column("CveTags", Type::Dynamic),
    column("CveMitigationStatus", Type::String),
    column("AadDeviceId", Type::String),
];

/// Columns of `DeviceTvmSoftwareInventory`; none is a time.
pub(super) static INVENTORY: &[Column] = &[
    column("DeviceId", Type::String),
    column("DeviceName", Type::String),
    column("OSPlatform", Type::String),
    column("OSVersion", Type::String),
    column("OSArchitecture", Type::String),
    column("SoftwareVendor", Type::String),
    column("SoftwareName", Type::String),
    column("SoftwareVersion", Type::String),
    column("EndOfSupportStatus", Type::String),
    column("EndOfSupportDate", Type::DateTime),
    column("ProductCodeCpe", Type::String),
];

/// Columns of `DeviceNetworkInfo`.
pub(super) static NETWORK: &[Column] = &[
    column("Timestamp", Type::DateTime),
    column("DeviceId", Type::String),
    column("DeviceName", Type::String),
    column("ReportId", Type::Int64),
    column("NetworkAdapterName", Type::String),
    column("MacAddress", Type::String),
    column("NetworkAdapterType", Type::String),
    column("NetworkAdapterStatus", Type::String),
    column("TunnelType", Type::String),
    column("ConnectedNetworks", Type::String),
    column("DnsAddresses", Type::String),
    column("IPv4Dhcp", Type::String),
    column("IPv6Dhcp", Type::String),
    column("DefaultGateways", Type::String),
    column("IPAddresses", Type::String),
    column("NetworkAdapterVendor", Type::String),
];

/// Columns of `DeviceTvmSoftwareVulnerabilitiesKB`.
pub(super) static VULNERABILITY_KB: &[Column] = &[
    column("CveId", Type::String),
    column("CvssScore", Type::Double),
    column("CvssVector", Type::String),
    column("CveSupportability", Type::String),
    column("IsExploitAvailable", Type::SByte),
    column("VulnerabilitySeverityLevel", Type::String),
    column("LastModifiedTime", Type::DateTime),
    column("PublishedDate", Type::DateTime),
    column("VulnerabilityDescription", Type::String),
    column("AffectedSoftware", Type::Dynamic),
    column("EpssScore", Type::Double),
];

/// Columns of `DeviceTvmSecureConfigurationAssessment`.
pub(super) static ASSESSMENT: &[Column] = &[
    column("DeviceId", Type::String),
    column("DeviceName", Type::String),
    column("OSPlatform", Type::String),
    column("Timestamp", Type::DateTime),
    column("ConfigurationId", Type::String),
    column("ConfigurationCategory", Type::String),
    column("ConfigurationSubcategory", Type::String),
    column("ConfigurationImpact", Type::Double),
    column("IsCompliant", Type::SByte),
    column("IsApplicable", Type::SByte),
    column("Context", Type::Dynamic),
    column("IsExpectedUserImpact", Type::SByte),
];

/// Columns of `DeviceTvmSecureConfigurationAssessmentKB`.
pub(super) static ASSESSMENT_KB: &[Column] = &[
    column("ConfigurationId", Type::String),
    column("ConfigurationImpact", Type::Double),
    column("ConfigurationName", Type::String),
    column("ConfigurationDescription", Type::String),
    column("RiskDescription", Type::String),
    column("ConfigurationCategory", Type::String),
    column("ConfigurationSubcategory", Type::String),
    column("ConfigurationBenchmarks", Type::Dynamic),
    column("Tags", Type::Dynamic),
    column("RemediationOptions", Type::String),
];
