//! An application that proves itself by a secret.

use super::{Identity, Secret, TokenEndpoint};
use crate::error::Error;
use crate::transport::HttpRequest;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::io::ErrorKind::NotFound;
use std::path::PathBuf;
use url::form_urlencoded;

/// Where the secret is.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Here.
    Fixed(Secret),
    /// In a file that is read for each request, so that a new secret needs no restart.
    File(PathBuf),
}

impl SecretSource {
    /// The secret as it is now, without line breaks at its end. Fails on a file that is absent, unreadable or empty.
    fn read(&self) -> Result<Secret, Error> {
        let secret = match self {
            Self::Fixed(secret) => secret.clone(),
            Self::File(path) => {
                let problem = |text| Error::config(format!("read the secret file {}", path.display()), text);
                let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
                    NotFound => problem("it does not exist"),
                    _ => problem("it cannot be read as text"),
                })?;
                Secret::new(text.trim_end_matches(['\r', '\n']))
            }
        };
        if secret.expose().is_empty() {
            return Err(Error::config("ask for a token", "the client secret is empty"));
        }
        Ok(secret)
    }
}

/// The client-credentials flow with a secret in the form.
#[derive(Debug, Clone)]
pub struct ClientSecret {
    /// Where to ask.
    pub endpoint: TokenEndpoint,
    /// The application's id.
    pub client_id: String,
    /// The application's secret: its value, not its id.
    pub secret: SecretSource,
    /// What the token is for (`https://api.securitycenter.microsoft.com/.default`).
    pub scope: String,
}

impl Identity for ClientSecret {
    fn request(&self) -> Result<HttpRequest, Error> {
        let secret = self.secret.read()?;
        let (audience, value) = self.endpoint.audience(&self.scope);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", secret.expose())
            .append_pair(audience, value)
            .finish();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let url = self.endpoint.url().clone();
        Ok(HttpRequest { method: Method::POST, url, headers, body: Some(form.into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    fn identity(secret: SecretSource) -> ClientSecret {
        let authority = Url::parse("https://login.example").expect("an address");
        ClientSecret {
            endpoint: TokenEndpoint::new(&authority, "t").expect("a good address"),
            client_id: "app".into(),
            secret,
            scope: "https://api.example/.default".into(),
        }
    }

    fn form(identity: &ClientSecret) -> Vec<(String, String)> {
        let body = identity.request().expect("a readable secret").body.expect("a form");
        form_urlencoded::parse(&body).into_owned().collect()
    }

    #[test]
    fn a_secret_of_any_characters_arrives_whole() {
        let secret = "a+b&c=d %é~\u{1F511}";
        let sent = form(&identity(SecretSource::Fixed(Secret::new(secret))));
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            sent,
            [
                pair("grant_type", "client_credentials"),
                pair("client_id", "app"),
                pair("client_secret", secret),
                pair("scope", "https://api.example/.default"),
            ]
        );
    }

    #[test]
    fn a_secret_file_is_read_for_each_request() {
        let path = std::env::temp_dir().join(format!("mde-client-secret-{}", std::process::id()));
        let identity = identity(SecretSource::File(path.clone()));
        std::fs::write(&path, "first\r\n").expect("a writable temporary folder");
        assert_eq!(form(&identity)[2].1, "first");
        std::fs::write(&path, "second").expect("a writable temporary folder");
        assert_eq!(form(&identity)[2].1, "second");
        std::fs::write(&path, "\n").expect("a writable temporary folder");
        assert!(identity.request().expect_err("an empty secret").to_string().contains("empty"));
        std::fs::remove_file(&path).expect("a writable temporary folder");
        assert!(identity.request().expect_err("no file").to_string().contains("does not exist"));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let identity = identity(SecretSource::Fixed(Secret::new("tell-tale")));
        let request = identity.request().expect("a secret");
        assert!(!format!("{identity:?} {request:?}").contains("tell"));
    }
}
