//! What happens in one history: drawn from a seed, plain data, so that it can be printed, replayed and made shorter.

use mde_sim::{CutEnd, ErrorBody, Fault, RequestKind, RetryAfter};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::ops::RangeInclusive;

/// A history to come.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything that is not written here, the simulated tenant among it, follows from this.
    pub seed: u64,
    /// The tenant.
    pub tenant: Tenant,
    /// The collector's configuration.
    pub settings: Settings,
    /// The collector's lives, one after the other; after the last of them comes one that nothing ends.
    pub lives: Vec<Life>,
    /// What else happens, in the order of its time.
    pub acts: Vec<Timed>,
}

/// The tenant at its beginning.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Alerts.
    pub alerts: usize,
    /// Neighbouring alerts with one time.
    pub tied: usize,
    /// They are spread over so many hours.
    pub hours: u64,
    /// Rows of a page without `$top`.
    pub page: usize,
    /// Machines; 0: the service is off.
    pub machines: usize,
    /// Longest way of a request and of its answer. Unit: milliseconds.
    pub delay_ms: u64,
}

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Unit of all of them: seconds.
    pub period: u64,
    /// Re-read before the checkpoint.
    pub overlap: u64,
    /// Time between two sweeps.
    pub every: u64,
    /// How late a sweep still finds a version.
    pub back: u64,
    /// Whether each piece of evidence is an event of its own.
    pub flatten: bool,
    /// Outputs at first.
    pub outputs: usize,
}

/// One life of the collector, from opening its files to its end.
#[derive(Debug, Clone)]
pub struct Life {
    /// What ends it.
    pub end: End,
    /// Whether the power fails with it: what nobody has synced is lost, in whole, in part or not at all.
    pub power: bool,
    /// How long nobody runs then. Unit: seconds.
    pub down: u64,
    /// What the operator changes meanwhile.
    pub change: Option<Change>,
}

/// What ends a life.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// A kill after so many milliseconds.
    Kill(u64),
    /// A kill before the so many-th call that writes to the store.
    Before(u64),
    /// A kill behind it: it is done, and nobody was told.
    Behind(u64),
    /// A kill at the so many-th write to the disk.
    Write(u64),
    /// SIGTERM after so many milliseconds.
    Stop(u64),
    /// At the so many-th call that writes to the store the process stands still for so many seconds, while another takes its
    /// work over; then it goes on, and is killed at last.
    Frozen(u64, u64),
}

/// What an operator changes between two lives.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// The tag of alerts.
    Tag,
    /// The service of machines is turned on or off.
    Machines,
    /// An output more, from the oldest event that is still there.
    OutputOldest,
    /// The newest output goes, or comes back.
    OutputGone,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub struct Timed {
    /// After the beginning. Unit: milliseconds.
    pub at_ms: u64,
    /// What.
    pub act: Act,
}

/// What happens.
#[derive(Debug, Clone)]
pub enum Act {
    /// So many alerts appear.
    Add(u32),
    /// An alert changes.
    Update,
    /// An alert appears whose time is so many seconds ago.
    AddLate(u64),
    /// An alert changes, which shows so many seconds later.
    UpdateLate(u64),
    /// A machine comes.
    AddMachine,
    /// A machine leaves.
    RemoveMachine,
    /// Between two pages of the machine list, so many answers from now on, one machine leaves and another comes.
    ShiftMachines(u64),
    /// Between two answers of the alert list an alert changes.
    ShiftAlerts(u64),
    /// The next requests of that kind fail.
    Api(Option<RequestKind>, Fault, usize),
    /// An alert's evidence cannot be read for so many seconds.
    Poison(u64),
    /// The next frame of that output meets trouble.
    Far(usize, Trouble),
    /// Our clock jumps by so many seconds.
    Clock(i64),
    /// The disk is full for so many seconds.
    DiskFull(u64),
    /// Each call to the store takes so many milliseconds, for so many seconds.
    DiskSlow(u64, u64),
    /// All tokens are revoked.
    Revoked,
    /// The secret is another one, and the file has it so many seconds later.
    Rotated(u64),
    /// The vendor allows so many calls a minute for alerts.
    Quota(u32),
}

