//! The fixtures: one whole entity a line, as the API spells it. A made-up entity takes its shape and its texts from one of them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::LazyLock;

/// The alerts of `fixtures/alerts.ndjson`.
pub(crate) static ALERTS: LazyLock<Vec<AlertFixture>> = LazyLock::new(|| {
    let lines = include_str!("../../fixtures/alerts.ndjson").lines();
    lines.map(|line| serde_json::from_str(line).expect("every fixture line is an alert")).collect()
});

/// What an alert takes from its fixture unchanged. Raw texts keep the spelling of the file, escapes included.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertFixture {
    pub(crate) title: Box<RawValue>,
    pub(crate) description: Box<RawValue>,
    pub(crate) category: String,
    pub(crate) detection_source: String,
    pub(crate) detector_id: String,
    pub(crate) threat_family_name: Option<String>,
    pub(crate) threat_name: Option<String>,
    pub(crate) mitre_techniques: Box<RawValue>,
    pub(crate) evidence: Vec<Evidence>,
}

/// One evidence row: all 25 documented properties, null where they do not apply.
/// Source: property table of the vendor's alert page and the examples beside it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    pub(crate) entity_type: String,
    pub(crate) evidence_creation_time: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) file_name: Option<String>,
    pub(crate) file_path: Option<String>,
    pub(crate) process_id: Option<u64>,
    pub(crate) process_command_line: Option<String>,
    pub(crate) process_creation_time: Option<String>,
    pub(crate) parent_process_id: Option<u64>,
    pub(crate) parent_process_creation_time: Option<String>,
    pub(crate) parent_process_file_name: Option<String>,
    pub(crate) parent_process_file_path: Option<String>,
    pub(crate) ip_address: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) registry_key: Option<String>,
    pub(crate) registry_hive: Option<String>,
    pub(crate) registry_value_type: Option<String>,
    pub(crate) registry_value: Option<String>,
    pub(crate) account_name: Option<String>,
    pub(crate) domain_name: Option<String>,
    pub(crate) user_sid: Option<String>,
    pub(crate) aad_user_id: Option<String>,
    pub(crate) user_principal_name: Option<String>,
    pub(crate) detection_status: Option<String>,
}
