//! Machines, and what is said of them elsewhere.

use super::catalog::{members, parts};
use super::fixture::IMAGES;
use super::{Estate, View};
use crate::ticks::Ticks;
use crate::world::dice::{Dice, mix};
use crate::world::names;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A machine in the API's order. Source: property table of the vendor's machine page, and answers in public fixtures.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    pub(crate) id: String,
    pub(crate) merged_into_machine_id: Option<String>,
    is_potential_duplication: bool,
    pub(crate) is_excluded: bool,
    pub(crate) exclusion_reason: Option<String>,
    pub(crate) computer_dns_name: Option<String>,
    first_seen: Ticks,
    pub(crate) last_seen: Ticks,
    pub(crate) os_platform: String,
    os_version: Option<String>,
    os_processor: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) last_ip_address: Option<String>,
    pub(crate) last_external_ip_address: Option<String>,
    pub(crate) agent_version: Option<String>,
    pub(crate) os_build: Option<i64>,
    pub(crate) health_status: String,
    pub(crate) device_value: Option<String>,
    pub(crate) rbac_group_id: i64,
    pub(crate) rbac_group_name: Option<String>,
    risk_score: Option<String>,
    pub(crate) exposure_level: Option<String>,
    pub(crate) is_aad_joined: bool,
    pub(crate) aad_device_id: Option<String>,
    pub(crate) machine_tags: Vec<String>,
    defender_av_status: Option<String>,
    pub(crate) onboarding_status: String,
    pub(crate) os_architecture: Option<String>,
    managed_by: String,
    managed_by_status: String,
    pub(crate) ip_addresses: Vec<IpAddress>,
    vm_metadata: Option<Box<RawValue>>,
}

/// An address of a machine.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IpAddress {
    pub(crate) ip_address: String,
    pub(crate) mac_address: Option<String>,
    #[serde(rename = "type")]
    sort: String,
    operational_status: String,
}

/// A machine as related lists name it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MachineReference {
    pub(crate) id: String,
    pub(crate) computer_dns_name: Option<String>,
    pub(crate) os_platform: &'static str,
    rbac_group_name: Option<&'static str>,
}

/// A user as the API gives one. Source: examples of the vendor's user pages; there is no property table.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    id: String,
    account_name: String,
    account_domain: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_sid: Option<String>,
    first_seen: Ticks,
    last_seen: Ticks,
    #[serde(skip_serializing_if = "Option::is_none")]
    most_prevalent_machine_id: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    least_prevalent_machine_id: Option<Option<String>>,
    logon_types: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_on_machines_count: Option<u64>,
    is_domain_admin: bool,
    is_only_network_user: bool,
}

/// Sorts of logons.
const LOGON_TYPES: [&str; 4] = ["Interactive", "Network", "Interactive, Network", "RemoteInteractive"];

impl View {
    /// A machine as the list gives it.
    pub(crate) fn machine(&self, number: u32) -> Machine {
        let estate = &*self.estate;
        let (image, level) = parts(estate.profile_of(number));
        let mut machine = IMAGES[image].clone();
        let mut dice = Dice::new(estate.seed, names::MACHINE_STREAM + u64::from(number));
        let changed = estate.machines.changed(number);
        machine.id = names::machine_id(estate.seed, number);
        // Some have never told their name.
        machine.computer_dns_name = (!dice.once_in(40)).then(|| names::machine_dns_name(number));
        let age = (1 + dice.below(300 * 86_400)) as i64 * Ticks::PER_SECOND + dice.below(10_000_000) as i64;
        machine.first_seen = estate.machines.came(number).unwrap_or_else(|| estate.started.plus(-age));
        machine.last_seen = self.last_seen(number);
        let octets = [dice.below(250), dice.below(250), 1 + dice.below(250)];
        let address = format!("10.{}.{}.{}", octets[0], octets[1], octets[2]);
        for (row, place) in machine.ip_addresses.iter_mut().zip(0u64..) {
            if row.ip_address.contains('.') {
                row.ip_address.clone_from(&address);
            }
            if let Some(mac) = &mut row.mac_address {
                *mac = format!("02005E{:06X}", mix(u64::from(number), place) & 0xFF_FFFF);
            }
        }
        machine.last_ip_address = Some(address);
        machine.last_external_ip_address = Some(format!("203.0.113.{}", 1 + dice.below(250)));
        machine.aad_device_id = machine.aad_device_id.is_some().then(|| dice.guid());
        // What a report may change: each change of the machine draws anew.
        let mut mood =
            Dice::new(estate.seed, names::MOOD_STREAM + (u64::from(number) << 12) + u64::from(changed.times));
        if machine.health_status == "Active" {
            let states = [("Active", 90), ("Inactive", 7), ("ImpairedCommunication", 2), ("NoSensorData", 1)];
            machine.health_status = mood.weighted(&states).to_owned();
        }
        let risks = [(Some("None"), 70), (Some("Low"), 15), (Some("Medium"), 9), (Some("High"), 5), (None, 1)];
        machine.risk_score = mood.weighted(&risks).map(str::to_owned);
        machine.exposure_level = Some(["Low", "Medium", "High"][level as usize].to_owned());
        machine
    }

