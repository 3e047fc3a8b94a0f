//! An application for which another identity provider vouches, for example Kubernetes for a service account.

use super::form::{self, Proof};
use super::kept::{Kept, one_line};
use super::{Identity, Secret, TokenEndpoint};
use crate::error::Error;
use crate::transport::HttpRequest;
use std::path::PathBuf;

/// The client-credentials flow with a token that others have issued, in a file that they renew.
#[derive(Debug, Clone)]
pub struct FederatedToken {
    /// Where to ask.
    endpoint: TokenEndpoint,
    /// The application's id.
    client_id: String,
    /// What the token is for.
    scope: String,
    /// The others' token.
    file: Kept<Secret>,
}

impl FederatedToken {
    /// An application whose proof is in that file, which is read for each request.
    #[must_use]
    pub fn new(
        endpoint: TokenEndpoint,
        client_id: impl Into<String>,
        scope: impl Into<String>,
        file: impl Into<PathBuf>,
    ) -> Self {
        let file = Kept::new([file.into()], one_line);
        Self { endpoint, client_id: client_id.into(), scope: scope.into(), file }
    }
}

impl Identity for FederatedToken {
    fn request(&self) -> Result<HttpRequest, Error> {
        let assertion = self.file.get()?;
        Ok(form::request(&self.endpoint, &self.client_id, &self.scope, &Proof::Assertion(assertion.expose())))
    }

    fn complaint(&self) -> Option<Error> {
        self.file.complaint()
    }

    fn changed(&self) -> bool {
        self.file.changed()
    }
}
