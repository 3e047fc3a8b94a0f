//! The story of a record as a person is told it, line by line; the command and the page tell the same.

use super::{Aside, End, Entity, Explained, Fate, Unseen, Version};

/// Names of events that are shown to a person.
const SHOWN: usize = 3;

/// Tells it: how deep each line stands, and the line.
pub fn told(explained: &Explained, tell: &mut impl FnMut(usize, &str)) {
    for version in &explained.versions {
        told_version(version, tell);
    }
    for entity in &explained.entities {
        told_entity(entity, tell);
    }
    for Aside { stream, what } in &explained.set_aside {
        let whole = if what.id.is_some() { "it is set aside" } else { "it may be in what is set aside" };
        tell(1, &format!("{stream}: {whole}: {} to {}: {}", what.from, what.to, what.reason));
        tell(2, "it is tried again each hour, and by each `run --once`");
    }
    if !explained.unseen.is_empty() {
        tell(1, "not seen. Either it is not visible at the API yet, or it does not belong to what is read:");
        for unseen in &explained.unseen {
            tell(2, &told_unseen(unseen));
        }
        tell(1, "What was seen more than 30 days ago is not known any more.");
    }
}

/// A version, line by line.
fn told_version(version: &Version, tell: &mut impl FnMut(usize, &str)) {
    tell(1, &format!("{}: version of {}", version.stream, version.time));
    let request = version.request_id.as_ref().map_or_else(String::new, |request| format!(" from request {request}"));
    tell(2, &format!("stored {}{request}", version.stored));
    let batch = version.batch.map_or_else(String::new, |batch| format!(" in batch {batch}"));
    tell(2, &format!("{}{batch}{}", events(version.events), names(&version.event_ids)));
    version.outputs.iter().for_each(|fate| tell(2, &told_fate(fate)));
}

/// An entity, line by line.
fn told_entity(entity: &Entity, tell: &mut impl FnMut(usize, &str)) {
    let snapshot = entity.snapshot.as_deref().unwrap_or("-");
    let present = if entity.present { "in the newest snapshot" } else { "no longer in the newest snapshot" };
    tell(1, &format!("{}: {present}, {snapshot}", entity.stream));
    if let Some(id) = &entity.event_id {
        tell(2, &format!("event {id}"));
    }
    if entity.only_changes && entity.outputs.is_empty() {
        tell(2, "only changes leave (`emit: changes`): it is sent again when it changes");
    }
    entity.outputs.iter().for_each(|fate| tell(2, &told_fate(fate)));
}

/// What became of events at an output.
fn told_fate(Fate { output, state, at, events: count, reason }: &Fate) -> String {
    let at = at.as_ref().map_or_else(String::new, |at| format!(" {at}"));
    let what = match state {
        End::Delivered => format!("delivered{at}"),
        End::Waiting => "waiting in the outbox".to_owned(),
        End::DeadLetter => {
            format!("dead letter since{at}: {}; `state replay` sends it again", reason.as_deref().unwrap_or("-"))
        }
        End::Lost => format!("lost{at}: the outbox was full, and this output is not required"),
        End::Before => format!("not sent: this output began later,{at}"),
    };
    format!("{output}: {} {what}", events(*count))
}

/// What has been read of a stream.
fn told_unseen(Unseen { stream, read_up_to, from, filter }: &Unseen) -> String {
    let read =
        read_up_to.as_deref().map_or_else(|| "nothing read yet".to_owned(), |moment| format!("read up to {moment}"));
    let from = from.as_deref().map_or_else(String::new, |from| format!(", from {from}"));
    let filter = filter.as_deref().map_or_else(String::new, |filter| format!(", filter {filter}"));
    format!("{stream}: {read}{from}{filter}")
}

/// A number of events.
fn events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

/// The first names, and that there are more.
fn names(ids: &[String]) -> String {
    let more = if ids.len() > SHOWN { ", …" } else { "" };
    let shown = ids[..ids.len().min(SHOWN)].join(", ");
    if shown.is_empty() { shown } else { format!(": {shown}{more}") }
}
