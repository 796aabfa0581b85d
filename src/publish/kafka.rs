//! The producer: librdkafka, configured so that nothing is lost, doubled or put out of order.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use secrecy::ExposeSecret;
use thiserror::Error;

use super::parcel::Audience;
use super::track::{Landing, Refusal, Track};
use crate::config::KafkaSettings;
use crate::event::envelope::Record;
use crate::event::kind::LARGE_RECORD_BYTES;
use crate::spool::SpoolError;
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
    /// The spool belongs to somebody else.
    #[error("the spool can not be used (spool.dir)")]
    Spool(#[source] SpoolError),
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

/// Asks the brokers, and once more where the client has just let go of the connection that it asked by:
/// those of its configuration are replaced by those that the cluster names.
pub(super) fn ask<T>(timeout: Duration, question: impl Fn(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    let deadline = Instant::now() + timeout;
    loop {
        let answer = question(deadline.saturating_duration_since(Instant::now()).max(ASK_PAUSE));
        match &answer {
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::DestroyBroker) => {}
            _ => return answer,
        }
        if Instant::now() >= deadline {
            return answer;
        }
        std::thread::sleep(ASK_PAUSE);
    }
}

const ASK_PAUSE: Duration = Duration::from_millis(50);

/// The producer's own settings. Those after the user's properties are the ones nobody may change.
pub fn producer_config(settings: &KafkaSettings) -> ClientConfig {
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

/// An event in the client's hands.
#[derive(Debug)]
pub(super) struct Flight {
    track: Arc<Track>,
    number: u64,
    audience: Option<Arc<Audience>>,
    since: Instant,
}

impl Flight {
    pub(super) fn new(track: &Arc<Track>, number: u64, audience: Option<Arc<Audience>>, since: Instant) -> Box<Self> {
        Box::new(Self { track: Arc::clone(track), number, audience, since })
    }

    /// Tells the lane.
    pub(super) fn land(self, landing: Landing) {
        self.land_at(landing, Instant::now());
    }

    fn land_at(self, landing: Landing, now: Instant) {
        self.track.landed(self.number, landing, now);
    }
}

/// An event that Kafka refuses for good, on its way to the thread that deals with them.
pub(super) type Refused = (Box<Flight>, Refusal);

/// The way to that thread. `None` lets it end.
pub(super) type Refusals = Sender<Option<Refused>>;

/// Why a record could not be handed to the client.
#[derive(Debug)]
pub(super) enum SendError {
    /// The record is at fault.
    Refused(Box<Flight>, &'static str),
    /// The queue is full, or the client can not take anything.
    Unavailable,
}

/// Callbacks of the client. They run on its own thread.
#[derive(Debug)]
pub(super) struct Callbacks {
    metrics: Arc<Metrics>,
    refused: Mutex<Refusals>,
    failed_for_good: AtomicBool,
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        log_client(level, fac, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.note(&error);
        tracing::debug!(%error, reason, "the Kafka client reports an error");
    }
}

/// Of a client whose errors are passing connection failures, which end by themselves.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        log_client(level, fac, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the Kafka client reports an error");
    }
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
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
    type DeliveryOpaque = Box<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Box<Flight>) {
        self.metrics.unacknowledged.dec();
        match result {
            // When a batch is acknowledged, the client counts those before it as delivered too, without an
            // offset ("implicit acknowledgement"). A leader that has just changed may have refused the first
            // batch and taken the second, so only an offset proves that a record was appended. A record that
            // was there all the same is published once more, under the same id.
            Ok(message) if message.offset() < 0 => {
                self.metrics.delivery_failed("ImplicitAcknowledgement".to_owned());
                flight.land(Landing::Failed);
            }
            Ok(_) => {
                let now = Instant::now();
                // Whoever waits is told at once, and the lane when it has time.
                flight.audience.iter().for_each(|audience| flight.track.acknowledged(audience));
                self.metrics.publish_duration.observe((now - flight.since).as_secs_f64());
                flight.land_at(Landing::Acknowledged, now);
            }
            Err((error, message)) => self.failed(error, message, flight),
        }
    }
}

