//! What a test's own thread logs.

use std::io;
use std::sync::{Arc, Mutex};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Lines logged by one thread. Clones share them.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

/// Lines are heard for as long as it lives.
pub struct Listening {
    _heard: DefaultGuard,
    /// With one subscriber alone a line that another thread meets first, where nobody listens, would be silent for good.
    _second: Dispatch,
}

impl Heard {
    /// Listens to this thread.
    pub fn listen() -> (Self, Listening) {
        let heard = Self::default();
        let second = Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
        let subscriber = tracing_subscriber::fmt().with_writer(heard.clone()).with_ansi(false).finish();
        (heard, Listening { _heard: tracing::subscriber::set_default(subscriber), _second: second })
    }

    /// How often that was said.
    pub fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().expect("sound")).matches(text).count()
    }
}

impl io::Write for Heard {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("sound").extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Heard {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
