//! `state reset`, `replay` and `drop-output`: changes, under the lock of the state folder.

use super::super::{USAGE, give, place, say};
use super::{DropOutput, Replay, Reset, configuration};
use crate::record::StreamKey;
use crate::store::{Checkpoints, DeadLetters, Leases, Outputs, Store, StoreError};
use std::time::Duration;

/// Longer than any change takes; the lock keeps everybody else out anyway.
const TERM: Duration = Duration::from_secs(30);
/// The holder of leases here.
const OWNER: &str = "state reset";

/// Starts streams again.
pub(super) async fn reset(Reset { source, chosen }: Reset) -> Result<(), u8> {
    let config = configuration(&source)?;
    let chosen = chosen.resolve(&config)?;
    let named =
        |tenant: &str| config.inputs.iter().filter(|input| input.id == tenant).map(|input| input.name.clone()).next();
    let asks = |stream: &StreamKey| {
        (chosen.services.is_empty() || chosen.services.contains(&stream.service))
            && (chosen.tenants.is_empty() || named(&stream.tenant).is_some_and(|name| chosen.tenants.contains(&name)))
    };
    let store = place::open(&config).await?;
    let done = async {
        let streams = store.streams().await?;
        let streams: Vec<_> = streams.into_iter().map(|(stream, _)| stream).filter(asks).collect();
        for stream in &streams {
            let name = format!("stream {stream}");
            let lease = store.acquire(&name, OWNER, TERM).await?;
            let lease = lease.expect("opening the store under its lock has ended all leases");
            let state = store.start_again(&lease, stream, "").await?;
            store.release(&lease).await?;
            give(format_args!("{stream}: starts again, epoch {}", state.epoch));
        }
        if streams.is_empty() {
            say("no stream of that kind has been pulled yet, so there is nothing to start again");
        }
        store.close().await
    };
    ended(done.await)
}

/// Has dead letters sent again.
pub(super) async fn replay(Replay { source, output }: Replay) -> Result<(), u8> {
    let config = configuration(&source)?;
    let store = place::open(&config).await?;
    let known = ended(store.outputs().await)?;
    if let Some(name) = output.as_ref().filter(|name| known.iter().all(|state| state.name != **name)) {
        let names: Vec<&str> = known.iter().map(|state| state.name.as_str()).collect();
        say(format_args!("--output {name}: the state knows no such output; it knows {}", names.join(", ")));
        ended(store.close().await)?;
        return Err(USAGE);
    }
    let done = async {
        for state in known.iter().filter(|state| output.as_ref().is_none_or(|name| *name == state.name)) {
            let events = store.replay(&state.name).await?;
            give(format_args!("{}: {events} dead letters are sent again by the next run", state.name));
        }
        store.close().await
    };
    ended(done.await)
}

/// Forgets an output.
pub(super) async fn drop_output(DropOutput { name, source }: DropOutput) -> Result<(), u8> {
    let config = configuration(&source)?;
    if config.outputs.iter().any(|entry| entry.name == name) {
        say(format_args!("{name} is still configured: take it out of `outputs` first, or it would begin anew"));
        return Err(USAGE);
    }
    let store = place::open(&config).await?;
    let dropped = ended(store.drop_output(&name).await);
    ended(store.close().await)?;
    match dropped? {
        Some(state) => {
            let (events, letters) = (state.depth.events, state.dead_letters);
            give(format_args!("{name}: forgotten, with {events} events that waited for it and {letters} dead letters"));
            Ok(())
        }
        None => {
            say(format_args!("{name}: the state knows no such output"));
            Err(USAGE)
        }
    }
}

/// What the store says, as an exit code.
pub(super) fn ended<T>(result: Result<T, StoreError>) -> Result<T, u8> {
    result.map_err(|error| place::unusable(&error))
}
