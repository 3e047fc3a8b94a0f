//! Pages through the client: every ending that is no success, links, single entities.

use crate::script::{End, Reply, Script, alerts, client};
use mde_client::{ClientOptions, Error, ErrorKind, Link, LinkGuard, Page, PageEnd};
use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

/// All entities of a page, or the error that ended it.
async fn entities(page: &mut Page) -> Result<Vec<String>, Error> {
    let mut entities = Vec::new();
    while let Some(entity) = page.next().await? {
        entities.push(String::from_utf8(entity.to_vec()).expect("test text"));
    }
    Ok(entities)
}

/// Makes one call that is answered so, and reads its page.
async fn read(reply: Reply) -> Result<(Vec<String>, PageEnd), Error> {
    let (client, _) = client(&Script::new([reply]));
    let mut page = client.get(&alerts()).await?.page;
    let entities = entities(&mut page).await?;
    Ok((entities, page.end().expect("it was read whole")))
}

#[tokio::test]
async fn a_page_in_any_pieces_is_the_same_page() {
    let body =
        r#"{"@odata.count":2,"value":[{"id":"a","n":1.0},{"id":"b}]"}],"@odata.nextLink":"/api/alerts?$skip=2"}"#;
    let whole = read(Reply::new(200, body)).await.expect("a page");
    assert_eq!(whole.0, [r#"{"id":"a","n":1.0}"#, r#"{"id":"b}]"}"#]);
    assert_eq!((whole.1.rows, whole.1.count), (2, Some(2)));
    for size in 1..body.len() {
        assert_eq!(read(Reply::new(200, body).in_pieces(size)).await.expect("a page"), whole, "{size}");
    }
}

#[tokio::test]
async fn every_malformed_ending_is_a_named_error_and_never_a_success() {
    use ErrorKind::{BodyCut, NotJson};
    for (body, end, kind) in [
        ("", End::Whole, BodyCut),
        (r#"{"value":[{"a":1}"#, End::Whole, BodyCut),
        (r#"{"value":[{"a":1},{"a"#, End::Whole, BodyCut),
        (r#"{"value":[{"a":1}]"#, End::Whole, BodyCut),
        (r#"{"value":[{"a":1}]"#, End::Cut, BodyCut),
        // The page is whole and the connection breaks before the end of the body: rows may follow in a lost link.
        (r#"{"value":[{"a":1}]}"#, End::Cut, BodyCut),
        (r#"{"value":[{"a":1}]} and more"#, End::Whole, NotJson),
        (r#"{"value":[{"a":1}]}{"value":[]}"#, End::Whole, NotJson),
        (r#"{"value":[{"a":1}}"#, End::Whole, NotJson),
        (r#"{"rows":[{"a":1}]}"#, End::Whole, NotJson),
        (r#"{"value":{"a":1}}"#, End::Whole, NotJson),
        ("<html><body>502 Bad Gateway</body></html>", End::Whole, NotJson),
        ("[]", End::Whole, NotJson),
    ] {
        let error = read(Reply::new(200, body).end(end)).await.expect_err(body);
        assert_eq!(error.kind(), &kind, "{body}");
        assert_eq!(error.status(), Some(200));
        assert!(!error.to_string().contains('{'), "no piece of the body: {error}");
    }
}

#[tokio::test]
async fn a_failed_page_stays_failed() {
    let (client, _) = client(&Script::new([Reply::new(200, r#"{"value":[1,2"#)]));
    let mut page = client.get(&alerts()).await.expect("a head").page;
    assert_eq!(page.next().await.expect("the first"), Some(&b"1"[..]));
    for _ in 0..3 {
        assert_eq!(page.next().await.expect_err("the body is cut").kind(), &ErrorKind::BodyCut);
        assert!(page.end().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_a_timeout_and_a_slow_reader_is_not() {
    let body = r#"{"value":[1,2,3]}"#;
    let error = read(Reply::new(200, &body[..12]).end(End::Silence)).await.expect_err("silence");
    assert_eq!(error.kind(), &ErrorKind::Timeout);

    let (client, _) = client(&Script::new([Reply::new(200, body).in_pieces(2)]));
    let mut page = client.get(&alerts()).await.expect("a head").page;
    let mut rows = 0;
    while page.next().await.expect("it is not the server that waits").is_some() {
        rows += 1;
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    assert_eq!(rows, 3);
}

#[tokio::test]
async fn an_entity_over_the_cap_is_a_named_error() {
    let (client, _) = client(&Script::new([Reply::new(200, r#"{"value":["12345678","1"]}"#).in_pieces(3)]));
    let client = client.with_options(ClientOptions { entity_cap: 9, ..ClientOptions::default() });
    let mut page = client.get(&alerts()).await.expect("a head").page;
    assert_eq!(entities(&mut page).await.expect_err("10 bytes").kind(), &ErrorKind::EntityTooLarge { limit: 9 });
}

#[tokio::test]
async fn a_reader_that_is_dropped_while_it_waits_loses_nothing() {
    let (client, _) = client(&Script::new([Reply::new(200, r#"{"value":[1,"#).end(End::Silence)]));
    let mut page = client.get(&alerts()).await.expect("a head").page;
    assert_eq!(page.next().await.expect("the first"), Some(&b"1"[..]));
    for _ in 0..3 {
        let waiting = Box::pin(page.next()).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        assert!(waiting, "nothing has come");
        assert!(page.end().is_none());
    }
}

#[tokio::test]
async fn links_are_followed_on_the_configured_base_only() {
    let foreign = r#"{"value":[1],"@odata.nextLink":"https://evil.example/api/alerts?$skip=1"}"#;
    let vendor =
        r#"{"value":[2],"@odata.nextLink":"https://api-eu.securitycenter.microsoft.com/api/alerts?%24skip=1"}"#;
    let script = Script::new([foreign, vendor, r#"{"value":[3]}"#].map(|body| Reply::new(200, body)));
    let (client, _) = client(&script);

    let end = client.get(&alerts()).await.expect("a head").page.rest().await.expect("a page");
    assert_eq!(end.next_link, Some(Link::Foreign { host: Some("evil.example".into()) }));

    let mut guard = LinkGuard::new(&alerts());
    let end = client.get(&alerts()).await.expect("a head").page.rest().await.expect("a page");
    let Some(Link::Follow(link)) = end.next_link else { panic!("the vendor's host is followed: {end:?}") };
    guard.admit(&link).expect("a first link");
    client.get(&alerts().follow(&link)).await.expect("a head").page.rest().await.expect("another page");

    let last = script.asked().pop().expect("three requests");
    assert_eq!(last.url.as_str(), "https://api.example/prefix/api/alerts?%24skip=1");
}

#[tokio::test]
async fn a_single_entity_is_whole_or_an_error() {
    let entity = async |reply| {
        let (client, _) = client(&Script::new([reply]));
        let client = client.with_options(ClientOptions { entity_cap: 64, ..ClientOptions::default() });
        let entity = client.get(&alerts()).await.expect("a head").entity().await;
        entity.map_err(|error| error.kind().clone())
    };
    let body = r#" {"id":"a","value":1.0} "#;
    assert_eq!(entity(Reply::new(200, body).in_pieces(3)).await, Ok(body.as_bytes().to_vec()));
    assert_eq!(entity(Reply::new(200, r#"{"id":"a""#)).await, Err(ErrorKind::BodyCut));
    assert_eq!(entity(Reply::new(200, r#"{"id":"a"}"#).end(End::Cut)).await, Err(ErrorKind::BodyCut));
    assert_eq!(entity(Reply::new(200, "")).await, Err(ErrorKind::BodyCut));
    let with_a_list = r#"{"id":"a","value":[1]}"#;
    assert_eq!(entity(Reply::new(200, with_a_list)).await, Ok(with_a_list.as_bytes().to_vec()));
    let list = r#"{"@odata.context":"c","value":[{"id":"a"}]}"#;
    assert_eq!(entity(Reply::new(200, list)).await, Err(ErrorKind::NotJson));
    assert_eq!(entity(Reply::new(200, "[1]")).await, Err(ErrorKind::NotJson));
    assert_eq!(entity(Reply::new(200, r#"{"id":"a"} x"#)).await, Err(ErrorKind::NotJson));
    assert_eq!(entity(Reply::new(200, "x".repeat(65))).await, Err(ErrorKind::EntityTooLarge { limit: 64 }));
}

#[test]
fn a_call_can_move_between_tasks() {
    fn movable<F: Future + Send>(_: F) {}
    let (client, _) = client(&Script::new([]));
    movable(async move { client.get(&alerts()).await?.page.rest().await });
}
