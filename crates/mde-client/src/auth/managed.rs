//! An identity that the machine has from its cloud: there is no secret to keep.

use super::{Identity, Secret};
use crate::base::{is_local, is_loopback};
use crate::error::Error;
use crate::transport::HttpRequest;
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// Where every virtual machine of the cloud finds its metadata. Source: "How to use managed identities for Azure
/// resources on an Azure VM to acquire an access token", read 2026-11.
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// The form of the question to the metadata. Source: as above.
const METADATA_VERSION: &str = "2018-02-01";

/// The form of the question to an App Service. Source: "How to use managed identities for App Service", read 2026-11.
const SERVICE_VERSION: &str = "2019-08-01";

/// What answers for the cloud.
#[derive(Debug, Clone)]
pub enum ManagedHost {
    /// The metadata of a virtual machine, at that address.
    Metadata(Url),
    /// An App Service, a function or a container app.
    Service {
        /// `IDENTITY_ENDPOINT`.
        endpoint: Url,
        /// `IDENTITY_HEADER`.
        header: Secret,
    },
}

impl ManagedHost {
    /// The host that the environment names, else the metadata of a virtual machine. `variable` reads a variable.
    ///
    /// Fails on an address that is not of this machine or its own link: the header would be shown to others.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        match (set("IDENTITY_ENDPOINT"), set("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => {
                let endpoint = Url::parse(&endpoint).map_err(|_| problem("IDENTITY_ENDPOINT is no address"))?;
                Self::service(endpoint, Secret::new(header))
            }
            _ => Ok(Self::metadata()),
        }
    }

    /// The metadata of a virtual machine.
    #[must_use]
    pub fn metadata() -> Self {
        Self::Metadata(Url::parse(METADATA).expect("a constant address"))
    }

    /// The metadata at another address, for a simulator. Fails as [`ManagedHost::from_environment`].
    pub fn metadata_at(url: Url) -> Result<Self, Error> {
        checked(&url)?;
        Ok(Self::Metadata(url))
    }

    /// An App Service. Fails as [`ManagedHost::from_environment`].
    pub fn service(endpoint: Url, header: Secret) -> Result<Self, Error> {
        checked(&endpoint)?;
        Ok(Self::Service { endpoint, header })
    }
}

/// Refuses an address that leaves this machine and its link. Those that stay are never reached by a proxy.
fn checked(url: &Url) -> Result<(), Error> {
    let local = is_loopback(url) || is_local(url);
    let plain = url.username().is_empty() && url.password().is_none();
    match (url.scheme(), local && plain) {
        ("http" | "https", true) => Ok(()),
        _ => Err(problem("a managed identity's address is one of this machine or its link")),
    }
}

/// Something to correct in what was passed in.
fn problem(text: &str) -> Error {
    Error::config("use the managed identity", text)
}

/// A managed identity.
#[derive(Debug, Clone)]
pub struct ManagedIdentity {
    /// Whom to ask.
    pub host: ManagedHost,
    /// Which of the machine's identities, by its application's id; `None`: the one that the system has given it.
    pub client_id: Option<String>,
    /// What the token is for (`https://api.securitycenter.microsoft.com/.default`).
    pub scope: String,
}

impl Identity for ManagedIdentity {
    fn request(&self) -> Result<HttpRequest, Error> {
        let (url, version, name, value) = match &self.host {
            ManagedHost::Metadata(url) => (url, METADATA_VERSION, "metadata", "true"),
            ManagedHost::Service { endpoint, header } => {
                (endpoint, SERVICE_VERSION, "x-identity-header", header.expose())
            }
        };
        let mut value =
            HeaderValue::try_from(value).map_err(|_| problem("IDENTITY_HEADER cannot stand in a header"))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static(name), value);
        let mut url = url.clone();
        let resource = self.scope.trim_end_matches("/.default");
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(client_id) = &self.client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        Ok(HttpRequest { method: Method::GET, url, headers, body: None })
    }

    /// The metadata answers so while it is being renewed, for a minute or two.
    fn passing(&self) -> &'static [u16] {
        &[404, 410]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn host(variables: &[(&str, &str)]) -> Result<ManagedHost, Error> {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        ManagedHost::from_environment(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    fn asked(host: ManagedHost, client_id: Option<&str>) -> HttpRequest {
        let scope = "https://api.example/.default".to_owned();
        let identity = ManagedIdentity { host, client_id: client_id.map(str::to_owned), scope };
        identity.request().expect("a request")
    }

    #[test]
    fn the_metadata_is_asked_where_the_environment_names_nobody() {
        for variables in [
            &[][..],
            &[("IDENTITY_ENDPOINT", "http://127.0.0.1/")],
            &[("IDENTITY_ENDPOINT", ""), ("IDENTITY_HEADER", "x")],
        ] {
            let request = asked(host(variables).expect("the metadata"), None);
            assert_eq!(
                request.url.as_str(),
                "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
                 &resource=https%3A%2F%2Fapi.example"
            );
            assert_eq!(
                (request.method, &request.headers["metadata"]),
                (Method::GET, &HeaderValue::from_static("true"))
            );
        }
    }

    #[test]
    fn a_service_is_asked_with_its_header_for_the_chosen_identity() {
        let variables =
            [("IDENTITY_ENDPOINT", "http://169.254.129.2:8081/msi/token"), ("IDENTITY_HEADER", "tell-tale")];
        let host = host(&variables).expect("a service");
        let request = asked(host.clone(), Some("app 1"));
        assert_eq!(
            request.url.as_str(),
            "http://169.254.129.2:8081/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fapi.example&client_id=app+1"
        );
        assert_eq!(request.headers["x-identity-header"], "tell-tale");
        assert!(!format!("{host:?} {request:?} {:?}", request.headers).contains("tell"));
    }

    #[test]
    fn an_address_that_leaves_the_machine_is_refused_and_the_own_ones_need_no_proxy() {
        for bad in
            ["http://identity.example/", "https://identity.example/", "http://10.0.0.4/", "http://u:p@127.0.0.1/"]
        {
            assert!(host(&[("IDENTITY_ENDPOINT", bad), ("IDENTITY_HEADER", "x")]).is_err(), "{bad}");
            assert!(ManagedHost::metadata_at(Url::parse(bad).expect("an address")).is_err(), "{bad}");
        }
        for good in [METADATA, "http://localhost:42356/msi/token", "http://127.0.0.1:41741/MSI/token/"] {
            let url = Url::parse(good).expect("an address");
            assert!(is_local(&url), "{good}");
            assert!(ManagedHost::metadata_at(url).is_ok(), "{good}");
        }
    }
}
