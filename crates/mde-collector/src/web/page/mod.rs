//! The pages: drawn on the server, complete without a script.

mod chart;
mod explained;
mod outputs;
mod rows;
mod stream;

pub use explained::explain;
pub use stream::{day, stream};

use super::asset;
use super::history::{History, Point};
use super::keep::{OUTBOX, minute};
use super::picture::Picture;
use crate::status::told::{age, clock, size};
use crate::status::{Status, StreamStatus, Word, moment, of_output, of_stream};
use chart::Line;
use maud::{DOCTYPE, Markup, html};
use rows::Care;
use serde::Deserialize;

/// Streams on one page.
const PER_PAGE: usize = 100;
/// Budgets on one page, the fullest first.
const QUOTAS: usize = 30;
/// Minutes between two points of a small drawing.
const SMALL_STEP: i64 = 15;

/// Minutes between two points of a wide one.
const WIDE_STEP: i64 = 2;

/// What of the streams is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Asked {
    /// Words that all stand somewhere in the row's names or state.
    #[serde(default)]
    q: String,
    /// Which page, from 1.
    #[serde(default)]
    page: usize,
}

/// A stream as an address names it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Named {
    /// Name of the input.
    #[serde(default)]
    tenant: String,
    /// Canonical name of the service.
    #[serde(default)]
    service: String,
    /// Name of the hunting query.
    #[serde(default)]
    query: String,
}

impl Named {
    /// Whether it is this one.
    fn is(&self, row: &StreamStatus) -> bool {
        row.tenant == self.tenant && row.service == self.service && row.query.as_deref().unwrap_or("") == self.query
    }
}

/// The frame around every page.
fn layout(picture: &Picture, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · mde-collector" }
                link rel="icon" type="image/svg+xml" href=(asset::address("/icon.svg"));
                link rel="stylesheet" href=(asset::address("/uplot.css"));
                link rel="stylesheet" href=(asset::address("/status.css"));
                script src=(asset::address("/uplot.js")) defer {}
                script src=(asset::address("/status.js")) defer {}
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header {
                    a.home href="/" { "mde-collector" }
                    nav {
                        a href="/" { "Streams" }
                        a href="/explain" { "Explain a record" }
                        a href="/metrics" { "Metrics" }
                        a href="/api/status" { "JSON" }
                    }
                    p.clock #clock data-live="clock" {
                        @if picture.failed { strong.bad { "not renewed since " } }
                        time datetime=(moment(picture.taken_ms)) { (clock(&moment(picture.taken_ms))) " UTC" }
                    }
                }
                main #content { (content) }
                p #news .unseen role="status" {}
            }
        }
    }
}

/// A page that says only this.
pub fn nothing(picture: &Picture, text: &str) -> Markup {
    layout(picture, "Nothing", &html! { h1 { (text) } p { a href="/" { "All streams" } } })
}

/// Everything at a glance.
pub async fn overview(picture: &Picture, asked: &Asked, history: &History) -> Markup {
    let status = &picture.status;
    let words: Vec<String> = asked.q.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let mut found: Vec<&StreamStatus> = status.streams.iter().filter(|row| rows::has(row, &words)).collect();
    // What needs a person comes first; the rest keeps the order of the configuration.
    found.sort_by_key(|row| rows::care(row));
    let pages = found.len().div_ceil(PER_PAGE).max(1);
    let page = asked.page.clamp(1, pages);
    let shown: Vec<&StreamStatus> = found.iter().skip((page - 1) * PER_PAGE).take(PER_PAGE).copied().collect();
    let names: Vec<String> = shown
        .iter()
        .map(|row| of_stream(&row.stream))
        .chain(status.outputs.iter().map(|row| of_output(&row.name)))
        .chain([OUTBOX.to_owned()])
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // A history that cannot be read leaves the drawings empty.
    let points = history.points(&names, minute(picture.taken_ms), SMALL_STEP).await.unwrap_or_default();
    let line = |name: &str, level: Option<u64>, unit| {
        // The drawing ends with the present.
        let mut points = points.get(name).cloned().unwrap_or_default();
        points.push(Point { minute: minute(picture.taken_ms), level: level.map(u64::cast_signed), flow: 0 });
        Line::small(&points, picture.taken_ms, unit)
    };
    let content = html! {
        h1.unseen { "How things stand" }
        section.tiles data-live="tiles" aria-label="Summary" { (tiles(status, &line(OUTBOX, Some(status.outbox.bytes), size))) }
        section aria-labelledby="streams" {
            div.head {
                h2 #streams { "Streams" }
                form.search method="get" action="/" role="search" {
                    input type="search" name="q" value=(asked.q) placeholder="tenant, service, state …" aria-label="Find streams"
                        autocomplete="off" spellcheck="false";
                    button { "Find" }
                }
            }
            div data-live="streams" {
                (rows::table(&shown, picture.taken_ms, |row| line(&of_stream(&row.stream), row.lag_s, age)))
                (pager(asked, found.len(), page, pages))
            }
        }
        section aria-labelledby="outputs" data-live="outputs" {
            h2 #outputs { "Outputs" }
            (outputs::outputs(&status.outputs, |row| line(&of_output(&row.name), Some(row.depth_bytes), size)))
        }
        section aria-labelledby="quota" data-live="quota" {
            h2 #quota { "Quota" }
            (outputs::quota(&status.quota, &words, QUOTAS))
        }
    };
    layout(picture, "Streams", &content)
}

