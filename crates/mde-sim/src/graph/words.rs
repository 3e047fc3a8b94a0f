//! Microsoft Graph's words, and which of the classic API's they stand for. Source: the vendor's v1.0 schema and the page of the alert.

use serde_json::Value;

/// Severities of alerts and incidents.
pub(super) const SEVERITIES: &[&str] = &["unknown", "informational", "low", "medium", "high"];

/// Statuses of alerts.
pub(super) const ALERT_STATUSES: &[&str] = &["unknown", "new", "inProgress", "resolved"];

/// Statuses of incidents.
pub(super) const INCIDENT_STATUSES: &[&str] = &["active", "resolved", "inProgress", "redirected", "awaitingAction"];

/// Classifications.
pub(super) const CLASSIFICATIONS: &[&str] =
    &["unknown", "falsePositive", "truePositive", "informationalExpectedActivity"];

/// Determinations.
pub(super) const DETERMINATIONS: &[&str] = &[
    "unknown",
    "apt",
    "malware",
    "securityPersonnel",
    "securityTesting",
    "unwantedSoftware",
    "other",
    "multiStagedAttack",
    "compromisedUser",
    "phishing",
    "maliciousUserActivity",
    "clean",
    "insufficientData",
    "confirmedUserActivity",
    "lineOfBusinessApplication",
];

/// The product of this house in the list of products.
pub(super) const ENDPOINT: &str = "microsoftDefenderForEndpoint";

/// Products.
pub(super) const SERVICE_SOURCES: &[&str] = &[
    "unknown",
    ENDPOINT,
    "microsoftDefenderForIdentity",
    "microsoftDefenderForCloudApps",
    "microsoftDefenderForOffice365",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "microsoftAppGovernance",
    "dataLossPrevention",
    "microsoftDefenderForCloud",
    "microsoftSentinel",
    "microsoftInsiderRiskManagement",
    "microsoftThreatIntelligence",
];

/// Words that came after the interface was published: who does not ask for them gets [`FUTURE`] instead. By property.
const NEWER: [(&str, &[&str]); 4] = [
    (
        "serviceSource",
        &[
            "microsoftDefenderForCloud",
            "microsoftSentinel",
            "microsoftInsiderRiskManagement",
            "microsoftThreatIntelligence",
        ],
    ),
    (
        "detectionSource",
        &["microsoftDefenderForCloud", "microsoftDefenderForContainers", "microsoftSentinel", "scheduledAlerts"],
    ),
    ("remediationStatus", &["active", "pendingApproval", "declined", "unremediated", "running", "partiallyRemediated"]),
    ("status", &["awaitingAction"]),
];

/// What stands for a newer word.
const FUTURE: &str = "unknownFutureValue";

/// Detection sources of the classic API that are not merely spelled in another way.
const DETECTION_SOURCES: [(&str, &str); 5] = [
    ("WindowsDefenderAtp", ENDPOINT),
    ("WindowsDefenderAv", "antivirus"),
    ("WindowsDefenderSmartScreen", "smartScreen"),
    ("CustomerTI", "customTi"),
    ("OfficeATP", "microsoftDefenderForOffice365"),
];

/// A word of the classic API in Graph's letters: the first one is small.
pub(super) fn camel(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// A severity.
pub(super) fn severity(word: &str) -> String {
    if word == "UnSpecified" { "unknown".to_owned() } else { camel(word) }
}

/// A detection source.
pub(super) fn detection_source(word: &str) -> String {
    let known = DETECTION_SOURCES.iter().find(|(classic, _)| *classic == word);
    known.map_or_else(|| camel(word), |(_, graph)| (*graph).to_owned())
}

/// Takes the newer words out of an entity, however deep they lie.
pub(super) fn fold(entity: &mut Value) {
    match entity {
        Value::Array(elements) => elements.iter_mut().for_each(fold),
        Value::Object(properties) => {
            for (name, value) in properties {
                let newer = NEWER.iter().find(|(known, _)| known == name).map(|(_, words)| *words);
                match value.as_str() {
                    Some(word) if newer.is_some_and(|newer| newer.contains(&word)) => *value = FUTURE.into(),
                    _ => fold(value),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn newer_words_are_taken_out_at_every_depth_and_others_stay() {
        let mut entity = json!({"serviceSource": "microsoftSentinel", "status": "new", "title": "active",
            "evidence": [{"remediationStatus": "active"}, {"files": [{"remediationStatus": "none"}]}]});
        fold(&mut entity);
        let folded = json!({"serviceSource": FUTURE, "status": "new", "title": "active",
            "evidence": [{"remediationStatus": FUTURE}, {"files": [{"remediationStatus": "none"}]}]});
        assert_eq!(entity, folded);
    }

    #[test]
    fn classic_words_become_documented_ones() {
        assert_eq!([camel("InProgress"), camel("")], ["inProgress", ""]);
        assert_eq!([severity("UnSpecified"), severity("High")], ["unknown", "high"]);
        assert_eq!([detection_source("CustomerTI"), detection_source("Manual")], ["customTi", "manual"]);
    }
}
