//! What the machines' tests share: a small server, a store that forgets what it is told to, and the loop between them.

use super::window::Rules;
use super::window::list::List;
use super::{Answer, Ask, Condition, Failure, Gap, Machine, More, Now, Outcome, Row, Slice, Step, TICKS};
use crate::record::VersionKey;
use std::collections::{BTreeMap, BTreeSet};

/// A moment. Unit: milliseconds since 1970, UTC.
pub const NOW: i64 = 1_800_000_000_000;
/// Unit: milliseconds.
pub const HOUR: i64 = 3_600_000;
/// Fields of the server's records that split.
pub const SPLITS: &[(&str, &[&str])] = &[("severity", &["Low", "High"]), ("status", &["New", "Resolved"])];

/// What windows over the server's records keep to, as alerts do.
pub fn alert_rules(page_cap: u64) -> Rules {
    Rules {
        source: List { time: "lastUpdateTime", splits: SPLITS, page_cap, expands: true, skip_cap: None },
        overlap_ms: 600_000,
        sweep_every_ms: HOUR,
        sweep_back_ms: 24 * HOUR,
        open_ms: None,
        historical_ms: None,
        until_ms: None,
        once: false,
    }
}

/// How a server pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// Without `$top` so many rows and a link to more.
    Link(u64),
    /// Without `$top` so many rows and no link: the rest is hidden.
    Hidden(u64),
    /// Never more than so many rows, and the number of all beside them; `$skip` beyond 500 is refused.
    Counted(u64),
}

impl Paging {
    /// The rows of an answer, and what it says about more.
    pub fn page<T>(self, rows: Vec<T>, top: Option<u64>, skip: u64) -> (Vec<T>, More) {
        let all = rows.len() as u64;
        let (page, link) = match (top, self) {
            (top, Self::Counted(cap)) => {
                assert!(skip <= 500, "$skip={skip} is refused");
                (top.unwrap_or(cap).min(cap), false)
            }
            (Some(top), _) => (top, false),
            (None, Self::Link(page)) => (page, all > skip + page),
            (None, Self::Hidden(page)) => (page, false),
        };
        let counted = matches!(self, Self::Counted(_)) && all > skip + page;
        let rows = rows.into_iter().skip(skip as usize).take(page as usize).collect();
        let more = if counted { More::Elsewhere } else { More::Nothing };
        (rows, if link { More::Link } else { more })
    }
}

/// A key for each number.
pub fn key(number: u64) -> VersionKey {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    VersionKey(bytes)
}

/// What a server has of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Unit: 100 ns since 1970.
    pub time: Option<i64>,
    /// Index of its values, the last of which no table knows.
    pub severity: usize,
    pub status: usize,
    /// Whether it has not ended.
    pub open: bool,
    /// Grows with each change.
    pub version: u64,
}

impl Record {
    pub fn at_ms(ms: i64) -> Self {
        Self { time: Some(ms * TICKS), severity: 0, status: 0, open: false, version: 0 }
    }

    /// A key for each version of each number.
    pub fn key(self, number: u64) -> VersionKey {
        key(number | self.version << 32)
    }
}

/// Records, how they are given out, and what fails.
#[derive(Debug, Clone)]
pub struct Server {
    pub records: BTreeMap<u64, Record>,
    pub paging: Paging,
    /// Newest first, else by number.
    pub newest_first: bool,
    /// Answers that would hold one of these fail.
    pub bad: BTreeSet<u64>,
    /// Likewise, but only with what hangs on them.
    pub bad_whole: BTreeSet<u64>,
    /// Every answer with what hangs on rows fails, with or without rows.
    pub whole_fails: bool,
    /// Every list fails that may hold more than one row.
    pub lists_fail: bool,
    /// Everything fails.
    pub down: bool,
    /// Rows that a query answers at most, and that make it too large.
    pub row_cap: usize,
    pub too_large: usize,
    /// Where the last link leads.
    pub link: u64,
}

/// Rows by number.
pub type Rows = Vec<(u64, Record)>;

impl Server {
    pub fn new(records: impl IntoIterator<Item = Record>, paging: Paging) -> Self {
        Self {
            records: (0..).zip(records).collect(),
            paging,
            newest_first: false,
            bad: BTreeSet::new(),
            bad_whole: BTreeSet::new(),
            whole_fails: false,
            lists_fail: false,
            down: false,
            row_cap: usize::MAX,
            too_large: usize::MAX,
            link: 0,
        }
    }

    fn fails(&self, rows: &Rows, whole: bool) -> bool {
        let is_bad =
            |(number, _): &(u64, Record)| self.bad.contains(number) || (whole && self.bad_whole.contains(number));
        self.down || (whole && self.whole_fails) || rows.iter().any(is_bad)
    }

    fn list(&mut self, ask: &Ask) -> Result<(Rows, More), Failure> {
        let mut rows: Rows = self.records.clone().into_iter().filter(|row| ask.follow || holds(row, ask)).collect();
        if self.newest_first {
            rows.sort_by_key(|row| std::cmp::Reverse(row.1.time));
        }
        let skip = if ask.follow { self.link } else { ask.skip.unwrap_or(0) };
        let (rows, more) = self.paging.page(rows, ask.top, skip);
        self.link = skip + rows.len() as u64;
        let fails = self.fails(&rows, ask.whole) || (self.lists_fail && ask.top != Some(1));
        if fails { Err(Failure::Server("500".to_owned())) } else { Ok((rows, more)) }
    }

