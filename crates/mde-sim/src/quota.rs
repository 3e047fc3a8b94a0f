//! Calls allowed in any minute and any hour, counted exactly: one log of accepted calls for each (tenant, application, family).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// One bucket of the vendor's table of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The alert list, single alerts and what belongs to one alert.
    Alerts,
    /// The machine list, single machines, their users and alerts.
    Machines,
    /// Vulnerabilities of one machine.
    MachineVulnerabilities,
    /// The investigation list and single investigations.
    Investigations,
    /// Vulnerabilities, software, recommendations and their related lists; software, recommendations and missing updates of one
    /// machine. The vendor states no limit.
    VulnerabilityManagement,
    /// Hunting queries on the Defender API.
    Hunting,
    /// Exports in JSON.
    JsonExports,
    /// Exports in files; the files themselves are not counted.
    FileExports,
    /// Hunting queries on Microsoft Graph.
    GraphHunting,
    /// Alerts of Microsoft Graph.
    GraphAlerts,
    /// Incidents of Microsoft Graph.
    Incidents,
}

/// Calls allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In any 60 s.
    pub per_minute: u32,
    /// In any 3,600 s.
    pub per_hour: u32,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 11] = [
        Self::Alerts,
        Self::Machines,
        Self::MachineVulnerabilities,
        Self::Investigations,
        Self::VulnerabilityManagement,
        Self::Hunting,
        Self::JsonExports,
        Self::FileExports,
        Self::GraphHunting,
        Self::GraphAlerts,
        Self::Incidents,
    ];

    /// The vendor's numbers. Source: rate limits named on the page of each API; where none is named, the cautious guess of
    /// integrators. Graph promises at least 45 queries a minute and names no hour: the classic figure stands in. Its 150 a
    /// minute for alerts are stated without an hour; the figures for incidents are those of their twin on another API.
    pub fn documented(self) -> Limits {
        let (per_minute, per_hour) = match self {
            Self::Alerts | Self::Machines | Self::Investigations => (100, 1_500),
            Self::MachineVulnerabilities | Self::VulnerabilityManagement => (50, 1_500),
            Self::Hunting | Self::GraphHunting => (45, 1_500),
            Self::JsonExports => (30, 1_000),
            Self::FileExports => (5, 20),
            Self::GraphAlerts => (150, 150 * 60),
            Self::Incidents => (50, 1_500),
        };
        Limits { per_minute, per_hour }
    }

    /// Its name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Machines => "machines",
            Self::MachineVulnerabilities => "machine_vulnerabilities",
            Self::Investigations => "investigations",
            Self::VulnerabilityManagement => "vulnerability_management",
            Self::Hunting => "hunting",
            Self::JsonExports => "json_exports",
            Self::FileExports => "file_exports",
            Self::GraphHunting => "graph_hunting",
            Self::GraphAlerts => "graph_alerts",
            Self::Incidents => "incidents",
        }
    }
}

/// A call that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// Calls that the window allows.
    pub(crate) allowed: u32,
    /// The window that is full, as the message spells it.
    pub(crate) window: &'static str,
    /// When the next call would be accepted. Unit: whole seconds, rounded up.
    pub(crate) retry_after: u64,
}

/// The windows, with their spelling in the message.
const WINDOWS: [(Duration, &str); 2] =
    [(Duration::from_secs(60), "00:01:00"), (Duration::from_secs(3_600), "01:00:00")];

/// All buckets of the service.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    /// Limits in force.
    limits: BTreeMap<Family, Limits>,
    /// Accepted calls of the last hour, oldest first, by (tenant, application, family). Unit: the clock's elapsed time.
    accepted: BTreeMap<(String, String, Family), VecDeque<Duration>>,
}

impl Quota {
    /// Empty buckets with these limits.
    pub(crate) fn new(limits: BTreeMap<Family, Limits>) -> Self {
        Self { limits, accepted: BTreeMap::new() }
    }

    /// Changes the limits of a family; `None` takes them away. Calls already counted stay counted.
    pub(crate) fn set(&mut self, family: Family, limits: Option<Limits>) {
        match limits {
            Some(limits) => self.limits.insert(family, limits),
            None => self.limits.remove(&family),
        };
    }

