//! The client that asks about topics, and what the brokers tell it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::producer::Producer as _;

use super::cause::Cause;
use super::client::{Asking, StartError, ask, asking, there};
use crate::settings::KafkaSettings;

/// Asks about topics. librdkafka serves the partitions of every topic that a client has asked about in
/// turn, and begins a turn anywhere among them: were the producer to ask, its few busy partitions would be
/// served in no fair order, and some of them late.
///
/// A client may be unable to connect again after an outage, though brokers are there. So one that has had no
/// answer several times in a row is replaced.
pub(super) struct Prober {
    settings: KafkaSettings,
    client: Mutex<Arc<Asking>>,
    cause: Arc<Cause>,
    unanswered: AtomicU32,
}

/// So often brokers do not answer before another client asks them.
const UNANSWERED_AT_MOST: u32 = 4;

impl Prober {
    pub(super) fn start(settings: &KafkaSettings) -> Result<Self, StartError> {
        let cause = Arc::new(Cause::default());
        let client = Mutex::new(Arc::new(asking(settings, &cause)?));
        Ok(Self { settings: settings.clone(), client, cause, unanswered: AtomicU32::new(0) })
    }

    /// Partitions of each topic and the number of brokers, if every topic can be written to.
    pub(super) fn probe(&self, topics: &[String], timeout: Duration) -> Probe {
        let client = Arc::clone(&self.client.lock().unwrap_or_else(PoisonError::into_inner));
        let mut probe = Probe { brokers: 0, partitions: Vec::with_capacity(topics.len()), problem: None };
        for topic in topics {
            if let Err(problem) = probe.look_at(&client, topic, timeout) {
                if probe.brokers == 0 {
                    probe.problem = Some(self.cause.told().unwrap_or(problem));
                    break;
                }
                probe.problem.get_or_insert(problem);
            }
        }
        if !topics.is_empty() {
            self.note_answer(probe.brokers > 0);
        }
        probe
    }

    fn note_answer(&self, answered: bool) {
        if answered {
            self.cause.forget();
            self.unanswered.store(0, Ordering::Release);
        } else if self.unanswered.fetch_add(1, Ordering::AcqRel) + 1 >= UNANSWERED_AT_MOST {
            self.unanswered.store(0, Ordering::Release);
            match asking(&self.settings, &self.cause) {
                Ok(fresh) => *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh),
                Err(error) => tracing::warn!(%error, "no other client could be made to ask the brokers"),
            }
        }
    }
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Prober")
    }
}

/// What the brokers tell about the topics.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) brokers: usize,
    /// Name and number of partitions of the topics; none of one that is not there.
    pub(super) partitions: Vec<(String, usize)>,
    /// The first thing that is wrong.
    pub(super) problem: Option<String>,
}

impl Probe {
    fn look_at(&mut self, client: &Asking, topic: &str, timeout: Duration) -> Result<(), String> {
        let metadata = ask(timeout, |timeout| client.client().fetch_metadata(Some(topic), timeout))
            .map_err(|error| error.to_string())?;
        self.brokers = metadata.brokers().len();
        let found = there(&metadata);
        self.partitions.push((topic.to_owned(), found.as_ref().map_or(0, |found| found.partitions().len())));
        let found = found.map_err(|reason| format!("the topic {topic} {reason}"))?;
        match found.partitions().iter().any(|partition| partition.leader() < 0) {
            true => Err(format!("the topic {topic} has a partition without a leader")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::client::tests::settings;

    #[test]
    fn a_client_that_gets_no_answer_several_times_in_a_row_is_replaced() {
        let prober = Prober::start(&settings("client.id", "me", "text")).unwrap();
        let client = || Arc::as_ptr(&prober.client.lock().unwrap());
        let first = client();
        for answered in [false, false, false, true, false, false, false] {
            prober.note_answer(answered);
            assert_eq!(client(), first, "an answer begins the count anew");
        }
        let nobody = prober.probe(&["t".to_owned()], Duration::from_millis(1));
        assert_eq!(nobody.brokers, 0);
        assert_ne!(client(), first);
    }
}
