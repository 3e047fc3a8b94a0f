//! A disk below SQLite that can stop at any write, and then lose or tear what nobody has synced.
//!
//! It stands between SQLite and the system as a VFS of its own: the real one does everything, and this one remembers what was
//! written since the last sync. Folders that no history has named go straight to the real one. Names of files, renaming
//! and the reserve are not watched: the database is made once, under another name, and synced before it gets its own.
//!
//! The next life works on a copy of the folder, as it lies on the disk at that moment: what is left of the last one in this
//! process cannot touch it.

use super::plan::Dice;
use libsqlite3_sys as ffi;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use tokio::sync::Notify;

/// What a disk writes whole or not at all. Unit: octets.
const SECTOR: usize = 512;
/// Files of the folder that a copy leaves out: they mean nothing once their process has ended, or are made anew.
const LEFT_OUT: [&str; 3] = ["-shm", ".lock", ".reserve"];

/// A folder's disk, for one life.
pub struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
    /// Told when it stops.
    news: Notify,
}

/// What is remembered.
struct State {
    /// Whether nothing is written any more.
    dead: bool,
    /// Writes until it stops.
    left: u64,
    /// Since the last sync of each file, in order.
    unsynced: BTreeMap<PathBuf, Vec<Change>>,
}

/// A change of a file.
enum Change {
    /// Octets were written over others; those that lay behind the end are missing in `before`.
    Wrote { at: u64, before: Vec<u8>, after: Vec<u8> },
    /// The file was cut to that length; this was behind it.
    Cut { to: u64, tail: Vec<u8> },
}

/// The disks of all histories under way.
static DISKS: Mutex<Vec<Arc<Disk>>> = Mutex::new(Vec::new());
/// The system's own VFS.
static REAL: OnceLock<Real> = OnceLock::new();
/// What SQLite calls for a watched file.
static METHODS: OnceLock<ffi::sqlite3_io_methods> = OnceLock::new();

/// The system's VFS, which never goes away.
struct Real(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite calls it from any thread as well; nobody changes it once it is registered.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

/// What stands before the system's own file in the memory that SQLite gives to one.
#[repr(C)]
struct Shim {
    /// First, as SQLite wants it.
    base: ffi::sqlite3_file,
    /// Owned: a `Box<Watch>`.
    watch: *mut Watch,
}

/// Which file it is.
struct Watch {
    disk: Arc<Disk>,
    path: PathBuf,
}

impl Disk {
    /// Watches a folder from now on; it stops at the so many-th write.
    pub fn watch(folder: &Path, left: u64) -> Arc<Self> {
        register();
        let state = Mutex::new(State { dead: false, left, unsynced: BTreeMap::new() });
        let disk = Arc::new(Self { folder: folder.to_owned(), state, news: Notify::new() });
        lock(&DISKS).push(Arc::clone(&disk));
        disk
    }

    /// Waits until it stops by itself.
    pub async fn stopped(&self) {
        while !lock(&self.state).dead {
            self.news.notified().await;
        }
    }

    /// Whether nothing is written any more.
    pub fn has_stopped(&self) -> bool {
        lock(&self.state).dead
    }

    /// Stops it, and puts what lies on it into another folder: with `power` all that was synced and what the dice leave of the
    /// rest, else everything.
    pub fn copy_to(&self, folder: &Path, power: Option<&mut Dice>) {
        let mut state = lock(&self.state);
        state.dead = true;
        let unsynced = std::mem::take(&mut state.unsynced);
        drop(state);
        fs::create_dir_all(folder).expect("a writable folder");
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let kept = files.filter(|path| !LEFT_OUT.iter().any(|end| path.to_string_lossy().ends_with(end)));
        let mut dice = power;
        for path in kept {
            let mut content = fs::read(&path).expect("a readable file");
            if let (Some(dice), Some(changes)) = (dice.as_deref_mut(), unsynced.get(&path)) {
                lose(&mut content, changes, dice);
            }
            fs::write(folder.join(path.file_name().expect("a file has a name")), content).expect("a writable folder");
        }
        // Whoever still has a file of it open knows it; nobody opens another.
        lock(&DISKS).retain(|disk| !std::ptr::eq(&raw const **disk, self));
    }

    /// Remembers a change; false: it must not happen. A write at which the disk stops happens in part.
    fn note(&self, path: &Path, change: impl FnOnce() -> Change) -> Outcome {
        let mut state = lock(&self.state);
        if state.dead {
            return Outcome::No;
        }
        state.left = state.left.saturating_sub(1);
        let last = state.left == 0;
        state.dead = last;
        state.unsynced.entry(path.to_owned()).or_default().push(change());
        drop(state);
        if last {
            self.news.notify_one();
            return Outcome::Partly;
        }
        Outcome::Yes
    }
}

/// What becomes of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Yes,
    Partly,
    No,
}

