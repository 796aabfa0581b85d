//! Publishing rows that the topics lack.
//!
//! They wait for Kafka and never go to the spool: a row can be asked for again, and the spool is for webhooks, which can
//! not. Nothing is submitted while events of webhooks wait to be drained.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::event::envelope::Record;
use crate::event::time::Time;
use crate::publish::ticket::Ticket;
use crate::publish::{Origin, Publisher};
use crate::request::Method;
use crate::settings::Policy;
use crate::telemetry::metrics::{Metrics, SourceMetrics};

/// So much is on its way before acknowledgements are waited for.
pub(super) const BATCH_EVENTS: usize = 500;
pub(super) const BATCH_BYTES: usize = 8 * 1024 * 1024;

const ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// How long Kafka is waited for before rows are left for the next time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Looks at the drain so often.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Why rows are not published.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    /// Kafka has not taken them in time.
    #[error("Kafka does not take what is to be published")]
    NotTaken,
    /// A record could not be written, which its types do not allow.
    #[error("a record could not be written as JSON")]
    NotJson(#[from] serde_json::Error),
}

/// Where the rows of one source go.
#[derive(Debug)]
pub struct Outlet<'o> {
    /// The publisher of the process.
    pub publisher: &'o Publisher,
    /// Its metrics.
    pub metrics: &'o Metrics,
    /// Those of the source.
    pub source_metrics: Arc<SourceMetrics>,
    /// Name of the source.
    pub source_name: Arc<str>,
    /// Name of the provider.
    pub provider: &'static str,
}

impl Outlet<'_> {
    /// Publishes records that came at one time, and waits until all of them are acknowledged. What fails is tried again
    /// as soon as Kafka is ready, as `records` makes it anew.
    ///
    /// # Errors
    /// When Kafka has not taken them in ten minutes, or `records` fails.
    pub async fn publish(
        &self,
        mut records: impl FnMut() -> Result<Vec<(Record, Time)>, serde_json::Error>,
    ) -> Result<(), NotPublished> {
        let published = async {
            while !self.try_once(records()?).await {}
            Ok(())
        };
        timeout(PATIENCE, published).await.unwrap_or(Err(NotPublished::NotTaken))
    }

    async fn try_once(&self, records: Vec<(Record, Time)>) -> bool {
        self.wait_for_kafka().await;
        let submit = |(record, at)| self.publisher.submit(vec![record], &Arc::new(self.origin(at))).ticket;
        let tickets: Vec<Arc<Ticket>> = records.into_iter().map(submit).collect();
        let mut all = true;
        for ticket in tickets {
            all &= timeout(ACK_TIMEOUT, ticket.durable()).await.unwrap_or(false);
        }
        all
    }

    /// Waits until Kafka is ready, and nothing of the webhooks waits to be drained.
    pub async fn wait_for_kafka(&self) {
        while !self.publisher.health().state().ready || self.metrics.lanes_open.get() > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn origin(&self, received_at: Time) -> Origin {
        Origin {
            source_name: Arc::clone(&self.source_name),
            provider: self.provider.into(),
            method: Method::Get,
            remote_addr: None,
            received_at,
            policy: Policy::Strict,
            ack_timeout: ACK_TIMEOUT,
            metrics: Some(Arc::clone(&self.source_metrics)),
        }
    }
}
