//! What the browser needs besides the page: served from the binary, so that nothing is asked for elsewhere.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use std::sync::LazyLock;

/// A file that is part of the binary.
struct Asset {
    /// Where it is served.
    path: &'static str,
    /// Its kind.
    kind: &'static str,
    /// Its content.
    text: &'static str,
}

/// All of them. uPlot is vendored as its authors publish it, with its licence beside it.
static ASSETS: [Asset; 5] = [
    Asset { path: "/icon.svg", kind: "image/svg+xml", text: include_str!("assets/icon.svg") },
    Asset { path: "/status.css", kind: "text/css; charset=utf-8", text: include_str!("assets/status.css") },
    Asset { path: "/status.js", kind: "text/javascript; charset=utf-8", text: include_str!("assets/status.js") },
    Asset {
        path: "/uplot.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/uplot/uPlot.iife.min.js"),
    },
    Asset { path: "/uplot.css", kind: "text/css; charset=utf-8", text: include_str!("assets/uplot/uPlot.min.css") },
];

/// Names what they are made of, so that a new version is asked for anew.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut sum = crc32fast::Hasher::new();
    ASSETS.iter().for_each(|asset| sum.update(asset.text.as_bytes()));
    format!("{:08x}", sum.finalize())
});

/// The address of an asset, as the page names it.
pub fn address(path: &str) -> String {
    format!("{path}?{}", *VERSION)
}

/// Serves them.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let head = [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "private, max-age=86400")];
        router.route(asset.path, get(move || async move { (head, asset.text) }))
    })
}
