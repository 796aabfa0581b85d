//! What a provider makes of a request, written as records one by one.

use thiserror::Error;

use super::{ActiveSource, Ingest};
use crate::event::Event;
use crate::event::envelope::{Ingest as IngestFacts, Mode, Reception, Record};
use crate::event::time::Time;
use crate::provider::{Fault, Reply, Sink};
use crate::publish::{dead_letter, raw};
use crate::telemetry::metrics::Metrics;
use crate::verify::Verified;

/// What one request may bring: as much as the producer's queue holds, so that it can be on its way at one time.
const MAX_BYTES: usize = 64 * 1024 * 1024;
const MAX_RECORDS: usize = 100_000;

/// Why a request's records can not be published.
#[derive(Debug, Error)]
pub(super) enum Unpublishable {
    /// A record could not be written. Records are made of types that JSON can always hold, so this is
    /// a defect of ours; the provider keeps the webhook, rather than us losing it with a 200.
    #[error("a record could not be written as JSON")]
    NotJson(#[source] serde_json::Error),
    /// The request holds more than the producer's queue does.
    #[error("the webhook holds more than 100,000 records or 64 MiB of them")]
    TooMuch,
}

/// Writes each event and each fault as soon as the provider hands it over, so that only the finished
/// records of a batch are held.
pub(super) struct RecordSink<'s> {
    active: &'s ActiveSource,
    verified: &'s Verified<'s>,
    ingest: IngestFacts<'s>,
    received_at: Time,
    mode: Mode,
    metrics: &'s Metrics,
    records: Vec<Record>,
    bytes: usize,
    error: Option<Unpublishable>,
    pub(super) events: usize,
    pub(super) faults: usize,
    pub(super) reply: Option<Reply>,
}

impl<'s> RecordSink<'s> {
    pub(super) fn new(
        active: &'s ActiveSource,
        verified: &'s Verified<'s>,
        raw_id: String,
        ingest: &'s Ingest,
    ) -> Self {
        let proof = verified.proof();
        let facts =
            IngestFacts { via: "webhook", verification: proof.verification.as_str(), scheme: &proof.scheme, raw_id };
        let mut sink = Self {
            active,
            verified,
            ingest: facts,
            received_at: verified.request().received_at,
            mode: ingest.mode,
            metrics: &ingest.metrics,
            records: Vec::new(),
            bytes: 0,
            error: None,
            events: 0,
            faults: 0,
            reply: None,
        };
        // The evidence goes before what is made of it: should the process die in between, there may be a
        // request without its events, which a replay makes good, but hardly an event without its request.
        if ingest.raw {
            let name = &active.name;
            sink.keep(raw::of_verified(verified, &sink.ingest.raw_id, name, active.source.info.name));
        }
        sink
    }

    /// The records, if every one of them could be written.
    pub(super) fn finish(self) -> Result<Vec<Record>, Unpublishable> {
        if self.faults > 0 {
            tracing::warn!(source.name = %self.active.name, faults = self.faults, "not all of a webhook was understood");
        }
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.records),
        }
    }

    /// Keeps a record, unless the request has grown beyond what can be on its way at one time. Such a
    /// request is refused as a whole, and nothing more of it is kept.
    fn keep(&mut self, record: Result<Record, serde_json::Error>) {
        match record {
            Err(error) => self.error = Some(Unpublishable::NotJson(error)),
            Ok(_) if self.error.is_some() => {}
            Ok(record) => {
                self.bytes += record.value.len();
                self.records.push(record);
                if self.bytes > MAX_BYTES || self.records.len() > MAX_RECORDS {
                    self.records = Vec::new();
                    self.error = Some(Unpublishable::TooMuch);
                }
            }
        }
    }
}

impl<'r> Sink<'r> for RecordSink<'_> {
    fn event(&mut self, event: Event<'r>) {
        self.events += 1;
        let reception = Reception {
            provider: self.active.source.info.name,
            source_name: &self.active.name,
            received_at: self.received_at,
            ingest: &self.ingest,
        };
        let record = event.into_record(&reception, &self.active.source.privacy, self.mode);
        self.keep(record);
    }

    fn fault(&mut self, fault: Fault<'r>) {
        self.faults += 1;
        self.metrics.dead_letter(&self.active.metrics, fault.code);
        let (name, provider) = (&self.active.name, self.active.source.info.name);
        let letter = dead_letter::of_verified(&fault, self.verified, &self.ingest.raw_id, name, provider);
        self.keep(letter);
    }

    fn unmapped(&mut self, field: &'static str) {
        self.metrics.unmapped(&self.active.metrics, field);
    }

    fn reply(&mut self, reply: Reply) {
        self.reply = Some(reply);
    }

    fn misdirected(&mut self, advice: &'static str) {
        self.metrics.misdirected(&self.active.metrics, advice);
    }
}
