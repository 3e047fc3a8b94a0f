//! The one place where the rooms meet: pull machines are driven, batches are written, frames are shipped.
//!
//! The halves meet only in the store. A crash between any two steps repeats work; it never loses or skips a record.

mod ask;
pub mod batch;
mod bridge;
pub mod check;
mod choice;
pub mod clock;
mod counts;
pub mod drive;
pub mod explain;
pub mod gate;
mod lease;
pub mod plan;
pub mod retry;
mod rows;
pub mod run;
mod schedule;
mod setup;
mod shape;
pub mod ship;
mod source;
mod standing;
pub mod survey;
