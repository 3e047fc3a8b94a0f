//! The status page in a real browser: what a person sees who has it open while things happen.

use crate::harness::{Browser, SCREENS, Signal};
use crate::status::{address, bench};
use jiff::Timestamp;
use mde_sim::{ErrorBody, Fault, RequestKind};

/// The page of the one stream that these tests look at closely.
const STREAM: &str = "/stream?tenant=simulated&service=alerts&query=";
/// Whether every stream is fine.
const FINE: &str = "return /^\\d+ fine$/.test(document.querySelector('.tile .big').innerText)";
/// How many of the pulls in the table stored something.
const STORING: &str = "return [...document.querySelectorAll('table.pulls tbody td[data-label=Events]')]\
    .filter((cell) => cell.textContent !== '0').length";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_running_collector_lives_and_can_be_searched_without_reloading() {
    let bench = bench("").await;
    bench.edit("      alerts:", "      machines: {request_period_in_seconds: 3600}\n      alerts:");
    let mut running = bench.run(&[]);
    let page = format!("http://{}", address(&mut running).await);
    let browser = Browser::start().await;
    browser.open(&page).await;
    let both = "return document.querySelectorAll('table.streams .badge.fine').length === 2";
    browser.until(both).await;
    let rows = "return [...document.querySelectorAll('table.streams tbody th')].map((row) => row.innerText.trim())";
    assert_eq!(browser.sees(rows).await, serde_json::json!(["simulated machines", "simulated alerts"]));
    // The key goes to the search, and each letter narrows what is shown.
    browser.sees("window.stays = true; return true").await;
    browser.press("/").await;
    browser.press("mach").await;
    browser.until("return document.querySelectorAll('table.streams tbody th').length === 1").await;
    assert!(browser.sees("return location.search").await == "?q=mach");
    assert_eq!(browser.sees("return window.stays").await, true, "the page was loaded once");
    browser.click("table.streams tbody th a").await;
    browser.until("return document.querySelector('h1').innerText.startsWith('machines')").await;
    // A new alert is seen where nobody touches anything.
    browser.open(&format!("{page}{STREAM}")).await;
    browser.until(&format!("{STORING} === 1")).await;
    browser.sees("window.stays = true; return true").await;
    bench.sim.world().add_alert(Timestamp::now());
    browser.until(&format!("{STORING} === 2")).await;
    assert_eq!(browser.sees("return window.stays").await, true, "the page was loaded once");
    assert_eq!(browser.complaints().await, [""; 0]);
    browser.close().await;
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_and_its_advice_come_and_go_by_themselves() {
    let bench = bench("").await;
    let mut running = bench.run(&[]);
    let page = format!("http://{}", address(&mut running).await);
    let browser = Browser::start().await;
    browser.open(&page).await;
    browser.until(FINE).await;
    browser.sees("window.stays = true; return true").await;
    let fault = bench.sim.scenario().always(RequestKind::Alerts, Fault::Status { status: 503, body: ErrorBody::Json });
    browser.until("return document.querySelector('.badge.odd')?.innerText === 'outage'").await;
    let told = browser.text().await;
    assert!(told.contains("1 of 1 to look at") && told.contains("Nothing to do: "), "{told}");
    browser.looks_by(SCREENS[0]).await;
    browser.picture(SCREENS[0], "fault").await;
    assert_eq!(browser.barriers().await, [""; 0]);
    bench.sim.scenario().stop(fault);
    browser.until(FINE).await;
    let left = "return document.querySelectorAll('.badge.odd, .badge.bad, .error, .advice').length";
    assert_eq!(browser.sees(left).await, 0, "{}", browser.text().await);
    assert_eq!(browser.sees("return window.stays").await, true, "the page was loaded once");
    assert_eq!(browser.complaints().await, [""; 0]);
    // Who does not answer any more is said to be away.
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
    browser.until("return document.body.classList.contains('stale')").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_its_screen_and_keeps_nobody_out() {
    let bench = bench("").await;
    let mut running = bench.run(&[]);
    let page = format!("http://{}", address(&mut running).await);
    let browser = Browser::start().await;
    browser.open(&page).await;
    browser.until(FINE).await;
    let id = bench.arrived_so_far().into_keys().next().expect("something arrived").0;
    let pages = [("streams", "/".to_owned()), ("stream", STREAM.to_owned()), ("explain", format!("/explain?id={id}"))];
    for screen in SCREENS {
        browser.looks_by(screen).await;
        for (name, path) in &pages {
            browser.open(&format!("{page}{path}")).await;
            browser.until("return document.querySelector('#content').innerText.length > 0").await;
            browser.picture(screen, name).await;
            assert_eq!(browser.barriers().await, [""; 0], "{} {name}", screen.name);
            let too_wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
            assert_eq!(browser.sees(too_wide).await, false, "{} {name}", screen.name);
            assert_eq!(browser.complaints().await, [""; 0], "{} {name}", screen.name);
        }
    }
    browser.close().await;
    running.signal(Signal::TERM);
    running.ended().await.exits(0);
}
