//! Which streams an output takes: what the whole configuration says, whatever part of it a run was asked for.

use super::run::asked;
use crate::config::{Config, From, OutputEntry};
use crate::record::StreamKey;
use crate::store::{Place, replay_stream};
use std::collections::BTreeSet;

/// The streams of one output.
#[derive(Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Those that it gets.
    pub takes: BTreeSet<StreamKey>,
    /// Those in which it has a place, and of which it is to get nothing any more.
    pub left: Vec<StreamKey>,
}

impl Subscription {
    /// What an output takes of the streams that are pulled, and of those in which it has a place from before: events of a
    /// service that is pulled no more are delivered still, and so are those that this run was not asked to pull.
    pub fn of(config: &Config, entry: &OutputEntry, pulled: &[StreamKey], places: &[Place]) -> Self {
        let again = replay_stream(&entry.name);
        let named = |place: &Place, name: &str| place.output == name && place.stream.service != again.service;
        let follows = |place: &&Place| match &entry.from {
            From::Output(other) => named(place, &entry.name) || named(place, other),
            From::Now | From::Oldest => named(place, &entry.name),
        };
        let left = |stream: &StreamKey| {
            config.inputs.iter().any(|input| input.id == stream.tenant && !asked(&input.outputs, &entry.name))
        };
        let stood: BTreeSet<StreamKey> = places.iter().filter(follows).map(|place| place.stream.clone()).collect();
        let (gone, stays): (BTreeSet<_>, BTreeSet<_>) = stood.into_iter().partition(left);
        let mut takes: BTreeSet<_> = pulled.iter().filter(|stream| !left(stream)).cloned().chain(stays).collect();
        // Dead letters that were asked to be sent again come as a stream of their own.
        takes.insert(again);
        if let From::Output(old) = &entry.from
            && config.outputs.iter().all(|other| other.name != *old)
        {
            // A renaming: what is sent again of the old name's letters is the new one's, and the old one holds nothing more.
            takes.insert(replay_stream(old));
        }
        Self { takes, left: gone.into_iter().collect() }
    }
}
