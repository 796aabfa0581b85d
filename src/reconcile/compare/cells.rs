//! The cells of a sweep, one account in one hour each, and what was found of each.
//!
//! A cell is either *listed*, the provider having told its rows, or only *counted*. Its own rows decide where there are
//! any: what the provider counts beyond them is unexplained.

use rustc_hash::FxHashMap;

use super::{Class, Counts};
use crate::event::time::Time;
use crate::reconcile::window::{HOUR_S, Window, hour_of};

/// The number of a cell in its sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellNumber(u32);

/// Cells that a sweep can tell apart: their numbers stand in 24 bits beside each row.
pub const CELLS_AT_MOST: u32 = 1 << 24;

/// More cells than can be numbered: fewer windows have to be compared at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {CELLS_AT_MOST} accounts and hours at once")]
pub struct TooManyCells;

/// What is done with a row that the topics lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing yet.
    Waiting,
    /// It was published and acknowledged.
    Published,
    /// It is kept back.
    Withheld,
}

/// Stands for a number that nobody told.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Cell {
    account: u32,
    /// Hours since 1970.
    hour: i32,
    /// What the provider counts.
    counted: u32,
    /// Records in the topics. None where rows decide.
    tallied: u32,
    held: u32,
    updated: u32,
    /// Missing or new, as the stream is.
    unseen: u32,
    unreadable: u32,
    published: u32,
    withheld: u32,
}

/// All cells of a sweep.
#[derive(Debug)]
pub struct Cells {
    is_primary: bool,
    accounts: Vec<String>,
    numbers: FxHashMap<String, u32>,
    places: FxHashMap<(u32, i32), u32>,
    cells: Vec<Cell>,
}

impl CellNumber {
    /// As a place in a list with one entry for each cell.
    pub fn index(self) -> usize {
        // Numbers are less than 2^24.
        self.0 as usize
    }

    pub(in crate::reconcile) fn bits(self) -> u32 {
        self.0
    }

