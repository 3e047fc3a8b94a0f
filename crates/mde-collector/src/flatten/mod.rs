//! Records become events: objects and arrays are flattened, pure and streaming.

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
