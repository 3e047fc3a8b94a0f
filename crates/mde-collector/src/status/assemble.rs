//! From facts and notes to a row: pure, so that the page and the command can never tell different stories.

use super::{
    CountStatus, Notes, OutputStatus, OutputWord, PositionStatus, SetAside, SnapshotStatus, StreamStatus, Word, moment,
};
use crate::record::{StreamKey, ms};
use crate::store::{CountState, OutputState, Place, replay_stream};
use std::time::Duration;

/// Advice where nobody works.
pub const NOBODY_RUNS: &str = "no collector is running: this is what the last one left; start it with `run`";
/// Advice for a stream that nobody will pull.
const NOT_CONFIGURED: &str = "it is not configured any more: its events still leave, and nothing new is pulled";
/// What has been read may lie further back than two periods by this much.
const SLACK: Duration = Duration::from_secs(60);

/// What is known of a stream besides notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFacts {
    /// The stream.
    pub stream: StreamKey,
    /// Name of its input; of one that is no longer configured its `id`.
    pub tenant: String,
    /// Which API it is read from.
    pub backend: &'static str,
    /// Time between two pulls; `None`: it is not configured.
    pub period: Option<Duration>,
    /// Everything before it has been read. Unit: milliseconds since 1970, UTC.
    pub checkpoint_ms: Option<i64>,
    /// The newest snapshot.
    pub snapshot: Option<SnapshotStatus>,
    /// Whether more than is believable was gone in it.
    pub drift: bool,
    /// What could not be read.
    pub set_aside: Vec<SetAside>,
    /// How its counts stand; none where no counts are asked for.
    pub counts: Vec<CountState>,
    /// Why its progress cannot be read.
    pub error: Option<String>,
}

/// What is known of an output besides notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the store knows; `None`: they have not met.
    pub state: Option<&'a OutputState>,
    /// Where all outputs stand.
    pub places: &'a [Place],
}

/// A stream's row. `at_work`: whether somebody is.
#[must_use]
pub fn stream(facts: StreamFacts, notes: &Notes, at_work: bool, now_ms: i64) -> StreamStatus {
    let StreamFacts { stream, tenant, backend, period, checkpoint_ms, snapshot, drift, set_aside, counts, error } =
        facts;
    let noted = notes.stream(&stream).cloned().unwrap_or_default();
    let lag_ms = checkpoint_ms.map(|checkpoint_ms| now_ms.saturating_sub(checkpoint_ms).max(0));
    let late_ms = period.map(|period| ms(period.saturating_mul(2).saturating_add(SLACK)));
    let state = match noted.word {
        _ if error.is_some() => Word::Store,
        Word::Current if drift => Word::Drift,
        Word::Current if !set_aside.is_empty() => Word::Incomplete,
        Word::Current if at_work && lag_ms.zip(late_ms).is_some_and(|(lag, late)| lag > late) => Word::Behind,
        word => word,
    };
    let notices = noted.health.notices(now_ms);
    let advice = match (period, at_work) {
        (None, _) => NOT_CONFIGURED.to_owned(),
        (_, false) => NOBODY_RUNS.to_owned(),
        // Where nothing else is wrong, what is odd is what a person should know.
        _ if state == Word::Current && !notices.is_empty() => notices[0].advice().to_owned(),
        _ => noted.advice.unwrap_or_else(|| state.advice().to_owned()),
    };
    StreamStatus {
        tenant,
        service: stream.service.clone(),
        query: stream.query.clone(),
        backend,
        state,
        checkpoint: checkpoint_ms.map(moment),
        lag_s: lag_ms.map(|ms| ms.unsigned_abs() / 1_000),
        last_pull: noted.last_pull,
        snapshot,
        set_aside,
        counts_age_s: counts.iter().filter_map(|count| count.oldest_ms).min().map(|oldest| age_s(oldest, now_ms)),
        counts: counts.into_iter().map(|state| count(state, now_ms)).collect(),
        error: error.or(noted.error),
        advice,
        notices,
        next_ms: noted.next_ms.filter(|_| at_work),
        stream,
    }
}

