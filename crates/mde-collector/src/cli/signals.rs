//! SIGTERM and SIGINT (Ctrl-C), one after the other; SIGHUP.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// SIGHUP, which asks for the configuration to be read again. From its making on it ends nothing by itself.
pub struct Hangups(Signal);

impl Hangups {
    /// Begins to listen. Fails where the system gives no handler.
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// The signals that ask for an end. From its making on they end nothing by themselves.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen. Fails where the system gives no handler.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {} _ = self.interrupt.recv() => {} }
    }
}

/// Becomes true at the first signal; the second one ends the process at once. `told`: what the log says at the first.
pub fn stopping(told: &'static str) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        let Ok(mut signals) = Signals::new() else {
            // The sender stays: that it goes would look like a signal.
            return stop.closed().await;
        };
        signals.next().await;
        tracing::info!("{told}");
        stop.send_replace(true);
        signals.next().await;
        // A second signal: at once. Everything that counts is in the store.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
    });
    stopped
}
