//! A row's own bytes: everything about it under one checksum, so that it can be told from rubbish
//! wherever it is found.
//!
//! ```text
//! magic (4) | format (1) | length of all (u32) | number (u64) | key_hash (u32)
//! | received_at, microseconds (i64) | spooled_at, milliseconds (i64)
//! | identity: 0, or 1 and 16 bytes, or 2 and 16 and 8 bytes
//! | quarantine: 0, or 1 and at, milliseconds (i64), reason
//! | kind | topic | source | provider | key | headers: count (u32), name and value of each | value
//! | CRC-32 of everything before (u32)
//! ```
//!
//! Numbers are little-endian, texts and the value are a length (u32) and bytes; the kind of a dead
//! letter is empty. The magic is no UTF-8, so no text that somebody sends can look like a row.

use super::error::SpoolError;
use super::row::{Damaged, Label, Row, counted_bytes};
use crate::event::envelope::Record;
use crate::event::id::{EventId, FactHash};
use crate::event::kind::{self, Kind};
use crate::event::time::Time;

/// What every sealed row begins with.
pub(super) const MAGIC: [u8; 4] = [0xFE, b'T', b'L', 0xFF];
const FORMAT: u8 = 1;
const LENGTH_AT: usize = 5;
const CRC_BYTES: usize = 4;

/// A row as it is written, its topic and kind being text: another version may know others.
#[derive(Debug, Clone)]
pub(super) struct Sealed<'b> {
    pub(super) number: u64,
    pub(super) key_hash: u32,
    pub(super) received_at_us: i64,
    pub(super) spooled_at_ms: i64,
    pub(super) identity: Option<(EventId, Option<FactHash>)>,
    pub(super) quarantined: Option<(&'b str, i64)>,
    pub(super) kind: &'b str,
    pub(super) topic: &'b str,
    pub(super) source_name: &'b str,
    pub(super) provider: &'b str,
    pub(super) key: &'b str,
    pub(super) headers: Vec<(&'b str, &'b str)>,
    pub(super) value: &'b [u8],
}

impl<'b> Sealed<'b> {
    pub(super) fn of(number: u64, row: &'b Row, spooled_at_ms: i64) -> Self {
        let record = &row.record;
        Self {
            number,
            key_hash: row.key_hash,
            received_at_us: row.received_at.unix_us(),
            spooled_at_ms,
            identity: record.identity,
            quarantined: None,
            kind: record.kind.map_or("", |kind| kind.info().name),
            topic: record.topic.suffix,
            source_name: &row.source_name,
            provider: &row.provider,
            key: &record.key,
            headers: record.headers.iter().collect(),
            value: &record.value,
        }
    }

    /// What the row counts against the spool's limit, as [`Row::bytes`].
    pub(super) fn bytes(&self) -> u64 {
        let names = self.topic.len() + self.source_name.len() + self.provider.len();
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        counted_bytes(names + self.key.len(), headers, self.value.len())
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, SpoolError> {
        let mut out = Writer(Vec::with_capacity(self.value.len() + 1024));
        out.0.extend_from_slice(&MAGIC);
        out.0.extend_from_slice(&[FORMAT, 0, 0, 0, 0]);
        out.0.extend_from_slice(&self.number.to_le_bytes());
        out.0.extend_from_slice(&self.key_hash.to_le_bytes());
        out.0.extend_from_slice(&self.received_at_us.to_le_bytes());
        out.0.extend_from_slice(&self.spooled_at_ms.to_le_bytes());
        out.identity(self.identity.as_ref());
        out.quarantine(self.quarantined)?;
        for text in [self.kind, self.topic, self.source_name, self.provider, self.key] {
            out.bytes(text.as_bytes())?;
        }
        out.length(self.headers.len())?;
        for (name, value) in &self.headers {
            out.bytes(name.as_bytes())?;
            out.bytes(value.as_bytes())?;
        }
        out.bytes(self.value)?;
        out.seal()
    }

    /// Reads a sealed row.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn decode(bytes: &'b [u8]) -> Result<Self, &'static str> {
        let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or("it is too short")?;
        if sealed_length(bytes) != Some(bytes.len()) {
            return Err("it does not begin or end as a row does");
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err("its checksum does not hold");
        }
        if bytes.get(MAGIC.len()) != Some(&FORMAT) {
            return Err("its format is unknown");
        }
        let rest = body.get(LENGTH_AT + CRC_BYTES..).unwrap_or_default();
        Reader(rest).row().ok_or("its lengths do not fit")
    }

    /// Reads a sealed row that is kept under a number.
    pub(super) fn decode_as(number: u64, bytes: &'b [u8]) -> Result<Self, Damaged> {
        match Self::decode(bytes) {
            Ok(sealed) if sealed.number == number => Ok(sealed),
            Ok(_) => Err(Damaged { number, what: "it is another row" }),
            Err(what) => Err(Damaged { number, what }),
        }
    }

