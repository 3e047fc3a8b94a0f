//! The token endpoint: client credentials in, tokens out, v1 and v2. Secrets and tokens are tell-tale strings, so that leaks can be searched for.

mod proof;

use crate::clock::SimClock;
use crate::delivery::Answer;
use crate::receiver::Identity;
use crate::world::dice::Dice;
use crate::world::names;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use proof::Trusted;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use url::form_urlencoded;

/// Resources a token can be for. Source: the vendor's lists of API addresses, current and older, of all clouds.
const RESOURCES: [&str; 9] = [
    "https://api.securitycenter.microsoft.com",
    "https://api.security.microsoft.com",
    "https://api.securitycenter.windows.com",
    "https://api-gcc.securitycenter.microsoft.us",
    "https://api-gov.securitycenter.microsoft.us",
    "https://securitycenter.onmicrosoft.com/windowsatpservice",
    GRAPH[0],
    GRAPH[1],
    GRAPH[2],
];

/// Microsoft Graph as a resource, in every cloud that has its security part. This one simulator stands for all of them.
const GRAPH: [&str; 3] =
    ["https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us"];

/// Application roles that Microsoft Graph knows. All others are the Defender API's.
const GRAPH_ROLES: [&str; 5] = [
    "ThreatHunting.Read.All",
    "SecurityAlert.Read.All",
    "SecurityAlert.ReadWrite.All",
    "SecurityIncident.Read.All",
    "SecurityIncident.ReadWrite.All",
];

/// What an application proves itself with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Entra tenant, a GUID.
    pub tenant_id: String,
    /// Application (client) id, a GUID.
    pub client_id: String,
    /// Begins with `telltale-secret-`.
    pub client_secret: String,
}

/// The token endpoint; clones are the same endpoint.
#[derive(Clone)]
pub struct Entra(Arc<Shared>);

/// What clones share.
struct Shared {
    /// Makes ids and secrets.
    seed: u64,
    /// Dates tokens.
    clock: SimClock,
    /// Applications and tokens.
    state: Mutex<State>,
}

/// Applications and tokens.
struct State {
    /// The tenant.
    tenant_id: String,
    /// The first is the simulator's own.
    applications: Vec<Application>,
    /// Tokens that may still be valid.
    tokens: BTreeMap<String, Token>,
    /// Tokens issued so far.
    issued: u64,
    /// Secrets made so far.
    secrets: u64,
    /// Lifetime of new tokens.
    lifetime: Duration,
    /// What whoever asks for the machine's own identity must show.
    managed: Option<String>,
}

/// A registered application.
struct Application {
    /// Its id.
    client_id: String,
    /// Its only valid secret.
    secret: String,
    /// What else it may prove itself with.
    trusted: Trusted,
    /// Roles granted.
    roles: Vec<String>,
}

/// An issued token.
#[derive(Clone)]
struct Token {
    /// Who it was issued to.
    caller: Caller,
    /// When it ends.
    expires: Timestamp,
}

/// Who calls the API, as a token says.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Tenant.
    pub(crate) tenant_id: String,
    /// Application.
    pub(crate) client_id: String,
    /// Roles of the token's resource, granted when the token was issued.
    pub(crate) roles: Vec<String>,
    /// Whether the token is for Microsoft Graph and not for the Defender API.
    pub(crate) on_graph: bool,
}

/// The two forms of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `/oauth2/token`, asks for a resource.
    V1,
    /// `/oauth2/v2.0/token`, asks for a scope.
    V2,
}

/// Why no token is given.
struct Refusal {
    /// HTTP status.
    status: u16,
    /// Value of `error`.
    error: &'static str,
    /// AADSTS number.
    code: u32,
    /// The text behind the number.
    text: String,
}

impl Entra {
    /// An endpoint with one application that has these roles.
    pub(crate) fn new(seed: u64, clock: SimClock, roles: Vec<String>, lifetime: Duration) -> Self {
        let tenant_id = Dice::new(seed, names::TENANT_STREAM).guid();
        let state = State {
            tenant_id,
            applications: Vec::new(),
            tokens: BTreeMap::new(),
            issued: 0,
            secrets: 0,
            lifetime,
            managed: None,
        };
        let entra = Self(Arc::new(Shared { seed, clock, state: Mutex::new(state) }));
        entra.add_application(roles);
        entra
    }

