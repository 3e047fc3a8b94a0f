use super::*;

fn ledger() -> (Ledger, SimClock) {
    let clock = SimClock::manual("2026-11-24T00:00:00Z".parse().unwrap());
    (Ledger::new(clock.clone()), clock)
}

fn version(id: &str) -> VersionKey {
    VersionKey { id: id.to_owned(), last_update_time: "2026-11-24T00:00:00Z".to_owned(), evidence: 1 }
}

#[test]
fn versions_count_only_when_the_answer_went_out_whole() {
    let (ledger, _) = ledger();
    for outcome in [Some(Outcome::Whole), Some(Outcome::Whole), Some(Outcome::Lost), None] {
        let mut entry = ledger.open(RequestKind::Alerts, None, "/api/alerts", "");
        entry.handed_over(Rows::Versions(Listing::Alerts, vec![version("a")]));
        if let Some(outcome) = outcome {
            entry.close(outcome);
        }
    }
    assert_eq!(ledger.versions_served(), BTreeMap::from([(version("a"), 2)]));
    assert_eq!(ledger.rows_served(), 4);
    let outcomes: Vec<_> = ledger.requests().iter().map(|request| request.outcome).collect();
    assert_eq!(outcomes, [Outcome::Whole, Outcome::Whole, Outcome::Lost, Outcome::Cut]);
}

#[test]
fn the_peak_is_of_any_sliding_minute_and_not_of_whole_ones() {
    let (ledger, clock) = ledger();
    for pause in [0, 50, 8, 3, 100] {
        clock.advance(Duration::from_secs(pause));
        ledger.open(RequestKind::Alerts, Some(Family::Alerts), "", "");
    }
    assert_eq!(ledger.peak(Family::Alerts), Peak { minute: 3, hour: 5 });
}

#[tokio::test]
async fn a_wait_ends_with_the_row_it_waits_for() {
    let (ledger, _) = ledger();
    let waiting = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.wait_rows_served(2).await }
    });
    let mut entry = ledger.open(RequestKind::Alerts, None, "", "");
    entry.handed_over(Rows::Versions(Listing::Alerts, vec![version("a")]));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    entry.handed_over(Rows::Versions(Listing::Alerts, vec![version("b")]));
    waiting.await.unwrap();
}
