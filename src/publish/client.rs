//! What every Kafka client of ours is configured with, and how its log becomes ours.

use std::io;
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
