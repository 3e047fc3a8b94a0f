//! What the process and those who look at it from outside ask of a store: leases, notes, history, moving it, its end.

use super::{SqliteStore, entities, files, lease, note, passage, portable, trace};
use crate::record::{Position, StreamKey};
use crate::store::portable::{Portable, Rows, Sink};
use crate::store::{History, Lease, Leases, Note, Notes, Passage, Place, Seen, Store, StoreError, Traced};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl History for SqliteStore {
    async fn history(&self, id: &str, limit: u32) -> Result<Vec<Traced>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(trace::find(&mut reader, id, limit).await)
    }

    async fn sightings(&self, id: &str) -> Result<Vec<(StreamKey, Seen)>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(entities::of_id(&mut reader, id).await)
    }

    async fn places(&self) -> Result<Vec<Place>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(passage::places(&mut reader).await)
    }

    async fn passage(
        &self,
        output: &str,
        stream: &StreamKey,
        position: Position,
    ) -> Result<Option<Passage>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(passage::first(&mut reader, output, stream, position).await)
    }
}

#[async_trait]
impl Notes for SqliteStore {
    async fn note(&self, notes: &[Note]) -> Result<(), StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = note::put(&mut transaction, notes, now_ms).await;
        self.end(transaction, result).await
    }

    async fn notes(&self) -> Result<Vec<Note>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(note::all(&mut reader).await)
    }
}

#[async_trait]
impl Leases for SqliteStore {
    async fn acquire(&self, name: &str, owner: &str, term: Duration) -> Result<Option<Lease>, StoreError> {
        let first = self.try_acquire(name, owner, term).await;
        if self.made_room(&first) { self.try_acquire(name, owner, term).await } else { first }
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = lease::release(&mut transaction, lease).await;
        self.end(transaction, result).await
    }

    async fn at_work(&self) -> Result<bool, StoreError> {
        let now_ms = (self.now)();
        let mut reader = self.reader().await?;
        self.named(lease::held(&mut reader, now_ms).await)
    }
}

#[async_trait]
impl Portable for SqliteStore {
    async fn export(&self, sink: &mut Sink<'_>) -> Result<(), StoreError> {
        let mut reader = self.reader().await?;
        self.named(portable::export(&mut reader, sink).await)
    }

    async fn import(&self, rows: &mut Rows<'_>) -> Result<u64, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = portable::import(&mut transaction, rows).await;
        self.end(transaction, result).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn free_bytes(&self) -> Result<u64, StoreError> {
        self.directory.as_deref().map_or(Ok(u64::MAX), files::free_octets)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.named(self.connections.close().await)?;
        // The lock goes last: whoever takes it finds the files at rest.
        self.folder().take();
        Ok(())
    }
}
