//! The vendor's numbers: unit, source, day read. The only place that has them.

/// Most rows in one answer of an OData list. Unit: rows. Source: "Get alerts", "Get machines" (`$top` at most 10,000), read 2026-11.
pub const PAGE_CAP: usize = 10_000;

/// An API family: one quota of the vendor's, counted per application and tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Alerts and what hangs on one alert.
    Alerts,
}
