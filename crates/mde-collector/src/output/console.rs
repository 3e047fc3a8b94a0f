//! Standard output: one event JSON a line, nothing else.
//!
//! There is no sign of arrival beyond the flush, so what was flushed is confirmed at once.

use super::{Confirmed, Offset, Output, OutputError, Written};
use crate::record::{ErrorClass, StoredFrame};
use async_trait::async_trait;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Where the lines go: standard output, or a test's buffer.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Lines on a writer.
pub(super) struct Console {
    /// Where the lines go.
    writer: Writer,
    /// What was flushed.
    flushed: Offset,
    /// A line was begun and not ended: the write was cancelled or failed in the middle.
    torn: bool,
}

impl Console {
    /// Lines on that writer.
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer, flushed: Offset(0), torn: false }
    }

    /// Writes whole lines. After a torn one a line feed comes first, so that the repetition stands on a line of its own.
    async fn write_lines(&mut self, body: &[u8]) -> io::Result<()> {
        if self.torn {
            self.writer.write_all(b"\n").await?;
        }
        self.torn = true;
        self.writer.write_all(body).await?;
        self.writer.flush().await?;
        self.torn = false;
        Ok(())
    }
}

#[async_trait]
impl Output for Console {
    async fn write(&mut self, frame: &StoredFrame) -> Result<Written, OutputError> {
        self.write_lines(&frame.body).await.map_err(|cause| failed("write to the console", cause))?;
        self.flushed.0 += frame.body.len() as u64;
        Ok(Written { end: self.flushed, refused: Vec::new() })
    }

    async fn confirmed(&mut self) -> Result<Confirmed, OutputError> {
        Ok(Confirmed { through: self.flushed, memory: None })
    }

    async fn check(&mut self) -> Result<(), OutputError> {
        self.writer.flush().await.map_err(|cause| failed("flush the console", cause))
    }

    async fn close(&mut self, _within: Duration) -> Result<Confirmed, OutputError> {
        self.confirmed().await
    }

    async fn reset(&mut self) {}
}

/// A reader that has gone away does not come back: a person must act.
fn failed(action: &str, cause: io::Error) -> OutputError {
    let class = if cause.kind() == io::ErrorKind::BrokenPipe { ErrorClass::Denied } else { ErrorClass::Transient };
    OutputError::new(class, action, cause)
}