    /// When a machine reported last: when it came or was changed, or by the clock when machines report regularly.
    pub(crate) fn last_seen(&self, number: u32) -> Ticks {
        let estate = &*self.estate;
        let told = estate.machines.changed(number).at.or_else(|| estate.machines.came(number));
        let within = mix(estate.seed ^ 0x21, u64::from(number));
        let day = 86_400 * Ticks::PER_SECOND;
        match estate.plan.report_every {
            None => told.unwrap_or_else(|| estate.started.plus(-((within % day as u64) as i64))),
            Some(every) => {
                let every = i64::try_from(every.as_nanos() / 100).unwrap_or(i64::MAX / 4).max(1);
                let first = estate.started.plus(-((within % every as u64) as i64));
                let turns = (self.now.0 - first.0).div_euclid(every);
                let regular = first.plus(turns * every);
                told.map_or(regular, |told| told.max(regular))
            }
        }
    }

    /// A machine as related lists name it.
    pub(crate) fn machine_reference(&self, number: u32) -> MachineReference {
        let (image, _) = parts(self.estate.profile_of(number));
        let image = &IMAGES[image];
        MachineReference {
            id: names::machine_id(self.estate.seed, number),
            computer_dns_name: self.machine_name(number),
            os_platform: &image.os_platform,
            rbac_group_name: image.rbac_group_name.as_deref(),
        }
    }

    /// A machine's name, when it has told one.
    pub(crate) fn machine_name(&self, number: u32) -> Option<String> {
        let mut dice = Dice::new(self.estate.seed, names::MACHINE_STREAM + u64::from(number));
        (!dice.once_in(40)).then(|| names::machine_dns_name(number))
    }

    /// The machine with this id or name.
    pub(crate) fn find_machine(&self, id: &str) -> Option<u32> {
        let estate = &*self.estate;
        let number = match names::machine_number(estate.seed, id) {
            Some(number) => number,
            None => names::machine_of_dns_name(id).filter(|number| self.machine_name(*number).is_some())?,
        };
        estate.machines.has(number).then_some(number)
    }

    /// The users who log on to a machine: up to five, stable over its life.
    pub(crate) fn logon_users(&self, number: u32) -> Vec<u32> {
        let draw = |turn| mix(self.estate.seed ^ 0x22, u64::from(number) << 8 | turn);
        let mut users: Vec<_> = (1..=draw(0) % 6).map(|turn| (draw(turn) % u64::from(names::USERS)) as u32).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// A user as the list of a machine's users gives one.
    pub(crate) fn logon_user(&self, user: u32) -> User {
        let draw = mix(self.estate.seed ^ 0x23, u64::from(user));
        let second = Ticks::PER_SECOND;
        let whole = Ticks(self.estate.started.0 / second * second);
        User {
            id: format!("{}\\{}", names::domain(user).to_ascii_lowercase(), names::user_name(user)),
            account_name: names::user_name(user),
            account_domain: names::domain(user),
            account_sid: None,
            first_seen: whole.plus(-((100 + draw % 1_000_000) as i64 * 10 * second)),
            last_seen: whole.plus(-((draw % 80_000) as i64 * second)),
            most_prevalent_machine_id: None,
            least_prevalent_machine_id: None,
            logon_types: LOGON_TYPES[(draw >> 32) as usize % LOGON_TYPES.len()],
            log_on_machines_count: None,
            is_domain_admin: user.is_multiple_of(40),
            is_only_network_user: (draw >> 40).is_multiple_of(9),
        }
    }

    /// A user as an alert's user is given: the longer form.
    pub(crate) fn alert_user(&self, user: u32, machine: Option<String>) -> User {
        User {
            account_sid: Some(names::user_sid(user)),
            most_prevalent_machine_id: Some(machine.clone()),
            least_prevalent_machine_id: Some(machine),
            log_on_machines_count: Some(1),
            ..self.logon_user(user)
        }
    }
}

impl Estate {
    /// Machines in these profiles.
    pub(crate) fn count(&self, profiles: super::catalog::Profiles) -> u64 {
        members(profiles).filter_map(|profile| self.counts.get(profile as usize)).map(|count| u64::from(*count)).sum()
    }
}
