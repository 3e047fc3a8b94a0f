//! What the lists can be filtered by, and how they are cut. Source: vendor pages "List alerts_v2", "List incidents" and the error codes
//! beside them; what the pages leave open is as reported in public threads.

use super::words;
use crate::odata::{Field, Kind, Manner, Schema};

/// Largest `$skip` of any list. Source: the vendor's page of error codes.
const SKIP_LIMIT: usize = 500;

/// A property that holds one of these words, and that the page lists for `$filter`.
const fn words(name: &'static str, words: &'static [&'static str]) -> Field {
    Field::filterable(name, Kind::Word(words))
}

/// Lists whose `$top` may be too large.
static ALERT_MANNER: Manner = Manner {
    namespace: "microsoft.graph.security.",
    context: "/v1.0/$metadata#security/",
    links_with_top: true,
    clamps_top: true,
    skip_limit: SKIP_LIMIT,
    tokens: true,
    inline: true,
};

/// Lists whose `$top` may not.
static INCIDENT_MANNER: Manner = Manner {
    namespace: "microsoft.graph.security.",
    context: "/v1.0/$metadata#security/",
    links_with_top: true,
    clamps_top: false,
    skip_limit: SKIP_LIMIT,
    tokens: true,
    inline: false,
};

/// Properties of alerts that filters and orders can name.
const ALERT_FIELDS: &[Field] = &[
    Field::filterable("assignedTo", Kind::Text),
    words("classification", words::CLASSIFICATIONS),
    words("determination", words::DETERMINATIONS),
    Field::filterable("createdDateTime", Kind::Time),
    Field::filterable("lastUpdateDateTime", Kind::Time),
    words("severity", words::SEVERITIES),
    words("serviceSource", words::SERVICE_SOURCES),
    words("status", words::ALERT_STATUSES),
    Field::plain("id", Kind::Text),
    Field::plain("incidentId", Kind::Text),
    Field::plain("title", Kind::Text),
    Field::plain("category", Kind::Text),
    Field::plain("detectionSource", Kind::Text),
    Field::plain("investigationState", Kind::Text),
    Field::plain("firstActivityDateTime", Kind::Time),
    Field::plain("lastActivityDateTime", Kind::Time),
    Field::plain("resolvedDateTime", Kind::Time),
];

/// The alert list.
pub(super) static ALERTS: Schema = Schema {
    set: "alerts_v2",
    index: Some("lastUpdateDateTime"),
    expand: None,
    top_limit: 1_000,
    manner: &ALERT_MANNER,
    fields: ALERT_FIELDS,
};

/// The alerts of one incident.
pub(super) static INCIDENT_ALERTS: Schema = Schema {
    set: "incidents/alerts",
    index: Some("lastUpdateDateTime"),
    expand: None,
    top_limit: 1_000,
    manner: &ALERT_MANNER,
    fields: ALERT_FIELDS,
};

/// The incident list.
pub(super) static INCIDENTS: Schema = Schema {
    set: "incidents",
    index: Some("lastUpdateDateTime"),
    expand: Some("alerts"),
    top_limit: 50,
    manner: &INCIDENT_MANNER,
    fields: &[
        Field::filterable("assignedTo", Kind::Text),
        words("classification", words::CLASSIFICATIONS),
        Field::filterable("createdDateTime", Kind::Time),
        words("determination", words::DETERMINATIONS),
        Field::filterable("lastUpdateDateTime", Kind::Time),
        words("severity", words::SEVERITIES),
        words("status", words::INCIDENT_STATUSES),
        Field::plain("id", Kind::Text),
        Field::plain("displayName", Kind::Text),
    ],
};