/// A related count.
fn count(state: CountState, now_ms: i64) -> CountStatus {
    let CountState { kind, wanted, known, oldest_ms, failed } = state;
    let age_s = oldest_ms.map(|oldest| age_s(oldest, now_ms));
    let (name, method, reason, error) = (kind.name, kind.method, kind.reason, kind.trouble);
    CountStatus { name, method, reason, wanted, known, failed, age_s, error }
}

/// How long ago that was. Unit: seconds.
fn age_s(then_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or_default() / 1_000
}

/// An output's row.
#[must_use]
pub fn output(facts: &OutputFacts<'_>, notes: &Notes, at_work: bool, now_ms: i64) -> OutputStatus {
    let OutputFacts { name, state, places } = *facts;
    let noted = notes.output(name).cloned().unwrap_or_default();
    let depth = state.map(|state| state.depth.clone()).unwrap_or_default();
    let word = match noted.word {
        // What is on its way without anybody at work is on its way no more.
        OutputWord::Connected if !at_work => OutputWord::Idle,
        word => word,
    };
    let again = replay_stream(name);
    let mine =
        places.iter().filter(|place| place.output == name && (place.stream != again || place.position.batch > 0));
    OutputStatus {
        name: name.to_owned(),
        state: word,
        position: mine.map(position).collect(),
        depth_events: depth.events,
        depth_bytes: depth.bytes,
        oldest_s: depth.oldest_ms.map(|ms| u64::try_from(now_ms.saturating_sub(ms) / 1_000).unwrap_or(0)),
        dead_letters: state.map_or(0, |state| state.dead_letters),
        unconfirmed: if at_work { noted.unconfirmed } else { 0 },
        lost_events: state.map_or(0, |state| state.lost_events),
    }
}

/// A place as it is told.
fn position(place: &Place) -> PositionStatus {
    let stream = match &place.stream {
        stream if *stream == replay_stream(&place.output) => "dead letters".to_owned(),
        stream => stream.to_string(),
    };
    let frame = Some(place.position.frame).filter(|frame| *frame != u32::MAX);
    PositionStatus { stream, batch: place.position.batch, frame }
}

#[cfg(test)]
mod tests {
    use super::super::{Board, OutputNote};
    use super::*;
    use crate::record::Position;
    use crate::store::{CountKind, Depth};

    /// A stream that was read up to ten seconds before the moment of these tests.
    fn facts() -> StreamFacts {
        StreamFacts {
            stream: StreamKey { tenant: "id".to_owned(), service: "alerts".to_owned(), query: None },
            tenant: "acme".to_owned(),
            backend: "mde",
            period: Some(Duration::from_secs(60)),
            checkpoint_ms: Some(NOW - 10_000),
            snapshot: None,
            drift: false,
            set_aside: Vec::new(),
            counts: Vec::new(),
            error: None,
        }
    }

    /// The moment of these tests.
    const NOW: i64 = 1_760_000_000_000;

    /// Notes in which the stream has this word.
    fn noted(word: Word) -> Notes {
        let board = Board::default();
        board.stream(&facts().stream, |note| note.say(word));
        board.notes()
    }

    #[test]
    fn a_current_stream_with_something_set_aside_or_far_back_has_another_word() {
        let aside = SetAside { from: moment(0), to: moment(1), id: None, reason: "503".to_owned() };
        let word = |facts: StreamFacts| stream(facts, &noted(Word::Current), true, NOW).state;
        assert_eq!(word(facts()), Word::Current);
        assert_eq!(word(StreamFacts { set_aside: vec![aside], ..facts() }), Word::Incomplete);
        assert_eq!(word(StreamFacts { drift: true, ..facts() }), Word::Drift);
        assert_eq!(word(StreamFacts { checkpoint_ms: Some(NOW - 180_000), ..facts() }), Word::Current);
        assert_eq!(word(StreamFacts { checkpoint_ms: Some(NOW - 180_001), ..facts() }), Word::Behind);
        assert_eq!(word(StreamFacts { error: Some("read".to_owned()), ..facts() }), Word::Store);
    }

