//! Which values are credentials, known from their keys before anything is said about them.

use super::source::Span;
use super::tree::{Node, Value};
use super::{credentials, nearest};

/// Words that a key of a credential holds, or is a slip of the pen away from.
const SECRET_WORDS: &[&str] = &[
    "client_secret",
    "password",
    "passwd",
    "secret",
    "token",
    "bearer",
    "proxy",
    "credential",
    "authorization",
    "headers",
    "nkey_seed",
];

/// Endings of keys that only name where something is.
const OPEN_ENDINGS: &[&str] = &["_url", "_scope", "_file"];

/// Whether a key sounds as if its value were a credential.
pub(super) fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let sounds = SECRET_WORDS.iter().any(|word| key.contains(word));
    (sounds && !OPEN_ENDINGS.iter().any(|ending| key.ends_with(ending)))
        || nearest::near_miss(&key, SECRET_WORDS.iter().copied()).is_some()
}

/// Marks every credential below a node, and gives each value with whether it may be shown.
pub(super) fn mark_secrets(root: &mut Node) -> Vec<(Span, bool)> {
    let mut marks = Vec::new();
    mark(root, false, &mut marks);
    marks
}

/// Marks what is below one node; `secret`: whatever stands here is a credential.
fn mark(node: &mut Node, secret: bool, marks: &mut Vec<(Span, bool)>) {
    let span = node.span;
    match &mut node.value {
        Value::Null => {}
        Value::Scalar(scalar) => {
            scalar.hidden = secret || carries_login(&scalar.text) || tells_secret(&scalar.text);
            marks.push((span, !scalar.hidden));
        }
        Value::List(items) => items.iter_mut().for_each(|item| mark(item, secret, marks)),
        Value::Map(entries) => {
            for entry in entries {
                // Credentials as a map are judged key by key: only what is declared and no secret may be shown.
                if entry.key == "credentials"
                    && let Value::Map(members) = &mut entry.value.value
                {
                    for member in members {
                        mark(&mut member.value, secret || !credentials::may_be_shown(&member.key), marks);
                    }
                } else {
                    mark(&mut entry.value, secret || sounds_secret(&entry.key), marks);
                }
            }
        }
    }
}

/// Whether a key has its value, or more, in itself, as a slip in quotes or blanks leaves it: `password:hunter2`.
pub(super) fn swallowed_value(key: &str) -> bool {
    key.contains([':', '=', '"', '\''])
}

/// Whether a text has a key of a credential with its value in itself.
fn tells_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    SECRET_WORDS.iter().flat_map(|word| text.match_indices(word)).any(|(at, word)| {
        // The rest of the key's word, then what may stand between a key and its colon.
        let rest = text[at + word.len()..].trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\'));
        rest.starts_with([':', '=']) && rest.len() > 1
    })
}

/// Whether a URL has a user or a password in it.
pub(super) fn carries_login(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(_, rest)| rest.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_sound_like_it_and_addresses_of_token_endpoints_do_not() {
        for key in ["client_secret", "Client_Secret", "clinet_secret", "pasword", "proxy", "token", "api_token"] {
            assert!(sounds_secret(key), "{key}");
        }
        for key in ["override_token_url", "override_token_scope", "client_secret_file", "chain", "key", "environment"] {
            assert!(!sounds_secret(key), "{key}");
        }
    }

    #[test]
    fn a_text_that_swallowed_a_credential_is_seen() {
        for text in ["password:hunter2", "x, \"client_secret\": \"hunter2\"", "Token=hunter2"] {
            assert!(tells_secret(text), "{text}");
        }
        for text in ["client_secret", "password:", "https://h/oauth2/v2.0/token", "a token of mine"] {
            assert!(!tells_secret(text), "{text}");
        }
    }

    #[test]
    fn a_login_in_a_url_is_seen() {
        assert!(carries_login("https://u:p@h/x"));
        assert!(!carries_login("https://h/x@y"));
    }
}
