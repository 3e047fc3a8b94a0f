//! Events of configurations that are read again.

use std::fmt::Display;
use tracing::{error, info, warn};

/// It holds what it held; those who were refused try again all the same.
pub fn unchanged() {
    info!("the configuration was read again: nothing has changed, and who was refused tries again");
}

/// It counts from now on.
pub fn begins() {
    info!("the configuration was read again and has changed: streams and outputs stop in order and start with it");
}

/// One thing that is wrong with it.
pub fn refused(problem: &dyn Display) {
    error!(%problem, "the configuration was read again and cannot be used: the one of before stays in use");
}

/// One thing that a person should know about it.
pub fn warned(problem: &dyn Display) {
    warn!(%problem, "the configuration was read again with a warning");
}

/// It wants state in another place.
pub fn another_place() {
    warn!("another `persistence` counts from the next start on: state stays where it is until then");
}

/// It was asked for where it means nothing.
pub fn not_now() {
    info!("with --once the configuration is read once: a reload is passed over");
}
