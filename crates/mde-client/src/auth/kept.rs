//! A credential in files: read for each request, so that a new one needs no restart; while the files are broken, the
//! last good one serves on.

use crate::error::Error;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind::NotFound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Makes a credential of the files' contents, in their order; the text of its failure quotes nothing of them.
type Read<T> = fn(&[Vec<u8>]) -> Result<T, &'static str>;

/// What the files hold. Clones share it.
pub(crate) struct Kept<T> {
    /// Where.
    paths: Arc<[PathBuf]>,
    /// How the contents become a credential.
    read: Read<T>,
    /// What came of it so far.
    memory: Arc<Mutex<Memory<T>>>,
}

/// What is known.
struct Memory<T> {
    /// The last credential that could be read.
    good: Option<T>,
    /// A hash of what the files held when they were looked at last.
    seen: Option<u64>,
    /// Why `good` is older than the files.
    complaint: Option<Error>,
}

impl<T: Clone> Kept<T> {
    /// A credential in those files, which are not looked at yet.
    pub fn new(paths: impl Into<Arc<[PathBuf]>>, read: Read<T>) -> Self {
        let memory = Memory { good: None, seen: None, complaint: None };
        Self { paths: paths.into(), read, memory: Arc::new(Mutex::new(memory)) }
    }

    /// The credential as the files hold it now; the last good one while they cannot be read. Fails if there never was one.
    pub fn get(&self) -> Result<T, Error> {
        let contents = self.contents();
        let mut memory = self.memory();
        memory.seen = Some(hash(&contents));
        let credential =
            contents.and_then(|contents| (self.read)(&contents).map_err(|problem| (self.paths.len() - 1, problem)));
        match credential {
            Ok(credential) => {
                memory.good = Some(credential.clone());
                memory.complaint = None;
                Ok(credential)
            }
            Err((path, problem)) => {
                let error = Error::config(format!("read the credential in {}", self.paths[path].display()), problem);
                memory.complaint = Some(error.clone());
                memory.good.clone().ok_or(error)
            }
        }
    }

    /// Why the last good credential is in use although the files are newer.
    pub fn complaint(&self) -> Option<Error> {
        let memory = self.memory();
        memory.complaint.clone().filter(|_| memory.good.is_some())
    }

    /// Whether the files hold something else than when they were looked at last.
    pub fn changed(&self) -> bool {
        let now = hash(&self.contents());
        self.memory().seen.is_some_and(|seen| seen != now)
    }

    /// The files' contents, or which of them cannot be read and why.
    fn contents(&self) -> Result<Vec<Vec<u8>>, (usize, &'static str)> {
        let content = |(index, path): (usize, &PathBuf)| {
            std::fs::read(path).map_err(|error| match error.kind() {
                NotFound => (index, "it does not exist"),
                _ => (index, "it cannot be read"),
            })
        };
        self.paths.iter().enumerate().map(content).collect()
    }

    /// What is known, for a moment.
    fn memory(&self) -> MutexGuard<'_, Memory<T>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash of what was read, to notice another content without keeping this one.
fn hash(contents: &Result<Vec<Vec<u8>>, (usize, &'static str)>) -> u64 {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    hasher.finish()
}

/// The one line of a file that holds a text, without the line's end.
pub(crate) fn one_line(contents: &[Vec<u8>]) -> Result<super::Secret, &'static str> {
    let text = contents.first().and_then(|content| std::str::from_utf8(content).ok());
    let line = text.ok_or("it is no text")?.trim_end_matches(['\r', '\n']);
    if line.is_empty() { Err("it is empty") } else { Ok(super::Secret::new(line)) }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { paths: Arc::clone(&self.paths), read: self.read, memory: Arc::clone(&self.memory) }
    }
}

impl<T> fmt::Debug for Kept<T> {
    /// Where it is, never what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.paths.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_or_empty_file_keeps_the_last_good_credential_and_says_so() {
        let folder = tempfile::tempdir().expect("a writable temporary folder");
        let path = folder.path().join("secret");
        let kept = Kept::new([path.clone()], one_line);
        let write = |content: &[u8]| std::fs::write(&path, content).expect("a writable temporary folder");
        let get = || kept.get().map(|secret| secret.expose().to_owned());
        assert!(get().expect_err("there never was one").to_string().ends_with("it does not exist"));
        assert!(kept.complaint().is_none(), "nothing older is in use");

        write(b"one\r\n");
        assert!(kept.changed());
        assert_eq!(get().expect("it is there"), "one");
        assert!(!kept.changed());
        for (broken, why) in [(&b"\n"[..], "it is empty"), (b"", "it is empty"), (b"\xff", "it is no text")] {
            write(broken);
            assert!(kept.changed());
            assert_eq!(get().expect("the old one"), "one");
            let complaint = kept.complaint().expect("somebody must hear of it").to_string();
            assert!(complaint.contains("secret") && complaint.ends_with(why), "{complaint}");
        }
        std::fs::remove_file(&path).expect("a writable temporary folder");
        assert_eq!(get().expect("the old one"), "one");
        write(b"two");
        assert_eq!(get().expect("it is whole again"), "two");
        assert!(kept.complaint().is_none());
        assert!(!format!("{kept:?}").contains("two"));
    }
}
