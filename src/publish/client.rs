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
use rdkafka::types::RDKafkaConfRes;
use secrecy::ExposeSecret;
use thiserror::Error;

use super::cause::Cause;
use super::veil::Veil;
use crate::event::kind::LARGE_RECORD_BYTES;
use crate::section::secret::Secret;
use crate::settings::KafkaSettings;
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
    let client = client_config(settings).create_with_context(Listening::new(settings, cause));
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

/// What is wrong with a property, in fixed words: librdkafka quotes what it does not accept.
pub fn property_fault(name: &str, value: &Secret) -> Option<&'static str> {
    let mut config = ClientConfig::new();
    config.set(name, value.value.expose_secret());
    config.create_native_config().err().map(|error| fault(&error))
}

const NOT_BUILT_IN: &[&str] = &["not supported in this build", "not available at build time"];

fn fault(error: &KafkaError) -> &'static str {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
            "is no property of librdkafka; its CONFIGURATION.md names them"
        }
        KafkaError::ClientConfig(_, sentence, ..) if NOT_BUILT_IN.iter().any(|words| sentence.contains(words)) => {
            "needs a part of librdkafka that is not built in"
        }
        KafkaError::Nul(_) => "has a zero byte in its value",
        _ => "has a value that librdkafka does not accept; its CONFIGURATION.md tells what it does",
    }
}

/// Names the properties that librdkafka is not content with. Its own sentence is not repeated, since a value may stand
/// in it, whole or in part.
pub(super) fn not_accepted(settings: &KafkaSettings, error: &KafkaError) -> StartError {
    if let KafkaError::ClientConfig(_, _, key, _) = error {
        return StartError::Configuration(format!("kafka.properties.\"{key}\" {}", fault(error)));
    }
    let sentence = error.to_string();
    let mut named = properties_named(&sentence);
    if named.is_empty() {
        named = settings.properties.iter().map(|(name, _)| name.clone()).collect();
    }
    let reason = REASONS.iter().find(|(words, _)| sentence.contains(words)).map_or(TOGETHER, |(_, reason)| reason);
    StartError::Configuration(format!("{}: {reason}", named.join(", ")))
}

/// What librdkafka says of properties that are right one by one, and the words for it.
const REASONS: &[(&str, &str)] = &[
    ("No provider for SASL mechanism", NO_MECHANISM),
    ("Unsupported SASL mechanism", NO_MECHANISM),
    ("must be set", "one of them is missing or does not go with the others"),
    ("No such file or directory", "a file is not there"),
    ("Permission denied", "a file may not be read"),
    ("PEM", "what should be PEM is none"),
];

const NO_MECHANISM: &str =
    "sasl.mechanism can be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; GSSAPI, its default, is not built in";

const TOGETHER: &str = "librdkafka does not accept them together; its CONFIGURATION.md tells what belongs to what";

/// The words of a sentence that librdkafka knows as properties. Their names are public.
fn properties_named(sentence: &str) -> Vec<String> {
    let Ok(known) = ClientConfig::new().create_native_config() else { return Vec::new() };
    let words = sentence.split(|letter: char| !letter.is_ascii_alphanumeric() && !"._".contains(letter));
    let words = words.map(|word| word.trim_matches('.')).filter(|word| word.contains('.'));
    words.filter(|word| known.get(word).is_ok()).map(str::to_owned).collect()
}

/// Of a client that nothing is published by, and that remembers why it can not reach brokers.
#[derive(Debug, Clone)]
pub(super) struct Listening {
    cause: Arc<Cause>,
    veil: Veil,
}

impl Listening {
    pub(super) fn new(settings: &KafkaSettings, cause: &Arc<Cause>) -> Self {
        Self { cause: Arc::clone(cause), veil: Veil::of(settings) }
    }

    /// Why brokers are not reached.
    pub(super) fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl ClientContext for Listening {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        let message = self.veil.over(log_message);
        note_failure(&self.cause, fac, &message);
        // What is configured for the producer need not fit it, and does no harm.
        let level = if fac == "CONFWARN" { RDKafkaLogLevel::Debug } else { level };
        log_client(level, fac, &message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&self.cause, &error, &self.veil.over(reason));
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
    use crate::event::envelope::Mode;
    use crate::section::secret::Secret;

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
    fn what_is_not_accepted_is_named_and_no_value_is_repeated() {
        let hidden = "hunter2hunter2";
        for (name, told) in [
            ("compression.type", "does not accept"),
            ("sasl.pasword", "is no property"),
            ("queue.buffering.max.ms", "does not accept"),
            ("socket.nagle.disable", "does not accept"),
            ("debug", "does not accept"),
        ] {
            let settings = settings(name, hidden, "text");
            let fault = property_fault(name, &settings.properties[0].1).unwrap_or_else(|| panic!("{name}"));
            assert!(fault.contains(told), "{name}: {fault}");
            let error = not_accepted(&settings, &producer_config(&settings).create::<BaseProducer>().err().unwrap());
            assert!(error.to_string().contains(name), "{name}: {error}");
            assert!(!format!("{error} {error:?}").contains(hidden), "{name}: {error:?}");
        }
        let oidc = settings("sasl.oauthbearer.method", "oidc", "text");
        let fault = property_fault("sasl.oauthbearer.method", &oidc.properties[0].1).unwrap();
        assert!(fault.contains("not built in"), "{fault}");
        let zero = settings("client.id", "hunter2\0", "text");
        assert!(property_fault("client.id", &zero.properties[0].1).unwrap().contains("zero byte"));
        assert!(!validate(&zero).unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn properties_that_do_not_go_together_are_named() {
        let text = |value: &str| Secret { value: SecretString::from(value), origin: "text".to_owned() };
        let told = |properties: &[(&str, &str)]| {
            let mut settings = settings("security.protocol", "SASL_SSL", "text");
            settings.properties.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
            validate(&settings).unwrap_err().to_string()
        };
        let mechanism = told(&[("sasl.mechanism", "GSSAPI")]);
        assert!(mechanism.contains("sasl.mechanism can be PLAIN"), "{mechanism}");
        let file = told(&[("sasl.mechanism", "PLAIN"), ("ssl.ca.location", "/nowhere/hunter2")]);
        assert!(file.contains("ssl.ca.location") && !file.contains("hunter2"), "{file}");
        let pem = told(&[("sasl.mechanism", "PLAIN"), ("ssl.key.pem", "hunter2hunter2")]);
        assert!(pem.contains("ssl.key.pem") && !pem.contains("hunter2"), "{pem}");
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
