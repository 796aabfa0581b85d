//! Looking through topics for what is there already: every record since some time, handed to a visitor.
//!
//! One thread reads for the whole process. Who asks while it reads waits, and all who wait are served by the next pass
//! together, so that what is read does not grow with the number of those who ask. A pass begins at the earliest start
//! among them, ends where each partition ends when it begins, and hands each record to those whose own start is not
//! behind it. Who has to know what came meanwhile asks again, [behind the ends](Start::Behind) of the first time.
//!
//! # What a scan shows
//! Everything that Kafka had acknowledged when the scan began, and still holds. A partition is read to the end when a
//! record at the end or behind it has come, or when the broker says twice that nothing follows, with a look at the end
//! in between. So neither compaction nor the marks of transactions, which nobody is shown, keep a scan waiting; and a
//! leader that has just taken over, and does not know yet how far its log counts, does not end it too early.
//!
//! Records of transactions that were given up are not shown, since consumers are not shown them either.
//!
//! # Limits
//! The start is looked up by the time that producers or brokers have given to records. Records that are late in a
//! topic's order are found, since Kafka looks for the first one that is young enough, and all behind it are read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rdkafka::error::KafkaError;
use thiserror::Error;
use tokio::sync::oneshot;

mod pass;
mod places;
mod progress;
mod record;
#[cfg(test)]
mod tests;

pub use record::ScannedRecord;

use super::client::{StartError, Unusable};
use super::vitals::{Ends as EndsOfThread, Vitals};
use crate::event::kind::TopicInfo;
use crate::event::time::Time;
use crate::settings::KafkaSettings;

/// How long brokers are waited for.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For an answer.
    answer: Duration,
    /// For the next record, while some are outstanding.
    record: Duration,
}

const PATIENCE: Patience = Patience { answer: Duration::from_secs(10), record: Duration::from_secs(60) };

/// What is to be looked through.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The topics, each once.
    pub topics: Vec<&'static TopicInfo>,
    /// What the keys of the wanted records begin with. Others are passed over before anything else is looked at.
    pub key_prefix: String,
    /// Where to begin.
    pub start: Start,
}

/// Where a scan begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// At the first record of each partition that was written at this time or later.
    At(Time),
    /// Where an earlier scan ended. Partitions that it did not know are read whole.
    Behind(Ends),
}

/// Where a scan ended: by topic, for each partition the offset of the first record that it has not seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends(BTreeMap<&'static str, BTreeMap<i32, i64>>);

impl Ends {
    fn of(&self, topic: &TopicInfo, partition: i32) -> Option<i64> {
        self.0.get(topic.suffix)?.get(&partition).copied()
    }

    fn note(&mut self, topic: &'static TopicInfo, partition: i32, end: i64) {
        self.0.entry(topic.suffix).or_default().insert(partition, end);
    }
}

/// What a scan has found out, beside the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Records between the start and the ends, whatever their keys.
    pub read: u64,
    /// Those that were handed to the visitor.
    pub visited: u64,
    /// Where the scan ended.
    pub ends: Ends,
    /// Partitions that may have held more of what was asked for, and no longer do.
    pub beyond: Vec<Beyond>,
    /// How long it took, with what was read for others in the same pass.
    pub elapsed: Duration,
}

/// A partition whose oldest record is younger than the start, though it is not the first that the partition ever held.
/// What was before it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    /// The topic.
    pub topic: &'static TopicInfo,
    /// The partition.
    pub partition: i32,
    /// Offset of the first record that may be left.
    pub first_offset: i64,
    /// When the oldest record that is left was written, if there is one and it says so.
    pub oldest_at: Option<Time>,
}