    pub(in crate::reconcile) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl Cells {
    /// No cells yet. `is_primary`: no webhook tells what the stream tells.
    pub fn new(is_primary: bool) -> Self {
        let (numbers, places) = (FxHashMap::default(), FxHashMap::default());
        Self { is_primary, accounts: Vec::new(), numbers, places, cells: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cell of an account at an instant; it is made if it is not there.
    ///
    /// # Errors
    /// When no more can be numbered.
    pub fn cell(&mut self, account: &str, at: Time) -> Result<CellNumber, TooManyCells> {
        if let Some(number) = self.find(account, at) {
            return Ok(number);
        }
        let number =
            u32::try_from(self.cells.len()).ok().filter(|number| *number < CELLS_AT_MOST).ok_or(TooManyCells)?;
        let (account, hour) = (self.account(account)?, hour_number(at));
        self.places.insert((account, hour), number);
        self.cells.push(Cell::new(account, hour));
        Ok(CellNumber(number))
    }

    /// The cell of an account at an instant, if it is there.
    pub fn find(&self, account: &str, at: Time) -> Option<CellNumber> {
        let account = self.numbers.get(account)?;
        self.places.get(&(*account, hour_number(at))).copied().map(CellNumber)
    }

    fn account(&mut self, account: &str) -> Result<u32, TooManyCells> {
        if let Some(number) = self.numbers.get(account) {
            return Ok(*number);
        }
        let number = u32::try_from(self.accounts.len()).map_err(|_| TooManyCells)?;
        self.numbers.insert(account.to_owned(), number);
        self.accounts.push(account.to_owned());
        Ok(number)
    }

    /// The provider counts so many rows in a cell. Told twice, the greater number counts: an account may stand on two
    /// pages.
    pub fn count(&mut self, number: CellNumber, rows: u64) {
        let rows = u32::try_from(rows).unwrap_or(NONE).min(NONE - 1);
        if let Some(cell) = self.cells.get_mut(number.index()) {
            cell.counted = cell.counted().map_or(rows, |counted| counted.max(rows));
        }
    }

    /// So many records of a cell lie in the topics.
    pub fn tally(&mut self, number: CellNumber, records: u32) {
        if let Some(cell) = self.cells.get_mut(number.index()) {
            cell.tallied = records.min(NONE - 1);
        }
    }

    /// The provider has listed a cell's rows: from now on they decide.
    pub fn list(&mut self, number: CellNumber) {
        if let Some(cell) = self.cells.get_mut(number.index()) {
            cell.tallied = NONE;
        }
    }

    /// Adds one distinct row.
    pub fn add(&mut self, number: CellNumber, class: Class, fate: Fate) {
        if let Some(cell) = self.cells.get_mut(number.index()) {
            cell.add(class, fate);
        }
    }

    /// Cells of which the topics hold less than the provider counts: their rows are to be asked for.
    pub fn short(&self) -> impl Iterator<Item = CellNumber> {
        self.numbered(|cell| cell.tallied != NONE && cell.counted().is_some_and(|counted| counted > cell.tallied))
    }

    /// Counted cells of which the topics hold enough: those that an audit chooses from.
    pub fn agreeing(&self) -> impl Iterator<Item = CellNumber> {
        self.numbered(|cell| cell.tallied != NONE && cell.counted().is_some_and(|counted| counted <= cell.tallied))
    }

    fn numbered(&self, is_wanted: impl Fn(&Cell) -> bool) -> impl Iterator<Item = CellNumber> {
        let wanted = (0_u32..).zip(&self.cells).filter(move |(_, cell)| is_wanted(cell));
        wanted.map(|(number, _)| CellNumber(number))
    }

    /// What was found of a cell.
    pub fn counts(&self, number: CellNumber) -> Counts {
        self.cells.get(number.index()).map(|cell| cell.counts(self.is_primary)).unwrap_or_default()
    }

    /// The account and the hour of a cell.
    pub fn place(&self, number: CellNumber) -> Option<(&str, Window)> {
        let cell = self.cells.get(number.index())?;
        let account = self.accounts.get(usize::try_from(cell.account).ok()?)?;
        let hour = Time::from_unix_seconds(i64::from(cell.hour).saturating_mul(HOUR_S))?;
        Some((account, Window::hour_at(hour)))
    }

    /// Every cell, by account and hour, so that the order in which they were met is not seen.
    pub fn in_order(&self) -> Vec<(&str, Window, CellNumber)> {
        let numbers = self.numbered(|_| true);
        let mut cells: Vec<(&str, Window, CellNumber)> =
            numbers.filter_map(|number| self.place(number).map(|(account, hour)| (account, hour, number))).collect();
        cells.sort_by_key(|(account, hour, _)| (*account, *hour));
        cells
    }

    /// The sums of all cells that begin within a window.
    pub fn sum(&self, window: Window) -> Counts {
        let mut sum = Counts::default();
        let (first, last) = (hour_number(window.from()), hour_number(window.to().plus_s(-1)));
        let within = self.cells.iter().filter(|cell| (first..=last).contains(&cell.hour));
        within.for_each(|cell| sum += cell.counts(self.is_primary));
        sum
    }

    /// Accounts that have unexplained rows within a window, those with the most first.
    pub fn unexplained(&self, window: Window) -> Vec<(String, u64)> {
        let within = self.in_order().into_iter().filter(|(_, hour, _)| window.contains(hour.from()));
        let mut accounts: Vec<(String, u64)> =
            within.map(|(account, _, number)| (account.to_owned(), self.counts(number).unexplained)).collect();
        accounts.retain(|(_, rows)| *rows > 0);
        accounts.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        accounts
    }
}

fn hour_number(time: Time) -> i32 {
    // The years 1 to 9999 have fewer hours than fit.
    i32::try_from(hour_of(time).unix_seconds().div_euclid(HOUR_S)).unwrap_or_default()
}

impl Cell {
    fn new(account: u32, hour: i32) -> Self {
        Self {
            account,
            hour,
            counted: NONE,
            tallied: NONE,
            held: 0,
            updated: 0,
            unseen: 0,
            unreadable: 0,
            published: 0,
            withheld: 0,
        }
    }

    fn counted(&self) -> Option<u32> {
        Some(self.counted).filter(|counted| *counted != NONE)
    }

    fn add(&mut self, class: Class, fate: Fate) {
        let number = match class {
            Class::Held => &mut self.held,
            Class::Updated => &mut self.updated,
            Class::Missing | Class::New => &mut self.unseen,
            Class::Unreadable => &mut self.unreadable,
        };
        *number = number.saturating_add(1);
        match fate {
            Fate::Waiting => {}
            Fate::Published => self.published = self.published.saturating_add(1),
            Fate::Withheld => self.withheld = self.withheld.saturating_add(1),
        }
    }

    fn counts(&self, is_primary: bool) -> Counts {
        let counted = u64::from(self.counted().unwrap_or_default());
        if self.tallied != NONE {
            let held = u64::from(self.tallied);
            let (unexplained, surplus) = (counted.saturating_sub(held), held.saturating_sub(counted));
            return Counts { expected: counted, held, unexplained, surplus, ..Counts::default() };
        }
        let [held, updated, unseen, unreadable, published, withheld] =
            [self.held, self.updated, self.unseen, self.unreadable, self.published, self.withheld].map(u64::from);
        let listed = held + updated + unseen + unreadable;
        let expected = listed.max(counted);
        let (missing, new) = if is_primary { (0, unseen) } else { (unseen, 0) };
        let unexplained = expected - listed;
        Counts { expected, held, missing, new, updated, published, unreadable, withheld, unexplained, surplus: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Time {
        Time::from_unix_seconds(hour * HOUR_S + 17).unwrap()
    }

    fn window(from: i64, to: i64) -> Window {
        Window::new(hour_of(at(from)), hour_of(at(to))).unwrap()
    }

    fn cells(told: &[(&str, i64, Option<u64>, Option<u32>)]) -> Cells {
        let mut cells = Cells::new(false);
        for (account, hour, counted, tallied) in told {
            let number = cells.cell(account, at(*hour)).unwrap();
            counted.iter().for_each(|rows| cells.count(number, *rows));
            tallied.iter().for_each(|records| cells.tally(number, *records));
        }
        cells
    }

    #[test]
    fn a_cell_takes_forty_bytes() {
        assert_eq!(size_of::<Cell>(), 40);
    }

    #[test]
    fn an_account_has_one_cell_an_hour() {
        let mut cells = Cells::new(false);
        let first = cells.cell("a", at(5)).unwrap();
        assert_eq!(cells.cell("a", at(5).plus_s(100)), Ok(first));
        assert_ne!(cells.cell("a", at(6)), Ok(first));
        assert_ne!(cells.cell("b", at(5)), Ok(first));
        assert_eq!((cells.len(), cells.find("b", at(6)), cells.find("c", at(5))), (3, None, None));
        assert_eq!(cells.place(first), Some(("a", window(5, 6))));
    }

    #[test]
    fn of_counted_cells_those_that_fall_short_are_asked_for() {
        let cells = cells(&[
            ("short", 1, Some(3), Some(2)),
            ("equal", 1, Some(3), Some(3)),
            ("more", 1, Some(3), Some(4)),
            ("listed", 1, Some(3), None),
        ]);
        let names = |numbers: Vec<CellNumber>| -> Vec<String> {
            numbers.into_iter().filter_map(|number| Some(cells.place(number)?.0.to_owned())).collect()
        };
        assert_eq!(names(cells.short().collect()), ["short"]);
        assert_eq!(names(cells.agreeing().collect()), ["equal", "more"]);
        let all = cells.sum(window(1, 2));
        assert_eq!((all.expected, all.held, all.unexplained, all.surplus), (12, 9, 4, 1));
        assert_eq!(cells.unexplained(window(1, 2)), [("listed".to_owned(), 3), ("short".to_owned(), 1)]);
    }

    #[test]
    fn rows_decide_over_what_was_counted() {
        let mut cells = cells(&[("a", 1, Some(10), Some(8))]);
        let number = cells.find("a", at(1)).unwrap();
        assert_eq!(cells.counts(number).unexplained, 2);
        cells.list(number);
        (0..8).for_each(|_| cells.add(number, Class::Held, Fate::Waiting));
        cells.add(number, Class::Missing, Fate::Published);
        let counts = cells.counts(number);
        assert_eq!((counts.expected, counts.held, counts.missing, counts.unexplained), (10, 8, 1, 1));
        (0..4).for_each(|_| cells.add(number, Class::Updated, Fate::Withheld));
        let counts = cells.counts(number);
        assert_eq!((counts.expected, counts.unexplained, counts.published, counts.withheld), (13, 0, 1, 4));
    }

    #[test]
    fn an_account_that_is_counted_twice_has_the_greater_number() {
        let mut cells = cells(&[("a", 1, Some(7), Some(0))]);
        let number = cells.find("a", at(1)).unwrap();
        cells.count(number, 5);
        assert_eq!(cells.counts(number).expected, 7);
        cells.count(number, u64::MAX);
        assert_eq!(cells.counts(number).expected, u64::from(u32::MAX) - 1);
    }

    #[test]
    fn sums_and_lists_are_of_the_hours_of_a_window_and_in_order() {
        let cells = cells(&[
            ("b", 2, Some(1), Some(1)),
            ("a", 3, Some(2), Some(2)),
            ("a", 2, Some(4), Some(4)),
            ("a", -1, Some(8), Some(8)),
        ]);
        assert_eq!(cells.sum(window(2, 3)).expected, 5);
        assert_eq!(cells.sum(window(-1, 3)).expected, 13);
        assert_eq!(cells.sum(Window::new(at(2), at(2).plus_s(1)).unwrap()).expected, 5, "a part of an hour");
        let order: Vec<(&str, Window)> =
            cells.in_order().into_iter().map(|(account, hour, _)| (account, hour)).collect();
        assert_eq!(order, [("a", window(-1, 0)), ("a", window(2, 3)), ("a", window(3, 4)), ("b", window(2, 3))]);
    }

    #[test]
    fn unseen_rows_of_a_primary_stream_are_new() {
        let mut cells = Cells::new(true);
        let number = cells.cell("a", at(1)).unwrap();
        cells.add(number, Class::New, Fate::Waiting);
        assert_eq!((cells.counts(number).new, cells.counts(number).missing), (1, 0));
    }
}
