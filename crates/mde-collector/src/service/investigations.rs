//! Automated investigations, re-read until they end.

use super::{Api, Endpoint, Key, Paging, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "List Investigations API" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "investigations",
    aliases: &[],
    endpoint: Endpoint {
        api: Api::Mde,
        path: "/api/investigations",
        expand: None,
        roles: &["Alert.Read.All", "Alert.ReadWrite.All"],
        family: Family::Investigations,
        page_cap: limits::PAGE_CAP,
        paging: Paging::Linked,
    },
    elsewhere: &[],
    pull: &[Pull::Open { start: "startTime", end: "endTime" }],
    key: Key::FieldsAndContent(&["id"]),
    counts: &[],
    flatten: &[],
    tag: "edr.microsoft_defender.endpoint.investigations",
    period_s: 300,
};
