//! Automated investigations: each follows a plan made when it comes, so that its state is a question of the time.

use super::View;
use super::fixture::INVESTIGATIONS;
use crate::ticks::Ticks;
use crate::world::dice::mix;
use crate::world::names;
use serde::{Deserialize, Serialize};

/// An investigation in the API's order. Source: property table of the vendor's investigation page.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Investigation {
    id: String,
    start_time: Option<Ticks>,
    end_time: Option<Ticks>,
    state: String,
    cancelled_by: Option<String>,
    status_details: Option<String>,
    machine_id: Option<String>,
    computer_dns_name: Option<String>,
    triggering_alert_id: Option<String>,
}

/// What an investigation will do.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// When it begins, on a whole second; some never tell.
    pub(crate) start: Option<Ticks>,
    /// When it ends, on a whole second.
    pub(crate) end: Ticks,
    /// The machine that it is about.
    pub(crate) machine: Option<u32>,
    /// The alert that called for it.
    pub(crate) alert: Option<String>,
}

/// Id of the first investigation.
const FIRST_ID: u32 = 60_000;

impl Course {
    /// The course of the investigation with this number when it begins at `from`. Most take minutes, one in ten days, one in
    /// fifty more than a month; one in twelve never tells when it began.
    pub(crate) fn drawn(seed: u64, number: u32, from: Ticks, machines: u32, alert: Option<String>) -> Self {
        let draw = mix(seed ^ 0x61, u64::from(number));
        let seconds = match draw % 50 {
            0 => 31 * 86_400 + (draw >> 8) % (10 * 86_400),
            1..=5 => 86_400 + (draw >> 8) % (6 * 86_400),
            _ => 120 + (draw >> 8) % 7_200,
        };
        let from = whole(from);
        Self {
            start: (!(draw >> 40).is_multiple_of(12)).then_some(from),
            end: from.plus(seconds as i64 * Ticks::PER_SECOND),
            machine: (machines > 0).then(|| ((draw >> 16) % u64::from(machines.max(1))) as u32),
            alert,
        }
    }
}

/// The instant without its fraction of a second.
pub(crate) fn whole(at: Ticks) -> Ticks {
    Ticks(at.0.div_euclid(Ticks::PER_SECOND) * Ticks::PER_SECOND)
}

/// Id of an investigation.
pub(crate) fn investigation_id(number: u32) -> String {
    (FIRST_ID + number).to_string()
}

impl View {
    /// An investigation as it is now.
    pub(crate) fn investigation(&self, number: u32) -> Investigation {
        let estate = &*self.estate;
        let course = &estate.investigations[number as usize];
        let draw = mix(estate.seed ^ 0x62, u64::from(number));
        let ended = self.now >= course.end;
        let ends = || INVESTIGATIONS.iter().filter(|known| known.end_time.is_some());
        let end = ends().nth(draw as usize % ends().count().max(1)).filter(|_| ended);
        let words = ["SuccessfullyRemediated", "Benign", "PartiallyRemediated", "Failed", "TerminatedBySystem"];
        let state = match (end, course.start) {
            (Some(end), Some(_)) if end.cancelled_by.is_some() => &end.state,
            (Some(_), Some(_)) => words[(draw >> 8) as usize % words.len()],
            (Some(_), None) => "UnsupportedOs",
            (None, None) => "Queued",
            // The last third of one in three is spent waiting for a person.
            (None, Some(start)) => {
                let late = (self.now.0 - start.0) * 3 >= (course.end.0 - start.0) * 2;
                if late && (draw >> 16).is_multiple_of(3) { "PendingApproval" } else { "Running" }
            }
        };
        Investigation {
            id: investigation_id(number),
            start_time: course.start,
            end_time: course.start.and(end).map(|_| course.end),
            state: state.to_owned(),
            cancelled_by: end.and_then(|end| end.cancelled_by.clone()),
            status_details: end.and_then(|end| end.status_details.clone()),
            machine_id: course.machine.map(|machine| names::machine_id(estate.seed, machine)),
            computer_dns_name: course.machine.and_then(|machine| self.machine_name(machine)),
            triggering_alert_id: course.alert.clone(),
        }
    }

    /// The investigation with this id, or the first one that an alert with this id called for.
    pub(crate) fn find_investigation(&self, id: &str) -> Option<u32> {
        let courses = &self.estate.investigations;
        let number = match id.parse::<u32>().ok().and_then(|id| id.checked_sub(FIRST_ID)) {
            Some(number) => number,
            None => courses.iter().position(|course| course.alert.as_deref() == Some(id))? as u32,
        };
        ((number as usize) < courses.len()).then_some(number)
    }
}
