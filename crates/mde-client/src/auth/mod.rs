//! Tokens: who we are, what we hold, and when it is renewed.
//!
//! An [`Identity`] only knows how to ask; [`Tokens`] asks, keeps the answer and renews it. Neither spends API quota.

mod certificate;
mod client_secret;
mod endpoint;
mod federated;
mod form;
mod grant;
mod kept;
mod managed;
mod refusal;
mod token;
mod tokens;

pub use certificate::{Certificate, Signature};
pub use client_secret::{ClientSecret, SecretFile, SecretSource};
pub use endpoint::TokenEndpoint;
pub use federated::FederatedToken;
pub use managed::{ManagedHost, ManagedIdentity};
pub use refusal::Refusal;
pub use token::{Secret, Token};
pub use tokens::Tokens;

use crate::error::{Error, ServerDate};
use crate::transport::HttpRequest;

/// Gives tokens to whoever calls an API.
#[async_trait::async_trait]
pub trait TokenSource: Send + Sync {
    /// A token that is good for a call now; renewed before it expires, by one request however many ask.
    async fn token(&self) -> Result<Token, Error>;

    /// The API has refused this token: the next call of `token` must not give it again.
    fn refused(&self, token: &Token);

    /// The newest `Date` that the identity provider has sent, in a success or an error.
    fn date(&self) -> Option<ServerDate>;
}

/// Who asks for a token, and how. One file per identity.
pub trait Identity: Send + Sync {
    /// The request for a token, secrets read afresh. Fails where a secret cannot be read and never could.
    fn request(&self) -> Result<HttpRequest, Error>;

    /// Why the credential of before is still used although its files are newer; `None` if all is well.
    fn complaint(&self) -> Option<Error> {
        None
    }

    /// Whether the credential's files hold something else than at the last request.
    fn changed(&self) -> bool {
        false
    }

    /// Statuses of whoever is asked that pass by themselves, beside those that always do.
    fn passing(&self) -> &'static [u16] {
        &[]
    }
}
