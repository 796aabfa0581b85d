//! A file layer for SQLite whose writes can fail and whose power can go off.
//!
//! Files are real, so that everything else sees them as ever; what a disk would have kept of them is
//! remembered beside. When power goes off, a file becomes what was synced and an arbitrary part of the
//! sectors that were written since, and whoever had it open gets errors only.

#![expect(unsafe_code, reason = "SQLite's file layers are C structures of function pointers")]

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::ffi;

const SECTOR_BYTES: u64 = 512;

/// What a write or a sync can meet.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Operations with these numbers fail with a code of SQLite's.
    Fail(Range<u64>, c_int),
    /// Power goes off at this operation; the seed decides what the disk has kept.
    PowerLoss(u64, u64),
}

/// The layer. Each has a name of its own, and lives as long as the process, as SQLite demands.
pub(crate) struct FaultyFiles {
    name: String,
    state: &'static Mutex<State>,
}

#[derive(Default)]
struct State {
    images: HashMap<(u64, u64), Image>,
    operations: u64,
    fault: Option<Fault>,
    ignores_syncs: bool,
    power_is_off: bool,
    /// Files opened before power went off are of an earlier life.
    life: u64,
}

/// A file, and what a disk holds of it for certain.
struct Image {
    file: File,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

enum Pending {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

enum Verdict {
    Go,
    Fail(c_int),
    PowerLoss(u64),
}

impl FaultyFiles {
    pub(crate) fn register() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("faulty-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let state: &'static Mutex<State> = Box::leak(Box::default());
        register(&name, state);
        Self { name, state }
    }

    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    /// Forgets everything, for a new run in a new directory.
    pub(crate) fn begin(&self, fault: Option<Fault>) {
        let mut state = self.lock();
        *state = State { fault, ignores_syncs: state.ignores_syncs, life: state.life + 1, ..State::default() };
    }

    /// Syncs do nothing from now on, as with `synchronous=OFF` or a disk that lies.
    pub(crate) fn ignore_syncs(&self) {
        self.lock().ignores_syncs = true;
    }

    /// Lets something fail from now on.
    pub(crate) fn fail(&self, fault: Fault) {
        self.lock().fault = Some(fault);
    }

    /// Power comes back: files can be opened again.
    pub(crate) fn power_cycle(&self) {
        let mut state = self.lock();
        assert!(state.power_is_off, "power is off");
        state.power_is_off = false;
        state.fault = None;
    }

    /// Nothing fails any more.
    pub(crate) fn mend(&self) {
        self.lock().fault = None;
    }

    /// How many writes, syncs, truncations and removals there have been.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn next(&mut self) -> Verdict {
        let operation = self.operations;
        self.operations += 1;
        match &self.fault {
            _ if self.power_is_off => Verdict::Fail(ffi::SQLITE_IOERR),
            Some(Fault::Fail(range, code)) if range.contains(&operation) => Verdict::Fail(*code),
            Some(Fault::PowerLoss(at, seed)) if *at == operation => Verdict::PowerLoss(*seed),
            _ => Verdict::Go,
        }
    }

    /// Lets an operation that changes a file happen, fail, or be the last one.
    fn change(&mut self, key: (u64, u64), change: Pending) -> c_int {
        match self.next() {
            Verdict::Fail(code) => code,
            Verdict::PowerLoss(seed) => {
                self.image(key).pending.push(change);
                self.lose_power(seed);
                ffi::SQLITE_IOERR
            }
            Verdict::Go => {
                let image = self.image(key);
                match &change {
                    Pending::Write(offset, bytes) => image.file.write_all_at(bytes, *offset).unwrap(),
                    Pending::Truncate(length) => image.file.set_len(*length).unwrap(),
                }
                image.pending.push(change);
                ffi::SQLITE_OK
            }
        }
    }

    fn sync(&mut self, key: (u64, u64)) -> c_int {
        match self.next() {
            Verdict::Fail(code) => code,
            Verdict::PowerLoss(seed) => {
                self.lose_power(seed);
                ffi::SQLITE_IOERR
            }
            Verdict::Go => {
                if !self.ignores_syncs {
                    self.image(key).sync();
                }
                ffi::SQLITE_OK
            }
        }
    }

    fn image(&mut self, key: (u64, u64)) -> &mut Image {
        self.images.get_mut(&key).unwrap()
    }

    fn lose_power(&mut self, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        // Mostly an arbitrary part of the sectors, sometimes nothing or everything.
        let kept = [0.0, 1.0, 0.5, random.random::<f64>()][random.random_range(0..4)];
        let mut keys: Vec<_> = self.images.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            self.image(key).lose_power(&mut random, kept);
        }
        self.power_is_off = true;
        self.life += 1;
    }
}

impl Image {
    fn of(file: File) -> Self {
        let mut durable = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut durable, 0).unwrap();
        Self { file, durable, pending: Vec::new() }
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            self.keep(&change);
        }
    }

    fn keep(&mut self, change: &Pending) {
        match change {
            Pending::Truncate(length) => self.durable.resize(usize::try_from(*length).unwrap(), 0),
            Pending::Write(offset, bytes) => {
                let start = usize::try_from(*offset).unwrap();
                let end = start + bytes.len();
                self.durable.resize(self.durable.len().max(end), 0);
                self.durable[start..end].copy_from_slice(bytes);
            }
        }
    }

    fn lose_power(&mut self, random: &mut StdRng, kept: f64) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Pending::Write(offset, bytes) => {
                    for sector in sectors(offset, &bytes).into_iter().filter(|_| random.random_bool(kept)) {
                        self.keep(&sector);
                    }
                }
                truncate if random.random_bool(kept) => self.keep(&truncate),
                Pending::Truncate(_) => {}
            }
        }
        self.file.set_len(0).unwrap();
        self.file.write_all_at(&self.durable, 0).unwrap();
    }
}

