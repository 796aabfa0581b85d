//! Which sources this process works for, as the group's news come in. Pure.
//!
//! A source belongs to the partition that its name hashes to, and whoever has been given that partition works for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::publish::membership::News;
use crate::publish::partition::{key_hash, partition};

/// What begins the key of each cursor.
pub const CURSORS: &str = "reconcile/";

/// What news mean for the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A source is this process's from now on.
    Begin {
        /// Its name.
        source_name: Arc<str>,
        /// Its cursors, by stream, as they lie in its partition.
        cursors: HashMap<String, Vec<u8>>,
    },
    /// A source is not this process's any more.
    End {
        /// Its name.
        source_name: Arc<str>,
    },
    /// A cursor of an owned source was written, whoever wrote it.
    Written {
        /// Name of the source.
        source_name: Arc<str>,
        /// Name of the stream.
        stream: String,
        /// The cursor; none if it was taken back.
        value: Option<Vec<u8>>,
    },
    /// There are cursors of a source that is not in this configuration.
    Unknown {
        /// Its name.
        source_name: String,
    },
}

/// The partitions of this process, and the sources in them.
#[derive(Debug)]
pub struct Ownership {
    sources: Vec<Arc<str>>,
    partitions: u32,
    held: BTreeSet<u32>,
    owned: BTreeSet<Arc<str>>,
    unknown: BTreeSet<String>,
}

/// Source and stream of a cursor's key.
pub fn place_of(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(CURSORS)?.split_once('/')
}

impl Ownership {
    /// Nothing is owned yet of these sources.
    pub fn new(sources: Vec<Arc<str>>) -> Self {
        Self { sources, partitions: 0, held: BTreeSet::new(), owned: BTreeSet::new(), unknown: BTreeSet::new() }
    }

    /// Sources that are not in the configuration and whose cursors lie in this process's partitions or did so.
    pub fn unknown(&self) -> usize {
        self.unknown.len()
    }

    /// What news mean.
    pub fn hear(&mut self, news: News) -> Vec<Change> {
        match news {
            News::Counted { partitions } => {
                self.partitions = partitions;
                self.settle(&HashMap::new())
            }
            News::Assigned { partition, records } => {
                self.held.insert(partition);
                let mut changes = self.settle(&records);
                changes.extend(records.keys().filter_map(|key| self.unknown_source(key)));
                changes
            }
            News::Revoked { partition } => {
                self.held.remove(&partition);
                self.settle(&HashMap::new())
            }
            News::Written { key, value, .. } => self.written(&key, value).into_iter().collect(),
        }
    }

    /// Ends what is not owned any more, then begins what is, in the order of the configuration.
    fn settle(&mut self, records: &HashMap<String, Vec<u8>>) -> Vec<Change> {
        let is_held = |name: &Arc<str>| {
            self.partitions > 0 && self.held.contains(&partition(key_hash(name.as_bytes()), self.partitions))
        };
        let (held, gone): (Vec<Arc<str>>, Vec<Arc<str>>) = self.sources.iter().cloned().partition(is_held);
        let ended: Vec<Arc<str>> = gone.into_iter().filter(|name| self.owned.remove(name)).collect();
        let begun: Vec<Arc<str>> = held.into_iter().filter(|name| self.owned.insert(Arc::clone(name))).collect();
        let ended = ended.into_iter().map(|source_name| Change::End { source_name });
        let begun = begun.into_iter().map(|source_name| {
            let cursors = cursors_of(&source_name, records);
            Change::Begin { source_name, cursors }
        });
        ended.chain(begun).collect()
    }

    fn written(&mut self, key: &str, value: Option<Vec<u8>>) -> Option<Change> {
        let (source_name, stream) = place_of(key)?;
        let Some(source_name) = self.owned.get(source_name) else { return self.unknown_source(key) };
        Some(Change::Written { source_name: Arc::clone(source_name), stream: stream.to_owned(), value })
    }

    /// A source is told as unknown once.
    fn unknown_source(&mut self, key: &str) -> Option<Change> {
        let (name, _) = place_of(key)?;
        let is_known = self.sources.iter().any(|known| &**known == name);
        (!is_known && self.unknown.insert(name.to_owned())).then(|| Change::Unknown { source_name: name.to_owned() })
    }
}

