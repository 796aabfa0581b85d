//! What the store tells of rows without reading their values: the columns before `sealed`.

use rusqlite::{Connection, Row as SqlRow, Statement};

use super::error::SpoolError;
use super::row::Stored;
use super::seal::Sealed;
use crate::event::id::{EventId, FactHash};
use crate::event::kind::{self, Kind};

/// The tables that hold rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Record,
    Quarantine,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Quarantine => "quarantine",
        }
    }
}

/// The columns of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: i64,
    pub(super) topic: String,
    pub(super) kind: String,
    key_hash: u32,
    pub(super) bytes: i64,
    event_id: Option<[u8; 16]>,
    fact_hash: Option<[u8; 8]>,
    pub(super) spooled_at_ms: i64,
}

pub(super) const COLUMNS: &str = "number, topic, kind, key_hash, bytes, event_id, fact_hash, spooled_at_ms, head_crc";

impl Head {
    pub(super) fn of(sealed: &Sealed<'_>) -> Result<Self, SpoolError> {
        Ok(Self {
            number: sql_number(sealed.number)?,
            topic: sealed.topic.to_owned(),
            kind: sealed.kind.to_owned(),
            key_hash: sealed.key_hash,
            bytes: i64::try_from(sealed.bytes()).map_err(|_| SpoolError::OutOfRange("a row"))?,
            event_id: sealed.identity.map(|(id, _)| *id.as_bytes()),
            fact_hash: sealed.identity.and_then(|(_, hash)| hash).map(|hash| *hash.as_bytes()),
            spooled_at_ms: sealed.spooled_at_ms,
        })
    }

    /// Reads the columns [`COLUMNS`].
    pub(super) fn read(row: &SqlRow<'_>) -> Result<Self, SpoolError> {
        let head = Self {
            number: row.get(0)?,
            topic: row.get(1)?,
            kind: row.get(2)?,
            key_hash: row.get(3)?,
            bytes: row.get(4)?,
            event_id: row.get(5)?,
            fact_hash: row.get(6)?,
            spooled_at_ms: row.get(7)?,
        };
        match row.get::<_, u32>(8)? == head.crc() {
            true => Ok(head),
            false => Err(SpoolError::Corrupt(format!("the columns of row {} do not hold", head.number))),
        }
    }

    /// Puts a row into a table, unless one of that number is there. Tells whether it did.
    pub(super) fn insert(&self, connection: &Connection, table: Table, sealed: &[u8]) -> Result<bool, SpoolError> {
        let into = format!("INTO {} ({COLUMNS}, sealed)", table.name());
        let sql = format!("INSERT {into} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO NOTHING");
        let inserted = connection.prepare_cached(&sql)?.execute((
            self.number,
            &self.topic,
            &self.kind,
            self.key_hash,
            self.bytes,
            self.event_id,
            self.fact_hash,
            self.spooled_at_ms,
            self.crc(),
            sealed,
        ))?;
        Ok(inserted > 0)
    }

    fn crc(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for number in [self.number, self.key_hash.into(), self.bytes, self.spooled_at_ms] {
            hasher.update(&number.to_le_bytes());
        }
        for text in [&self.topic, &self.kind] {
            hasher.update(text.as_bytes());
            hasher.update(&[0xFF]);
        }
        hasher.update(self.event_id.as_ref().map_or(&[], <[u8; 16]>::as_slice));
        hasher.update(self.fact_hash.as_ref().map_or(&[], <[u8; 8]>::as_slice));
        hasher.finalize()
    }

    /// What is told of the row, if this version of the program knows its topic and kind.
    pub(super) fn stored(&self) -> Result<Option<Stored>, SpoolError> {
        let topic = kind::all_topics().find(|topic| topic.suffix == self.topic);
        let known = self.kind.is_empty() || Kind::from_name(&self.kind).is_some();
        let Some(topic) = topic.filter(|_| known) else { return Ok(None) };
        let fact_hash = self.fact_hash.map(FactHash::from_bytes);
        Ok(Some(Stored {
            number: number_of(self.number)?,
            topic,
            key_hash: self.key_hash,
            bytes: self.counted(),
            identity: self.event_id.map(|id| (EventId::from_bytes(id), fact_hash)),
            spooled_at_ms: self.spooled_at_ms,
        }))
    }

    pub(super) fn counted(&self) -> u64 {
        self.bytes.unsigned_abs()
    }
}

/// All rows of a table by their numbers.
pub(super) fn select<'c>(connection: &'c Connection, table: Table, more: &str) -> Result<Statement<'c>, SpoolError> {
    select_after(connection, table, None, more)
}

/// The rows of a table behind a number, by their numbers.
pub(super) fn select_after<'c>(
    connection: &'c Connection,
    table: Table,
    after: Option<i64>,
    more: &str,
) -> Result<Statement<'c>, SpoolError> {
    let behind = after.map(|number| format!("WHERE number > {number}")).unwrap_or_default();
    Ok(connection.prepare(&format!("SELECT {COLUMNS}{more} FROM {} {behind} ORDER BY number", table.name()))?)
}

/// A number as SQLite holds it.
pub(super) fn sql_number(number: u64) -> Result<i64, SpoolError> {
    i64::try_from(number).map_err(|_| SpoolError::OutOfRange("a row's number"))
}

/// A number that SQLite held.
pub(super) fn number_of(number: i64) -> Result<u64, SpoolError> {
    u64::try_from(number).map_err(|_| SpoolError::Corrupt(format!("a row has the number {number}")))
}
