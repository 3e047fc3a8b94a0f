//! Processor time of the whole path: HTTPS, gunzip, flatten, durable outbox, TLS, one output.

use crate::load::Load;
use crate::{Verdict, collector, floor, median, receiver};
use clap::Args;
use mde_sim::receiver::TestPki;
use std::error::Error;

/// Processor time of the whole path for a million events, beside a floor that does no work.
#[derive(Args)]
pub struct Whole {
    /// Alerts in the one page that the load server replays: under 10,000 and no multiple of 100.
    #[arg(long, value_name = "N", default_value_t = 9_501)]
    alerts: usize,
    /// Pieces of evidence, so events, of each.
    #[arg(long, value_name = "N", default_value_t = 4)]
    evidence: usize,
    /// Runs, each in an empty folder; the median counts.
    #[arg(long, value_name = "N", default_value_t = 7)]
    runs: usize,
}

/// One run, above what a start takes.
struct Measured {
    /// Unit: seconds.
    processor: f64,
    /// Unit: seconds.
    wall: f64,
    /// Unit: events.
    events: u64,
}

impl Whole {
    /// Runs it against no alerts, then against the page, then the floor.
    pub async fn run(self) -> Verdict {
        let pki = TestPki::new();
        let (empty, full) = (Load::start(&pki, 0, 0).await?, Load::start(&pki, self.alerts, self.evidence).await?);
        let mut starts = Vec::new();
        for _ in 0..self.runs {
            starts.push(once(&pki, &empty, 0).await?.processor);
        }
        let start = median(starts);
        let (mut processors, mut walls, mut floors) = (Vec::new(), Vec::new(), Vec::new());
        let events = (self.alerts * self.evidence) as u64;
        // About what the receiver gets: each event repeats its alert and has one piece of evidence, and a header.
        let delivered = events * 2_200;
        for _ in 0..self.runs {
            let run = once(&pki, &full, events).await?;
            let scale = 1e6 / run.events as f64;
            processors.push((run.processor - start) * scale);
            walls.push(run.events as f64 / run.wall);
            floors.push(floor::measure(full.packed_octets, delivered).await?.processor * scale);
        }
        let (processor, floor) = (median(processors), median(floors));
        println!(
            "{events} events of one page ({:.1} MB, packed {:.1} MB): {processor:.2} CPU s per million events above a start of {start:.3} s, \
             {:.0} events/s, floor {floor:.2} CPU s per million, ratio {:.1}",
            full.octets as f64 / 1e6,
            full.packed_octets as f64 / 1e6,
            median(walls),
            processor / floor
        );
        Ok(true)
    }
}

/// One run against that server.
async fn once(pki: &TestPki, load: &Load, expected: u64) -> Result<Measured, Box<dyn Error>> {
    let folder = collector::folder()?;
    let authority = folder.path().join("api.crt");
    std::fs::write(&authority, &pki.ca_pem)?;
    let (receiver, devo) = receiver::start(folder.path()).await?;
    let config = format!("{}outputs:\n{devo}", load.inputs(&authority));
    let used = collector::once(folder.path(), "alerts", &config, &[]).await?;
    let events = receiver.event_count();
    if used.exit_code != 0 || events != expected {
        let said = collector::last_words(folder.path());
        return Err(format!("deliver all: exit code {}, {events} of {expected} events\n{said}", used.exit_code).into());
    }
    Ok(Measured { processor: used.processor, wall: used.wall, events })
}
