//! The producer: librdkafka, configured so that nothing is lost, doubled or put out of order.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use secrecy::ExposeSecret;
use thiserror::Error;

use super::Origin;
use super::dedup::{FactKey, Window};
use super::ticket::Ticket;
use crate::config::KafkaSettings;
use crate::event::envelope::Record;
use crate::event::kind::{Kind, LARGE_RECORD_BYTES};
use crate::telemetry::metrics::Metrics;

/// Why the producer could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// librdkafka does not accept the configuration.
    #[error("the Kafka client does not accept its configuration (kafka.bootstrap_servers or kafka.properties)")]
    Configuration(#[source] KafkaError),
    /// The operating system gave no thread.
    #[error("a thread could not be started")]
    Thread(#[source] io::Error),
}

/// What every client of ours is configured with.
pub fn client_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "trunkline")
        // A broker that hangs instead of refusing is given up after this, not after a minute.
        .set("socket.timeout.ms", "15000")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Warning);
    for (name, value) in &settings.properties {
        config.set(name, value.value.expose_secret());
    }
    config.set("bootstrap.servers", &settings.bootstrap_servers);
    config
}

/// The producer's own settings. Those after the user's properties are the ones nobody may change.
fn producer_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = client_config(settings);
    let given = |name: &str| settings.properties.iter().any(|(known, _)| known == name);
    for (name, default) in [("compression.type", "lz4"), ("linger.ms", "0")] {
        if !given(name) {
            config.set(name, default);
        }
    }
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        // The answer to the provider has a deadline, the event has none.
        .set("message.timeout.ms", "0")
        .set("queue.buffering.max.kbytes", "65536")
        .set("queue.buffering.max.messages", "100000")
        .set("message.max.bytes", LARGE_RECORD_BYTES.to_string());
    config
}

/// Whether librdkafka accepts the configuration, without connecting to anything.
///
/// # Errors
/// What it does not accept.
pub fn validate(settings: &KafkaSettings) -> Result<(), StartError> {
    producer_config(settings).create::<BaseProducer>().map(drop).map_err(StartError::Configuration)
}

/// A record on its way, and everybody who wants to know its fate.
#[derive(Debug)]
pub struct Delivery {
    ticket: Arc<Ticket>,
    key: Option<FactKey>,
    kind: Option<Kind>,
    since: Instant,
    buried: bool,
    pub(super) origin: Arc<Origin>,
}

impl Delivery {
    pub(super) fn new(ticket: Arc<Ticket>, key: Option<FactKey>, kind: Option<Kind>, origin: Arc<Origin>) -> Box<Self> {
        Box::new(Self { ticket, key, kind, since: Instant::now(), buried: false, origin })
    }

    /// Whether the record was a dead letter from the start, or has become one.
    pub(super) fn is_dead_letter(&self) -> bool {
        self.buried || self.kind.is_none()
    }

    pub(super) fn as_dead_letter(mut self: Box<Self>) -> Box<Self> {
        self.buried = true;
        self
    }

    /// Settles the record's fate: the window first, so that whoever is woken finds it up to date.
    pub(super) fn finish(&self, window: &Window, durable: bool) {
        if let Some(key) = self.key {
            window.settle(key, durable);
        }
        if let Some(kind) = self.kind.filter(|_| durable && !self.buried) {
            self.origin.metrics.events(kind).inc();
        }
        self.ticket.settle(durable);
    }
}

/// A record that Kafka refuses for good.
#[derive(Debug)]
pub struct Refused {
    /// Its delivery.
    pub delivery: Box<Delivery>,
    /// Its value.
    pub value: Vec<u8>,
    /// Why, from a fixed list.
    pub reason: &'static str,
}

/// Why a record could not be handed to the client.
#[derive(Debug)]
pub enum SendError {
    /// The record is at fault.
    Refused(Box<Delivery>, &'static str),
    /// The queue is full, or the client can not take anything.
    Unavailable(Box<Delivery>),
}

/// Callbacks of the client. They run on its own thread.
pub struct Callbacks {
    window: Arc<Window>,
    metrics: Arc<Metrics>,
    refused: Mutex<Option<Sender<Refused>>>,
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        log_client(level, fac, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the Kafka client reports an error");
    }
}

/// Connection failures repeat for as long as a broker is away; the readiness watch tells about the
/// change itself, once.
pub(super) fn log_client(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // A fresh cluster needs a moment for this, and librdkafka asks again by itself.
        RDKafkaLogLevel::Warning if facility == "GETPID" => tracing::debug!(facility, "Kafka client: {message}"),
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "Kafka client: {message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, "Kafka client: {message}"),
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, "Kafka client: {message}");
        }
    }
}

