//! Rows of one query together with those of another. The right side is held in memory, the left one flows through.

use super::Query;
use super::expression::text;
use super::run::{Moment, Rows, run};
use crate::hunting::tables::Row;
use crate::odata::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A join.
#[derive(Clone, Debug)]
pub(super) struct Join {
    /// Which rows are kept.
    pub(super) kind: JoinKind,
    /// The other query.
    pub(super) right: Arc<Query>,
    /// Places of the keys in our rows.
    pub(super) left_keys: Vec<usize>,
    /// Places of the same in the other's.
    pub(super) right_keys: Vec<usize>,
    /// Columns of the other that are shown.
    pub(super) shown: Vec<usize>,
}

/// Which rows a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinKind {
    /// Each pair.
    Inner,
    /// Each pair, but of our rows with the same keys only the first: what the language does when nothing is said.
    InnerUnique,
    /// Each pair, and our rows without one.
    LeftOuter,
    /// Our rows that have a pair.
    LeftSemi,
    /// Our rows that have none.
    LeftAnti,
}

impl JoinKind {
    /// The kind of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "inner" => Self::Inner,
            "innerunique" => Self::InnerUnique,
            "leftouter" => Self::LeftOuter,
            "leftsemi" => Self::LeftSemi,
            "leftanti" | "anti" | "leftantisemi" => Self::LeftAnti,
            _ => return None,
        })
    }

    /// Whether the other's columns are shown.
    pub(super) fn shows_right(self) -> bool {
        !matches!(self, Self::LeftSemi | Self::LeftAnti)
    }
}

impl Join {
    /// The rows behind this step.
    pub(super) fn apply<'a>(&'a self, rows: Rows<'a>, moment: Moment<'a>) -> Rows<'a> {
        let mut others: HashMap<Vec<String>, Vec<Row>> = HashMap::new();
        for row in run(&self.right, moment) {
            let shown = self.shown.iter().map(|place| row[*place].clone()).collect();
            others.entry(keys(&row, &self.right_keys)).or_default().push(shown);
        }
        let mut seen = HashSet::new();
        Box::new(rows.flat_map(move |row| {
            let key = keys(&row, &self.left_keys);
            let found = others.get(&key).map(Vec::as_slice).unwrap_or_default();
            let pair = |other: &Row| row.iter().chain(other).cloned().collect();
            match self.kind {
                JoinKind::LeftSemi => (!found.is_empty()).then_some(row).into_iter().collect(),
                JoinKind::LeftAnti => found.is_empty().then_some(row).into_iter().collect(),
                JoinKind::LeftOuter if found.is_empty() => vec![pair(&vec![Value::Null; self.shown.len()])],
                JoinKind::InnerUnique if !seen.insert(key) => Vec::new(),
                _ => found.iter().map(pair).collect::<Vec<Row>>(),
            }
        }))
    }
}

/// The keys of a row.
fn keys(row: &Row, places: &[usize]) -> Vec<String> {
    places.iter().map(|place| text(&row[*place])).collect()
}
