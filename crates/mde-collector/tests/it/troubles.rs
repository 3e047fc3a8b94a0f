//! Every fault of an answer that a tenant's list can meet, one by one: what the page says while it lasts, and that nothing of
//! it stays. `UPDATE_GOLDEN=1` writes tests/golden/page/faults.txt anew; its difference is reviewed like code.

use crate::harness::Signal;
use crate::status::{Answer, address, bench, get, until};
use futures_util::{StreamExt, stream};
use mde_sim::{CutEnd, ErrorBody, Fault, RequestKind, RetryAfter};
use serde_json::Value;
use std::{env, fs};

/// What is told of each fault.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/page/faults.txt");
/// Tenants that are looked at at the same time.
const AT_ONCE: usize = 4;
/// States in which nothing holds the stream up.
const CALM: [&str; 4] = ["starting", "pulling", "current", "behind"];

/// Those that no number of tries gets over; links that lead astray are got over with windows so narrow that they need none.
fn faults() -> Vec<Fault> {
    let mut faults = vec![
        Fault::Throttle { told: RetryAfter::Seconds, seconds: 5 },
        Fault::Throttle { told: RetryAfter::Nowhere, seconds: 5 },
        Fault::Unauthorized,
        Fault::NoLicence,
        Fault::Forbidden,
        Fault::Html,
        Fault::Reset { after: None },
        Fault::Reset { after: Some(100) },
        Fault::Lost,
        Fault::FilterIgnored,
    ];
    let ends = [CutEnd::ContentLength, CutEnd::Chunked, CutEnd::Complete];
    faults.extend(ends.map(|end| Fault::Cut { after: 100, end }));
    let bodies = [ErrorBody::Json, ErrorBody::NoMessage, ErrorBody::Html, ErrorBody::Empty];
    faults.extend(bodies.into_iter().zip([500, 502, 503, 504]).map(|(body, status)| Fault::Status { status, body }));
    faults
}

/// The row of the one stream.
fn row(answer: &Answer) -> Value {
    let status: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    status["streams"][0].clone()
}

/// An error without what is another one with each run: moments and the numbers of requests.
fn lasting(error: &str) -> String {
    let moments = error.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| digits.len() == 13);
    let text = moments.fold(error.to_owned(), |text, moment| text.replace(moment, "MOMENT"));
    let mut parts = text.split("request ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let is_id = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
        let rest = part.trim_start_matches(is_id);
        text + "request " + if part.len() - rest.len() > 20 { "ID" } else { &part[..part.len() - rest.len()] } + rest
    })
}

/// What the page says of a fault from the start until it is over, and that nothing is left of it then.
async fn told(fault: Fault) -> String {
    let bench = bench("").await;
    bench.edit("{request_period_in_seconds: 1}", "{request_period_in_seconds: 1, backend: mde}");
    let mut running = bench.run(&[]);
    let address = address(&mut running).await;
    // Who is refused everywhere from the start ends; who was let in once stays.
    until(&address, "/api/status", |answer| row(answer)["state"] == "current").await;
    let standing = bench.sim.scenario().always(RequestKind::Alerts, fault.clone());
    let is_held = |answer: &Answer| {
        let row = row(answer);
        row["error"].is_string() && !CALM.contains(&row["state"].as_str().unwrap_or("current"))
    };
    let row = row(&until(&address, "/api/status", is_held).await);
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let error = lasting(&text("error"));
    let told = format!("{fault:?}\n  {}: {error}\n  do: {}\n", text("state"), text("advice"));
    bench.sim.scenario().stop(standing);
    // Who was refused asks again each five minutes, or at once when told that something may be different.
    running.signal(Signal::HUP);
    let is_calm =
        |answer: &Answer| answer.body.contains("badge fine\">current") && !answer.body.contains("class=\"error\"");
    until(&address, "/", is_calm).await;
    let page = get(&address, "/stream?tenant=simulated&service=alerts&query=", "").await;
    assert!(!page.body.contains("badge bad") && !page.body.contains("badge odd"), "{fault:?}: {}", page.body);
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_told_with_its_advice_and_nothing_of_it_stays() {
    let told: Vec<String> = stream::iter(faults()).map(told).buffered(AT_ONCE).collect().await;
    let told = told.join("\n");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(GOLDEN, &told).expect("writable");
    }
    assert_eq!(told, fs::read_to_string(GOLDEN).unwrap_or_default(), "{told}");
}
