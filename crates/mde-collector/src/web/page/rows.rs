//! The table of streams.

use super::{grouped, query};
use crate::status::told::{age, clock};
use crate::status::{StreamStatus, Word};
use maud::{Markup, html};

/// How much a row concerns a person, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Care {
    /// Somebody must act.
    Bad,
    /// Somebody should look.
    Odd,
    /// Nobody need do anything.
    Fine,
}

/// How much this one does.
pub fn care(row: &StreamStatus) -> Care {
    match row.state {
        Word::Auth | Word::Denied | Word::Store => Care::Bad,
        Word::Behind | Word::Paused | Word::Throttled | Word::Outage | Word::Drift | Word::Incomplete => Care::Odd,
        Word::Starting | Word::Waiting | Word::Pulling | Word::Current if row.notices.is_empty() => Care::Fine,
        Word::Starting | Word::Waiting | Word::Pulling | Word::Current => Care::Odd,
    }
}

/// The class that colours it.
pub const fn class(care: Care) -> &'static str {
    match care {
        Care::Bad => "bad",
        Care::Odd => "odd",
        Care::Fine => "fine",
    }
}

/// Whether all of these words stand somewhere in a row.
pub fn has(row: &StreamStatus, words: &[String]) -> bool {
    let texts = [&*row.tenant, &*row.service, row.query.as_deref().unwrap_or(""), row.state.name(), row.backend];
    words.iter().all(|word| texts.iter().any(|text| text.to_lowercase().contains(word)))
}

/// How a row is called.
pub fn name(row: &StreamStatus) -> String {
    let parts = [Some(&*row.tenant), Some(&*row.service), row.query.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" / ")
}

/// Where its own page is.
pub fn address(row: &StreamStatus) -> String {
    let query_name = row.query.as_deref().unwrap_or("");
    format!("/stream?{}", query(&[("tenant", &row.tenant), ("service", &row.service), ("query", query_name)]))
}

/// When its next pull begins, in words.
pub fn next(row: &StreamStatus, now_ms: i64) -> String {
    match row.next_ms {
        // What has failed is being tried again while no time is set for that.
        None if row.state == Word::Pulling || row.error.is_some() => "now".to_owned(),
        None => "–".to_owned(),
        Some(next_ms) => match (next_ms - now_ms).max(0).unsigned_abs() / 1_000 {
            0 => "now".to_owned(),
            seconds => format!("in {}", age(seconds)),
        },
    }
}

/// The word for its state.
pub fn badge(row: &StreamStatus) -> Markup {
    html! {
        span class={ "badge " (class(care(row))) } { (row.state) }
        @for notice in &row.notices { " " span.badge.odd { (notice) } }
    }
}

/// The newest snapshot in a few words.
pub fn snapshot(row: &StreamStatus) -> Option<String> {
    let snapshot = row.snapshot.as_ref()?;
    let whole = if snapshot.complete { "complete" } else { "not complete" };
    Some(format!("{} {whole}", grouped(snapshot.count)))
}

/// One sentence of what to do; that nothing is to be done is seen before it is read.
pub fn advice(advice: &str) -> Markup {
    const NOTHING: &str = "nothing to do";
    html! {
        p.advice {
            @match advice.strip_prefix(NOTHING) {
                Some(rest) => { strong.fine { "Nothing to do" } (rest) }
                None => { strong { "Do: " } (advice) }
            }
        }
    }
}

/// What a person should know beyond the word, where there is something.
pub fn trouble(row: &StreamStatus) -> Markup {
    html! {
        @if let Some(error) = &row.error { p.error { (error) } }
        @for aside in &row.set_aside {
            p.error {
                "set aside" @if let Some(id) = &aside.id { " " code { (id) } }
                ": " (clock(&aside.from)) " to " (clock(&aside.to)) ": " (aside.reason)
            }
        }
        @if care(row) != Care::Fine || row.error.is_some() {
            (advice(&row.advice))
            @for notice in row.notices.iter().filter(|notice| notice.advice() != row.advice) {
                p.advice { strong { (notice) ": " } (notice.advice()) }
            }
        }
    }
}

