//! The alert list as a collection.

use crate::ledger::{Listing, Rows};
use crate::odata::{Arrangement, Collection, DEFENDER, Field, Kind, RowIter, Schema, Value};
use crate::ticks::Ticks;
use crate::world::{Alert, Version, VersionKey, World};
use std::borrow::Cow;
use std::ops::RangeInclusive;

/// Source: vendor page "List alerts" for what can be filtered, "Alert resource" for the properties.
pub(crate) static SCHEMA: Schema = Schema {
    set: "Alerts",
    index: Some("lastUpdateTime"),
    expand: Some("evidence"),
    top_limit: 10_000,
    manner: &DEFENDER,
    fields: &[
        Field::filterable("id", Kind::Text),
        Field::filterable("incidentId", Kind::Number),
        Field { name: "investigationId", alias: Some("InvestigationId"), kind: Kind::Number, filterable: true },
        Field::filterable("assignedTo", Kind::Text),
        Field::filterable("severity", Kind::Text),
        Field::filterable("status", Kind::Text),
        Field::plain("classification", Kind::Text),
        Field::plain("determination", Kind::Text),
        Field::plain("investigationState", Kind::Text),
        Field::filterable("detectionSource", Kind::Text),
        Field::plain("detectorId", Kind::Text),
        Field::filterable("category", Kind::Text),
        Field::plain("threatFamilyName", Kind::Text),
        Field::filterable("alertCreationTime", Kind::Time),
        Field::plain("firstEventTime", Kind::Time),
        Field::filterable("lastEventTime", Kind::Time),
        Field::filterable("lastUpdateTime", Kind::Time),
        Field::plain("resolvedTime", Kind::Time),
        Field::plain("machineId", Kind::Text),
        Field::plain("computerDnsName", Kind::Text),
        Field::plain("rbacGroupName", Kind::Text),
        Field::plain("aadTenantId", Kind::Text),
        Field::plain("threatName", Kind::Text),
    ],
};

/// The alerts of a world, or of one machine in it.
#[derive(Clone)]
pub(crate) struct Alerts {
    /// The world.
    world: World,
    /// Only alerts of the machine with this id.
    machine: Option<String>,
}

impl Alerts {
    /// All alerts of a world.
    pub(crate) fn of(world: World) -> Self {
        Self { world, machine: None }
    }

    /// The alerts of one machine.
    pub(crate) fn of_machine(world: World, machine: String) -> Self {
        Self { world, machine: Some(machine) }
    }
}

impl Collection for Alerts {
    type Row = Version;

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn rows(&self, range: RangeInclusive<Ticks>, arrangement: Arrangement) -> RowIter<'_, Version> {
        let lot = |row: &Version| self.world.recipe().lot(row.number);
        let mut versions = self.world.select(range);
        if self.machine.is_some() {
            versions.retain(|version| self.world.recipe().alert(version).machine_id == self.machine);
        }
        Box::new(arrangement.of_all(versions, lot))
    }

    fn value(&self, row: &Version, field: &'static str) -> Value<'static> {
        // Windows over the update time are what a list is mostly asked for: no need to make up the rest.
        if Some(field) == SCHEMA.index {
            Value::Time(row.updated)
        } else {
            value(self.world.recipe().alert(row), field)
        }
    }

    fn write(&self, row: &Version, expanded: bool, out: &mut Vec<u8>) {
        self.world.recipe().write(row, expanded, out);
    }

    fn id(&self, row: &Version) -> String {
        self.world.recipe().id(row)
    }

    fn served(&self, rows: &[Version], expanded: bool) -> Rows {
        let key = |row| match self.world.key(row) {
            key if expanded => key,
            key => VersionKey { evidence: 0, ..key },
        };
        match self.machine {
            None => Rows::Versions(Listing::Alerts, rows.iter().map(key).collect()),
            // These belong to the machine: they say nothing about what the alert list has given.
            Some(_) => Rows::Other(rows.len() as u64),
        }
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
