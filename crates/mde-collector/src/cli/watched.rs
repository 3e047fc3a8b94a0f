//! Rows on their way into a sheet, while somebody watches how far they have come.

use super::progress::Progress;
use super::sheet::Sheet;
use crate::pipeline::export::Sink;
use std::io;

/// A sheet that somebody watches.
pub struct Watched {
    /// Takes the rows.
    pub sheet: Sheet,
    /// Shows how many there are.
    pub progress: Progress,
}

impl Sink for Watched {
    fn take(&mut self, lines: &[u8]) -> io::Result<()> {
        self.sheet.take(lines)?;
        self.progress.rows(self.sheet.rows());
        Ok(())
    }

    fn reached(&mut self, moment_ms: i64) {
        self.progress.reached(moment_ms);
    }
}
