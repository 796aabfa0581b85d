//! What every Kafka client of ours is configured with, and how its log becomes ours.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext, ThreadedProducer};
use secrecy::ExposeSecret;
use thiserror::Error;

use super::cause::Cause;
use crate::config::KafkaSettings;
use crate::config::section::names_a_secret;
use crate::event::kind::LARGE_RECORD_BYTES;
use crate::spool::SpoolError;

/// Why the producer could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// librdkafka does not accept the configuration.
    #[error("the Kafka client does not accept its configuration: {0}")]
    Configuration(String),
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
        // That a broker closes a connection is told at this level, with a guess why.
        .set_log_level(RDKafkaLogLevel::Info);
    for (name, value) in &settings.properties {
        config.set(name, value.value.expose_secret());
    }
    config.set("bootstrap.servers", &settings.bootstrap_servers);
    // To ask about a topic would make it, with whatever partitions, replicas and retention the broker gives to all.
    config.set("allow.auto.create.topics", "false");
    config
}

/// A client that asks brokers, and knows why it does not reach them.
pub(super) type Asking = ThreadedProducer<Listening>;

pub(super) fn asking(settings: &KafkaSettings, cause: &Arc<Cause>) -> Result<Asking, StartError> {
    let client = client_config(settings).create_with_context(Listening(Arc::clone(cause)));
    client.map_err(|error| not_accepted(settings, &error))
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

/// Why a topic can not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unusable {
    /// There is none of this name.
    #[error("is not there")]
    Missing,
    /// The brokers say so.
    #[error("can not be used: {0}")]
    Refused(RDKafkaErrorCode),
}

/// The topic that was asked about.
pub(super) fn there(metadata: &Metadata) -> Result<&MetadataTopic, Unusable> {
    let found = metadata.topics().first().ok_or(Unusable::Missing)?;
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(found),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Err(Unusable::Missing),
        Some(code) => Err(Unusable::Refused(code)),
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
    let created = producer_config(settings).create::<BaseProducer>();
    created.map(drop).map_err(|error| not_accepted(settings, &error))
}

/// librdkafka quotes what it does not accept, which may be a secret.
pub(super) fn not_accepted(settings: &KafkaSettings, error: &KafkaError) -> StartError {
    let KafkaError::ClientConfig(_, sentence, key, _) = error else {
        return StartError::Configuration(error.to_string());
    };
    let given = settings.properties.iter().find(|(name, _)| name == key);
    StartError::Configuration(match given {
        Some((_, value)) if !value.is_literal() || names_a_secret(key) => {
            format!("the value of kafka.properties.\"{key}\" ({})", value.origin)
        }
        Some(_) => format!("kafka.properties.\"{key}\": {sentence}"),
        None => sentence.clone(),
    })
}

/// Of a client that remembers why it can not reach brokers.
#[derive(Debug, Default, Clone)]
pub(super) struct Listening(pub(super) Arc<Cause>);

impl ClientContext for Listening {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        note_failure(&self.0, fac, log_message);
        // It is no producer that anything is written by, or not even one.
        let level = if fac == "CONFWARN" { RDKafkaLogLevel::Debug } else { level };
        log_client(level, fac, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&self.0, &error, reason);
    }
}

impl ProducerContext for Listening {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl ConsumerContext for Listening {}

/// Some failures are only logged, a connection that the broker has closed for instance.
pub(super) fn note_failure(cause: &Cause, facility: &str, message: &str) {
    if facility == "FAIL" {
        cause.hear(message, Instant::now());
    }
}

/// "All brokers are down" only sums up what was said before.
pub(super) fn note_error(cause: &Cause, error: &KafkaError, reason: &str) {
    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
        cause.hear(reason, Instant::now());
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
        // Properties may be meant for what reads, such as `tail`.
        RDKafkaLogLevel::Warning if message.contains("will be ignored by this") => {
            tracing::debug!(facility, "Kafka client: {message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(facility, "Kafka client: {message}"),
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, "Kafka client: {message}");
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::config::Secret;
    use crate::event::envelope::Mode;

    /// Settings with one property.
    pub(crate) fn settings(name: &str, value: &str, origin: &str) -> KafkaSettings {
        let value = Secret { value: SecretString::from(value), origin: origin.to_owned() };
        KafkaSettings {
            bootstrap_servers: "127.0.0.1:1".to_owned(),
            topic_prefix: String::new(),
            create_topics: false,
            raw_topic: false,
            envelope: Mode::Binary,
            properties: vec![(name.to_owned(), value)],
        }
    }

    #[test]
    fn what_is_not_accepted_is_named_and_told_only_where_it_stands_in_the_configuration() {
        let told = |name, value, origin| validate(&settings(name, value, origin)).unwrap_err().to_string();
        let literal = told("compression.type", "small", "text");
        assert!(literal.contains("kafka.properties.\"compression.type\"") && literal.contains("small"), "{literal}");
        let kept = told("compression.type", "hunter2", "env:PACKED");
        assert!(
            kept.contains("compression.type") && kept.contains("env:PACKED") && !kept.contains("hunter2"),
            "{kept}"
        );
        let unknown = told("compressing", "hunter2", "env:PACKED");
        assert!(unknown.contains("compressing") && !unknown.contains("hunter2"), "{unknown}");
    }

    #[test]
    fn a_default_of_ours_gives_way_to_what_is_given_under_any_of_its_names() {
        for (given, other) in
            [("compression.codec", "compression.type"), ("compression.type", "compression.codec"), ("client.id", "")]
        {
            let config = producer_config(&settings(given, "zstd", "text"));
            assert_eq!((config.get(given), config.get(other)), (Some("zstd"), None), "{given}");
        }
        let config = producer_config(&settings("client.id", "me", "text"));
        assert_eq!((config.get("compression.type"), config.get("linger.ms")), (Some("lz4"), Some("0")));
    }
}
