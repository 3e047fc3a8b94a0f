//! What Microsoft Graph does otherwise: words asked for in full, and answers that are a success in part.

use crate::script::{Reply, Script, alerts, client};
use mde_client::budget::Priority;
use mde_client::limits::Family;
use mde_client::retry::Retry;
use mde_client::{ErrorKind, Get};

/// One alert a page.
const PAGE: &str = r#"{"value":[{"id":"a"}]}"#;

#[tokio::test]
async fn graph_is_always_asked_for_all_its_words_and_the_classic_api_never() {
    for (family, wanted) in [
        (Family::GraphAlerts, Some("include-unknown-enum-members")),
        (Family::GraphIncidents, Some("include-unknown-enum-members")),
        (Family::Alerts, None),
    ] {
        let script = Script::new([Reply::new(200, PAGE)]);
        let (client, _) = client(&script);
        let get = Get::new("/v1.0/security/alerts_v2", family, Priority::Lists);
        client.get(&get).await.expect("a page").page.rest().await.expect("whole");
        let sent = script.asked()[0].headers.get("prefer").map(|value| value.to_str().expect("plain").to_owned());
        assert_eq!(sent.as_deref(), wanted, "{family:?}");
    }
}

#[tokio::test]
async fn a_success_in_part_is_an_error_that_names_the_missing_product() {
    let missing = r#"199 - "Microsoft/Office 365/504/10000""#;
    let script = Script::new([Reply::new(206, PAGE).header("warning", missing)]);
    let (client, _) = client(&script);
    let error = client.get(&alerts()).await.expect_err("rows are missing");
    assert_eq!((error.kind(), error.retry()), (&ErrorKind::Incomplete, Retry::Backoff));
    let told = "read /api/alerts: the answer is incomplete (status 206): 199 - Microsoft/Office 365/504/10000";
    assert_eq!(error.to_string(), told);
}