    #[test]
    fn a_word_with_an_error_keeps_it_and_its_own_advice() {
        let board = Board::default();
        board.stream(&facts().stream, |note| note.fail(Word::Denied, "ask: 403".to_owned(), "grant Alert.Read.All"));
        let row = stream(facts(), &board.notes(), true, NOW);
        assert_eq!(
            (row.state, row.error.as_deref(), &*row.advice),
            (Word::Denied, Some("ask: 403"), "grant Alert.Read.All")
        );
    }

    #[test]
    fn without_anybody_at_work_the_last_word_stands_and_the_advice_is_to_start() {
        let row = stream(facts(), &noted(Word::Pulling), false, NOW);
        assert_eq!((row.state, &*row.advice), (Word::Pulling, NOBODY_RUNS));
        let row = stream(StreamFacts { period: None, ..facts() }, &Notes::default(), true, NOW);
        assert_eq!((row.state, &*row.advice), (Word::Starting, NOT_CONFIGURED));
    }

    #[test]
    fn the_oldest_count_of_all_is_the_age_of_a_streams_counts() {
        let count = |name: &str, oldest_ms| CountState {
            kind: CountKind { name: name.to_owned(), method: "per_entity".to_owned(), ..CountKind::default() },
            oldest_ms,
            ..CountState::default()
        };
        let counts = vec![count("a", Some(NOW - 5_000)), count("b", Some(NOW - 90_000)), count("c", None)];
        let row = stream(StreamFacts { counts, ..facts() }, &noted(Word::Current), true, NOW);
        assert_eq!(row.counts_age_s, Some(90));
        let ages: Vec<_> = row.counts.iter().map(|count| (&*count.name, count.age_s)).collect();
        assert_eq!(ages, [("a", Some(5)), ("b", Some(90)), ("c", None)]);
    }

    #[test]
    fn a_checkpoint_in_the_future_is_no_lag() {
        let row = stream(StreamFacts { checkpoint_ms: Some(NOW + 5_000), ..facts() }, &noted(Word::Current), true, NOW);
        assert_eq!(row.lag_s, Some(0));
    }

    #[test]
    fn an_output_tells_where_it_stands_and_what_waits() {
        let depth = Depth { events: 7, bytes: 900, oldest_ms: Some(NOW - 5_000) };
        let state = OutputState {
            name: "devo".to_owned(),
            depth,
            memory: None,
            used_ms: None,
            removed_ms: None,
            lost_events: 1,
            dead_letters: 2,
        };
        let place = |output: &str, stream: StreamKey, position| Place { output: output.to_owned(), stream, position };
        let places = [
            place("devo", facts().stream, Position::after_batch(3)),
            place("devo", replay_stream("devo"), Position::START),
            place("file", facts().stream, Position::START),
        ];
        let board = Board::default();
        board.output("devo", |note| *note = OutputNote { word: OutputWord::Connected, unconfirmed: 4 });
        let row =
            output(&OutputFacts { name: "devo", state: Some(&state), places: &places }, &board.notes(), true, NOW);
        let position = vec![PositionStatus { stream: "id/alerts".to_owned(), batch: 3, frame: None }];
        assert_eq!(
            row,
            OutputStatus {
                name: "devo".to_owned(),
                state: OutputWord::Connected,
                position,
                depth_events: 7,
                depth_bytes: 900,
                oldest_s: Some(5),
                dead_letters: 2,
                unconfirmed: 4,
                lost_events: 1,
            }
        );
        let row = output(&OutputFacts { name: "devo", state: None, places: &[] }, &board.notes(), false, NOW);
        assert_eq!((row.state, row.unconfirmed, row.depth_events), (OutputWord::Idle, 0, 0));
    }
}
