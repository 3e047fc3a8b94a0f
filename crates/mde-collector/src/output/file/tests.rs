//! What only files can show: kills at any octet, forgetting, and changes by hand.

use super::*;
use crate::output::conformance::PATIENCE;
use crate::output::conformance::ship::{Event, Shipper, events_of, frames};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder, and an output that writes into it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().expect("folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn output(&self, template: &str, memory: Option<&str>) -> File {
        let path = self.path(template).to_str().expect("text").to_owned();
        File::new(&config::File { path, ..config::File::default() }, memory).expect("valid")
    }

    fn events(&self, name: &str) -> Vec<Event> {
        events_of(&fs::read(self.path(name)).expect("readable"))
    }
}

/// The lengths that a memory names.
fn lengths(memory: Option<&str>) -> BTreeMap<String, u64> {
    serde_json::from_str(memory.expect("a memory")).expect("lengths")
}

/// Lets this much time pass.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// What a kill in the middle of a write leaves: the file ends anywhere behind what the store covers.
fn tear(memory: Option<&str>, random: &mut SmallRng) {
    let Some(memory) = memory else { return };
    for (name, covered) in lengths(Some(memory)) {
        let Ok(file) = fs::OpenOptions::new().write(true).open(&name) else { continue };
        let length = file.metadata().expect("length").len();
        assert!(length >= covered, "{name}: {covered} octets are stored as safe, {length} are there");
        file.set_len(random.random_range(covered..=length)).expect("cut");
    }
}

#[tokio::test]
async fn kills_at_any_octet_leave_no_line_lost_doubled_or_torn() {
    const SEED: u64 = 11;
    let mut random = SmallRng::seed_from_u64(SEED);
    for round in 0..40 {
        let place = Place::new();
        let mut shipper = Shipper::new(frames(3, 12, 4, 50));
        for _ in 0..8 {
            let mut output = place.output("{tenant}.ndjson", shipper.memory.as_deref());
            for _ in 0..random.random_range(0..10) {
                match random.random_range(0..8) {
                    0 => shipper.recover(&mut output).await,
                    1 | 2 => shipper.confirm(&mut output).await.expect("synced"),
                    3 => pass(KEEP).await,
                    _ => drop(shipper.write_next(&mut output).await.expect("written")),
                }
            }
            drop(output);
            shipper.restart();
            tear(shipper.memory.as_deref(), &mut random);
        }
        let mut output = place.output("{tenant}.ndjson", shipper.memory.as_deref());
        shipper.ship(&mut output, |_| ()).await;
        assert_eq!(shipper.errors.len(), 0, "seed {SEED}, round {round}: {:?}", shipper.errors);
        for stream in 0..3 {
            let numbers: Vec<_> =
                place.events(&format!("tenant{stream}.ndjson")).iter().map(|event| event.number).collect();
            assert_eq!(numbers, (0..48).collect::<Vec<_>>(), "seed {SEED}, round {round}");
        }
    }
}

#[tokio::test]
async fn kills_at_any_octet_and_in_any_rotation_leave_no_line_lost_doubled_or_torn_compressed_or_not() {
    const SEED: u64 = 12;
    let mut random = SmallRng::seed_from_u64(SEED);
    for round in 0..60 {
        let place = Place::new();
        let compress = [config::Compress::None, config::Compress::Gzip, config::Compress::Zstd][round % 3];
        let every = (round % 2 == 0).then_some(Duration::from_secs(3_600));
        let rotate = config::Rotate { max_bytes: Some(900), every };
        let path = place.path("{tenant}.ndjson").to_str().expect("text").to_owned();
        let config = config::File { path, rotate: Some(rotate), compress };
        let build = |memory: Option<&str>| File::new(&config, memory).expect("valid");
        let mut shipper = Shipper::new(frames(3, 12, 4, 50));
        for (number, frame) in shipper.frames.iter_mut().enumerate() {
            let mut head = (*frame.head).clone();
            head.pulled_ms += number as i64 / 3 * 1_200_000;
            frame.head = Arc::new(head);
        }
        for _ in 0..8 {
            let mut output = build(shipper.memory.as_deref());
            for _ in 0..random.random_range(0..10) {
                match random.random_range(0..8) {
                    0 => shipper.recover(&mut output).await,
                    1 | 2 => shipper.confirm(&mut output).await.expect("synced"),
                    3 => pass(KEEP).await,
                    _ => drop(shipper.write_next(&mut output).await.expect("written")),
                }
            }
            drop(output);
            shipper.restart();
            let kept: serde_json::Value = shipper
                .memory
                .as_deref()
                .map_or(serde_json::Value::Null, |text| serde_json::from_str(text).expect("JSON"));
            let kept = kept.get("lengths").map(ToString::to_string);
            tear(kept.as_deref(), &mut random);
        }
        let mut output = build(shipper.memory.as_deref());
        shipper.ship(&mut output, |_| ()).await;
        assert_eq!(shipper.errors.len(), 0, "seed {SEED}, round {round}: {:?}", shipper.errors);
        let mut numbers: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let files: Vec<_> =
            fs::read_dir(place.0.path()).expect("folder").map(|file| file.expect("entry").path()).collect();
        assert!(files.len() >= 6, "they took turns: {files:?}");
        for file in files {
            let octets = fs::read(&file).expect("readable");
            assert!(octets.len() <= 900, "{file:?}: {} octets", octets.len());
            events_of(&octets).iter().for_each(|event| numbers.entry(event.stream).or_default().push(event.number));
        }
        for stream in 0..3 {
            let found = numbers.get_mut(&stream).expect("events");
            found.sort_unstable();
            assert_eq!(*found, (0..48).collect::<Vec<_>>(), "seed {SEED}, round {round}, stream {stream}");
        }
    }
}

