//! Results of hunting queries, slice by slice; the tag is chosen per query.

use super::{Api, Endpoint, Key, Paging, Pull, ServiceDef};
use mde_client::limits::{self, Family};

/// Source: vendor page "Advanced hunting API" and the official collector's tables.
pub static DEF: ServiceDef = ServiceDef {
    name: "advanced_hunting",
    aliases: &["advanced_huntuing"],
    endpoint: Endpoint {
        api: Api::Hunting,
        path: "/api/advancedqueries/run",
        expand: None,
        // The first is Microsoft Graph's, whose `runHuntingQuery` takes the same queries.
        roles: &["ThreatHunting.Read.All", "AdvancedQuery.Read.All"],
        family: Family::Hunting,
        page_cap: limits::HUNTING_ROW_CAP,
        paging: Paging::Linked,
    },
    elsewhere: &[],
    pull: &[Pull::Slices, Pull::Snapshot { min_period_s: 3_600 }],
    key: Key::RowHash,
    counts: &[],
    flatten: &[],
    tag: "",
    period_s: 300,
};
