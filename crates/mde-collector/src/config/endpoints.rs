//! Where a tenant's APIs are: the cloud's own addresses, and what overrides them.

use super::key::{Form, Key, keys};
use super::problem::Fault;
use super::section::Section;
use super::{Backend, Endpoints, Secret};
use crate::service::{Api, Pull, ServiceDef};
use url::{Host, Url};

keys! {
    /// Keys of an input that say where its APIs are.
    pub(super) static KEYS;
    /// Microsoft's cloud: it sets the URLs and the scope.
    CLOUD: Key<Cloud> = Key::word("cloud", CLOUDS).default("commercial");
    /// Base of the Defender API.
    API: Key<Url> = Key::parsed("override_api_base_url", Form::Url, base_url).official().otherwise("the cloud's");
    /// Token authority, or the whole token endpoint (it ends in `/token` then).
    TOKEN: Key<Url> = Key::parsed("override_token_url", Form::Url, web_url).official().otherwise("the cloud's");
    /// Scope that a token is asked for.
    SCOPE: Key<String> = Key::parsed("override_token_scope", Form::Text, scope).otherwise("the cloud's");
    /// Base of Microsoft Graph.
    GRAPH: Key<Url> = Key::parsed("override_graph_base_url", Form::Url, web_url).otherwise("the cloud's");
}

keys! {
    /// Which API is read, for an input or a service.
    pub(super) static BACKEND_KEYS;
    /// Which of Microsoft's APIs is read: the classic one (`mde`), Graph, or the classic one while it answers and Graph after that.
    BACKEND: Key<Backend> = Key::word("backend", &[
        ("auto", Backend::Auto), ("mde", Backend::Mde), ("graph", Backend::Graph),
    ]).otherwise("auto");
}

keys! {
    /// The way to the APIs.
    pub(super) static PROXY_KEYS;
    /// Proxy for API and token calls, such as http://user:password@host:3128, the login percent-encoded; https, socks5, socks5h too.
    PROXY: Key<Secret> = Key::parsed("proxy", Form::Secret, |_, text| address_of_proxy(text))
        .otherwise("HTTPS_PROXY and NO_PROXY of the environment");
}

/// The addresses of one of Microsoft's clouds. Source: vendor pages on API hosts and on government clouds, read 2026-11.
#[derive(Debug, Clone, Copy)]
struct Cloud {
    /// Its name here.
    name: &'static str,
    /// Base of the Defender API.
    api: &'static str,
    /// Base of the token endpoint.
    authority: &'static str,
    /// The scope of a token for that API.
    scope: &'static str,
    /// Base of Microsoft Graph, and the resource of a token for it.
    graph: &'static str,
}

/// A cloud under its name.
const fn cloud(
    name: &'static str,
    api: &'static str,
    authority: &'static str,
    scope: &'static str,
    graph: &'static str,
) -> (&'static str, Cloud) {
    (name, Cloud { name, api, authority, scope, graph })
}

/// Microsoft's clouds.
static CLOUDS: &[(&str, Cloud)] = &[
    cloud(
        "commercial",
        "https://api.security.microsoft.com",
        "https://login.microsoftonline.com",
        "https://api.securitycenter.microsoft.com/.default",
        "https://graph.microsoft.com",
    ),
    cloud(
        "gcc",
        "https://api-gcc.securitycenter.microsoft.us",
        "https://login.microsoftonline.com",
        "https://api-gcc.securitycenter.microsoft.us/.default",
        "https://graph.microsoft.com",
    ),
    cloud(
        "gcc_high",
        "https://api-gov.securitycenter.microsoft.us",
        "https://login.microsoftonline.us",
        "https://api-gov.securitycenter.microsoft.us/.default",
        "https://graph.microsoft.us",
    ),
    cloud(
        "dod",
        "https://api-gov.securitycenter.microsoft.us",
        "https://login.microsoftonline.us",
        "https://api-gov.securitycenter.microsoft.us/.default",
        "https://dod-graph.microsoft.us",
    ),
];

/// The API's former hosts, still answering.
const FORMER_HOSTS: &[&str] = &["api.securitycenter.microsoft.com", "api.securitycenter.windows.com"];

/// Reads the keys of an input that say where its APIs are; none when an error has been reported.
pub(super) fn load(section: &Section<'_>, tenant_id: Option<&str>) -> Option<Endpoints> {
    let cloud = section.value(&CLOUD);
    let (api, token, scope) = (section.optional(&API), section.optional(&TOKEN), section.optional(&SCOPE));
    if let Some(api) = &api {
        judge_host(section, &cloud, api, scope.is_some());
    }
    let graph = section.optional(&GRAPH);
    let own = |text: &str| Url::parse(text).expect("the addresses of the clouds are URLs");
    Some(Endpoints {
        api: api.unwrap_or_else(|| own(cloud.api)),
        token: token_endpoint(token.unwrap_or_else(|| own(cloud.authority)), tenant_id?),
        scope: scope.unwrap_or_else(|| cloud.scope.to_owned()),
        graph: graph.unwrap_or_else(|| own(cloud.graph)),
        graph_scope: format!("{}/.default", cloud.graph),
    })
}

/// `backend` of an input; one of its services' own, where it has one, wins over it.
pub(super) fn backend(section: &Section<'_>) -> Option<Backend> {
    section.optional(&BACKEND)
}

