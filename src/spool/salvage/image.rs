//! The pages of a damaged database, by the formats that <https://www.sqlite.org/fileformat2.html>
//! describes: the file (section 1) and its write-ahead log (section 4).

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::super::error::SpoolError;
use super::super::schema::PAGE_BYTES;

const LOG_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const DATABASE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Which state of the pages is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The database with everything of the log that SQLite itself would believe.
    Committed,
    /// The same with what lies behind a break in the log.
    Behind,
}

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) number: u32,
    pub(super) bytes: Vec<u8>,
}

/// The files of a damaged database. They are only read.
#[derive(Debug)]
pub(super) struct Image {
    database: Option<File>,
    log: Option<File>,
    page_bytes: usize,
    pages: u32,
    /// Where in the log the newest committed state of a page is.
    committed: HashMap<u32, u64>,
    /// Frames behind the last commit that holds: pages and where they are, the oldest first.
    behind: Vec<(u32, u64)>,
    newest_behind: HashMap<u32, u64>,
}

impl Image {
    pub(super) fn open(database: &Path, log: &Path) -> Result<Self, SpoolError> {
        let (database_file, log_file) = (open_file(database)?, open_file(log)?);
        let page_bytes = page_bytes(database_file.as_ref(), log_file.as_ref());
        let pages = match &database_file {
            Some(file) => file.metadata().map_err(|error| SpoolError::io(database, error))?.len() / page_bytes as u64,
            None => 0,
        };
        let mut image = Self {
            database: database_file,
            log: log_file,
            page_bytes,
            pages: u32::try_from(pages).unwrap_or(u32::MAX),
            committed: HashMap::new(),
            behind: Vec::new(),
            newest_behind: HashMap::new(),
        };
        image.read_log();
        Ok(image)
    }

    /// Every page in every state that may hold rows. What can not be read is left out.
    pub(super) fn pages(&self) -> impl Iterator<Item = (View, Page)> {
        let committed =
            (1..=self.pages).filter_map(|number| Some((View::Committed, self.page(View::Committed, number)?)));
        let behind = self.behind.iter().filter_map(|&(number, offset)| {
            let bytes = read(self.log.as_ref()?, offset, self.page_bytes)?;
            Some((View::Behind, Page { number, bytes }))
        });
        committed.chain(behind)
    }

    /// One page in one state.
    pub(super) fn page(&self, view: View, number: u32) -> Option<Page> {
        let behind = self.newest_behind.get(&number).filter(|_| view == View::Behind);
        let bytes = match behind.or_else(|| self.committed.get(&number)) {
            Some(&offset) => read(self.log.as_ref()?, offset, self.page_bytes)?,
            None => {
                let offset = u64::from(number.checked_sub(1)?) * self.page_bytes as u64;
                read(self.database.as_ref()?, offset, self.page_bytes)?
            }
        };
        Some(Page { number, bytes })
    }

    /// Follows the chain of checksums as SQLite does, and goes on where it breaks.
    fn read_log(&mut self) {
        let (mut holds, mut pending) = (true, Vec::new());
        for frame in self.frames().unwrap_or_default() {
            holds = holds && frame.follows;
            if holds {
                pending.push((frame.page, frame.offset));
            } else {
                self.behind.append(&mut pending);
                self.behind.push((frame.page, frame.offset));
            }
            if holds && frame.pages_after_commit > 0 {
                self.committed.extend(pending.drain(..));
                self.pages = frame.pages_after_commit;
            }
        }
        self.behind.append(&mut pending);
        self.newest_behind = self.behind.iter().copied().collect();
    }

    /// The frames of the log's present round. Those of earlier rounds bear other salts and come last.
    fn frames(&self) -> Option<Vec<Frame>> {
        let log = self.log.as_ref()?;
        let header = read(log, 0, LOG_HEADER_BYTES)?;
        let is_big_endian = word(&header, 0)? & 1 == 1;
        let mut sums = [word(&header, 24)?, word(&header, 28)?];
        let mut frames = Vec::new();
        let frame_bytes = FRAME_HEADER_BYTES + self.page_bytes;
        let mut offset = LOG_HEADER_BYTES as u64;
        while let Some(bytes) = read(log, offset, frame_bytes) {
            let follows =
                sum(sum(sums, bytes.get(..8)?, is_big_endian), bytes.get(FRAME_HEADER_BYTES..)?, is_big_endian);
            sums = [word(&bytes, 16)?, word(&bytes, 20)?];
            frames.push(Frame {
                page: word(&bytes, 0)?,
                pages_after_commit: word(&bytes, 4)?,
                salts: [word(&bytes, 8)?, word(&bytes, 12)?],
                follows: follows == sums,
                offset: offset + FRAME_HEADER_BYTES as u64,
            });
            offset += frame_bytes as u64;
        }
        let salts = frames.first()?.salts;
        let last = frames.iter().rposition(|frame| frame.salts == salts)?;
        frames.truncate(last + 1);
        Some(frames)
    }
}

/// One frame of the log: a page, and what is said of it.
#[derive(Debug)]
struct Frame {
    page: u32,
    /// How many pages the database has, if the frame ends a transaction; else zero.
    pages_after_commit: u32,
    salts: [u32; 2],
    /// Whether its checksum continues that of the frame before.
    follows: bool,
    /// Where the page begins in the log.
    offset: u64,
}

/// Continues the log's checksum over more bytes, in whichever byte order the log's header names.
fn sum(sums: [u32; 2], bytes: &[u8], is_big_endian: bool) -> [u32; 2] {
    let words = bytes.as_chunks::<4>().0.iter().map(|bytes| match is_big_endian {
        true => u32::from_be_bytes(*bytes),
        false => u32::from_le_bytes(*bytes),
    });
    let (mut first, mut second) = (sums[0], sums[1]);
    for (index, word) in words.enumerate() {
        if index % 2 == 0 {
            first = first.wrapping_add(word).wrapping_add(second);
        } else {
            second = second.wrapping_add(word).wrapping_add(first);
        }
    }
    [first, second]
}

fn open_file(path: &Path) -> Result<Option<File>, SpoolError> {
    if !path.is_file() {
        return Ok(None);
    }
    File::open(path).map(Some).map_err(|error| SpoolError::io(path, error))
}

/// What the database says its pages' size is, else what its log says, else what ours is.
fn page_bytes(database: Option<&File>, log: Option<&File>) -> usize {
    let said_by_database = || {
        let header = read(database?, 0, 18)?;
        let bytes = u16::from_be_bytes([*header.get(16)?, *header.get(17)?]);
        header.starts_with(DATABASE_MAGIC).then_some(usize::from(bytes))
    };
    let said_by_log = || usize::try_from(word(&read(log?, 0, LOG_HEADER_BYTES)?, 8)?).ok();
    let is_possible = |bytes: &usize| bytes.is_power_of_two() && (512..=32768).contains(bytes);
    said_by_database().filter(is_possible).or_else(|| said_by_log().filter(is_possible)).unwrap_or(PAGE_BYTES)
}

/// Bytes of a file, if they are there and the disk gives them.
fn read(file: &File, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

/// A big-endian number, as all of SQLite's are.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
