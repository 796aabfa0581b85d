//! What stands in Kafka at the end, read as a consumer reads it.

use std::time::{Duration, Instant};

use serde::Deserialize;
use trunkline::config::{self, Environment, KafkaSettings};
use trunkline::event::kind;
use trunkline::publish::reader::{From, ReadRecord, Reader};
use ulid::Ulid;

use crate::traffic::SECRET;

/// Long enough for the slowest machine; only a hang takes as long.
const PATIENCE: Duration = Duration::from_secs(300);

/// One record of a topic, as far as the verdict needs it.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) topic: String,
    /// Grows when the topic is deleted and made again.
    pub(crate) generation: u32,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: String,
    pub(crate) event_id: String,
    /// The fact by the provider's own ids; `None` for what is no event, such as a dead letter.
    pub(crate) fact: Option<String>,
    /// What a dead letter tells.
    pub(crate) letter: Option<Letter>,
}

impl Published {
    /// Its place among all records of its partition.
    pub(crate) fn position(&self) -> (u32, i64) {
        (self.generation, self.offset)
    }
}

/// A dead letter, as far as the verdict needs it.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// Why it was written.
    pub(crate) code: String,
    /// The fact of the event in it, if it is one.
    pub(crate) fact: Option<String>,
    /// When it was written, in milliseconds since 1970: its id tells.
    pub(crate) written_ms: u64,
}

/// The members of an event that name its fact.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    kind: String,
    event_id: String,
    message_id: String,
    status_raw: String,
    call_id: String,
    event_raw: String,
    record_id: String,
    dead_letter_id: String,
    reason: Reason,
    body: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    code: String,
}

/// Reads every topic from its beginning to its present end.
pub(crate) fn read(configuration: &str) -> Vec<Published> {
    read_topics(configuration, kind::topics().map(|topic| topic.suffix))
}

/// Reads some topics from their beginning to their present end.
pub(crate) fn read_topics(configuration: &str, suffixes: impl Iterator<Item = &'static str>) -> Vec<Published> {
    let settings = kafka_settings(configuration);
    let topics: Vec<String> = suffixes.map(|suffix| format!("{}{suffix}", settings.topic_prefix)).collect();
    let mut reader = Reader::open(&settings, &topics, From::Beginning).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut published = Vec::new();
    while !reader.is_at_end() {
        assert!(Instant::now() < deadline, "the topics can not be read to their ends");
        published.extend(reader.next(Duration::from_millis(100)).unwrap().map(|record| published_of(&record)));
    }
    published
}

pub(crate) fn kafka_settings(configuration: &str) -> KafkaSettings {
    let environment = Environment::from([("DRILL_SECRET".to_owned(), SECRET.to_owned())]);
    config::load_text("drill", configuration, &environment).unwrap().settings.kafka
}

fn published_of(record: &ReadRecord) -> Published {
    let event: Event = serde_json::from_slice(&record.value).unwrap();
    Published {
        topic: record.topic.clone(),
        generation: 0,
        partition: record.partition,
        offset: record.offset,
        key: record.key.clone(),
        fact: fact(&event),
        letter: letter(&event),
        event_id: if event.kind == "dead_letter" { event.dead_letter_id } else { event.event_id },
    }
}

fn letter(letter: &Event) -> Option<Letter> {
    let written_ms = Ulid::from_string(&letter.dead_letter_id).ok()?.timestamp_ms();
    let fact = serde_json::from_str(&letter.body).ok().and_then(|event| fact(&event));
    Some(Letter { code: letter.reason.code.clone(), fact, written_ms })
}

/// Names a fact as [`crate::traffic`] does.
fn fact(event: &Event) -> Option<String> {
    let Event { kind, message_id, status_raw, call_id, event_raw, record_id, .. } = event;
    match kind.as_str() {
        "message_status" => Some(format!("{kind} {message_id} {status_raw}")),
        "inbound_message" => Some(format!("{kind} {message_id}")),
        "call_event" => Some(format!("{kind} {call_id} {event_raw}")),
        "call_record" => Some(format!("{kind} {record_id}")),
        _ => None,
    }
}