/// What a receiver does.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// It resets the connection; what it has not taken is lost.
    Reset,
    /// It takes nothing for so many seconds.
    Stall(u64),
    /// Its kernel takes a frame, which is then lost with the connection.
    Forget,
    /// It takes a frame, and the answer is lost.
    Late,
    /// It refuses the first event of a frame for good.
    Refuse,
}

/// Draws.
pub struct Dice(SmallRng);

impl Dice {
    /// The same for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// A number.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// One of several.
    pub fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.0.random_range(0..choices.len())].clone()
    }

    /// True so many times of a hundred.
    pub fn percent(&mut self, often: u64) -> bool {
        self.within(1..=100) <= often
    }

    /// A number with small ones as often as large ones.
    pub fn some(&mut self, most: u64) -> u64 {
        let bound = self.of(&[most / 64, most / 16, most / 4, most]).max(1);
        self.within(1..=bound)
    }
}

impl Plan {
    /// The history of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let burst = dice.percent(4);
        let tenant = Tenant {
            alerts: if burst { 300 } else { dice.within(5..=60) as usize },
            tied: dice.of(&[1, 1, 2, 12]),
            hours: dice.of(&[2, 12, 48]),
            page: if burst { 2 } else { dice.of(&[10_000, 10_000, 40, 9]) },
            machines: if dice.percent(40) { dice.within(4..=40) as usize } else { 0 },
            delay_ms: if burst { 300 } else { dice.of(&[0, 40, 2_000]) },
        };
        let every = dice.of(&[1_200, 3_600, 100_000]);
        let settings = Settings {
            period: dice.of(&[60, 120, 300]),
            overlap: dice.of(&[600, 1_800]),
            every,
            back: dice.of(&[3_600, 14_400]),
            flatten: dice.percent(30),
            outputs: if dice.percent(30) { 2 } else { 1 },
        };
        let length_ms = dice.within(3..=60) * 60_000;
        let lives = (0..dice.of(&[0, 1, 1, 2, 3])).map(|_| life(dice, length_ms, tenant.machines > 0)).collect();
        let mut acts: Vec<Timed> = (0..dice.within(3..=24))
            .map(|_| Timed { at_ms: dice.within(0..=length_ms), act: act(dice, &settings, tenant.machines > 0) })
            .collect();
        acts.sort_by_key(|timed| timed.at_ms);
        Self { seed, tenant, settings, lives, acts }
    }

    /// Whether an act is in it.
    pub fn has(&self, is: impl Fn(&Act) -> bool) -> bool {
        self.acts.iter().any(|timed| is(&timed.act))
    }

    /// Plans that are like this one with something left out, the greatest steps first.
    pub fn shorter(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let halves = |length: usize| {
            let steps = std::iter::successors(Some(length.div_ceil(2)), |&step| (step > 1).then(|| step.div_ceil(2)));
            steps
                .take_while(move |_| length > 0)
                .flat_map(move |step| (0..length).step_by(step).map(move |at| (at, step)))
        };
        for (at, step) in halves(self.acts.len()) {
            let mut shorter = self.clone();
            shorter.acts.drain(at..(at + step).min(self.acts.len()));
            all.push(shorter);
        }
        for (at, step) in halves(self.lives.len()) {
            let mut shorter = self.clone();
            shorter.lives.drain(at..(at + step).min(self.lives.len()));
            all.push(shorter);
        }
        let mut change = |change: fn(&mut Self)| {
            let mut shorter = self.clone();
            change(&mut shorter);
            if format!("{shorter:?}") != format!("{self:?}") {
                all.push(shorter);
            }
        };
        change(|plan| plan.tenant.alerts /= 2);
        change(|plan| plan.tenant.machines /= 2);
        change(|plan| plan.tenant.tied = 1);
        change(|plan| plan.tenant.delay_ms = 0);
        change(|plan| plan.tenant.page = 10_000);
        change(|plan| plan.settings.outputs = 1);
        change(|plan| plan.settings.flatten = false);
        all
    }
}

