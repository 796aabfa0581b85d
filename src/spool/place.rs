//! The spool's directory: its files, their modes, and the lock that makes it one process's.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::SpoolError;
use crate::event::time::Time;

const DATABASE: &str = "spool.db";
const LOG: &str = "spool.db-wal";
const SALVAGED: &str = "spool.salvaged.db";
const SALVAGED_LOG: &str = "spool.salvaged.db-wal";
const WITNESS: &str = "spool.witness";
const LOCK: &str = "spool.lock";

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// A directory that this process alone works in, for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    _lock: File,
}

/// How long a lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A lock that was given back may last a little longer: the process that had it may be about to end, or
/// may just have started another one, which holds the file until it has become that other program.
fn lock_soon(lock: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            outcome => return outcome,
        }
    }
}

impl Place {
    /// Takes hold of a directory, making it if need be.
    pub(super) fn claim(dir: &Path) -> Result<Self, SpoolError> {
        let dir = std::path::absolute(dir).map_err(|error| SpoolError::io(dir, error))?;
        create_directory(&dir)?;
        let path = dir.join(LOCK);
        let lock = open_private(&path)?;
        match lock_soon(&lock) {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(SpoolError::InUse { dir }),
            Err(TryLockError::Error(error)) => Err(SpoolError::io(&path, error)),
        }
    }

    /// Whether there is a spool, or what is left of one, in a directory.
    pub(super) fn is_spool(dir: &Path) -> bool {
        [DATABASE, LOG, SALVAGED].iter().any(|name| dir.join(name).exists())
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join(LOG)
    }

    pub(super) fn salvaged(&self) -> PathBuf {
        self.dir.join(SALVAGED)
    }

    pub(super) fn witness(&self) -> PathBuf {
        self.dir.join(WITNESS)
    }

    /// Makes sure that the database is a file of ours before SQLite writes to it, which gives its log
    /// the same mode.
    ///
    /// # Errors
    /// [`SpoolError::Corrupt`] when something else stands in its place, or when there is a log without
    /// a database: SQLite would delete it, and with it what was acknowledged.
    pub(super) fn prepare_database(&self) -> Result<(), SpoolError> {
        let (database, log) = (self.database(), self.log());
        for path in [&database, &log] {
            if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
                return Err(SpoolError::Corrupt(format!("{} is no file", path.display())));
            }
        }
        if length(&database)? == 0 && length(&log)? > 0 {
            return Err(SpoolError::Corrupt("the database is empty and its log is not".to_owned()));
        }
        open_private(&database)?;
        if log.exists() {
            set_mode(&log)?;
        }
        self.sync()
    }

    /// Creates an empty file for what is saved from a damaged database.
    pub(super) fn prepare_salvaged(&self) -> Result<PathBuf, SpoolError> {
        remove_if_there(&self.dir.join(SALVAGED_LOG))?;
        remove_if_there(&self.salvaged())?;
        open_private(&self.salvaged())?;
        Ok(self.salvaged())
    }

    /// Puts a salvaged database, which is complete and synced, in the place of the damaged one. The
    /// database goes first, so that whoever finds it missing knows that the salvage had been completed.
    pub(super) fn replace_database(&self) -> Result<Vec<PathBuf>, SpoolError> {
        let mut set_aside = Vec::new();
        for path in [self.database(), self.log()] {
            if path.symlink_metadata().is_ok() {
                let name = free_name(&path);
                rename(&path, &name)?;
                self.sync()?;
                set_aside.push(name);
            }
        }
        rename(&self.salvaged(), &self.database())?;
        self.sync()?;
        Ok(set_aside)
    }

    /// Ends a salvage that a crash has interrupted after the new database was complete.
    pub(super) fn finish_replacement(&self) -> Result<(), SpoolError> {
        if self.salvaged().exists() && self.database().symlink_metadata().is_err() {
            let set_aside = self.replace_database()?;
            tracing::warn!(?set_aside, "finished a salvage of the spool that had been interrupted");
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), SpoolError> {
        sync_directory(&self.dir)
    }
}

/// Which file a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(path: &Path) -> Result<Self, SpoolError> {
        match fs::metadata(path) {
            Ok(found) => Ok(Self { device: found.dev(), inode: found.ino() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SpoolError::Vanished { path: path.to_owned() })
            }
            Err(error) => Err(SpoolError::io(path, error)),
        }
    }
}

/// Opens a file for reading and writing, and makes it if need be. Its mode does not depend on the
/// process's mask, and is set before there is anything in it.
pub(super) fn open_private(path: &Path) -> Result<File, SpoolError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
    let file = file.map_err(|error| SpoolError::io(path, error))?;
    set_mode(path)?;
    Ok(file)
}

fn set_mode(path: &Path) -> Result<(), SpoolError> {
    let error = |error| SpoolError::io(path, error);
    if fs::metadata(path).map_err(error)?.mode() & 0o777 != FILE_MODE {
        fs::set_permissions(path, Permissions::from_mode(FILE_MODE)).map_err(error)?;
    }
    Ok(())
}

fn create_directory(dir: &Path) -> Result<(), SpoolError> {
    if dir.is_dir() {
        return Ok(());
    }
    let create = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(dir);
    create.map_err(|error| SpoolError::io(dir, error))?;
    dir.parent().map_or(Ok(()), sync_directory)
}

/// Makes names durable: a file that is synced may still be unknown to its directory after a crash.
fn sync_directory(dir: &Path) -> Result<(), SpoolError> {
    File::open(dir).and_then(|directory| directory.sync_all()).map_err(|error| SpoolError::io(dir, error))
}

fn length(path: &Path) -> Result<u64, SpoolError> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(SpoolError::io(path, error)),
    }
}

fn remove_if_there(path: &Path) -> Result<(), SpoolError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SpoolError::io(path, error)),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), SpoolError> {
    fs::rename(from, to).map_err(|error| SpoolError::io(from, error))
}

/// A name for a damaged file that tells when it was set aside, such as
/// `spool.db.damaged-20260203T121426Z`.
fn free_name(path: &Path) -> PathBuf {
    let now = Time::now().to_string();
    let seconds: String =
        now.split('.').next().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    let base = format!("{}.damaged-{}Z", path.display(), seconds.trim_end_matches('Z'));
    let names = std::iter::once(base.clone()).chain((2_u32..).map(|count| format!("{base}-{count}")));
    let mut free = names.map(PathBuf::from).filter(|name| name.symlink_metadata().is_err());
    free.next().unwrap_or_else(|| PathBuf::from(base))
}
