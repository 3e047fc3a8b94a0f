//! `state import-official`: goes on where the official collector stood.
//!
//! It keeps one file for each service, a pickle of plain values, under the MD5 of `input;id;service;submodule`. What counts is the
//! time up to which it has read a source by windows of time; a source that is read by snapshots begins with one anyway.

use super::super::{PARTLY, USAGE, give, place, say};
use super::change::ended;
use super::pickle::{self, Value};
use super::{ImportOfficial, configuration};
use crate::config::{Config, Input, ServiceConfig};
use crate::pipeline::clock::{Clock, SystemClock};
use crate::pull::window::Memory;
use crate::record::{StreamKey, hex};
use crate::service::Pull;
use crate::status::moment;
use crate::store::sqlite::SqliteStore;
use crate::store::{Checkpoints, Commit, Leases, Outbox, Progress, Store, StoreError};
use md5::{Digest, Md5};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A state file is small. Unit: octets.
const MOST: u64 = 16 << 20;
/// Names under which a time may stand, the surest first.
const TIMES: &[&str] =
    &["lastPollTime", "last_poll_time", "last_event_time", "lastUpdateTime", "last_update_time", "start_time"];
/// Above this a bare number is milliseconds, not seconds.
const SECONDS: f64 = 100_000_000_000.0;

/// Takes over what can be taken over.
pub(super) async fn run(ImportOfficial { directory, source }: ImportOfficial) -> Result<(), u8> {
    let config = configuration(&source)?;
    let files = files(&directory).map_err(|error| {
        say(format_args!("failed to read {}: {error}", directory.display()));
        USAGE
    })?;
    let store = place::open(&config).await?;
    let mut taken = 0;
    for (name, content) in files {
        let found = match read(&content) {
            Ok(found) => found,
            Err(why) => {
                say(format_args!("{name}: passed over: {why}"));
                continue;
            }
        };
        let owner = owner(&config, &name);
        let (Some(time_ms), Some((input, service))) = (found, owner) else {
            match (found, owner) {
                (Some(time_ms), _) => say(format_args!(
                    "{name}: of no service of this configuration (its name is made from input, id and service); it has read up to {0}: \
                     write `historical_poll_datetime: {0}` to the service that it belongs to",
                    moment(time_ms)
                )),
                _ => say(format_args!("{name}: passed over: there is no time in it")),
            }
            continue;
        };
        let stream = StreamKey { tenant: input.id.clone(), service: service.def.name.to_owned(), query: None };
        let Pull::Window { .. } = service.pull else {
            say(format_args!("{stream}: nothing to take over, it begins with a reading of its own"));
            continue;
        };
        if ended(take_over(&store, &stream, service, time_ms).await)? {
            give(format_args!("{stream}: goes on from {}", moment(time_ms)));
            taken += 1;
        } else {
            say(format_args!("{stream}: has been pulled here already and stays as it is"));
        }
    }
    ended(store.close().await)?;
    if taken == 0 {
        say("nothing was taken over; `historical_poll_datetime` in a service says where its first pull starts");
        return Err(PARTLY);
    }
    Ok(())
}

/// The files of a folder, in the order of their names, our own left out.
fn files(directory: &Path) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, about) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata()?);
        if about.is_file() && about.len() <= MOST && !name.starts_with("mde-collector") {
            files.push((name, fs::read(entry.path())?));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The time up to which a file's service was read; `None` where it tells none. Unit: milliseconds since 1970, UTC.
fn read(content: &[u8]) -> Result<Option<i64>, String> {
    match content {
        [0x80, 2..=5, ..] => Ok(time_in(&pickle::read(content)?)),
        [0x1f, 0x8b, ..] | [0x78, ..] => {
            Err("a compressed form, of version 1.12 or later, that is not read".to_owned())
        }
        _ => Err("it is no pickle".to_owned()),
    }
}

/// The first of the known times in a dictionary, or in one inside it.
fn time_in(value: &Value) -> Option<i64> {
    let Value::Dict(items) = value else { return None };
    let here = TIMES.iter().find_map(|name| value.get(name).and_then(time));
    here.or_else(|| items.iter().find_map(|(_, inner)| time_in(inner)))
}

/// A value as a time. Unit: milliseconds since 1970, UTC.
#[expect(clippy::cast_possible_truncation, reason = "a time far outside the calendar is none, wherever it is cut")]
#[expect(clippy::cast_precision_loss, reason = "a time in this era is exact to the millisecond")]
fn time(value: &Value) -> Option<i64> {
    let number = |number: f64| {
        let ms = if number.abs() > SECONDS { number } else { number * 1_000.0 };
        (ms.is_finite() && ms > 0.0).then_some(ms as i64)
    };
    match value {
        Value::Text(text) | Value::Moment(text) => {
            let zoned = text.parse::<jiff::Timestamp>().ok();
            // Without a zone it is UTC.
            let time = zoned.or_else(|| format!("{text}Z").parse().ok())?;
            Some(time.as_millisecond())
        }
        Value::Int(seconds) => number(*seconds as f64),
        Value::Float(seconds) => number(*seconds),
        _ => None,
    }
}

/// The service whose file has this name.
fn owner<'a>(config: &'a Config, name: &str) -> Option<(&'a Input, &'a ServiceConfig)> {
    let services = config.inputs.iter().flat_map(|input| input.services.iter().map(move |service| (input, service)));
    services.into_iter().find(|(input, service)| {
        let names = std::iter::once(&service.def.name).chain(service.def.aliases);
        names.into_iter().any(|service| file_name(&input.name, &input.id, service) == name)
    })
}

