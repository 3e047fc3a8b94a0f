//! Alerts made up on demand: of a version only 24 octets are kept, all else follows from them and the seed.

use super::dice::{Dice, mix};
use super::fixture::{ALERTS, AlertFixture, Evidence};
use super::incident;
use super::names::{self, ID_FACTOR, ID_INVERSE};
use crate::config::{AlertConfig, GraphConfig};
use crate::ticks::Ticks;
use serde::Serialize;
use serde_json::value::RawValue;

/// One state of one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Which alert, counted from 0.
    pub(crate) number: u32,
    /// How often it was updated.
    pub(crate) revision: u32,
    /// When the alert came into being.
    pub(crate) created: Ticks,
    /// When this version did.
    pub(crate) updated: Ticks,
    /// The incident it belongs to, by its number.
    pub(crate) incident: u32,
}

/// How alerts are made.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// Everything made up follows from it.
    pub(crate) seed: u64,
    /// Value of `aadTenantId`.
    pub(crate) tenant_id: String,
    /// Mixes and ranges.
    pub(crate) config: AlertConfig,
    /// What Microsoft Graph shows differently.
    pub(crate) graph: GraphConfig,
}

impl Recipe {
    /// The alert's id: `da`, .NET ticks of its creation, `_`, a signed 32-bit number.
    pub(crate) fn id(&self, version: &Version) -> String {
        let tail = version.number.wrapping_mul(ID_FACTOR) ^ self.id_mask();
        format!("da{}_{}", version.created.0 + Ticks::DOTNET_EPOCH, tail.cast_signed())
    }

    /// The number of the alert that could have this id. The caller compares the whole id.
    pub(crate) fn number(&self, id: &str) -> Option<u32> {
        let tail: i32 = id.rsplit_once('_')?.1.parse().ok()?;
        Some((tail.cast_unsigned() ^ self.id_mask()).wrapping_mul(ID_INVERSE))
    }

    /// The seed's part in ids.
    fn id_mask(&self) -> u32 {
        (self.seed ^ (self.seed >> 32)) as u32
    }

    /// When an alert whose first version is of `updated` was created: a moment earlier.
    pub(crate) fn created_before(&self, number: u32, updated: Ticks) -> Ticks {
        let mut dice = Dice::new(self.seed, names::CREATION_STREAM + u64::from(number));
        updated.plus(-(Ticks::PER_SECOND + dice.below(30 * Ticks::PER_SECOND as u64) as i64))
    }

    /// The first version of an alert, whose update time is `updated`.
    pub(crate) fn first(&self, number: u32, updated: Ticks) -> Version {
        let created = self.created_before(number, updated);
        Version { number, revision: 0, created, updated, incident: incident::of(self.seed, number) }
    }

    /// Whether a rule keeps the alert away from Microsoft Graph; the classic API shows it.
    pub(crate) fn is_tuned(&self, number: u32) -> bool {
        let one_in = u64::from(self.graph.tuned_one_in);
        one_in > 0 && mix(self.seed ^ 0x92, u64::from(number)).is_multiple_of(one_in)
    }

    /// A stable number for orders that nobody can foresee.
    pub(crate) fn lot(&self, number: u32) -> u64 {
        Dice::new(self.seed, names::LOT_STREAM + u64::from(number)).bits()
    }

