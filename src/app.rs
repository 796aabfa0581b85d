//! Composition: from settings to a running service, and back to a stopped one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::config::{KafkaSettings, OnKafkaDown, Settings};
use crate::http::{self, Listening, admin};
use crate::ingest::Ingest;
use crate::publish::{Publisher, topics};
use crate::telemetry::metrics::Metrics;

/// How long to wait before asking again for topics that could not be created.
const CREATE_AGAIN: Duration = Duration::from_secs(2);

/// A running service.
#[derive(Debug)]
pub struct App {
    /// The public server.
    pub webhooks: Listening,
    /// The operators' server.
    pub admin: Listening,
    /// What both of them serve.
    pub ingest: Arc<Ingest>,
    stopping: Arc<AtomicBool>,
    topic_creation: Option<tokio::task::JoinHandle<()>>,
    shutdown_timeout: Duration,
}

impl App {
    /// Starts everything. Kafka need not be reachable: until it is, the service is not ready and
    /// answers 503.
    ///
    /// # Errors
    /// When an address can not be bound or the Kafka client not be configured.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let listener = http::bind(settings.server.listen).context("server.listen")?;
        let admin_listener = http::bind(settings.admin_listen).context("admin.listen")?;
        let metrics = Arc::new(Metrics::new());
        warn_of_spool(&settings);
        let publisher = Publisher::start(&settings.kafka, settings.dedup_window, &metrics)?;
        let topic_creation = settings.kafka.create_topics.then(|| tokio::spawn(create_topics(settings.kafka.clone())));
        let ingest = Arc::new(Ingest::new(settings.sources, publisher, metrics, &settings.kafka));
        let stopping = Arc::new(AtomicBool::new(false));
        let state = admin::State { ingest: Arc::clone(&ingest), stopping: Arc::clone(&stopping) };
        let webhooks = http::serve_webhooks(&settings.server, listener, &ingest)?;
        let admin = http::serve_admin(admin_listener, state)?;
        tracing::info!(webhooks = %webhooks.address, admin = %admin.address, "listening");
        Ok(Self {
            webhooks,
            admin,
            ingest,
            stopping,
            topic_creation,
            shutdown_timeout: settings.server.shutdown_timeout,
        })
    }

    /// Waits until a part of the service ends by itself, which is always a failure.
    pub async fn ended(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            ended = self.webhooks.ended() => ended.context("the webhook server"),
            ended = self.admin.ended() => ended.context("the admin server"),
        };
        match ended {
            Ok(()) => anyhow::anyhow!("a server ended without being told to"),
            Err(error) => error,
        }
    }

    /// Stops: not ready at once, requests in flight finish, what is on its way to Kafka is waited for.
    /// Tells how many records were left without an acknowledgement; none of them was answered 200.
    pub async fn stop(self) -> usize {
        self.stopping.store(true, Ordering::Release);
        if let Some(task) = self.topic_creation {
            task.abort();
        }
        let deadline = Instant::now() + self.shutdown_timeout;
        self.webhooks.stop().await;
        let ingest = Arc::clone(&self.ingest);
        let timeout = deadline.saturating_duration_since(Instant::now());
        let flushed = tokio::task::spawn_blocking(move || ingest.publisher().flush(timeout)).await;
        self.admin.stop().await;
        match flushed {
            Ok(left) => left,
            // Nothing is known of the records then, which must not be told as if all of them had arrived.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

async fn create_topics(settings: KafkaSettings) {
    loop {
        match topics::create_missing(&settings).await {
            Ok(created) if created.is_empty() => return,
            Ok(created) => return tracing::info!(topics = created.join(", "), "created topics"),
            Err(error) => {
                let cause = format!("{:#}", anyhow::Error::from(error));
                tracing::warn!(cause, "the topics could not be looked at or created yet");
            }
        }
        tokio::time::sleep(CREATE_AGAIN).await;
    }
}

/// The default policy promises more than this version keeps, so it says so.
fn warn_of_spool(settings: &Settings) {
    let spooling = settings.sources.iter().filter(|source| source.on_kafka_down == OnKafkaDown::Spool);
    if spooling.count() > 0 {
        tracing::info!(
            "the disk spool is not part of this version: while Kafka does not acknowledge, webhooks are answered \
             503 and the provider repeats them"
        );
    }
}
