//! `state show`: how everything stands, as a table or as JSON.

use super::super::chosen::Look;
use super::super::table::{Side, Table, width, wrapped};
use super::super::{Format, STORE, give, place, quotas, say};
use super::change::ended;
use super::configuration;
use crate::config::{Config, Persistence};
use crate::pipeline::survey::{self, Only, survey};
use crate::quota;
use crate::status::told::{age, clock, size};
use crate::status::{
    CountStatus, NOBODY_RUNS, Notes, OutputStatus, OutputWord, QuotaStatus, Status, StreamStatus, Word,
};
use crate::store::Notes as _;
use std::fmt::Write;

/// Shows it.
pub(super) async fn run(Look { source, chosen, format }: Look) -> Result<(), u8> {
    let config = configuration(&source)?;
    let chosen = chosen.resolve(&config)?;
    let store = place::look(&config).await?;
    let notes = Notes::read(&ended(store.notes().await)?);
    let only = Only { services: &chosen.services, tenants: &chosen.tenants };
    let quota = spent(&config).await?;
    let status = ended(survey(&config, only, &store, &notes, quota, place::wall()()).await)?;
    match format {
        Format::Json => give(serde_json::to_string(&status).expect("a status has a JSON form")),
        Format::Table => give(picture(&status, width()).trim_end()),
    }
    Ok(())
}

/// What was spent of the quotas; nothing where nobody has written any of it down.
async fn spent(config: &Config) -> Result<Vec<QuotaStatus>, u8> {
    let persistence = &config.globals.persistence;
    if !matches!(persistence, Persistence::Filesystem { directory } if quota::is_begun(directory)) {
        return Ok(Vec::new());
    }
    let quotas = quotas(config, persistence).await?;
    survey::quota(config, &quotas).await.map_err(|error| {
        say(format_args!("failed to {error}"));
        STORE
    })
}

/// The whole picture within so many columns.
fn picture(status: &Status, width: usize) -> String {
    let mut text = streams(&status.streams, width);
    text.push('\n');
    text += &outputs(&status.outputs, width);
    for (number, quota) in status.quota.iter().enumerate() {
        let (minute, hour) = (quota.minute, quota.hour);
        let gap = if number == 0 { "\n" } else { "" };
        writeln!(
            text,
            "{gap}quota    {} {}: {}/{} in the last minute, {}/{} in the last hour",
            quota.tenant, quota.family, minute.used, minute.limit, hour.used, hour.limit
        )
        .expect("a String takes everything");
    }
    let (bytes, most) = (size(status.outbox.bytes), size(status.outbox.max_bytes));
    writeln!(text, "\noutbox   {bytes} of {most}").expect("a String takes everything");
    text
}

/// A row for each stream, and below it what a person may have to know.
fn streams(rows: &[StreamStatus], width: usize) -> String {
    let columns = [
        ("STREAM", Side::Left),
        ("STATE", Side::Left),
        ("READ UP TO (UTC)", Side::Left),
        ("LAG", Side::Right),
        ("EVENTS", Side::Right),
    ];
    let mut table = Table::new(&columns, width);
    for row in rows {
        let name = [Some(&row.tenant), Some(&row.service), row.query.as_ref()];
        let name: Vec<&str> = name.into_iter().flatten().map(String::as_str).collect();
        table.row([
            name.join("/"),
            row.state.to_string(),
            row.checkpoint.as_ref().map_or_else(|| "-".to_owned(), |checkpoint| clock(checkpoint)),
            row.lag_s.map_or_else(|| "-".to_owned(), age),
            row.last_pull.map_or_else(|| "-".to_owned(), |pull| pull.events.to_string()),
        ]);
        if let Some(snapshot) = &row.snapshot {
            let whole = if snapshot.complete { "complete" } else { "not complete" };
            table.below(&wrapped(&format!("snapshot {}: {} entities, {whole}", snapshot.id, snapshot.count), width));
        }
        for aside in &row.set_aside {
            let what = aside.id.as_ref().map_or_else(String::new, |id| format!(" {id}"));
            let (from, to) = (clock(&aside.from), clock(&aside.to));
            table.below(&wrapped(&format!("set aside{what}: {from} to {to}: {}", aside.reason), width));
        }
        for count in &row.counts {
            table.below(&wrapped(&counted(count), width));
        }
        if let Some(error) = &row.error {
            table.below(&wrapped(&format!("error: {error}"), width));
        }
        if row.advice != NOBODY_RUNS && !row.advice.starts_with(Word::Current.advice()) {
            table.below(&wrapped(&format!("do: {}", row.advice), width));
        }
    }
    let mut text = table.text();
    if rows.iter().any(|row| row.advice == NOBODY_RUNS) {
        for line in wrapped(NOBODY_RUNS, width) {
            writeln!(text, "{line}").expect("a String takes everything");
        }
    }
    text
}

