//! Machines and users that all collections of one world agree on.

use super::dice::Dice;

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

/// Id of a machine: 40 hexadecimal digits.
pub(crate) fn machine_id(seed: u64, machine: u32) -> String {
    Dice::new(seed, MACHINE_STREAM + u64::from(machine)).hex(40)
}

/// Full DNS name of a machine.
pub(crate) fn machine_dns_name(machine: u32) -> String {
    format!("ws-{machine:05}.contoso.example")
}
