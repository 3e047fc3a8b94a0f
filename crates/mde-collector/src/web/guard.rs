//! Who may look, and what every answer says to the browser.

use crate::config;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Nothing from elsewhere, nothing inline, nobody's frame, no address told to others.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("x-frame-options"), "DENY"),
    (HeaderName::from_static("referrer-policy"), "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Probes need no token: they tell one word.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Lets in whoever shows the token; without one whoever speaks to this machine by its own name.
pub struct Guard {
    /// SHA-256 of the token, so that its length takes no time either.
    token: Option<[u8; 32]>,
    /// Whether only this machine is served: a page elsewhere must not reach us under a name of its own.
    local: bool,
}

impl Guard {
    /// As the settings say, for that address.
    pub fn new(settings: &config::Status, address: SocketAddr) -> Self {
        let token = settings.token.as_ref().map(|token| Sha256::digest(token.expose()).into());
        Self { token, local: address.ip().is_loopback() }
    }

    /// Why a request is turned away.
    fn refusal(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        if OPEN.contains(&path) {
            return None;
        }
        let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match &self.token {
            Some(token) => {
                let shown: [u8; 32] = Sha256::digest(shown(header(AUTHORIZATION).unwrap_or_default())).into();
                let ask = [(WWW_AUTHENTICATE, r#"Basic realm="mde-collector", charset="UTF-8", Bearer"#)];
                let refused =
                    || (StatusCode::UNAUTHORIZED, ask, "show the token of `globals.status`\n").into_response();
                (!bool::from(token.ct_eq(&shown))).then(refused)
            }
            None if self.local && !header(HOST).is_some_and(is_local) => {
                let text = "this name is not this machine's own: set `globals.status.token` to be reached under it\n";
                Some((StatusCode::FORBIDDEN, text).into_response())
            }
            None => None,
        }
    }
}

/// The token that a request shows: as bearer, or as password under any name.
fn shown(authorization: &str) -> Vec<u8> {
    let (scheme, value) = authorization.split_once(' ').unwrap_or_default();
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return value.as_bytes().to_vec();
    }
    let pair = if scheme.eq_ignore_ascii_case("basic") { BASE64_STANDARD.decode(value).ok() } else { None };
    let mut pair = pair.unwrap_or_default();
    match pair.iter().position(|octet| *octet == b':') {
        Some(colon) => pair.split_off(colon + 1),
        None => Vec::new(),
    }
}

/// Whether a `Host` is an address, or the name that every machine has for itself.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Stands before every route.
pub async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let refusal = guard.refusal(request.uri().path(), request.headers());
    let mut answer = match refusal {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    /// The status of the answer to a request with these headers; 200 where it is let in.
    fn answered(token: Option<&str>, path: &str, headers: &[(HeaderName, &str)]) -> u16 {
        let listen: SocketAddr = "127.0.0.1:9600".parse().expect("an address");
        let token = token.map(|token| Secret::new(token.to_owned()));
        let settings = config::Status { listen, token, tls: None, insecure: false };
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        Guard::new(&settings, listen).refusal(path, &headers).map_or(200, |refusal| refusal.status().as_u16())
    }

    #[test]
    fn only_the_token_opens_as_bearer_or_as_password() {
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        let with = |value: &str| answered(Some("open:me"), "/", &[(AUTHORIZATION, value)]);
        assert_eq!(answered(Some("open:me"), "/", &[]), 401);
        for value in ["Bearer open:me", "bearer  open:me", &basic("anybody:open:me"), &basic(":open:me")] {
            assert_eq!(with(value), 200, "{value}");
        }
        let wrong = ["Bearer open:m", "Bearer open:me2", "Bearer", "open:me", "Basic open:me"];
        for value in wrong.map(str::to_owned).into_iter().chain([basic("open:me"), basic("open"), basic("")]) {
            assert_eq!(with(&value), 401, "{value}");
        }
    }

    #[test]
    fn an_empty_token_is_not_shown_by_showing_nothing() {
        assert_eq!(answered(Some("x"), "/", &[(AUTHORIZATION, "")]), 401);
        assert_eq!(answered(Some("x"), "/metrics", &[]), 401);
    }

    #[test]
    fn probes_need_nothing() {
        for path in OPEN {
            assert_eq!(answered(Some("x"), path, &[]), 200);
            assert_eq!(answered(None, path, &[(HOST, "evil.example")]), 200);
        }
    }

    #[test]
    fn without_a_token_this_machine_answers_to_its_own_names_only() {
        let host = |value: &str| answered(None, "/", &[(HOST, value)]);
        for value in ["127.0.0.1:9600", "localhost:9600", "LocalHost", "[::1]:9600"] {
            assert_eq!(host(value), 200, "{value}");
        }
        for value in ["evil.example:9600", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
            assert_eq!(host(value), 403, "{value}");
        }
        assert_eq!(answered(None, "/", &[]), 403);
    }
}
