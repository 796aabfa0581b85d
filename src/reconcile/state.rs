//! Records of the state topic, as a command reads and writes them: the last value under each key counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::time::timeout;

use crate::event::envelope::Record;
use crate::event::headers::Headers;
use crate::event::kind::STATE_TOPIC;
use crate::event::time::Time;
use crate::publish::reader::{From, ReadError, Reader};
use crate::publish::{Origin, Publisher, topics};
use crate::request::Method;
use crate::settings::{KafkaSettings, Policy};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// Why the state topic can not be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// It can not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Reading came to a halt.
    #[error("nothing more of the state topic could be read for {} s", PATIENCE.as_secs())]
    Stuck,
    /// Kafka did not take a record.
    #[error("Kafka does not acknowledge a record of the state topic")]
    NotAcknowledged,
}

/// The state of one source.
#[derive(Debug, Clone)]
pub struct State {
    kafka: KafkaSettings,
    publisher: Arc<Publisher>,
    source_name: Arc<str>,
}

impl State {
    /// Reads and writes nothing yet.
    pub fn new(kafka: &KafkaSettings, publisher: &Arc<Publisher>, source_name: &str) -> Self {
        Self { kafka: kafka.clone(), publisher: Arc::clone(publisher), source_name: source_name.into() }
    }

    /// The last value under a key, if there is one. The whole topic is read for it.
    ///
    /// # Errors
    /// When it can not be read to its end.
    pub async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let (kafka, key) = (self.kafka.clone(), key.to_owned());
        let read = tokio::task::spawn_blocking(move || last_value(&kafka, &key)).await;
        read.unwrap_or(Err(StateError::Stuck))
    }

    /// Writes a value, and waits until it is acknowledged. It lies where the source's owner reads it.
    ///
    /// # Errors
    /// When it is not.
    pub async fn write(&self, key: String, value: Vec<u8>) -> Result<(), StateError> {
        let record = Record {
            topic: &STATE_TOPIC,
            key,
            placed_by: Some(Arc::clone(&self.source_name)),
            headers: Headers::content_type("application/json"),
            value,
            kind: None,
            identity: None,
        };
        let ticket = self.publisher.submit(vec![record], &Arc::new(self.origin())).ticket;
        match timeout(PATIENCE, ticket.durable()).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(StateError::NotAcknowledged),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            source_name: Arc::clone(&self.source_name),
            provider: "".into(),
            method: Method::Get,
            remote_addr: None,
            received_at: Time::now(),
            policy: Policy::Strict,
            ack_timeout: PATIENCE,
            metrics: None,
        }
    }
}

fn last_value(kafka: &KafkaSettings, key: &str) -> Result<Option<Vec<u8>>, StateError> {
    let name = [topics::full_name(kafka, &STATE_TOPIC)];
    let mut reader = match Reader::open(kafka, &name, From::Beginning) {
        Err(ReadError::NoTopic(_)) => return Ok(None),
        opened => opened?,
    };
    let (mut last, mut deadline) = (None, Instant::now() + PATIENCE);
    while !reader.is_at_end() {
        match reader.next_before_end(POLL)? {
            Some(record) => {
                deadline = Instant::now() + PATIENCE;
                if record.key == key {
                    last = Some(record.value);
                }
            }
            None if Instant::now() >= deadline => return Err(StateError::Stuck),
            None => {}
        }
    }
    Ok(last)
}
