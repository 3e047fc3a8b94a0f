//! The two halves over a real store: who gets what, in which order, while a receiver is away or the outbox is full.
//!
//! Where the clock stands still a thread of the runtime is kept busy: else the clock would leap on whenever the store works
//! on its own.

use super::*;
use crate::output::Written;
use crate::pipeline::batch::BatchWriter;
use crate::record::BatchHead;
use crate::status::{Board, Word};
use crate::store::{Progress, sqlite};
use crate::telemetry::heard::Heard;
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio::time::advance;

/// Octets of an event: more than half of what a turn reads, so that a turn is one frame.
const EVENT: usize = READ_BYTES;

/// A receiver, and whether it can be reached.
#[derive(Clone, Default)]
struct Far(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Stream and number of each event, in the order of arrival.
    arrived: Mutex<Vec<(String, u64)>>,
    down: AtomicBool,
    /// Frames offered while it was down.
    tries: AtomicU64,
}

impl Far {
    fn arrived(&self) -> MutexGuard<'_, Vec<(String, u64)>> {
        self.0.arrived.lock().expect("no test panics while it holds it")
    }

    fn is_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    fn tries(&self) -> u64 {
        self.0.tries.load(Ordering::SeqCst)
    }

    /// The numbers of a stream's events, in the order of arrival.
    fn numbers(&self, stream: &str) -> Vec<u64> {
        self.arrived().iter().filter(|(name, _)| name == stream).map(|(_, number)| *number).collect()
    }
}

/// An output that gives its receiver everything at once.
struct Direct {
    far: Far,
    handed: Offset,
}

#[async_trait]
impl Output for Direct {
    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        self.check().await?;
        let numbers = frame.body.split_inclusive(|&octet| octet == b'\n').map(|line| {
            let digits = line.split(|&octet| octet == b' ').next().expect("a line begins with its number");
            str::from_utf8(digits).expect("text").parse().expect("a number")
        });
        self.far.arrived().extend(numbers.map(|number| (frame.head.input.clone(), number)));
        self.handed.0 += frame.body.len() as u64;
        Ok(Written { end: self.handed, refused: Vec::new() })
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        Ok(Confirmed { through: self.handed, memory: None })
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        if self.far.0.down.load(Ordering::SeqCst) {
            self.far.0.tries.fetch_add(1, Ordering::SeqCst);
            return Err(OutputError { class: ErrorClass::Transient, action: "reach it".to_owned(), cause: None });
        }
        Ok(())
    }

    async fn close(&mut self, _within: Duration) -> Result<Confirmed, OutputError> {
        self.confirmed().await
    }

    async fn reset(&mut self) {}
}

/// A store with its gate, and what belongs to the two halves.
struct House {
    store: Arc<dyn Store>,
    gate: Gate,
    outputs: Vec<String>,
    order: watch::Sender<Order>,
    news: watch::Sender<u64>,
}

impl House {
    /// With an outbox of that bound; `optional` ones of the outputs may lose events.
    async fn new(max_bytes: u64, outputs: &[&str], optional: &[&str]) -> Self {
        let store: Arc<dyn Store> = Arc::new(sqlite::open_memory(Arc::new(|| 0)).await.expect("an empty store"));
        let names = |of: &[&str]| of.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let gate = Gate::new(Arc::clone(&store), max_bytes, names(optional), Board::default());
        let (order, news) = (watch::Sender::new(Order::Run), watch::Sender::new(0));
        Self { store, gate, outputs: names(outputs), order, news }
    }

