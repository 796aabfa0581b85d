//! Publishing what a replay makes: the events first, their letters' marks once they are durable.

use std::collections::HashMap;
use std::sync::Arc;

use super::{PATIENCE, ReplayError};
use crate::event::envelope::Record;
use crate::event::kind::STATE_TOPICS;
use crate::publish::ticket::Ticket;
use crate::publish::topics::MoreTopics;
use crate::publish::{Origin, Publisher};
use crate::settings::{Settings, Source};
use crate::telemetry::metrics::{Metrics, SourceMetrics};

/// So much is on its way before acknowledgements are waited for: well within the producer's queue.
const BATCH_LETTERS: usize = 500;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A publisher of a replay.
#[derive(Debug)]
pub(super) struct Outlet {
    publisher: Publisher,
    metrics: HashMap<String, Arc<SourceMetrics>>,
    pending: Vec<Pending>,
    pending_bytes: usize,
}

#[derive(Debug)]
struct Pending {
    ticket: Arc<Ticket>,
    mark: Record,
    origin: Arc<Origin>,
}

impl Outlet {
    /// # Errors
    /// When librdkafka does not accept the configuration, or Kafka is not ready.
    pub(super) async fn start(settings: &Settings) -> Result<Self, ReplayError> {
        let metrics = Arc::new(Metrics::new());
        let of_source = |source: &Source| {
            let metrics = metrics.source(&source.name, source.info.name, source.secrets);
            (source.name.clone(), Arc::new(metrics))
        };
        let more = MoreTopics { needed: STATE_TOPICS, aside: &[] };
        let publisher = Publisher::start(&settings.kafka, None, more, settings.dedup_window, &metrics)?;
        // Only then is it known how many partitions the topics have.
        if !publisher.health().wait_until_ready(PATIENCE).await {
            return Err(ReplayError::NotAcknowledged);
        }
        let metrics = settings.sources.iter().map(|source| of_source(source)).collect();
        Ok(Self { publisher, metrics, pending: Vec::new(), pending_bytes: 0 })
    }

    /// The metrics of a source, which the publisher wants.
    pub(super) fn metrics(&self, source: &Source) -> Arc<SourceMetrics> {
        Arc::clone(&self.metrics[&source.name])
    }

    /// Publishes the events of a letter and, once they are durable, its mark. Tells how many of them are
    /// not copies of others in this replay.
    pub(super) async fn publish(
        &mut self,
        origin: Arc<Origin>,
        events: Vec<Record>,
        mark: Record,
    ) -> Result<u64, ReplayError> {
        self.pending_bytes += events.iter().map(|event| event.value.len()).sum::<usize>();
        let submitted = self.publisher.submit(events, &origin);
        self.pending.push(Pending { ticket: submitted.ticket, mark, origin });
        if self.pending.len() >= BATCH_LETTERS || self.pending_bytes >= BATCH_BYTES {
            self.settle().await?;
        }
        Ok(submitted.fresh as u64)
    }

    /// Waits until every event is durable, then marks their letters and waits for the marks.
    ///
    /// # Errors
    /// When Kafka does not acknowledge. Letters without a mark are replayed again.
    pub(super) async fn settle(&mut self) -> Result<(), ReplayError> {
        self.pending_bytes = 0;
        let mut marks = Vec::with_capacity(self.pending.len());
        for Pending { ticket, mark, origin } in std::mem::take(&mut self.pending) {
            acknowledged(&ticket).await?;
            marks.push((mark, origin));
        }
        let tickets: Vec<Arc<Ticket>> =
            marks.into_iter().map(|(mark, origin)| self.publisher.submit(vec![mark], &origin).ticket).collect();
        for ticket in tickets {
            acknowledged(&ticket).await?;
        }
        Ok(())
    }
}

async fn acknowledged(ticket: &Ticket) -> Result<(), ReplayError> {
    match tokio::time::timeout(PATIENCE, ticket.durable()).await {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(ReplayError::NotAcknowledged),
    }
}
