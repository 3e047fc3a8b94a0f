//! The blocking half of the file output: appends, syncs and cuts. It runs on the threads for blocking work only.

use crate::config::outputs::file::Compress;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files held open at once between two syncs; one more and those open are synced early. Far below the usual limit of
/// 1,024 descriptors for a whole process.
const MAX_OPEN: usize = 64;

/// Files with octets that no sync has covered yet. A file is closed by its sync, so that one that is moved away by hand
/// is noticed, and so that the number of open ones does not grow with the number of names.
pub(super) struct Disk {
    /// How what is appended is compressed.
    compress: Compress,
    /// Written since the last sync.
    open: BTreeMap<String, File>,
    /// Folders that got a new entry since the last sync.
    folders: BTreeSet<PathBuf>,
    /// The frame to append; kept for its capacity.
    pub(super) buffer: Vec<u8>,
}

/// What came of an append.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// The whole buffer stands at the end of the file.
    Whole {
        /// So many octets of the file, compressed where it is.
        octets: u64,
    },
    /// The file has another length than it should; nothing was written.
    Changed {
        /// Its length. Unit: octets.
        found: u64,
    },
}

impl Disk {
    /// Nothing open yet.
    pub(super) fn new(compress: Compress) -> Self {
        Self { compress, open: BTreeMap::new(), folders: BTreeSet::new(), buffer: Vec::new() }
    }

    /// Appends the buffer to the file, which must be `expected` octets long.
    pub(super) fn append(&mut self, name: &str, expected: u64) -> io::Result<Appended> {
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(name) {
            self.sync()?;
        }
        let file = match self.open.entry(name.to_owned()) {
            std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let file = open_or_create(Path::new(name), &mut self.folders)?;
                let found = file.metadata()?.len();
                if found != expected {
                    return Ok(Appended::Changed { found });
                }
                place.insert(file)
            }
        };
        let packed = packed(self.compress, &self.buffer)?;
        file.write_all(&packed)?;
        Ok(Appended::Whole { octets: packed.len() as u64 })
    }

    /// Makes everything appended durable, names included, and closes the files.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        for file in self.open.values() {
            file.sync_data()?;
        }
        for folder in &self.folders {
            File::open(folder)?.sync_all()?;
        }
        self.open.clear();
        self.folders.clear();
        Ok(())
    }

    /// Cuts each file to its length, forgetting what was open. Returns those that are shorter or gone, untouched, with
    /// the length found.
    pub(super) fn cut(&mut self, lengths: Vec<(String, u64)>) -> io::Result<Vec<(String, u64)>> {
        self.open.clear();
        let mut shorter = Vec::new();
        for (name, length) in lengths {
            let found = length_of(Path::new(&name))?;
            if found > length {
                tracing::info!(file = name, bytes = found - length, "cut what no position covers off a file");
                OpenOptions::new().write(true).open(&name)?.set_len(length)?;
            } else if found < length {
                shorter.push((name, found));
            }
        }
        Ok(shorter)
    }
}

/// The buffer as one complete member or frame, or as it is.
fn packed(compress: Compress, buffer: &[u8]) -> io::Result<Cow<'_, [u8]>> {
    Ok(match compress {
        Compress::None => Cow::Borrowed(buffer),
        Compress::Gzip => {
            let mut member = GzEncoder::new(Vec::new(), Compression::default());
            member.write_all(buffer)?;
            Cow::Owned(member.finish()?)
        }
        // The library's own default level.
        Compress::Zstd => Cow::Owned(zstd::bulk::compress(buffer, 0)?),
    })
}

/// Length of a regular file, 0 where there is none. Anything else of that name is an error.
pub(super) fn length_of(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(found.len()),
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Opens for appending; makes the file and the folders above it where they are missing, and names in `folders` those
/// that got a new entry.
fn open_or_create(path: &Path, folders: &mut BTreeSet<PathBuf>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        done => return done,
    }
    let parents = path.ancestors().skip(1).map(|parent| if parent == Path::new("") { Path::new(".") } else { parent });
    for parent in parents {
        folders.insert(parent.to_owned());
        if parent.is_dir() {
            break;
        }
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = options.create(true).open(path)?;
    if let Some(folder) = fs::canonicalize(path)?.parent() {
        // Where the path is a link, the new entry is in the folder that it leads to.
        folders.insert(folder.to_owned());
    }
    Ok(file)
}

/// Whether this process could write there: the file itself, or the nearest folder above it that exists.
pub(super) fn writable(path: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};
    for candidate in path.ancestors().map(|part| if part == Path::new("") { Path::new(".") } else { part }) {
        match fs::metadata(candidate) {
            Ok(found) if found.is_dir() => return Ok(access(candidate, Access::WRITE_OK | Access::EXEC_OK)?),
            Ok(_) if candidate == path => return length_of(path).and_then(|_| Ok(access(path, Access::WRITE_OK)?)),
            Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}
