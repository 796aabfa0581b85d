//! Saving what can be saved of a damaged database.
//!
//! The pages of the database and of its log are read one by one, without the tree that joins them, and
//! every row whose checksum holds is put into a new database. That is complete and synced before it
//! takes the damaged one's place under a name that tells when; a crash on the way starts it again.
//!
//! Deleted rows are overwritten in the database, so a page holds rows that had not been deleted. Only
//! behind a break in the log can nobody tell what was deleted later: such a row comes back, since a
//! record that is published twice is better than one that is lost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

mod cells;
mod image;

use super::error::SpoolError;
use super::heads::{Head, Table, number_of};
use super::place::Place;
use super::row::{Counts, Salvage};
use super::seal::{MAGIC, Sealed, sealed_length};
use super::{schema, store};
use crate::event::kind;
use cells::{Cell, Value};
use image::{Image, View};

/// Builds a new database of what holds in the damaged one, and puts it in its place.
pub(super) fn run(place: &Place, vfs: Option<&str>, witnessed: u64, cause: String) -> Result<Salvage, SpoolError> {
    tracing::error!(dir = %place.dir().display(), cause, "the spool's database is damaged; saving what holds");
    let image = Image::open(&place.database(), &place.log())?;
    let path = place.prepare_salvaged()?;
    let found = build(&path, vfs, witnessed, &image)?;
    let set_aside = place.replace_database()?;
    let salvage = found.into_salvage(cause, set_aside);
    tracing::error!(
        set_aside = ?salvage.set_aside,
        rows = salvage.rows,
        quarantined = salvage.quarantined,
        lost = salvage.lost,
        "the damaged database has been set aside, and what holds has been saved"
    );
    Ok(salvage)
}

fn build(path: &Path, vfs: Option<&str>, witnessed: u64, image: &Image) -> Result<Found, SpoolError> {
    let mut connection = schema::open(path, vfs, 0)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut found = Found::default();
    for (view, page) in image.pages() {
        found.search(&transaction, image, view, &page)?;
    }
    for (topic, partitions) in &found.partitions {
        store::remember_partitions(&transaction, topic, *partitions)?;
    }
    let sequence = i64::try_from(witnessed).map_err(|_| SpoolError::OutOfRange("the witness"))?;
    transaction.execute("UPDATE progress SET sequence = max(sequence, ?)", [sequence])?;
    transaction.commit()?;
    // Moves everything from the log into the database, which is to be renamed alone.
    connection.query_row("PRAGMA journal_mode = DELETE", (), |_| Ok(()))?;
    Ok(found)
}

/// What has been found so far.
#[derive(Debug, Default)]
struct Found {
    saved: HashMap<u64, Table>,
    broken: HashSet<u64>,
    partitions: BTreeMap<&'static str, i64>,
}

impl Found {
    fn search(&mut self, to: &Connection, image: &Image, view: View, page: &image::Page) -> Result<(), SpoolError> {
        let leaf = cells::of_leaf(page);
        for cell in &leaf.cells {
            match cell.payload(image, view) {
                Some(payload) => self.take_payload(to, cell, &payload)?,
                // Only rows are longer than a page.
                None => self.note_broken(cell),
            }
        }
        if !leaf.is_whole {
            self.search_bytes(to, &page.bytes)?;
        }
        Ok(())
    }

    /// Finds rows by what they begin with, where the page itself no longer tells where they are.
    fn search_bytes(&mut self, to: &Connection, bytes: &[u8]) -> Result<(), SpoolError> {
        for (at, _) in bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC) {
            let rest = bytes.get(at..).unwrap_or_default();
            let whole = sealed_length(rest).and_then(|length| rest.get(..length));
            if let Some(Ok(sealed)) = whole.map(Sealed::decode) {
                self.save(to, &sealed, whole.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn take_payload(&mut self, to: &Connection, cell: &Cell<'_>, payload: &[u8]) -> Result<(), SpoolError> {
        let values = cells::values(payload).unwrap_or_default();
        match values.as_slice() {
            [Value::Text(topic), Value::Integer(partitions)] => {
                let known = kind::all_topics().find(|known| known.suffix == *topic);
                self.partitions.extend(known.map(|topic| (topic.suffix, *partitions)));
                Ok(())
            }
            [.., Value::Blob(sealed)] => match Sealed::decode(sealed) {
                Ok(row) => self.save(to, &row, sealed),
                Err(_) => {
                    self.note_broken(cell);
                    Ok(())
                }
            },
            _ => Ok(()),
        }
    }

    fn note_broken(&mut self, cell: &Cell<'_>) {
        self.broken.extend(number_of(cell.number).ok());
    }

    /// A row may be found several times. Once it is in the quarantine it never leaves it, so that is
    /// the later state.
    fn save(&mut self, to: &Connection, row: &Sealed<'_>, bytes: &[u8]) -> Result<(), SpoolError> {
        let table = if row.quarantined.is_some() { Table::Quarantine } else { Table::Record };
        match (self.saved.get(&row.number), table) {
            (Some(Table::Quarantine), _) | (Some(Table::Record), Table::Record) => return Ok(()),
            (Some(Table::Record), Table::Quarantine) => drop(store::delete(to, row.number, &mut Counts::default())?),
            (None, _) => {}
        }
        Head::of(row)?.insert(to, table, bytes)?;
        self.saved.insert(row.number, table);
        Ok(())
    }

    fn into_salvage(self, cause: String, set_aside: Vec<std::path::PathBuf>) -> Salvage {
        let count = |table| self.saved.values().filter(|saved| **saved == table).count() as u64;
        let lost = self.broken.iter().filter(|number| !self.saved.contains_key(number)).count() as u64;
        Salvage { cause, set_aside, rows: count(Table::Record), quarantined: count(Table::Quarantine), lost }
    }
}