    /// Everything about a version but its evidence rows.
    pub(crate) fn alert(&self, version: &Version) -> Alert {
        let mut dice = Dice::new(self.seed, 2 * u64::from(version.number));
        let fixture: &AlertFixture = dice.pick(&ALERTS);
        let severity = dice.weighted(&self.config.severities);
        let status = progress(dice.weighted(&self.config.statuses), version.revision);
        let base = self.config.evidence.start();
        let evidence_count = base + dice.below(u64::from(self.config.evidence.end().saturating_sub(*base)) + 1) as u32;
        // Incidents were once drawn here: what follows stays as it was.
        dice.bits();
        let investigated = !dice.once_in(3) || version.revision > 0;
        let investigation_id = investigated.then(|| 100 + dice.below(100_000) as i64);
        // One in twenty belongs to another product: no machine.
        let machine = (!dice.once_in(20)).then(|| dice.below(u64::from(self.config.machines.max(1))) as u32);
        let user = (!dice.once_in(4)).then(|| dice.below(u64::from(names::USERS)) as u32);
        let rbac_group = *dice.pick(&[Some("UnassignedGroup"), Some("Workstations EU"), Some("Serveurs Québec"), None]);
        let last_event = version.created.plus(-(dice.below(60 * Ticks::PER_SECOND as u64) as i64));
        let first_event = last_event.plus(-(dice.below(7_200 * Ticks::PER_SECOND as u64) as i64));
        let verdict = *dice.pick(&VERDICTS);
        let old_schema = dice.once_in(16);
        let resolved = status == "Resolved";
        Alert {
            id: self.id(version),
            incident_id: incident::id(version.incident),
            investigation_id,
            assigned_to: match status {
                "InProgress" => Some("Automation".to_owned()),
                "Resolved" => Some(names::user_principal_name(user.unwrap_or_default())),
                _ => None,
            },
            severity,
            status,
            classification: resolved.then_some(verdict.0),
            determination: resolved.then_some(verdict.1),
            investigation_state: match (investigated, resolved) {
                (false, _) => "UnsupportedAlertType",
                (true, false) if version.revision == 0 => "Queued",
                (true, false) => "Running",
                (true, true) => verdict.2,
            },
            fixture,
            alert_creation_time: version.created,
            first_event_time: first_event,
            last_event_time: last_event,
            last_update_time: version.updated,
            resolved_time: resolved.then(|| version.updated.plus(-3_370_001)),
            machine_id: machine.map(|machine| names::machine_id(self.seed, machine)),
            computer_dns_name: machine.map(names::machine_dns_name),
            rbac_group_name: rbac_group,
            aad_tenant_id: self.tenant_id.clone(),
            user,
            related_user: user
                .map(|user| RelatedUser { user_name: names::user_name(user), domain_name: names::domain(user) }),
            logged_on_users: (old_schema && user.is_some()).then(|| {
                user.map(|user| LoggedOnUser { account_name: names::user_name(user), domain_name: names::domain(user) })
                    .into_iter()
                    .collect()
            }),
            comments: (1..=version.revision.min(3))
                .map(|turn| Comment {
                    comment: format!("turn {turn}: looked at it, \"{status}\"\nnext: wait ✓"),
                    created_by: "secops@contoso.example",
                    created_time: version.created.plus(i64::from(turn) * 70_840_453),
                })
                .collect(),
            evidence_count: evidence_count.saturating_add(version.revision),
        }
    }

    /// Appends the version as JSON, in the API's order of properties.
    pub(crate) fn write(&self, version: &Version, with_evidence: bool, out: &mut Vec<u8>) {
        let alert = self.alert(version);
        let fixture = alert.fixture;
        let evidence = if with_evidence { self.evidence(version, &alert) } else { Vec::new() };
        let json = AlertJson {
            id: &alert.id,
            incident_id: alert.incident_id,
            investigation_id: alert.investigation_id,
            assigned_to: alert.assigned_to.as_deref(),
            severity: alert.severity,
            status: alert.status,
            classification: alert.classification,
            determination: alert.determination,
            investigation_state: alert.investigation_state,
            detection_source: &fixture.detection_source,
            detector_id: &fixture.detector_id,
            category: &fixture.category,
            threat_family_name: fixture.threat_family_name.as_deref(),
            title: &fixture.title,
            description: &fixture.description,
            alert_creation_time: alert.alert_creation_time,
            first_event_time: alert.first_event_time,
            last_event_time: alert.last_event_time,
            last_update_time: alert.last_update_time,
            resolved_time: alert.resolved_time,
            machine_id: alert.machine_id.as_deref(),
            computer_dns_name: alert.computer_dns_name.as_deref(),
            rbac_group_name: alert.rbac_group_name,
            aad_tenant_id: &alert.aad_tenant_id,
            threat_name: fixture.threat_name.as_deref(),
            mitre_techniques: &fixture.mitre_techniques,
            related_user: alert.related_user.as_ref(),
            logged_on_users: alert.logged_on_users.as_deref(),
            comments: &alert.comments,
            evidence: &evidence,
        };
        serde_json::to_writer(out, &json).expect("writing to memory cannot fail");
    }