/// Takes the changes back, and makes some of them again: each whole, not at all, or some of its sectors.
fn lose(content: &mut Vec<u8>, changes: &[Change], dice: &mut Dice) {
    for change in changes.iter().rev() {
        match change {
            Change::Wrote { at, before, after } => {
                let at = *at as usize;
                let whole = content.len() <= at + after.len();
                content[at..at + before.len()].copy_from_slice(before);
                if whole && before.len() < after.len() {
                    content.truncate(at + before.len());
                }
            }
            Change::Cut { to, tail } => {
                content.truncate(*to as usize);
                content.extend_from_slice(tail);
            }
        }
    }
    for change in changes {
        match change {
            Change::Wrote { at, after, .. } => {
                let mode = dice.within(0..=2);
                let mut at = *at as usize;
                for sector in after.chunks(SECTOR) {
                    if mode == 0 || (mode == 1 && dice.percent(50)) {
                        let end = at + sector.len();
                        content.resize(content.len().max(end), 0);
                        content[at..end].copy_from_slice(sector);
                    }
                    at += sector.len();
                }
            }
            Change::Cut { to, .. } if dice.percent(50) => content.truncate(*to as usize),
            Change::Cut { .. } => {}
        }
    }
}

/// Puts the VFS in front of the system's own, once.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a null name asks for the default, which lives as long as the process.
        let real = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        REAL.get_or_init(|| Real(real));
        // SAFETY: it is there, and a plain structure.
        let mut ours = unsafe { *real };
        ours.szOsFile += size_of::<Shim>() as c_int;
        ours.pNext = ptr::null_mut();
        ours.zName = c"proof".as_ptr();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        // SAFETY: it is never freed, as SQLite demands.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 1) };
        assert_eq!(registered, ffi::SQLITE_OK, "a VFS can be registered");
    });
}

/// The system's own VFS.
fn real() -> *mut ffi::sqlite3_vfs {
    REAL.get().expect("registered before anything is opened through it").0
}

/// The disk of a file that is watched.
fn watched(name: *const c_char) -> Option<(Arc<Disk>, PathBuf)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite gives a name that ends with NUL.
    let path = PathBuf::from(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
    let disks = lock(&DISKS);
    let disk = disks.iter().find(|disk| path.starts_with(&disk.folder)).cloned();
    drop(disks);
    disk.map(|disk| (disk, path))
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: the system's own VFS has all of its functions, and gets a file of at least its own size.
    unsafe {
        let real_open = (*real()).xOpen.expect("a VFS opens files");
        let Some((disk, path)) = watched(name) else { return real_open(real(), name, file, flags, out) };
        let inner = inner(file);
        let opened = real_open(real(), name, inner, flags, out);
        let shim = file.cast::<Shim>();
        (*shim).base.pMethods = ptr::null();
        if opened == ffi::SQLITE_OK {
            (*shim).watch = Box::into_raw(Box::new(Watch { disk, path }));
            (*shim).base.pMethods = METHODS.get_or_init(methods);
        }
        opened
    }
}

unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    if watched(name).is_some_and(|(disk, _)| lock(&disk.state).dead) {
        return ffi::SQLITE_IOERR_DELETE;
    }
    // SAFETY: as in `open`.
    unsafe { ((*real()).xDelete.expect("a VFS deletes files"))(real(), name, sync) }
}

/// The system's own file behind ours.
fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite has allocated `szOsFile` octets, which is both sizes together.
    unsafe { file.cast::<Shim>().add(1).cast() }
}

/// Calls the system's own method of a file.
macro_rules! pass {
    ($method:ident, $file:expr $(, $argument:expr)*) => {{
        let inner = inner($file);
        // SAFETY: the file was opened by the system's own VFS, which gave it these methods.
        unsafe { ((*(*inner).pMethods).$method.expect("a method of version 2"))(inner $(, $argument)*) }
    }};
}

