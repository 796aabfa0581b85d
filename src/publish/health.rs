//! Whether events can be made durable now.
//!
//! A client object that exists says nothing. The watch asks the brokers, again and again, whether every
//! topic is there and every partition has a leader.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Core;
use super::client::StartError;
use super::vitals::Ends;

const INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(2);

/// The last known state of the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KafkaState {
    /// Whether records can be written to every topic.
    pub ready: bool,
    /// Brokers in the cluster, when last asked.
    pub brokers: usize,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Watches the broker on a thread of its own.
#[derive(Debug)]
pub struct Health {
    state: Arc<Mutex<KafkaState>>,
    stop: Mutex<Option<Sender<()>>>,
}

impl Health {
    pub(super) fn watch(core: &Arc<Core>, topics: Vec<String>) -> Result<Self, StartError> {
        let unknown = KafkaState { ready: false, brokers: 0, problem: Some("not asked yet".to_owned()) };
        let state = Arc::new(Mutex::new(unknown));
        let (stop, stopped) = channel();
        let shared = Arc::clone(&state);
        let vitals = Arc::clone(&core.vitals);
        let core = Arc::clone(core);
        let watch = move || {
            loop {
                let found = core.ask(&topics);
                announce(&shared, found);
                if !matches!(stopped.recv_timeout(INTERVAL), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
            }
        };
        // Nobody waits for its end: it may be asking brokers that do not answer.
        drop(vitals.spawn("kafka-health", Ends::Never, watch)?);
        Ok(Self { state, stop: Mutex::new(Some(stop)) })
    }

    /// The state when last asked.
    pub fn state(&self) -> KafkaState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the broker was found ready, at most this long.
    pub async fn wait_until_ready(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while !self.state().ready {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    pub(super) fn stop(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Core {
    /// Asks the brokers, and hands on how many partitions the topics have.
    fn ask(&self, topics: &[String]) -> KafkaState {
        let probe = self.prober.probe(topics, TIMEOUT);
        for (topic, partitions) in &probe.partitions {
            // What the producer could not be told stays news, and is told when the brokers are asked again.
            if self.lanes.is_news(topic, *partitions) && !self.shared.producer.learn(topic, TIMEOUT) {
                continue;
            }
            self.lanes.note_partitions(topic, *partitions);
        }
        self.shared.kafka_is_ready.store(probe.problem.is_none(), Ordering::Release);
        KafkaState { ready: probe.problem.is_none(), brokers: probe.brokers, problem: probe.problem }
    }
}

/// Logs a change once, not every failed attempt.
fn announce(shared: &Mutex<KafkaState>, found: KafkaState) {
    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if found.ready && !state.ready {
        tracing::info!(brokers = found.brokers, "Kafka is ready");
    }
    if !found.ready && *state != found {
        tracing::warn!(problem = found.problem.as_deref().unwrap_or_default(), "Kafka is not ready");
    }
    *state = found;
}
