//! Rows of exports. Source: property tables and examples of the vendor's pages "Export … assessment".

use super::{Export, machine_id};
use crate::estate::{
    Advice, Compliance, Exposure, View, advice_id, advice_sort, cve, kb, product_name, setting_id, version_text,
    vulnerability_sort,
};
use crate::ticks::Ticks;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// What a row says beside its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Something wrong with a product, or nothing known to be.
    Weakness {
        /// The product.
        product: u32,
        /// Its version.
        version: u32,
        /// What is wrong.
        vulnerability: Option<u32>,
    },
    /// A product.
    Product {
        /// The product.
        product: u32,
        /// Its version.
        version: u32,
    },
    /// A setting.
    Setting {
        /// The setting.
        setting: u32,
        /// How it is.
        compliance: Compliance,
    },
}

impl Line {
    /// The row of an exposure.
    pub(super) fn of(exposure: &Exposure) -> Self {
        let Exposure { product, version, vulnerability } = *exposure;
        Self::Weakness { product, version, vulnerability: Some(vulnerability) }
    }
}

/// That a row came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// `New` or `Fixed`.
    pub(super) word: &'static str,
    /// When.
    pub(super) at: Ticks,
}

/// What every row says of its machine; made once for all its rows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Device {
    device_id: String,
    device_name: Option<String>,
    rbac_group_name: String,
    rbac_group_id: i64,
    os_platform: String,
    /// Not in every export.
    #[serde(skip)]
    os_version: String,
    /// Not in every export.
    #[serde(skip)]
    os_architecture: &'static str,
    /// Not in every export.
    #[serde(skip)]
    is_onboarded: bool,
    /// Not in every export.
    #[serde(skip)]
    last_seen: Ticks,
}

impl Device {
    /// A machine of a build.
    pub(super) fn of(view: &View, machine: u32) -> Self {
        let id = machine_id(view, machine);
        let machine = view.machine(machine);
        Self {
            device_id: id,
            device_name: machine.computer_dns_name,
            rbac_group_name: machine.rbac_group_name.unwrap_or_else(|| "Unassigned".to_owned()),
            rbac_group_id: machine.rbac_group_id,
            os_platform: machine.os_platform,
            os_version: machine.os_build.map_or_else(|| "other".to_owned(), |build| format!("10.0.{build}.1")),
            os_architecture: if machine.os_architecture.is_some() { "x64" } else { "" },
            is_onboarded: machine.onboarding_status == "Onboarded",
            last_seen: machine.last_seen,
        }
    }
}

/// A row to be written.
pub(super) struct Row<'a> {
    /// The build.
    pub(super) view: &'a View,
    /// What is exported.
    pub(super) export: Export,
    /// The machine.
    pub(super) device: &'a Device,
    /// The rest.
    pub(super) line: Line,
    /// That it came or went.
    pub(super) stamp: Option<Stamp>,
}

/// A row of vulnerabilities.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WeaknessRow<'a> {
    id: String,
    #[serde(flatten)]
    device: &'a Device,
    os_version: &'a str,
    os_architecture: &'a str,
    software_vendor: Cow<'static, str>,
    software_name: Cow<'static, str>,
    software_version: String,
    cve_id: Option<String>,
    vulnerability_severity_level: Option<&'static str>,
    cvss_score: Option<&'static serde_json::Number>,
    recommended_security_update: Option<String>,
    recommended_security_update_id: Option<String>,
    recommended_security_update_url: Option<String>,
    disk_paths: [String; 1],
    registry_paths: [&'static str; 0],
    last_seen_timestamp: String,
    first_seen_timestamp: String,
    exploitability_level: &'static str,
    recommendation_reference: String,
    security_update_available: bool,
    is_onboarded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_timestamp: Option<String>,
}

/// A row of the inventories.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductRow<'a> {
    #[serde(flatten)]
    device: &'a Device,
    software_vendor: Cow<'static, str>,
    software_name: Cow<'static, str>,
    software_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_of_weaknesses: Option<u64>,
    disk_paths: [String; 1],
    registry_paths: [&'static str; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    software_first_seen_timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    software_last_seen_timestamp: Option<String>,
    end_of_support_status: &'static str,
    end_of_support_date: Option<&'static str>,
}

/// A row of settings.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingRow<'a> {
    #[serde(flatten)]
    device: &'a Device,
    os_version: &'a str,
    timestamp: String,
    configuration_id: String,
    configuration_category: &'static str,
    configuration_subcategory: &'static str,
    configuration_impact: &'static serde_json::Number,
    is_compliant: bool,
    is_applicable: bool,
    is_expected_user_impact: bool,
    configuration_name: &'static str,
    recommendation_reference: String,
}