/// Parts of a write that a disk keeps or loses as a whole.
fn sectors(mut offset: u64, mut bytes: &[u8]) -> Vec<Pending> {
    let mut sectors = Vec::new();
    while !bytes.is_empty() {
        let room = usize::try_from(SECTOR_BYTES - offset % SECTOR_BYTES).unwrap();
        let (sector, rest) = bytes.split_at(room.min(bytes.len()));
        sectors.push(Pending::Write(offset, sector.to_owned()));
        offset += sector.len() as u64;
        bytes = rest;
    }
    sectors
}

/// An open file, as SQLite allots it.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    state: *const Mutex<State>,
    key: (u64, u64),
    life: u64,
}

impl Handle {
    /// Runs an operation on the file, unless power has gone off since it was opened.
    ///
    /// # Safety
    /// `file` is one that [`open`] has filled.
    unsafe fn with(file: *mut ffi::sqlite3_file, operation: impl FnOnce(&mut State, (u64, u64)) -> c_int) -> c_int {
        // SAFETY: SQLite passes what `open` was given, and states live for ever.
        let handle = unsafe { &*file.cast::<Handle>() };
        // SAFETY: as above.
        let mut state = unsafe { &*handle.state }.lock().unwrap();
        if state.life != handle.life {
            return ffi::SQLITE_IOERR;
        }
        operation(&mut state, handle.key)
    }
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

fn register(name: &str, state: &'static Mutex<State>) {
    // SAFETY: the default layer exists and is never removed; the copy and its name live for ever.
    unsafe {
        let default = ffi::sqlite3_vfs_find(ptr::null());
        let layer = Box::leak(Box::new(*default));
        layer.iVersion = 2;
        layer.szOsFile = c_int::try_from(size_of::<Handle>()).unwrap();
        layer.pNext = ptr::null_mut();
        layer.zName = CString::new(name).unwrap().into_raw();
        layer.pAppData = ptr::from_ref(state).cast_mut().cast();
        layer.xOpen = Some(open);
        layer.xDelete = Some(delete);
        assert_eq!(ffi::sqlite3_vfs_register(layer, 0), ffi::SQLITE_OK);
    }
}

/// # Safety
/// `vfs` is one that [`register`] has made.
unsafe fn state_of(vfs: *mut ffi::sqlite3_vfs) -> &'static Mutex<State> {
    // SAFETY: `register` has put it there, for ever.
    unsafe { &*(*vfs).pAppData.cast::<Mutex<State>>() }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a path, or nothing for a file of its own, and room for a handle.
    unsafe {
        (*file).pMethods = ptr::null();
        if name.is_null() {
            return ffi::SQLITE_CANTOPEN;
        }
        let path = Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
        let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let Ok(opened) = OpenOptions::new().read(true).write(true).create(creates).mode(0o600).open(path) else {
            return ffi::SQLITE_CANTOPEN;
        };
        let state = state_of(vfs);
        let mut locked = state.lock().unwrap();
        if locked.power_is_off {
            return ffi::SQLITE_IOERR;
        }
        let found = opened.metadata().unwrap();
        let key = (found.dev(), found.ino());
        if found.len() == 0 || !locked.images.contains_key(&key) {
            locked.images.insert(key, Image::of(opened));
        }
        let base = ffi::sqlite3_file { pMethods: &raw const METHODS };
        file.cast::<Handle>().write(Handle { base, state, key, life: locked.life });
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, _sync_directory: c_int) -> c_int {
    // SAFETY: SQLite passes a path.
    let (state, path) = unsafe { (state_of(vfs), Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()))) };
    let mut state = state.lock().unwrap();
    let Ok(found) = path.metadata() else { return ffi::SQLITE_IOERR_DELETE_NOENT };
    match state.next() {
        Verdict::Fail(code) => return code,
        Verdict::PowerLoss(seed) => {
            state.lose_power(seed);
            return ffi::SQLITE_IOERR;
        }
        Verdict::Go => {}
    }
    state.images.remove(&(found.dev(), found.ino()));
    std::fs::remove_file(path).unwrap();
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite passes a buffer of this length.
    let buffer = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), usize::try_from(length).unwrap()) };
    // SAFETY: the file is one of ours.
    unsafe {
        Handle::with(file, |state, key| {
            let count = state.image(key).file.read_at(buffer, u64::try_from(offset).unwrap()).unwrap();
            let (_, missing) = buffer.split_at_mut(count);
            missing.fill(0);
            if missing.is_empty() { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
        })
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, length: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite passes a buffer of this length, and the file is one of ours.
    unsafe {
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(length).unwrap()).to_owned();
        let change = Pending::Write(u64::try_from(offset).unwrap(), bytes);
        Handle::with(file, |state, key| state.change(key, change))
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    let change = Pending::Truncate(u64::try_from(length).unwrap());
    // SAFETY: the file is one of ours.
    unsafe { Handle::with(file, |state, key| state.change(key, change)) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is one of ours.
    unsafe { Handle::with(file, State::sync) }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: the file is one of ours, and SQLite passes room for the answer.
    unsafe {
        Handle::with(file, |state, key| {
            *out = i64::try_from(state.image(key).file.metadata().unwrap().len()).unwrap();
            ffi::SQLITE_OK
        })
    }
}

unsafe extern "C" fn lock(_file: *mut ffi::sqlite3_file, _level: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite passes room for the answer.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_file: *mut ffi::sqlite3_file, _what: c_int, _argument: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    c_int::try_from(SECTOR_BYTES).unwrap()
}

/// Writing to a part of a sector leaves the rest of it as it was, as SQLite assumes of every disk.
unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}