    /// What the first application proves itself with now.
    pub fn credentials(&self) -> Credentials {
        let state = self.state();
        let application = &state.applications[0];
        Credentials {
            tenant_id: state.tenant_id.clone(),
            client_id: application.client_id.clone(),
            client_secret: application.secret.clone(),
        }
    }

    /// Registers a further application, which has quotas of its own.
    pub fn add_application(&self, roles: Vec<String>) -> Credentials {
        let mut state = self.state();
        let stream = names::TENANT_STREAM + 1 + state.applications.len() as u64;
        let client_id = Dice::new(self.0.seed, stream).guid();
        let secret = self.new_secret(&mut state);
        let (id, trusted) = (client_id.clone(), Trusted::default());
        state.applications.push(Application { client_id: id, secret: secret.clone(), trusted, roles });
        Credentials { tenant_id: state.tenant_id.clone(), client_id, client_secret: secret }
    }

    /// Gives the first application a new secret and returns it; the old one is refused from now on. Tokens stay valid.
    pub fn rotate_secret(&self) -> String {
        let mut state = self.state();
        let secret = self.new_secret(&mut state);
        state.applications[0].secret.clone_from(&secret);
        secret
    }

    /// Makes a certificate with an RSA key, registers it with the first application and returns both.
    pub fn issue_certificate(&self) -> Identity {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("the library makes keys");
        let certificate = CertificateParams::new(Vec::new()).and_then(|params| params.self_signed(&key));
        let certificate = certificate.expect("the parameters are sound");
        self.state().applications[0].trusted.keys.push(key.der_bytes().to_vec());
        Identity { cert_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// A token of another issuer that the first application may prove itself with from now on.
    pub fn trust_other_issuer(&self) -> String {
        let mut state = self.state();
        let token = self.new_secret(&mut state);
        state.applications[0].trusted.tokens.push(token.clone());
        token
    }

    /// Gives the machine an identity, the first application's: what a caller must show beside its address,
    /// `/msi/token`, in the way of an App Service.
    pub fn manage(&self) -> String {
        let mut state = self.state();
        let header = self.new_secret(&mut state);
        state.managed = Some(header.clone());
        header
    }

    /// Answers whoever asks for the machine's own identity.
    pub(crate) fn answer_managed(&self, headers: &HeaderMap, query: &str) -> Answer {
        let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let shown = headers.get("x-identity-header").and_then(|value| value.to_str().ok());
        let mut state = self.state();
        if state.managed.is_none() || shown != state.managed.as_deref() {
            return Answer::json(StatusCode::UNAUTHORIZED, &json!({"statusCode": 401, "message": "Unauthorized."}));
        }
        let known = |id: &String| id.eq_ignore_ascii_case(&state.applications[0].client_id);
        if query.get("api-version").map(String::as_str) != Some("2019-08-01")
            || !query.get("client_id").is_none_or(known)
        {
            return Answer::json(StatusCode::BAD_REQUEST, &json!({"statusCode": 400, "message": "No such identity."}));
        }
        match resource(&query, Protocol::V1) {
            Ok(resource) => self.grant(&mut state, 0, &resource, Protocol::V1),
            Err(refusal) => Answer::json(StatusCode::BAD_REQUEST, &json!({"statusCode": 400, "message": refusal.text})),
        }
    }

    /// Makes every token issued so far invalid.
    pub fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Changes the roles that new tokens of the first application carry.
    pub fn set_roles(&self, roles: Vec<String>) {
        self.state().applications[0].roles = roles;
    }

    /// Changes the roles that new tokens of this application carry; nothing happens when there is no such application.
    pub fn set_roles_of(&self, client_id: &str, roles: Vec<String>) {
        let mut state = self.state();
        if let Some(application) = state.applications.iter_mut().find(|known| known.client_id == client_id) {
            application.roles = roles;
        }
    }

    /// Changes the lifetime of new tokens.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.state().lifetime = lifetime;
    }

    /// Who the bearer of this token is, when it is one of ours and still valid.
    pub(crate) fn caller(&self, token: &str) -> Option<Caller> {
        let now = self.0.clock.now();
        self.state().tokens.get(token).filter(|token| now < token.expires).map(|token| token.caller.clone())
    }

    /// Answers a token request. `tenant` is the path's first segment.
    pub(crate) fn answer(&self, tenant: &str, protocol: Protocol, headers: &HeaderMap, body: &[u8]) -> Answer {
        match self.issue(tenant, protocol, headers, body) {
            Ok(answer) => answer.with(header::CACHE_CONTROL, "no-store, no-cache"),
            Err(refusal) => self.refuse(refusal.status, refusal.error, refusal.code, &refusal.text),
        }
    }

    /// The documented error document.
    pub(crate) fn refuse(&self, status: u16, error: &str, code: u32, text: &str) -> Answer {
        let timestamp = format!("{:.0}", self.0.clock.now()).replace('T', " ");
        let mut dice = Dice::new(self.0.seed, names::TENANT_STREAM + (1 << 20) + u64::from(code));
        let (trace, correlation) = (dice.guid(), dice.guid());
        let description = format!(
            "AADSTS{code}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}"
        );
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        Answer::json(
            status,
            &json!({"error": error, "error_description": description, "error_codes": [code], "timestamp": timestamp,
                "trace_id": trace, "correlation_id": correlation,
                "error_uri": format!("https://login.microsoftonline.com/error?code={code}")}),
        )
    }

    /// Checks a request in the order in which the service names faults, and issues a token.
    fn issue(&self, tenant: &str, protocol: Protocol, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Refusal> {
        let now = self.0.clock.now();
        let mut state = self.state();
        if !tenant.eq_ignore_ascii_case(&state.tenant_id) {
            return Err(Refusal {
                status: 400,
                error: "invalid_request",
                code: 90002,
                text: format!(
                    "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
                ),
            });
        }
        let form: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
        let grant = required(&form, "grant_type")?;
        if grant != "client_credentials" {
            let text = format!("The app requested an unsupported grant type '{grant}'.");
            return Err(Refusal { status: 400, error: "unsupported_grant_type", code: 70003, text });
        }
        let (client_id, secret) = match basic(headers) {
            Some((client_id, secret)) => (client_id, Some(secret)),
            None => (required(&form, "client_id")?.to_owned(), form.get("client_secret").cloned()),
        };
        let known = |application: &Application| application.client_id.eq_ignore_ascii_case(&client_id);
        let Some(index) = state.applications.iter().position(known) else {
            let text = format!("Application with identifier '{client_id}' was not found in the directory '{tenant}'.");
            return Err(Refusal { status: 400, error: "unauthorized_client", code: 700016, text });
        };
        let application = &state.applications[index];
        match secret {
            Some(secret) if secret == application.secret => {}
            Some(_) => {
                let text = format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client_id}'."
                );
                return Err(Refusal { status: 401, error: "invalid_client", code: 7000215, text });
            }
            None if form.contains_key("client_assertion") => {
                let audience = format!("/{tenant}/oauth2{}/token", if protocol == Protocol::V2 { "/v2.0" } else { "" });
                application.trusted.check(&form, &application.client_id, &audience, now)?;
            }
            None => {
                let text =
                    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
                        .to_owned();
                return Err(Refusal { status: 401, error: "invalid_client", code: 7000218, text });
            }
        }
        let resource = resource(&form, protocol)?;
        Ok(self.grant(&mut state, index, &resource, protocol))
    }