/// A life and its end.
fn life(dice: &mut Dice, length_ms: u64, machines: bool) -> Life {
    let end = match dice.within(0..=20) {
        0..=5 => End::Kill(dice.some(length_ms)),
        6..=9 => End::Before(dice.some(120)),
        10..=13 => End::Behind(dice.some(120)),
        14..=16 => End::Write(dice.some(400)),
        17 | 18 => End::Stop(dice.some(length_ms)),
        _ => End::Frozen(dice.some(60), dice.within(45..=200)),
    };
    let changes = [Change::Tag, Change::OutputOldest, Change::OutputGone];
    let change = match dice.within(0..=9) {
        0..=2 => Some(dice.of(&changes)),
        3 if machines => Some(Change::Machines),
        _ => None,
    };
    Life { end, power: dice.percent(40), down: dice.of(&[0, 1, 20, 400]), change }
}

/// Something that happens.
fn act(dice: &mut Dice, settings: &Settings, machines: bool) -> Act {
    let lists = [None, None, Some(RequestKind::Alerts), Some(RequestKind::Machines), Some(RequestKind::Token)];
    match dice.within(0..=99) {
        0..=13 => Act::Add(dice.some(12) as u32),
        14..=27 => Act::Update,
        28..=33 => Act::AddLate(dice.some(settings.back)),
        34..=39 => Act::UpdateLate(dice.some(settings.back)),
        40..=45 if machines => dice.of(&[Act::AddMachine, Act::RemoveMachine]),
        46..=51 if machines => Act::ShiftMachines(dice.within(1..=3)),
        52..=55 => Act::ShiftAlerts(dice.within(1..=3)),
        56..=59 => Act::Poison(dice.within(1..=2_000)),
        60..=71 => Act::Far(dice.within(0..=1) as usize, trouble(dice)),
        72 | 73 => Act::Clock(dice.of(&[-86_400, -3_600, 3_600, 86_400])),
        74 | 75 => Act::DiskFull(dice.within(1..=50)),
        76 | 77 => Act::DiskSlow(dice.of(&[50, 1_000]), dice.within(1..=120)),
        78 => Act::Revoked,
        79 => Act::Rotated(dice.within(0..=600)),
        80 => Act::Quota(dice.within(5..=50) as u32),
        _ => Act::Api(dice.of(&lists), fault(dice), if dice.percent(15) { dice.within(3..=12) as usize } else { 1 }),
    }
}

/// What goes wrong at a receiver.
fn trouble(dice: &mut Dice) -> Trouble {
    match dice.within(0..=4) {
        0 => Trouble::Reset,
        1 => Trouble::Stall(dice.within(1..=200)),
        2 => Trouble::Forget,
        3 => Trouble::Late,
        _ => Trouble::Refuse,
    }
}

/// What goes wrong with a request or its answer.
fn fault(dice: &mut Dice) -> Fault {
    let body = dice.of(&[ErrorBody::Json, ErrorBody::NoMessage, ErrorBody::Html, ErrorBody::Empty]);
    let told = dice.of(&[RetryAfter::Seconds, RetryAfter::HttpDate, RetryAfter::Text, RetryAfter::Nowhere]);
    let end = dice.of(&[CutEnd::ContentLength, CutEnd::Chunked, CutEnd::Complete]);
    match dice.within(0..=20) {
        0 | 1 => Fault::Throttle { told, seconds: dice.within(1..=90) },
        2..=4 => Fault::Status { status: dice.of(&[500, 502, 503, 504]), body },
        5 => Fault::Unauthorized,
        6 => Fault::Forbidden,
        7 => Fault::NoLicence,
        8 => Fault::Html,
        9 => Fault::TokenRefused { status: 400, error: "temporarily_unavailable".to_owned(), code: 90_033 },
        10 | 11 => Fault::Cut { after: dice.some(20_000), end },
        12 => Fault::Slow { bytes: 2_000, pause_ms: dice.within(1..=3_000) },
        13 => Fault::Hang,
        14 => Fault::Reset { after: if dice.percent(50) { None } else { Some(dice.some(20_000)) } },
        15 => Fault::Lost,
        16 => dice.of(&[Fault::RepeatLink, Fault::LinkWithoutFilter, Fault::LinkRefused]),
        17 => Fault::ForeignLink { base: "https://elsewhere.example".to_owned() },
        // Not `EmptyPage`: what its rows are set aside for is not read again in time (docs/guarantees.md).
        18 => Fault::ForeignLink { base: "https://elsewhere.example".to_owned() },
        19 => Fault::FilterIgnored,
        _ => Fault::RepeatedRows { rows: dice.within(1..=3) as usize },
    }
}