/// `backend` of a service, and whether the service can be read so; `inherited`: the input's.
pub(super) fn service_backend(
    section: &Section<'_>,
    def: &ServiceDef,
    pull: &Pull,
    inherited: Option<Backend>,
) -> Backend {
    let own = section.optional(&BACKEND);
    let backend = own.or(inherited).unwrap_or_default();
    let classic_alone = def.endpoint.api == Api::Mde && !def.elsewhere.iter().any(|other| other.reads(pull));
    let (wrong, help) = match (backend, def.endpoint.api) {
        (Backend::Graph, Api::Mde) if classic_alone => (
            format!("Microsoft Graph has no {} that can be read so", def.name),
            "write `backend: mde` in the service's section, or leave the service out",
        ),
        (Backend::Mde, Api::Graph) => {
            (format!("only Microsoft Graph has {}", def.name), "write `backend: graph` in the service's section")
        }
        _ => return backend,
    };
    section.report.error(
        section.entry(&BACKEND).map_or_else(|| section.at(), |entry| entry.value.at()),
        Fault::new(wrong).help(help),
    );
    backend
}

/// The proxy's address, which may carry a login and is therefore kept as a secret.
pub(super) fn proxy(section: &Section<'_>) -> Option<Secret> {
    section.optional(&PROXY)
}

/// Says what an overriding host means: a former name, or another cloud than the one whose tokens it would get.
fn judge_host(section: &Section<'_>, cloud: &Cloud, api: &Url, own_scope: bool) {
    let (Some(entry), Some(host)) = (section.entry(&API), api.host_str()) else { return };
    if FORMER_HOSTS.contains(&host) {
        let help = format!("leave the key out, or write {}", CLOUDS[0].1.api);
        section.warn(&API, Fault::new("this host is being retired").help(help));
    }
    let theirs = match host {
        _ if host.ends_with(".microsoft.us") && host.starts_with("api-gcc.") => "gcc",
        _ if host.ends_with(".microsoft.us") => "gcc_high",
        _ if host.ends_with(".microsoft.com") || host.ends_with(".windows.com") => "commercial",
        _ => return,
    };
    let same = CLOUDS.iter().any(|(name, known)| *name == theirs && known.scope == cloud.scope);
    if !same && !own_scope {
        let fault =
            Fault::new(format!("this host belongs to the cloud {theirs}, the tokens would be those of {}", cloud.name));
        section.report.error(
            entry.value.at(),
            fault.help(format!("write `cloud: {theirs}`, or set override_token_scope as well")),
        );
    }
}

/// The whole address of the token endpoint; an address that ends in `/token` is whole already.
fn token_endpoint(mut url: Url, tenant_id: &str) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with("/token") {
        let with_tenant = path.rsplit('/').next() == Some(tenant_id);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend((!with_tenant).then_some(tenant_id)).extend(["oauth2", "v2.0", "token"]);
        }
    }
    url
}

/// An address of an API: as [`web_url`], and without the path that we add ourselves.
fn base_url(form: &Form, text: &str) -> Result<Url, Fault> {
    let url = web_url(form, text)?;
    match url.path().trim_end_matches('/').ends_with("/api") {
        true => Err(Fault::new("is not the base of the API").help("leave out `/api` at the end")),
        false => Ok(url),
    }
}

/// An address that credentials may be sent to: https, or http to this machine; no login, query or fragment.
fn web_url(_: &Form, text: &str) -> Result<Url, Fault> {
    let fault = || Fault::new("is no URL").help("write https:// and a host");
    let url = Url::parse(text).map_err(|_| fault())?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(Fault::new("is not encrypted").help("write https://; plain http:// goes to this machine only"));
        }
        _ => return Err(fault()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new("must not carry a login").help("credentials stand under `credentials`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::new("must have neither `?` nor `#`"));
    }
    Ok(url)
}

/// A proxy's address.
pub(super) fn address_of_proxy(text: &str) -> Result<Secret, Fault> {
    let usable = Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.host_str().is_some());
    match usable {
        true => Ok(Secret::new(text)),
        false => Err(Fault::new("is no proxy")
            .help("write http://host:port; https, socks5 and socks5h work too; a login is percent-encoded")),
    }
}

/// Whether an address stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A scope is one word: a blank would ask for two.
fn scope(_: &Form, text: &str) -> Result<String, Fault> {
    match text.contains(char::is_whitespace) {
        true => {
            Err(Fault::new("is no scope").help("one scope, such as https://api.securitycenter.microsoft.com/.default"))
        }
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_url_is_an_authority_or_the_whole_endpoint() {
        for (given, whole) in [
            ("https://login.microsoftonline.com", "https://login.microsoftonline.com/t/oauth2/v2.0/token"),
            ("https://login.microsoftonline.com/", "https://login.microsoftonline.com/t/oauth2/v2.0/token"),
            ("https://login.microsoftonline.com/t", "https://login.microsoftonline.com/t/oauth2/v2.0/token"),
            ("http://127.0.0.1:9/a/b/", "http://127.0.0.1:9/a/b/t/oauth2/v2.0/token"),
            ("https://sts.example/x/oauth2/token", "https://sts.example/x/oauth2/token"),
        ] {
            assert_eq!(token_endpoint(web_url(&Form::Url, given).unwrap(), "t").as_str(), whole, "{given}");
        }
    }

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for good in ["http://localhost:1", "http://127.0.0.2", "http://[::1]:8080", "https://x.example"] {
            assert!(web_url(&Form::Url, good).is_ok(), "{good}");
        }
        for bad in [
            "http://x.example",
            "http://10.0.0.1",
            "x.example",
            "ftp://localhost",
            "https://u@h",
            "https://h?x",
            "https://",
            "h:443/x",
        ] {
            assert!(web_url(&Form::Url, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_cloud_sets_api_authority_and_scope_together() {
        for (name, cloud) in CLOUDS {
            let government = cloud.api.ends_with(".us");
            assert_eq!(cloud.scope.contains(".us/"), government, "{name}");
            assert!(web_url(&Form::Url, cloud.api).is_ok() && web_url(&Form::Url, cloud.authority).is_ok());
        }
    }
}
