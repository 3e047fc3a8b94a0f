//! Hunting tables: columns, and rows made one by one. A row takes its shape from a line of `fixtures/advanced_hunting.ndjson`.
//!
//! Tables of events are endless: row `n` stands at a time that follows from `n`, so that a slice costs what is in it.

use super::columns::{self, Column, Type};
use super::events::Events;
use crate::config::HuntingConfig;
use crate::estate::{
    Advice, Exposure, View, advice_sort, cve, kb, product_name, setting_id, version_text, vulnerability_sort,
};
use crate::odata::Value;
use crate::ticks::Ticks;
use crate::world::dice::mix;
use crate::world::names;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// A row: a value for each column.
pub(crate) type Row = Vec<Value<'static>>;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name; names count with case.
    pub(crate) name: &'static str,
    /// Its columns.
    pub(crate) columns: &'static [Column],
    /// Where its rows come from.
    source: Source,
    /// Line of the fixture.
    line: usize,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Events by the clock; the number tells tables apart.
    Events(u64),
    /// What machines reported: several rows for each.
    Machines,
    /// One row for each machine and what is wrong with it.
    Exposures,
    /// One row for each machine and product.
    Inventory,
    /// One row for each machine and network adapter.
    Adapters,
    /// One row for each vulnerability, whether or not a machine is exposed.
    KnownVulnerabilities,
    /// One row for each machine and setting.
    Settings,
    /// One row for each setting.
    KnownSettings,
}

/// A report of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    /// The one before the last, an hour earlier, from another public address.
    Older,
    /// The last whole one.
    Last,
    /// A sign of life after it that lacks what seldom changes. One machine in five has sent one.
    Heartbeat,
}

/// Every table.
pub(crate) static TABLES: [Table; 9] = [
    Table { name: "DeviceLogonEvents", columns: columns::LOGON_EVENTS, source: Source::Events(1), line: 0 },
    Table { name: "DeviceProcessEvents", columns: columns::PROCESS_EVENTS, source: Source::Events(2), line: 1 },
    Table { name: "DeviceInfo", columns: columns::INFO, source: Source::Machines, line: 2 },
    Table {
        name: "DeviceTvmSoftwareVulnerabilities",
        columns: columns::VULNERABILITIES,
        source: Source::Exposures,
        line: 3,
    },
    Table { name: "DeviceTvmSoftwareInventory", columns: columns::INVENTORY, source: Source::Inventory, line: 4 },
    Table { name: "DeviceNetworkInfo", columns: columns::NETWORK, source: Source::Adapters, line: 5 },
    Table {
        name: "DeviceTvmSoftwareVulnerabilitiesKB",
        columns: columns::VULNERABILITY_KB,
        source: Source::KnownVulnerabilities,
        line: 6,
    },
    Table {
        name: "DeviceTvmSecureConfigurationAssessment",
        columns: columns::ASSESSMENT,
        source: Source::Settings,
        line: 7,
    },
    Table {
        name: "DeviceTvmSecureConfigurationAssessmentKB",
        columns: columns::ASSESSMENT_KB,
        source: Source::KnownSettings,
        line: 8,
    },
];

/// How far back rows can be asked for. Source: vendor page "Advanced hunting API". Unit: days.
const DAYS: i64 = 30;

/// The fixture's rows, as values in the order of their tables' columns.
static SHAPES: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let lines = include_str!("../../fixtures/advanced_hunting.ndjson").lines();
    let shape = |(line, table): (&str, &Table)| {
        let mut row: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).expect("every fixture line is a row");
        let value = |column: &Column| {
            let value = row.remove(column.name.as_ref()).expect("a fixture line has every column of its table");
            Value::of(value, column.of == Type::DateTime)
        };
        table.columns.iter().map(value).collect()
    };
    lines.zip(&TABLES).map(shape).collect()
});

impl Table {
    /// The table of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// Whether the rows of one machine follow each other.
    pub(crate) fn is_by_machine(&self) -> bool {
        matches!(
            self.source,
            Source::Machines | Source::Exposures | Source::Inventory | Source::Adapters | Source::Settings
        )
    }

