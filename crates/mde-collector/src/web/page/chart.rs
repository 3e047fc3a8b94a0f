//! Drawings without a script: one line in an SVG.

use super::{SMALL_STEP, WIDE_STEP};
use crate::web::history::{DAY, Point};
use crate::web::keep::minute;
use maud::{Markup, html};
use std::fmt::Write;

/// A line over the last day.
pub struct Line;

impl Line {
    /// The levels of a series, small enough for a row. Where there is no point the line is broken.
    pub fn small(points: &[Point], now_ms: i64, told: fn(u64) -> String) -> Markup {
        draw(points, (minute(now_ms), SMALL_STEP), (120, 24), |point| point.level, told)
    }

    /// The same over the whole page: levels, or what flowed.
    pub fn wide(points: &[Point], now_ms: i64, value: fn(&Point) -> Option<i64>, told: fn(u64) -> String) -> Markup {
        draw(points, (minute(now_ms), WIDE_STEP), (720, 120), value, told)
    }
}

/// Draws values between 0 and their largest one.
fn draw(
    points: &[Point],
    (now, step): (i64, i64),
    (width, height): (i64, i64),
    value: impl Fn(&Point) -> Option<i64>,
    told: fn(u64) -> String,
) -> Markup {
    let values: Vec<(i64, i64)> = points.iter().filter_map(|point| Some((point.minute, value(point)?))).collect();
    let Some(most) = values.iter().map(|(_, value)| *value).max() else {
        return html! { span.muted { "no history yet" } };
    };
    let (mut path, mut last) = (String::new(), None);
    for (minute, value) in values {
        let x = (minute - (now - DAY)).clamp(0, DAY) * width / DAY;
        let y = height - 1 - value.max(0) * (height - 2) / most.max(1);
        let pen = if last.is_some_and(|last| minute - last <= 2 * step) { 'L' } else { 'M' };
        write!(path, "{pen}{x} {y}").expect("a String takes everything");
        if pen == 'M' {
            // A point that stands alone is seen as well.
            path.push_str("h1");
        }
        last = Some(minute);
    }
    let most = format!("the last day, at most {}", told(most.max(0).unsigned_abs()));
    html! {
        svg.line viewBox={ "0 0 " (width) " " (height) } preserveAspectRatio="none" role="img" aria-label=(most) {
            title { (most) }
            path d=(path) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_nobody_looked_and_ends_at_the_right() {
        let now = 10 * DAY;
        let point = |minute, level| Point { minute, level: Some(level), flow: 0 };
        let points = [point(now - DAY, 0), point(now - DAY + 15, 5), point(now - 15, 10), point(now, 10)];
        let text = Line::small(&points, now * 60_000, |value| value.to_string()).into_string();
        assert!(text.contains("M0 23h1L1 12M118 1h1L120 1"), "{text}");
        assert!(text.contains("at most 10"), "{text}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(Line::small(&[], 0, |value| value.to_string()).into_string().contains("no history"));
    }
}
