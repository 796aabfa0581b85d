//! The memory that records on their way take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::event::envelope::Record;

/// Memory that records take, bounded for the whole process.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: AtomicUsize,
    records: AtomicUsize,
}

/// Twice what Kafka's client may hold. Records count from their arrival until they are in Kafka or on disk; those
/// that are read back from the disk have bounds of their own, and a dead letter counts as the event it stands for.
const MAX_BYTES: usize = 128 << 20;
const MAX_RECORDS: usize = 200_000;

impl Memory {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), records: AtomicUsize::new(0) })
    }

    /// Takes room for all of a request's records, or for none of them.
    pub(super) fn reserve(self: &Arc<Self>, records: &[Record]) -> Option<Share> {
        let bytes: usize = records.iter().map(Record::bytes).sum();
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let records_before = self.records.fetch_add(records.len(), Ordering::AcqRel);
        if bytes_before + bytes <= MAX_BYTES && records_before + records.len() <= MAX_RECORDS {
            return Some(Share { memory: Arc::clone(self), bytes, records: records.len() });
        }
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.records.fetch_sub(records.len(), Ordering::AcqRel);
        None
    }
}

/// A request's or a record's share of the memory, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Memory>,
    bytes: usize,
    records: usize,
}

impl Share {
    /// Splits off the share of one of the records that room was taken for.
    pub(super) fn share_of(&mut self, record: &Record) -> Self {
        let bytes = record.bytes();
        self.bytes -= bytes;
        self.records -= 1;
        Self { memory: Arc::clone(&self.memory), bytes, records: 1 }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.records > 0 {
            self.memory.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
            self.memory.records.fetch_sub(self.records, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::headers::Headers;
    use crate::event::kind::DEAD_LETTER_TOPIC;

    fn record(bytes: usize) -> Record {
        let (key, headers) = (String::new(), Headers::default());
        let value = vec![0; bytes];
        Record { topic: &DEAD_LETTER_TOPIC, key, placed_by: None, headers, value, kind: None, identity: None }
    }

    #[test]
    fn a_request_gets_room_for_all_of_its_records_or_for_none() {
        let memory = Memory::new();
        let records = [record(MAX_BYTES / 2), record(MAX_BYTES / 2 - 10_000)];
        let mut both = memory.reserve(&records).unwrap();
        let first = both.share_of(&records[0]);
        assert_eq!((first.bytes, both.bytes, both.records), (MAX_BYTES / 2, MAX_BYTES / 2 - 10_000, 1));
        assert!(memory.reserve(&[record(1), record(MAX_BYTES / 4)]).is_none());
        assert_eq!(memory.records.load(Ordering::Acquire), 2, "a request that is refused leaves nothing behind");
        drop(first);
        assert_eq!(memory.records.load(Ordering::Acquire), 1);
        drop(both);
        assert_eq!(memory.bytes.load(Ordering::Acquire), 0);
        assert!(memory.reserve(&[record(MAX_BYTES / 4)]).is_some());
    }
}