    /// Ships these streams to that receiver, from the oldest event on.
    async fn ship(&self, output: &str, streams: &[&StreamKey], far: &Far) -> JoinHandle<Result<(), ShipError>> {
        let streams: Vec<_> = streams.iter().map(|&stream| stream.clone()).collect();
        let built = Box::new(Direct { far: far.clone(), handed: Offset(0) });
        let shape = Shape { event_id: true, max_event_bytes: u64::MAX };
        let shipper = Shipper::attach(
            (Arc::clone(&self.store), self.gate.clone()),
            built,
            (output.to_owned(), "node".to_owned()),
            (&streams, &StartAt::Oldest),
            self.outputs.clone(),
            ((Duration::from_secs(2), Duration::from_secs(60)), shape),
        );
        tokio::spawn(shipper.await.expect("attached").run(self.order.subscribe(), self.news.subscribe()))
    }

    /// Pulls events with these numbers, as soon as there is room: each its own request, so each its own batch.
    async fn pull(&self, stream: &StreamKey, numbers: impl Iterator<Item = u64>, octets: usize) {
        for number in numbers {
            self.gate.admit(stream).await.expect("a store that works");
            self.put(stream, &[number], octets).await;
        }
    }

    /// Stores one batch.
    async fn put(&self, stream: &StreamKey, numbers: &[u64], octets: usize) {
        let lease = lease::take(&*self.store, &format!("stream {stream}"), "node").await.expect("works").expect("ours");
        let (input, service, tag) = (stream.tenant.clone(), stream.service.clone(), "tag".to_owned());
        let head = BatchHead { input, service, tag, pulled_ms: 0 };
        let mut batch = BatchWriter::new(&*self.store, &lease, stream, 1, head);
        for number in numbers {
            batch.line(&line(*number, octets)).await.expect("taken");
        }
        batch.commit(Progress::default()).await.expect("stored");
        self.news.send_modify(|news| *news += 1);
    }

    /// Tells the outputs to end once they are empty.
    fn drain(&self) {
        self.order.send_replace(Order::Drain(Instant::now() + Duration::from_secs(3600)));
    }
}

/// An event that begins with its number and that no compression makes shorter.
fn line(number: u64, octets: usize) -> Vec<u8> {
    let mut state = number + 1;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b'!' + (state >> 58) as u8
    });
    format!("{number} ").into_bytes().into_iter().chain(noise.take(octets)).chain([b'\n']).collect()
}

fn stream(tenant: &str) -> StreamKey {
    StreamKey { tenant: tenant.to_owned(), service: "alerts".to_owned(), query: None }
}

/// Time moves only as it is told while this lives.
struct StandingClock {
    _busy: std::sync::mpsc::Sender<()>,
}

impl StandingClock {
    fn new() -> Self {
        let (busy, over) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || over.recv());
        tokio::time::pause();
        Self { _busy: busy }
    }

    /// Gives everybody else his turn until something holds. Time creeps, since somebody may begin to wait only now.
    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..1_000_000 {
            if holds() {
                return;
            }
            advance(Duration::from_millis(10)).await;
            // A turn for another thread too: the store works on its own.
            tokio::task::spawn_blocking(std::thread::yield_now).await.expect("it cannot fail");
        }
        panic!("waited in vain: {what}");
    }
}

#[tokio::test]
async fn streams_take_turns_and_each_keeps_its_order() {
    let house = House::new(u64::MAX, &["far"], &[]).await;
    let (busy, calm, far) = (stream("busy"), stream("calm"), Far::default());
    for stream in [&busy, &calm] {
        house.store.attach("far", stream, &StartAt::Oldest).await.expect("attached");
    }
    house.put(&busy, &(0..12).collect::<Vec<_>>(), EVENT).await;
    house.put(&calm, &[0, 1, 2], EVENT).await;
    let shipping = house.ship("far", &[&busy, &calm], &far).await;
    house.drain();
    shipping.await.expect("no panic").expect("drained");
    assert_eq!(far.numbers("busy"), (0..12).collect::<Vec<_>>());
    assert_eq!(far.numbers("calm"), [0, 1, 2]);
    let calm_ended = far.arrived().iter().rposition(|(name, _)| name == "calm").expect("it came");
    assert_eq!(calm_ended, 5, "three turns each: {:?}", far.arrived());
}

