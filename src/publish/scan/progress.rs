//! What is still to be read of one topic. Pure: it is told what came.

use std::collections::HashMap;

/// The partitions that are not read to their ends.
#[derive(Debug)]
pub(super) struct Progress {
    outstanding: HashMap<i32, Rest>,
}

#[derive(Debug)]
struct Rest {
    /// The next offset that may hold something new.
    next: i64,
    /// The offset behind the last record that was there at first.
    end: i64,
    /// Whether the broker has said that nothing follows, since the last record and with the end in sight.
    is_said: bool,
}

/// What a record means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// Whether it was there at first.
    pub(super) is_wanted: bool,
    /// Whether its partition is read to the end with it.
    pub(super) finishes: bool,
}

/// What to do when a broker says that nothing follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing: the partition is read to its end, and now known to be.
    Finishes,
    /// Look whether the end is where it was, and ask once more from here on.
    AskAgain { from: i64, end: i64 },
    /// Nothing: the partition was finished before.
    Known,
}

impl Progress {
    /// Of partition, start and end. Where the start is the end there is nothing to read.
    pub(super) fn new(ranges: impl IntoIterator<Item = (i32, i64, i64)>) -> Self {
        let rest = |(partition, next, end)| (next < end).then_some((partition, Rest { next, end, is_said: false }));
        Self { outstanding: ranges.into_iter().filter_map(rest).collect() }
    }

    /// A record was read.
    pub(super) fn record(&mut self, partition: i32, offset: i64) -> Read {
        let Some(rest) = self.outstanding.get_mut(&partition) else {
            return Read { is_wanted: false, finishes: false };
        };
        // Of a partition that is asked once more, nothing is shown twice.
        let is_wanted = (rest.next..rest.end).contains(&offset);
        rest.next = rest.next.max(offset.saturating_add(1));
        rest.is_said = false;
        let finishes = rest.next >= rest.end;
        if finishes {
            self.outstanding.remove(&partition);
        }
        Read { is_wanted, finishes }
    }

    /// A broker says that nothing follows in a partition.
    pub(super) fn nothing_follows(&mut self, partition: i32) -> Silence {
        match self.outstanding.get(&partition) {
            None => Silence::Known,
            Some(rest) if rest.is_said => {
                self.outstanding.remove(&partition);
                Silence::Finishes
            }
            Some(rest) => Silence::AskAgain { from: rest.next, end: rest.end },
        }
    }

    /// The end was seen to be where it was, or behind. If a broker says once more that nothing follows, it is true.
    pub(super) fn end_is_there(&mut self, partition: i32) {
        if let Some(rest) = self.outstanding.get_mut(&partition) {
            rest.is_said = true;
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// How many partitions are not read to their ends.
    pub(super) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_partition_is_done_with_a_record_at_its_end_or_behind() {
        let mut progress = Progress::new([(0, 5, 8), (1, 3, 3), (2, 0, 1)]);
        assert_eq!(progress.outstanding(), 2, "nothing is to be read of the second one");
        assert_eq!(progress.record(0, 5), Read { is_wanted: true, finishes: false });
        assert_eq!(progress.record(2, 9), Read { is_wanted: false, finishes: true });
        assert_eq!(progress.record(2, 10), Read { is_wanted: false, finishes: false });
        assert_eq!(progress.record(0, 7), Read { is_wanted: true, finishes: true });
        assert!(progress.is_done());
    }

    #[test]
    fn a_gap_at_the_end_is_believed_when_it_is_said_twice_with_the_end_in_sight() {
        let mut progress = Progress::new([(0, 0, 4)]);
        progress.record(0, 1);
        let again = Silence::AskAgain { from: 2, end: 4 };
        assert_eq!(progress.nothing_follows(0), again);
        assert_eq!(progress.nothing_follows(0), again, "the end was not seen meanwhile");
        progress.end_is_there(0);
        progress.record(0, 2);
        assert_eq!(progress.nothing_follows(0), Silence::AskAgain { from: 3, end: 4 }, "a record came instead");
        progress.end_is_there(0);
        assert_eq!(progress.nothing_follows(0), Silence::Finishes);
        assert_eq!((progress.is_done(), progress.nothing_follows(0)), (true, Silence::Known));
    }

    proptest! {
        /// Whatever gaps a log has, and however often its broker is silent too early: every record before the end is
        /// wanted once, none behind it is, and the reading comes to an end.
        #[test]
        fn every_record_before_the_end_is_wanted_once(
            offsets in proptest::collection::btree_set(0_i64..60, 0..40),
            start in 0_i64..60, length in 0_i64..60,
            interruptions in proptest::collection::vec(any::<bool>(), 40),
        ) {
            let end = start + length;
            let mut progress = Progress::new([(0, start, end)]);
            let mut wanted = Vec::new();
            for (offset, interrupted) in offsets.range(start..).zip(interruptions) {
                if interrupted && let Silence::AskAgain { from, .. } = progress.nothing_follows(0) {
                    prop_assert!(from <= *offset);
                    progress.end_is_there(0);
                    // Asking once more may bring again what was read before.
                    if let Some(before) = offsets.range(start..from).next_back() {
                        prop_assert!(!progress.record(0, *before).is_wanted);
                    }
                }
                if progress.record(0, *offset).is_wanted {
                    wanted.push(*offset);
                }
            }
            if let Silence::AskAgain { .. } = progress.nothing_follows(0) {
                progress.end_is_there(0);
                prop_assert_eq!(progress.nothing_follows(0), Silence::Finishes);
            }
            prop_assert!(progress.is_done());
            let there: BTreeSet<i64> = offsets.range(start..end).copied().collect();
            prop_assert_eq!(wanted, there.into_iter().collect::<Vec<_>>());
        }
    }
}
