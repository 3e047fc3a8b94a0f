//! Mistakes made on purpose, for the proof that the proof finds them. Without the feature `deliberate-bugs` none is ever made,
//! and nothing of this is left in the program.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mistake {
    /// The checkpoint moves before the commit of what it covers.
    CheckpointFirst = 1,
    /// The overlap is not read again.
    NoOverlap,
    /// A window begins behind its beginning.
    StrictlyAfter,
    /// A key names an entity, whatever its version.
    KeyWithoutVersion,
    /// A batch is visible before it is whole.
    VisibleEarly,
    /// A commit under a lease that is somebody else's counts.
    NoFence,
    /// The last frame of several that are read is not handed over.
    LastFrameDropped,
    /// After a failure only what was not written is written.
    NoPrefix,
    /// A window that does not fit is paged with `$skip`.
    SkipPaging,
    /// A call counts when it is sent and no longer.
    CountedAtSending,
    /// Keys go before the farthest re-read.
    KeysForgotten,
    /// Every walk has the same borders.
    SameBorders,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::CheckpointFirst,
        Self::NoOverlap,
        Self::StrictlyAfter,
        Self::KeyWithoutVersion,
        Self::VisibleEarly,
        Self::NoFence,
        Self::LastFrameDropped,
        Self::NoPrefix,
        Self::SkipPaging,
        Self::CountedAtSending,
        Self::KeysForgotten,
        Self::SameBorders,
    ];
}

#[cfg(not(feature = "deliberate-bugs"))]
impl Mistake {
    /// Never.
    #[must_use]
    pub const fn is_made(self) -> bool {
        false
    }
}

#[cfg(feature = "deliberate-bugs")]
mod made {
    use super::Mistake;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// The mistake that is made now; 0: none.
    static MADE: AtomicU8 = AtomicU8::new(0);

    impl Mistake {
        /// Whether it is made now.
        #[must_use]
        pub fn is_made(self) -> bool {
            MADE.load(Ordering::Relaxed) == self as u8
        }

        /// From now on this one is made, or none.
        pub fn make(mistake: Option<Self>) {
            MADE.store(mistake.map_or(0, |mistake| mistake as u8), Ordering::Relaxed);
        }
    }
}
