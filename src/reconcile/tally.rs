//! How many distinct records of each cell lie in the topics, where a provider only counts.
//!
//! A record takes 16 bytes: its cell, and the first 8 bytes of the SHA-256 of its key. Two keys that agree in these count as
//! one, so a cell can only seem to hold too little. Its rows are then asked for in vain, and nothing is hidden.
//!
//! For the same reason a part of a comparison that does not fit is one of cells, never of records: a record that comes
//! twice would count in two parts.

use std::ops::Range;

use crate::reconcile::compare::cells::CellNumber;
use crate::reconcile::sought::memory::Lease;
use crate::reconcile::sought::{Full, grow, shard_of};

const SHARDS: usize = 256;

/// A shard that has become full is made distinct first, and grows if that frees less than this part of it.
const FREED_PART: usize = 32;

type Entry = (u64, u64);

/// Bytes of a record.
pub const ENTRY_BYTES: usize = size_of::<Entry>();

/// Records that are being counted.
#[derive(Debug)]
pub struct Tally {
    shards: Vec<Vec<Entry>>,
    lease: Lease,
}

impl Tally {
    /// No records, and memory from a lease.
    pub fn new(lease: Lease) -> Self {
        Self { shards: vec![Vec::new(); SHARDS], lease }
    }

    /// Takes in a record of a cell, as often as it comes.
    ///
    /// # Errors
    /// When there is no memory for it: fewer cells have to be counted at once.
    pub fn push(&mut self, cell: CellNumber, key_print: u64) -> Result<(), Full> {
        let shard = &mut self.shards[shard_of(key_print)];
        if shard.len() == shard.capacity() {
            make_distinct(shard);
            if shard.capacity() - shard.len() <= shard.capacity() / FREED_PART {
                grow(shard, &mut self.lease)?;
            }
        }
        shard.push((u64::from(cell.bits()), key_print));
        Ok(())
    }

    /// What the records take, in bytes.
    pub fn bytes(&self) -> usize {
        self.lease.bytes()
    }

    /// The numbers of distinct records, by cell; there are so many cells.
    pub fn held(mut self, cells: usize) -> Vec<u32> {
        let mut held = vec![0_u32; cells];
        for shard in &mut self.shards {
            make_distinct(shard);
            for (cell, _) in shard.iter() {
                let place = usize::try_from(*cell).ok().and_then(|cell| held.get_mut(cell));
                place.into_iter().for_each(|number| *number = number.saturating_add(1));
            }
        }
        held
    }
}

fn make_distinct(shard: &mut Vec<Entry>) {
    // All but the last few are in order already, which this way of sorting makes use of.
    shard.sort();
    shard.dedup();
}

/// Splits a list of windows, of which the numbers of expected records are given, into runs that fit into so much memory. A
/// window that is too large by itself is a run of its own.
pub fn runs(expected: &[u64], most_bytes: usize) -> Vec<Range<usize>> {
    // Shards are never quite full.
    let most_records = (most_bytes / (ENTRY_BYTES + ENTRY_BYTES / FREED_PART + 1)) as u64;
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut sum = 0_u64;
    for (place, records) in expected.iter().enumerate() {
        sum = sum.saturating_add(*records);
        match runs.last_mut().filter(|_| sum <= most_records) {
            Some(run) => run.end = place + 1,
            None => {
                runs.push(place..place + 1);
                sum = *records;
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    use super::*;
    use crate::reconcile::sought::memory::Memory;

    fn spread(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).wrapping_mul(0xd134_2543_de82_ef95)
    }

    #[test]
    fn a_million_records_take_at_most_17_mb() {
        let mut tally = Tally::new(Memory::new(1 << 30).lease());
        for number in (0..1_000_000_u64).chain(0..50_000) {
            tally.push(CellNumber::from_bits(7), spread(number)).unwrap();
        }
        assert!(tally.bytes() <= 17_000_000, "{} bytes", tally.bytes());
        assert_eq!(tally.held(8), [0, 0, 0, 0, 0, 0, 0, 1_000_000]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_copies_take_no_room() {
        let memory = Memory::new(256 * 8 * ENTRY_BYTES);
        let mut tally = Tally::new(memory.lease());
        for _ in 0..10 {
            (0..200).for_each(|number| tally.push(CellNumber::from_bits(0), spread(number)).unwrap());
        }
        let refused = (0..10_000).find_map(|number| tally.push(CellNumber::from_bits(1), spread(number)).err());
        assert_eq!(refused, Some(Full));
        assert!(memory.taken_bytes() <= 256 * 8 * ENTRY_BYTES);
        drop(tally);
        assert_eq!(memory.taken_bytes(), 0);
    }

    proptest! {
        #[test]
        fn each_record_counts_once_in_each_cell(
            records in proptest::collection::vec((0_u32..4, 0_u64..50), 0..300),
        ) {
            let mut tally = Tally::new(Memory::new(1 << 20).lease());
            for (cell, key) in &records {
                tally.push(CellNumber::from_bits(*cell), spread(*key)).unwrap();
            }
            let distinct: BTreeSet<(u32, u64)> = records.into_iter().collect();
            let held = |cell: u32| u32::try_from(distinct.iter().filter(|record| record.0 == cell).count()).unwrap();
            prop_assert_eq!(tally.held(3), (0..3).map(held).collect::<Vec<_>>());
        }

        #[test]
        fn runs_hold_every_window_once_and_fit(
            expected in proptest::collection::vec(0_u64..1000, 0..40), most in 0_usize..40_000,
        ) {
            let runs = runs(&expected, most);
            let places: Vec<usize> = runs.iter().cloned().flatten().collect();
            prop_assert_eq!(places, (0..expected.len()).collect::<Vec<_>>());
            for run in runs {
                let records: u64 = expected[run.clone()].iter().sum();
                prop_assert!(run.len() == 1 || records * ENTRY_BYTES as u64 <= most as u64);
            }
        }
    }
}
