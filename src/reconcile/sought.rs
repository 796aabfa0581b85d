//! A provider's rows, and what the topics hold of each.
//!
//! Rows are gathered first, each as 32 bytes, then sorted once, and then the records of the topics are streamed past
//! them. So memory grows with the rows that were asked for and never with what a topic holds. A row counts as held only if
//! 192 bits of key, id and fact hash agree.
//!
//! Rows that do not fit into the memory that there is are compared in parts, in the order in which the provider
//! listed them. A row that comes again in a later part is found in the topics by then.

use sha2::{Digest as _, Sha256};

pub mod memory;

use crate::event::id::{EventId, FactHash};
use crate::reconcile::compare::Found;
use crate::reconcile::compare::cells::CellNumber;
use memory::Lease;

const SHARDS: usize = 256;

/// Shards grow by this part of themselves, so that little of their memory is unused.
const GROWTH_PART: usize = 32;

/// The least number of rows by which a shard grows.
const GROWTH_ROWS: usize = 8;

/// What tells a row from others, and is found again in a record: the first 8 bytes of the SHA-256 of its key, of its
/// event id, and of its fact hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Print {
    /// Of the key.
    pub key: u64,
    /// Of the event id.
    pub id: u64,
    /// The fact hash; 0 where nothing of the fact can change.
    pub fact: u64,
}

impl Print {
    /// Of a row or a record with this Kafka key and identity.
    pub fn of(key: &str, id: EventId, fact_hash: Option<FactHash>) -> Self {
        let fact = fact_hash.map_or(0, |hash| u64::from_be_bytes(*hash.as_bytes()));
        Self { key: key_print(key), id: first_eight(id.as_bytes()), fact }
    }

    /// All of it.
    pub(in crate::reconcile) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (place, number) in bytes.chunks_exact_mut(8).zip([self.key, self.id, self.fact]) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }
}

/// The first 8 bytes of the SHA-256 of a key.
pub fn key_print(key: &str) -> u64 {
    first_eight(&Sha256::digest(key))
}

fn first_eight(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The part of the memory that a number from a hash belongs to: its first byte.
pub(super) fn shard_of(number: u64) -> usize {
    usize::from(number.to_be_bytes()[0])
}

/// There is no memory for another row: what has been gathered is to be compared first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no memory for more rows at once")]
pub struct Full;

/// Bits of a row's state. `KEY` is set at the first row of a key alone.
mod state {
    pub(super) const KEY: u8 = 1;
    pub(super) const ROW: u8 = 2;
    pub(super) const PUBLISHED: u8 = 4;
    pub(super) const WITHHELD: u8 = 8;
}

#[derive(Debug, Clone, Copy)]
struct Row {
    print: Print,
    /// Its number in the order of the provider's answer.
    number: u32,
    /// The cell in the upper 24 bits, the state in the others.
    cell_and_state: u32,
}

impl Row {
    fn state(self) -> u8 {
        self.cell_and_state.to_be_bytes()[3]
    }

    fn set(&mut self, bit: u8) {
        self.cell_and_state |= u32::from(bit);
    }

    fn cell(self) -> CellNumber {
        CellNumber::from_bits(self.cell_and_state >> 8)
    }
}

/// Rows that are being gathered.
#[derive(Debug)]
pub struct Gathering {
    shards: Vec<Vec<Row>>,
    lease: Lease,
}

/// Rows to be looked for.
#[derive(Debug)]
pub struct Sought {
    shards: Vec<Vec<Row>>,
    repeated: u64,
    lease: Lease,
}

/// One distinct row, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoughtRow {
    /// What it is found by.
    pub print: Print,
    /// Its number in the order of the provider's answer, that of the first where it came more than once.
    pub number: u32,
    /// Where it counts.
    pub cell: CellNumber,
    /// What the topics hold of it.
    pub found: Found,
    /// Whether it was published since.
    pub is_published: bool,
    /// Whether it is kept back.
    pub is_withheld: bool,
}

impl SoughtRow {
    /// Whether it is still to be published.
    pub fn is_waiting(&self) -> bool {
        self.found != Found::Row && !self.is_published && !self.is_withheld
    }
}

impl Gathering {
    /// No rows, and memory from a lease.
    pub fn new(lease: Lease) -> Self {
        Self { shards: vec![Vec::new(); SHARDS], lease }
    }

    /// Adds a row with its number in the provider's order.
    ///
    /// # Errors
    /// When there is no memory for it. Nothing was added then.
    pub fn push(&mut self, print: Print, number: u32, cell: CellNumber) -> Result<(), Full> {
        let shard = &mut self.shards[shard_of(print.key)];
        if shard.len() == shard.capacity() {
            grow(shard, &mut self.lease)?;
        }
        shard.push(Row { print, number, cell_and_state: cell.bits() << 8 });
        Ok(())
    }

