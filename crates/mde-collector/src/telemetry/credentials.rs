//! Events of credentials that change while we run.

use super::cause;
use std::error::Error;
use tracing::{info, warn};

/// A credential's file held something new, and a token was got with it.
pub fn read_again(tenant: &str) {
    info!(tenant, "a changed credential was read again and works");
}

/// A credential's file cannot be used any more; what it held before can.
pub fn kept(tenant: &str, error: &dyn Error) {
    warn!(tenant, %error, cause = cause(error), "a changed credential cannot be used: the one of before stays in use");
}

/// A credential's file held something new, and no token was got with it.
pub fn refused(tenant: &str, error: &dyn Error, advice: Option<&str>) {
    warn!(tenant, %error, cause = cause(error), advice, "a changed credential was read again and gave no token");
}