impl Callbacks {
    fn failed(&self, error: &KafkaError, message: &BorrowedMessage<'_>, flight: Box<Flight>) {
        self.note(error);
        let Some(reason) = refusal(error) else {
            tracing::debug!(%error, topic = message.topic(), "a record was not delivered");
            let code = error.rdkafka_error_code().map_or_else(|| "unknown".to_owned(), |code| format!("{code:?}"));
            self.metrics.delivery_failed(code);
            return flight.land(Landing::Failed);
        };
        self.refuse(flight, Refusal { value: message.payload().unwrap_or_default().to_vec(), reason });
    }

    /// A refused record may go to another lane, so a thread that holds no lane deals with it.
    fn refuse(&self, flight: Box<Flight>, refusal: Refusal) {
        let sent = self.refused.lock().unwrap_or_else(PoisonError::into_inner).send(Some((flight, refusal)));
        if let Err(mpsc::SendError(Some((flight, _)))) = sent {
            flight.land(Landing::Failed);
        }
    }

    /// After a fatal error the client takes and delivers nothing any more, and has to be replaced.
    fn note(&self, error: &KafkaError) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.failed_for_good.store(true, Ordering::Release);
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

type Client = ThreadedProducer<Callbacks>;

/// The one producer of the process: a client that is replaced when it has failed for good.
#[derive(Clone)]
pub(super) struct Producer {
    client: Arc<RwLock<Arc<Client>>>,
    /// Asks about topics. librdkafka serves the partitions of every topic that a client has asked about in
    /// turn, and begins a turn anywhere among them: were the producer to ask, its few busy partitions would be
    /// served in no fair order, and some of them late.
    prober: Arc<ThreadedProducer<Quiet>>,
    settings: Arc<KafkaSettings>,
    refused: Arc<Mutex<Refusals>>,
    metrics: Arc<Metrics>,
}

impl Producer {
    pub(super) fn start(
        settings: &KafkaSettings,
        refused: Refusals,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let client = connect(settings, &refused, metrics)?;
        let prober = client_config(settings).create_with_context(Quiet).map_err(StartError::Configuration)?;
        Ok(Self {
            prober: Arc::new(prober),
            client: Arc::new(RwLock::new(Arc::new(client))),
            settings: Arc::new(settings.clone()),
            refused: Arc::new(Mutex::new(refused)),
            metrics: Arc::clone(metrics),
        })
    }

    pub(super) fn send(
        &self,
        topic: &str,
        partition: i32,
        record: &Record,
        flight: Box<Flight>,
    ) -> Result<(), SendError> {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        let headers = record
            .headers
            .iter()
            .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let message = BaseRecord::with_opaque_to(topic, flight)
            .partition(partition)
            .key(&record.key)
            .payload(&record.value)
            .headers(headers);
        self.metrics.unacknowledged.inc();
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        client.send(message).map_err(|(error, message)| {
            self.metrics.unacknowledged.dec();
            match refusal(&error) {
                Some(reason) => SendError::Refused(message.delivery_opaque, reason),
                None => {
                    client.context().note(&error);
                    tracing::debug!(%error, "the Kafka client takes no record");
                    SendError::Unavailable
                }
            }
        })
    }

    /// Hands over a record that the client itself has refused.
    pub(super) fn refuse(&self, flight: Box<Flight>, refusal: Refusal) {
        self.current().context().refuse(flight, refusal);
    }

    /// Whether the client has failed for good.
    pub(super) fn has_failed(&self) -> bool {
        self.current().context().failed_for_good.load(Ordering::Acquire)
    }

