//! The one place where the rooms meet: pull machines are driven, batches are written, frames are shipped.
//!
//! The halves meet only in the store. A crash between any two steps repeats work; it never loses or skips a record.

pub mod batch;
pub mod clock;
pub mod drive;
pub mod retry;
pub mod run;
pub mod ship;
