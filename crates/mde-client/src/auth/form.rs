//! The form of the client-credentials flow, whatever the proof in it.

use super::TokenEndpoint;
use crate::transport::HttpRequest;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::form_urlencoded;

/// What a signed statement about ourselves is called in a form.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What proves who asks.
pub(super) enum Proof<'a> {
    /// A secret that both sides know.
    Secret(&'a str),
    /// A statement that somebody has signed whom the other side trusts.
    Assertion(&'a str),
}

/// The request for a token.
pub(super) fn request(endpoint: &TokenEndpoint, client_id: &str, scope: &str, proof: &Proof<'_>) -> HttpRequest {
    let (audience, value) = endpoint.audience(scope);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials").append_pair("client_id", client_id);
    match proof {
        Proof::Secret(secret) => form.append_pair("client_secret", secret),
        Proof::Assertion(assertion) => {
            form.append_pair("client_assertion_type", ASSERTION_TYPE).append_pair("client_assertion", assertion)
        }
    };
    let form = form.append_pair(audience, value).finish();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    HttpRequest { method: Method::POST, url: endpoint.url().clone(), headers, body: Some(form.into()) }
}
