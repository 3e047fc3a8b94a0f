//! A body as it arrives, with a limit on how long it may be silent.

use crate::error::{Context, Error};
use crate::transport::TransportError;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::time::Duration;
use tokio::time::timeout;

/// The chunks of one answer.
pub(crate) struct Body {
    /// What the transport gave.
    stream: BoxStream<'static, Result<Bytes, TransportError>>,
    /// Longest wait for the next chunk. It runs only while somebody waits: a slow reader is no slow server.
    silence: Duration,
    /// What an error in the middle of the body tells.
    context: Context,
}

impl Body {
    /// The body of an answer that belongs to that context.
    pub fn new(stream: BoxStream<'static, Result<Bytes, TransportError>>, silence: Duration, context: Context) -> Self {
        Self { stream, silence, context }
    }

    /// The next chunk, never empty; `None` after the last.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let next = timeout(self.silence, self.stream.next()).await;
            match next.unwrap_or(Some(Err(TransportError::Timeout(None)))) {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => return Ok(Some(chunk)),
                Some(Err(cause)) => return Err(Error::transport(cause, self.context.clone())),
                None => return Ok(None),
            }
        }
    }

    /// The whole body, if it has at most `cap` bytes; else `None`.
    pub async fn whole(&mut self, cap: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > cap {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    /// As much of the body as arrives within `cap` bytes; what goes wrong on the way is not told.
    pub async fn beginning(&mut self, cap: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < cap {
            let Ok(Some(chunk)) = self.chunk().await else { break };
            let room = cap - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        bytes
    }

    /// What an error about this body tells.
    pub fn context(&self) -> &Context {
        &self.context
    }
}