/// A related count in words: how it is had and why, how much of it is there, and how old.
fn counted(count: &CountStatus) -> String {
    let method = if count.method.is_empty() { "cannot be had" } else { &count.method };
    let mut text = format!("{}: {method}, {}", count.name, count.reason);
    if count.wanted > 0 {
        let known = format!("; {} of {} known", count.known, count.wanted);
        text += &known;
    }
    text += &count.age_s.map_or_else(String::new, |seconds| format!(", the oldest {} ago", age(seconds)));
    if count.failed > 0 {
        text += &format!(", {} failed last time", count.failed);
    }
    text + &count.error.as_ref().map_or_else(String::new, |error| format!("; its source failed: {error}"))
}

/// A row for each output.
fn outputs(rows: &[OutputStatus], width: usize) -> String {
    let columns = [
        ("OUTPUT", Side::Left),
        ("STATE", Side::Left),
        ("WAITING", Side::Right),
        ("ON DISK", Side::Right),
        ("OLDEST", Side::Right),
        ("DEAD", Side::Right),
        ("LOST", Side::Right),
        ("ON WAY", Side::Right),
    ];
    let mut table = Table::new(&columns, width);
    for row in rows {
        table.row([
            row.name.clone(),
            row.state.to_string(),
            row.depth_events.to_string(),
            size(row.depth_bytes),
            row.oldest_s.map_or_else(|| "-".to_owned(), age),
            row.dead_letters.to_string(),
            row.lost_events.to_string(),
            row.unconfirmed.to_string(),
        ]);
        let advice = match row.state {
            OutputWord::Retrying => Some(row.state.advice()),
            _ if row.dead_letters > 0 => Some(OutputWord::Refusing.advice()),
            _ => None,
        };
        if let Some(advice) = advice {
            table.below(&wrapped(&format!("do: {advice}"), width));
        }
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StreamKey;
    use crate::status::{LastPull, OutboxStatus, PositionStatus, SetAside, SnapshotStatus, WindowStatus};

    /// One of everything.
    fn status() -> Status {
        let stream = |service: &str, state, advice: &str| StreamStatus {
            tenant: "acme".to_owned(),
            service: service.to_owned(),
            query: None,
            backend: "mde",
            state,
            checkpoint: Some("2026-11-24T16:30:00.000Z".to_owned()),
            lag_s: Some(12),
            last_pull: Some(LastPull { requests: 3, rows: 120, events: 240, repeated: 7 }),
            snapshot: None,
            set_aside: Vec::new(),
            counts_age_s: None,
            counts: Vec::new(),
            error: None,
            advice: advice.to_owned(),
            notices: Vec::new(),
            next_ms: None,
            stream: StreamKey { tenant: "acme".to_owned(), service: service.to_owned(), query: None },
        };
        let reason = "the server failed with status 503 each time that this window was asked for".to_owned();
        let (from, to) = ("2026-11-24T09:00:00.000Z".to_owned(), "2026-11-24T09:00:00.001Z".to_owned());
        let alerts = StreamStatus {
            set_aside: vec![SetAside { from, to, id: Some("da_1".to_owned()), reason }],
            ..stream("alerts", Word::Incomplete, Word::Incomplete.advice())
        };
        let snapshot = Some(SnapshotStatus { id: "1764000000000".to_owned(), complete: true, count: 50_000 });
        let count = |name: &str, method: &str, reason: &str| CountStatus {
            name: name.to_owned(),
            method: method.to_owned(),
            reason: reason.to_owned(),
            wanted: 0,
            known: 0,
            failed: 0,
            age_s: None,
            error: None,
        };
        let users = CountStatus {
            wanted: 50_000,
            known: 31_206,
            failed: 2,
            age_s: Some(40_000),
            ..count("related_logon_users", "per_entity", "there is no other way that the application may use")
        };
        let software = count("related_software", "", "the application lacks the role for it");
        let machines = StreamStatus {
            snapshot,
            counts: vec![users, software],
            ..stream("machines", Word::Waiting, Word::Waiting.advice())
        };
        let denied = StreamStatus {
            query: Some("logons".to_owned()),
            checkpoint: None,
            lag_s: None,
            last_pull: None,
            error: Some("ask for hunting rows: 403, the application lacks a role".to_owned()),
            ..stream(
                "advanced_hunting",
                Word::Denied,
                "grant the application AdvancedQuery.Read.All, with admin consent",
            )
        };
        let output = |name: &str, state, dead_letters| OutputStatus {
            name: name.to_owned(),
            state,
            position: vec![PositionStatus { stream: "acme/alerts".to_owned(), batch: 3, frame: None }],
            depth_events: 1_204,
            depth_bytes: 734_003,
            oldest_s: Some(4_000),
            dead_letters,
            unconfirmed: 90,
            lost_events: 0,
        };
        Status {
            streams: vec![alerts, machines, denied],
            outputs: vec![output("devo_1", OutputWord::Connected, 0), output("files", OutputWord::Refusing, 2)],
            quota: Vec::new(),
            outbox: OutboxStatus { bytes: 734_003, max_bytes: 4 << 30 },
        }
    }

    #[test]
    fn the_table_is_as_it_is_drawn_here_and_fits_into_80_columns() {
        let text = picture(&status(), 80);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text, include_str!("golden/show.txt"), "{text}");
    }

    #[test]
    fn that_nobody_runs_is_told_once_and_quotas_stand_line_by_line() {
        let mut status = status();
        status.streams.iter_mut().for_each(|row| row.advice = NOBODY_RUNS.to_owned());
        let used = |used| WindowStatus { used, limit: 100, free_s: 0 };
        let quota = |family: &str| QuotaStatus {
            tenant: "acme".to_owned(),
            family: family.to_owned(),
            minute: used(1),
            hour: used(2),
        };
        status.quota = ["alerts", "hunting"].map(quota).into();
        let text = picture(&status, 80);
        assert_eq!(text.matches("no collector is running").count(), 1, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.iter().position(|line| line.starts_with("quota")).expect("a quota is shown");
        assert!(lines[first - 1].is_empty() && lines[first + 1].starts_with("quota"), "{text}");
    }

    #[test]
    fn in_100_columns_nothing_is_cut() {
        let text = picture(&status(), 100);
        assert!(text.lines().all(|line| line.chars().count() <= 100) && !text.contains('…'), "{text}");
    }

    #[test]
    fn the_json_has_the_names_that_are_promised() {
        let json = serde_json::to_value(status()).expect("JSON");
        let names = |value: &serde_json::Value| {
            value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&json), "outbox outputs quota streams");
        assert_eq!(
            names(&json["streams"][0]),
            "advice backend checkpoint counts counts_age_s error lag_s last_pull query service set_aside snapshot state tenant"
        );
        assert_eq!(names(&json["streams"][1]["counts"][0]), "age_s error failed known method name reason wanted");
        assert_eq!(names(&json["streams"][0]["last_pull"]), "events repeated requests rows");
        assert_eq!(names(&json["streams"][0]["set_aside"][0]), "from id reason to");
        assert_eq!(names(&json["streams"][1]["snapshot"]), "complete count id");
        assert_eq!(
            names(&json["outputs"][0]),
            "dead_letters depth_bytes depth_events lost_events name oldest_s position state unconfirmed"
        );
        assert_eq!(names(&json["outbox"]), "bytes max_bytes");
    }
}
