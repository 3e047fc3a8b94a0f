//! Where tokens are asked for.

use crate::base::check_address;
use crate::error::Error;
use crate::query::segment;
use url::Url;

/// The address of a token endpoint, and whether it is of the older kind that wants a `resource`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEndpoint {
    /// The whole address, down to `/token`.
    url: Url,
    /// v1: `resource=…` instead of `scope=…/.default`.
    older: bool,
}

impl TokenEndpoint {
    /// From an authority (`https://login.microsoftonline.com`) or a whole endpoint (`…/oauth2/v2.0/token`).
    ///
    /// Fails on plain HTTP to another machine, and on an address with a user or a query.
    pub fn new(authority: &Url, tenant_id: &str) -> Result<Self, Error> {
        const ACTION: &str = "use the token URL";
        check_address(authority, ACTION)?;
        if authority.query().is_some() || authority.fragment().is_some() {
            return Err(Error::config(ACTION, "a token URL has no query and no fragment"));
        }
        let mut url = authority.clone();
        let path = authority.path().trim_end_matches('/').to_owned();
        let whole = path.ends_with("/token");
        if !whole {
            if tenant_id.is_empty() || matches!(tenant_id, "." | "..") {
                return Err(Error::config(ACTION, "the tenant id is empty"));
            }
            url.set_path(&format!("{path}/{}/oauth2/v2.0/token", segment(tenant_id)));
        }
        Ok(Self { url, older: whole && path.ends_with("/oauth2/token") })
    }

    /// The address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The form field that names what the token is for.
    pub(crate) fn audience<'a>(&self, scope: &'a str) -> (&'static str, &'a str) {
        if self.older { ("resource", scope.trim_end_matches("/.default")) } else { ("scope", scope) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str, tenant: &str) -> Result<TokenEndpoint, Error> {
        TokenEndpoint::new(&Url::parse(text).expect("test address"), tenant)
    }

    #[test]
    fn an_authority_becomes_an_endpoint_and_an_endpoint_stays_as_it_is() {
        for (text, url) in [
            ("https://login.example", "https://login.example/ten%20ant/oauth2/v2.0/token"),
            ("https://login.example/x/", "https://login.example/x/ten%20ant/oauth2/v2.0/token"),
            ("https://login.example/t/oauth2/v2.0/token", "https://login.example/t/oauth2/v2.0/token"),
            ("http://127.0.0.1:9/t/oauth2/token", "http://127.0.0.1:9/t/oauth2/token"),
        ] {
            assert_eq!(endpoint(text, "ten ant").expect("a good address").url().as_str(), url);
        }
    }

    #[test]
    fn the_older_endpoint_is_asked_for_a_resource() {
        let older = endpoint("https://login.example/t/oauth2/token", "t").expect("a good address");
        assert_eq!(older.audience("https://api.example/.default"), ("resource", "https://api.example"));
        let newer = endpoint("https://login.example", "t").expect("a good address");
        assert_eq!(newer.audience("https://api.example/.default"), ("scope", "https://api.example/.default"));
    }

    #[test]
    fn a_token_url_that_shows_the_secret_to_the_network_is_refused() {
        for bad in ["http://login.example", "https://u:p@login.example", "https://login.example?x=1"] {
            assert!(endpoint(bad, "t").is_err(), "{bad}");
        }
        assert!(endpoint("https://login.example", "").is_err());
    }
}