    /// Puts a new client in the place of one that has failed for good. Everything that the old one held
    /// lands before this returns, unless it was acknowledged.
    pub(super) fn replace(&self) -> Result<(), StartError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fresh = Arc::new(connect(&self.settings, &refused, &self.metrics)?);
        let old = std::mem::replace(&mut *self.client.write().unwrap_or_else(PoisonError::into_inner), fresh);
        empty(&old);
        self.metrics.producer_replacements.inc();
        Ok(())
    }

    /// Partitions of each topic and the number of brokers, if every topic can be written to.
    pub(super) fn probe(&self, topics: &[String], timeout: Duration) -> Probe {
        let mut probe = Probe { brokers: 0, partitions: Vec::with_capacity(topics.len()), problem: None };
        for topic in topics {
            if let Err(problem) = probe.look_at(&self.prober, topic, timeout) {
                probe.problem.get_or_insert(problem);
                if probe.brokers == 0 {
                    break;
                }
            }
        }
        probe
    }

    /// Lets the client learn at once what has become of a topic that it knows: it would go on for minutes as if
    /// the topic were the one before. Tells whether it has learnt it.
    pub(super) fn learn(&self, topic: &str, timeout: Duration) -> bool {
        let client = self.current();
        let answer = ask(timeout, |timeout| client.client().fetch_metadata(Some(topic), timeout));
        if let Err(error) = &answer {
            tracing::debug!(%error, topic, "the Kafka client could not ask about a topic that has changed");
        }
        answer.is_ok()
    }

    /// Waits until nothing is in the client's hands, at most this long. Tells how much is left.
    pub(super) fn flush(&self, timeout: Duration) -> usize {
        let client = self.current();
        if let Err(error) = client.flush(timeout) {
            tracing::debug!(%error, "not every record was acknowledged before the deadline");
        }
        usize::try_from(client.in_flight_count()).unwrap_or(0)
    }

    /// Takes everything out of the client's hands, and lets the thread for refused records end.
    pub(super) fn close(&self) {
        empty(&self.current());
        // An error says that it has ended before.
        drop(self.refused.lock().unwrap_or_else(PoisonError::into_inner).send(None));
    }

    fn current(&self) -> Arc<Client> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the brokers tell about the topics.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) brokers: usize,
    /// Name and number of partitions of the topics; none of one that is not there.
    pub(super) partitions: Vec<(String, usize)>,
    /// The first thing that is wrong.
    pub(super) problem: Option<String>,
}

impl Probe {
    fn look_at(&mut self, client: &ThreadedProducer<Quiet>, topic: &str, timeout: Duration) -> Result<(), String> {
        let metadata = ask(timeout, |timeout| client.client().fetch_metadata(Some(topic), timeout))
            .map_err(|error| error.to_string())?;
        self.brokers = metadata.brokers().len();
        let found = metadata.topics().first().filter(|found| found.error().is_none());
        self.partitions.push((topic.to_owned(), found.map_or(0, |found| found.partitions().len())));
        let found = found.ok_or_else(|| format!("the topic {topic} is not there"))?;
        match found.partitions().iter().any(|partition| partition.leader() < 0) {
            true => Err(format!("the topic {topic} has a partition without a leader")),
            false => Ok(()),
        }
    }
}

fn connect(settings: &KafkaSettings, refused: &Refusals, metrics: &Arc<Metrics>) -> Result<Client, StartError> {
    let callbacks = Callbacks {
        metrics: Arc::clone(metrics),
        refused: Mutex::new(refused.clone()),
        failed_for_good: AtomicBool::new(false),
    };
    producer_config(settings).create_with_context(callbacks).map_err(StartError::Configuration)
}

/// Gives back everything that a client holds. Its events land as failed, and are kept elsewhere.
fn empty(client: &Client) {
    client.purge(PurgeConfig::default().queue().inflight());
    if let Err(error) = client.flush(PURGED_WITHIN) {
        tracing::error!(%error, "the Kafka client does not give back what it holds");
    }
}

/// Purged records need no broker to land.
const PURGED_WITHIN: Duration = Duration::from_secs(10);

impl std::fmt::Debug for Producer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Producer")
    }
}
