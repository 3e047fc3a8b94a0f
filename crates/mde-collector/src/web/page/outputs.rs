//! The tables of outputs and budgets.

use super::grouped;
use crate::status::told::{age, size};
use crate::status::{OutputStatus, OutputWord, QuotaStatus, WindowStatus};
use crate::web::metrics::needs_a_person;
use maud::{Markup, html};

/// A row for each output.
pub fn outputs(rows: &[OutputStatus], line: impl Fn(&OutputStatus) -> Markup) -> Markup {
    html! {
        table.outputs {
            thead {
                tr {
                    th scope="col" { "Output" }
                    th scope="col" { "State" }
                    th.number scope="col" { "Waiting" }
                    th.number scope="col" { "On disk" }
                    th scope="col" { "Last day" }
                    th.number scope="col" { "Oldest" }
                    th.number scope="col" { "On the way" }
                    th.number scope="col" { "Dead letters" }
                    th.number scope="col" { "Lost" }
                }
            }
            tbody {
                @for row in rows {
                    @let odd = needs_a_person(row.state) || row.dead_letters > 0 || row.lost_events > 0;
                    @let class = if odd { "odd" } else { "fine" };
                    tr class=(class) {
                        th scope="row" { (row.name) }
                        td { span class={ "badge " (class) } { (row.state) } }
                        td.number data-label="Waiting" { (grouped(row.depth_events)) }
                        td.number data-label="On disk" { (size(row.depth_bytes)) }
                        td.line { (line(row)) }
                        td.number data-label="Oldest" { (row.oldest_s.map_or_else(|| "–".to_owned(), age)) }
                        td.number data-label="On the way" { (grouped(row.unconfirmed)) }
                        td.number data-label="Dead letters" { (grouped(row.dead_letters)) }
                        td.number data-label="Lost" { (grouped(row.lost_events)) }
                    }
                    @if odd {
                        @let advice = if row.state == OutputWord::Retrying { row.state.advice() }
                            else if row.dead_letters > 0 { OutputWord::Refusing.advice() }
                            else { row.state.advice() };
                        tr.more.odd { td colspan="9" { (super::rows::advice(advice)) } }
                    }
                }
            }
        }
    }
}

/// A row for each budget, the fullest first, of the tenants that have all of these words.
pub fn quota(rows: &[QuotaStatus], words: &[String], most: usize) -> Markup {
    let of = |row: &&QuotaStatus| {
        words.iter().all(|word| row.tenant.to_lowercase().contains(word) || row.family.to_lowercase().contains(word))
    };
    let mut found: Vec<&QuotaStatus> = rows.iter().filter(of).collect();
    // A search for a state or a service names no budget; then all are of interest.
    if found.is_empty() {
        found = rows.iter().collect();
    }
    found.sort_by_key(|row| std::cmp::Reverse(fullness(row.minute).max(fullness(row.hour))));
    html! {
        @if found.is_empty() { p.none { "Nothing was spent in the last hour." } } @else {
            table.quota {
                thead {
                    tr {
                        th scope="col" { "Tenant" }
                        th scope="col" { "Calls of" }
                        th scope="col" { "Last minute" }
                        th scope="col" { "Last hour" }
                        th.number scope="col" { "Free" }
                    }
                }
                tbody {
                    @for row in found.iter().take(most) {
                        tr {
                            th scope="row" { (row.tenant) }
                            td { (row.family) }
                            td data-label="Last minute" { (window(row.minute)) }
                            td data-label="Last hour" { (window(row.hour)) }
                            td.number data-label="Free" {
                                @match row.minute.free_s.max(row.hour.free_s) {
                                    0 => { "now" }
                                    seconds => { "in " (age(seconds)) }
                                }
                            }
                        }
                    }
                }
            }
            @if found.len() > most { p.none { (grouped((found.len() - most) as u64)) " more are less full." } }
        }
    }
}

/// In thousandths.
fn fullness(window: WindowStatus) -> u64 {
    window.used.saturating_mul(1_000) / window.limit.max(1)
}

/// A window as a bar with its numbers.
fn window(WindowStatus { used, limit, .. }: WindowStatus) -> Markup {
    html! {
        meter min="0" max=(limit) value=(used.min(limit)) high=(limit * 9 / 10) optimum="0" {}
        " " span.figures { (grouped(used)) " / " (grouped(limit)) }
    }
}
