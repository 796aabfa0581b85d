//! Where each partition of a topic is to be read from, and to where.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::{ScanError, Start};
use crate::event::kind::TopicInfo;
use crate::publish::cause::Cause;
use crate::publish::client::{self, Listening, Unusable};
use crate::settings::KafkaSettings;

/// How many events of the client are looked at, at most, for what it knows of a failure.
const MAX_EVENTS: usize = 1000;

/// A partition and its places.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) partition: i32,
    /// Offset of the first record that may be there.
    pub(super) first: i64,
    /// Offset behind the last record that is there.
    pub(super) end: i64,
    /// For each who asks, where to begin.
    pub(super) begins: Vec<Begin>,
}

/// Where to begin in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) offset: i64,
    /// Whether records that belong behind the start may be gone.
    pub(super) is_beyond: bool,
}

/// The offsets where a partition begins and ends, and that of its oldest record as a look-up by time tells it.
#[derive(Debug, Clone, Copy)]
struct Extent {
    first: i64,
    end: i64,
    oldest: Option<i64>,
}

/// One topic, asked about.
pub(super) struct Asking<'c> {
    pub(super) consumer: &'c BaseConsumer<Listening>,
    pub(super) settings: &'c KafkaSettings,
    /// How long an answer is waited for.
    pub(super) patience: Duration,
    pub(super) topic: &'static TopicInfo,
    /// Its name in the cluster.
    pub(super) name: &'c str,
}

impl Asking<'_> {
    /// The places of each partition for each start. A topic that is not there has no partitions.
    pub(super) fn places(&self, starts: &[Start]) -> Result<Vec<Place>, ScanError> {
        let partitions = self.partitions()?;
        let extents = self.extents(&partitions)?;
        let mut places: Vec<Place> = partitions
            .iter()
            .zip(&extents)
            .map(|(partition, extent)| {
                let (first, end) = (extent.first, extent.end);
                Place { partition: *partition, first, end, begins: Vec::with_capacity(starts.len()) }
            })
            .collect();
        for start in starts {
            let begins = self.begins(start, &partitions, &extents)?;
            places.iter_mut().zip(begins).for_each(|(place, begin)| place.begins.push(begin));
        }
        Ok(places)
    }

    fn partitions(&self) -> Result<Vec<i32>, ScanError> {
        let metadata = self.ask(|timeout| self.consumer.fetch_metadata(Some(self.name), timeout))?;
        match client::there(&metadata) {
            Ok(found) => Ok(found.partitions().iter().map(|partition| partition.id()).collect()),
            Err(Unusable::Missing) => Ok(Vec::new()),
            Err(unusable) => Err(ScanError::Unusable(self.name.to_owned(), unusable)),
        }
    }

    /// First and last offsets of a partition, and behind the last one.
    pub(super) fn watermarks(&self, partition: i32) -> Result<(i64, i64), ScanError> {
        self.ask(|timeout| self.consumer.fetch_watermarks(self.name, partition, timeout))
    }

    fn extents(&self, partitions: &[i32]) -> Result<Vec<Extent>, ScanError> {
        // Any time is later than this one.
        let oldest = self.offsets_at(partitions, 0)?;
        let extent = |(partition, oldest): (&i32, Option<i64>)| {
            let (first, end) = self.watermarks(*partition)?;
            Ok(Extent { first, end, oldest })
        };
        partitions.iter().zip(oldest).map(extent).collect()
    }

    fn begins(&self, start: &Start, partitions: &[i32], extents: &[Extent]) -> Result<Vec<Begin>, ScanError> {
        match start {
            Start::At(time) => {
                let found = self.offsets_at(partitions, time.unix_ms())?;
                Ok(extents.iter().zip(found).map(|(extent, found)| extent.begin_at(found)).collect())
            }
            Start::Behind(ends) => {
                let behind =
                    |(partition, extent): (&i32, &Extent)| extent.begin_behind(ends.of(self.topic, *partition));
                Ok(partitions.iter().zip(extents).map(behind).collect())
            }
        }
    }

    /// Of each partition the offset of the first record that is as young or younger, if it has one.
    fn offsets_at(&self, partitions: &[i32], unix_ms: i64) -> Result<Vec<Option<i64>>, ScanError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut times = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            let added = times.add_partition_offset(self.name, *partition, Offset::Offset(unix_ms));
            added.map_err(|error| self.reading(error))?;
        }
        let offsets = self.ask(|timeout| self.consumer.offsets_for_times(times.clone(), timeout))?;
        let of = |partition: &i32| {
            let Some(found) = offsets.find_partition(self.name, *partition) else { return Ok(None) };
            found.error().map_err(|error| self.reading(error))?;
            Ok(match found.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            })
        };
        partitions.iter().map(of).collect()
    }

    fn reading(&self, error: rdkafka::error::KafkaError) -> ScanError {
        ScanError::Reading { topic: self.name.to_owned(), error }
    }

    fn ask<T>(&self, question: impl Fn(Duration) -> KafkaResult<T>) -> Result<T, ScanError> {
        client::ask(self.patience, question).map_err(|error| {
            // What the client knows of the cause has to be fetched from it.
            let mut events = MAX_EVENTS;
            while events > 0 && self.consumer.poll(Duration::ZERO).is_some() {
                events -= 1;
            }
            let cause = self.consumer.context().cause().told().unwrap_or_else(|| error.to_string());
            ScanError::Unreachable { servers: self.settings.bootstrap_servers.clone(), cause }
        })
    }
}

