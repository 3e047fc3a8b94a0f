//! Records become events: objects and arrays are flattened, the tail is added. Pure: same input, same output.
//!
//! Where the contract (design, "Flattening") leaves room, this is how it is read:
//!
//! - A value is selected by its flattened name before any suffix, unescaped; a suffix renames one member, not what comes
//!   after it.
//! - A flattened object is flattened all the way down, an element of an array as well; below the depth that event
//!   parsers share (128) it stays JSON.
//! - `"*"` means every array that comes to stand in the event: those of the record and those that flattening brings up,
//!   not those inside values that stay JSON, and not an array that is itself an element.
//! - Nested arrays add up within their element and multiply beside each other.
//! - Names are given along the event as it is written: `key_found` and `key_id` come right after their element, so a
//!   later property of that name gives way to them, and an earlier one does not.
//! - Names of the tail give way to the record's, also with `flatten: false`: the record stays as it came, and no value
//!   hides another. The record's own doubles stay doubled then.
//! - Too many events: as if no array were named.

mod events;
mod names;
mod plan;

pub use events::Events;

use crate::record::{Identity, RawObject};
use crate::service::Flatten;
use plan::Plan;

/// Which names a flattening applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These names.
    Named(Vec<String>),
    /// `"*"`: all.
    All,
}

/// What is flattened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlattenConfig {
    /// `false`: nothing is renamed, nothing exploded.
    pub enabled: bool,
    /// Objects whose members are joined to their name.
    pub objects: Selection,
    /// Arrays that give one event for each element.
    pub arrays: Selection,
    /// More events than this from one record: it leaves as one event. Default 10,000.
    pub max_events_per_record: u64,
}

impl FlattenConfig {
    /// Default of `max_events_per_record`.
    pub const MAX_EVENTS: u64 = 10_000;

    /// What a service flattens unless the configuration says otherwise; off where its table names nothing.
    #[must_use]
    pub fn of(flatten: &[Flatten]) -> Self {
        let (mut objects, mut arrays) = (Vec::new(), Vec::new());
        for one in flatten {
            match one {
                Flatten::Object(name) => objects.push((*name).to_owned()),
                Flatten::Array(name) => arrays.push((*name).to_owned()),
            }
        }
        Self {
            enabled: !flatten.is_empty(),
            objects: Selection::Named(objects),
            arrays: Selection::Named(arrays),
            max_events_per_record: Self::MAX_EVENTS,
        }
    }
}

/// What every event of a record ends with, in this order.
#[derive(Clone, Copy)]
pub struct Tail<'a> {
    /// `related_*` counts in the order of the service's table; a count that could not be had is not among them.
    pub counts: &'a [(&'a str, u64)],
    /// `@devo_environment`, where the input has one.
    pub environment: Option<&'a str>,
    /// `@devo_pulling_id`: start of the pull. Unit: milliseconds since 1970, UTC.
    pub pulled_ms: i64,
    /// Names the record's version; `@event_id` is made of it and the event's number.
    pub identity: &'a Identity,
}

/// What a record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Number of events, at least 1.
    pub events: u64,
    /// The record would have given more events than allowed and left as one, marked `@flatten_skipped`.
    pub skipped: bool,
}

/// Makes events of one service's records.
#[derive(Debug, Clone)]
pub struct Flattener {
    config: FlattenConfig,
}

impl Flattener {
    /// A flattener for that configuration.
    #[must_use]
    pub fn new(config: &FlattenConfig) -> Self {
        Self { config: config.clone() }
    }

    /// The events of one record, to be taken line by line.
    #[must_use]
    pub fn start(&self, record: &RawObject<'_>, tail: &Tail<'_>) -> Events {
        Events::new(Plan::new(&self.config, record, tail), tail)
    }

    /// Gives the sink every event of one record, each as one compact line and an LF.
    ///
    /// # Errors
    /// The sink's; the rest of the record is then not made.
    pub fn events<E>(
        &self,
        record: &RawObject<'_>,
        tail: &Tail<'_>,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        let mut events = self.start(record, tail);
        while let Some(line) = events.next_line() {
            sink(line)?;
        }
        Ok(events.outcome())
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod model;
#[cfg(test)]
mod property;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