#[tokio::test]
async fn a_file_that_stands_where_the_next_one_would_is_left_alone() {
    let place = Place::new();
    let stranger = place.path("tenant0.2026-11-24T03-00-00Z.ndjson");
    fs::write(&stranger, "not ours\n").expect("written");
    let rotate = Some(config::Rotate { max_bytes: Some(1), every: None });
    let path = place.path("{tenant}.ndjson").to_str().expect("text").to_owned();
    let mut output = File::new(&config::File { path, rotate, ..config::File::default() }, None).expect("valid");
    let mut shipper = Shipper::new(frames(1, 2, 2, 10));
    shipper.ship(&mut output, |_| ()).await;
    assert_eq!(fs::read_to_string(stranger).expect("readable"), "not ours\n");
    for number in 2..=3 {
        assert_eq!(place.events(&format!("tenant0.2026-11-24T03-00-00Z.{number}.ndjson")).len(), 2);
    }
}

#[tokio::test]
async fn nothing_of_a_cancelled_write_runs_on_behind_a_reset() {
    let place = Place::new();
    let mut output = place.output("{tenant}.ndjson", None);
    let frame = &frames(1, 1, 20_000, 1_000)[0];
    output.announce(frame).expect("looked");
    // The cut that a start owes has its own thread first; then the write is caught while its thread runs.
    output.cut().await.expect("nothing to cut");
    assert!(futures_util::FutureExt::now_or_never(output.write(frame)).is_none(), "20 MB in no time");
    output.reset().await;
    assert!(output.disk.try_lock().is_ok());
}

#[tokio::test]
async fn a_length_is_announced_before_the_first_write_and_not_again() {
    let place = Place::new();
    let frames = frames(2, 3, 1, 0);
    let mut output = place.output("{tenant}.ndjson", None);
    let announced = output.announce(&frames[0]).expect("looked");
    assert_eq!(lengths(announced.as_deref()).into_values().collect::<Vec<_>>(), [0]);
    assert!(output.announce(&frames[0]).expect("looked").is_some(), "nobody said yet that it was stored");
    output.write(&frames[0]).await.expect("written");
    assert_eq!(output.announce(&frames[2]).expect("looked"), None, "the same file");
    let both = output.announce(&frames[1]).expect("looked");
    assert_eq!(lengths(both.as_deref()).into_values().collect::<Vec<_>>(), [0, 0], "what is confirmed of both");
    output.write(&frames[1]).await.expect("written");
    let confirmed = output.confirmed().await.expect("synced");
    let octets = [frames[0].body.len() as u64, frames[1].body.len() as u64];
    assert_eq!(lengths(confirmed.memory.as_deref()).into_values().collect::<Vec<_>>(), octets);
    assert_eq!(confirmed.through, Offset(octets.iter().sum()));
    assert_eq!(output.announce(&frames[2]).expect("looked"), None, "its length was confirmed");
    assert!(output.announce(&frames[2]).is_ok());
}

#[tokio::test]
async fn a_write_without_an_announcement_is_refused() {
    let place = Place::new();
    let mut output = place.output("{tenant}.ndjson", None);
    assert!(output.write(&frames(1, 1, 1, 0)[0]).await.is_err());
    assert!(!place.path("tenant0.ndjson").exists());
}