/// The summary.
fn tiles(status: &Status, outbox: &Markup) -> Markup {
    let all = status.streams.len();
    let of = |care: Care| status.streams.iter().filter(|row| rows::care(row) == care).count();
    let (bad, odd) = (of(Care::Bad), of(Care::Odd));
    let furthest = status.streams.iter().filter(|row| row.lag_s.is_some()).max_by_key(|row| row.lag_s);
    let (bytes, most) = (status.outbox.bytes, status.outbox.max_bytes);
    let troubled = status.outputs.iter().filter(|row| super::metrics::needs_a_person(row.state)).count();
    html! {
        div.tile.bad[bad > 0].odd[bad == 0 && odd > 0] {
            h3 { "Streams" }
            @if bad + odd == 0 { p.big { (all) " fine" } } @else {
                p.big { (bad + odd) " of " (all) " to look at" }
            }
            p.words {
                @for word in Word::ALL {
                    @let count = status.streams.iter().filter(|row| row.state == *word).count();
                    @if count > 0 { a href={ "/?q=" (word.name()) } { (count) " " (word.name()) } " " }
                }
            }
        }
        div.tile {
            h3 { "Furthest behind" }
            @match furthest {
                Some(row) => {
                    p.big { (age(row.lag_s.unwrap_or(0))) }
                    p { a href=(rows::address(row)) { (rows::name(row)) } }
                }
                None => { p.big { "–" } p { "nothing read yet" } }
            }
        }
        div.tile.odd[bytes >= most] {
            h3 { "Outbox" }
            p.big { (size(bytes)) small { " of " (size(most)) } }
            (outbox)
        }
        div.tile.odd[troubled > 0] {
            h3 { "Outputs" }
            @if troubled == 0 { p.big { (status.outputs.len()) " fine" } } @else {
                p.big { (troubled) " of " (status.outputs.len()) " to look at" }
            }
            @let waiting: u64 = status.outputs.iter().map(|row| row.depth_events).sum();
            p { "events waiting: " (grouped(waiting)) }
        }
    }
}

/// Which part is shown, and the ways to the others.
fn pager(asked: &Asked, found: usize, page: usize, pages: usize) -> Markup {
    let to = |page: usize| format!("/?{}", query(&[("q", &asked.q), ("page", &page.to_string())]));
    html! {
        @if found == 0 { p.none { "No stream has all of these words." } }
        @if pages > 1 {
            nav.pager aria-label="Pages" {
                @if page > 1 { a rel="prev" href=(to(page - 1)) { "← before" } }
                span { "page " (page) " of " (pages) ", " (grouped(found as u64)) " streams" }
                @if page < pages { a rel="next" href=(to(page + 1)) { "next →" } }
            }
        }
    }
}

/// An address's query.
fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let told = [0, 999, 1_000, 12_345_678].map(|number| grouped(number).replace('\u{202f}', " "));
        assert_eq!(told, ["0", "999", "1 000", "12 345 678"]);
    }

    #[test]
    fn what_was_searched_for_cannot_leave_its_place_in_an_address() {
        assert_eq!(query(&[("q", "a&b=\"<"), ("page", "2")]), "q=a%26b%3D%22%3C&page=2");
    }
}
