//! One pass: every topic that somebody waits for, each from the earliest start to where it ends now.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::places::{self, Asking, Place};
use super::progress::{Progress, Silence};
use super::{Beyond, Outcome, Patience, ScanError, Start, Waiting, record};
use crate::event::kind::TopicInfo;
use crate::publish::client::{Listening, Unusable};
use crate::publish::topics;
use crate::settings::KafkaSettings;

/// How long the client is waited for before it is looked whether somebody still waits.
const POLL: Duration = Duration::from_millis(100);

/// How long a partition may take to be asked once more.
const SEEK: Duration = Duration::from_secs(10);

/// What passes are made with.
#[derive(Debug)]
pub(super) struct Scans {
    pub(super) settings: KafkaSettings,
    pub(super) patience: Patience,
    pub(super) stop: Arc<AtomicBool>,
}

impl Scans {
    /// Serves all who wait.
    pub(super) fn serve(&self, waiting: Vec<Box<dyn Waiting>>) {
        let began = Instant::now();
        let mut served: Vec<Served> = waiting.into_iter().map(Served::new).collect();
        let mut topics: Vec<&'static TopicInfo> = Vec::new();
        for topic in served.iter().flat_map(|served| &served.waiting.asked().topics) {
            if !topics.contains(topic) {
                topics.push(topic);
            }
        }
        for topic in topics {
            let mut wanting: Vec<&mut Served> = served.iter_mut().filter(|served| served.wants(topic)).collect();
            if wanting.is_empty() {
                continue;
            }
            if let Err(error) = self.read(topic, &mut wanting) {
                wanting.iter_mut().for_each(|served| served.error = Some(error.clone()));
            }
        }
        let elapsed = began.elapsed();
        served.into_iter().for_each(|served| served.end(elapsed));
    }

    fn read(&self, topic: &'static TopicInfo, wanting: &mut [&mut Served]) -> Result<(), ScanError> {
        if self.stop.load(Ordering::Acquire) {
            return Err(ScanError::Stopped);
        }
        let name = topics::full_name(&self.settings, topic);
        let consumer = places::consumer(&self.settings)?;
        let asking = Asking {
            consumer: &consumer,
            settings: &self.settings,
            patience: self.patience.answer,
            topic,
            name: &name,
        };
        let starts: Vec<Start> = wanting.iter().map(|served| served.waiting.asked().start.clone()).collect();
        let places = asking.places(&starts)?;
        for (index, served) in wanting.iter_mut().enumerate() {
            served.begin(topic, &places, index);
        }
        let ranges: Vec<(i32, i64, i64)> = places.iter().filter_map(range).collect();
        if ranges.is_empty() {
            return Ok(());
        }
        assign(&consumer, &name, &ranges).map_err(|error| reading(&name, error))?;
        Reading { scans: self, asking, progress: Progress::new(ranges) }.run(wanting)
    }
}

/// Partition, earliest begin and end, if there is anything between them.
fn range(place: &Place) -> Option<(i32, i64, i64)> {
    let begin = place.begins.iter().map(|begin| begin.offset).min()?;
    (begin < place.end).then_some((place.partition, begin, place.end))
}

fn assign(consumer: &BaseConsumer<Listening>, name: &str, ranges: &[(i32, i64, i64)]) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(ranges.len());
    for (partition, begin, _) in ranges {
        list.add_partition_offset(name, *partition, Offset::Offset(*begin))?;
    }
    consumer.assign(&list)
}

fn reading(name: &str, error: KafkaError) -> ScanError {
    ScanError::Reading { topic: name.to_owned(), error }
}

/// A topic that is being read.
struct Reading<'s> {
    scans: &'s Scans,
    asking: Asking<'s>,
    progress: Progress,
}