/// Why topics could not be looked through. What the visitor has seen until then is true, but not all.
#[derive(Debug, Clone, Error)]
pub enum ScanError {
    /// No client.
    #[error("{0}")]
    Client(String),
    /// No answer.
    #[error("no broker answers at {servers}: {cause}")]
    Unreachable {
        /// The configured servers.
        servers: String,
        /// What the client says.
        cause: String,
    },
    /// A topic that brokers do not let be read.
    #[error("the topic {0} {1}")]
    Unusable(String, Unusable),
    /// Reading failed on the way.
    #[error("reading {topic} failed: {error}")]
    Reading {
        /// Name of the topic.
        topic: String,
        /// What the client says.
        error: KafkaError,
    },
    /// Records were deleted that were to be read next.
    #[error("records of {0} were deleted while it was read")]
    Deleted(String),
    /// Nothing came for a long time.
    #[error("stuck: nothing of {topic} came for {waited_s} s, and {partitions} partitions are not read to the end")]
    Stuck {
        /// Name of the topic.
        topic: String,
        /// Partitions that are not read to their ends.
        partitions: usize,
        /// How long nothing has come.
        waited_s: u64,
    },
    /// The process stops.
    #[error("the process stops")]
    Stopped,
}

/// Is shown each record that was asked for. It runs on the scanner's thread, which waits for it.
pub trait Visitor: Send + 'static {
    /// Looks at a record. Nothing of it may be kept but as a copy.
    fn visit(&mut self, record: &ScannedRecord<'_>);
}

impl<F: FnMut(&ScannedRecord<'_>) + Send + 'static> Visitor for F {
    fn visit(&mut self, record: &ScannedRecord<'_>) {
        self(record);
    }
}

/// A visitor that has seen what there was, and how the scan ended.
#[derive(Debug)]
pub struct Ended<V> {
    /// The visitor, also after a failure: what it was shown is true.
    pub visitor: V,
    /// How it ended.
    pub outcome: Result<Outcome, ScanError>,
}

/// Looks through topics, one pass at a time.
#[derive(Debug)]
pub struct Scanner {
    waiting: Sender<Box<dyn Waiting>>,
    stop: Arc<AtomicBool>,
}

impl Scanner {
    /// Starts the thread. Kafka need not be reachable.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(settings: &KafkaSettings, vitals: &Arc<Vitals>) -> Result<Self, StartError> {
        Self::start_with(settings, PATIENCE, vitals)
    }

    fn start_with(settings: &KafkaSettings, patience: Patience, vitals: &Arc<Vitals>) -> Result<Self, StartError> {
        let (waiting, received) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let scans = pass::Scans { settings: settings.clone(), patience, stop: Arc::clone(&stop) };
        // Nobody waits for its end: it may be asking brokers that do not answer.
        drop(vitals.spawn("scanner", EndsOfThread::WhenDone, move || serve(&scans, &received))?);
        Ok(Self { waiting, stop })
    }

    /// Shows a visitor what was asked for, and gives it back; `None` if the scanner stops before. Who drops the future
    /// is shown nothing more.
    pub async fn scan<V: Visitor>(&self, asked: Asked, visitor: V) -> Option<Ended<V>> {
        let (answer, answered) = oneshot::channel();
        let waiting = Box::new(Waiter { asked, visitor, answer });
        self.waiting.send(waiting).ok()?;
        answered.await.ok()
    }

    /// Ends a scan that is under way, and begins no other.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(scans: &pass::Scans, received: &Receiver<Box<dyn Waiting>>) {
    while let Ok(first) = received.recv() {
        scans.serve(std::iter::once(first).chain(received.try_iter()).collect());
    }
}

/// Somebody who waits for a scan.
trait Waiting: Send {
    fn asked(&self) -> &Asked;
    fn visit(&mut self, record: &ScannedRecord<'_>);
    /// Whether nobody waits any longer.
    fn is_gone(&self) -> bool;
    fn end(self: Box<Self>, outcome: Result<Outcome, ScanError>);
}

struct Waiter<V> {
    asked: Asked,
    visitor: V,
    answer: oneshot::Sender<Ended<V>>,
}

impl<V: Visitor> Waiting for Waiter<V> {
    fn asked(&self) -> &Asked {
        &self.asked
    }

    fn visit(&mut self, record: &ScannedRecord<'_>) {
        self.visitor.visit(record);
    }

    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }

    fn end(self: Box<Self>, outcome: Result<Outcome, ScanError>) {
        // Who has gone meanwhile does not want to know.
        drop(self.answer.send(Ended { visitor: self.visitor, outcome }));
    }
}
