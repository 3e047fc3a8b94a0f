//! What the pull half asks of a store: checkpoints and keys, entities, counts.

use super::{SqliteStore, counts, entities, keys, lease, stream};
use crate::record::{EntityKey, StreamKey, VersionKey};
use crate::store::{
    Checkpoints, CountKind, CountState, Counts, Entities, Known, LastSeen, Lease, StoreError, StreamState, Told, Wanted,
};
use async_trait::async_trait;

#[async_trait]
impl Checkpoints for SqliteStore {
    async fn stream(&self, stream: &StreamKey) -> Result<StreamState, StoreError> {
        let mut reader = self.reader().await?;
        let found = self.named(stream::find(&mut reader, stream).await)?;
        drop(reader);
        if let Some(row) = found {
            return Ok(row.state());
        }
        let mut transaction = self.transaction().await?;
        let result = stream::meet(&mut transaction, stream).await;
        Ok(self.end(transaction, result).await?.state())
    }

    async fn streams(&self) -> Result<Vec<(StreamKey, StreamState)>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(stream::all(&mut reader).await)
    }

    async fn known(&self, stream: &StreamKey, keys: &[VersionKey]) -> Result<Vec<bool>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(keys::known(&mut reader, stream, keys).await)
    }

    async fn start_again(&self, lease: &Lease, stream: &StreamKey, memory: &str) -> Result<StreamState, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = match lease::require(&mut transaction, lease).await {
            Ok(()) => stream::start_again(&mut transaction, stream, memory).await,
            Err(fault) => Err(fault),
        };
        self.end(transaction, result).await
    }
}

#[async_trait]
impl Entities for SqliteStore {
    async fn last_seen(&self, stream: &StreamKey, keys: &[EntityKey]) -> Result<Vec<Option<LastSeen>>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(entities::last_seen(&mut reader, stream, keys).await)
    }

    async fn count_absent(&self, stream: &StreamKey, since: u64) -> Result<(u64, u64), StoreError> {
        let mut reader = self.reader().await?;
        self.named(entities::count_absent(&mut reader, stream, since).await)
    }

    async fn absent(&self, stream: &StreamKey, since: u64, limit: u32) -> Result<Vec<(EntityKey, String)>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(entities::absent(&mut reader, stream, since, limit).await)
    }
}

#[async_trait]
impl Counts for SqliteStore {
    async fn counts(
        &self,
        stream: &StreamKey,
        names: &[&str],
        keys: &[EntityKey],
    ) -> Result<Vec<Vec<Option<Known>>>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(counts::find(&mut reader, stream, names, keys).await)
    }

    async fn want(
        &self,
        stream: &StreamKey,
        names: &[&str],
        entities: &[(EntityKey, String)],
    ) -> Result<(), StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = counts::want(&mut transaction, stream, names, entities, now_ms).await;
        self.end(transaction, result).await
    }

    async fn stale(
        &self,
        stream: &StreamKey,
        names: &[&str],
        since_ms: i64,
        limit: u32,
    ) -> Result<Vec<Wanted>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(counts::stale(&mut reader, stream, names, since_ms, limit).await)
    }

    async fn tell(&self, stream: &StreamKey, taken_ms: i64, told: &[Told]) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::tell(&mut transaction, stream, taken_ms, told).await;
        self.end(transaction, result).await
    }

    async fn tell_read(
        &self,
        stream: &StreamKey,
        name: &str,
        taken_ms: i64,
        values: &[(EntityKey, u64)],
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::tell_read(&mut transaction, stream, name, taken_ms, values).await;
        self.end(transaction, result).await
    }

    async fn read_ended(&self, stream: &StreamKey, name: &str, taken_ms: i64, zero: bool) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::read_ended(&mut transaction, stream, name, taken_ms, zero).await;
        self.end(transaction, result).await
    }

    async fn choose(&self, stream: &StreamKey, name: &str, method: &str, reason: &str) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::choose(&mut transaction, stream, name, method, reason).await;
        self.end(transaction, result).await
    }

    async fn trouble(&self, stream: &StreamKey, name: &str, trouble: Option<&str>) -> Result<(), StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::trouble(&mut transaction, stream, name, trouble).await;
        self.end(transaction, result).await
    }

    async fn count_kinds(&self, stream: &StreamKey) -> Result<Vec<CountKind>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(counts::all_kinds(&mut reader, stream).await)
    }

    async fn count_states(&self, stream: &StreamKey) -> Result<Vec<CountState>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(counts::states(&mut reader, stream).await)
    }

    async fn prune_counts(&self, stream: &StreamKey) -> Result<u64, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::prune(&mut transaction, stream).await;
        self.end(transaction, result).await
    }

    async fn forget_counts(&self, stream: &StreamKey, before_ms: i64) -> Result<u64, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = counts::forget(&mut transaction, stream, before_ms).await;
        self.end(transaction, result).await
    }
}