    fn one(&self, id: &str) -> Result<Rows, Failure> {
        let number = id[1..].parse().expect("our own ids");
        let rows = vec![(number, *self.records.get(&number).ok_or(Failure::NotFound)?)];
        if self.fails(&rows, true) { Err(Failure::Server("500".to_owned())) } else { Ok(rows) }
    }

    pub fn slice(&self, slice: &Slice) -> Result<Rows, Failure> {
        let holds = |(number, record): &(u64, Record)| {
            let inside = slice.span.is_none_or(|(from_ms, to_ms)| {
                record.time.is_some_and(|time| (from_ms * TICKS..to_ms * TICKS).contains(&time))
            });
            // Numbers are no hash, so that some parts stay larger than others.
            inside && slice.part.is_none_or(|(part, parts)| (number / 3) % parts == part)
        };
        let rows: Rows = self.records.clone().into_iter().filter(holds).collect();
        if rows.len() > self.too_large {
            return Err(Failure::TooLarge);
        }
        let rows: Rows = rows.into_iter().take(self.row_cap).collect();
        if self.fails(&rows, false) { Err(Failure::Server("500".to_owned())) } else { Ok(rows) }
    }
}

/// Whether a row is asked for.
fn holds((number, record): &(u64, Record), ask: &Ask) -> bool {
    ask.conditions.iter().all(|condition| {
        let value = |field: &str| match field {
            "severity" => ["Low", "High", "Odd"][record.severity],
            _ => ["New", "Resolved", "Odd"][record.status],
        };
        match condition {
            Condition::Time { from_ms, to_ms, .. } => {
                record.time.is_some_and(|time| (from_ms * TICKS..to_ms * TICKS).contains(&time))
            }
            Condition::Is(field, wanted) => value(field) == *wanted,
            Condition::IsNone(field, unwanted) => !unwanted.contains(&value(field)),
            Condition::NotOneOf(ids) => !ids.contains(&format!("a{number}")),
        }
    })
}

/// What a store has committed.
#[derive(Debug, Default)]
pub struct Store {
    pub checkpoint_ms: Option<i64>,
    pub memory: Option<String>,
    /// Keys that are not forgotten, with their times. Unit: milliseconds since 1970, UTC.
    pub known: BTreeMap<VersionKey, i64>,
    /// Every event, in order.
    pub events: Vec<VersionKey>,
    /// Questions, over all pulls.
    pub asks: usize,
    /// What was set aside, over all pulls.
    pub set_aside: Vec<Gap>,
}

impl Store {
    /// The memory, as a restart reads it.
    pub fn memory<M: serde::de::DeserializeOwned>(&self) -> Option<M> {
        self.memory.as_deref().map(|text| serde_json::from_str(text).expect("plain"))
    }

    /// Whether any version left twice.
    pub fn is_doubled(&self) -> bool {
        self.events.iter().collect::<BTreeSet<_>>().len() != self.events.len()
    }

    fn commit(&mut self, rows: Vec<(VersionKey, i64)>, outcome: Outcome) {
        for (key, time_ms) in rows {
            if self.known.insert(key, time_ms).is_none() {
                self.events.push(key);
            }
        }
        let forward =
            outcome.checkpoint_ms.is_none() || outcome.backwards || outcome.checkpoint_ms > self.checkpoint_ms;
        assert!(forward, "only forward: {outcome:?}");
        self.checkpoint_ms = outcome.checkpoint_ms.or(self.checkpoint_ms);
        self.memory = outcome.memory.or(self.memory.take());
        if let Some(before_ms) = outcome.forget_before_ms {
            let is_kept =
                |time_ms: i64| outcome.keep.iter().any(|&(from_ms, to_ms)| (from_ms..to_ms).contains(&time_ms));
            self.known.retain(|_, &mut time_ms| time_ms >= before_ms || is_kept(time_ms));
        }
        self.set_aside.extend(outcome.set_aside);
    }

    /// One pull; `kill`: it ends before the commit of that question's answer. Says whether it came to its end.
    pub fn pull(&mut self, machine: &mut dyn Machine, server: &mut Server, ms: i64, kill: Option<usize>) -> bool {
        let now = Now { ms, sure: true };
        let begun = machine.begin(now);
        self.commit(Vec::new(), begun);
        let mut asks = 0;
        while let Some(step) = machine.next(now) {
            asks += 1;
            self.asks += 1;
            assert!(asks < 20_000, "no end: {step:?} {machine:?}", machine = machine.gaps());
            let answer = match &step {
                Step::List(ask) => server.list(ask),
                Step::One(id) => server.one(id).map(|rows| (rows, More::Nothing)),
                Step::Slice(slice) => server.slice(slice).map(|rows| (rows, More::Nothing)),
                other => panic!("windows do not ask {other:?}"),
            };
            let mut stored = Vec::new();
            let outcome = match answer {
                Err(failure) => match machine.failed(&failure, now) {
                    Some(outcome) => outcome,
                    None => return false,
                },
                Ok((rows, more)) => {
                    for (number, record) in rows {
                        let (key, id) = (record.key(number), format!("a{number}"));
                        let row = Row { key, id: &id, time: record.time, open: record.open };
                        if let Some(kept_ms) = machine.row(row).expect("the server keeps to the question") {
                            stored.push((key, kept_ms));
                        }
                    }
                    match machine.answered(Answer::Rows(more)) {
                        Ok(outcome) => outcome,
                        Err(_) => return false,
                    }
                }
            };
            if kill == Some(asks) {
                return false;
            }
            self.commit(stored, outcome);
        }
        true
    }
}
