//! What every Kafka client of ours is configured with, and how its log becomes ours.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use secrecy::ExposeSecret;
use thiserror::Error;

use crate::config::KafkaSettings;
use crate::event::kind::LARGE_RECORD_BYTES;
use crate::spool::SpoolError;

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
    // To ask about a topic would make it, with whatever partitions, replicas and retention the broker gives to all.
    config.set("allow.auto.create.topics", "false");
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

/// Properties for which we have a default of our own, by all names that librdkafka knows them under.
const DEFAULTS: &[(&[&str], &str)] = &[(&["compression.type", "compression.codec"], "lz4"), (&["linger.ms"], "0")];

/// The producer's own settings. Those after the user's properties are the ones nobody may change.
pub fn producer_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = client_config(settings);
    for (names, default) in DEFAULTS {
        if !settings.properties.iter().any(|(given, _)| names.contains(&given.as_str())) {
            config.set(names[0], *default);
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

/// What librdkafka says of a failure, without what changes each time: "... (after 1ms in state CONNECT, 3 identical
/// error(s) suppressed)". It names brokers and causes, and no values of the configuration.
pub(super) fn reason_of(sentence: &str) -> String {
    sentence.split(" (after ").next().unwrap_or_default().trim().to_owned()
}

/// Of a client that remembers why it can not reach brokers.
#[derive(Debug, Default)]
pub(super) struct Listening(Mutex<Option<String>>);

impl Listening {
    /// What was said last, once.
    pub(super) fn take_reason(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Listening {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        log_client(level, fac, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the Kafka client reports an error");
        // "All brokers are down" only sums up what was said before.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason_of(reason));
        }
    }
}

impl ProducerContext for Listening {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
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

/// Connection failures repeat for as long as a broker is away; the readiness watch tells about the
/// change itself, once.
pub(super) fn log_client(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // A fresh cluster needs a moment for this, and librdkafka asks again by itself.
        RDKafkaLogLevel::Warning if facility == "GETPID" => tracing::debug!(facility, "Kafka client: {message}"),
        // Upkeep tells it, once for all clients that fail in the same way.
        RDKafkaLogLevel::Emerg if facility == "FATAL" => tracing::debug!(facility, "Kafka client: {message}"),
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "Kafka client: {message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, "Kafka client: {message}"),
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, "Kafka client: {message}");
        }
    }
}
