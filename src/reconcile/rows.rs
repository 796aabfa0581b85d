//! Rows that a provider has listed, on disk while they are compared: a row a line, in the order of the answers.
//!
//! The file has no name, so that nothing of it is left after a crash.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::event::time::Time;
use crate::outbound::{Fetched, WorkFile};
use crate::reconcile::compare::cells::CellNumber;

/// Why rows can not be kept for the comparison.
#[derive(Debug, Error)]
pub enum RowsError {
    /// The disk does not take them.
    #[error("reconcile.work_dir: {0}")]
    Disk(#[from] io::Error),
    /// There are more than may lie there.
    #[error("the provider lists more than reconcile.max_work_bytes, {0} bytes, at once; ask for less time")]
    TooMany(u64),
}

/// Rows that share an answer, and the cell that was asked for, if it was one.
#[derive(Debug, Clone)]
pub struct Group {
    /// The first one's number.
    first: u32,
    /// The answer.
    pub fetched: Arc<Fetched>,
    /// Where they count, whatever their own times say.
    pub cell: Option<CellNumber>,
    /// When they count, if they tell no time of their own: the beginning of what was asked for.
    pub asked_from: Time,
}

/// A place between two rows, from which rows are read on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    row: u32,
    offset_bytes: u64,
}

impl Place {
    /// The number of the row behind it.
    pub fn row(self) -> u32 {
        self.row
    }
}

/// The rows of a comparison.
#[derive(Debug)]
pub struct Rows {
    file: BufWriter<File>,
    groups: Vec<Group>,
    work_dir: PathBuf,
    count: u32,
    bytes: u64,
    most_bytes: u64,
    /// Whether the file may stand elsewhere than at its end.
    was_read: bool,
    error: Option<RowsError>,
}

impl Rows {
    /// No rows, in a folder that is made if it is not there.
    ///
    /// # Errors
    /// When the disk does not take a file.
    pub fn begin(work_dir: &Path, most_bytes: u64) -> Result<Self, RowsError> {
        std::fs::create_dir_all(work_dir)?;
        let file = BufWriter::new(tempfile::tempfile_in(work_dir)?);
        let work_dir = work_dir.to_owned();
        Ok(Self { file, groups: Vec::new(), work_dir, count: 0, bytes: 0, most_bytes, was_read: false, error: None })
    }

    /// Room for a file beside the rows, as far as they leave some.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn work_file(&self) -> io::Result<WorkFile> {
        let file = tempfile::tempfile_in(&self.work_dir)?;
        Ok(WorkFile { file, max_bytes: self.most_bytes.saturating_sub(self.bytes) })
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The place behind the last row.
    pub fn end(&self) -> Place {
        Place { row: self.count, offset_bytes: self.bytes }
    }

    /// Forgets the rows behind a place. A failure is told when the rows are read.
    pub fn forget_behind(&mut self, place: Place) {
        if self.error.is_some() {
            return;
        }
        let cut = self.file.flush().and_then(|()| self.file.get_ref().set_len(place.offset_bytes));
        self.groups.retain(|group| group.first < place.row);
        (self.count, self.bytes, self.was_read) = (place.row, place.offset_bytes, true);
        self.error = cut.err().map(Into::into);
    }

    /// What follows is of this answer.
    pub fn group(&mut self, fetched: &Arc<Fetched>, cell: Option<CellNumber>, asked_from: Time) {
        self.groups.push(Group { first: self.count, fetched: Arc::clone(fetched), cell, asked_from });
    }

    /// Adds a row. A failure is told when the rows are read.
    pub fn push(&mut self, json: &str) {
        if self.error.is_some() {
            return;
        }
        self.bytes += json.len() as u64 + 1;
        if self.bytes > self.most_bytes || self.count == u32::MAX {
            self.error = Some(RowsError::TooMany(self.most_bytes));
            return;
        }
        match self.write(json) {
            Ok(()) => self.count += 1,
            Err(error) => self.error = Some(error.into()),
        }
    }

    /// A line break inside of a row is white space between its members.
    fn write(&mut self, json: &str) -> io::Result<()> {
        if std::mem::take(&mut self.was_read) {
            self.file.seek(SeekFrom::End(0))?;
        }
        if json.contains('\n') {
            self.file.write_all(json.replace('\n', " ").as_bytes())?;
        } else {
            self.file.write_all(json.as_bytes())?;
        }
        self.file.write_all(b"\n")
    }

    /// Whether all rows are there.
    ///
    /// # Errors
    /// When one of them could not be written.
    pub fn check(&mut self) -> Result<(), RowsError> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Reads the rows behind a place, as often as is needed.
    ///
    /// # Errors
    /// When rows could not be written, or can not be read.
    pub fn read_from(&mut self, place: Place) -> Result<Reading<'_>, RowsError> {
        self.check()?;
        self.file.flush()?;
        self.was_read = true;
        let mut file = BufReader::new(self.file.get_ref());
        file.seek(SeekFrom::Start(place.offset_bytes))?;
        Ok(Reading { file, groups: &self.groups, place, line: String::new() })
    }
}

