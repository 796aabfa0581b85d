//! The producer: librdkafka, configured so that nothing is lost, doubled or put out of order.
//!
//! It knows no lanes. Whoever hands it a record hands it a [`Fate`] too, which hears what has become of it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};

use super::client::{StartError, ask, log_client, not_accepted, note_error, note_failure, producer_config};
use super::deliveries::Deliveries;
use super::veil::Veil;
use crate::event::envelope::Record;
use crate::settings::KafkaSettings;
use crate::telemetry::metrics::Metrics;

/// A record in the client's hands. Its outcome is told once, on the client's thread.
pub(super) trait Fate: std::fmt::Debug + Send + Sync + 'static {
    /// When it was handed over.
    fn since(&self) -> Instant;
    /// Every replica that must has it.
    fn acknowledged(self: Box<Self>, now: Instant);
    /// It is given back, for a reason that may pass.
    fn failed(self: Box<Self>, now: Instant);
    /// It is at fault, or another record of its request is.
    fn refused(self: Box<Self>, refusal: Refusal, now: Instant);
}

/// What Kafka refuses.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The record's value.
    pub(super) value: Vec<u8>,
    /// Why, from a fixed list.
    pub(super) reason: &'static str,
}

/// Why a record could not be handed to the client.
#[derive(Debug)]
pub(super) enum SendError {
    /// The record is at fault, for this reason.
    Refused(&'static str),
    /// The queue is full, or the client can not take anything.
    Unavailable,
}

/// Callbacks of the client. They run on its own thread.
#[derive(Debug)]
pub(super) struct Callbacks<F> {
    metrics: Arc<Metrics>,
    deliveries: Arc<Deliveries>,
    veil: Veil,
    fates: std::marker::PhantomData<fn(F)>,
}

impl<F: Fate> ClientContext for Callbacks<F> {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        let message = self.veil.over(log_message);
        note_failure(self.deliveries.cause(), fac, &message);
        log_client(level, fac, &message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(self.deliveries.cause(), &error, &self.veil.over(reason));
    }
}

impl<F: Fate> ProducerContext for Callbacks<F> {
    type DeliveryOpaque = Box<F>;

    fn delivery(&self, result: &DeliveryResult<'_>, fate: Box<F>) {
        self.metrics.unacknowledged.dec();
        let now = Instant::now();
        match result {
            // When a batch is acknowledged, the client counts those before it as delivered too, without an
            // offset ("implicit acknowledgement"). A leader that has just changed may have refused the first
            // batch and taken the second, so only an offset proves that a record was appended. A record that
            // was there all the same is published once more, under the same id.
            Ok(message) if message.offset() < 0 => {
                self.metrics.delivery_failed("ImplicitAcknowledgement".to_owned());
                fate.failed(now);
            }
            Ok(message) => {
                let since = fate.since();
                self.deliveries.acknowledged(message.topic());
                fate.acknowledged(now);
                self.metrics.publish_duration.observe((now - since).as_secs_f64());
            }
            Err((error, message)) => self.failed(error, message, fate, now),
        }
    }
}

impl<F: Fate> Callbacks<F> {
    fn failed(&self, error: &KafkaError, message: &BorrowedMessage<'_>, fate: Box<F>, now: Instant) {
        if let Some(reason) = refusal(error) {
            let value = message.payload().unwrap_or_default().to_vec();
            return fate.refused(Refusal { value, reason }, now);
        }
        tracing::debug!(%error, topic = message.topic(), "a record was not delivered");
        let code = error.rdkafka_error_code().map_or_else(|| "unknown".to_owned(), |code| format!("{code:?}"));
        self.note(error, message.topic(), now);
        self.metrics.delivery_failed(code);
        fate.failed(now);
    }

    /// Takes note of a failure that says something about a topic and that nobody else tells: what is purged was not
    /// tried, whether the topic is there is asked elsewhere, and so is why the client has failed for good.
    fn note(&self, error: &KafkaError, topic: &str, now: Instant) {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(Code::QueueFull | Code::PurgeQueue | Code::PurgeInflight | Code::Fatal) => {}
            Some(Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition) => {}
            Some(code) => self.deliveries.failed(topic, code.to_string(), now),
            None => self.deliveries.failed(topic, error.to_string(), now),
        }
    }
}