    /// Issues a token for an application.
    fn grant(&self, state: &mut State, index: usize, resource: &str, protocol: Protocol) -> Answer {
        let now = self.0.clock.now();
        let application = &state.applications[index];
        let on_graph = GRAPH.contains(&resource);
        let caller = Caller {
            tenant_id: state.tenant_id.clone(),
            client_id: application.client_id.clone(),
            roles: application
                .roles
                .iter()
                .filter(|role| GRAPH_ROLES.contains(&role.as_str()) == on_graph)
                .cloned()
                .collect(),
            on_graph,
        };
        let expires = now
            .saturating_add(jiff::SignedDuration::try_from(state.lifetime).unwrap_or(jiff::SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX);
        let token = self.token(state, &caller, resource, now, expires);
        state.tokens.retain(|_, token| now < token.expires);
        state.tokens.insert(token.clone(), Token { caller, expires });
        let seconds = state.lifetime.as_secs();
        Answer::json(
            StatusCode::OK,
            &match protocol {
                Protocol::V2 => {
                    json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token})
                }
                // Numbers of the older endpoint are texts.
                Protocol::V1 => {
                    json!({"token_type": "Bearer", "expires_in": seconds.to_string(), "ext_expires_in": seconds.to_string(),
                    "expires_on": expires.as_second().to_string(), "not_before": now.as_second().to_string(),
                    "resource": resource, "access_token": token})
                }
            },
        )
    }

    /// A new token: readable claims, and a tell-tale in place of the signature.
    fn token(&self, state: &mut State, caller: &Caller, resource: &str, now: Timestamp, expires: Timestamp) -> String {
        state.issued += 1;
        let mut claims = json!({"aud": resource, "iss": format!("https://sts.windows.net/{}/", caller.tenant_id),
            "iat": now.as_second(), "nbf": now.as_second(), "exp": expires.as_second(),
            "appid": caller.client_id, "tid": caller.tenant_id, "ver": "1.0"});
        // Without consent to any role the claim is missing altogether.
        if !caller.roles.is_empty() {
            claims["roles"] = json!(caller.roles);
        }
        let part = |document: &serde_json::Value| URL_SAFE_NO_PAD.encode(document.to_string());
        format!(
            "{}.{}.telltale-token-{:x}-{}",
            part(&json!({"typ": "JWT", "alg": "RS256"})),
            part(&claims),
            self.0.seed,
            state.issued
        )
    }

    /// The next secret.
    fn new_secret(&self, state: &mut State) -> String {
        state.secrets += 1;
        let mut dice = Dice::new(self.0.seed, names::TENANT_STREAM + (1 << 30) + state.secrets);
        format!("telltale-secret-{:x}-{}~{}", self.0.seed, state.secrets, dice.hex(16))
    }

    /// The state, also after a panic elsewhere: it is plain data.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A parameter that must be there.
