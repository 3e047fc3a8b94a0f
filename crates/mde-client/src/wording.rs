//! What may be repeated of a server's words. Its texts can quote filters, names and even what we sent.

/// Longest explanation that is kept. Unit: characters.
const TEXT_CAP: usize = 240;

/// Longest word within it, and longest code or id. Unit: characters. Machine ids have 40; tokens are longer.
const WORD_CAP: usize = 64;

/// A code or an id, if it looks like one.
pub(crate) fn word(text: &str) -> Option<String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | ':');
    let fits = !text.is_empty() && text.len() <= WORD_CAP && text.chars().all(plain);
    fits.then(|| text.to_owned())
}

/// An explanation without its quoted parts, long words and addresses' queries; `None` where nothing is left to tell,
/// and where it repeats the token.
pub(crate) fn shortened(message: &str, token: &str) -> Option<String> {
    if message.contains(token) {
        return None;
    }
    let without_quotes = without_quoted(message);
    let words: Vec<&str> = without_quotes.split_whitespace().map(tame).collect();
    let text: String = words.join(" ").chars().filter(|character| !character.is_control()).take(TEXT_CAP).collect();
    (!text.is_empty()).then_some(text)
}

/// One word: an address loses its query, what is too long is left out.
fn tame(word: &str) -> &str {
    let word = match word.split_once('?') {
        Some((address, query)) if !query.is_empty() => address,
        _ => word,
    };
    if word.chars().count() > WORD_CAP { "…" } else { word }
}

/// The text with everything between quotes replaced; a quote that is not closed hides the rest.
fn without_quoted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut open: Option<char> = None;
    let mut previous = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        // An apostrophe stands between two letters, a quote does not.
        let apostrophe = character == '\''
            && previous.is_alphanumeric()
            && characters.peek().is_some_and(|next| next.is_alphanumeric());
        match open {
            Some(quote) if character == quote && !apostrophe => {
                plain.push('…');
                plain.push(quote);
                open = None;
            }
            Some(_) => {}
            None => {
                plain.push(character);
                if matches!(character, '\'' | '"') && !apostrophe {
                    open = Some(character);
                }
            }
        }
        previous = character;
    }
    if open.is_some() {
        plain.push('…');
    }
    plain
}

/// Whether a 401 is about a licence or an inactive account, so that a new token cannot help.
pub(crate) fn licence_refusal(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["license", "licence", "account mode"].iter().any(|sign| message.contains(sign))
}

/// Whether a 400 says that a hunting query gives too much; the vendor has no code for it.
pub(crate) fn result_too_large(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["exceeded the allowed result size", "result size exceeded", "exceeded the allowed limits"]
        .iter()
        .any(|sign| message.contains(sign))
}

/// The roles that a 403 names as required and not among those granted.
pub(crate) fn missing_roles(message: &str) -> Vec<String> {
    let Some((_, tail)) = message.split_once("required roles:") else { return Vec::new() };
    let (required, granted) = tail.split_once("application roles:").unwrap_or((tail, ""));
    let granted = roles(granted);
    roles(required).into_iter().filter(|role| !granted.contains(role)).collect()
}

/// The role names of a list with commas.
fn roles(list: &str) -> Vec<String> {
    list.split(',').filter_map(|role| word(role.trim().trim_end_matches('.'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_parts_and_long_words_are_not_repeated() {
        for (message, kept) in [
            ("Request body is incorrect", Some("Request body is incorrect")),
            (
                "Syntax error at position 3 in 'name eq x' of \"y\".",
                Some("Syntax error at position 3 in '…' of \"…\"."),
            ),
            ("it can't be 'hidden's", Some("it can't be '…")),
            ("see https://a.example/x?key=1 now", Some("see https://a.example/x now")),
            ("line\r\nbreak\u{7}", Some("line break")),
            ("", None),
            ("sent: Bearer tell-tale", None),
        ] {
            assert_eq!(shortened(message, "tell-tale").as_deref(), kept, "{message}");
        }
        assert_eq!(shortened(&format!("a {} b", "x".repeat(65)), "t-t").as_deref(), Some("a … b"));
        assert_eq!(shortened(&"ä ".repeat(1_000), "t-t").map(|text| text.chars().count()), Some(TEXT_CAP));
    }

    #[test]
    fn a_code_that_looks_like_none_is_dropped() {
        assert_eq!(word("TooManyRequests").as_deref(), Some("TooManyRequests"));
        assert_eq!(word("429").as_deref(), Some("429"));
        for bad in ["", "two words", "line\nbreak", &"x".repeat(65)] {
            assert_eq!(word(bad), None, "{bad}");
        }
    }

    #[test]
    fn missing_roles_are_the_required_ones_that_were_not_granted() {
        let message = "Missing application roles. API required roles: Software.Read.All,Machine.Read.All, \
                       application roles: Vulnerability.Read.All,Machine.Read.All.";
        assert_eq!(missing_roles(message), ["Software.Read.All"]);
        assert_eq!(missing_roles("API required roles: Alert.Read.All."), ["Alert.Read.All"]);
        assert!(missing_roles("Forbidden").is_empty());
    }

    #[test]
    fn only_a_word_about_the_licence_makes_a_401_final() {
        assert!(licence_refusal("Unauthorized request - reason of failure: No Tvm license"));
        assert!(licence_refusal("Account mode is inactive"));
        assert!(!licence_refusal("Unauthorized (invalid or expired authorization header)."));
    }

    #[test]
    fn a_result_that_is_too_large_is_told_from_a_query_that_is_wrong() {
        let too_large =
            "Query execution has exceeded the allowed result size. Optimize your query by limiting the results";
        assert!(result_too_large(too_large));
        assert!(!result_too_large("A recognition error occurred in the query."));
    }
}
