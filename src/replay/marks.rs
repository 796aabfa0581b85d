//! What replays have done, remembered in the compacted state topic.
//!
//! The key is `replay/<topic>/<source>:<id of the letter>`. A letter of which everything was published is
//! *complete* and is not looked at again. Of one that still fails in part the mark tells which events
//! were published, so that they are not published at every run, and are once the mapping makes others.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::letter::Letter;
use super::mapping::Mapped;
use super::{ReplayError, next};
use crate::event::envelope::Record;
use crate::event::headers::Headers;
use crate::event::kind::{SCHEMA_VERSION, STATE_TOPIC, TopicInfo};
use crate::event::time::Time;
use crate::publish::reader::Reader;

/// What was published of one letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Whether nothing is left to do.
    complete: bool,
    /// How many events it gave.
    events: usize,
    /// First 64 bits of the SHA-256 over their ids and fact hashes, in hexadecimal.
    digest: String,
}

#[derive(Serialize)]
struct Written<'m> {
    schema_version: &'static str,
    kind: &'static str,
    replayed_at: Time,
    #[serde(flatten)]
    mark: &'m Mark,
}

/// The marks of one topic's letters.
#[derive(Debug, Default)]
pub(super) struct Marks(HashMap<String, Mark>);

/// The key under which a letter is marked.
pub(super) fn key(topic: &TopicInfo, letter: &Letter) -> String {
    format!("{}{}:{}", prefix(topic), letter.source_name, letter.id())
}

fn prefix(topic: &TopicInfo) -> String {
    format!("replay/{}/", topic.suffix)
}

impl Mark {
    pub(super) fn of(mapped: &Mapped) -> Self {
        let mut digest = Sha256::new();
        for (id, fact_hash) in mapped.records.iter().filter_map(|record| record.identity) {
            digest.update(format!("{id} {fact_hash:?}\n"));
        }
        let digest = hex::encode(digest.finalize().get(..8).unwrap_or_default());
        Self { complete: mapped.faults.is_empty(), events: mapped.records.len(), digest }
    }

    /// A letter that gave nothing and still fails stays as it is.
    pub(super) fn is_worth_writing(&self) -> bool {
        self.complete || self.events > 0
    }

    /// The record that keeps it.
    pub(super) fn record(&self, key: String, replayed_at: Time) -> Result<Record, serde_json::Error> {
        let written = Written { schema_version: SCHEMA_VERSION, kind: "replay_mark", replayed_at, mark: self };
        Ok(Record {
            topic: &STATE_TOPIC,
            key,
            placed_by: None,
            headers: Headers::content_type("application/json"),
            value: serde_json::to_vec(&written)?,
            kind: None,
            identity: None,
        })
    }
}

impl Marks {
    /// Reads the whole state topic; of each key the last record counts.
    ///
    /// # Errors
    /// When it can not be read to its end.
    pub(super) fn read(reader: &mut Reader, topic: &TopicInfo) -> Result<Self, ReplayError> {
        let prefix = prefix(topic);
        let mut marks = HashMap::new();
        while let Some(record) = next(reader)? {
            if !record.key.starts_with(&prefix) {
                continue;
            }
            match serde_json::from_slice(&record.value) {
                Ok(mark) => drop(marks.insert(record.key, mark)),
                Err(error) => {
                    tracing::warn!(%error, record.key, "a mark can not be read; its letter is replayed again");
                    marks.remove(&record.key);
                }
            }
        }
        Ok(Self(marks))
    }

    /// Whether nothing is left to do for a letter.
    pub(super) fn is_complete(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|mark| mark.complete)
    }

    /// Whether this mark stands there already.
    pub(super) fn says(&self, key: &str, mark: &Mark) -> bool {
        self.0.get(key) == Some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::id::{EventId, Identity};
    use crate::event::kind::{DEAD_LETTER_TOPIC, Kind};

    fn record(id: &str) -> Record {
        let identity = Identity { id, x: "", y: "" };
        Record {
            topic: Kind::CallRecord.info().topic,
            key: "k".to_owned(),
            placed_by: None,
            headers: Headers::default(),
            value: Vec::new(),
            kind: Some(Kind::CallRecord),
            identity: Some((EventId::compute("p", "a", "call.record", &identity), None)),
        }
    }

    fn mark(ids: &[&str], faults: &[&'static str]) -> Mark {
        Mark::of(&Mapped { records: ids.iter().map(|id| record(id)).collect(), faults: faults.to_vec() })
    }

    #[test]
    fn a_mark_tells_what_was_published_and_whether_something_is_left() {
        assert!(mark(&[], &[]).complete && mark(&["1"], &[]).complete);
        assert!(!mark(&["1"], &["missing_id"]).complete);
        assert_ne!(mark(&["1"], &["missing_id"]), mark(&["2"], &["missing_id"]));
        assert_ne!(mark(&["1"], &["missing_id"]), mark(&["1", "2"], &["missing_id"]));
        assert_eq!(mark(&["1"], &["missing_id"]), mark(&["1"], &["invalid_id"]));
    }

    #[test]
    fn only_a_letter_of_which_nothing_came_is_not_marked() {
        assert!(!mark(&[], &["missing_id"]).is_worth_writing());
        assert!(mark(&[], &[]).is_worth_writing(), "nothing in it is for us");
        assert!(mark(&["1"], &["missing_id"]).is_worth_writing());
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mark = mark(&["1"], &["missing_id"]);
        let record = mark.record("replay/x".to_owned(), Time::from_unix_seconds(0).unwrap()).unwrap();
        assert_eq!((record.topic.suffix, record.key.as_str()), ("state.v1", "replay/x"));
        assert_eq!(serde_json::from_slice::<Mark>(&record.value).unwrap(), mark);
        let value: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!((&value["kind"], &value["replayed_at"]), (&"replay_mark".into(), &"1970-01-01T00:00:00Z".into()));
    }

    #[test]
    fn a_key_names_topic_source_and_letter() {
        assert_eq!(prefix(&DEAD_LETTER_TOPIC), "replay/dead-letter.v1/");
    }
}
