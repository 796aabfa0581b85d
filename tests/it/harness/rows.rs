//! Invented rows for the spool, and a model of what it should hold.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;
use trunkline::event::envelope::Record;
use trunkline::event::id::{EventId, FactHash, Identity};
use trunkline::event::kind::{DEAD_LETTER_TOPIC, Kind};
use trunkline::event::time::Time;
use trunkline::spool::{Change, Counts, Opened, Options, Row, Store};

pub(crate) const NOW_MS: i64 = 1_770_120_866_103;
pub(crate) const REASON: &str = "too_large";

/// A row that its number and size decide.
pub(crate) fn row(number: u64, size: usize) -> Row {
    let id = format!("aaaaaaaa-bbbb-cccc-dddd-{number:012}");
    let event = EventId::compute("vonage", "abcd1234", "message.status", &Identity { id: &id, x: "", y: "sent" });
    let is_event = !number.is_multiple_of(5);
    let kind = is_event.then_some(Kind::MessageStatus);
    let record = Record {
        topic: kind.map_or(&DEAD_LETTER_TOPIC, |kind| kind.info().topic),
        key: format!("vonage:abcd1234:{id}"),
        placed_by: None,
        headers: [("ce_id", event.to_string().as_str()), ("content-type", "application/json")].into_iter().collect(),
        value: (0..size).map(|at| u8::try_from((at as u64 * 31 + number) % 251).unwrap()).collect(),
        kind,
        identity: is_event.then(|| (event, number.is_multiple_of(2).then(|| FactHash::compute(&["0.1"])))),
    };
    let received_at = Time::from_unix_ms(NOW_MS).unwrap();
    let key_hash = u32::try_from(number % 1000).unwrap();
    Row { record, key_hash, source_name: "vonage-eu".to_owned(), provider: "vonage".into(), received_at }
}

/// One change, by numbers alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Append(u64, usize),
    Delete(u64),
    Quarantine(u64),
    /// Takes a row in that is not in the spool.
    Bury(u64, usize),
    Partitions(u32),
}

impl Step {
    fn change(self) -> Change {
        match self {
            Self::Append(number, size) => Change::Append { number, row: row(number, size), spooled_at_ms: NOW_MS },
            Self::Delete(number) => Change::Delete { number },
            Self::Quarantine(number) => Change::Quarantine { number, row: None, reason: REASON, at_ms: NOW_MS },
            Self::Bury(number, size) => {
                Change::Quarantine { number, row: Some(row(number, size)), reason: REASON, at_ms: NOW_MS }
            }
            Self::Partitions(count) => Change::Partitions { topic: Kind::MessageStatus.info().topic, count },
        }
    }
}

pub(crate) fn changes(steps: &[Step]) -> Vec<Change> {
    steps.iter().map(|step| step.change()).collect()
}

/// What the spool should hold: rows and quarantined rows by number, with their sizes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) rows: BTreeMap<u64, usize>,
    pub(crate) quarantine: BTreeMap<u64, usize>,
    pub(crate) partitions: Option<u32>,
}

impl Model {
    pub(crate) fn after(&self, steps: &[Step]) -> Self {
        let mut model = self.clone();
        for step in steps {
            match *step {
                Step::Append(number, size) => model.rows.extend([(number, size)]),
                Step::Delete(number) => drop(model.rows.remove(&number)),
                Step::Quarantine(number) => {
                    let moved = model.rows.remove(&number);
                    model.quarantine.extend(moved.map(|size| (number, size)));
                }
                Step::Bury(number, size) => model.quarantine.extend([(number, size)]),
                Step::Partitions(count) => model.partitions = Some(count),
            }
        }
        model
    }

    /// What a store holds that has just been opened. Every row is read and compared, byte by byte.
    pub(crate) fn of(opened: &Opened) -> Self {
        let mut model = Self::of_store(&opened.store);
        let told: Vec<u64> = opened.rows.iter().map(|stored| stored.number).collect();
        assert_eq!(told, model.rows.keys().copied().collect::<Vec<_>>());
        for stored in &opened.rows {
            let row = row(stored.number, model.rows[&stored.number]);
            assert_eq!((stored.topic, stored.key_hash), (row.record.topic, row.key_hash));
            assert_eq!((stored.bytes, stored.identity), (row.bytes(), row.record.identity));
            assert_eq!(stored.spooled_at_ms, NOW_MS);
        }
        let highest = model.rows.keys().chain(model.quarantine.keys()).max().copied();
        assert_eq!(opened.highest_number, highest.unwrap_or(0));
        assert_eq!(opened.quarantined, model.quarantine.len() as u64);
        let bytes: u64 = model.quarantine.iter().map(|(number, size)| row(*number, *size).bytes()).sum();
        assert_eq!(opened.quarantined_bytes, bytes);
        model.partitions = opened.partitions.first().map(|(_, count)| *count);
        model
    }

    /// What a store holds, but for the partitions, which it tells only when it is opened.
    pub(crate) fn of_store(store: &Store) -> Self {
        let found = store.verify().unwrap();
        assert!(found.holds(), "{found:?}");
        let listed = store.list(usize::MAX).unwrap();
        let numbers: Vec<u64> = listed.iter().map(|row| row.number).collect();
        let mut model = Self::default();
        for (number, read) in store.read(&numbers).unwrap() {
            let read = read.unwrap();
            let size = read.record.value.len();
            assert_eq!(format!("{read:?}"), format!("{:?}", row(number, size)));
            model.rows.insert(number, size);
        }
        assert_eq!(model.rows.len(), numbers.len());
        for listed in store.list_quarantined(usize::MAX).unwrap() {
            let label = listed.label.unwrap();
            assert_eq!(label.quarantined, Some((REASON.to_owned(), NOW_MS)));
            let empty = row(listed.number, 0);
            assert_eq!(label.key, empty.record.key);
            let size = listed.bytes - empty.bytes();
            model.quarantine.insert(listed.number, usize::try_from(size).unwrap());
        }
        model.compare_counts(store.counts());
        model
    }
}

impl Model {
    /// What the store counts is what is there.
    fn compare_counts(&self, counts: Counts) {
        let bytes = |rows: &BTreeMap<u64, usize>| rows.iter().map(|(number, size)| row(*number, *size).bytes()).sum();
        let expected = Counts {
            events: self.rows.len() as u64,
            event_bytes: bytes(&self.rows),
            quarantined: self.quarantine.len() as u64,
            quarantined_bytes: bytes(&self.quarantine),
        };
        assert_eq!(counts, expected);
    }
}

/// A directory, in memory where there is such a place: nothing here depends on a disk.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A spool in a directory.
pub(crate) fn options(dir: &TempDir) -> Options {
    Options { dir: dir.path().join("spool"), vfs: None }
}
