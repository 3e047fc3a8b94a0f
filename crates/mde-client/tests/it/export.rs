//! Exports: pages of rows by token links, and files behind links of another host.

use crate::script::{End, Reply, SECRET, Script, client, spent_by};
use flate2::Compression;
use flate2::write::GzEncoder;
use mde_client::budget::{InMemoryBudget, Priority};
use mde_client::limits::Family;
use mde_client::query::Query;
use mde_client::{Client, ClientOptions, Error, ErrorKind, Get, Lines, Link, LinkGuard, Transport, Url};
use proptest::prelude::*;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

fn export() -> Get {
    Get::new("/api/machines/SoftwareInventoryExport", Family::ExportFiles, Priority::Enrichment)
}

/// A list of one file, whose link ends at nine.
fn list() -> Reply {
    let link = format!("https://store.example/OrgId=1/part.json.gz?se=2026-11-24T09%3A00%3A00Z&sig={SECRET}");
    let body =
        serde_json::json!({"@odata.context": "c", "exportFiles": [link], "generatedTime": "2026-11-24T06:00:00Z"});
    Reply::new(200, body.to_string())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

/// Fetches the one file of the list, which is answered so.
async fn fetch(reply: Reply) -> Result<Lines, Error> {
    let (client, _) = client(&Script::new([list(), reply]));
    let client = client.with_options(ClientOptions { entity_cap: 4_096, ..ClientOptions::default() });
    let files = client.export_files(&export()).await.expect("a list").files;
    client.fetch(&files[0]).await
}

async fn rows(reply: Reply) -> Result<Vec<String>, Error> {
    let mut lines = fetch(reply).await?;
    let mut rows = Vec::new();
    while let Some(row) = lines.next().await? {
        rows.push(String::from_utf8(row.to_vec()).expect("test text"));
    }
    assert_eq!(lines.rows(), rows.len() as u64);
    Ok(rows)
}

#[tokio::test]
async fn pages_of_an_export_are_walked_by_their_tokens() {
    let next = |token: &str| {
        let host = "https://api-us.securitycenter.microsoft.com";
        format!("{host}/api/machines/SoftwareInventoryByMachine?pagesize=2&$skiptoken={token}")
    };
    let page = |rows: &str, link: &str| Reply::new(200, format!(r#"{{"value":[{rows}],"@odata.nextLink":"{link}"}}"#));
    let script = Script::new([
        page(r#"{"a":1},{"a":2}"#, &next("eyJQYWdlIjoxfQ%3D%3D")),
        page(r#"{"a":3}"#, &next("eyJQYWdlIjoyfQ==")),
        Reply::new(200, r#"{"value":[]}"#),
    ]);
    let (client, _) = client(&script);
    let mut get = Get::new("/api/machines/SoftwareInventoryByMachine", Family::ExportJson, Priority::Enrichment)
        .query(Query::new().with("pageSize", "2"));
    let mut guard = LinkGuard::new(&get);
    let mut seen = 0;
    loop {
        let end = client.get(&get).await.expect("a head").page.rest().await.expect("a page");
        seen += end.rows;
        match end.next_link {
            None => break,
            Some(Link::Follow(link)) => {
                guard.admit(&link).expect("another link");
                get = get.follow(&link);
            }
            Some(link) => panic!("the vendor's host is followed: {link:?}"),
        }
    }
    assert_eq!(seen, 3);
    let asked: Vec<_> =
        script.asked().iter().map(|request| request.url.query().unwrap_or_default().to_owned()).collect();
    let expected =
        ["pageSize=2", "pagesize=2&$skiptoken=eyJQYWdlIjoxfQ%3D%3D", "pagesize=2&$skiptoken=eyJQYWdlIjoyfQ=="];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_file_is_fetched_without_token_and_quota_and_no_output_shows_its_link() {
    let script = Script::new([list(), Reply::new(200, gzip(b"{\"Id\":1}\n"))]);
    let (client, budget) = client(&script);
    let listed = client.export_files(&export()).await.expect("a list");
    assert_eq!(listed.generated.as_deref(), Some("2026-11-24T06:00:00Z"));
    assert_eq!(listed.files[0].expires_ms(), Some(1_795_510_800_000));
    assert_eq!(spent_by(&budget, Family::ExportFiles), 1);

    let mut lines = client.fetch(&listed.files[0]).await.expect("a head");
    assert_eq!(lines.next().await.expect("a row"), Some(&b"{\"Id\":1}"[..]));
    assert_eq!(lines.next().await.expect("the end"), None);
    let asked = script.asked().pop().expect("two requests");
    assert!(asked.url.as_str().starts_with("https://store.example/OrgId=1/part.json.gz?se="));
    assert!(asked.headers.get("authorization").is_none());
    assert_eq!(spent_by(&budget, Family::ExportFiles), 1, "files are not counted");

    let shown = format!("{listed:?} {lines:?} {:?}", script.asked());
    assert!(!shown.contains(SECRET) && !format!("{listed:?}").contains("OrgId"), "{shown}");
}

#[tokio::test]
async fn a_file_may_be_plain_empty_of_several_members_and_without_a_last_line_end() {
    let (one, two) = (&b"{\"a\":1}\r\n\n  {\"a\":\"\\n\"}"[..], &b"\n{\"b\":2}"[..]);
    let expected = ["{\"a\":1}", "{\"a\":\"\\n\"}", "{\"b\":2}"];
    let members = [gzip(one), gzip(b""), gzip(two)].concat();
    for size in [1, 5, 10_000] {
        assert_eq!(rows(Reply::new(200, [one, two].concat()).in_pieces(size)).await.expect("plain"), expected);
        assert_eq!(rows(Reply::new(200, members.clone()).in_pieces(size)).await.expect("packed"), expected);
    }
    for empty in [Vec::new(), gzip(b""), b" \n\n".to_vec()] {
        assert!(rows(Reply::new(200, empty)).await.expect("a file without rows").is_empty());
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_is_an_error_and_stays_one() {
    let packed = [gzip(b"{\"a\":1}\n"), gzip(b"{\"a\":2}\n")].concat();
    let first = gzip(b"{\"a\":1}\n").len();
    // At the border between two members nothing but the transport can tell.
    for length in (1..packed.len()).filter(|length| *length != first) {
        let mut lines = fetch(Reply::new(200, packed[..length].to_vec())).await.expect("a head");
        let error = loop {
            match lines.next().await {
                Ok(row) => assert!(row.is_some(), "cut at {length}, it is no success"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), &ErrorKind::BodyCut, "{length}");
        assert_eq!(lines.next().await.expect_err("it stays so").kind(), &ErrorKind::BodyCut);
    }
    let cut = Reply::new(200, packed[..first].to_vec()).end(End::Cut);
    assert_eq!(rows(cut).await.expect_err("cut").kind(), &ErrorKind::BodyCut);
    assert_eq!(
        rows(Reply::new(200, &b"{\"a\":1}"[..]).end(End::Cut)).await.expect_err("cut").kind(),
        &ErrorKind::BodyCut
    );
}

#[tokio::test]
async fn what_is_no_row_and_what_is_damaged_is_refused() {
    let mut damaged = gzip(b"{\"a\":1}\n");
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    let trailing = [&gzip(b"{\"a\":1}\n")[..], b"rubbish"].concat();
    for (body, kind) in [
        (b"<html>busy</html>".to_vec(), ErrorKind::NotJson),
        (b"{\"a\":1}\n[1]\n".to_vec(), ErrorKind::NotJson),
        (b"{\"a\":1\n".to_vec(), ErrorKind::NotJson),
        (damaged, ErrorKind::BodyCut),
        (trailing, ErrorKind::BodyCut),
        (format!("{{\"a\":\"{}\"}}\n", "x".repeat(5_000)).into_bytes(), ErrorKind::EntityTooLarge { limit: 4_096 }),
        (gzip(&vec![b'x'; 50_000_000]), ErrorKind::EntityTooLarge { limit: 4_096 }),
    ] {
        assert_eq!(rows(Reply::new(200, body)).await.expect_err("refused").kind(), &kind);
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_of_the_store_has_its_kind() {
    let xml = |code: &str| {
        format!("\u{feff}<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{SECRET}</Message></Error>")
    };
    let (before, after) = ("Tue, 24 Nov 2026 08:59:59 GMT", "Tue, 24 Nov 2026 09:00:00 GMT");
    for (reply, kind) in [
        (Reply::new(403, xml("AuthenticationFailed")).header("date", before), ErrorKind::LinkExpired),
        (Reply::new(403, "").header("x-ms-error-code", "AuthenticationFailed"), ErrorKind::LinkExpired),
        (Reply::new(403, "").header("date", after), ErrorKind::LinkExpired),
        (Reply::new(403, xml("AuthorizationFailure")).header("date", before), ErrorKind::Forbidden { missing: vec![] }),
        (Reply::new(404, xml("BlobNotFound")), ErrorKind::NotFound),
        (Reply::new(400, xml("InvalidUri")), ErrorKind::BadRequest),
        (Reply::new(302, ""), ErrorKind::Unexpected { status: 302 }),
        (
            Reply::new(503, xml("ServerBusy")).header("retry-after", "7"),
            ErrorKind::Server { status: 503, after: Some(Duration::from_secs(7)) },
        ),
        (Reply::unreachable(), ErrorKind::Transport),
        (Reply::new(200, "").after(Duration::from_secs(10_000)), ErrorKind::Timeout),
    ] {
        let error = fetch(reply).await.expect_err("no success");
        assert_eq!(error.kind(), &kind);
        assert!(error.to_string().starts_with("fetch an export file from store.example: "), "{error}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    }
}

#[tokio::test]
async fn links_that_others_could_read_or_that_lead_to_this_machine_are_refused() {
    let listed = async |base: &str, link: &str| {
        let body = serde_json::json!({ "exportFiles": [link] });
        let transport = Script::new([Reply::new(200, body.to_string())]) as Arc<dyn Transport>;
        let budget = Arc::new(InMemoryBudget::new(1.0, Vec::new()));
        let tokens = Arc::new(crate::script::Numbered::default());
        let base = Url::parse(base).expect("an address");
        let client = Client::new(base, transport, tokens, budget).expect("a good base");
        client.export_files(&export()).await.map(|listed| listed.files.len()).map_err(|error| error.kind().clone())
    };
    let (away, here) = ("https://api.example", "http://127.0.0.1:9");
    assert_eq!(listed(away, "https://store.example/x?sig=1").await, Ok(1));
    assert_eq!(listed(here, "http://127.0.0.1:8/x?sig=1").await, Ok(1));
    for (base, link) in [
        (away, "http://store.example/x"),
        (away, "http://127.0.0.1:8/x"),
        (away, "https://localhost/x"),
        (here, "http://store.example/x"),
        (away, "https://user:pass@store.example/x"),
        (away, "file:///etc/passwd"),
        (away, "/relative"),
    ] {
        assert_eq!(listed(base, link).await, Err(ErrorKind::LinkRefused), "{link}");
    }
}

#[tokio::test]
async fn a_list_of_files_is_whole_or_an_error() {
    for (reply, kind) in [
        (Reply::new(200, r#"{"exportFiles":["https://a.example/1""#), ErrorKind::BodyCut),
        (Reply::new(200, r#"{"exportFiles":[7]}"#), ErrorKind::NotJson),
        (Reply::new(200, r#"{"value":[]}"#), ErrorKind::NotJson),
        (Reply::new(403, ""), ErrorKind::Forbidden { missing: vec![] }),
    ] {
        let (client, _) = client(&Script::new([reply]));
        assert_eq!(client.export_files(&export()).await.expect_err("no list").kind(), &kind);
    }
    let many = vec!["https://a.example/file"; 10];
    let (client, _) = client(&Script::new([Reply::new(200, serde_json::json!({"exportFiles": many}).to_string())]));
    let client = client.with_options(ClientOptions { entity_cap: 100, ..ClientOptions::default() });
    let error = client.export_files(&export()).await.expect_err("too many");
    assert_eq!(error.kind(), &ErrorKind::EntityTooLarge { limit: 100 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_rows_in_any_members_and_pieces_are_those_rows(
        members in prop::collection::vec(prop::collection::vec("[ -~é]{0,40}", 0..5), 1..4),
        size in 1_usize..300,
        packed in any::<bool>(),
    ) {
        let texts: Vec<Vec<String>> = members
            .iter()
            .map(|rows| rows.iter().map(|text| serde_json::json!({ "a": text }).to_string()).collect())
            .collect();
        let member = |rows: &Vec<String>| rows.iter().map(|row| format!("{row}\n")).collect::<String>().into_bytes();
        let body: Vec<u8> = texts.iter().map(member).flat_map(|text| if packed { gzip(&text) } else { text }).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let read = runtime.block_on(rows(Reply::new(200, body).in_pieces(size))).expect("a file");
        prop_assert_eq!(read, texts.concat());
    }
}