    /// The place of a column.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The rows whose time lies in the range, or all when there is no time column, as they are seen at the view's moment.
    pub(crate) fn rows<'a>(
        &'static self,
        view: &'a View,
        config: &HuntingConfig,
        range: RangeInclusive<Ticks>,
    ) -> Box<dyn Iterator<Item = Row> + Send + 'a> {
        let earliest = view.now.plus(-DAYS * 86_400 * Ticks::PER_SECOND);
        let range = *range.start().max(&earliest)..=*range.end().min(&view.now);
        let machines = || (0..view.estate.machines.total()).filter(|machine| view.estate.machines.has(*machine));
        match self.source {
            Source::Events(number) => {
                let events = Events::of(view, config, number);
                let first = events.number_before(*range.start());
                let last = events.number_before(*range.end()).saturating_add(2);
                let seen =
                    move |event: &u64| events.is_visible(*event, view.now) && range.contains(&events.time(*event));
                Box::new((first..last).filter(seen).filter_map(move |event| self.event(view, &events, event)))
            }
            Source::Machines => {
                let reports = [Report::Older, Report::Last, Report::Heartbeat];
                let all = machines().flat_map(move |machine| reports.map(|report| (machine, report)));
                Box::new(all.filter_map(move |(machine, report)| {
                    let at = report.time(view, machine).filter(|at| range.contains(at))?;
                    Some(self.machine(view, machine, report, at))
                }))
            }
            Source::Adapters => {
                let seen = move |machine: &u32| range.contains(&view.last_seen(*machine));
                Box::new(machines().filter(seen).flat_map(move |machine| self.adapters(view, machine)))
            }
            Source::KnownVulnerabilities => {
                let known = &view.estate.catalog.vulnerabilities;
                let numbers = (0..known.total()).filter(|number| known.has(*number));
                Box::new(numbers.map(move |number| self.known_vulnerability(view, number)))
            }
            Source::Settings => {
                let seen = move |machine: &u32| range.contains(&view.last_seen(*machine));
                Box::new(machines().filter(seen).flat_map(move |machine| {
                    let settings = view.estate.catalog.settings();
                    settings.map(move |setting| self.setting(view, Some(machine), setting))
                }))
            }
            Source::KnownSettings => {
                Box::new(view.estate.catalog.settings().map(move |setting| self.setting(view, None, setting)))
            }
            Source::Exposures => {
                Box::new(view.exposures(machines()).map(move |(machine, found)| {
                    self.software(view, machine, found.product, found.version, Some(found))
                }))
            }
            Source::Inventory => Box::new(machines().flat_map(move |machine| {
                let software = view.estate.catalog.software_on(view.estate.profile_of(machine));
                software.map(move |(product, version)| self.software(view, machine, product, version, None))
            })),
        }
    }

    /// A row of the fixture's shape, with some values of its own.
    fn row(&self, own: impl Fn(&str) -> Option<Value<'static>>) -> Row {
        let shape = &SHAPES[self.line];
        self.columns
            .iter()
            .zip(shape)
            .map(|(column, shape)| own(&column.name).unwrap_or_else(|| shape.clone()))
            .collect()
    }

    /// An event.
    fn event(&self, view: &View, events: &Events, number: u64) -> Option<Row> {
        let event = events.original(number);
        let draw = |stream: u64| mix(events.seed ^ stream, event);
        let total = u64::from(view.estate.machines.total());
        let machine = (draw(1) % total.max(1)) as u32;
        if total == 0 {
            return None;
        }
        let user = (draw(2) % u64::from(names::USERS)) as u32;
        let at = events.time(event);
        let failed = draw(3).is_multiple_of(7);
        Some(self.row(|name| {
            Some(match name {
                "Timestamp" => Value::Time(at),
                "DeviceId" => text(names::machine_id(view.estate.seed, machine)),
                "DeviceName" => view.machine_name(machine).map_or(Value::Null, text),
                "ReportId" => whole(event),
                "AccountName" => text(names::user_name(user)),
                "AccountDomain" => text(names::domain(user).to_ascii_lowercase()),
                "AccountSid" => text(names::user_sid(user)),
                "AccountUpn" => text(names::user_principal_name(user)),
                "ActionType" if self.line == 0 && failed => text("LogonFailed".to_owned()),
                "FailureReason" if failed => text("InvalidUserNameOrPassword".to_owned()),
                "RemoteIP" if failed => text(format!("198.51.100.{}", draw(4) % 250)),
                "LogonId" => whole(draw(5) >> 20),
                "LogonID" => text(format!("{:#x}", draw(5) >> 20)),
                "ProcessId" => whole(draw(6) % 65_536),
                "InitiatingProcessId" => whole(draw(7) % 65_536),
                "FileSize" => whole(draw(8) % 5_000_000),
                "SHA1" => text(format!("{:016x}{:016x}{:08x}", draw(9), draw(10), draw(11) as u32)),
                "ProcessCreationTime" | "InitiatingProcessCreationTime" => {
                    Value::Time(at.plus(-((draw(12) % 50_000_000) as i64)))
                }
                "FileName" => {
                    text(["powershell.exe", "cmd.exe", "svchost.exe", "python3"][draw(13) as usize % 4].to_owned())
                }
                _ => return None,
            })
        }))
    }

    /// What a machine reported.
    fn machine(&self, view: &View, number: u32, report: Report, at: Ticks) -> Row {
        let machine = view.machine(number);
        let optional = |value: &Option<String>| value.clone().map_or(Value::Null, text);
        let lacks = |name: &str| report == Report::Heartbeat && name.starts_with("OS");
        self.row(|name| {
            Some(match name {
                "Timestamp" => Value::Time(at),
                _ if lacks(name) => text(String::new()),
                "DeviceId" => text(machine.id.clone()),
                "DeviceName" => optional(&machine.computer_dns_name),
                "ClientVersion" => optional(&machine.agent_version),
                "PublicIP" if report == Report::Older => text("198.51.100.7".to_owned()),
                "PublicIP" => optional(&machine.last_external_ip_address),
                "OSArchitecture" => optional(&machine.os_architecture),
                "OSPlatform" => text(machine.os_platform.clone()),
                "OSBuild" => machine.os_build.map_or(Value::Null, |build| text(build.to_string())),
                "OSVersionInfo" => optional(&machine.version),
                "IsAzureADJoined" => Value::Integer(machine.is_aad_joined.into()),
                "JoinType" => text(if machine.is_aad_joined { "AAD Joined" } else { "" }.to_owned()),
                "AadDeviceId" => optional(&machine.aad_device_id),
                "LoggedOnUsers" => {
                    let users = view.logon_users(number).into_iter().map(|user| {
                        serde_json::json!({"UserName": names::user_name(user), "DomainName": names::domain(user),
                            "Sid": names::user_sid(user)})
                    });
                    text(serde_json::Value::Array(users.collect()).to_string())
                }
                "OnboardingStatus" => text(machine.onboarding_status.clone()),
                "MachineGroup" => optional(&machine.rbac_group_name),
                "SensorHealthState" => text(sensor_state(&machine.health_status).to_owned()),
                "ExposureLevel" => optional(&machine.exposure_level),
                "AssetValue" => optional(&machine.device_value),
                "IsExcluded" => Value::Integer(machine.is_excluded.into()),
                "ExclusionReason" => optional(&machine.exclusion_reason),
                // One tag is set on the machine itself, the others by hand.
                "RegistryDeviceTag" => text(machine.machine_tags.first().cloned().unwrap_or_default()),
                "DeviceManualTags" => {
                    text(serde_json::json!(machine.machine_tags.get(1..).unwrap_or_default()).to_string())
                }
                "MergedToDeviceId" => optional(&machine.merged_into_machine_id),
                "ReportId" => whole(u64::from(number)),
                _ => return None,
            })
        })
    }

    /// The network adapters of a machine: its addresses by hardware address.
    fn adapters(&self, view: &View, number: u32) -> Vec<Row> {
        let machine = view.machine(number);
        let mut adapters: BTreeMap<Option<&str>, Vec<serde_json::Value>> = BTreeMap::new();
        for address in &machine.ip_addresses {
            let known = adapters.entry(address.mac_address.as_deref()).or_default();
            let (bits, sort) = if address.ip_address.contains(':') { (64, "LinkLocal") } else { (24, "Private") };
            known.push(serde_json::json!({"IPAddress": address.ip_address, "SubnetPrefix": bits, "AddressType": sort}));
        }
        let row = |(mac, addresses): (Option<&str>, Vec<serde_json::Value>)| {
            self.row(|name| {
                Some(match name {
                    "Timestamp" => Value::Time(machine.last_seen),
                    "DeviceId" => text(machine.id.clone()),
                    "DeviceName" => machine.computer_dns_name.clone().map_or(Value::Null, text),
                    "MacAddress" => mac.map_or(Value::Null, |mac| text(mac.to_owned())),
                    "IPAddresses" => text(serde_json::json!(addresses).to_string()),
                    "ReportId" => whole(u64::from(number)),
                    _ => return None,
                })
            })
        };
        adapters.into_iter().map(row).collect()
    }

    /// A vulnerability as the knowledge base has it.
    fn known_vulnerability(&self, view: &View, number: u32) -> Row {
        let known = view.vulnerability(number);
        self.row(|name| {
            Some(match name {
                "CveId" => text(known.id.clone()),
                "CvssScore" => known.score().as_f64().map_or(Value::Null, Value::Float),
                "CvssVector" => known.cvss_vector.clone().map_or(Value::Null, text),
                "CveSupportability" => text(known.cve_supportability.clone()),
                "IsExploitAvailable" => Value::Integer(known.public_exploit.into()),
                "VulnerabilitySeverityLevel" => text(known.severity.clone()),
                "LastModifiedTime" => Value::Time(known.updated_on),
                "PublishedDate" => Value::Time(known.published_on),
                "VulnerabilityDescription" => text(known.description.clone()),
                "AffectedSoftware" => {
                    let products = view.estate.catalog.products_of(number).map(|product| product_name(product).1);
                    text(serde_json::json!(products.collect::<Vec<_>>()).to_string())
                }
                "EpssScore" => known.epss.map_or(Value::Null, Value::Float),
                _ => return None,
            })
        })
    }

    /// A setting, and how it is on a machine.
    fn setting(&self, view: &View, machine: Option<u32>, setting: u32) -> Row {
        let advice = advice_sort(Advice::Configure(setting));
        let reference = machine.map(|machine| view.machine_reference(machine));
        let found = machine.map(|machine| view.estate.catalog.compliance(setting, view.estate.profile_of(machine)));
        self.row(|name| {
            Some(match name {
                "DeviceId" => text(reference.as_ref()?.id.clone()),
                "DeviceName" => reference.as_ref()?.computer_dns_name.clone().map_or(Value::Null, text),
                "OSPlatform" => text(reference.as_ref()?.os_platform.to_owned()),
                "Timestamp" => Value::Time(view.last_seen(machine?)),
                "ConfigurationId" => text(setting_id(setting)),
                "ConfigurationCategory" => text(advice.recommendation_category.clone()),
                "ConfigurationSubcategory" => text(advice.sub_category.clone()),
                "ConfigurationImpact" => advice.config_score_impact.as_f64().map_or(Value::Null, Value::Float),
                "ConfigurationName" => text(advice.recommendation_name.clone()),
                "IsCompliant" => Value::Integer(found?.compliant.into()),
                "IsApplicable" => Value::Integer(found?.applicable.into()),
                "IsExpectedUserImpact" => Value::Integer(setting.is_multiple_of(3).into()),
                _ => return None,
            })
        })
    }

    /// A product on a machine, and something wrong with it.
    fn software(&self, view: &View, machine: u32, product: u32, version: u32, found: Option<Exposure>) -> Row {
        let reference = view.machine_reference(machine);
        let (vendor, software) = product_name(product);
        let found = found.map(|found| found.vulnerability);
        let kb = found.and_then(|found| kb(product, view.estate.catalog.fixed_in(found, product)));
        self.row(|name| {
            Some(match name {
                "DeviceId" => text(reference.id.clone()),
                "DeviceName" => reference.computer_dns_name.clone().map_or(Value::Null, text),
                "OSPlatform" => text(reference.os_platform.to_owned()),
                "SoftwareVendor" => Value::Text(vendor.clone()),
                "SoftwareName" => Value::Text(software.clone()),
                "SoftwareVersion" => text(version_text(product, version)),
                "CveId" => found.map_or(Value::Null, |found| text(cve(view.estate.seed, found))),
                "VulnerabilitySeverityLevel" => {
                    found.map_or(Value::Null, |found| text(vulnerability_sort(found).severity.clone()))
                }
                "RecommendedSecurityUpdate" => kb.map_or(Value::Null, |kb| text(format!("Security Updates KB{kb}"))),
                "RecommendedSecurityUpdateId" => kb.map_or(Value::Null, |kb| text(kb.to_string())),
                _ => return None,
            })
        })
    }
}

