//! Addresses: which may be called, and how a path and a link come to stand on one.

use crate::error::Error;
use crate::link::{Link, NextLink};
use crate::query::Query;
use url::{Host, Url};

/// Hosts of the Defender and Graph families; a subdomain belongs to its domain. Links to them are followed on the
/// configured base. Source: "Supported Microsoft Defender for Endpoint APIs", "Microsoft Defender for Endpoint for
/// US Government customers", "Microsoft Graph: national cloud deployments", read 2026-11.
const FAMILY_HOSTS: [&str; 8] = [
    "security.microsoft.com",
    "securitycenter.microsoft.com",
    "securitycenter.windows.com",
    "securitycenter.microsoft.us",
    "security.microsoft.us",
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
];

/// The address below which an API lies. The token goes there and nowhere else.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// Without query and fragment.
    url: Url,
    /// The path, without a slash at its end; empty for a bare host.
    prefix: String,
}

impl Base {
    /// Checks an address: HTTPS, or plain HTTP to loopback; no user, no query.
    pub fn new(url: Url) -> Result<Self, Error> {
        check_address(&url, "use the API's base URL")?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::config("use the API's base URL", "a base URL has no query and no fragment"));
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self { url, prefix })
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The address of a path, encoded as it is to be sent, below the base.
    ///
    /// Fails where the path would not arrive as written: `..` climbs out of its place, a blank is not encoded.
    pub fn join(&self, path: &str, query: &Query) -> Result<Url, Error> {
        let mut url = self.url.clone();
        let wanted = format!("{}{path}", self.prefix);
        url.set_path(&wanted);
        if !path.starts_with('/') || url.path() != wanted {
            return Err(Error::config("call a path of the API", "the path is not encoded, or leads elsewhere"));
        }
        let query = query.as_str();
        url.set_query((!query.is_empty()).then_some(query));
        Ok(url)
    }

    /// Where a next link leads: onto this base, if it names one of the vendor's hosts or this one.
    pub fn place(&self, link: &str, asked: &Url) -> Link {
        let Ok(url) = asked.join(link) else { return Link::Foreign { host: None } };
        let foreign = || Link::Foreign { host: url.host_str().map(str::to_owned) };
        let Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) = url.host() else { return foreign() };
        let own = url.host() == self.url.host();
        if !matches!(url.scheme(), "https" | "http") || !(own || is_family(&url)) {
            return foreign();
        }
        // The base's own links carry its prefix, those of the vendor's hosts behind it do not.
        let path = match url.path().strip_prefix(&self.prefix) {
            Some(rest) if own && rest.starts_with('/') => rest,
            _ => url.path(),
        };
        Link::Follow(NextLink { path: path.to_owned(), query: Query::verbatim(url.query().unwrap_or_default()) })
    }
}

/// Refuses an address that would show secrets to the network: plain HTTP elsewhere than to loopback, a user in it.
pub(crate) fn check_address(url: &Url, action: &str) -> Result<(), Error> {
    let problem = match (url.scheme(), is_loopback(url)) {
        ("https", _) | ("http", true) if !url.has_host() => "it names no host",
        ("https", _) | ("http", true) if !url.username().is_empty() || url.password().is_some() => {
            "it must not hold a user or a password"
        }
        ("https", _) | ("http", true) => return Ok(()),
        ("http", false) => "plain http:// is for loopback only; write https://",
        _ => "it must begin with https://",
    };
    Err(Error::config(action, problem))
}

/// Whether the address is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// Whether the address is this machine or its own link, where no proxy can help.
pub(crate) fn is_local(url: &Url) -> bool {
    is_loopback(url) || matches!(url.host(), Some(Host::Ipv4(address)) if address.is_link_local())
}

/// Whether the host belongs to the vendor's families.
fn is_family(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    FAMILY_HOSTS
        .iter()
        .any(|family| host.strip_suffix(family).is_some_and(|front| front.is_empty() || front.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<Base, Error> {
        Base::new(Url::parse(text).expect("test address"))
    }

    fn placed(base: &Base, link: &str) -> String {
        let asked = base.join("/api/alerts", &Query::new()).expect("a plain path");
        match base.place(link, &asked) {
            Link::Follow(link) => base.join(&link.path, &link.query).expect("a link's path is encoded").to_string(),
            Link::Foreign { host } => format!("foreign {}", host.unwrap_or_default()),
        }
    }

    #[test]
    fn plain_http_is_refused_except_to_loopback() {
        for good in ["https://a.example", "http://127.0.0.1:80", "http://[::1]:80", "http://localhost/x"] {
            assert!(base(good).is_ok(), "{good}");
        }
        for bad in ["http://a.example", "http://10.0.0.1", "http://localhost.example", "ftp://127.0.0.1", "data:x"] {
            assert!(base(bad).is_err(), "{bad}");
        }
        for bad in ["https://user:hidden@a.example", "https://a.example/?x=1", "https://a.example/#x"] {
            let error = base(bad).expect_err("must be refused").to_string();
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn a_prefix_of_the_base_is_kept() {
        for (address, url) in [
            ("https://gw.example", "https://gw.example/api/alerts?a=1"),
            ("https://gw.example/", "https://gw.example/api/alerts?a=1"),
            ("https://gw.example/mde", "https://gw.example/mde/api/alerts?a=1"),
            ("https://gw.example/mde/", "https://gw.example/mde/api/alerts?a=1"),
        ] {
            let joined = base(address).and_then(|base| base.join("/api/alerts", &Query::verbatim("a=1")));
            assert_eq!(joined.expect("a plain path").as_str(), url);
        }
    }

    #[test]
    fn a_path_that_climbs_or_is_not_encoded_is_refused() {
        let base = base("https://gw.example/mde").expect("a base");
        for bad in ["/api/machines/../alerts", "/api/%2e%2e/x", "/api/a b", "api/alerts", "/api/a?b", "/api/a#b"] {
            assert!(base.join(bad, &Query::new()).is_err(), "{bad}");
        }
        assert!(base.join("/api/software/intel%C2%AE_tool%2Fx", &Query::new()).is_ok());
    }

    #[test]
    fn links_of_the_vendor_are_transplanted_and_others_are_foreign() {
        let base = base("https://gw.example/mde").expect("a base");
        let here = "https://gw.example/mde/api/alerts?$skip=10";
        for link in [
            "https://api-us.securitycenter.microsoft.com/api/alerts?$skip=10",
            "https://api-gcc.securitycenter.microsoft.us:8443/api/alerts?$skip=10",
            "https://security.microsoft.com/api/alerts?$skip=10",
            "https://gw.example/api/alerts?$skip=10",
            "https://gw.example/mde/api/alerts?$skip=10",
            "http://GW.example/mde/api/alerts?$skip=10",
            "/api/alerts?$skip=10",
            "alerts?$skip=10",
        ] {
            assert_eq!(placed(&base, link), here, "{link}");
        }
        for link in [
            "https://evil.example/api/alerts?$skip=10",
            "https://security.microsoft.com.evil.example/api/alerts",
            "https://evilsecurity.microsoft.com/api/alerts",
            "https://wdatp-stg.cloudapp.example/api/alerts",
            "ftp://security.microsoft.com/api/alerts",
            "javascript:alert(1)",
            "https://",
        ] {
            assert!(placed(&base, link).starts_with("foreign"), "{link}");
        }
    }
}