impl Reading<'_> {
    fn run(mut self, wanting: &mut [&mut Served]) -> Result<(), ScanError> {
        let consumer = self.asking.consumer;
        let mut heard_at = Instant::now();
        while !self.progress.is_done() {
            if self.scans.stop.load(Ordering::Acquire) {
                return Err(ScanError::Stopped);
            }
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard_at = Instant::now();
                    self.hand_out(&message, wanting)?;
                    continue;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => self.nothing_follows(partition)?,
                Some(Err(error)) => self.bear(error)?,
                None => {}
            }
            if wanting.iter().all(|served| served.waiting.is_gone()) {
                return Ok(());
            }
            if heard_at.elapsed() >= self.scans.patience.record {
                return Err(self.stuck());
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, message: &BorrowedMessage<'_>, wanting: &mut [&mut Served]) -> Result<(), ScanError> {
        let (partition, offset) = (message.partition(), message.offset());
        let read = self.progress.record(partition, offset);
        if read.is_wanted {
            show(self.asking.topic, message, wanting);
        }
        if read.finishes { self.pause(partition) } else { Ok(()) }
    }

    /// Fetches no more of a partition of which everything is read.
    fn pause(&self, partition: i32) -> Result<(), ScanError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(self.asking.name, partition);
        self.asking.consumer.pause(&list).map_err(|error| reading(self.asking.name, error))
    }

    /// A leader that has just taken over may not know yet how far its log counts. So the end is looked at, and the
    /// partition asked once more.
    fn nothing_follows(&mut self, partition: i32) -> Result<(), ScanError> {
        let Silence::AskAgain { from, end } = self.progress.nothing_follows(partition) else { return Ok(()) };
        let (_, end_now) = self.asking.watermarks(partition)?;
        if end_now >= end {
            self.progress.end_is_there(partition);
        }
        let again = self.asking.consumer.seek(self.asking.name, partition, Offset::Offset(from), SEEK);
        again.map_err(|error| reading(self.asking.name, error))
    }

    /// Failures of connections pass, as the client connects again by itself; whether it does so in time is looked at
    /// elsewhere.
    fn bear(&self, error: KafkaError) -> Result<(), ScanError> {
        let name = || self.asking.name.to_owned();
        match error {
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => Err(ScanError::Deleted(name())),
            KafkaError::MessageConsumption(
                code @ (RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition),
            ) => Err(ScanError::Unusable(name(), Unusable::Refused(code))),
            KafkaError::MessageConsumption(_) => Ok(()),
            error => Err(ScanError::Reading { topic: name(), error }),
        }
    }

    fn stuck(&self) -> ScanError {
        let (topic, partitions) = (self.asking.name.to_owned(), self.progress.outstanding());
        ScanError::Stuck { topic, partitions, waited_s: self.scans.patience.record.as_secs() }
    }
}

/// Shows a record to all who want it.
fn show(topic: &'static TopicInfo, message: &BorrowedMessage<'_>, wanting: &mut [&mut Served]) {
    // A key that is no text is none of ours.
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
    let mut shown = None;
    for served in wanting {
        if served.waiting.is_gone() || !served.has_begun(message) {
            continue;
        }
        served.outcome.read += 1;
        let Some(key) = key.filter(|key| key.starts_with(&served.waiting.asked().key_prefix)) else { continue };
        served.outcome.visited += 1;
        served.waiting.visit(shown.get_or_insert_with(|| record::read(topic, message, key)));
    }
}

/// Somebody who waits, and how far it is served.
struct Served {
    waiting: Box<dyn Waiting>,
    outcome: Outcome,
    error: Option<ScanError>,
    /// Of the topic that is being read, the offset in each partition that records are wanted from.
    begins: HashMap<i32, i64>,
    /// Partitions of which the time of the oldest record is not told yet.
    untold: Vec<(i32, usize)>,
}

impl Served {
    fn new(waiting: Box<dyn Waiting>) -> Self {
        let (outcome, begins, untold) = (Outcome::default(), HashMap::new(), Vec::new());
        Self { waiting, outcome, error: None, begins, untold }
    }

    fn wants(&self, topic: &TopicInfo) -> bool {
        let is_waiting = self.error.is_none() && !self.waiting.is_gone();
        is_waiting && self.waiting.asked().topics.iter().any(|wanted| wanted.suffix == topic.suffix)
    }

    fn begin(&mut self, topic: &'static TopicInfo, places: &[Place], index: usize) {
        self.begins.clear();
        self.untold.clear();
        for place in places {
            self.outcome.ends.note(topic, place.partition, place.end);
            let Some(begin) = place.begins.get(index) else { continue };
            self.begins.insert(place.partition, begin.offset);
            if begin.is_beyond {
                self.untold.push((place.partition, self.outcome.beyond.len()));
                let (partition, first_offset) = (place.partition, place.first);
                self.outcome.beyond.push(Beyond { topic, partition, first_offset, oldest_at: None });
            }
        }
    }

    /// Whether a record is not before the start.
    fn has_begun(&mut self, message: &BorrowedMessage<'_>) -> bool {
        if !self.untold.is_empty() {
            self.tell_oldest(message);
        }
        self.begins.get(&message.partition()).is_some_and(|begin| message.offset() >= *begin)
    }

    /// The first record of a partition is its oldest, where the start is before it.
    fn tell_oldest(&mut self, message: &BorrowedMessage<'_>) {
        let Some(place) = self.untold.iter().position(|(partition, _)| *partition == message.partition()) else {
            return;
        };
        let (_, index) = self.untold.swap_remove(place);
        if let Some(beyond) = self.outcome.beyond.get_mut(index) {
            beyond.oldest_at = record::written_at(message);
        }
    }

    fn end(mut self, elapsed: Duration) {
        self.outcome.elapsed = elapsed;
        let outcome = match self.error {
            None => Ok(self.outcome),
            Some(error) => Err(error),
        };
        self.waiting.end(outcome);
    }
}
