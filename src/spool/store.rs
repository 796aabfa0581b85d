//! The store itself: opening, changing, reading.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::error::SpoolError;
use super::heads::{self, Head, Table, number_of, sql_number};
use super::place::{Identity, Place};
use super::row::{Change, Counts, Damaged, Effect, Opened, Options, Row, Salvage, Stored};
use super::salvage;
use super::schema;
use super::seal::Sealed;
use super::witness::Witness;
use crate::event::kind::{self, TopicInfo};

/// A row's number, and the row if its checksum holds.
pub type ReadRow = (u64, Result<Row, Damaged>);

/// Rows on disk. Whatever [`Store::apply`] has said yes to survives a crash or a power failure.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    /// The number of the last transaction.
    sequence: i64,
    counts: Counts,
    files: Vec<(PathBuf, Identity)>,
    witness: Witness,
    place: Place,
}

impl Store {
    /// Opens the spool of a directory, or makes one. A damaged database is set aside, and what can be
    /// saved of it is in the new one; that is logged and told.
    ///
    /// # Errors
    /// When another process works there, a newer version has written it, or the disk does not let us.
    pub fn open(options: &Options) -> Result<Opened, SpoolError> {
        let place = Place::claim(&options.dir)?;
        place.finish_replacement()?;
        let witness = Witness::open(place.witness())?;
        let vfs = options.vfs.as_deref();
        let (loaded, salvage) = match Loaded::read(&place, vfs, witness.read()) {
            Err(SpoolError::Corrupt(cause)) => {
                let salvage = salvage::run(&place, vfs, witness.read(), cause)?;
                (Loaded::read(&place, vfs, witness.read())?, Some(salvage))
            }
            loaded => (loaded?, None),
        };
        loaded.into_opened(place, witness, salvage)
    }

    /// Opens the spool of a directory to look into it: one that is not there is not made, and one that
    /// is damaged is left as it is.
    ///
    /// # Errors
    /// As [`Store::open`], and also when there is no spool, or when it is damaged.
    pub fn open_existing(options: &Options) -> Result<Opened, SpoolError> {
        if !Place::is_spool(&options.dir) {
            return Err(SpoolError::Missing { dir: options.dir.clone() });
        }
        let place = Place::claim(&options.dir)?;
        place.finish_replacement()?;
        let witness = Witness::open(place.witness())?;
        let loaded = Loaded::read(&place, options.vfs.as_deref(), witness.read())?;
        loaded.into_opened(place, witness, None)
    }

    /// Makes all changes in one synced transaction, or none of them, and tells what each of them has come to.
    ///
    /// # Errors
    /// Nothing was changed, and the next call may succeed. After [`SpoolError::Vanished`] and
    /// [`SpoolError::Corrupt`] only opening the spool anew helps; and after the former nobody can tell what was
    /// changed, so the same changes may be made once more, in whatever is found there then.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<Effect>, SpoolError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let sequence = self.sequence + 1;
        let mut counts = self.counts;
        let mut effects = Vec::with_capacity(changes.len());
        // Before, so that nothing is written to where nobody will look; after, since the sync takes time.
        self.still_there()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for change in changes {
            effects.push(make(&transaction, change, &mut counts)?);
        }
        transaction.prepare_cached("UPDATE progress SET sequence = ?")?.execute([sequence])?;
        transaction.commit()?;
        (self.sequence, self.counts) = (sequence, counts);
        self.still_there()?;
        self.witness.write(sequence.unsigned_abs());
        Ok(effects)
    }

    /// How much is in the spool: what was found when it was opened, and what SQLite has changed since.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the files are still the ones in the directory. SQLite would go on writing to a file that
    /// has been removed, or that another one has been mounted over.
    ///
    /// # Errors
    /// [`SpoolError::Vanished`] when they are not.
    pub fn still_there(&self) -> Result<(), SpoolError> {
        for (path, identity) in &self.files {
            if Identity::of(path)? != *identity {
                return Err(SpoolError::Vanished { path: path.clone() });
            }
        }
        Ok(())
    }

    /// Reads rows, in the order asked. One that is gone, or that another version of the program has
    /// written, is left out.
    ///
    /// # Errors
    /// When the database can not be read. A single row whose checksum does not hold is an error in its
    /// place.
    pub fn read(&self, numbers: &[u64]) -> Result<Vec<ReadRow>, SpoolError> {
        let mut rows = Vec::with_capacity(numbers.len());
        for &number in numbers {
            let Some(bytes) = sealed_of(&self.connection, number)? else { continue };
            match Sealed::decode_as(number, &bytes).map(|sealed| sealed.to_row()) {
                Ok(Some(row)) => rows.push((number, Ok(row))),
                Ok(None) => {}
                Err(damaged) => rows.push((number, Err(damaged))),
            }
        }
        Ok(rows)
    }

    /// Gives the room of deleted rows back to the disk, at most so many pages of 4 KiB, and tells whether
    /// there is more to give. It costs a sync or two, so the moment for it is when nothing else is to be
    /// done.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub fn give_back(&mut self, pages: u32) -> Result<bool, SpoolError> {
        let mut statement = self.connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut freed = statement.query(())?;
        while freed.next()?.is_some() {}
        drop(freed);
        drop(statement);
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
        Ok(schema::pragma::<i64>(&self.connection, "freelist_count")? > 0)
    }
}