#[tokio::test]
async fn a_day_without_the_receiver_pauses_pulling_once_and_then_everything_arrives_in_order_and_once() {
    const EVENTS: u64 = 200;
    let house = Arc::new(House::new(100_000, &["far"], &[]).await);
    let ((log, _listening), far, alerts) = (Heard::listen(), Far::default(), stream("acme"));
    far.is_down(true);
    let shipping = house.ship("far", &[&alerts], &far).await;
    let clock = StandingClock::new();
    let pulling = tokio::spawn({
        let (house, alerts) = (Arc::clone(&house), alerts.clone());
        async move { house.pull(&alerts, 0..EVENTS, 2_000).await }
    });
    let board = house.gate.board().clone();
    let paused = || board.notes().stream(&alerts).is_some_and(|note| note.word == Word::Paused);
    clock.until("pulling pauses", paused).await;
    let stored = house.store.depth("far").await.expect("counted");
    assert!((100_000..110_000).contains(&stored.bytes), "it pauses at the bound: {stored:?}");
    for _ in 0..24 * 6 {
        let tries = far.tries();
        advance(Duration::from_secs(600)).await;
        clock.until("the output tries again", || far.tries() > tries).await;
    }
    assert_eq!(house.store.depth("far").await.expect("counted"), stored, "nothing was pulled, nothing was lost");
    assert_eq!(log.count("the outbox is full"), 1, "it is said once");
    assert_eq!(log.count("state show"), 1, "with what to do");
    assert_eq!(*far.arrived(), []);
    far.is_down(false);
    while far.arrived().len() < EVENTS as usize {
        let before = far.arrived().len();
        advance(Duration::from_secs(61)).await;
        clock.until("more arrives", || far.arrived().len() > before).await;
    }
    pulling.await.expect("everything was pulled");
    house.drain();
    shipping.await.expect("no panic").expect("drained");
    assert_eq!(far.numbers("acme"), (0..EVENTS).collect::<Vec<_>>(), "in order, each once");
}

#[tokio::test]
async fn more_than_the_bound_in_one_request_neither_deadlocks_nor_loses() {
    let house = House::new(10_000, &["far"], &[]).await;
    let (far, alerts) = (Far::default(), stream("acme"));
    let shipping = house.ship("far", &[&alerts], &far).await;
    for request in 0..4 {
        house.gate.admit(&alerts).await.expect("room comes by itself");
        // A request that has begun is finished, ten times the bound or not.
        house.put(&alerts, &(request * 50..request * 50 + 50).collect::<Vec<_>>(), 2_000).await;
    }
    house.drain();
    shipping.await.expect("no panic").expect("drained");
    assert_eq!(far.numbers("acme"), (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_output_that_is_not_required_loses_what_no_other_needs_and_the_required_one_gets_all() {
    const EVENTS: u64 = 100;
    let house = House::new(50_000, &["must", "may"], &["may"]).await;
    let (must, may, alerts) = (Far::default(), Far::default(), stream("acme"));
    may.is_down(true);
    let shipping = [house.ship("must", &[&alerts], &must).await, house.ship("may", &[&alerts], &may).await];
    // Four times the bound goes by, though one receiver is away all the time.
    house.pull(&alerts, 0..EVENTS, 2_000).await;
    may.is_down(false);
    house.drain();
    for shipping in shipping {
        shipping.await.expect("no panic").expect("drained");
    }
    assert_eq!(must.numbers("acme"), (0..EVENTS).collect::<Vec<_>>(), "nothing is ever lost to it");
    let came = may.numbers("acme");
    assert!(came.is_sorted() && came.last() == Some(&(EVENTS - 1)), "the newest, in order: {came:?}");
    let states = house.store.outputs().await.expect("told");
    let lost = |name: &str| states.iter().find(|state| state.name == name).expect("known").lost_events;
    assert_eq!((lost("must"), lost("may")), (0, EVENTS - came.len() as u64), "what was lost is counted");
    assert!(lost("may") > 0);
}