#[tokio::test]
async fn dates_of_a_year_do_not_gather_in_the_memory() {
    let place = Place::new();
    let mut shipper = Shipper::new(frames(1, 365, 1, 0));
    for (day, frame) in shipper.frames.iter_mut().enumerate() {
        let mut head = (*frame.head).clone();
        head.pulled_ms = day as i64 * 86_400_000;
        frame.head = Arc::new(head);
    }
    let mut output = place.output("{date}.ndjson", None);
    while shipper.write_next(&mut output).await.expect("written") {
        shipper.confirm(&mut output).await.expect("synced");
        assert!(lengths(shipper.memory.as_deref()).len() <= 2, "{:?}", shipper.memory);
        pass(Duration::from_secs(86_400)).await;
    }
    assert_eq!(fs::read_dir(place.0.path()).expect("folder").count(), 365);
}

#[tokio::test]
async fn a_forgotten_name_is_written_exactly_once_all_the_same() {
    let place = Place::new();
    let mut shipper = Shipper::new(frames(1, 4, 2, 10));
    let mut output = place.output("{tenant}.ndjson", None);
    shipper.write_next(&mut output).await.expect("written");
    shipper.confirm(&mut output).await.expect("synced");
    pass(KEEP).await;
    shipper.confirm(&mut output).await.expect("synced");
    assert_eq!(shipper.memory.as_deref(), Some("{}"), "forgotten");
    shipper.write_next(&mut output).await.expect("written");
    assert_eq!(lengths(shipper.memory.as_deref()).len(), 1, "announced before the write");
    // Killed in the middle of that write.
    drop(output);
    shipper.restart();
    let file = fs::OpenOptions::new().write(true).open(place.path("tenant0.ndjson")).expect("there");
    file.set_len(file.metadata().expect("length").len() - 5).expect("torn");
    let mut output = place.output("{tenant}.ndjson", shipper.memory.as_deref());
    shipper.ship(&mut output, |_| ()).await;
    assert_eq!(place.events("tenant0.ndjson").len(), 8);
}

#[tokio::test]
async fn a_name_is_not_forgotten_while_its_surplus_is_still_there() {
    let place = Place::new();
    let mut shipper = Shipper::new(frames(1, 2, 2, 10));
    let mut output = place.output("{tenant}.ndjson", None);
    shipper.write_next(&mut output).await.expect("written");
    drop(output);
    shipper.restart();
    // Started again, and nothing to write for a long time.
    let mut output = place.output("{tenant}.ndjson", shipper.memory.as_deref());
    pass(2 * KEEP).await;
    shipper.confirm(&mut output).await.expect("synced");
    shipper.ship(&mut output, |_| ()).await;
    assert_eq!(place.events("tenant0.ndjson").len(), 4);
}

#[tokio::test]
async fn the_surplus_of_a_file_that_is_no_longer_written_goes_too() {
    let place = Place::new();
    let mut shipper = Shipper::new(frames(1, 2, 2, 10));
    let mut output = place.output("old-{tenant}.ndjson", None);
    shipper.write_next(&mut output).await.expect("written");
    drop(output);
    shipper.restart();
    // The configuration names another file by now.
    let mut output = place.output("new-{tenant}.ndjson", shipper.memory.as_deref());
    shipper.ship(&mut output, |_| ()).await;
    assert_eq!(place.events("old-tenant0.ndjson").len(), 0);
    assert_eq!(place.events("new-tenant0.ndjson").len(), 4);
}

