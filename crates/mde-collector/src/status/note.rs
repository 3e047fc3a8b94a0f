//! What a running process notes of each stream and output, and its form in the store.

use super::{Health, LastPull, OutputWord, Word};
use crate::record::StreamKey;
use crate::store::Note;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is noted of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StreamNote {
    /// How it stands.
    pub word: Word,
    /// What the last whole pull came to; it outlives the process.
    pub last_pull: Option<LastPull>,
    /// What ended the last pull early, or holds it up now.
    pub error: Option<String>,
    /// What to do about that, where it is more than the word's own advice.
    pub advice: Option<String>,
    /// When the next pull begins. Unit: milliseconds since 1970, UTC. `None` while one is under way.
    #[serde(default)]
    pub next_ms: Option<i64>,
    /// What its pulls were like; it outlives the process.
    #[serde(default)]
    pub health: Health,
}

impl StreamNote {
    /// Takes a word without an error.
    pub fn say(&mut self, word: Word) {
        self.is(word, None, None);
    }

    /// Takes a word with what is wrong and what to do.
    pub fn fail(&mut self, word: Word, error: String, advice: &str) {
        self.is(word, Some(error), Some(advice.to_owned()));
    }

    /// What it says of the present is replaced; the rest stays.
    fn is(&mut self, word: Word, error: Option<String>, advice: Option<String>) {
        (self.word, self.error, self.advice, self.next_ms) = (word, error, advice, None);
    }
}

/// What is noted of an output.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutputNote {
    /// How it stands.
    pub word: OutputWord,
    /// Events handed over and not confirmed.
    pub unconfirmed: u64,
}

/// All notes, by the names that leases have too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    streams: BTreeMap<String, StreamNote>,
    outputs: BTreeMap<String, OutputNote>,
}

/// The name of a stream's note.
pub fn of_stream(stream: &StreamKey) -> String {
    format!("stream {stream}")
}

/// The name of an output's note.
pub fn of_output(output: &str) -> String {
    format!("output {output}")
}

impl Notes {
    /// As the store has them. One that cannot be read is another version's, and tells nothing.
    #[must_use]
    pub fn read(notes: &[Note]) -> Self {
        Self { streams: parse(notes, "stream "), outputs: parse(notes, "output ") }
    }

    /// A stream's.
    #[must_use]
    pub fn stream(&self, stream: &StreamKey) -> Option<&StreamNote> {
        self.streams.get(&of_stream(stream))
    }

    /// An output's.
    #[must_use]
    pub fn output(&self, output: &str) -> Option<&OutputNote> {
        self.outputs.get(&of_output(output))
    }

    /// Changes a stream's; the name of the note where that made a difference.
    pub(super) fn change_stream(&mut self, stream: &StreamKey, change: impl FnOnce(&mut StreamNote)) -> Option<String> {
        changed(&mut self.streams, of_stream(stream), change)
    }

    /// Changes an output's; the name of the note where that made a difference.
    pub(super) fn change_output(&mut self, output: &str, change: impl FnOnce(&mut OutputNote)) -> Option<String> {
        changed(&mut self.outputs, of_output(output), change)
    }

    /// A note as the store takes it.
    pub(super) fn written(&self, name: &str) -> Option<Note> {
        let json = |note: Result<String, _>| note.expect("words, numbers and texts have a JSON form");
        let text = match (self.streams.get(name), self.outputs.get(name)) {
            (Some(note), _) => json(serde_json::to_string(note)),
            (_, Some(note)) => json(serde_json::to_string(note)),
            _ => return None,
        };
        Some(Note { name: name.to_owned(), text })
    }
}

/// Those notes whose names begin so.
fn parse<T: DeserializeOwned>(notes: &[Note], kind: &str) -> BTreeMap<String, T> {
    let named = notes.iter().filter(|note| note.name.starts_with(kind));
    named.filter_map(|note| Some((note.name.clone(), serde_json::from_str(&note.text).ok()?))).collect()
}

/// Changes one note, and gives its name where it is another one then.
fn changed<T: Clone + Default + PartialEq>(
    notes: &mut BTreeMap<String, T>,
    name: String,
    change: impl FnOnce(&mut T),
) -> Option<String> {
    let known = notes.contains_key(&name);
    let note = notes.entry(name.clone()).or_default();
    let before = note.clone();
    change(note);
    (!known || *note != before).then_some(name)
}