    /// Sorts the rows. Of equal ones the first is kept.
    pub fn seal(mut self) -> Sought {
        let mut repeated = 0;
        for shard in &mut self.shards {
            let gathered = shard.len();
            shard.sort_unstable_by_key(|row| (row.print, row.number));
            shard.dedup_by_key(|row| row.print);
            repeated += gathered.saturating_sub(shard.len()) as u64;
            shard.shrink_to_fit();
        }
        self.lease.shrink_to(bytes_of(&self.shards));
        Sought { shards: self.shards, repeated, lease: self.lease }
    }
}

/// Makes room for some more, if the lease allows it.
pub(super) fn grow<T>(shard: &mut Vec<T>, lease: &mut Lease) -> Result<(), Full> {
    let more = (shard.len() / GROWTH_PART).max(GROWTH_ROWS);
    if !lease.grow(more * size_of::<T>()) {
        return Err(Full);
    }
    // What is free already is part of what was taken before.
    shard.reserve_exact(shard.capacity() - shard.len() + more);
    Ok(())
}

/// What the rows take.
fn bytes_of(shards: &[Vec<Row>]) -> usize {
    shards.iter().map(|shard| shard.capacity() * size_of::<Row>()).sum()
}

impl Sought {
    /// How many distinct rows there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(Vec::is_empty)
    }

    /// Rows that came more than once.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// What the rows take, in bytes.
    pub fn bytes(&self) -> usize {
        self.lease.bytes()
    }

    /// Takes in a record of a topic, or two of one, in any order.
    pub fn see(&mut self, print: Print) {
        let shard = &mut self.shards[shard_of(print.key)];
        let first = shard.partition_point(|row| row.print.key < print.key);
        let Some(row) = shard.get_mut(first).filter(|row| row.print.key == print.key) else { return };
        row.set(state::KEY);
        // Most keys have one row, which spares another search.
        let row = if row.print == print { Some(row) } else { Self::row(shard, print) };
        // A row of ours that comes back from the topic was not there before.
        if let Some(row) = row.filter(|row| row.state() & state::PUBLISHED == 0) {
            row.set(state::ROW);
        }
    }

    /// A row was published and acknowledged. Another one that equals it is the same.
    pub fn publish(&mut self, print: Print) {
        self.set(print, state::PUBLISHED);
    }

    /// A row is kept back.
    pub fn withhold(&mut self, print: Print) {
        self.set(print, state::WITHHELD);
    }

    fn set(&mut self, print: Print, bit: u8) {
        if let Some(row) = Self::row(&mut self.shards[shard_of(print.key)], print) {
            row.set(bit);
        }
    }

    fn row(shard: &mut [Row], print: Print) -> Option<&mut Row> {
        let place = shard.binary_search_by_key(&print, |row| row.print).ok()?;
        shard.get_mut(place)
    }

    /// What is known of a row.
    pub fn get(&self, print: Print) -> Option<SoughtRow> {
        let shard = &self.shards[shard_of(print.key)];
        let place = shard.binary_search_by_key(&print, |row| row.print).ok()?;
        let first = shard.partition_point(|row| row.print.key < print.key);
        Some(told(shard.get(place)?, shard.get(first)?))
    }

    /// Every distinct row, in no order.
    pub fn rows(&self) -> impl Iterator<Item = SoughtRow> {
        self.shards.iter().flat_map(|shard| {
            let keys = shard.chunk_by(|row, next| row.print.key == next.print.key);
            keys.flat_map(|rows| rows.iter().filter_map(|row| Some(told(row, rows.first()?))))
        })
    }

    /// The numbers of rows that are still to be published, so that all others need not be read again.
    pub fn waiting(&self) -> RowNumbers {
        let mut numbers = RowNumbers::default();
        self.rows().filter(SoughtRow::is_waiting).for_each(|row| numbers.insert(row.number));
        numbers
    }

    /// Forgets all rows of some cells: of windows that have not changed.
    pub fn forget(&mut self, is_forgotten: impl Fn(CellNumber) -> bool) {
        for shard in &mut self.shards {
            shard.retain(|row| !is_forgotten(row.cell()));
            shard.shrink_to_fit();
        }
        self.lease.shrink_to(bytes_of(&self.shards));
    }
}

fn told(row: &Row, first_of_key: &Row) -> SoughtRow {
    let found = match (row.state() & state::ROW, first_of_key.state() & state::KEY) {
        (0, 0) => Found::Nothing,
        (0, _) => Found::Key,
        _ => Found::Row,
    };
    let has = |bit| row.state() & bit != 0;
    let (is_published, is_withheld) = (has(state::PUBLISHED), has(state::WITHHELD));
    SoughtRow { print: row.print, number: row.number, cell: row.cell(), found, is_published, is_withheld }
}

/// A set of row numbers, of a bit each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowNumbers(Vec<u64>);

impl RowNumbers {
    /// Adds a number.
    pub fn insert(&mut self, number: u32) {
        let (place, bit) = Self::place(number);
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        self.0[place] |= bit;
    }

    /// Whether a number is among them.
    pub fn contains(&self, number: u32) -> bool {
        let (place, bit) = Self::place(number);
        self.0.get(place).is_some_and(|bits| bits & bit != 0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    fn place(number: u32) -> (usize, u64) {
        ((number / 64) as usize, 1 << (number % 64))
    }
}

#[cfg(test)]
mod tests;
