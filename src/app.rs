//! Composition: from settings to a running service, and back to a stopped one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::event::country;
use crate::http::{self, Listening, admin};
use crate::ingest::Ingest;
use crate::outbound::real_sleep;
use crate::publish::topics::{self, MoreTopics, TopicsError};
use crate::publish::vitals::Vitals;
use crate::publish::{Left, Publisher};
use crate::reconcile::command;
use crate::reconcile::service::{self, Reconcilers};
use crate::settings::{KafkaSettings, Settings};
use crate::telemetry::metrics::Metrics;

/// How long to wait before looking whether a broker answers.
const LOOK_FIRST: Duration = Duration::from_millis(100);

/// How long to wait before looking again for topics that are missing.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How often it is looked for refused webhooks that the log has not told yet.
const TELL_AGAIN: Duration = Duration::from_secs(5);

/// What is kept of the time for stopping, at most, so that events can be saved even if requests take all the rest.
const SAVING: Duration = Duration::from_secs(2);

/// A running service.
#[derive(Debug)]
pub struct App {
    /// The public server.
    pub webhooks: Listening,
    /// The operators' server.
    pub admin: Listening,
    /// What both of them serve.
    pub ingest: Arc<Ingest>,
    /// What compares sources by schedule, where any is.
    pub reconcilers: Option<Arc<Reconcilers>>,
    stopping: Arc<AtomicBool>,
    tasks: [tokio::task::JoinHandle<()>; 2],
    shutdown_timeout: Duration,
}

