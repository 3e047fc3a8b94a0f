//! `related_*` counts: by which calls each is had.

pub mod choose;
