//! Events of the status page.

use std::fmt::Display;
use std::net::SocketAddr;
use tracing::{info, warn};

/// The page is there.
pub fn listening(address: SocketAddr, tls: bool) {
    let scheme = if tls { "https" } else { "http" };
    info!(url = format!("{scheme}://{address}/"), "status page");
}

/// It cannot be there; everything else goes on.
pub fn not_listening(address: SocketAddr, error: &dyn Display) {
    warn!(%address, %error, "the status page cannot be served there: free the address, or set `globals.status.listen`; everything else goes on");
}

/// What the page tells cannot be had; it is tried again.
pub fn blind(error: &dyn Display) {
    warn!(%error, "how things stand cannot be read for the status page; it is tried again");
}

/// The page's history cannot be kept.
pub fn forgetful(error: &dyn Display) {
    warn!(%error, "the history for the status page cannot be kept; everything else goes on");
}