impl Row<'_> {
    /// Appends the row as JSON answers spell it.
    pub(super) fn json(&self, out: &mut Vec<u8>) {
        let written = match self.line {
            Line::Weakness { product, version, vulnerability } => {
                serde_json::to_writer(out, &self.weakness(product, version, vulnerability))
            }
            Line::Product { product, version } => serde_json::to_writer(out, &self.product(product, version)),
            Line::Setting { setting, compliance } => serde_json::to_writer(out, &self.setting(setting, compliance)),
        };
        written.expect("writing to memory cannot fail");
    }

    /// Appends the row as files spell it: the same properties in the order of the alphabet, beginning with capitals.
    pub(super) fn line(&self, out: &mut Vec<u8>) {
        let mut json = Vec::new();
        self.json(&mut json);
        let row: Map<String, Value> = serde_json::from_slice(&json).expect("rows are JSON objects");
        let row: Map<String, Value> = row.into_iter().map(|(name, value)| (pascal(&name), value)).collect();
        serde_json::to_writer(&mut *out, &json!(row)).expect("writing to memory cannot fail");
        out.push(b'\n');
    }

    /// A row of vulnerabilities.
    fn weakness(&self, product: u32, version: u32, vulnerability: Option<u32>) -> WeaknessRow<'_> {
        let (seed, catalog) = (self.view.estate.seed, &self.view.estate.catalog);
        let (vendor, name) = product_name(product);
        let version = version_text(product, version);
        let cve = vulnerability.map(|found| cve(seed, found));
        let sort = vulnerability.map(vulnerability_sort);
        let kb = vulnerability.and_then(|found| kb(product, catalog.fixed_in(found, product)));
        let id = format!("{}_{name}_{version}_{}_", self.device.device_id, cve.as_deref().unwrap_or(""));
        WeaknessRow {
            id,
            device: self.device,
            os_version: &self.device.os_version,
            os_architecture: self.device.os_architecture,
            recommendation_reference: advice_id(Advice::Update(product)),
            disk_paths: [format!("c:\\program files\\{name}\\{name}.exe")],
            software_vendor: vendor,
            software_name: name,
            software_version: version,
            cve_id: cve,
            vulnerability_severity_level: sort.map(|sort| sort.severity.as_str()),
            cvss_score: sort.map(|sort| sort.score()),
            recommended_security_update: kb.map(|kb| format!("Security Updates KB{kb}")),
            recommended_security_update_id: kb.map(|kb| kb.to_string()),
            recommended_security_update_url: kb
                .map(|kb| format!("https://catalog.update.microsoft.com/v7/site/Search.aspx?q=KB{kb}")),
            registry_paths: [],
            last_seen_timestamp: zoneless(self.device.last_seen),
            first_seen_timestamp: zoneless(self.device.last_seen.plus(-90 * 86_400 * Ticks::PER_SECOND)),
            exploitability_level: sort.map_or("NoExploit", |sort| sort.exploitability()),
            security_update_available: kb.is_some(),
            is_onboarded: self.device.is_onboarded,
            status: self.stamp.map(|stamp| stamp.word),
            event_timestamp: self.stamp.map(|stamp| zoneless(stamp.at)),
        }
    }

    /// A row of an inventory.
    fn product(&self, product: u32, version: u32) -> ProductRow<'_> {
        let catalog = &self.view.estate.catalog;
        let (vendor, name) = product_name(product);
        let open = |found: &u32| (version as usize) < catalog.fixed_in(*found, product);
        let ordinary = self.export == Export::Inventory;
        let ends = product % 9 == 4;
        ProductRow {
            device: self.device,
            disk_paths: [format!("c:\\program files\\{name}\\{name}.exe")],
            software_vendor: vendor,
            software_name: name,
            software_version: version_text(product, version),
            number_of_weaknesses: ordinary.then(|| catalog.vulnerabilities_of(product).filter(open).count() as u64),
            registry_paths: [],
            software_first_seen_timestamp: ordinary
                .then(|| zoneless(self.device.last_seen.plus(-120 * 86_400 * Ticks::PER_SECOND))),
            software_last_seen_timestamp: (!ordinary).then(|| zoneless(self.device.last_seen)),
            end_of_support_status: if ends { "Upcoming EOS Version" } else { "None" },
            end_of_support_date: ends.then_some("2027-05-11T00:00:00+00:00"),
        }
    }

    /// A row of settings.
    fn setting(&self, setting: u32, compliance: Compliance) -> SettingRow<'_> {
        let advice = Advice::Configure(setting);
        let sort = advice_sort(advice);
        SettingRow {
            device: self.device,
            os_version: &self.device.os_version,
            timestamp: zoneless(self.device.last_seen),
            configuration_id: setting_id(setting),
            configuration_category: &sort.recommendation_category,
            configuration_subcategory: &sort.sub_category,
            configuration_impact: &sort.config_score_impact,
            is_compliant: compliance.compliant,
            is_applicable: compliance.applicable,
            is_expected_user_impact: setting % 3 == 0,
            configuration_name: &sort.recommendation_name,
            recommendation_reference: advice_id(advice),
        }
    }
}

/// An instant as exports spell it: a blank between day and time, and no zone.
fn zoneless(at: Ticks) -> String {
    at.to_string().trim_end_matches('Z').replacen('T', " ", 1)
}

/// A property as files spell it.
fn pascal(name: &str) -> String {
    match name.strip_prefix("os") {
        Some(rest) if rest.starts_with(char::is_uppercase) => format!("OS{rest}"),
        _ => format!("{}{}", name[..1].to_ascii_uppercase(), &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_are_spelled_as_exports_spell_them() {
        let at = Ticks::of("2021-01-11T09:47:58.854Z".parse().unwrap());
        assert_eq!(zoneless(at), "2021-01-11 09:47:58.854");
        assert_eq!(["osPlatform", "id", "cveId"].map(pascal), ["OSPlatform", "Id", "CveId"]);
    }
}
