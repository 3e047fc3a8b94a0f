//! Looks for secrets where none may be: in what processes said, and in every file that they wrote.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::path::Path;
use walkdir::WalkDir;

/// All secrets and tokens of the simulator contain it.
const TELLTALE: &str = "telltale";
/// A line of a key's base64 shorter than this may occur by chance. Unit: octets.
const KEY_LINE: usize = 40;

/// Where secrets were found. What a test gave to the collector itself (configuration and certificates) is not searched;
/// the keys found there are searched for.
pub fn search(folder: &Path, streams: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<String> {
    let mut secrets = forms(TELLTALE);
    let mut places: Vec<(String, Vec<u8>)> = streams.collect();
    for entry in WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        let content = fs::read(entry.path()).expect("readable");
        match entry.path().extension().and_then(|end| end.to_str()) {
            Some("key") => {
                let text = String::from_utf8_lossy(&content).into_owned();
                secrets.extend(text.lines().filter(|line| line.len() >= KEY_LINE).map(str::to_owned));
            }
            Some("crt" | "yaml") => {}
            _ => places.push((entry.path().display().to_string(), content)),
        }
    }
    places.retain(|(_, content)| {
        // Octets that are no text are replaced, which leaves the secrets in between as they are.
        let text = String::from_utf8_lossy(content);
        secrets.iter().any(|secret| text.contains(secret))
    });
    places.into_iter().map(|(place, _)| place).collect()
}

/// A word as it may be written: plain, in base64 at each of its three alignments, percent-encoded.
fn forms(word: &str) -> Vec<String> {
    let mut forms = vec![word.to_owned()];
    for before in 0..3 {
        let encoded = STANDARD.encode([&vec![0; before], word.as_bytes()].concat());
        // Characters that the octets beside it do not change.
        forms.push(encoded[(8 * before).div_ceil(6)..8 * (before + word.len()) / 6].to_owned());
    }
    let percent = word.bytes().map(|octet| format!("%{octet:02X}")).collect::<String>();
    forms.extend([percent.to_lowercase(), percent]);
    forms
}

/// The search itself is the oracle of every other test, so it is shown to find what it looks for.
mod tests {
    use super::*;
    use mde_sim::receiver::TestPki;

    #[test]
    fn a_secret_a_token_and_a_line_of_a_key_are_found_wherever_they_are_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pki = TestPki::new();
        pki.write_to(folder.path()).expect("writable");
        fs::create_dir(folder.path().join("state")).expect("writable");
        let key = pki.client.key_pem.lines().nth(1).expect("a key has lines").to_owned();
        assert_eq!(search(folder.path(), std::iter::empty()), [""; 0], "keys may lie where the test has put them");
        let basic = |login: &str| format!("Basic {}", STANDARD.encode(login));
        let encoded = [basic("telltale"), basic("me:telltale-x"), basic("one:telltale"), basic("us:telltale~")];
        let percent = ["%74%65%6c%6c%74%61%6c%65", "%74%65%6C%6C%74%61%6C%65"];
        let plain = ["telltale-secret-1-1~00", "eyJ0.eyJ1.telltale-token-1-1", &key];
        for secret in plain.into_iter().chain(percent).chain(encoded.iter().map(String::as_str)) {
            let said = vec![("stderr".to_owned(), format!("refused {secret}!").into_bytes())];
            assert_eq!(search(folder.path(), said.into_iter()), ["stderr"]);
            let file = folder.path().join("state/mde-collector.db");
            fs::write(&file, format!("\0\u{1}{secret}\0")).expect("writable");
            assert_eq!(search(folder.path(), std::iter::empty()), [file.display().to_string()]);
            fs::remove_file(file).expect("writable");
        }
    }
}