    /// Counts a call made at `now`, or tells why it is refused. Refused calls are not counted.
    pub(crate) fn take(
        &mut self,
        tenant: &str,
        application: &str,
        family: Family,
        now: Duration,
    ) -> Result<(), Exceeded> {
        let Some(limits) = self.limits.get(&family) else { return Ok(()) };
        let calls = self.accepted.entry((tenant.to_owned(), application.to_owned(), family)).or_default();
        while calls.front().is_some_and(|call| *call + WINDOWS[1].0 <= now) {
            calls.pop_front();
        }
        for ((window, spelling), allowed) in WINDOWS.into_iter().zip([limits.per_minute, limits.per_hour]).rev() {
            let recent = calls.len() - calls.partition_point(|call| *call + window <= now);
            if recent >= allowed as usize {
                // The call that must leave the window before the next one fits; with a limit of 0 there is none.
                let blocking = calls.len().checked_sub(allowed.max(1) as usize).and_then(|index| calls.get(index));
                let wait = blocking.map_or(window, |call| (*call + window).saturating_sub(now));
                return Err(Exceeded {
                    allowed,
                    window: spelling,
                    retry_after: wait.as_millis().div_ceil(1_000).max(1) as u64,
                });
            }
        }
        calls.push_back(now);
        Ok(())
    }

    /// Calls accepted in the last minute and the last hour, summed over tenants and applications.
    pub(crate) fn used(&self, family: Family, now: Duration) -> (usize, usize) {
        let recent = |window: Duration| {
            let of_family = self.accepted.iter().filter(|((_, _, of), _)| *of == family);
            of_family.map(|(_, calls)| calls.iter().filter(|call| **call + window > now).count()).sum()
        };
        (recent(WINDOWS[0].0), recent(WINDOWS[1].0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(per_minute: u32, per_hour: u32) -> Quota {
        Quota::new(BTreeMap::from([(Family::Alerts, Limits { per_minute, per_hour })]))
    }

    fn take(quota: &mut Quota, millis: u64) -> Result<(), Exceeded> {
        quota.take("tenant", "app", Family::Alerts, Duration::from_millis(millis))
    }

    #[test]
    fn the_minute_slides_and_does_not_begin_anew() {
        let mut quota = quota(2, 100);
        assert_eq!(take(&mut quota, 0), Ok(()));
        assert_eq!(take(&mut quota, 59_000), Ok(()));
        let refused = take(&mut quota, 59_500).unwrap_err();
        assert_eq!((refused.allowed, refused.window, refused.retry_after), (2, "00:01:00", 1));
        assert_eq!(take(&mut quota, 60_000), Ok(()), "the first call has left the window");
        assert_eq!(take(&mut quota, 60_001).unwrap_err().retry_after, 59, "the second one is still in it");
    }

    #[test]
    fn the_hour_binds_although_the_minute_has_room() {
        let mut quota = quota(100, 3);
        for minute in 0..3 {
            assert_eq!(take(&mut quota, minute * 60_000), Ok(()));
        }
        let refused = take(&mut quota, 600_000).unwrap_err();
        assert_eq!((refused.window, refused.retry_after), ("01:00:00", 3_000));
        assert_eq!(take(&mut quota, 3_600_000), Ok(()));
    }

    #[test]
    fn a_call_at_the_told_time_is_accepted() {
        let mut quota = quota(3, 7);
        let mut now = 0;
        for _ in 0..200 {
            match take(&mut quota, now) {
                Ok(()) => now += 137,
                Err(refused) => {
                    now += refused.retry_after * 1_000;
                    assert_eq!(take(&mut quota, now), Ok(()), "at {now} ms");
                }
            }
        }
    }

    #[test]
    fn tenants_and_applications_have_buckets_of_their_own() {
        let mut quota = quota(1, 10);
        for (tenant, application) in [("a", "x"), ("a", "y"), ("b", "x")] {
            assert_eq!(quota.take(tenant, application, Family::Alerts, Duration::ZERO), Ok(()));
            assert!(quota.take(tenant, application, Family::Alerts, Duration::ZERO).is_err());
        }
        assert_eq!(quota.used(Family::Alerts, Duration::from_secs(61)), (0, 3));
    }
}
