//! The page of one stream: everything that is known of it, and its last pulls.

use super::chart::Line;
use super::{Named, grouped, layout, rows};
use crate::status::told::{age, clock};
use crate::status::{StreamStatus, moment, of_stream};
use crate::web::history::{History, Point, Pull};
use crate::web::keep::minute;
use crate::web::picture::Picture;
use maud::{Markup, html};

/// Every minute of the last day of a stream; nothing for one that is not known.
pub async fn day(picture: &Picture, named: &Named, history: &History) -> Vec<Point> {
    let Some(row) = picture.status.streams.iter().find(|row| named.is(row)) else { return Vec::new() };
    points(picture, row, history, 1).await
}

/// Its points; none where the history cannot be read.
async fn points(picture: &Picture, row: &StreamStatus, history: &History, step: i64) -> Vec<Point> {
    let name = of_stream(&row.stream);
    let found = history.points(&[&name], minute(picture.taken_ms), step).await;
    found.unwrap_or_default().remove(&name).unwrap_or_default()
}

/// The page; `None`: there is no such stream.
pub async fn stream(picture: &Picture, named: &Named, history: &History) -> Option<Markup> {
    let row = picture.status.streams.iter().find(|row| named.is(row))?;
    let points = points(picture, row, history, super::WIDE_STEP).await;
    let pulls = history.pulls(&of_stream(&row.stream)).await.unwrap_or_default();
    let source = rows::address(row).replace("/stream?", "/api/history?");
    let content = html! {
        p.path { a href="/" { "Streams" } " / " a href={ "/?" (super::query(&[("q", &row.tenant)])) } { (row.tenant) } }
        section data-live="stream" {
            h1 { (row.service) @if let Some(query) = &row.query { " / " (query) } " " (rows::badge(row)) }
            div class={ "trouble " (rows::class(rows::care(row))) } { (rows::trouble(row)) }
            (facts(row, picture.taken_ms))
        }
        section.charts {
            figure.chart data-source=(source) data-column="1" data-unit="seconds" data-label="lag" {
                figcaption { "Lag over the last day" }
                (Line::wide(&points, picture.taken_ms, |point| point.level, age))
            }
            figure.chart data-source=(source) data-column="2" data-unit="events" data-label="events" {
                figcaption { "Events a minute" }
                (Line::wide(&points, picture.taken_ms, |point| Some(point.flow), grouped))
            }
        }
        section data-live="pulls" aria-labelledby="pulls" {
            h2 #pulls { "Last pulls" }
            (last(&pulls))
        }
    };
    Some(layout(picture, &rows::name(row), &content))
}

/// What is known, one line each.
fn facts(row: &StreamStatus, now_ms: i64) -> Markup {
    let checkpoint = row.checkpoint.as_ref().map_or_else(|| "nothing yet".to_owned(), |moment| clock(moment) + " UTC");
    html! {
        dl.facts {
            div { dt { "Read up to" } dd { (checkpoint) } }
            div { dt { "Lag" } dd { (row.lag_s.map_or_else(|| "–".to_owned(), age)) } }
            div { dt { "Next pull" } dd { (rows::next(row, now_ms)) } }
            div { dt { "Read from" } dd { (row.backend) } }
            @if let Some(snapshot) = &row.snapshot {
                div { dt { "Snapshot " code { (snapshot.id) } } dd { (rows::snapshot(row).unwrap_or_default()) } }
            }
            @if let Some(seconds) = row.counts_age_s { div { dt { "Oldest count in use" } dd { (age(seconds)) } } }
            @if let Some(pull) = row.last_pull {
                div {
                    dt { "Last whole pull" }
                    dd {
                        "requests " (grouped(pull.requests)) " · rows " (grouped(pull.rows)) " · events " (grouped(pull.events))
                        " · repeated " (grouped(pull.repeated))
                    }
                }
            }
        }
    }
}

/// A row for each pull, the newest first.
fn last(pulls: &[Pull]) -> Markup {
    html! {
        @if pulls.is_empty() { p.none { "No pull has ended yet." } } @else {
            table.pulls {
                thead {
                    tr {
                        th scope="col" { "Began (UTC)" }
                        th.number scope="col" { "Took" }
                        th.number scope="col" { "Requests" }
                        th.number scope="col" { "Rows" }
                        th.number scope="col" { "Events" }
                        th.number scope="col" { "Repeated" }
                        th scope="col" { "Ended" }
                    }
                }
                tbody {
                    @for pull in pulls {
                        tr class=(if pull.error.is_some() { "odd" } else { "fine" }) {
                            th scope="row" { (clock(&moment(pull.began_ms))) }
                            td.number data-label="Took" { (took(pull.took_ms)) }
                            @match pull.came_to {
                                Some(came_to) => {
                                    td.number data-label="Requests" { (grouped(came_to.requests)) }
                                    td.number data-label="Rows" { (grouped(came_to.rows)) }
                                    td.number data-label="Events" { (grouped(came_to.events)) }
                                    td.number data-label="Repeated" { (grouped(came_to.repeated)) }
                                }
                                None => { td colspan="4" {} }
                            }
                            td data-label="Ended" { (pull.error.as_deref().unwrap_or("whole")) }
                        }
                    }
                }
            }
        }
    }
}

/// A time that may be short.
fn took(ms: u64) -> String {
    if ms < 10_000 { format!("{}.{:03}s", ms / 1_000, ms % 1_000) } else { age(ms / 1_000) }
}
