//! A token as we hold it, and a text that prints nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A credential. It shows itself to nobody who does not ask by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a credential in.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }

    /// The credential, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A token with its lifetime. Clones are the same token; two are equal when their text is.
#[derive(Clone)]
pub struct Token {
    /// `Bearer …`, marked as sensitive.
    header: HeaderValue,
    /// The token without its scheme, to compare and to keep out of texts.
    text: Secret,
    /// When the request for it was sent: the token's own clock starts later.
    asked_at: Instant,
    /// How long it is good, from `asked_at` on.
    lifetime: Duration,
}

impl Token {
    /// The longest time before its end at which a token is renewed.
    const AHEAD_CAP: Duration = Duration::from_secs(300);

    /// A token that was asked for at that moment; `None` where its text cannot stand in a header.
    #[must_use]
    pub fn new(text: &str, asked_at: Instant, lifetime: Duration) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).ok()?;
        header.set_sensitive(true);
        Some(Self { header, text: Secret::new(text), asked_at, lifetime })
    }

    /// The header's value.
    #[must_use]
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// The token itself, to keep it out of texts.
    pub(crate) fn expose(&self) -> &str {
        self.text.expose()
    }

    /// Whether it need not be renewed yet: until five minutes, or a fifth of its life if that is less, before its end.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        let ahead = Self::AHEAD_CAP.min(self.lifetime / 5);
        now.duration_since(self.asked_at) < self.lifetime - ahead
    }

    /// Whether the API takes it still.
    pub(crate) fn is_good(&self, now: Instant) -> bool {
        now.duration_since(self.asked_at) < self.lifetime
    }

    /// The application roles that the token claims, not verified: for a precise message, not for a decision.
    /// `None` where the token cannot be read; empty where nothing was granted.
    #[must_use]
    pub fn roles(&self) -> Option<Vec<String>> {
        /// The one claim that is looked at.
        #[derive(Deserialize)]
        struct Claims {
            #[serde(default)]
            roles: Vec<String>,
        }
        let claims = self.expose().split('.').nth(1)?;
        let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.roles)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> Token {
        let text = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        Token::new(&text, Instant::now(), Duration::from_secs(3_599)).expect("header text")
    }

    #[test]
    fn roles_are_read_and_their_absence_is_not_mistaken_for_an_unreadable_token() {
        let roles = |claims| token(claims).roles();
        assert_eq!(roles(r#"{"roles":["Alert.Read.All","Machine.Read.All"]}"#).expect("readable").len(), 2);
        assert_eq!(roles(r#"{"aud":"x"}"#), Some(Vec::new()));
        assert_eq!(roles("no claims"), None);
        let opaque = Token::new("opaque", Instant::now(), Duration::ZERO).expect("header text");
        assert_eq!(opaque.roles(), None);
    }

    #[test]
    fn a_token_is_renewed_five_minutes_or_a_fifth_of_its_life_ahead() {
        let start = Instant::now();
        for (lifetime, fresh_until) in [(3_600_000, 3_300_000), (3_000, 2_400), (0, 0)] {
            let token = Token::new("t", start, Duration::from_millis(lifetime)).expect("header text");
            assert!(!token.is_fresh(start + Duration::from_millis(fresh_until)), "{lifetime}");
            if let Some(before) = u64::checked_sub(fresh_until, 1) {
                assert!(token.is_fresh(start + Duration::from_millis(before)), "{lifetime}");
            }
            assert!(!token.is_good(start + Duration::from_millis(lifetime)), "{lifetime}");
        }
    }

    #[test]
    fn debug_output_shows_no_token() {
        let token = Token::new("tell-tale", Instant::now(), Duration::ZERO).expect("header text");
        assert!(!format!("{token:?} {:?} {:?}", token.header(), token.text).contains("tell"));
        assert!(Token::new("line\nbreak", Instant::now(), Duration::ZERO).is_none());
    }
}