fn required<'a>(form: &'a BTreeMap<String, String>, name: &str) -> Result<&'a str, Refusal> {
    form.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or_else(|| Refusal {
        status: 400,
        error: "invalid_request",
        code: 900144,
        text: format!("The request body must contain the following parameter: '{name}'."),
    })
}

/// The resource a token is asked for.
fn resource(form: &BTreeMap<String, String>, protocol: Protocol) -> Result<String, Refusal> {
    let resource = match protocol {
        Protocol::V1 => required(form, "resource")?.trim_end_matches('/'),
        Protocol::V2 if form.contains_key("resource") => {
            let text = "The 'resource' request parameter is not supported.".to_owned();
            return Err(Refusal { status: 400, error: "invalid_request", code: 901002, text });
        }
        Protocol::V2 => {
            let scope = required(form, "scope")?;
            if scope.contains(char::is_whitespace) || !scope.contains("://") {
                let text = format!(
                    "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
                );
                return Err(Refusal { status: 400, error: "invalid_scope", code: 70011, text });
            }
            scope.strip_suffix("/.default").ok_or_else(|| Refusal {
                status: 400,
                error: "invalid_scope",
                code: 1002012,
                text: format!("The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."),
            })?
        }
    };
    // Two slashes before `.default` are a known spelling.
    let resource = resource.trim_end_matches('/');
    if RESOURCES.contains(&resource) {
        return Ok(resource.to_owned());
    }
    let text = format!(
        "The resource principal named {resource} was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant."
    );
    Err(Refusal { status: 400, error: "invalid_resource", code: 500011, text })
}

/// Client id and secret from HTTP Basic, each form-encoded before (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
    let (client_id, secret) = text.split_once(':')?;
    // Decoded as the name of a pair without value, which undoes exactly the form encoding.
    let decode = |part: &str| {
        form_urlencoded::parse(part.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    Some((decode(client_id), decode(secret)))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Entra {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Entra({} issued)", self.state().issued)
    }
}