    /// The evidence rows: shapes from the fixture in turn, values made up. Rows of an earlier version stay as they were.
    pub(crate) fn evidence(&self, version: &Version, alert: &Alert) -> Vec<Evidence> {
        let mut dice = Dice::new(self.seed, 2 * u64::from(version.number) + 1);
        let shapes = alert.fixture.evidence.iter().cycle();
        let rows = shapes.zip(0..alert.evidence_count).map(|(shape, row)| {
            let seen = version.created.plus((i64::from(row) + 1) * 4_166_667).min(version.updated).on_database_grid();
            let started = alert.first_event_time.plus(dice.below(Ticks::PER_SECOND as u64) as i64);
            let user = dice.below(u64::from(names::USERS)) as u32;
            let (process, parent, hash, octet) =
                (dice.below(65_536), dice.below(65_536), dice.hex(64), dice.below(256));
            let mut evidence = shape.clone();
            replace(&mut evidence.evidence_creation_time, || seen.to_string());
            replace(&mut evidence.sha1, || hash[24..].to_owned());
            replace(&mut evidence.sha256, || hash.clone());
            replace(&mut evidence.process_id, || process);
            replace(&mut evidence.process_creation_time, || started.to_string());
            replace(&mut evidence.parent_process_id, || parent);
            replace(&mut evidence.parent_process_creation_time, || started.plus(-533_997).to_string());
            // IPv6 addresses stay as the fixture spells them; of an IPv4 address the last part is made up.
            if let Some((network, _)) = evidence.ip_address.as_deref().and_then(|address| address.rsplit_once('.')) {
                evidence.ip_address = Some(format!("{network}.{octet}"));
            }
            replace(&mut evidence.account_name, || names::user_name(user));
            replace(&mut evidence.domain_name, || names::domain(user).to_owned());
            replace(&mut evidence.user_sid, || names::user_sid(user));
            replace(&mut evidence.aad_user_id, || Dice::new(self.seed, names::USER_STREAM + u64::from(user)).guid());
            replace(&mut evidence.user_principal_name, || names::user_principal_name(user));
            evidence
        });
        rows.collect()
    }
}

/// Classification, determination and investigation state of resolved alerts.
const VERDICTS: [(&str, &str, &str); 5] = [
    ("TruePositive", "Malware", "SuccessfullyRemediated"),
    ("TruePositive", "CompromisedUser", "PartiallyRemediated"),
    ("InformationalExpectedActivity", "SecurityTesting", "Benign"),
    ("FalsePositive", "Clean", "Benign"),
    ("FalsePositive", "InsufficientData", "TerminatedByUser"),
];

/// The status after so many updates: through New and InProgress to Resolved, then to and fro. Other words stay.
fn progress(start: &'static str, revision: u32) -> &'static str {
    const WAY: [&str; 3] = ["New", "InProgress", "Resolved"];
    match (WAY.iter().position(|status| *status == start), revision) {
        (_, 0) => start,
        (None, _) if start != "Unknown" => start,
        (position, revision) => match position.map_or(revision - 1, |position| position as u32 + revision) {
            step @ 0..=2 => WAY[step as usize],
            step => WAY[1 + (step % 2 == 0) as usize],
        },
    }
}

/// Gives a value that is there a new one; null stays null, since it is part of the row's shape.
fn replace<T>(value: &mut Option<T>, new: impl FnOnce() -> T) {
    if value.is_some() {
        *value = Some(new());
    }
}

/// A version's facts, typed for filters. Names as the API's; the rest is in the fixture.
pub(crate) struct Alert {
    pub(crate) id: String,
    pub(crate) incident_id: i64,
    pub(crate) investigation_id: Option<i64>,
    pub(crate) assigned_to: Option<String>,
    pub(crate) severity: &'static str,
    pub(crate) status: &'static str,
    pub(crate) classification: Option<&'static str>,
    pub(crate) determination: Option<&'static str>,
    pub(crate) investigation_state: &'static str,
    /// Titles, texts and the shapes of evidence rows.
    pub(crate) fixture: &'static AlertFixture,
    pub(crate) alert_creation_time: Ticks,
    pub(crate) first_event_time: Ticks,
    pub(crate) last_event_time: Ticks,
    pub(crate) last_update_time: Ticks,
    pub(crate) resolved_time: Option<Ticks>,
    pub(crate) machine_id: Option<String>,
    pub(crate) computer_dns_name: Option<String>,
    pub(crate) rbac_group_name: Option<&'static str>,
    pub(crate) aad_tenant_id: String,
    /// The user it is about.
    pub(crate) user: Option<u32>,
    related_user: Option<RelatedUser>,
    logged_on_users: Option<Vec<LoggedOnUser>>,
    pub(crate) comments: Vec<Comment>,
    /// Rows of evidence that this version has.
    pub(crate) evidence_count: u32,
}

/// The wire form, in the API's order. Source: example answers on the vendor's alert pages.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertJson<'a> {
    id: &'a str,
    incident_id: i64,
    investigation_id: Option<i64>,
    assigned_to: Option<&'a str>,
    severity: &'a str,
    status: &'a str,
    classification: Option<&'a str>,
    determination: Option<&'a str>,
    investigation_state: &'a str,
    detection_source: &'a str,
    detector_id: &'a str,
    category: &'a str,
    threat_family_name: Option<&'a str>,
    title: &'a RawValue,
    description: &'a RawValue,
    alert_creation_time: Ticks,
    first_event_time: Ticks,
    last_event_time: Ticks,
    last_update_time: Ticks,
    resolved_time: Option<Ticks>,
    machine_id: Option<&'a str>,
    computer_dns_name: Option<&'a str>,
    rbac_group_name: Option<&'a str>,
    aad_tenant_id: &'a str,
    threat_name: Option<&'a str>,
    mitre_techniques: &'a RawValue,
    related_user: Option<&'a RelatedUser>,
    /// Undocumented; some answers have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    logged_on_users: Option<&'a [LoggedOnUser]>,
    comments: &'a [Comment],
    evidence: &'a [Evidence],
}