fn sealed_of(connection: &Connection, number: u64) -> Result<Option<Vec<u8>>, SpoolError> {
    let mut statement = connection.prepare_cached("SELECT sealed FROM record WHERE number = ?")?;
    Ok(statement.query_row([sql_number(number)?], |row| row.get(0)).optional()?)
}

/// Makes one change within a transaction, and counts what it has really done.
pub(super) fn make(connection: &Connection, change: &Change, counts: &mut Counts) -> Result<Effect, SpoolError> {
    match change {
        Change::Append { number, row, spooled_at_ms } => {
            let sealed = Sealed::of(*number, row, *spooled_at_ms);
            if insert(connection, Table::Record, &sealed)? {
                counts.events += 1;
                counts.event_bytes += sealed.bytes();
            }
            Ok(Effect::Done)
        }
        Change::Delete { number } => delete(connection, *number, counts),
        Change::Quarantine { number, row, reason, at_ms } => match row {
            Some(row) => quarantine(connection, Sealed::of(*number, row, *at_ms), reason, *at_ms, counts),
            None => match sealed_of(connection, *number)? {
                None => Ok(Effect::Absent),
                Some(bytes) => move_to_quarantine(connection, *number, &bytes, reason, *at_ms, counts),
            },
        },
        Change::Partitions { topic, count } => {
            remember_partitions(connection, topic.suffix, (*count).into())?;
            Ok(Effect::Done)
        }
    }
}

/// Takes a row in, unless there is one of that number, which then is the same. Tells whether it did.
fn insert(connection: &Connection, table: Table, sealed: &Sealed<'_>) -> Result<bool, SpoolError> {
    Head::of(sealed)?.insert(connection, table, &sealed.encode()?)
}

pub(super) fn delete(connection: &Connection, number: u64, counts: &mut Counts) -> Result<Effect, SpoolError> {
    let mut statement = connection.prepare_cached("DELETE FROM record WHERE number = ? RETURNING bytes")?;
    let deleted: Option<i64> = statement.query_row([sql_number(number)?], |row| row.get(0)).optional()?;
    let Some(bytes) = deleted else { return Ok(Effect::Absent) };
    counts.events = counts.events.saturating_sub(1);
    counts.event_bytes = counts.event_bytes.saturating_sub(bytes.unsigned_abs());
    Ok(Effect::Done)
}

fn quarantine(
    connection: &Connection,
    sealed: Sealed<'_>,
    reason: &str,
    at_ms: i64,
    counts: &mut Counts,
) -> Result<Effect, SpoolError> {
    delete(connection, sealed.number, counts)?;
    let bytes = sealed.bytes();
    if insert(connection, Table::Quarantine, &Sealed { quarantined: Some((reason, at_ms)), ..sealed })? {
        counts.quarantined += 1;
        counts.quarantined_bytes += bytes;
    }
    Ok(Effect::Done)
}

/// A row that does not hold is moved as it is: its bytes are evidence, and nothing can be added to them.
fn move_to_quarantine(
    connection: &Connection,
    number: u64,
    bytes: &[u8],
    reason: &str,
    at_ms: i64,
    counts: &mut Counts,
) -> Result<Effect, SpoolError> {
    if let Ok(sealed) = Sealed::decode_as(number, bytes) {
        return quarantine(connection, sealed, reason, at_ms, counts);
    }
    let sql = "INSERT OR IGNORE INTO quarantine SELECT * FROM record WHERE number = ? RETURNING bytes";
    let mut statement = connection.prepare_cached(sql)?;
    let moved: Option<i64> = statement.query_row([sql_number(number)?], |row| row.get(0)).optional()?;
    if let Some(bytes) = moved {
        counts.quarantined += 1;
        counts.quarantined_bytes += bytes.unsigned_abs();
    }
    delete(connection, number, counts)
}