/// Which file it is.
fn watch<'a>(file: *mut ffi::sqlite3_file) -> &'a Watch {
    // SAFETY: `open` has put it there, and `close` takes it away last.
    unsafe { &*(*file.cast::<Shim>()).watch }
}

/// The length of a file. Unit: octets.
fn length(file: *mut ffi::sqlite3_file) -> u64 {
    let mut length = 0;
    pass!(xFileSize, file, &raw mut length);
    u64::try_from(length).unwrap_or_default()
}

/// Octets of a file, as far as it has them.
fn content(file: *mut ffi::sqlite3_file, at: u64, most: usize) -> Vec<u8> {
    let there = length(file).saturating_sub(at).min(most as u64) as usize;
    let mut octets = vec![0; there];
    if there > 0 {
        pass!(xRead, file, octets.as_mut_ptr().cast(), there as c_int, at as i64);
    }
    octets
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, data: *const c_void, count: c_int, at: i64) -> c_int {
    let Watch { disk, path } = watch(file);
    // SAFETY: SQLite gives so many octets.
    let after = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), count as usize) };
    let offset = at as u64;
    let change = || Change::Wrote { at: offset, before: content(file, offset, after.len()), after: after.to_vec() };
    match disk.note(path, change) {
        Outcome::Yes => pass!(xWrite, file, data, count, at),
        Outcome::Partly => {
            // It is done as far as the disk knows; SQLite never hears of it.
            pass!(xWrite, file, data, count, at);
            ffi::SQLITE_IOERR_WRITE
        }
        Outcome::No => ffi::SQLITE_IOERR_WRITE,
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, to: i64) -> c_int {
    let Watch { disk, path } = watch(file);
    let change = || Change::Cut { to: to as u64, tail: content(file, to as u64, usize::MAX) };
    match disk.note(path, change) {
        Outcome::Yes => pass!(xTruncate, file, to),
        Outcome::Partly | Outcome::No => ffi::SQLITE_IOERR_TRUNCATE,
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    let Watch { disk, path } = watch(file);
    let mut state = lock(&disk.state);
    if state.dead {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    // What is remembered as synced survives every loss here: the machine's own disk need not be asked.
    state.unsynced.remove(path);
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let closed = pass!(xClose, file);
    // SAFETY: `open` has made it, and nobody calls anything on a closed file.
    drop(unsafe { Box::from_raw((*file.cast::<Shim>()).watch) });
    closed
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, count: c_int, at: i64) -> c_int {
    pass!(xRead, file, into, count, at)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    pass!(xFileSize, file, size)
}

unsafe extern "C" fn take_lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    pass!(xLock, file, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    pass!(xUnlock, file, level)
}

unsafe extern "C" fn is_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    pass!(xCheckReservedLock, file, out)
}

unsafe extern "C" fn control(file: *mut ffi::sqlite3_file, what: c_int, argument: *mut c_void) -> c_int {
    pass!(xFileControl, file, what, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    pass!(xSectorSize, file)
}

unsafe extern "C" fn characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    // Nothing is promised: a write need not be whole, nor in its order.
    0
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    pass!(xShmMap, file, page, size, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    pass!(xShmLock, file, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    pass!(xShmBarrier, file);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    pass!(xShmUnmap, file, delete)
}

/// The methods of a watched file. Version 2: without mapped reads, which would see what was not written through us.
fn methods() -> ffi::sqlite3_io_methods {
    ffi::sqlite3_io_methods {
        iVersion: 2,
        xClose: Some(close),
        xRead: Some(read),
        xWrite: Some(write),
        xTruncate: Some(truncate),
        xSync: Some(sync),
        xFileSize: Some(file_size),
        xLock: Some(take_lock),
        xUnlock: Some(unlock),
        xCheckReservedLock: Some(is_reserved),
        xFileControl: Some(control),
        xSectorSize: Some(sector_size),
        xDeviceCharacteristics: Some(characteristics),
        xShmMap: Some(shm_map),
        xShmLock: Some(shm_lock),
        xShmBarrier: Some(shm_barrier),
        xShmUnmap: Some(shm_unmap),
        xFetch: None,
        xUnfetch: None,
    }
}

/// What a lock holds, also after a panic elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
