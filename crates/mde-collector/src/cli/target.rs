//! Where data goes: standard output, or a file that bears its name only once it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Octets gathered before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// Takes octets.
pub enum Target {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A file under another name, beside the place where it will be.
    File {
        /// What is written.
        file: BufWriter<File>,
        /// Its name until it is whole.
        partial: PathBuf,
        /// Its name then.
        path: PathBuf,
    },
    /// A device or a pipe: what comes there has gone, so it is never another name's.
    Device(BufWriter<File>),
}

impl Target {
    /// A file, or standard output where none is named or `-` is.
    ///
    /// # Errors
    /// A file that cannot be made; with its name.
    pub fn open(path: Option<&Path>) -> Result<Self, String> {
        let buffered = |file| BufWriter::with_capacity(BUFFER_BYTES, file);
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Self::Stdout(BufWriter::with_capacity(BUFFER_BYTES, stdout())));
        };
        let failed = |path: &Path, error: io::Error| format!("make {}: {error}", path.display());
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let file = File::options().write(true).open(path).map_err(|error| failed(path, error))?;
            return Ok(Self::Device(buffered(file)));
        }
        let partial = named(path, ".partial");
        let mut options = File::options();
        // Alerts name people and machines: nobody else is to read them by accident.
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let file = file.map_err(|error| failed(&partial, error))?;
        Ok(Self::File { file: buffered(file), partial, path: path.to_owned() })
    }

    /// Where files belong that go along with it.
    pub fn folder(&self) -> PathBuf {
        match self {
            Self::File { path, .. } => match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            },
            Self::Stdout(_) | Self::Device(_) => std::env::temp_dir(),
        }
    }

    /// Whether somebody reads it on a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout(stdout) if stdout.get_ref().is_terminal())
    }

    /// It is whole.
    ///
    /// # Errors
    /// What the last octets met; the file keeps its other name then.
    pub fn keep(mut self) -> io::Result<()> {
        self.flush()?;
        if let Self::File { file, partial, path } = &self {
            file.get_ref().sync_all()?;
            fs::rename(partial, path)?;
        }
        Ok(())
    }

    /// It is not whole and will not be. Returns the name of what there is, if there is something that has a name.
    pub fn leave(mut self) -> Option<PathBuf> {
        // Whatever stopped it may stop this too; what was written before is there all the same.
        self.flush().ok();
        let Self::File { partial, .. } = &self else { return None };
        let is_empty = fs::metadata(partial).is_ok_and(|found| found.len() == 0);
        if is_empty {
            fs::remove_file(partial).ok();
        }
        (!is_empty).then(|| partial.clone())
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stdout(stdout) => stdout,
            Self::File { file, .. } | Self::Device(file) => file,
        }
    }
}

impl Write for Target {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.writer().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

/// A path with something behind its last part.
fn named(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_bears_its_name_only_once_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, partial) = (folder.path().join("a.csv"), folder.path().join("a.csv.partial"));
        fs::write(&path, "of yesterday").expect("writable");
        let mut target = Target::open(Some(&path)).expect("writable");
        target.write_all(b"half").expect("writable");
        assert_eq!(target.leave(), Some(partial.clone()));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "of yesterday");
        let mut target = Target::open(Some(&path)).expect("writable");
        target.write_all(b"whole").expect("writable");
        target.keep().expect("renamed");
        assert_eq!((fs::read_to_string(&path).expect("there"), partial.exists()), ("whole".to_owned(), false));
    }

    #[test]
    fn nothing_is_left_of_nothing_and_a_device_stays_one() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Target::open(Some(&folder.path().join("a"))).expect("writable").leave(), None);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let mut null = Target::open(Some(Path::new("/dev/null"))).expect("a device");
        null.write_all(b"gone").expect("it takes everything");
        null.keep().expect("nothing to do");
        assert!(!fs::metadata("/dev/null").expect("still there").is_file());
    }
}
