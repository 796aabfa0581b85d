//! Reading topics back: for `trunkline tail`, for replays and the tests. Joins no group and commits nothing.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use thiserror::Error;

use super::client::{self, Quiet};
use crate::config::KafkaSettings;
use crate::event::time::Time;

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
    #[error("the Kafka client could not be made")]
    Client(#[source] KafkaError),
    /// No answer.
    #[error("no broker answers at {0}")]
    Unreachable(String, #[source] KafkaError),
    /// A topic is missing.
    #[error("the topic {0} is not there")]
    NoTopic(String),
    /// Reading failed on the way.
    #[error("reading failed")]
    Reading(#[source] KafkaError),
}

/// Reads topics from a place on.
pub struct Reader {
    consumer: BaseConsumer<Quiet>,
    /// The partitions of which records are outstanding that were there at the start, and where each
    /// one ended then.
    outstanding: HashMap<(String, i32), i64>,
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
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet).map_err(ReadError::Client)?;
        let list = positions(&consumer, settings, topics, from)?;
        let outstanding = outstanding(&consumer, settings, &list)?;
        consumer.assign(&list).map_err(ReadError::Client)?;
        Ok(Self { consumer, outstanding })
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

impl ConsumerContext for Quiet {}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reader").field("outstanding", &self.outstanding.len()).finish_non_exhaustive()
    }
}

fn positions(
    consumer: &BaseConsumer<Quiet>,
    settings: &KafkaSettings,
    topics: &[String],
    from: From,
) -> Result<TopicPartitionList, ReadError> {
    let unreachable = |error| ReadError::Unreachable(settings.bootstrap_servers.clone(), error);
    let mut list = TopicPartitionList::new();
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
        let found = metadata.topics().first().filter(|found| found.error().is_none());
        let found = match (found, from) {
            // Of a topic that is not there yet the last records are none.
            (None, From::Last(_)) => continue,
            (found, _) => found.ok_or_else(|| ReadError::NoTopic(topic.clone()))?,
        };
        for partition in found.partitions() {
            list.add_partition_offset(topic, partition.id(), offset).map_err(ReadError::Client)?;
        }
    }
    match from {
        From::Beginning | From::End => Ok(list),
        From::Last(records) => tails(consumer, &list, records).map_err(unreachable),
        From::Time(_) => {
            client::ask(TIMEOUT, |timeout| consumer.offsets_for_times(list.clone(), timeout)).map_err(unreachable)
        }
    }
}

/// So many records before each end, but not before the oldest record that is kept: a place that is out of range would
/// be taken for the end.
fn tails(
    consumer: &BaseConsumer<Quiet>,
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
    consumer: &BaseConsumer<Quiet>,
    settings: &KafkaSettings,
    list: &TopicPartitionList,
) -> Result<HashMap<(String, i32), i64>, ReadError> {
    let mut outstanding = HashMap::new();
    for element in list.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let ends = client::ask(TIMEOUT, |timeout| consumer.fetch_watermarks(topic, partition, timeout));
        let (low, high) = ends.map_err(|error| ReadError::Unreachable(settings.bootstrap_servers.clone(), error))?;
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