/// A row for each.
pub fn table(rows: &[&StreamStatus], now_ms: i64, line: impl Fn(&StreamStatus) -> Markup) -> Markup {
    html! {
        @if !rows.is_empty() {
            table.streams {
                thead {
                    tr {
                        th scope="col" { "Stream" }
                        th scope="col" { "State" }
                        th.number scope="col" { "Lag" }
                        th scope="col" { "Last day" }
                        th.number scope="col" { "Next" }
                        th.number scope="col" { "Requests" }
                        th.number scope="col" { "Rows" }
                        th.number scope="col" { "Events" }
                        th.number scope="col" { "Repeated" }
                        th scope="col" { "Snapshot" }
                    }
                }
                tbody {
                    @for row in rows {
                        @let pull = row.last_pull;
                        @let figure = |number: fn(&crate::status::LastPull) -> u64| pull.as_ref().map_or_else(|| "–".to_owned(), |pull| grouped(number(pull)));
                        tr class=(class(care(row))) {
                            th scope="row" {
                                a href=(address(row)) {
                                    span.tenant { (row.tenant) } " "
                                    span.service { (row.service) @if let Some(query) = &row.query { " / " (query) } }
                                }
                            }
                            td { (badge(row)) }
                            td.number data-label="Lag" { (row.lag_s.map_or_else(|| "–".to_owned(), age)) }
                            td.line { (line(row)) }
                            td.number data-label="Next" { (next(row, now_ms)) }
                            td.number data-label="Requests" { (figure(|pull| pull.requests)) }
                            td.number data-label="Rows" { (figure(|pull| pull.rows)) }
                            td.number data-label="Events" { (figure(|pull| pull.events)) }
                            td.number data-label="Repeated" { (figure(|pull| pull.repeated)) }
                            td data-label="Snapshot" { (snapshot(row).unwrap_or_default()) }
                        }
                        @if care(row) != Care::Fine || row.error.is_some() {
                            tr class={ "more " (class(care(row))) } { td colspan="10" { (trouble(row)) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StreamKey;
    use crate::status::{Notes, Notice, StreamFacts};

    /// A row of a stream in that state.
    fn row(state: Word, notices: Vec<Notice>) -> StreamStatus {
        let facts = StreamFacts {
            stream: StreamKey { tenant: "id".to_owned(), service: "alerts".to_owned(), query: None },
            tenant: "Acme".to_owned(),
            backend: "mde",
            period: None,
            checkpoint_ms: None,
            snapshot: None,
            drift: false,
            set_aside: Vec::new(),
            counts: Vec::new(),
            error: None,
        };
        StreamStatus { state, notices, ..crate::status::stream(facts, &Notes::default(), true, 0) }
    }

    #[test]
    fn every_word_that_waits_for_nobody_is_fine_and_a_notice_makes_it_odd() {
        for word in Word::ALL {
            let fine = word.advice().starts_with("nothing to do")
                && !matches!(word, Word::Throttled | Word::Outage | Word::Incomplete);
            assert_eq!(care(&row(*word, Vec::new())) == Care::Fine, fine, "{word}");
        }
        assert_eq!(care(&row(Word::Current, vec![Notice::Silent])), Care::Odd);
        assert_eq!(care(&row(Word::Auth, vec![Notice::Silent])), Care::Bad);
    }

    #[test]
    fn a_row_is_found_by_parts_of_its_names_and_by_its_state() {
        let has = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            super::has(&row(Word::Denied, Vec::new()), &words)
        };
        assert!(has("") && has("acme") && has("ale den") && has("mde"));
        assert!(!has("acme machines") && !has("current"));
    }

    #[test]
    fn what_comes_from_a_server_is_shown_as_text() {
        let error = Some("<script>alert(1)</script>".to_owned());
        let row = StreamStatus { error, tenant: "a\"><b>".to_owned(), ..row(Word::Outage, Vec::new()) };
        let text = table(&[&row], 0, |_| html! {}).into_string();
        assert!(text.contains("&lt;script&gt;") && !text.contains("<script") && !text.contains("<b>"), "{text}");
    }
}