    /// The row, if this version of the program knows its topic and kind.
    pub(super) fn to_row(&self) -> Option<Row> {
        let record = Record {
            topic: kind::all_topics().find(|topic| topic.suffix == self.topic)?,
            key: self.key.to_owned(),
            // The row's hash has placed it already.
            placed_by: None,
            headers: self.headers.iter().copied().collect(),
            value: self.value.to_owned(),
            kind: if self.kind.is_empty() { None } else { Some(Kind::from_name(self.kind)?) },
            identity: self.identity,
        };
        Some(Row {
            record,
            key_hash: self.key_hash,
            source_name: self.source_name.to_owned(),
            provider: self.provider.to_owned().into(),
            received_at: Time::from_unix_us(self.received_at_us)?,
        })
    }

    pub(super) fn label(&self) -> Label {
        Label {
            key: self.key.to_owned(),
            source_name: self.source_name.to_owned(),
            provider: self.provider.to_owned(),
            quarantined: self.quarantined.map(|(reason, at_ms)| (reason.to_owned(), at_ms)),
        }
    }
}

/// How long the sealed row is that these bytes begin with, if they begin with one.
pub(super) fn sealed_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.strip_prefix(&MAGIC)?.get(1..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

struct Writer(Vec<u8>);

impl Writer {
    fn length(&mut self, length: usize) -> Result<(), SpoolError> {
        let length = u32::try_from(length).map_err(|_| SpoolError::OutOfRange("a part of a row"))?;
        self.0.extend_from_slice(&length.to_le_bytes());
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.length(bytes.len())?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn identity(&mut self, identity: Option<&(EventId, Option<FactHash>)>) {
        match identity {
            None => self.0.push(0),
            Some((id, hash)) => {
                self.0.push(if hash.is_some() { 2 } else { 1 });
                self.0.extend_from_slice(id.as_bytes());
                self.0.extend(hash.iter().flat_map(|hash| hash.as_bytes()));
            }
        }
    }

    fn quarantine(&mut self, quarantined: Option<(&str, i64)>) -> Result<(), SpoolError> {
        self.0.push(u8::from(quarantined.is_some()));
        let Some((reason, at_ms)) = quarantined else { return Ok(()) };
        self.0.extend_from_slice(&at_ms.to_le_bytes());
        self.bytes(reason.as_bytes())
    }

    /// Puts the length of all to its place and the checksum to the end.
    fn seal(mut self) -> Result<Vec<u8>, SpoolError> {
        let length = u32::try_from(self.0.len() + CRC_BYTES).map_err(|_| SpoolError::OutOfRange("a row"))?;
        let place = self.0.iter_mut().skip(LENGTH_AT);
        place.zip(length.to_le_bytes()).for_each(|(to, from)| *to = from);
        let crc = crc32fast::hash(&self.0);
        self.0.extend_from_slice(&crc.to_le_bytes());
        Ok(self.0)
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn row(mut self) -> Option<Sealed<'b>> {
        let sealed = Sealed {
            number: u64::from_le_bytes(self.array()?),
            key_hash: u32::from_le_bytes(self.array()?),
            received_at_us: i64::from_le_bytes(self.array()?),
            spooled_at_ms: i64::from_le_bytes(self.array()?),
            identity: self.identity()?,
            quarantined: self.quarantine()?,
            kind: self.text()?,
            topic: self.text()?,
            source_name: self.text()?,
            provider: self.text()?,
            key: self.text()?,
            headers: self.headers()?,
            value: self.bytes()?,
        };
        self.0.is_empty().then_some(sealed)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn identity(&mut self) -> Option<Option<(EventId, Option<FactHash>)>> {
        match self.array::<1>()? {
            [0] => Some(None),
            [1] => Some(Some((EventId::from_bytes(self.array()?), None))),
            [2] => Some(Some((EventId::from_bytes(self.array()?), Some(FactHash::from_bytes(self.array()?))))),
            _ => None,
        }
    }

    fn quarantine(&mut self) -> Option<Option<(&'b str, i64)>> {
        match self.array::<1>()? {
            [0] => Some(None),
            [1] => {
                let at_ms = i64::from_le_bytes(self.array()?);
                Some(Some((self.text()?, at_ms)))
            }
            _ => None,
        }
    }

    fn headers(&mut self) -> Option<Vec<(&'b str, &'b str)>> {
        let count = u32::from_le_bytes(self.array()?);
        (0..count).map(|_| Some((self.text()?, self.text()?))).collect()
    }
}

#[cfg(test)]
pub(super) mod tests;
