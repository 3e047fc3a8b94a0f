//! Real deaths: the binary over real sockets, killed and stopped at seeded moments on a disk that fills up, behind a proxy that
//! resets connections. `cargo x soak --for 30m`.

use crate::harness::{Bench, Running, Signal, SmallDisk};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// What the disk has. Unit: MiB. Below 512 pulling pauses.
const ROOM: u64 = 1_024;
/// What is left of it now and then.
const LITTLE: u64 = 300;

/// A TCP proxy whose connections can all be reset.
struct Proxy {
    address: SocketAddr,
    /// Grows with each reset.
    resets: watch::Sender<u64>,
}

impl Proxy {
    /// In front of that address.
    async fn start(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("an address");
        let (resets, reset) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut reset = reset.clone();
                reset.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(behind).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        // What lies in any buffer on the way is lost.
                        _ = reset.changed() => for end in [&near, &far] { end.set_zero_linger().ok(); },
                    }
                });
            }
        });
        Self { address, resets }
    }
}

/// What a soak came to.
#[derive(Debug, Default)]
struct Figures {
    kills: u64,
    stops: u64,
    resets: u64,
    /// Times that the disk was nearly full.
    full: u64,
}

/// Starts the collector, on its own disk where there is one.
fn start(bench: &Bench, disk: Option<&SmallDisk>, arguments: &[&str]) -> Running {
    match disk {
        Some(disk) => bench.run_on(disk, arguments),
        None => bench.run(arguments),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is told to: `cargo x soak --for 30m`"]
async fn in_a_soak_of_real_deaths_nothing_is_lost_and_nothing_stored_twice() {
    let seconds = std::env::var("MDE_SOAK").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
    let seed = std::env::var("MDE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("MDE_SEED={seed}");
    let mut dice = SmallRng::seed_from_u64(seed);
    let bench = Bench::start(|config| {
        config.alerts.count = 500;
        config.alerts.evidence = 0..=2;
        // Nothing that was shown goes away: what was served and is not stored is lost, without any excuse.
        config.alerts.new_per_minute = 300.0;
        config.page.size = 50;
    })
    .await;
    bench.ask("alerts: {request_period_in_seconds: 1, overlap: 10m}");
    let devo = bench.devo().await;
    let proxy = Arc::new(Proxy::start(devo.addr()).await);
    bench.edit(&format!("port: {}", devo.addr().port()), &format!("port: {}", proxy.address.port()));
    let disk = SmallDisk::mount(bench.path("state"), ROOM).await;
    let (end, mut figures) = (Instant::now() + Duration::from_secs(seconds), Figures::default());
    while Instant::now() < end {
        let running = start(&bench, disk.as_ref(), &[]);
        // Short lives meet the start, long ones the middle of everything.
        let most = [60, 400, 1_500, 4_000][dice.random_range(0..4)];
        sleep(Duration::from_millis(dice.random_range(0..most))).await;
        if dice.random_range(0..4) == 0 {
            proxy.resets.send_modify(|resets| *resets += 1);
            figures.resets += 1;
            sleep(Duration::from_millis(dice.random_range(0..200))).await;
        }
        if let Some(disk) = disk.as_ref().filter(|_| dice.random_range(0..12) == 0) {
            disk.resizer()(LITTLE);
            figures.full += 1;
            sleep(Duration::from_millis(dice.random_range(0..1_500))).await;
        }
        if dice.random_range(0..8) == 0 {
            running.signal(Signal::TERM);
            running.ended().await;
            figures.stops += 1;
        } else {
            running.signal(Signal::KILL);
            running.ended().await.was_killed();
            figures.kills += 1;
        }
        if let Some(disk) = &disk {
            disk.resizer()(ROOM);
        }
    }
    start(&bench, disk.as_ref(), &["--once"]).ended().await.exits(0);
    let (expected, arrived, received) = (bench.expected(), bench.arrived(), devo.arrived());
    let lost = expected.keys().filter(|event| !arrived.contains_key(*event) || !received.contains_key(*event)).count();
    // The file has each event as often as it was stored; the receiver as often as it was sent.
    let twice = arrived.values().filter(|times| **times > 1).count();
    let strange = arrived.keys().filter(|event| !expected.contains_key(*event)).count();
    let sent = devo.events().len();
    println!(
        "{figures:?}: {} events, lost {lost}, stored twice {twice}, never shown {strange}, sent again {}",
        expected.len(),
        sent - received.len()
    );
    assert_eq!((lost, twice, strange), (0, 0, 0));
}
