//! An application that proves itself by a secret.

use super::form::{self, Proof};
use super::kept::{Kept, one_line};
use super::{Identity, Secret, TokenEndpoint};
use crate::error::Error;
use crate::transport::HttpRequest;
use std::path::PathBuf;

/// Where the secret is.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Here.
    Fixed(Secret),
    /// In a file.
    File(SecretFile),
}

/// A file that is read for each request, so that a new secret needs no restart; a broken or empty one keeps the old.
#[derive(Debug, Clone)]
pub struct SecretFile(Kept<Secret>);

impl SecretSource {
    /// A secret in a file, without the line's end behind it.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(SecretFile(Kept::new([path.into()], one_line)))
    }

    /// The secret as it is now. Fails on an empty one, and on a file that never held one.
    fn read(&self) -> Result<Secret, Error> {
        match self {
            Self::Fixed(secret) if secret.expose().is_empty() => {
                Err(Error::config("ask for a token", "the client secret is empty"))
            }
            Self::Fixed(secret) => Ok(secret.clone()),
            Self::File(file) => file.0.get(),
        }
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
        Ok(form::request(&self.endpoint, &self.client_id, &self.scope, &Proof::Secret(secret.expose())))
    }

    fn complaint(&self) -> Option<Error> {
        match &self.secret {
            SecretSource::Fixed(_) => None,
            SecretSource::File(file) => file.0.complaint(),
        }
    }

    fn changed(&self) -> bool {
        match &self.secret {
            SecretSource::Fixed(_) => false,
            SecretSource::File(file) => file.0.changed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::{Url, form_urlencoded};

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
    fn a_secret_file_is_read_for_each_request_and_a_broken_one_keeps_the_old() {
        let folder = tempfile::tempdir().expect("a writable temporary folder");
        let path = folder.path().join("secret");
        let identity = identity(SecretSource::file(&path));
        assert!(identity.request().expect_err("no file").to_string().contains("does not exist"));
        std::fs::write(&path, "first\r\n").expect("a writable temporary folder");
        assert_eq!(form(&identity)[2].1, "first");
        std::fs::write(&path, "second").expect("a writable temporary folder");
        assert!(identity.changed() && identity.complaint().is_none());
        assert_eq!(form(&identity)[2].1, "second");
        std::fs::write(&path, "\n").expect("a writable temporary folder");
        assert_eq!(form(&identity)[2].1, "second");
        assert!(identity.complaint().expect("somebody must hear of it").to_string().contains("empty"));
    }

    #[test]
    fn an_empty_secret_is_not_sent() {
        let identity = identity(SecretSource::Fixed(Secret::new("")));
        assert!(identity.request().expect_err("an empty secret").to_string().contains("empty"));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let identity = identity(SecretSource::Fixed(Secret::new("tell-tale")));
        let request = identity.request().expect("a secret");
        assert!(!format!("{identity:?} {request:?}").contains("tell"));
    }
}
