//! The way of one webhook: authenticate, normalise, publish, wait. Knows no HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use ulid::Ulid;

mod records;

use crate::event::envelope::Mode;
use crate::provider::Reply;
use crate::publish::{self, Publisher, Submitted};
use crate::request::{Head, RawRequest};
use crate::settings::Policy;
use crate::settings::{KafkaSettings, Source};
use crate::telemetry::metrics::{Metrics, RequestOutcome, SourceMetrics};
use crate::verify::{self, Admission, AuthError, Verified};
use records::{RecordSink, Unpublishable};

/// One source at work.
#[derive(Debug)]
pub struct ActiveSource {
    /// Its configuration.
    pub source: Arc<Source>,
    /// Its metrics.
    pub metrics: Arc<SourceMetrics>,
    name: Arc<str>,
}

/// Everything a webhook passes through.
#[derive(Debug)]
pub struct Ingest {
    sources: HashMap<String, ActiveSource>,
    publisher: Arc<Publisher>,
    metrics: Arc<Metrics>,
    mode: Mode,
    /// Whether the exact requests are published too.
    raw: bool,
}

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything it holds is durable, and this is what the provider wants to read.
    Durable(Option<Reply>),
    /// It is not authentic.
    Unauthenticated,
    /// It is signed at a time that lies ahead of our clock, which is therefore wrong.
    ClockAhead,
    /// Its events could not be made durable in time.
    Unavailable,
}

/// What was made of a webhook, on its way to Kafka.
struct Taken {
    submitted: Submitted,
    outcome: RequestOutcome,
    reply: Option<Reply>,
}

impl Ingest {
    /// Sets the sources to work.
    pub fn new(
        sources: Vec<Arc<Source>>,
        publisher: Arc<Publisher>,
        metrics: Arc<Metrics>,
        kafka: &KafkaSettings,
    ) -> Self {
        let sources = sources.into_iter().map(|source| {
            let metrics = metrics.source(&source.name, source.info.name, source.secrets);
            let active = ActiveSource { name: source.name.as_str().into(), metrics: Arc::new(metrics), source };
            (active.source.name.clone(), active)
        });
        Self { sources: sources.collect(), publisher, metrics, mode: kafka.envelope, raw: kafka.raw_topic }
    }

    /// Finds a source by its name in the URL.
    pub fn source(&self, name: &str) -> Option<&ActiveSource> {
        self.sources.get(name)
    }

    /// Whether events can be made durable: by Kafka, or by the spool, if any source uses it.
    pub fn is_ready(&self) -> bool {
        let uses_spool = || self.sources.values().any(|active| active.source.on_kafka_down == Policy::Spool);
        let takes_events = self.publisher.health().state().ready || (self.publisher.spool().ready && uses_spool());
        takes_events && self.publisher.vitals().ended().is_empty()
    }

    /// The publisher behind it.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Judges a webhook by its head, before its body is read.
    ///
    /// # Errors
    /// The outcome, when no body could make it authentic.
    pub fn admit<'s>(&self, active: &'s ActiveSource, head: Head<'_, '_>) -> Result<Admission<'s>, Outcome> {
        let source = &active.source;
        verify::admit(head, &*source.provider, &source.doors).map_err(|error| self.refuse(active, error))
    }

    /// Takes one webhook whose head was admitted. The answer is [`Outcome::Durable`] only after Kafka has
    /// acknowledged everything that it holds, or the spool has synced it.
    pub async fn take(&self, active: &ActiveSource, admission: Admission<'_>, request: &RawRequest<'_>) -> Outcome {
        let source = &active.source;
        let verified = match admission.confirm(request, &*source.provider, &source.doors) {
            Ok(verified) => verified,
            Err(error) => return self.refuse(active, error),
        };
        let Taken { submitted, outcome, reply } = match self.submit(active, &verified) {
            Ok(taken) => taken,
            Err(error) => {
                tracing::error!(%error, source.name = %active.name, "a webhook can not be published");
                active.metrics.request(RequestOutcome::Unavailable);
                return Outcome::Unavailable;
            }
        };
        let wait = tokio::time::timeout(submitted.patience, submitted.ticket.durable());
        let durable = wait.await.unwrap_or(false);
        active.metrics.request(if durable { outcome } else { RequestOutcome::Unavailable });
        if durable { Outcome::Durable(reply) } else { Outcome::Unavailable }
    }

    /// Refuses a webhook whose body is too large to hold the signature that its head lacks.
    pub fn refuse_unsigned(&self, active: &ActiveSource) -> Outcome {
        self.refuse(active, AuthError::Missing)
    }

    fn refuse(&self, active: &ActiveSource, error: AuthError) -> Outcome {
        if error == AuthError::FromTheFuture {
            active.metrics.request(RequestOutcome::ClockAhead);
            return Outcome::ClockAhead;
        }
        tracing::debug!(source.name = %active.name, reason = error.code(), "a webhook is not authentic");
        self.metrics.unauthenticated(&active.metrics, error);
        active.metrics.request(RequestOutcome::Unauthenticated);
        Outcome::Unauthenticated
    }

    /// Hands everything that a request holds to the publisher.
    fn submit(&self, active: &ActiveSource, verified: &Verified<'_>) -> Result<Taken, Unpublishable> {
        let request = verified.request();
        active.metrics.authentic(verified.proof().secret_index, request.received_at.unix_seconds());
        let mut sink = RecordSink::new(active, verified, Ulid::generate().to_string(), self);
        active.source.provider.normalize(verified, &mut sink);
        let (events, faults, reply) = (sink.events, sink.faults, sink.reply);
        let records = sink.finish()?;
        let origin = publish::Origin {
            source_name: Arc::clone(&active.name),
            provider: active.source.info.name.into(),
            method: request.method,
            remote_addr: request.remote_addr,
            received_at: request.received_at,
            policy: active.source.on_kafka_down,
            ack_timeout: active.source.ack_timeout,
            metrics: Some(Arc::clone(&active.metrics)),
        };
        let submitted = self.publisher.submit(records, &Arc::new(origin));
        // A raw request is always news, also that of a copy.
        let outcome = match (events, faults, submitted.fresh - usize::from(self.raw)) {
            (0, 0, _) => RequestOutcome::Ignored,
            (0, _, _) => RequestOutcome::NotUnderstood,
            (_, 0, 0) => RequestOutcome::Duplicate,
            _ => RequestOutcome::Accepted,
        };
        Ok(Taken { submitted, outcome, reply })
    }
}
