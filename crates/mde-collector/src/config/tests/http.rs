//! Outputs over HTTP.

use super::*;

#[test]
fn a_compression_that_a_receiver_does_not_understand_is_refused() {
    for (kind, further, understood) in [
        ("http", "", true),
        ("http", "preset: splunk_hec, ", false),
        ("http", "preset: elasticsearch, ", false),
        ("devo_http", "domain: d, token: hunter2, ", false),
    ] {
        for (word, good) in [("gzip", true), ("zstd", understood)] {
            let output = format!("http://127.0.0.1:9, {further}compress: {word}");
            let text = with_input("", "      alerts:\n")
                .replace("type: console", &format!("type: {kind}\n    config: {{url: {output}}}"));
            let loaded = load_yaml(&text);
            assert_eq!(
                loaded.is_ok(),
                good,
                "{kind} {further}{word}: {:?}",
                loaded.err().map(|wrong| wrong.to_string())
            );
        }
    }
}
