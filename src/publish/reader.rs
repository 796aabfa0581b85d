//! Reading topics back: for `trunkline tail`, for replays and the tests. Joins no group and commits nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use thiserror::Error;

use super::client::{self, Listening, StartError, Unusable};
use crate::event::time::Time;
use crate::settings::KafkaSettings;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the oldest record that is kept.
    Beginning,
    /// Behind the newest one.
    End,
    /// At the first record written at this time or later.
    Time(Time),
    /// So many records before the end of each partition.
    Last(i64),
}

/// One record as it stands in a topic.
#[derive(Debug, Clone)]
pub struct ReadRecord {
    /// Full name of the topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// The key as text.
    pub key: String,
    /// The headers as text.
    pub headers: HashMap<String, String>,
    /// The value.
    pub value: Vec<u8>,
}

/// Why a topic could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No client.
    #[error(transparent)]
    Client(#[from] StartError),
    /// No answer.
    #[error("no broker answers at {0}: {1}")]
    Unreachable(String, String),
    /// A topic is missing.
    #[error("the topic {0} is not there")]
    NoTopic(String),
    /// A topic that brokers do not let be read.
    #[error("the topic {0} {1}")]
    Unusable(String, Unusable),
    /// Reading failed on the way.
    #[error("reading failed: {0}")]
    Reading(KafkaError),
}

/// Reads topics from a place on.
pub struct Reader {
    consumer: BaseConsumer<Listening>,
    /// The partitions of which records are outstanding that were there at the start, and where each
    /// one ended then.
    outstanding: HashMap<(String, i32), i64>,
    /// Partitions that nobody serves now, and that are left out therefore.
    left_out: usize,
}

impl Reader {
    /// Opens topics by their full names.
    ///
    /// # Errors
    /// [`ReadError`]; blocks for some seconds at most.
    pub fn open(settings: &KafkaSettings, topics: &[String], from: From) -> Result<Self, ReadError> {
        let mut config = client::client_config(settings);
        config.set("group.id", "trunkline-tail").set("enable.auto.commit", "false");
        // Waiting for a broker that has nothing new must not delay the records of another one.
        config.set("fetch.wait.max.ms", "100");
        // Records wait in Kafka, not in our memory.
        config.set("queued.max.messages.kbytes", "8192");
        let consumer: BaseConsumer<Listening> = config
            .create_with_context(Listening::new(settings, &Arc::default()))
            .map_err(|error| client::not_accepted(settings, &error))?;
        let (list, left_out) = positions(&consumer, settings, topics, from)?;
        let outstanding = outstanding(&consumer, settings, &list)?;
        consumer.assign(&list).map_err(ReadError::Reading)?;
        Ok(Self { consumer, outstanding, left_out })
    }

    /// Partitions without a leader, which are left out of the last records and of nothing else.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The next record; `None` if there is none within the time.
    ///
    /// # Errors
    /// When the client has failed for good.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<ReadRecord>, ReadError> {
        Ok(self.poll(timeout)?.map(|(record, _)| record))
    }

    /// The next record that was there when the topics were opened; `None` if there is none within the
    /// time. What has come since is passed over.
    ///
    /// # Errors
    /// When the client has failed for good.
    pub fn next_before_end(&mut self, timeout: Duration) -> Result<Option<ReadRecord>, ReadError> {
        Ok(self.poll(timeout)?.filter(|(_, was_there)| *was_there).map(|(record, _)| record))
    }

    /// The next record, and whether it was there when the topics were opened.
    fn poll(&mut self, timeout: Duration) -> Result<Option<(ReadRecord, bool)>, ReadError> {
        match self.consumer.poll(timeout) {
            None => Ok(None),
            Some(Ok(message)) => {
                let record = read(&message);
                let partition = (record.topic.clone(), record.partition);
                let end = self.outstanding.get(&partition).copied();
                if end.is_some_and(|end| record.offset + 1 >= end) {
                    self.outstanding.remove(&partition);
                }
                let was_there = end.is_some_and(|end| record.offset < end);
                Ok(Some((record, was_there)))
            }
            // Connection errors pass; the client reconnects by itself.
            Some(Err(KafkaError::MessageConsumption(_))) => Ok(None),
            Some(Err(error)) => Err(ReadError::Reading(error)),
        }
    }

    /// Whether everything has been read that was there when the topics were opened.
    pub fn is_at_end(&self) -> bool {
        self.outstanding.is_empty()
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reader").field("outstanding", &self.outstanding.len()).finish_non_exhaustive()
    }
}

