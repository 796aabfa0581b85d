//! Looking into the store: what is there, and whether it holds.

use super::error::SpoolError;
use super::heads::{self, Head, Table, number_of};
use super::row::{Damaged, Listed, Verification};
use super::seal::Sealed;
use super::store::Store;

/// More sentences about one database help nobody.
const MAX_PROBLEMS: usize = 100;

/// After so many bytes a step of a verification ends, which takes some milliseconds.
const STEP_BYTES: usize = 1024 * 1024;

impl Store {
    /// Checks the database by SQLite's own rules, and the checksum of every row and of every row in the
    /// quarantine. Holds one row in memory at a time.
    ///
    /// # Errors
    /// When the database can not be read at all; whatever else is wrong is in the answer.
    pub fn verify(&self) -> Result<Verification, SpoolError> {
        let mut found = Verification::default();
        let mut statement = self.connection.prepare("PRAGMA integrity_check")?;
        let mut lines = statement.query(())?;
        while let Some(line) = lines.next()? {
            let line: String = line.get(0)?;
            found.note((line != "ok").then_some(line));
        }
        found.rows = self.verify_table(Table::Record, &mut found)?;
        found.quarantined = self.verify_table(Table::Quarantine, &mut found)?;
        Ok(found)
    }

    /// Checks the rows of a table and counts those that hold.
    fn verify_table(&self, table: Table, found: &mut Verification) -> Result<u64, SpoolError> {
        let mut good = 0;
        let mut statement = heads::select(&self.connection, table, ", sealed")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            good += u64::from(verify_row(table, row, found)?.holds);
        }
        Ok(good)
    }

    /// Checks the next rows, so few that others who need the store can wait for it. What comes and goes
    /// between two steps may be seen or not. The structure of the database is not looked at.
    ///
    /// # Errors
    /// When the database can not be read; whatever else is wrong is in the answer.
    pub fn verify_step(&self, mut so_far: Verifying) -> Result<Verifying, SpoolError> {
        let Some(table) = so_far.table() else { return Ok(so_far) };
        let mut good = 0;
        let mut bytes = 0;
        let mut statement = heads::select_after(&self.connection, table, so_far.after, ", sealed")?;
        let mut rows = statement.query(())?;
        let end = loop {
            let Some(row) = rows.next()? else { break true };
            let verified = verify_row(table, row, &mut so_far.found)?;
            so_far.after = Some(verified.number);
            good += u64::from(verified.holds);
            bytes += verified.bytes;
            if bytes >= STEP_BYTES {
                break false;
            }
        };
        so_far.count(table, good);
        if end {
            (so_far.tables_done, so_far.after) = (so_far.tables_done + 1, None);
        }
        Ok(so_far)
    }

    /// The first rows, at most so many, by ascending number.
    ///
    /// # Errors
    /// When the database can not be read.
    pub fn list(&self, limit: usize) -> Result<Vec<Listed>, SpoolError> {
        self.list_table(Table::Record, limit)
    }

    /// The first rows of the quarantine, at most so many, by ascending number.
    ///
    /// # Errors
    /// When the database can not be read.
    pub fn list_quarantined(&self, limit: usize) -> Result<Vec<Listed>, SpoolError> {
        self.list_table(Table::Quarantine, limit)
    }

    fn list_table(&self, table: Table, limit: usize) -> Result<Vec<Listed>, SpoolError> {
        let mut listed = Vec::new();
        let mut statement = heads::select(&self.connection, table, ", sealed")?;
        let mut rows = statement.query(())?;
        while listed.len() < limit
            && let Some(row) = rows.next()?
        {
            let head = Head::read(row)?;
            let bytes: &[u8] = row.get_ref(9)?.as_blob().map_err(rusqlite::Error::from)?;
            listed.push(listed_of(head, bytes)?);
        }
        Ok(listed)
    }
}

/// A verification that goes step by step.
#[derive(Debug, Default)]
pub struct Verifying {
    found: Verification,
    tables_done: usize,
    /// The last row of the table that was looked at.
    after: Option<i64>,
}

impl Verifying {
    /// What was found, once all is seen.
    ///
    /// # Errors
    /// What is known so far, when there is more to see.
    pub fn done(self) -> Result<Verification, Self> {
        if self.table().is_none() { Ok(self.found) } else { Err(self) }
    }

    fn table(&self) -> Option<Table> {
        [Table::Record, Table::Quarantine].get(self.tables_done).copied()
    }

    fn count(&mut self, table: Table, good: u64) {
        match table {
            Table::Record => self.found.rows += good,
            Table::Quarantine => self.found.quarantined += good,
        }
    }
}

/// What a look at one row has shown.
struct VerifiedRow {
    number: i64,
    bytes: usize,
    holds: bool,
}

fn verify_row(table: Table, row: &rusqlite::Row<'_>, found: &mut Verification) -> Result<VerifiedRow, SpoolError> {
    let head = Head::read(row)?;
    let bytes: &[u8] = row.get_ref(9)?.as_blob().map_err(rusqlite::Error::from)?;
    let problem = problem_of(&head, bytes)?;
    let holds = problem.is_none();
    found.note(problem.map(|problem| format!("{}: {problem}", table.name())));
    Ok(VerifiedRow { number: head.number, bytes: bytes.len(), holds })
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    fn note(&mut self, problem: Option<String>) {
        self.problems.extend(problem.filter(|_| self.problems.len() < MAX_PROBLEMS));
    }
}

fn problem_of(head: &Head, bytes: &[u8]) -> Result<Option<String>, SpoolError> {
    match Sealed::decode_as(number_of(head.number)?, bytes) {
        Err(damaged) => Ok(Some(damaged.to_string())),
        Ok(sealed) if Head::of(&sealed)? != *head => Ok(Some(format!("row {} and its columns differ", head.number))),
        Ok(_) => Ok(None),
    }
}

fn listed_of(head: Head, bytes: &[u8]) -> Result<Listed, SpoolError> {
    let number = number_of(head.number)?;
    let label: Result<_, Damaged> = Sealed::decode_as(number, bytes).map(|sealed| sealed.label());
    Ok(Listed { number, bytes: head.counted(), spooled_at_ms: head.spooled_at_ms, topic: head.topic, label })
}
