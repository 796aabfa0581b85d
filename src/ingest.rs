//! The way of one webhook: authenticate, normalise, publish, wait. Knows no HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use ulid::Ulid;

use crate::config::Source;
use crate::event::envelope::{Ingest as IngestFacts, Mode, Origin as EventOrigin, Record};
use crate::providers::Normalized;
use crate::publish::{self, Publisher, Submitted, dead_letter};
use crate::request::RawRequest;
use crate::telemetry::metrics::{Metrics, RequestOutcome, SourceMetrics};
use crate::verify::{self, AuthError, Verified};

/// One source at work.
#[derive(Debug)]
pub struct ActiveSource {
    /// Its configuration.
    pub source: Source,
    /// Its metrics.
    pub metrics: Arc<SourceMetrics>,
    name: Arc<str>,
}

/// Everything a webhook passes through.
#[derive(Debug)]
pub struct Ingest {
    sources: HashMap<String, ActiveSource>,
    publisher: Publisher,
    metrics: Arc<Metrics>,
    mode: Mode,
}

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything it holds is durable.
    Durable,
    /// It is not authentic.
    Unauthenticated,
    /// Its events could not be made durable in time.
    Unavailable,
}

impl Ingest {
    /// Sets the sources to work.
    pub fn new(sources: Vec<Source>, publisher: Publisher, metrics: Arc<Metrics>, mode: Mode) -> Self {
        let sources = sources.into_iter().map(|source| {
            let metrics = metrics.source(&source.name, source.info.name, source.secrets);
            let active = ActiveSource { name: source.name.as_str().into(), metrics: Arc::new(metrics), source };
            (active.source.name.clone(), active)
        });
        Self { sources: sources.collect(), publisher, metrics, mode }
    }

    /// Finds a source by its name in the URL.
    pub fn source(&self, name: &str) -> Option<&ActiveSource> {
        self.sources.get(name)
    }

    /// The publisher behind it.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes one webhook. The answer is [`Outcome::Durable`] only after Kafka has acknowledged
    /// everything that it holds.
    pub async fn take(&self, active: &ActiveSource, request: &RawRequest<'_>) -> Outcome {
        let source = &active.source;
        let verified = match verify::authenticate(request, &*source.provider, &source.doors) {
            Ok(verified) => verified,
            Err(error) => return self.refuse(active, error),
        };
        let (submitted, outcome) = match self.submit(active, &verified) {
            Ok(submitted) => submitted,
            Err(error) => {
                // Records are made of types that JSON can always hold. Should one not be writable after
                // all, the provider keeps the webhook, rather than us losing it with a 200.
                tracing::error!(%error, source.name = %active.name, "a record could not be written as JSON");
                active.metrics.request(RequestOutcome::Unavailable);
                return Outcome::Unavailable;
            }
        };
        let wait = tokio::time::timeout(source.ack_timeout, submitted.ticket.durable());
        let durable = wait.await.unwrap_or(false);
        active.metrics.request(if durable { outcome } else { RequestOutcome::Unavailable });
        if durable { Outcome::Durable } else { Outcome::Unavailable }
    }

    fn refuse(&self, active: &ActiveSource, error: AuthError) -> Outcome {
        tracing::debug!(source.name = %active.name, reason = error.code(), "a webhook is not authentic");
        self.metrics.unauthenticated(&active.metrics, error);
        active.metrics.request(RequestOutcome::Unauthenticated);
        Outcome::Unauthenticated
    }

    /// Hands everything that a request holds to the publisher.
    fn submit(
        &self,
        active: &ActiveSource,
        verified: &Verified<'_>,
    ) -> Result<(Submitted, RequestOutcome), serde_json::Error> {
        let request = verified.request();
        active.metrics.authentic(verified.proof().secret_index, request.received_at.unix_seconds());
        let normalized = active.source.provider.normalize(verified);
        let (events, faults) = (normalized.events.len(), normalized.faults.len());
        for field in &normalized.unmapped {
            self.metrics.unmapped(&active.metrics, field);
        }
        let records = self.records(active, verified, normalized)?;
        let origin = publish::Origin {
            source_name: Arc::clone(&active.name),
            provider: active.source.info.name,
            method: request.method,
            remote_addr: request.remote_addr,
            received_at: request.received_at,
            metrics: Arc::clone(&active.metrics),
        };
        let submitted = self.publisher.submit(records, &Arc::new(origin));
        let outcome = match (events, faults, submitted.fresh) {
            (0, 0, _) => RequestOutcome::Ignored,
            (0, _, _) => RequestOutcome::NotUnderstood,
            (_, 0, 0) => RequestOutcome::Duplicate,
            _ => RequestOutcome::Accepted,
        };
        Ok((submitted, outcome))
    }

    fn records(
        &self,
        active: &ActiveSource,
        verified: &Verified<'_>,
        normalized: Normalized<'_>,
    ) -> Result<Vec<Record>, serde_json::Error> {
        let (request, proof) = (verified.request(), verified.proof());
        let ingest = IngestFacts {
            via: "webhook",
            verification: proof.verification.as_str(),
            scheme: proof.scheme,
            raw_id: Ulid::generate().to_string(),
        };
        let provider = active.source.info.name;
        let origin =
            EventOrigin { provider, source_name: &active.name, received_at: request.received_at, ingest: &ingest };
        let mut records = Vec::with_capacity(normalized.events.len() + normalized.faults.len());
        for event in normalized.events {
            records.push(event.into_record(&origin, &active.source.privacy, self.mode)?);
        }
        for fault in normalized.faults {
            tracing::warn!(source.name = %active.name, reason = fault.code, "a webhook was not understood");
            self.metrics.dead_letter(&active.metrics, fault.code);
            records.push(dead_letter::of_fault(&fault, request, &active.name, provider)?);
        }
        Ok(records)
    }
}
