//! A note beside the database of the last transaction that was synced.
//!
//! SQLite takes a damaged log for one whose end was not written when power failed, and drops that end
//! without a word. Such an end was never acknowledged; but an end that this note knows of was. The note
//! is written after the sync and is not synced itself, so it may be older than the database, never
//! newer: where it is newer, something has been lost.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::error::SpoolError;
use super::place::open_private;

const MAGIC: [u8; 4] = *b"TLW1";

#[derive(Debug)]
pub(super) struct Witness {
    path: PathBuf,
    file: File,
}

impl Witness {
    pub(super) fn open(path: PathBuf) -> Result<Self, SpoolError> {
        let file = open_private(&path)?;
        Ok(Self { path, file })
    }

    /// The last transaction that is known to have been synced. A note that is not whole tells nothing.
    pub(super) fn read(&self) -> u64 {
        let mut note = [0; 16];
        let known = self.file.read_exact_at(&mut note, 0).is_ok();
        let number = note[4..12].first_chunk().map(|number| u64::from_le_bytes(*number));
        number.filter(|number| known && note == note_of(*number)).unwrap_or(0)
    }

    /// Notes a transaction. It is durable whether or not this succeeds, so a failure is only told.
    pub(super) fn write(&self, number: u64) {
        if let Err(error) = self.file.write_all_at(&note_of(number), 0) {
            tracing::warn!(path = %self.path.display(), %error, "the spool's witness could not be written");
        }
    }
}

fn note_of(number: u64) -> [u8; 16] {
    let mut note = [0; 16];
    note[..4].copy_from_slice(&MAGIC);
    note[4..12].copy_from_slice(&number.to_le_bytes());
    let crc = crc32fast::hash(&note[..12]);
    note[12..].copy_from_slice(&crc.to_le_bytes());
    note
}
