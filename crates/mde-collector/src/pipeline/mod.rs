//! The one place where the rooms meet: pull machines are driven, batches are written, frames are shipped.
//!
//! The halves meet only in the store. A crash between any two steps repeats work; it never loses or skips a record.

mod ask;
pub mod batch;
mod bridge;
pub mod certificates;
pub mod check;
mod choice;
pub mod clock;
mod counts;
pub mod drive;
pub mod explain;
pub mod export;
pub mod gate;
pub mod hunt;
mod lease;
pub mod plan;
pub mod reload;
pub mod retry;
mod rotate;
pub mod rows;
pub mod run;
mod schedule;
pub mod setup;
mod shape;
pub mod ship;
pub mod source;
mod standing;
mod subscription;
pub mod survey;
