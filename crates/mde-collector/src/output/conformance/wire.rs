//! A wire between an output and its receiver that breaks as it is told. It knows nothing of what is said on it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// What happens to one connection once so many octets have gone to the receiver.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Break {
    /// Both sides see a reset.
    Reset(u64),
    /// Nothing more goes either way, and nobody is told.
    Silence(u64),
}

/// A wire to a port on loopback. Dropped, it is gone with all its connections.
pub(crate) struct Wire {
    pub port: u16,
    breaks: Arc<Mutex<VecDeque<Break>>>,
    carrying: AbortHandle,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl Wire {
    /// Connections break as `breaks` says, one by one; those after them hold.
    pub async fn to(port: u16, breaks: impl IntoIterator<Item = Break>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let own = listener.local_addr().expect("address").port();
        let breaks = Arc::new(Mutex::new(breaks.into_iter().collect::<VecDeque<_>>()));
        let left = Arc::clone(&breaks);
        let carrying = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let next = left.lock().expect("sound").pop_front();
                // A connection that breaks is part of the plan.
                connections.spawn(async move { carry(near, port, next).await });
            }
        });
        Self { port: own, breaks, carrying: carrying.abort_handle() }
    }

    /// Breaks that no connection has met yet.
    pub fn breaks_left(&self) -> usize {
        self.breaks.lock().expect("sound").len()
    }
}

/// Carries one connection to its end.
async fn carry(mut near: TcpStream, port: u16, next: Option<Break>) -> io::Result<()> {
    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
    let Some(next) = next else {
        return tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop);
    };
    let (Break::Reset(octets) | Break::Silence(octets)) = next;
    let broken = {
        let (near_in, mut near_out) = near.split();
        let (mut far_in, mut far_out) = far.split();
        let mut limited = near_in.take(octets);
        let up = async {
            copy(&mut limited, &mut far_out).await?;
            let whole = limited.limit() > 0;
            if whole {
                far_out.shutdown().await?;
            }
            io::Result::Ok(whole)
        };
        let down = async {
            copy(&mut far_in, &mut near_out).await?;
            near_out.shutdown().await?;
            std::future::pending::<io::Result<bool>>().await
        };
        tokio::select! {
            whole = up => !whole?,
            ended = down => !ended?,
        }
    };
    match next {
        _ if !broken => copy(&mut far, &mut near).await.map(drop),
        Break::Reset(_) => {
            far.set_zero_linger()?;
            near.set_zero_linger()
        }
        Break::Silence(_) => std::future::pending().await,
    }
}
