//! The least that a process can do which takes the same octets in and gives the same number out: it reads and it writes.

use crate::Verdict;
use crate::collector::{self, Usage};
use clap::Args;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// Length of one read or write. Unit: octets.
const PIECE: usize = 64 * 1024;

/// Reads from one address to the end, then writes so much to another.
#[derive(Args)]
pub struct Floor {
    /// Where the pages come from.
    #[arg(long)]
    from: SocketAddr,
    /// Where the events go to.
    #[arg(long)]
    to: SocketAddr,
    /// Unit: octets.
    #[arg(long)]
    octets: u64,
}

impl Floor {
    /// Does nothing else.
    pub async fn run(self) -> Verdict {
        read_all(TcpStream::connect(self.from)?)?;
        write_all(TcpStream::connect(self.to)?, self.octets)?;
        Ok(true)
    }
}

/// What such a process uses for those numbers of octets. Both far ends are threads of this one.
pub async fn measure(octets_in: u64, octets_out: u64) -> Result<Usage, Box<dyn Error>> {
    let (pages, events) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--bench", "floor", "--octets", &octets_out.to_string()]);
    command.args(["--from", &pages.local_addr()?.to_string(), "--to", &events.local_addr()?.to_string()]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let far = tokio::task::spawn_blocking(move || {
        write_all(pages.accept()?.0, octets_in)?;
        read_all(events.accept()?.0)
    });
    let used = collector::used_by(child).await?;
    far.await??;
    Ok(used)
}

/// Reads to the end and keeps nothing.
fn read_all(mut from: TcpStream) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while from.read(&mut piece)? > 0 {}
    Ok(())
}

/// Writes so many octets of no meaning.
fn write_all(mut to: TcpStream, octets: u64) -> io::Result<()> {
    let piece = vec![b'x'; PIECE];
    let mut left = octets;
    while left > 0 {
        let length = left.min(PIECE as u64);
        to.write_all(&piece[..usize::try_from(length).unwrap_or(PIECE)])?;
        left -= length;
    }
    Ok(())
}
