//! What names one version of an entity, and each event made of it.

use sha2::{Digest, Sha256};
use std::fmt;

/// Names one version of an entity: the first 128 bits of SHA-256 over input id, service and each part of the
/// version key, joined by NUL. Source: design, "The event".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionKey(pub [u8; 16]);

/// Names one entity within its stream, whatever its version: as a version key, over input id, service and entity id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityKey(pub [u8; 16]);

/// Names one event, 32 lower-case hex digits: a version and the event's number within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub [u8; 16]);

/// The common prefix of a version's names, hashed once and finished for each event.
#[derive(Clone)]
pub struct Identity(Sha256);

impl Identity {
    /// `parts` are the texts of the version key after unescaping, in the order of the service's table.
    pub fn new<'a>(input_id: &str, service: &str, parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        hash.update(input_id.as_bytes());
        hash.update([0]);
        hash.update(service.as_bytes());
        for part in parts {
            hash.update([0]);
            hash.update(part.as_bytes());
        }
        Self(hash)
    }

    /// The version's own name, by which the store knows it.
    #[must_use]
    pub fn key(&self) -> VersionKey {
        VersionKey(first_half(self.0.clone()))
    }

    /// The name of event number `index` (0-based; 0 when the record is not exploded).
    #[must_use]
    pub fn event_id(&self, index: u64) -> EventId {
        let mut hash = self.0.clone();
        hash.update([0]);
        hash.update(index.to_string().as_bytes());
        EventId(first_half(hash))
    }
}

fn first_half(hash: Sha256) -> [u8; 16] {
    let digest = hash.finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

fn write_hex(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for EntityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for VersionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}
