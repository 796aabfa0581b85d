//! What the spool keeps, and what it tells.

use std::borrow::Cow;
use std::path::PathBuf;

use thiserror::Error;

use super::Store;
use crate::event::envelope::Record;
use crate::event::id::{EventId, FactHash};
use crate::event::kind::TopicInfo;
use crate::event::time::Time;

/// What a row counts for beside its texts: its place in the database, lengths and numbers.
const OVERHEAD_BYTES: usize = 192;

/// One record in the spool: a finished record, and what its later fate may need.
#[derive(Debug)]
pub struct Row {
    /// The record.
    pub record: Record,
    /// Kafka's murmur2 of the key, 31 bits. It tells the partition, whatever their number is.
    pub key_hash: u32,
    /// Name of the source.
    pub source_name: String,
    /// Name of the provider.
    pub provider: Cow<'static, str>,
    /// When the request was read.
    pub received_at: Time,
}

impl Row {
    /// What the row counts against the spool's limit, in bytes. Cheap: nothing is written to find it.
    pub fn bytes(&self) -> u64 {
        Self::bytes_of(&self.record, &self.source_name, &self.provider)
    }

    /// What a record would count as a row.
    pub fn bytes_of(record: &Record, source_name: &str, provider: &str) -> u64 {
        let names = record.topic.suffix.len() + source_name.len() + provider.len();
        counted_bytes(names + record.key.len(), record.headers.bytes(), record.value.len())
    }
}

pub(super) fn counted_bytes(names: usize, headers: usize, value: usize) -> u64 {
    (OVERHEAD_BYTES + names + headers + value) as u64
}

/// What the store tells of a row without reading its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub number: u64,
    /// Its topic.
    pub topic: &'static TopicInfo,
    /// Kafka's murmur2 of its key, 31 bits.
    pub key_hash: u32,
    /// What it counts against the spool's limit, as [`Row::bytes`] says.
    pub bytes: u64,
    /// Identity of its event; a dead letter has none.
    pub identity: Option<(EventId, Option<FactHash>)>,
    /// When it was put into the spool, in milliseconds since the Unix epoch.
    pub spooled_at_ms: i64,
}

/// One step of a transaction.
#[derive(Debug)]
pub enum Change {
    /// Takes in a row. If there is one of that number, it is the same, from a call whose outcome was not known.
    Append {
        /// Its number. Rows are drained in the order of their numbers.
        number: u64,
        /// The row.
        row: Row,
        /// When, in milliseconds since the Unix epoch.
        spooled_at_ms: i64,
    },
    /// Forgets a row. It need not be there.
    Delete {
        /// Its number.
        number: u64,
    },
    /// Moves a row that is in the spool, or takes in one that is not, to the quarantine. Without a row
    /// of that number there is nothing to do.
    Quarantine {
        /// Its number.
        number: u64,
        /// The row, if it is not in the spool.
        row: Option<Row>,
        /// Why, from a fixed list.
        reason: &'static str,
        /// When, in milliseconds since the Unix epoch.
        at_ms: i64,
    },
    /// Remembers how many partitions a topic has.
    Partitions {
        /// The topic.
        topic: &'static TopicInfo,
        /// Their number.
        count: u32,
    },
}

/// What a change has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// What was asked for is so now.
    Done,
    /// There was no row of that number, so there was nothing to do.
    Absent,
}

/// How much is in the spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that wait for Kafka, those of other versions included.
    pub events: u64,
    /// What they count, as [`Row::bytes`] says.
    pub event_bytes: u64,
    /// Rows in the quarantine.
    pub quarantined: u64,
    /// What they count.
    pub quarantined_bytes: u64,
}

impl Counts {
    /// What counts against the spool's limit.
    pub fn bytes(&self) -> u64 {
        self.event_bytes + self.quarantined_bytes
    }
}

/// Where the spool is.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory. It is the spool's alone, and one process's alone.
    pub dir: PathBuf,
    /// Name of an SQLite file layer other than the operating system's, for fault injection.
    pub vfs: Option<String>,
}

/// A store, and what was in it when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// The rows, by ascending number.
    pub rows: Vec<Stored>,
    /// Rows that another version of the program has written: their topic or kind is unknown here. They
    /// are kept, listed, and left alone.
    pub foreign: u64,
    /// How many partitions topics had when that was last known.
    pub partitions: Vec<(&'static TopicInfo, u32)>,
    /// Rows in the quarantine.
    pub quarantined: u64,
    /// What they count, in bytes.
    pub quarantined_bytes: u64,
    /// The highest number among all rows, also those in the quarantine; 0 if there are none.
    pub highest_number: u64,
    /// What was done about a damaged database.
    pub salvage: Option<Salvage>,
}

/// What was saved from a damaged database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvage {
    /// What was wrong.
    pub cause: String,
    /// What the damaged files are called now.
    pub set_aside: Vec<PathBuf>,
    /// Rows that were saved.
    pub rows: u64,
    /// Rows of the quarantine that were saved.
    pub quarantined: u64,
    /// Rows that were seen and could not be saved. There may have been more in what was not readable.
    pub lost: u64,
}

/// A row whose bytes are not those that were written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("row {number} is damaged: {what}")]
pub struct Damaged {
    /// The number it is kept under.
    pub number: u64,
    /// What is wrong.
    pub what: &'static str,
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Rows that hold.
    pub rows: u64,
    /// Rows of the quarantine that hold.
    pub quarantined: u64,
    /// What is wrong, at most a hundred sentences.
    pub problems: Vec<String>,
}

/// A row as people see it: never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub number: u64,
    /// The topic, without the configured prefix.
    pub topic: String,
    /// What it counts against the spool's limit, in bytes.
    pub bytes: u64,
    /// When it was put into the spool, in milliseconds since the Unix epoch.
    pub spooled_at_ms: i64,
    /// What its own bytes tell, if they hold.
    pub label: Result<Label, Damaged>,
}

/// Whom a row belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The Kafka key.
    pub key: String,
    /// Name of the source.
    pub source_name: String,
    /// Name of the provider.
    pub provider: String,
    /// Why and when it was put into the quarantine, in milliseconds since the Unix epoch.
    pub quarantined: Option<(String, i64)>,
}