/// Faults of a record: asking again would be refused again. Brokers look at requests, and tell the fault of one
/// record for all that came with it. Everything else is a fault of the way to Kafka, and passes.
fn refusal(error: &KafkaError) -> Option<&'static str> {
    match error.rdkafka_error_code()? {
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge => Some("record_too_large"),
        RDKafkaErrorCode::InvalidRecord
        | RDKafkaErrorCode::InvalidDifferentRecord
        | RDKafkaErrorCode::InvalidMessageSize => Some("record_invalid"),
        _ => None,
    }
}

type Client<F> = ThreadedProducer<Callbacks<F>>;

/// The one producer of the process: a client that is replaced when it has failed for good.
pub(super) struct Producer<F: Fate> {
    client: RwLock<Arc<Client<F>>>,
    settings: KafkaSettings,
    metrics: Arc<Metrics>,
    deliveries: Arc<Deliveries>,
}

impl<F: Fate> Producer<F> {
    pub(super) fn start(settings: &KafkaSettings, metrics: &Arc<Metrics>) -> Result<Self, StartError> {
        let deliveries = Arc::new(Deliveries::new(Instant::now()));
        let client = RwLock::new(Arc::new(connect(settings, metrics, &deliveries)?));
        Ok(Self { client, settings: settings.clone(), metrics: Arc::clone(metrics), deliveries })
    }

    /// What has been delivered lately.
    pub(super) fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    pub(super) fn send(&self, topic: &str, partition: i32, record: &Record, fate: Box<F>) -> Result<(), SendError> {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        let headers = record
            .headers
            .iter()
            .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let message = BaseRecord::with_opaque_to(topic, fate)
            .partition(partition)
            .key(&record.key)
            .payload(&record.value)
            .headers(headers);
        self.metrics.unacknowledged.inc();
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        client.send(message).map_err(|(error, _)| {
            self.metrics.unacknowledged.dec();
            match refusal(&error) {
                Some(reason) => SendError::Refused(reason),
                None => {
                    tracing::debug!(%error, topic, "the Kafka client takes no record");
                    client.context().note(&error, topic, Instant::now());
                    SendError::Unavailable
                }
            }
        })
    }

    /// Why the client has failed for good, if it has: it takes and delivers nothing any more then.
    pub(super) fn end(&self) -> Option<String> {
        let client = self.current();
        let (_, reason) = client.client().fatal_error()?;
        Some(client.context().veil.over(&reason).into_owned())
    }

    /// Puts a new client in the place of one that has failed for good or is stuck. Everything that the old one held
    /// lands before this returns, unless it was acknowledged.
    pub(super) fn replace(&self) -> Result<(), StartError> {
        let fresh = Arc::new(connect(&self.settings, &self.metrics, &self.deliveries)?);
        let old = std::mem::replace(&mut *self.client.write().unwrap_or_else(PoisonError::into_inner), fresh);
        empty(&old, PURGED_WITHIN);
        self.deliveries.begin_anew(Instant::now());
        self.metrics.producer_replacements.inc();
        Ok(())
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

    /// Waits until nothing is in the client's hands, at most this long.
    pub(super) fn flush(&self, timeout: Duration) {
        if let Err(error) = self.current().flush(timeout) {
            tracing::debug!(%error, "not every record was acknowledged before the deadline");
        }
    }

    /// Takes everything out of the client's hands.
    pub(super) fn close(&self) {
        empty(&self.current(), PURGED_WITHIN);
    }

    fn current(&self) -> Arc<Client<F>> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn connect<F: Fate>(
    settings: &KafkaSettings,
    metrics: &Arc<Metrics>,
    deliveries: &Arc<Deliveries>,
) -> Result<Client<F>, StartError> {
    let (metrics, deliveries) = (Arc::clone(metrics), Arc::clone(deliveries));
    let veil = Veil::of(settings);
    let callbacks = Callbacks { metrics, deliveries, veil, fates: std::marker::PhantomData };
    let client = producer_config(settings).create_with_context(callbacks);
    client.map_err(|error| not_accepted(settings, &error))
}

/// Gives back everything that a client holds. Its events land as failed, and are kept elsewhere.
fn empty<F: Fate>(client: &Client<F>, within: Duration) {
    client.purge(PurgeConfig::default().queue().inflight());
    if let Err(error) = client.flush(within) {
        tracing::error!(%error, "the Kafka client does not give back what it holds");
    }
}

/// Purged records need no broker to land.
const PURGED_WITHIN: Duration = Duration::from_secs(10);

impl<F: Fate> std::fmt::Debug for Producer<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Producer")
    }
}