impl ProducerContext for Callbacks {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        self.metrics.unacknowledged.dec();
        match result {
            Ok(message) if message.offset() >= 0 => {
                self.metrics.publish_duration.observe(delivery.since.elapsed().as_secs_f64());
                delivery.finish(&self.window, true);
            }
            // librdkafka concludes that a batch must be there when a later one of its partition was taken.
            // Not so when the partition's leader was new: it refuses the first as not being the leader yet
            // and, knowing no sequence, takes the second. Only an offset proves that a record was appended.
            Ok(message) => {
                tracing::debug!(topic = message.topic(), "a record was acknowledged without its place");
                delivery.finish(&self.window, false);
            }
            Err((error, message)) => self.failed(error, message, delivery),
        }
    }
}

impl Callbacks {
    fn failed(&self, error: &KafkaError, message: &BorrowedMessage<'_>, delivery: Box<Delivery>) {
        let Some(reason) = refusal(error) else {
            tracing::debug!(%error, topic = message.topic(), "a record was not delivered");
            return delivery.finish(&self.window, false);
        };
        let value = message.payload().unwrap_or_default().to_vec();
        let sender = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let unsent = match sender.as_ref() {
            Some(sender) => sender.send(Refused { delivery, value, reason }).err().map(|error| error.0),
            None => Some(Refused { delivery, value, reason }),
        };
        if let Some(refused) = unsent {
            refused.delivery.finish(&self.window, false);
        }
    }
}

/// Only faults of the record itself are refusals. Everything else is a fault of the way to Kafka, and
/// passes.
fn refusal(error: &KafkaError) -> Option<&'static str> {
    match error.rdkafka_error_code()? {
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge => Some("record_too_large"),
        RDKafkaErrorCode::InvalidRecord | RDKafkaErrorCode::InvalidMessageSize => Some("record_invalid"),
        _ => None,
    }
}

/// The one producer of the process.
#[derive(Clone)]
pub struct Producer {
    client: ThreadedProducer<Callbacks>,
    metrics: Arc<Metrics>,
}

impl Producer {
    pub(super) fn start(
        settings: &KafkaSettings,
        window: Arc<Window>,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Receiver<Refused>), StartError> {
        let (sender, refused) = channel();
        let callbacks = Callbacks { window, metrics: Arc::clone(&metrics), refused: Mutex::new(Some(sender)) };
        let client = producer_config(settings).create_with_context(callbacks).map_err(StartError::Configuration)?;
        Ok((Self { client, metrics }, refused))
    }

    pub(super) fn send(&self, topic: &str, record: &Record, delivery: Box<Delivery>) -> Result<(), SendError> {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        let headers = record
            .headers
            .iter()
            .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_str()) }));
        let message =
            BaseRecord::with_opaque_to(topic, delivery).key(&record.key).payload(&record.value).headers(headers);
        self.metrics.unacknowledged.inc();
        self.client.send(message).map_err(|(error, message)| {
            self.metrics.unacknowledged.dec();
            let delivery = message.delivery_opaque;
            match refusal(&error) {
                Some(reason) => SendError::Refused(delivery, reason),
                None => {
                    tracing::debug!(%error, "the Kafka client takes no record");
                    SendError::Unavailable(delivery)
                }
            }
        })
    }

    /// Brokers known, if every one of the topics can be written to.
    pub(super) fn probe(&self, topics: &[String], timeout: Duration) -> Result<usize, String> {
        if let Some((code, reason)) = self.client.client().fatal_error() {
            return Err(format!("the producer has failed for good ({code:?}: {reason})"));
        }
        let mut brokers = 0;
        for topic in topics {
            let metadata =
                self.client.client().fetch_metadata(Some(topic), timeout).map_err(|error| error.to_string())?;
            brokers = metadata.brokers().len();
            let found = metadata.topics().first().filter(|found| found.error().is_none());
            let found = found.ok_or_else(|| format!("the topic {topic} is not there"))?;
            if found.partitions().iter().any(|partition| partition.leader() < 0) {
                return Err(format!("the topic {topic} has a partition without a leader"));
            }
        }
        Ok(brokers)
    }

    pub(super) fn flush(&self, timeout: Duration) -> usize {
        if let Err(error) = self.client.flush(timeout) {
            tracing::warn!(%error, "not every record was acknowledged before the deadline");
        }
        usize::try_from(self.client.in_flight_count()).unwrap_or(0)
    }

    /// Lets the thread for refused records end.
    pub(super) fn close(&self) {
        let callbacks = self.client.context();
        callbacks.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Producer")
    }
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Callbacks")
    }
}
