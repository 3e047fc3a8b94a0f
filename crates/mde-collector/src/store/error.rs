//! What can go wrong with a store, told so that somebody can act.

/// What the store refuses or cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process works on it.
    #[error("lock {path}: another process is using this state folder{}", .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The lock file.
        path: String,
        /// The process, as it has named itself.
        pid: Option<u32>,
    },
    /// The files are ours but damaged.
    #[error("open {path}: the state is damaged ({what})")]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        what: String,
    },
    /// A file of our name that somebody else wrote.
    #[error("open {path}: this is not a state file of mde-collector ({what})")]
    Foreign {
        /// The file.
        path: String,
        /// What was found.
        what: String,
    },
    /// Written by a newer version.
    #[error("open {path}: the state has format {found}, this version reads up to {known}")]
    Newer {
        /// The file.
        path: String,
        /// Format found.
        found: i64,
        /// Newest format known.
        known: i64,
    },
    /// Written by an older version, and only looked at: whoever runs the collector on it brings it to the newest format.
    #[error(
        "look into {path}: the state has format {found}, this version reads {known} and brings it there when it runs"
    )]
    Older {
        /// The file.
        path: String,
        /// Format found.
        found: i64,
        /// The format that is read.
        known: i64,
    },
    /// Somebody wants to fill it from a file, and it is not empty.
    #[error("import: the state folder is not empty")]
    NotEmpty,
    /// The file that a store is read from or written to.
    #[error("{0}")]
    Carrier(String),
    /// The lease is somebody else's by now.
    #[error("commit under lease {name:?} with fence {fence}: it has been given to somebody else")]
    LeaseLost {
        /// The lease.
        name: String,
        /// The stale fence.
        fence: u64,
    },
    /// The stream has been started again meanwhile.
    #[error("commit in epoch {epoch} of {stream}: the stream has been started again")]
    EpochOver {
        /// The stream.
        stream: String,
        /// The stale epoch.
        epoch: u64,
    },
    /// A rule of this module would be broken: a bug on our side, and nothing was changed.
    #[error("commit to {stream}: {what}")]
    Broken {
        /// The stream.
        stream: String,
        /// Which rule.
        what: String,
    },
    /// The disk is full or cannot be written. Calls that outputs need have been tried again by then, with a reserve given up.
    #[error("write to the state folder: {0}")]
    Disk(String),
    /// Anything else the database says.
    #[error("use the state database")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether trying again later can help: a full disk can be emptied, a database can come back.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Database(_) | Self::LeaseLost { .. } | Self::EpochOver { .. })
    }
}
