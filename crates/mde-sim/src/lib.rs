//! mde-sim
