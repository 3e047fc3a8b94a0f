//! Alerts with their evidence.

use super::count::{MACHINE, USER, count, list, single};
use super::{Api, Bulk, Endpoint, Flatten, Key, Paging, Part, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Different values over the evidence.
const fn evidence(property: &'static str, part: Part) -> Bulk {
    Bulk::Elements { array: "evidence", property, part }
}

/// Source: vendor page "List alerts" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "alerts",
    aliases: &[],
    endpoint: Endpoint {
        api: Api::Mde,
        path: "/api/alerts",
        expand: Some("evidence"),
        roles: &["Alert.Read.All", "Alert.ReadWrite.All"],
        family: Family::Alerts,
        page_cap: limits::PAGE_CAP,
        paging: Paging::Linked,
    },
    elsewhere: &[super::graph::ALERTS],
    pull: &[Pull::Window {
        time: "lastUpdateTime",
        splits: &[
            ("severity", &["UnSpecified", "Informational", "Low", "Medium", "High"]),
            ("status", &["Unknown", "New", "InProgress", "Resolved"]),
        ],
    }],
    key: Key::Fields(&["id", "lastUpdateTime"]),
    counts: &[
        count(
            "request_alert_related_files",
            "related_files",
            list("/api/alerts/{id}/files", &["File.Read.All"], Family::Alerts),
            &[evidence("sha1", Part::Whole)],
            "evidence without a hash counts for neither; whether the call counts images of processes is not stated",
        ),
        count(
            "request_alert_related_ips",
            "related_ips",
            list("/api/alerts/{id}/ips", &["Ip.Read.All"], Family::Alerts),
            &[evidence("ipAddress", Part::Whole)],
            "evidence grows: the call answers as of the moment when it is made",
        ),
        count(
            "request_alert_related_machines",
            "related_machines",
            single("/api/alerts/{id}/machine", MACHINE, Family::Alerts),
            &[Bulk::Present("machineId")],
            "the call answers 404, which is 0, once the machine is no longer kept",
        ),
        count(
            "request_alert_related_domains",
            "related_domains",
            list("/api/alerts/{id}/domains", &["URL.Read.All"], Family::Alerts),
            &[evidence("url", Part::Host)],
            "hosts are compared in lower case; the call counts what Microsoft lists as domains",
        ),
        count(
            "request_alert_related_users",
            "related_users",
            single("/api/alerts/{id}/user", USER, Family::Alerts),
            &[Bulk::Present("relatedUser")],
            "a user that only the evidence names is none here and may be one to the call",
        ),
    ],
    flatten: &[Flatten::Object("relatedUser"), Flatten::Array("evidence")],
    tag: "edr.microsoft_defender.endpoint.alerts",
    period_s: 60,
};
