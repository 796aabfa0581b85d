//! A partition that was given, until it has been read to its end. Pure: it is told what came.

use std::collections::HashMap;

/// A partition that belongs to this member, or will when it has been read.
#[derive(Debug)]
pub(super) enum Held {
    /// It is being read.
    CatchingUp(CatchingUp),
    /// It was told as assigned.
    Told,
}

/// What has been read so far, and what is to be read.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    records: HashMap<String, Vec<u8>>,
    /// Behind the last record that was read.
    next: i64,
    /// Behind the last record that was there, once that is known.
    end: Option<i64>,
}

impl CatchingUp {
    /// Whether it has to be asked where the partition ends.
    pub(super) fn is_endless(&self) -> bool {
        self.end.is_none()
    }

    /// Where the partition begins and ends now.
    pub(super) fn note_extent(&mut self, first: i64, end: i64) {
        self.next = self.next.max(first);
        self.end = Some(end);
    }

    /// The brokers say that nothing follows. What they have not made visible yet comes as a later record.
    pub(super) fn nothing_follows(&mut self) {
        self.end = Some(self.next);
    }

    /// A record was read; of one that is not wanted only the place counts.
    pub(super) fn record(&mut self, offset: i64, wanted: Option<(String, Option<Vec<u8>>)>) {
        self.next = self.next.max(offset.saturating_add(1));
        match wanted {
            Some((key, Some(value))) => drop(self.records.insert(key, value)),
            Some((key, None)) => drop(self.records.remove(&key)),
            None => {}
        }
    }

    /// Whether everything has been read that was there.
    pub(super) fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// The last value of each key.
    pub(super) fn into_records(self) -> HashMap<String, Vec<u8>> {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(key: &str, value: Option<&str>) -> Option<(String, Option<Vec<u8>>)> {
        Some((key.to_owned(), value.map(|value| value.as_bytes().to_vec())))
    }

    #[test]
    fn the_last_value_of_each_key_is_kept_and_what_was_taken_back_is_not() {
        let mut partition = CatchingUp::default();
        partition.record(0, wanted("a", Some("1")));
        partition.record(1, wanted("b", Some("1")));
        partition.record(2, wanted("a", Some("2")));
        partition.record(3, wanted("b", None));
        partition.record(4, None);
        assert!(!partition.is_done() && partition.is_endless(), "nobody knows where it ends");
        partition.note_extent(0, 6);
        assert!(!partition.is_done());
        partition.record(5, wanted("c", Some("1")));
        assert!(partition.is_done());
        let expected = [("a", "2"), ("c", "1")].map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()));
        assert_eq!(partition.into_records(), HashMap::from(expected));
    }

    #[test]
    fn a_partition_of_which_nothing_is_left_is_done_at_once() {
        let mut partition = CatchingUp::default();
        partition.note_extent(7, 7);
        assert!(partition.is_done());
        let mut partition = CatchingUp::default();
        partition.nothing_follows();
        assert!(partition.is_done() && !partition.is_endless());
    }
}