#[tokio::test]
async fn a_file_changed_by_hand_is_taken_as_it_is() {
    let changes: [fn(&Path); 3] = [
        |path| fs::remove_file(path).expect("moved away"),
        |path| fs::OpenOptions::new().write(true).open(path).expect("there").set_len(0).expect("emptied"),
        |path| {
            let mut file = fs::OpenOptions::new().append(true).open(path).expect("there");
            file.write_all(b"{\"stream\":9,\"number\":9}\n").expect("added to");
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        for restarted in [false, true] {
            if number == 2 && restarted {
                // A surplus that a start finds cannot be told from the remains of a kill; it is cut off.
                continue;
            }
            let place = Place::new();
            let mut shipper = Shipper::new(frames(1, 4, 2, 10));
            let mut output = place.output("{tenant}.ndjson", None);
            for _ in 0..2 {
                shipper.write_next(&mut output).await.expect("written");
            }
            shipper.confirm(&mut output).await.expect("synced");
            let before = place.events("tenant0.ndjson");
            change(&place.path("tenant0.ndjson"));
            if restarted {
                shipper.restart();
                output = place.output("{tenant}.ndjson", shipper.memory.as_deref());
            }
            shipper.write_next(&mut output).await.expect("written");
            // Killed before that write is confirmed.
            drop(output);
            shipper.restart();
            let mut output = place.output("{tenant}.ndjson", shipper.memory.as_deref());
            shipper.ship(&mut output, |_| ()).await;
            let after: Vec<_> = place.events("tenant0.ndjson");
            let kept = if number == 2 { before.len() + 1 } else { 0 };
            assert_eq!(after.len(), kept + 4, "change {number}, restarted: {restarted}");
        }
    }
}

#[tokio::test]
async fn a_change_between_announcement_and_write_is_an_error_and_then_taken() {
    let place = Place::new();
    let mut shipper = Shipper::new(frames(1, 1, 2, 10));
    let mut output = place.output("{tenant}.ndjson", None);
    output.announce(&shipper.frames[0]).expect("looked");
    fs::write(place.path("tenant0.ndjson"), "{\"stream\":9,\"number\":9}\n").expect("written by somebody else");
    assert_eq!(output.write(&shipper.frames[0]).await.expect_err("noticed").class, ErrorClass::Transient);
    shipper.recover(&mut output).await;
    shipper.ship(&mut output, |_| ()).await;
    assert_eq!(place.events("tenant0.ndjson").len(), 3);
}

#[tokio::test]
async fn more_files_than_may_be_open_at_once_are_written_all_the_same() {
    let place = Place::new();
    let mut shipper = Shipper::new(frames(150, 2, 1, 0));
    let mut output = place.output("deep/{tenant}/{service}.ndjson", None);
    while shipper.write_next(&mut output).await.expect("written") {}
    shipper.take(output.close(PATIENCE).await.expect("synced"));
    assert_eq!(shipper.confirmed, 300);
    for stream in 0..150 {
        assert_eq!(place.events(&format!("deep/tenant{stream}/alerts.ndjson")).len(), 2);
    }
}

#[tokio::test]
async fn what_only_a_person_can_put_right_is_denied_and_says_where() {
    let place = Place::new();
    fs::write(place.path("plain"), "").expect("written");
    fs::create_dir(place.path("tenant0.ndjson")).expect("made");
    let device = "/dev/null";
    let frame = &frames(1, 1, 1, 0)[0];
    for path in [
        place.path("plain/{tenant}.ndjson").to_str().expect("text"),
        place.path("{tenant}.ndjson").to_str().expect("text"),
        &format!("{}/{{tenant}}", place.path("x".repeat(300).as_str()).display()),
        device,
    ] {
        let mut output =
            File::new(&config::File { path: path.to_owned(), ..config::File::default() }, None).expect("valid");
        let error = match output.announce(frame) {
            Err(error) => error,
            Ok(_) => output.write(frame).await.expect_err("cannot be written"),
        };
        assert_eq!(error.class, ErrorClass::Denied, "{error:?}");
        assert!(error.to_string().contains('"') && error.cause.is_some(), "{error:?}");
    }
    let check = place.output("plain/below/{tenant}.ndjson", None).check().await;
    assert_eq!(check.expect_err("not a folder").class, ErrorClass::Denied);
    place.output("not/yet/there/{tenant}.ndjson", None).check().await.expect("can be made");
    assert!(!place.path("not").exists(), "a check makes nothing");
}

#[tokio::test]
async fn a_link_is_followed() {
    let place = Place::new();
    fs::create_dir(place.path("elsewhere")).expect("made");
    std::os::unix::fs::symlink("elsewhere", place.path("out")).expect("linked");
    std::os::unix::fs::symlink("real.ndjson", place.path("elsewhere/tenant0.ndjson")).expect("linked");
    let mut shipper = Shipper::new(frames(1, 2, 2, 0));
    shipper.ship(&mut place.output("out/{tenant}.ndjson", None), |_| ()).await;
    assert_eq!(place.events("elsewhere/real.ndjson").len(), 4);
}

#[test]
fn a_memory_that_is_none_of_ours_is_refused() {
    let config = config::File { path: "x".to_owned(), ..config::File::default() };
    assert_eq!(File::new(&config, Some("[1]")).err().map(|error| error.class), Some(ErrorClass::Fatal));
    let config = config::File { path: "{nobody}".to_owned(), ..config::File::default() };
    assert_eq!(File::new(&config, None).err().map(|error| error.class), Some(ErrorClass::Fatal));
}
