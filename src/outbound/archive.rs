//! A table of texts that is alone in a zip, as row by row of JSON.
//!
//! Memory is bounded by the longest record. A zip that unpacks to far more than its own size, a record without an end and
//! a checksum that is not that of the contents are faults of the file.

use std::cell::Cell;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use csv::ByteRecord;
use serde::ser::{SerializeMap as _, Serializer as _};
use zip::ZipArchive;

use crate::provider::api::FileFault;

/// A file unpacks to so many times its size at most. Reports of millions of rows do not come near.
const MOST_TIMES: u64 = 200;

/// A small file may always unpack to this.
const ALWAYS_ALLOWED_BYTES: u64 = 1024 * 1024;

/// A longer record is none of a report, but a quotation mark that nobody closed.
const MOST_RECORD_BYTES: u64 = 8 * 1024 * 1024;

/// Hands over each row as an object of its columns, without the empty ones, and tells how many there are. What is handed
/// over before a fault shows is not proven.
pub(super) fn read(
    mut file: impl Read + Seek,
    needed: &[&[&str]],
    take: &mut dyn FnMut(&str),
) -> Result<u64, FileFault> {
    let packed_bytes = file.seek(SeekFrom::End(0)).map_err(|_| FileFault::NotWritten)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|_| FileFault::Broken)?;
    let entry = only_table(&mut archive)?;
    let most_bytes = packed_bytes.saturating_mul(MOST_TIMES).max(ALWAYS_ALLOWED_BYTES);
    let entry = archive.by_index(entry).map_err(|_| FileFault::Broken)?;
    let record_bytes = Cell::new(0);
    let bounded = Bounded { inner: entry, left_bytes: most_bytes, record_bytes: &record_bytes };
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(bounded);
    let mut record = ByteRecord::new();
    let mut names: Option<Vec<String>> = None;
    let mut rows = 0;
    while reader.read_byte_record(&mut record).map_err(|_| FileFault::Broken)? {
        record_bytes.set(0);
        match &names {
            None => names = Some(header(&record, needed)?),
            Some(names) => {
                take(&row(names, &record)?);
                rows += 1;
            }
        }
    }
    if names.is_none() { Err(FileFault::Broken) } else { Ok(rows) }
}

/// The number of the one entry that is no folder, which may be neither encrypted nor anything but a table.
fn only_table<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<usize, FileFault> {
    let mut tables = Vec::new();
    for number in 0..archive.len() {
        let entry = archive.by_index_raw(number).map_err(|_| FileFault::Broken)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(|_| FileFault::Broken)?;
        let is_table = name.to_lowercase().ends_with(".csv");
        if entry.encrypted() || !is_table {
            return Err(FileFault::Broken);
        }
        tables.push(number);
    }
    match tables.as_slice() {
        [only] => Ok(*only),
        _ => Err(FileFault::Broken),
    }
}

/// Names without case and space, whatever stands before the first one.
fn header(record: &ByteRecord, needed: &[&[&str]]) -> Result<Vec<String>, FileFault> {
    let name = |field: &[u8]| {
        let name = String::from_utf8_lossy(field);
        name.trim_start_matches('\u{feff}').trim().trim_matches('"').to_lowercase().replace(' ', "_")
    };
    let names: Vec<String> = record.iter().map(name).collect();
    let has_one = |group: &&[&str]| group.iter().any(|column| names.iter().any(|name| name == column));
    if needed.iter().all(has_one) { Ok(names) } else { Err(FileFault::ColumnsMissing) }
}

/// A field without a name keeps its number, from 1.
fn row(names: &[String], record: &ByteRecord) -> Result<String, FileFault> {
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    let written = (|| {
        let mut object = serializer.serialize_map(None)?;
        for (place, field) in record.iter().enumerate().filter(|(_, field)| !field.is_empty()) {
            let text = String::from_utf8_lossy(field);
            match names.get(place).filter(|name| !name.is_empty()) {
                Some(name) => object.serialize_entry(name, &text)?,
                None => object.serialize_entry(&format!("column_{}", place + 1), &text)?,
            }
        }
        object.end()
    })();
    written.ok().and_then(|()| String::from_utf8(json).ok()).ok_or(FileFault::Broken)
}

/// Ends with an error where more comes than may.
struct Bounded<'b, R> {
    inner: R,
    left_bytes: u64,
    /// What was read since the last record.
    record_bytes: &'b Cell<u64>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let read_bytes = read as u64;
        let record_bytes = self.record_bytes.get().saturating_add(read_bytes);
        self.record_bytes.set(record_bytes);
        if read_bytes > self.left_bytes || record_bytes > MOST_RECORD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.left_bytes -= read_bytes;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