/// The user an alert is about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RelatedUser {
    user_name: String,
    domain_name: &'static str,
}

/// A user seen on the machine, in the undocumented property.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedOnUser {
    account_name: String,
    domain_name: &'static str,
}

/// A remark of an analyst.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comment {
    pub(crate) comment: String,
    pub(crate) created_by: &'static str,
    pub(crate) created_time: Ticks,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn recipe() -> Recipe {
        Recipe {
            seed: 42,
            tenant_id: "tenant".to_owned(),
            config: AlertConfig::default(),
            graph: GraphConfig::default(),
        }
    }

    fn version(number: u32, revision: u32) -> Version {
        let created = Ticks::of("2026-11-20T10:00:00.1234567Z".parse().unwrap());
        Version { number, revision, created, updated: created.plus(600 * Ticks::PER_SECOND), incident: 7 }
    }

    fn json(version: &Version) -> Value {
        let mut out = Vec::new();
        recipe().write(version, true, &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn an_id_leads_back_to_its_number() {
        for number in [0, 1, 2, 77, 499_999, u32::MAX] {
            let id = recipe().id(&version(number, 0));
            assert!(id.starts_with("da639"), "{id}");
            assert_eq!(recipe().number(&id), Some(number));
        }
        assert_eq!(recipe().number("nonsense"), None);
    }

    #[test]
    fn every_documented_property_is_there_and_evidence_rows_have_twenty_five() {
        let alert = json(&version(3, 2));
        let names = "id incidentId investigationId assignedTo severity status classification determination investigationState \
            detectionSource detectorId category threatFamilyName title description alertCreationTime firstEventTime lastEventTime \
            lastUpdateTime resolvedTime machineId computerDnsName rbacGroupName aadTenantId threatName mitreTechniques relatedUser comments evidence";
        for name in names.split_whitespace() {
            assert!(alert.get(name).is_some(), "{name} is missing");
        }
        for row in alert["evidence"].as_array().unwrap() {
            assert_eq!(row.as_object().unwrap().len(), 25);
        }
    }

    #[test]
    fn an_update_keeps_old_evidence_and_adds_a_row() {
        let (before, after) = (json(&version(5, 0)), json(&version(5, 1)));
        let (before, after) = (before["evidence"].as_array().unwrap(), after["evidence"].as_array().unwrap());
        assert_eq!(after.len(), before.len() + 1);
        assert_eq!(&after[..before.len()], &before[..]);
    }

    #[test]
    fn an_alert_takes_about_five_kilobytes() {
        let mut out = Vec::new();
        for number in 0..2_000 {
            recipe().write(&version(number, 0), true, &mut out);
        }
        let mean = out.len() / 2_000;
        assert!((4_500..6_000).contains(&mean), "{mean} octets");
    }

    #[test]
    fn a_status_moves_on_with_each_update() {
        let way: Vec<_> = (0..6).map(|revision| progress("New", revision)).collect();
        assert_eq!(way, ["New", "InProgress", "Resolved", "InProgress", "Resolved", "InProgress"]);
        assert_eq!(progress("Unknown", 1), "New");
        assert_eq!(progress("Strange", 4), "Strange");
    }
}
