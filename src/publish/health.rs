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
use super::prober::Probe;
use super::vitals::Ends;

const INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long the producer may hold events without any outcome while others are spooled already.
const SILENCE: Duration = Duration::from_secs(1);

/// How much longer than its request has waited for it an event may be in flight.
const LATE: Duration = Duration::from_millis(500);

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
    core: Arc<Core>,
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
        let (watched, core) = (Arc::clone(core), Arc::clone(core));
        let watch = move || {
            let mut announced = KafkaState { ready: false, brokers: 0, problem: None };
            loop {
                let found = core.ask(&topics);
                let told = core.with_deliveries(found.clone());
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = found;
                announce(&mut announced, told);
                if !matches!(stopped.recv_timeout(INTERVAL), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
            }
        };
        // Nobody waits for its end: it may be asking brokers that do not answer.
        drop(vitals.spawn("kafka-health", Ends::Never, watch)?);
        Ok(Self { core: watched, state, stop: Mutex::new(Some(stop)) })
    }

    /// What the brokers told when last asked, and what has become of events since.
    pub fn state(&self) -> KafkaState {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.core.with_deliveries(state)
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
    /// Brokers that answer are not ready if nothing is delivered to them.
    fn with_deliveries(&self, state: KafkaState) -> KafkaState {
        if !state.ready {
            return state;
        }
        let (now, deliveries) = (Instant::now(), self.shared.producer.deliveries());
        let silent = self.shared.metrics.lanes_open.get() > 0 && deliveries.silent_for(now) > SILENCE;
        let is_needed = |topic: &Arc<str>| !self.aside.iter().any(|aside| **aside == **topic);
        let late = silent || self.lanes.topics_later_than(LATE, now).iter().any(is_needed);
        match deliveries.problem(late, &self.aside, now) {
            Some(problem) => KafkaState { ready: false, problem: Some(problem), ..state },
            None => state,
        }
    }

    /// The prober may know what the producer does not: that brokers have another address now, say, or that a topic
    /// may be written to. A producer to which brokers are silent, or some of them, is made to ask for itself.
    fn nudge(&self) {
        let now = Instant::now();
        let producer = &self.shared.producer;
        let silent = producer.deliveries().silent_for(now) > SILENCE;
        let late = if silent { Vec::new() } else { self.lanes.topics_later_than(SILENCE, now) };
        for topic in self.lanes.used_topics() {
            if silent || late.contains(&topic) || producer.deliveries().has_failed(&topic) {
                producer.learn(&topic, TIMEOUT);
            }
        }
    }

    fn note_partitions(&self, probe: &Probe) {
        for (topic, partitions) in &probe.partitions {
            // What the producer could not be told stays news, and is told when the brokers are asked again.
            if self.lanes.is_news(topic, *partitions) && !self.shared.producer.learn(topic, TIMEOUT) {
                continue;
            }
            self.lanes.note_partitions(topic, *partitions);
        }
    }

    /// Asks the brokers, and hands on how many partitions the topics have.
    fn ask(&self, topics: &[String]) -> KafkaState {
        let probe = self.prober.probe(topics, TIMEOUT);
        self.note_partitions(&probe);
        self.shared.brokers_answer.store(probe.brokers > 0, Ordering::Release);
        if probe.brokers > 0 {
            self.note_partitions(&self.prober.probe(&self.aside, TIMEOUT));
            self.nudge();
        }
        KafkaState { ready: probe.problem.is_none(), brokers: probe.brokers, problem: probe.problem }
    }
}

/// Logs a change once, not every failed attempt.
fn announce(state: &mut KafkaState, found: KafkaState) {
    if found.ready && !state.ready {
        tracing::info!(brokers = found.brokers, "Kafka is ready");
    }
    if !found.ready && *state != found {
        tracing::warn!(problem = found.problem.as_deref().unwrap_or_default(), "Kafka is not ready");
    }
    *state = found;
}
