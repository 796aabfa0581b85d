//! What a comparison came to, for people as a table and for programs as lines of JSON.
//!
//! Cells of which nothing has to be told are only counted, unless all are asked for.

use crate::event::time::Time;
use crate::reconcile::compare::Counts;
use crate::reconcile::window::Window;

pub mod exit;
pub mod lines;
mod words;

use exit::WindowNumbers;
use words::{counted, minute, printable};

/// A stream's comparison.
#[derive(Debug, Clone)]
pub struct StreamOutcome<'o> {
    /// The source.
    pub source_name: &'o str,
    /// The stream.
    pub stream: &'o str,
    /// What was compared.
    pub whole: Window,
    /// How many windows ended how.
    pub windows: WindowNumbers,
    /// The topics that were compared with.
    pub topics: &'o [&'o str],
    /// Records in them that were looked at.
    pub scanned_records: u64,
    /// Every cell, in the order in which they are shown.
    pub cells: &'o [CellOutcome<'o>],
    /// Whether nothing was to be published.
    pub is_dry_run: bool,
    /// Why rows are withheld.
    pub withheld_because: &'o str,
    /// Until when open windows are tried again, if anybody does.
    pub tried_until: Option<Time>,
}

/// One account in one hour.
#[derive(Debug, Clone, Copy)]
pub struct CellOutcome<'o> {
    /// The account.
    pub account_id: &'o str,
    /// The hour, or the part of one that was compared.
    pub hour: Window,
    /// What was found.
    pub counts: Counts,
    /// Whether all of it was read, and nothing is left to do.
    pub is_complete: bool,
}

type Column = (&'static str, fn(&Counts) -> u64);

/// Columns that are always there, and those that are there when one of their numbers is not 0.
const COLUMNS: [(Column, bool); 10] = [
    (("EXPECTED", |counts| counts.expected), true),
    (("HELD", |counts| counts.held), true),
    (("MISSING", |counts| counts.missing), true),
    (("NEW", |counts| counts.new), false),
    (("UPDATED", |counts| counts.updated), true),
    (("PUBLISHED", |counts| counts.published), true),
    (("UNREADABLE", |counts| counts.unreadable), false),
    (("WITHHELD", |counts| counts.withheld), false),
    (("UNEXPLAINED", |counts| counts.unexplained), true),
    (("SURPLUS", |counts| counts.surplus), false),
];

impl StreamOutcome<'_> {
    /// The sums of all cells.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.cells.iter().for_each(|cell| total += cell.counts);
        total
    }

    /// The cells to be shown: all, or those that are not complete or have something to tell.
    pub fn shown(&self, all: bool) -> impl Iterator<Item = &CellOutcome<'_>> {
        self.cells.iter().filter(move |cell| all || !cell.is_complete || cell.counts.is_worth_telling())
    }

    /// The table, of lines without an end.
    pub fn table(&self, all: bool) -> Vec<String> {
        let total = self.total();
        let columns: Vec<Column> = COLUMNS
            .into_iter()
            .filter(|((_, number), always)| *always || number(&total) > 0)
            .map(|(column, _)| column)
            .collect();
        let mut lines = vec![self.heading()];
        lines.extend(aligned(&self.rows(&columns, &total, all)));
        let untold = self.cells.len() - self.shown(all).count();
        if untold > 0 {
            // Above the line of the sums.
            lines.insert(lines.len() - 1, self.untold(untold));
        }
        lines.extend(self.verdict(&total));
        lines
    }

    fn heading(&self) -> String {
        let Self { source_name, stream, windows, whole, .. } = self;
        let (from, to) = (minute(whole.from()), minute(whole.to()));
        let records = counted(self.scanned_records, "record");
        let topics = if self.topics.is_empty() { String::new() } else { format!(" of {}", self.topics.join(", ")) };
        format!(
            "{source_name} {stream}: {}, {from} to {to}, compared with {records}{topics}",
            counted(windows.all(), "window")
        )
    }

    fn rows(&self, columns: &[Column], total: &Counts, all: bool) -> Vec<Vec<String>> {
        let numbers =
            |counts: &Counts| columns.iter().map(|(_, number)| number(counts).to_string()).collect::<Vec<_>>();
        let names = columns.iter().map(|(name, _)| (*name).to_owned());
        let mut rows = vec![["ACCOUNT", "HOUR"].map(str::to_owned).into_iter().chain(names).collect()];
        rows.extend(self.shown(all).map(|cell| {
            let place = [printable(cell.account_id), minute(cell.hour.from())];
            place.into_iter().chain(numbers(&cell.counts)).collect()
        }));
        rows.push(["total".to_owned(), String::new()].into_iter().chain(numbers(total)).collect());
        rows
    }

    /// Accounts are those of all cells, since people know how many they have.
    fn untold(&self, cells: usize) -> String {
        let mut accounts: Vec<&str> = self.cells.iter().map(|cell| cell.account_id).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let cells = counted(cells as u64, "more cell");
        format!("{}, {cells}: complete", counted(accounts.len() as u64, "account"))
    }

    /// What is left, each in a line.
    fn verdict(&self, total: &Counts) -> Vec<String> {
        let waiting = total.unseen().saturating_sub(total.published + total.withheld);
        let (waits, published) = if self.is_dry_run { (waiting, 0) } else { (0, waiting) };
        let again = self.tried_until.map(|until| format!("; tried again until {}", minute(until))).unwrap_or_default();
        let open = if total.unexplained + published == 0 { self.windows.open } else { 0 };
        let left = [
            (total.unexplained, "row", format!("that the provider counts and did not list{again}")),
            (published, "row", format!("that could not be published{again}")),
            (open, "window", format!("that could not be read whole{again}")),
            (self.windows.expired, "window", "that left the provider, or a topic, before it was read whole".to_owned()),
            (total.unreadable, "row", "that can not be understood, kept as dead letters".to_owned()),
            (total.withheld, "row", format!("withheld, {}; --publish-missing publishes them", self.withheld_because)),
            (waits, "row", "that would be published".to_owned()),
        ];
        let left = left.into_iter().filter(|(number, ..)| *number > 0);
        left.map(|(number, thing, what)| format!("incomplete: {} {what}", counted(number, thing))).collect()
    }
}

/// Rows in columns as wide as their widest cell. The first two are texts, all others numbers.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