fn positions(
    consumer: &BaseConsumer<Listening>,
    settings: &KafkaSettings,
    topics: &[String],
    from: From,
) -> Result<(TopicPartitionList, usize), ReadError> {
    let unreachable = |error| unreachable(consumer, settings, &error);
    let (mut list, mut left_out) = (TopicPartitionList::new(), 0);
    let offset = match from {
        From::Beginning => Offset::Beginning,
        From::End => Offset::End,
        From::Time(time) => Offset::Offset(time.unix_ms()),
        // Behind the ends for now; below, each partition's place is computed.
        From::Last(_) => Offset::End,
    };
    for topic in topics {
        let metadata =
            client::ask(TIMEOUT, |timeout| consumer.fetch_metadata(Some(topic), timeout)).map_err(unreachable)?;
        let found = match (client::there(&metadata), from) {
            // Of a topic that is not there yet, or may not be read, the last records are none.
            (Err(_), From::Last(_)) => continue,
            (Err(Unusable::Missing), _) => return Err(ReadError::NoTopic(topic.clone())),
            (Err(unusable), _) => return Err(ReadError::Unusable(topic.clone(), unusable)),
            (Ok(found), _) => found,
        };
        for partition in found.partitions() {
            // All of the last records are wanted, or as many of them as can be had.
            if matches!(from, From::Last(_)) && partition.leader() < 0 {
                left_out += 1;
            } else {
                list.add_partition_offset(topic, partition.id(), offset).map_err(ReadError::Reading)?;
            }
        }
    }
    let places = match from {
        From::Beginning | From::End => Ok(list),
        From::Last(records) => tails(consumer, &list, records),
        From::Time(_) => client::ask(TIMEOUT, |timeout| consumer.offsets_for_times(list.clone(), timeout)),
    };
    Ok((places.map_err(unreachable)?, left_out))
}

/// What the client knows of the cause has to be fetched from it.
fn unreachable(consumer: &BaseConsumer<Listening>, settings: &KafkaSettings, error: &KafkaError) -> ReadError {
    let mut events = MAX_EVENTS;
    while events > 0 && consumer.poll(Duration::ZERO).is_some() {
        events -= 1;
    }
    let cause = consumer.context().cause().told().unwrap_or_else(|| error.to_string());
    ReadError::Unreachable(settings.bootstrap_servers.clone(), cause)
}

const MAX_EVENTS: usize = 1000;

/// So many records before each end, but not before the oldest record that is kept: a place that is out of range would
/// be taken for the end.
fn tails(
    consumer: &BaseConsumer<Listening>,
    list: &TopicPartitionList,
    records: i64,
) -> Result<TopicPartitionList, KafkaError> {
    let mut tails = TopicPartitionList::new();
    for element in list.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let (low, high) = client::ask(TIMEOUT, |timeout| consumer.fetch_watermarks(topic, partition, timeout))?;
        tails.add_partition_offset(topic, partition, Offset::Offset(low.max(high.saturating_sub(records))))?;
    }
    Ok(tails)
}

/// Where each partition ends now, as far as there is anything between the start and there.
fn outstanding(
    consumer: &BaseConsumer<Listening>,
    settings: &KafkaSettings,
    list: &TopicPartitionList,
) -> Result<HashMap<(String, i32), i64>, ReadError> {
    let mut outstanding = HashMap::new();
    for element in list.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let ends = client::ask(TIMEOUT, |timeout| consumer.fetch_watermarks(topic, partition, timeout));
        let (low, high) = ends.map_err(|error| unreachable(consumer, settings, &error))?;
        let start = match element.offset() {
            Offset::Beginning => low,
            Offset::Offset(offset) => offset,
            _ => high,
        };
        if start < high {
            outstanding.insert((topic.to_owned(), partition), high);
        }
    }
    Ok(outstanding)
}

fn read(message: &BorrowedMessage<'_>) -> ReadRecord {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default()))).collect()
    });
    ReadRecord {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key().unwrap_or_default()),
        headers: headers.unwrap_or_default(),
        value: message.payload().unwrap_or_default().to_vec(),
    }
}
