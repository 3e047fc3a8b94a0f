//! Machines and users that all collections of one world agree on.

use super::dice::mix;

/// Users of the tenant.
pub(crate) const USERS: u32 = 240;

/// First stream of chance for creation times of alerts. Alerts themselves use two streams each, from 0 on.
pub(crate) const CREATION_STREAM: u64 = 1 << 40;
/// First stream of chance for unforeseeable orders.
pub(crate) const LOT_STREAM: u64 = 2 << 40;
/// First stream of chance for machines.
pub(crate) const MACHINE_STREAM: u64 = 3 << 40;
/// First stream of chance for users.
pub(crate) const USER_STREAM: u64 = 4 << 40;
/// Stream of chance for the tenant itself: its ids and its secret.
pub(crate) const TENANT_STREAM: u64 = 5 << 40;
/// First stream of chance for what changes by itself.
pub(crate) const LIVE_STREAM: u64 = 6 << 40;
/// First stream of chance for the names of requests.
pub(crate) const REQUEST_STREAM: u64 = 7 << 40;
/// First stream of chance for what a machine's report may change.
pub(crate) const MOOD_STREAM: u64 = 1 << 60;

/// Spreads numbers over 32 bits; odd, so that no two share one.
pub(crate) const ID_FACTOR: u32 = 0x9E37_79B1;

/// `ID_FACTOR` × this = 1, modulo 2³².
pub(crate) const ID_INVERSE: u32 = {
    let mut inverse = ID_FACTOR;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(ID_FACTOR.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
};

/// First names, not all of them ASCII.
const FIRST_NAMES: [&str; 12] =
    ["mara", "jürgen", "ines", "адель", "tomasz", "priya", "zoë", "kenji", "o'brien", "fatima", "søren", "lucía"];

/// Account name of a user.
pub(crate) fn user_name(user: u32) -> String {
    format!("{}{user}", FIRST_NAMES[user as usize % FIRST_NAMES.len()])
}

/// Windows domain of a user.
pub(crate) fn domain(user: u32) -> &'static str {
    if user.is_multiple_of(7) { "FABRIKAM" } else { "CONTOSO" }
}

/// Sign-in name of a user.
pub(crate) fn user_principal_name(user: u32) -> String {
    format!("{}@contoso.example", user_name(user))
}

/// Windows security id of a user.
pub(crate) fn user_sid(user: u32) -> String {
    format!("S-1-5-21-1004336348-1177238915-682003330-{}", 1_100 + user)
}

/// Id of a machine: 40 hexadecimal digits. The first eight are its number in disguise, so that an id leads back to it.
pub(crate) fn machine_id(seed: u64, machine: u32) -> String {
    let disguised = machine.wrapping_mul(ID_FACTOR) ^ mix(seed, MACHINE_STREAM) as u32;
    let tail = [1, 2].map(|half| mix(seed ^ MACHINE_STREAM, u64::from(machine) << 2 | half));
    format!("{disguised:08x}{:016x}{:016x}", tail[0], tail[1])
}

/// The number of the machine with this id, if there were as many.
pub(crate) fn machine_number(seed: u64, id: &str) -> Option<u32> {
    let disguised = u32::from_str_radix(id.get(..8)?, 16).ok()?;
    let machine = (disguised ^ mix(seed, MACHINE_STREAM) as u32).wrapping_mul(ID_INVERSE);
    (machine_id(seed, machine) == id).then_some(machine)
}

/// The number of the machine with this name, if there were as many.
pub(crate) fn machine_of_dns_name(name: &str) -> Option<u32> {
    let machine = name.strip_prefix("ws-")?.split_once('.')?.0.parse().ok()?;
    (machine_dns_name(machine) == name).then_some(machine)
}

/// Full DNS name of a machine.
pub(crate) fn machine_dns_name(machine: u32) -> String {
    format!("ws-{machine:05}.contoso.example")
}
