//! What can go wrong with the spool.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the spool did not do what it was asked. Nothing of the changes has been taken in, but for
/// [`SpoolError::Vanished`], after which nobody can tell.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// Another process works in the directory, or another program holds the database's lock.
    #[error("the spool {} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no spool to look into.
    #[error("there is no spool in {}", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// A newer version of the program has written the database; nothing has been touched.
    #[error("the spool has format {found}, and this version of trunkline knows formats up to {known}: use a newer one")]
    Newer {
        /// Format of the database.
        found: i64,
        /// Newest format that is known.
        known: i64,
    },
    /// The disk or its quota is full. The store works again once there is room.
    #[error("the disk of the spool is full")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// Reading or writing failed, or is not allowed. The store works again once it is.
    #[error("the spool can not be read or written")]
    Unwritable(#[source] Box<dyn Error + Send + Sync>),
    /// The database is damaged. Opening the spool anew saves what can be read.
    #[error("the spool's database is damaged: {0}")]
    Corrupt(String),
    /// A file of the spool is no longer in its directory, so that what is written there may be lost.
    /// Only opening the spool anew helps.
    #[error("{} is no longer the file that the spool has opened", path.display())]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// A value does not fit into the format.
    #[error("{0} is greater than the spool can hold")]
    OutOfRange(&'static str),
    /// SQLite refused for another reason, such as a number that is in the spool already.
    #[error("SQLite refused")]
    Refused(#[source] rusqlite::Error),
}

impl SpoolError {
    /// A stable word for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "in_use",
            Self::Missing { .. } => "missing",
            Self::Newer { .. } => "newer_format",
            Self::Full(_) => "full",
            Self::Unwritable(_) => "unwritable",
            Self::Corrupt(_) => "corrupt",
            Self::Vanished { .. } => "vanished",
            Self::OutOfRange(_) => "out_of_range",
            Self::Refused(_) => "refused",
        }
    }

    /// An error of the file system, with the path it is about.
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let source = io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if full { Self::Full(source.into()) } else { Self::Unwritable(source.into()) }
    }

    /// While a database is opened, statements that are right fail only where it is damaged.
    pub(super) fn into_damage(self) -> Self {
        match self {
            Self::Refused(error) if is_lack_of_memory(&error) => Self::Refused(error),
            Self::Refused(error) => Self::Corrupt(error.to_string()),
            other => other,
        }
    }
}

fn is_lack_of_memory(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OutOfMemory)
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.into()),
            Some(
                ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure,
            ) => Self::Unwritable(error.into()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Refused(error),
        }
    }
}
