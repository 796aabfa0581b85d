//! Records of the state topic, as a command reads and writes them: the last value under each key counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::time::timeout;

use super::cursor::{Cursor, CursorFault};
use super::ownership::place_of;
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
        let read = tokio::task::spawn_blocking(move || {
            last_values(&kafka, &|other| other == key).map(|mut values| values.remove(&key))
        });
        read.await.unwrap_or(Err(StateError::Stuck))
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

/// A stream's cursor, as it was found.
#[derive(Debug)]
pub struct Found {
    /// The source.
    pub source_name: String,
    /// The stream.
    pub stream: String,
    /// The cursor, if it can be read.
    pub cursor: Result<Cursor, CursorFault>,
}

/// The cursors of a source, or of all, by source and stream. The whole topic is read for it.
///
/// # Errors
/// When it can not be read to its end.
pub async fn cursors(kafka: &KafkaSettings, source_name: Option<&str>) -> Result<Vec<Found>, StateError> {
    let (kafka, wanted) = (kafka.clone(), source_name.map(str::to_owned));
    let is_wanted =
        move |key: &str| place_of(key).is_some_and(|(name, _)| wanted.as_ref().is_none_or(|wanted| wanted == name));
    let read = tokio::task::spawn_blocking(move || last_values(&kafka, &is_wanted)).await;
    let values = read.unwrap_or(Err(StateError::Stuck))?;
    let found = values.iter().filter_map(|(key, value)| {
        let (source_name, stream) = place_of(key)?;
        let cursor = Cursor::read(value, source_name, stream);
        Some(Found { source_name: source_name.to_owned(), stream: stream.to_owned(), cursor })
    });
    Ok(found.collect())
}

/// The last value under each key that is wanted.
fn last_values(
    kafka: &KafkaSettings,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, Vec<u8>>, StateError> {
    let name = [topics::full_name(kafka, &STATE_TOPIC)];
    let mut reader = match Reader::open(kafka, &name, From::Beginning) {
        Err(ReadError::NoTopic(_)) => return Ok(BTreeMap::new()),
        opened => opened?,
    };
    let (mut last, mut deadline) = (BTreeMap::new(), Instant::now() + PATIENCE);
    while !reader.is_at_end() {
        match reader.next_before_end(POLL)? {
            Some(record) => {
                deadline = Instant::now() + PATIENCE;
                if is_wanted(&record.key) {
                    last.insert(record.key, record.value);
                }
            }
            None if Instant::now() >= deadline => return Err(StateError::Stuck),
            None => {}
        }
    }
    Ok(last)
}
