//! Whether events can be made durable now.
//!
//! A client object that exists says nothing. The watch asks the brokers, again and again, whether every
//! topic is there and every partition has a leader.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::kafka::Producer;
use crate::telemetry::metrics::Metrics;

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
    pub(super) fn watch(producer: Producer, topics: Vec<String>, metrics: Arc<Metrics>) -> Self {
        let unknown = KafkaState { ready: false, brokers: 0, problem: Some("not asked yet".to_owned()) };
        let state = Arc::new(Mutex::new(unknown));
        let (stop, stopped) = channel();
        let shared = Arc::clone(&state);
        let watch = move || {
            loop {
                let found = ask(&producer, &topics);
                metrics.ready.set(i64::from(found.ready));
                announce(&shared, found);
                if !matches!(stopped.recv_timeout(INTERVAL), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("kafka-health".to_owned()).spawn(watch) {
            tracing::error!(%error, "the broker can not be watched; the service stays not ready");
        }
        Self { state, stop: Mutex::new(Some(stop)) }
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

fn ask(producer: &Producer, topics: &[String]) -> KafkaState {
    match producer.probe(topics, TIMEOUT) {
        Ok(brokers) => KafkaState { ready: true, brokers, problem: None },
        Err(problem) => KafkaState { ready: false, brokers: 0, problem: Some(problem) },
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