impl App {
    /// Starts everything. Kafka need not be reachable: until it is, events go to the spool.
    ///
    /// # Errors
    /// When an address can not be bound or the Kafka client not be configured.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let listener = http::bind(settings.server.listen).context("server.listen")?;
        let admin_listener = http::bind(settings.admin_listen).context("admin.listen")?;
        settings.sources.iter().filter_map(|source| source.privacy.region).for_each(country::prepare);
        let metrics = Arc::new(Metrics::new());
        let compares = service::scheduled(&settings).next().is_some();
        let more = if compares { command::STATE } else { MoreTopics::default() };
        let publisher =
            Publisher::start(&settings.kafka, Some(&settings.spool), more, settings.dedup_window, &metrics)?;
        let publisher = Arc::new(publisher);
        let reconcilers =
            Reconcilers::start(&settings, &publisher, &metrics, service::real_clock(), real_sleep())?.map(Arc::new);
        let ingest = Arc::new(Ingest::new(settings.sources, publisher, metrics, &settings.kafka));
        let topics = tokio::spawn(look_after_topics(settings.kafka.clone(), more, Arc::downgrade(&ingest)));
        let tasks = [topics, tokio::spawn(tell_warnings(Arc::downgrade(&ingest)))];
        let stopping = Arc::new(AtomicBool::new(false));
        let state = admin::State {
            ingest: Arc::clone(&ingest),
            reconcilers: reconcilers.clone(),
            stopping: Arc::clone(&stopping),
        };
        let webhooks = http::serve_webhooks(&settings.server, listener, &ingest)?;
        let admin = http::serve_admin(admin_listener, state)?;
        tracing::info!(webhooks = %webhooks.address, admin = %admin.address, "listening");
        let shutdown_timeout = settings.server.shutdown_timeout;
        Ok(Self { webhooks, admin, ingest, reconcilers, stopping, tasks, shutdown_timeout })
    }

    /// Waits until a part of the service ends by itself, which is always a failure.
    pub async fn ended(&mut self) -> anyhow::Error {
        let vitals = self.vitals();
        let ended = tokio::select! {
            ended = self.webhooks.ended() => ended.context("the webhook server"),
            ended = self.admin.ended() => ended.context("the admin server"),
            part = vitals.failed() => return anyhow::anyhow!("{part} has ended, and nothing goes on without it"),
        };
        match ended {
            Ok(()) => anyhow::anyhow!("a server ended without being told to"),
            Err(error) => error,
        }
    }

    fn vitals(&self) -> Arc<Vitals> {
        Arc::clone(self.ingest.publisher().vitals())
    }

    /// Stops: not ready at once, requests in flight finish, what Kafka has not acknowledged goes to the
    /// spool, and is waited for. All of it has one deadline, `server.shutdown_timeout_ms`, of which a part is kept
    /// for the saving.
    pub async fn stop(self) -> Left {
        self.stopping.store(true, Ordering::Release);
        self.vitals().stopping();
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        let deadline = Instant::now() + self.shutdown_timeout;
        let requests_until = deadline - (self.shutdown_timeout / 4).min(SAVING);
        let leaving = leave(self.reconcilers.as_deref(), requests_until);
        let answering = tokio::time::timeout_at(requests_until.into(), self.webhooks.stop());
        let ((), answered) = tokio::join!(leaving, answering);
        if answered.is_err() {
            tracing::warn!("requests that have not come to an end are left unanswered; their providers repeat them");
        }
        let ingest = Arc::clone(&self.ingest);
        let stopped = tokio::task::spawn_blocking(move || ingest.publisher().stop(deadline)).await;
        self.admin.stop().await;
        match stopped {
            Ok(left) => left,
            // Nothing is known of the events then, which must not be told as if all of them had arrived.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Compares nothing more, and lets others do it at once.
async fn leave(reconcilers: Option<&Reconcilers>, deadline: Instant) {
    let Some(reconcilers) = reconcilers else { return };
    if !reconcilers.stop(deadline).await {
        tracing::warn!("the group could not be left in time; others compare its sources after ten seconds");
    }
}

/// Has the log tell of webhooks that no later one of their kind follows.
async fn tell_warnings(ingest: Weak<Ingest>) {
    while let Some(ingest) = ingest.upgrade() {
        let metrics = ingest.metrics();
        [&*metrics.refusals, &metrics.misdirected].into_iter().for_each(|warnings| warnings.tell(Instant::now()));
        drop(ingest);
        tokio::time::sleep(TELL_AGAIN).await;
    }
}

/// Makes the topics that are missing, at the start and whenever one has gone, and tells what is unwise about them.
async fn look_after_topics(settings: KafkaSettings, more: MoreTopics, ingest: Weak<Ingest>) {
    let (mut advised, mut made, mut problem) = (false, false, None);
    while let Some(state) = ingest.upgrade().map(|ingest| ingest.publisher().health().state()) {
        if state.brokers == 0 {
            tokio::time::sleep(LOOK_FIRST).await;
            continue;
        }
        if settings.create_topics && !(state.ready && advised && made) {
            made = create_topics(&settings, more, &mut problem).await;
        }
        if !advised && (state.ready || !settings.create_topics) {
            advised = advise(&settings).await;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Tells whether every topic is there. A problem is told once, and once more when it is another one. Whether brokers
/// answer is told elsewhere.
async fn create_topics(settings: &KafkaSettings, more: MoreTopics, problem: &mut Option<String>) -> bool {
    let made = topics::create_missing(settings, more).await;
    let is_made = made.is_ok();
    match made {
        Ok(created) if created.is_empty() => *problem = None,
        Ok(created) => tracing::info!(topics = created.join(", "), "created topics"),
        Err(error @ TopicsError::Unreachable { .. }) => tracing::debug!(%error, "the topics could not be looked at"),
        Err(error) => {
            let cause = format!("{:#}", anyhow::Error::from(error));
            if problem.as_ref() != Some(&cause) {
                tracing::warn!(cause, "the topics could not be created");
                *problem = Some(cause);
            }
        }
    }
    is_made
}

/// Tells what is unwise about the topics, and whether they could be looked at.
async fn advise(settings: &KafkaSettings) -> bool {
    let asked = settings.clone();
    let mut states = match tokio::task::spawn_blocking(move || topics::look(&asked)).await {
        Ok(Ok(states)) => states,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the topics could not be looked at");
            return false;
        }
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    if let Err(error) = topics::describe(settings, &mut states).await {
        // Who may not ask for settings is not allowed to the next time either.
        tracing::debug!("the brokers do not tell the topics' settings: {:#}", anyhow::Error::from(error));
    }
    states.iter().flat_map(|state| state.advice(settings)).for_each(|sentence| tracing::warn!("{sentence}"));
    true
}
