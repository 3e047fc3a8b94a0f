//! Automated investigations, re-read until they end.

use super::{Endpoint, Key, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List Investigations API" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "investigations",
    aliases: &[],
    endpoint: Endpoint {
        path: "/api/investigations",
        expand: None,
        roles: &["Alert.Read.All", "Alert.ReadWrite.All"],
        family: Family::Investigations,
        page_cap: limits::PAGE_CAP,
    },
    pull: &[Pull::Open { start: "startTime", end: "endTime" }],
    key: Key::FieldsAndContent(&["id"]),
    counts: &[],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.investigations",
    period_s: 300,
};