impl Report {
    /// When a machine sent it, if it did.
    fn time(self, view: &View, machine: u32) -> Option<Ticks> {
        let last = view.last_seen(machine);
        match self {
            Self::Older => Some(last.plus(-3_600 * Ticks::PER_SECOND)),
            Self::Last => Some(last),
            Self::Heartbeat => {
                let at = last.plus(17 * 60 * Ticks::PER_SECOND);
                (machine % 5 == 2 && at <= view.now).then_some(at)
            }
        }
    }
}

/// The state of a sensor in the table's words.
fn sensor_state(health: &str) -> &str {
    match health {
        "ImpairedCommunication" => "Impaired communications",
        "NoSensorData" => "No sensor data",
        same => same,
    }
}

/// A text.
fn text(text: String) -> Value<'static> {
    Value::Text(text.into())
}

/// A whole number.
fn whole(number: u64) -> Value<'static> {
    Value::Integer(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fixture_line_has_the_columns_of_its_table_in_their_order() {
        let lines: Vec<_> = include_str!("../../fixtures/advanced_hunting.ndjson").lines().collect();
        assert_eq!(lines.len(), TABLES.len());
        for table in &TABLES {
            let mut written = Vec::new();
            super::super::json::row(table.columns, &SHAPES[table.line], false, &mut written);
            assert_eq!(String::from_utf8(written).unwrap(), lines[table.line], "{}", table.name);
        }
    }
}
