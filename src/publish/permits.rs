//! Whether brokers let us write to topics, asked without writing anything.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};

use super::client::{StartError, client_config, log_client, not_accepted};
use super::veil::Veil;
use crate::settings::KafkaSettings;

/// How many brokers shall acknowledge, in a way that Kafka does not know: who may write is looked at first, and then
/// the whole request is refused.
const UNKNOWN_ACKS: &str = "2";

const TIMEOUT: Duration = Duration::from_secs(5);

/// What keeps a topic from being written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, as far as can be told.
    Writable,
    /// Brokers say so.
    Refused(RDKafkaErrorCode),
    /// The broker is none of Apache Kafka's: it has taken the record that was sent to be refused.
    Taken,
}

/// Asks for each topic in turn, until one can not be asked for. Blocks for some seconds at most.
///
/// # Errors
/// When there can be no client.
pub fn ask(settings: &KafkaSettings, topics: &[String]) -> Result<Vec<(String, Verdict)>, StartError> {
    let (told, heard) = channel();
    let client = connect(settings, told)?;
    let mut verdicts = Vec::new();
    for topic in topics {
        let verdict = match client.send(BaseRecord::<(), ()>::to(topic).partition(0)) {
            // The client tells an outcome for each record, in this time or a little later.
            Ok(()) => heard.recv_timeout(TIMEOUT * 2).unwrap_or(Verdict::Refused(RDKafkaErrorCode::MessageTimedOut)),
            Err((error, _)) => verdict_on(&error),
        };
        let goes_on = !matches!(verdict, Verdict::Taken | Verdict::Refused(RDKafkaErrorCode::MessageTimedOut));
        verdicts.push((topic.clone(), verdict));
        if !goes_on {
            break;
        }
    }
    Ok(verdicts)
}

fn connect(settings: &KafkaSettings, told: Sender<Verdict>) -> Result<ThreadedProducer<Verdicts>, StartError> {
    let mut config = client_config(settings);
    config
        .set("acks", UNKNOWN_ACKS)
        .set("enable.idempotence", "false")
        .set("message.timeout.ms", TIMEOUT.as_millis().to_string());
    config
        .create_with_context(Verdicts { told, veil: Veil::of(settings) })
        .map_err(|error| not_accepted(settings, &error))
}

fn verdict_on(error: &KafkaError) -> Verdict {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::InvalidRequiredAcks) => Verdict::Writable,
        Some(code) => Verdict::Refused(code),
        None => Verdict::Refused(RDKafkaErrorCode::Unknown),
    }
}

/// Hands on what becomes of records.
struct Verdicts {
    told: Sender<Verdict>,
    veil: Veil,
}

impl ClientContext for Verdicts {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        // It asks in a way that nobody would configure a producer for.
        let level = if fac == "CONFWARN" { RDKafkaLogLevel::Debug } else { level };
        log_client(level, fac, &self.veil.over(log_message));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.veil.over(reason);
        tracing::debug!(%error, %reason, "the Kafka client reports an error");
    }
}

impl ProducerContext for Verdicts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let verdict = result.as_ref().map_or_else(|(error, _)| verdict_on(error), |_| Verdict::Taken);
        // Nobody listens any more when it comes too late.
        drop(self.told.send(verdict));
    }
}
