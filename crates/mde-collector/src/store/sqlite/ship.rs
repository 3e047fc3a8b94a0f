//! What the ship half asks of a store: frames, outputs, dead letters.

use super::{SqliteStore, batch, collect, frame, jump, letters, outputs, position, read, removed};
use crate::record::{BatchHead, Frame, Position, StoredFrame, StreamKey};
use crate::store::{
    Attached, BatchId, Commit, DeadLetter, DeadLetters, Depth, Jump, Lease, Outbox, OutputState, Outputs, Refusal,
    Removed, StartAt, StoreError,
};
use async_trait::async_trait;

#[async_trait]
impl Outbox for SqliteStore {
    async fn begin(&self, lease: &Lease, stream: &StreamKey, head: &BatchHead) -> Result<BatchId, StoreError> {
        let mut transaction = self.unseen().await?;
        let result = batch::begin(&mut transaction, lease, stream, head).await;
        self.end(transaction, result).await
    }

    async fn append(&self, batch: BatchId, frame: &Frame) -> Result<(), StoreError> {
        if self.folder().as_ref().is_some_and(|folder| !folder.keep_reserve()) {
            // What is left is for outputs: once they have caught up, there is room again.
            return Err(StoreError::Disk("the reserve has been given up, the disk is full".to_owned()));
        }
        let packed = frame::pack(frame);
        let mut transaction = self.unseen().await?;
        let result = batch::append(&mut transaction, batch, packed).await;
        self.end(transaction, result).await
    }

    async fn commit(&self, lease: &Lease, stream: &StreamKey, commit: &Commit) -> Result<Option<u64>, StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = batch::commit(&mut transaction, lease, stream, commit, now_ms).await;
        self.end(transaction, result).await
    }

    async fn discard(&self, batch: BatchId) -> Result<(), StoreError> {
        self.named(collect::discard(&self.connections, batch).await)
    }

    async fn read(
        &self,
        stream: &StreamKey,
        after: Position,
        max_bytes: usize,
    ) -> Result<Vec<StoredFrame>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(read::frames(&mut reader, stream, after, max_bytes).await)
    }

    async fn attach(&self, output: &str, stream: &StreamKey, start: &StartAt) -> Result<Attached, StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = position::attach(&mut transaction, output, stream, start, now_ms).await;
        self.end(transaction, result).await
    }

    async fn advance(
        &self,
        lease: &Lease,
        output: &str,
        positions: &[(StreamKey, Position)],
        memory: Option<&str>,
    ) -> Result<(), StoreError> {
        self.bury(lease, output, positions, memory, &[]).await.map(drop)
    }

    async fn output_memory(&self, output: &str) -> Result<Option<String>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(position::memory(&mut reader, output).await)
    }

    async fn depth(&self, output: &str) -> Result<Depth, StoreError> {
        let mut reader = self.reader().await?;
        self.named(read::depth(&mut reader, output).await)
    }

    async fn bytes(&self) -> Result<u64, StoreError> {
        let mut reader = self.reader().await?;
        self.named(read::octets(&mut reader).await)
    }

    async fn collect(&self, configured: &[String]) -> Result<u64, StoreError> {
        let first = self.try_collect(configured).await;
        if self.made_room(&first) {
            return self.try_collect(configured).await;
        }
        if let Some(folder) = &*self.folder() {
            folder.keep_reserve();
        }
        first
    }
}

#[async_trait]
impl Outputs for SqliteStore {
    async fn outputs(&self) -> Result<Vec<OutputState>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(outputs::all(&mut reader).await)
    }

    async fn live_bytes(&self) -> Result<u64, StoreError> {
        let mut reader = self.reader().await?;
        self.named(outputs::live_octets(&mut reader).await)
    }

    async fn leave(&self, output: &str, streams: &[StreamKey]) -> Result<(), StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = removed::leave(&mut transaction, output, streams, now_ms).await;
        self.end(transaction, result).await
    }

    async fn removed(&self) -> Result<Vec<Removed>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(removed::all(&mut reader).await)
    }

    async fn let_go(&self, max_bytes: u64) -> Result<Vec<Removed>, StoreError> {
        self.named(removed::let_go(&self.connections, (self.now)(), max_bytes).await)
    }

    async fn drop_output(&self, output: &str) -> Result<Option<OutputState>, StoreError> {
        let mut transaction = self.transaction().await?;
        let result = outputs::drop_one(&mut transaction, output).await;
        let dropped = self.end(transaction, result).await?;
        self.named(collect::free(&self.connections).await)?;
        Ok(dropped)
    }

    async fn jump(&self, optional: &[String], bytes: u64) -> Result<Vec<Jump>, StoreError> {
        let now_ms = (self.now)();
        let mut transaction = self.transaction().await?;
        let result = jump::jump(&mut transaction, optional, bytes, now_ms).await;
        let jumped = self.end(transaction, result).await?;
        if !jumped.is_empty() {
            self.named(collect::free(&self.connections).await)?;
        }
        Ok(jumped)
    }
}

#[async_trait]
impl DeadLetters for SqliteStore {
    async fn bury(
        &self,
        lease: &Lease,
        output: &str,
        positions: &[(StreamKey, Position)],
        memory: Option<&str>,
        refused: &[Refusal],
    ) -> Result<u64, StoreError> {
        let first = self.try_bury(lease, output, (positions, memory), refused).await;
        if self.made_room(&first) { self.try_bury(lease, output, (positions, memory), refused).await } else { first }
    }

    async fn dead_letters(&self, output: &str, after: u64, max_bytes: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let mut reader = self.reader().await?;
        self.named(letters::list(&mut reader, output, after, max_bytes).await)
    }

    async fn replay(&self, output: &str) -> Result<u64, StoreError> {
        let mut reader = self.reader().await?;
        // Those that are refused again meanwhile wait for the next call.
        let through = self.named(letters::newest(&mut reader, output).await)?;
        drop(reader);
        let mut events = 0;
        loop {
            let now_ms = (self.now)();
            let mut transaction = self.transaction().await?;
            let result = letters::replay(&mut transaction, output, through, now_ms).await;
            match self.end(transaction, result).await? {
                0 => return Ok(events),
                count => events += count,
            }
        }
    }
}