/// Goes through rows.
#[derive(Debug)]
pub struct Reading<'r> {
    file: BufReader<&'r File>,
    groups: &'r [Group],
    place: Place,
    line: String,
}

impl<'r> Reading<'r> {
    fn advance(&mut self) -> io::Result<bool> {
        self.line.clear();
        let read_bytes = self.file.read_line(&mut self.line)?;
        self.place.offset_bytes += read_bytes as u64;
        self.place.row += u32::from(read_bytes > 0);
        Ok(read_bytes > 0)
    }

    /// Where it stands: before the next row.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The next row's number, text and group.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn next_row(&mut self) -> Result<Option<(u32, &str, &'r Group)>, RowsError> {
        let number = self.place.row;
        if !self.advance()? {
            return Ok(None);
        }
        let after = self.groups.partition_point(|group| group.first <= number);
        let group = after.checked_sub(1).and_then(|place| self.groups.get(place));
        Ok(group.map(|group| (number, self.line.trim_end_matches('\n'), group)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Time {
        Time::from_unix_seconds(0).unwrap()
    }

    fn fetched(raw_id: &str) -> Arc<Fetched> {
        Arc::new(Fetched { raw_id: raw_id.to_owned(), at: at(), path: "/rows".to_owned(), query: String::new() })
    }

    fn all(rows: &mut Rows, place: Place) -> Vec<(u32, String, String)> {
        let mut reading = rows.read_from(place).unwrap();
        let mut all = Vec::new();
        while let Some((number, text, group)) = reading.next_row().unwrap() {
            all.push((number, text.to_owned(), group.fetched.raw_id.clone()));
        }
        all
    }

    #[test]
    fn rows_are_read_again_with_their_answers() {
        let dir = tempfile::tempdir().unwrap();
        let mut rows = Rows::begin(&dir.path().join("work"), 1000).unwrap();
        rows.group(&fetched("a"), None, at());
        rows.push("{\"n\":\n 0}");
        rows.group(&fetched("empty"), None, at());
        rows.group(&fetched("b"), None, at());
        rows.push("{\"n\":1}");
        rows.push("{\"n\":2}");
        let row = |number, text: &str, raw_id: &str| (number, text.to_owned(), raw_id.to_owned());
        let expected = [row(0, "{\"n\":  0}", "a"), row(1, "{\"n\":1}", "b"), row(2, "{\"n\":2}", "b")];
        assert_eq!(all(&mut rows, Place::default()), expected);
        let mut reading = rows.read_from(Place::default()).unwrap();
        reading.next_row().unwrap().unwrap();
        let second = reading.place();
        assert_eq!((second.row(), all(&mut rows, second)), (1, expected[1..].to_vec()));
        let mut reading = rows.read_from(second).unwrap();
        while reading.next_row().unwrap().is_some() {}
        let end = reading.place();
        rows.push("{\"n\":3}");
        assert_eq!(all(&mut rows, end), [row(3, "{\"n\":3}", "b")]);
    }

    #[test]
    fn rows_follow_the_last_one_however_far_the_others_were_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut rows = Rows::begin(dir.path(), 1 << 20).unwrap();
        rows.group(&fetched("a"), None, at());
        let text = |number: u32| format!("{{\"n\":{number},\"more\":\"{}\"}}", "x".repeat(40));
        (0..1000).for_each(|number| rows.push(&text(number)));
        assert_eq!(rows.read_from(Place::default()).unwrap().next_row().unwrap().unwrap().0, 0);
        let end = rows.end();
        rows.group(&fetched("b"), None, at());
        rows.push(&text(1000));
        let read = all(&mut rows, Place::default());
        assert_eq!(read.len(), 1001);
        assert!(read.iter().all(|(number, row, _)| *row == text(*number)));
        rows.forget_behind(end);
        rows.group(&fetched("c"), None, at());
        rows.push(&text(7));
        assert_eq!(all(&mut rows, end), [(1000, text(7), "c".to_owned())]);
        assert_eq!(all(&mut rows, Place::default()).len(), 1001);
    }

    #[test]
    fn there_is_a_bound_and_going_beyond_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let mut rows = Rows::begin(dir.path(), 20).unwrap();
        rows.group(&fetched("a"), None, at());
        (0..5).for_each(|_| rows.push("{\"n\":1}"));
        assert_eq!(rows.len(), 2);
        assert!(matches!(rows.read_from(Place::default()), Err(RowsError::TooMany(20))));
        let mut rows = Rows::begin(dir.path(), 5).unwrap();
        rows.group(&fetched("a"), None, at());
        rows.push("{\"n\":1}");
        assert!(rows.is_empty() && rows.check().is_err(), "that none could be kept is told too");
    }
}
