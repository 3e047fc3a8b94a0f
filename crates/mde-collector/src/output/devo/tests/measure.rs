//! `cargo x bench ship`: what it costs to send, from frames in memory to a receiver on loopback that keeps nothing.

use super::*;
use crate::config::outputs::compression::Gzip;
use crate::record::Position;

/// Octets of one event.
const EVENT: usize = 2_500;
/// Events of one frame, about 512 KiB.
const EVENTS: usize = 210;

/// A frame of alerts as they look when they leave: names repeated, values of many kinds.
fn alerts() -> StoredFrame {
    let mut random = SmallRng::seed_from_u64(1);
    let mut body = String::new();
    for number in 0..EVENTS {
        let start = body.len();
        body.push_str(&format!(
            "{{\"id\":\"da{:019}_-{}\",\"incidentId\":{number}",
            random.random::<u64>(),
            number * 7
        ));
        for field in 0.. {
            if body.len() - start > EVENT - 90 {
                break;
            }
            let value = match field % 4 {
                0 => format!("\"{:016x}{:016x}\"", random.random::<u64>(), random.random::<u64>()),
                1 => "\"Suspicious process injection observed\"".to_owned(),
                2 => "null".to_owned(),
                _ => format!("\"2026-11-24T03:{:02}:{:02}.{:07}Z\"", number % 60, field % 60, number * 991),
            };
            body.push_str(&format!(",\"evidence_property{field}\":{value}"));
        }
        body.push_str("}\n");
    }
    let head = BatchHead {
        input: "acme".to_owned(),
        service: "alerts".to_owned(),
        tag: "edr.microsoft_defender.endpoint.alerts".to_owned(),
        pulled_ms: 1_795_489_200_007,
    };
    StoredFrame { position: Position::START, head: Arc::new(head), events: EVENTS as u32, body: body.into_bytes() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime")
}

/// Runs `sending` with the configuration of a receiver that lives on a thread of its own.
fn beside(kind: Kind, plan: Plan, sending: impl AsyncFnOnce(config::Devo)) {
    let (found, ready) = std::sync::mpsc::channel();
    let (done, over) = tokio::sync::oneshot::channel::<()>();
    let receiver = std::thread::spawn(move || {
        runtime().block_on(async {
            let subject = StreamSubject::with(kind, Some(Duration::from_secs(5)), [plan; 8]).await;
            found.send(subject.config.clone()).expect("awaited");
            over.await.expect("told");
        });
    });
    runtime().block_on(sending(ready.recv().expect("a receiver")));
    done.send(()).expect("awaited");
    receiver.join().expect("sound");
}

#[test]
#[ignore = "a measurement, not a claim"]
fn measure_throughput() {
    let gzip = |level| Some(Gzip { threshold: Some(-1.0), level: Some(level), ..Gzip::default() });
    let frame = &alerts();
    for (name, kind, gzip, frames) in [
        ("TCP", PLAIN, None, 4_000),
        ("TLS", TLS, None, 4_000),
        ("TLS, gzip level 1", TLS, gzip(1), 500),
        ("TLS, gzip level 6", TLS, gzip(6), 200),
    ] {
        beside(kind, Plan::Discard, async |mut config: config::Devo| {
            config.gzip = gzip;
            let mut output = Devo::new(config);
            output.write(frame).await.expect("written");
            let (wall, before) = (Instant::now(), processor_time());
            for number in 0..frames {
                output.write(frame).await.expect("written");
                if number % 8 == 0 {
                    output.confirmed().await.expect("sound");
                }
            }
            let end = output.close(PATIENCE).await.expect("closed").through;
            let (wall, used) = (wall.elapsed().as_secs_f64(), (processor_time() - before).as_secs_f64());
            assert_eq!(end, output.handed);
            let mut octets = Vec::new();
            header::encode(frame, config::DateForm::Iso, "collector", &mut octets);
            let plain = octets.len() as f64;
            output.packer.pack(&mut octets);
            let ratio = plain / octets.len() as f64;
            let events = frames as f64 * EVENTS as f64;
            println!(
                "{name}: {:.0} events/s, {:.2} CPU s per million events, {:.0} MB/s of events, {ratio:.1} to 1",
                events / wall,
                used / events * 1e6,
                end.0 as f64 / wall / 1e6
            );
        });
    }
}

/// Lanes at work at the same time: a receiver that takes its time on each connection, as one far away does.
#[test]
#[ignore = "a measurement, not a claim"]
fn measure_throughput_of_several_connections() {
    const FRAMES: usize = 160;
    for connections in [1, 2, 4] {
        beside(Kind { connections, ..TLS }, Plan::Far, async |config: config::Devo| {
            let mut output = Devo::new(config);
            let streams: Vec<_> = (0..4).map(|number| of_stream(&alerts(), number)).collect();
            let wall = Instant::now();
            for number in 0..FRAMES {
                output.write(&streams[number % streams.len()]).await.expect("written");
            }
            let end = output.close(PATIENCE * 10).await.expect("closed").through;
            assert_eq!(end, output.handed);
            let wall = wall.elapsed().as_secs_f64();
            println!("{connections} connections to a far receiver: {:.0} events/s", (FRAMES * EVENTS) as f64 / wall);
        });
    }
}

/// The same frame in another stream.
fn of_stream(frame: &StoredFrame, number: usize) -> StoredFrame {
    let head = BatchHead { input: format!("tenant{number}"), ..(*frame.head).clone() };
    StoredFrame { head: Arc::new(head), ..frame.clone() }
}

/// Devo's public Python package with the same events and the same receiver. `DEVO_SDK_PYTHON` names an interpreter that
/// has it; xtask/devo-sdk says how to make one.
#[test]
#[ignore = "a measurement, not a claim"]
fn measure_the_public_python_package() {
    let Some(python) = std::env::var_os("DEVO_SDK_PYTHON") else {
        println!("devo-sdk: not measured, DEVO_SDK_PYTHON names no interpreter");
        return;
    };
    let folder = tempfile::TempDir::new().expect("folder");
    let events = folder.path().join("events.ndjson");
    std::fs::write(&events, alerts().body).expect("written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/devo-sdk/send.py");
    for (name, kind, level, count) in [
        ("TCP", PLAIN, "none", 40_000),
        ("TLS", TLS, "none", 40_000),
        ("TLS, gzip level 1", TLS, "1", 20_000),
        ("TLS, gzip level 6", TLS, "6", 10_000),
    ] {
        beside(kind, Plan::Discard, async |config: config::Devo| {
            let mut command = std::process::Command::new(&python);
            command.args([script, "127.0.0.1", &config.port.to_string()]).arg(&events);
            command.args([&count.to_string(), level]);
            if let Some(config::Tls { identity: Some(identity), chain: Some(chain), .. }) = &config.tls {
                command.args([&identity.key, &identity.cert, chain]);
            }
            let done = command.output().expect("the interpreter starts");
            let said = String::from_utf8_lossy(&done.stdout);
            let figures: Vec<f64> = said.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
            let [wall, used] = figures[..] else { panic!("{}", String::from_utf8_lossy(&done.stderr)) };
            let (rate, cost) = (f64::from(count) / wall, used / f64::from(count) * 1e6);
            println!("devo-sdk, {name}: {rate:.0} events/s, {cost:.2} CPU s per million events");
        });
    }
}

#[test]
#[ignore = "a measurement, not a claim"]
fn measure_memory_with_a_stalled_receiver() {
    let frame = &alerts();
    for (name, kind) in [("TLS", TLS), ("TLS with gzip", GZIP)] {
        beside(kind, Plan::Stall, async |config: config::Devo| {
            let mut output = Devo::new(config);
            output.write(frame).await.expect("the buffers take one");
            let before = resident();
            let mut frames = 0;
            while let Ok(Ok(_)) = timeout(Duration::from_secs(2), output.write(frame)).await {
                frames += 1;
            }
            println!(
                "{name}, stalled: {frames} frames went into socket buffers, {} KiB more resident",
                resident() - before
            );
        });
    }
}

/// Resident memory of this process. Unit: KiB.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("a number")
}

/// Processor time of this thread, user and system.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec` to the address given.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