/// The name of a service's file.
fn file_name(input: &str, id: &str, service: &str) -> String {
    hex(&Md5::digest(format!("{input};{id};{service};None")))
}

/// Sets a stream that was never pulled to where the other one stood; `false`: it was.
async fn take_over(
    store: &SqliteStore,
    stream: &StreamKey,
    service: &ServiceConfig,
    time_ms: i64,
) -> Result<bool, StoreError> {
    let state = store.stream(stream).await?;
    if state.checkpoint_ms.is_some() || !state.memory.is_empty() {
        return Ok(false);
    }
    let page_rows = service.def.endpoint.page_cap as u64;
    let memory = Memory::taken_over(time_ms, service.historical_ms, page_rows, SystemClock.wall_ms());
    let memory = serde_json::to_string(&memory).expect("numbers and texts have a JSON form");
    let progress = Progress { checkpoint_ms: Some(time_ms), memory: Some(memory), ..Progress::default() };
    let lease = store.acquire(&format!("stream {stream}"), "import-official", Duration::from_secs(30)).await?;
    let lease = lease.expect("opening the store under its lock has ended all leases");
    store.commit(&lease, stream, &Commit { epoch: state.epoch, progress, ..Commit::default() }).await?;
    store.release(&lease).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_file_has_the_name_that_the_official_collector_gives_it() {
        // md5 of "microsoft_defender;12345;alerts;None".
        assert_eq!(file_name("microsoft_defender", "12345", "alerts"), "46dad6c66f844db1aad1c8d03ca5bf15");
    }

    #[test]
    fn times_of_any_usual_form_are_understood() {
        let expected = Some(1_764_000_000_000);
        let text = |text: &str| time(&Value::Text(text.to_owned()));
        assert_eq!(text("2025-11-24T16:00:00Z"), expected);
        assert_eq!(text("2025-11-24 16:00:00.000000"), expected);
        assert_eq!(text("2025-11-24T18:00:00+02:00"), expected);
        assert_eq!(time(&Value::Int(1_764_000_000)), expected);
        assert_eq!(time(&Value::Float(1_764_000_000_000.0)), expected);
        assert_eq!(text("yesterday"), None);
        assert_eq!(time(&Value::Float(f64::NAN)), None);
    }

    #[test]
    fn the_surest_time_counts_and_one_inside_is_found() {
        let dict = |items: &[(&str, Value)]| {
            Value::Dict(items.iter().map(|(key, value)| (Value::Text((*key).to_owned()), value.clone())).collect())
        };
        let inner = dict(&[("start_time", Value::Int(1)), ("lastPollTime", Value::Int(2))]);
        assert_eq!(time_in(&inner), Some(2_000));
        assert_eq!(time_in(&dict(&[("@persistence_version", Value::Int(3)), ("alerts", inner)])), Some(2_000));
        assert_eq!(time_in(&Value::Int(7)), None);
    }

    #[test]
    fn what_is_no_pickle_is_passed_over_with_the_reason() {
        assert!(read(&[0x1f, 0x8b, 8]).expect_err("gzip").contains("compressed"));
        assert!(read(b"{}").expect_err("text").contains("no pickle"));
        assert!(read(b"").is_err());
    }
}