pub(super) fn remember_partitions(connection: &Connection, topic: &str, count: i64) -> Result<(), SpoolError> {
    connection.prepare_cached("DELETE FROM partition_count WHERE topic = ?")?.execute([topic])?;
    connection.prepare_cached("INSERT INTO partition_count VALUES (?, ?)")?.execute((topic, count))?;
    Ok(())
}

/// A database that was found to be in order, and what is in it.
#[derive(Debug)]
struct Loaded {
    connection: Connection,
    sequence: i64,
    rows: Vec<Stored>,
    foreign: u64,
    counts: Counts,
    highest_number: u64,
    partitions: Vec<(&'static TopicInfo, u32)>,
}

impl Loaded {
    fn read(place: &Place, vfs: Option<&str>, witnessed: u64) -> Result<Self, SpoolError> {
        place.prepare_database()?;
        Self::try_read(place, vfs, witnessed).map_err(SpoolError::into_damage)
    }

    fn try_read(place: &Place, vfs: Option<&str>, witnessed: u64) -> Result<Self, SpoolError> {
        let connection = schema::open(&place.database(), vfs, witnessed).map_err(|error| in_use(error, place))?;
        let sequence: i64 = connection.query_row("SELECT sequence FROM progress", (), |row| row.get(0))?;
        let found: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
        if found != "ok" {
            return Err(SpoolError::Corrupt(found));
        }
        let mut loaded = Self {
            connection,
            sequence,
            rows: Vec::new(),
            foreign: 0,
            counts: Counts::default(),
            highest_number: 0,
            partitions: Vec::new(),
        };
        loaded.read_rows()?;
        loaded.read_quarantine()?;
        loaded.read_partitions()?;
        Ok(loaded)
    }

    fn read_rows(&mut self) -> Result<(), SpoolError> {
        let mut statement = heads::select(&self.connection, Table::Record, "")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let head = Head::read(row)?;
            self.highest_number = self.highest_number.max(number_of(head.number)?);
            self.counts.events += 1;
            self.counts.event_bytes += head.counted();
            match head.stored()? {
                Some(stored) => self.rows.push(stored),
                None => self.foreign += 1,
            }
        }
        Ok(())
    }

    fn read_quarantine(&mut self) -> Result<(), SpoolError> {
        let mut statement = heads::select(&self.connection, Table::Quarantine, "")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let head = Head::read(row)?;
            self.highest_number = self.highest_number.max(number_of(head.number)?);
            self.counts.quarantined += 1;
            self.counts.quarantined_bytes += head.counted();
        }
        Ok(())
    }

    fn read_partitions(&mut self) -> Result<(), SpoolError> {
        let mut statement = self.connection.prepare("SELECT topic, partitions FROM partition_count")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (name, count): (String, u32) = (row.get(0)?, row.get(1)?);
            let topic = kind::all_topics().find(|topic| topic.suffix == name);
            self.partitions.extend(topic.map(|topic| (topic, count)));
        }
        Ok(())
    }

    fn into_opened(self, place: Place, witness: Witness, salvage: Option<Salvage>) -> Result<Opened, SpoolError> {
        let mut files = Vec::new();
        for path in [place.database(), place.log()] {
            let identity = Identity::of(&path)?;
            files.push((path, identity));
        }
        witness.write(self.sequence.unsigned_abs());
        let (sequence, counts) = (self.sequence, self.counts);
        let store = Store { connection: self.connection, sequence, counts, files, witness, place };
        tracing::debug!(dir = %store.place.dir().display(), rows = self.rows.len(), "opened the spool");
        Ok(Opened {
            store,
            rows: self.rows,
            foreign: self.foreign,
            partitions: self.partitions,
            quarantined: counts.quarantined,
            quarantined_bytes: counts.quarantined_bytes,
            highest_number: self.highest_number,
            salvage,
        })
    }
}

/// Another program may hold the database without our lock, such as SQLite's own shell.
fn in_use(error: SpoolError, place: &Place) -> SpoolError {
    match &error {
        SpoolError::Refused(cause) if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
            SpoolError::InUse { dir: place.dir().to_owned() }
        }
        _ => error,
    }
}