impl Extent {
    /// Where to begin, given the first record that is young enough.
    fn begin_at(self, found: Option<i64>) -> Begin {
        if self.first >= self.end {
            return Begin { offset: self.end, is_beyond: false };
        }
        let Some(oldest) = self.oldest else {
            // A broker that knows of no record at any time, though it has some, can not look up by time.
            return Begin { offset: self.first, is_beyond: false };
        };
        let offset = found.unwrap_or(self.end).clamp(self.first, self.end);
        Begin { offset, is_beyond: self.first > 0 && offset < self.end && offset <= oldest }
    }

    /// Where to begin behind what was seen before. A partition that ends before that has been made anew, and nothing
    /// of it has been seen.
    fn begin_behind(self, seen: Option<i64>) -> Begin {
        let seen = seen.filter(|seen| *seen <= self.end).unwrap_or(0);
        Begin { offset: seen.max(self.first), is_beyond: seen > 0 && seen < self.first }
    }
}

/// A client that reads, and is in no group.
pub(super) fn consumer(settings: &KafkaSettings) -> Result<BaseConsumer<Listening>, ScanError> {
    let mut config = client::client_config(settings);
    config
        // A quota of the brokers can be set for this name.
        .set("client.id", "trunkline-scan")
        // Nothing is assigned without one. No group is joined, and nothing is committed.
        .set("group.id", "trunkline-scan")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        // What is not there any more must not be passed over in silence.
        .set("auto.offset.reset", "error")
        // What a transaction has taken back was never published.
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "100")
        // Records wait in Kafka, not in our memory.
        .set("queued.max.messages.kbytes", "16384");
    let cause: Arc<Cause> = Arc::default();
    let consumer = config.create_with_context(Listening::new(settings, &cause));
    consumer.map_err(|error| ScanError::Client(client::not_accepted(settings, &error).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_by_time_begins_at_the_first_record_that_is_young_enough() {
        for (first, end, oldest, found, offset, is_beyond, what) in [
            (0, 9, Some(0), Some(4), 4, false, "in the middle"),
            (0, 9, Some(0), Some(0), 0, false, "nothing was ever before it"),
            (3, 9, Some(3), Some(5), 5, false, "something older is left"),
            (3, 9, Some(3), Some(3), 3, true, "what is left is younger than the start"),
            (3, 9, Some(5), Some(5), 5, true, "the same, behind a gap"),
            (3, 9, Some(3), None, 9, false, "everything is older"),
            (0, 9, None, None, 0, false, "the broker can not look up by time"),
            (4, 9, None, None, 4, false, "the same, and retention is not judged"),
            (0, 0, None, None, 0, false, "nothing was ever there"),
            (7, 7, None, None, 7, false, "nothing is left"),
        ] {
            assert_eq!(Extent { first, end, oldest }.begin_at(found), Begin { offset, is_beyond }, "{what}");
        }
    }

    #[test]
    fn a_scan_that_catches_up_begins_where_the_other_ended() {
        for (first, end, seen, offset, is_beyond, what) in [
            (0, 9, Some(4), 4, false, "in the middle"),
            (0, 9, Some(9), 9, false, "nothing came"),
            (2, 9, None, 2, false, "a partition that is new"),
            (6, 9, Some(4), 6, true, "records that were not seen are gone"),
            (6, 9, Some(0), 6, false, "nothing was there before"),
            (0, 3, Some(4), 0, false, "the topic was made anew"),
        ] {
            let oldest = Some(first);
            assert_eq!(Extent { first, end, oldest }.begin_behind(seen), Begin { offset, is_beyond }, "{what}");
        }
    }
}