fn cursors_of(source_name: &str, records: &HashMap<String, Vec<u8>>) -> HashMap<String, Vec<u8>> {
    let of_source = |(key, value): (&String, &Vec<u8>)| {
        let (name, stream) = place_of(key)?;
        (name == source_name).then(|| (stream.to_owned(), value.clone()))
    };
    records.iter().filter_map(of_source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITIONS: u32 = 8;

    fn place(name: &str, partitions: u32) -> u32 {
        partition(key_hash(name.as_bytes()), partitions)
    }

    fn ownership(names: &[&str]) -> Ownership {
        let mut ownership = Ownership::new(names.iter().map(|name| Arc::from(*name)).collect());
        assert_eq!(ownership.hear(News::Counted { partitions: PARTITIONS }), []);
        ownership
    }

    fn assigned(partition: u32, keys: &[&str]) -> News {
        let records = keys.iter().map(|key| ((*key).to_owned(), key.as_bytes().to_vec()));
        News::Assigned { partition, records: records.collect() }
    }

    fn begin(name: &str, streams: &[&str]) -> Change {
        let cursors =
            streams.iter().map(|stream| ((*stream).to_owned(), format!("reconcile/{name}/{stream}").into_bytes()));
        Change::Begin { source_name: name.into(), cursors: cursors.collect() }
    }

    #[test]
    fn a_source_is_ones_own_as_long_as_its_partition_is() {
        let mut ownership = ownership(&["webex-a", "webex-b"]);
        let (of_a, of_b) = (place("webex-a", PARTITIONS), place("webex-b", PARTITIONS));
        assert_ne!(of_a, of_b);
        let keys = ["reconcile/webex-a/cdr", "reconcile/webex-b/cdr", "reconcile/webex-a", "token/webex-a"];
        assert_eq!(ownership.hear(assigned(of_a, &keys)), [begin("webex-a", &["cdr"])]);
        assert_eq!(ownership.hear(assigned(of_b, &[])), [begin("webex-b", &[])]);
        assert_eq!(ownership.hear(News::Revoked { partition: of_a }), [Change::End { source_name: "webex-a".into() }]);
        assert_eq!(ownership.hear(News::Revoked { partition: of_a }), []);
        assert_eq!(ownership.hear(assigned(of_a, &keys)), [begin("webex-a", &["cdr"])], "and it may come back");
    }

    #[test]
    fn what_others_write_about_an_owned_source_is_told() {
        let mut ownership = ownership(&["webex-a"]);
        let written = |key: &str| News::Written { partition: 0, key: key.to_owned(), value: Some(b"1".to_vec()) };
        assert_eq!(ownership.hear(written("reconcile/webex-a/cdr")), [], "it is nobody's yet");
        ownership.hear(assigned(place("webex-a", PARTITIONS), &[]));
        let change =
            Change::Written { source_name: "webex-a".into(), stream: "cdr".to_owned(), value: Some(b"1".to_vec()) };
        assert_eq!(ownership.hear(written("reconcile/webex-a/cdr")), [change]);
        assert_eq!(ownership.hear(written("reconcile-run/webex-a/cdr")), []);
    }

    #[test]
    fn other_numbers_of_partitions_move_sources() {
        let names: Vec<String> = (0..20).map(|number| format!("source-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut ownership = ownership(&names);
        ownership.hear(assigned(0, &[]));
        let counted = ownership.hear(News::Counted { partitions: 2 * PARTITIONS });
        let ends: Vec<&str> =
            names.iter().copied().filter(|name| place(name, PARTITIONS) == 0 && place(name, 16) != 0).collect();
        let expected: Vec<Change> = ends.iter().map(|name| Change::End { source_name: (*name).into() }).collect();
        assert!(!ends.is_empty());
        assert_eq!(counted, expected, "of the others, none has come to partition 0");
        let back = ownership.hear(News::Counted { partitions: PARTITIONS });
        assert_eq!(back, ends.iter().map(|name| begin(name, &[])).collect::<Vec<_>>());
    }

    #[test]
    fn cursors_of_sources_that_are_not_configured_are_told_once() {
        let mut ownership = ownership(&["webex-a"]);
        let unknown = |name: &str| Change::Unknown { source_name: name.to_owned() };
        assert_eq!(ownership.hear(assigned(0, &["reconcile/gone/cdr", "reconcile/gone/cdr_feed"])), [unknown("gone")]);
        let written = News::Written { partition: 0, key: "reconcile/other/cdr".to_owned(), value: None };
        assert_eq!(ownership.hear(written.clone()), [unknown("other")]);
        assert_eq!((ownership.hear(written), ownership.unknown()), (vec![], 2));
    }
}
