//! Alerts with their evidence.

use super::{Count, Endpoint, Flatten, Key, Pull, ServiceDef};
use mde_client::limits::{self, Family};

const fn count(option: &'static str, field: &'static str) -> Count {
    Count { option, aliases: &[], field }
}

/// Source: vendor page "List alerts" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "alerts",
    aliases: &[],
    endpoint: Endpoint {
        path: "/api/alerts",
        expand: Some("evidence"),
        roles: &["Alert.Read.All", "Alert.ReadWrite.All"],
        family: Family::Alerts,
        page_cap: limits::PAGE_CAP,
    },
    pull: &[Pull::Window {
        time: "lastUpdateTime",
        splits: &[
            ("severity", &["UnSpecified", "Informational", "Low", "Medium", "High"]),
            ("status", &["Unknown", "New", "InProgress", "Resolved"]),
        ],
    }],
    key: Key::Fields(&["id", "lastUpdateTime"]),
    counts: &[
        count("request_alert_related_files", "related_files"),
        count("request_alert_related_ips", "related_ips"),
        count("request_alert_related_machines", "related_machines"),
        count("request_alert_related_domains", "related_domains"),
        count("request_alert_related_users", "related_users"),
    ],
    flatten: &[Flatten::Object("relatedUser"), Flatten::Array("evidence")],
    tag: "edr.microsoft_defender.endpoint.alerts",
    period_s: 60,
};
