//! The alert list as a collection.

use crate::odata::{Collection, Field, Kind, Schema, Value};
use crate::ticks::Ticks;
use crate::world::{Alert, Version, VersionKey, World};
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Source: vendor page "List alerts" for what can be filtered, "Alert resource" for the properties.
pub(crate) static SCHEMA: Schema = Schema {
    set: "Alerts",
    index: "lastUpdateTime",
    expand: Some("evidence"),
    top_limit: 10_000,
    fields: &[
        filterable("id", Kind::Text),
        filterable("incidentId", Kind::Number),
        Field { name: "investigationId", alias: Some("InvestigationId"), kind: Kind::Number, filterable: true },
        filterable("assignedTo", Kind::Text),
        filterable("severity", Kind::Text),
        filterable("status", Kind::Text),
        plain("classification", Kind::Text),
        plain("determination", Kind::Text),
        plain("investigationState", Kind::Text),
        filterable("detectionSource", Kind::Text),
        plain("detectorId", Kind::Text),
        filterable("category", Kind::Text),
        plain("threatFamilyName", Kind::Text),
        filterable("alertCreationTime", Kind::Time),
        plain("firstEventTime", Kind::Time),
        filterable("lastEventTime", Kind::Time),
        filterable("lastUpdateTime", Kind::Time),
        plain("resolvedTime", Kind::Time),
        plain("machineId", Kind::Text),
        plain("computerDnsName", Kind::Text),
        plain("rbacGroupName", Kind::Text),
        plain("aadTenantId", Kind::Text),
        plain("threatName", Kind::Text),
    ],
};

/// A property that the vendor lists for `$filter`.
const fn filterable(name: &'static str, kind: Kind) -> Field {
    Field { name, alias: None, kind, filterable: true }
}

/// A property that only orders can name.
const fn plain(name: &'static str, kind: Kind) -> Field {
    Field { name, alias: None, kind, filterable: false }
}

/// The alerts of a world.
#[derive(Clone)]
pub(crate) struct Alerts(pub(crate) World);

impl Collection for Alerts {
    type Row = Version;

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn select(&self, range: RangeInclusive<Ticks>) -> Vec<Version> {
        self.0.select(range)
    }

    fn value(&self, row: &Version, field: &'static str) -> Value<'static> {
        // Windows over the update time are what a list is mostly asked for: no need to make up the rest.
        if field == SCHEMA.index { Value::Time(row.updated) } else { value(self.0.recipe().alert(row), field) }
    }

    fn lot(&self, row: &Version) -> u64 {
        self.0.recipe().lot(row.number)
    }

    fn write(&self, row: &Version, expanded: bool, out: &mut Vec<u8>) {
        self.0.recipe().write(row, expanded, out);
    }

    fn version(&self, row: &Version, expanded: bool) -> VersionKey {
        let key = self.0.key(row);
        if expanded { key } else { VersionKey { evidence: 0, ..key } }
    }
}

/// A property of an alert.
fn value(alert: Alert, field: &str) -> Value<'static> {
    match field {
        "id" => text(Some(alert.id)),
        "incidentId" => Value::Integer(alert.incident_id),
        "investigationId" => alert.investigation_id.map_or(Value::Null, Value::Integer),
        "assignedTo" => text(alert.assigned_to),
        "severity" => text(Some(alert.severity)),
        "status" => text(Some(alert.status)),
        "classification" => text(alert.classification),
        "determination" => text(alert.determination),
        "investigationState" => text(Some(alert.investigation_state)),
        "detectionSource" => text(Some(alert.fixture.detection_source.as_str())),
        "detectorId" => text(Some(alert.fixture.detector_id.as_str())),
        "category" => text(Some(alert.fixture.category.as_str())),
        "threatFamilyName" => text(alert.fixture.threat_family_name.as_deref()),
        "alertCreationTime" => Value::Time(alert.alert_creation_time),
        "firstEventTime" => Value::Time(alert.first_event_time),
        "lastEventTime" => Value::Time(alert.last_event_time),
        "lastUpdateTime" => Value::Time(alert.last_update_time),
        "resolvedTime" => alert.resolved_time.map_or(Value::Null, Value::Time),
        "machineId" => text(alert.machine_id),
        "computerDnsName" => text(alert.computer_dns_name),
        "rbacGroupName" => text(alert.rbac_group_name),
        "aadTenantId" => text(Some(alert.aad_tenant_id)),
        "threatName" => text(alert.fixture.threat_name.as_deref()),
        _ => unreachable!("a property outside the schema was asked for"),
    }
}

/// A text or null.
fn text(value: Option<impl Into<Cow<'static, str>>>) -> Value<'static> {
    value.map_or(Value::Null, |text| Value::Text(text.into()))
}
