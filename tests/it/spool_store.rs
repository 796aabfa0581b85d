//! The spool's store on an ordinary disk.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use trunkline::spool::{Effect, SpoolError, Store};

use crate::harness::rows::{Model, NOW_MS, REASON, Step, changes, options, row, scratch};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(&options(dir)).unwrap().store
}

#[test]
fn rows_are_read_in_the_order_asked_and_outlive_the_store() {
    let dir = scratch();
    let mut store = open(&dir);
    let steps = [Step::Append(3, 10), Step::Append(1, 5_000_000), Step::Append(2, 0), Step::Partitions(12)];
    store.apply(&changes(&steps)).unwrap();
    let numbers = |store: &Store| store.read(&[2, 9, 1]).unwrap().iter().map(|(number, _)| *number).collect::<Vec<_>>();
    assert_eq!(numbers(&store), [2, 1]);
    drop(store);
    let opened = Store::open(&options(&dir)).unwrap();
    assert_eq!(Model::of(&opened), Model::default().after(&steps));
    assert_eq!(numbers(&opened.store), [2, 1]);
    assert_eq!((opened.foreign, opened.salvage), (0, None));
}

#[test]
fn a_transaction_with_one_impossible_change_changes_nothing() {
    let dir = scratch();
    let mut store = open(&dir);
    store.apply(&changes(&[Step::Append(1, 10)])).unwrap();
    let before = Model::of_store(&store);
    let refused = store.apply(&changes(&[Step::Append(2, 10), Step::Append(u64::MAX, 1), Step::Delete(1)]));
    assert!(matches!(refused, Err(SpoolError::OutOfRange(_))), "{refused:?}");
    assert_eq!(Model::of_store(&store), before);
    store.apply(&changes(&[Step::Append(2, 10), Step::Delete(1), Step::Delete(77)])).unwrap();
    assert_eq!(Model::of_store(&store).rows.into_keys().collect::<Vec<_>>(), [2]);
}

#[test]
fn the_quarantine_takes_rows_from_the_spool_and_from_outside_and_tells_why() {
    let dir = scratch();
    let mut store = open(&dir);
    let steps = [Step::Append(1, 10), Step::Append(2, 20), Step::Quarantine(1), Step::Bury(3, 30), Step::Quarantine(9)];
    store.apply(&changes(&steps)).unwrap();
    assert_eq!(Model::of_store(&store), Model::default().after(&steps));
    let listed = store.list_quarantined(1).unwrap();
    let label = listed[0].label.as_ref().unwrap();
    assert_eq!((listed.len(), listed[0].number, listed[0].bytes), (1, 1, row(1, 10).bytes()));
    assert_eq!((label.source_name.as_str(), label.provider.as_str()), ("vonage-eu", "vonage"));
    assert_eq!(label.quarantined, Some((REASON.to_owned(), NOW_MS)));
    assert_eq!(store.list(9).unwrap().len(), 1);
}

#[test]
fn files_are_for_the_owner_alone_and_nobody_else_may_list_them() {
    let dir = scratch();
    let mut store = open(&dir);
    store.apply(&changes(&[Step::Append(1, 10)])).unwrap();
    let spool = options(&dir).dir;
    assert_eq!(mode(&spool), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&spool).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["spool.db", "spool.db-wal", "spool.lock", "spool.witness"]);
    drop(store);
    std::fs::set_permissions(spool.join("spool.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(spool.join("spool.db-wal"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let _store = open(&dir);
    assert_eq!((mode(&spool.join("spool.db")), mode(&spool.join("spool.db-wal"))), (0o600, 0o600));
}

#[test]
fn a_directory_belongs_to_one_store_at_a_time() {
    let dir = scratch();
    let store = open(&dir);
    for second in [Store::open(&options(&dir)), Store::open_existing(&options(&dir))] {
        let error = second.unwrap_err();
        assert!(matches!(error, SpoolError::InUse { .. }), "{error:?}");
        assert!(error.to_string().contains(options(&dir).dir.to_str().unwrap()), "{error}");
    }
    drop(store);
    open(&dir);
}

#[test]
fn looking_into_a_spool_that_is_not_there_makes_none() {
    let dir = scratch();
    let missing = Store::open_existing(&options(&dir));
    assert!(matches!(missing, Err(SpoolError::Missing { .. })), "{missing:?}");
    assert!(!options(&dir).dir.exists());
}

#[test]
fn each_change_tells_what_it_has_come_to_and_is_counted_once() {
    let dir = scratch();
    let mut store = open(&dir);
    let steps = [Step::Append(1, 10), Step::Append(1, 10), Step::Append(2, 10), Step::Quarantine(2)];
    assert_eq!(store.apply(&changes(&steps)).unwrap(), [Effect::Done; 4]);
    let nothing = [Step::Quarantine(2), Step::Quarantine(9), Step::Delete(9)];
    assert_eq!(store.apply(&changes(&nothing)).unwrap(), [Effect::Absent; 3], "there is no such row");
    assert_eq!((store.counts().events, store.counts().quarantined), (1, 1));
    Model::of_store(&store);
    store.apply(&changes(&[Step::Delete(1), Step::Delete(1)])).unwrap();
    assert_eq!((store.counts().events, store.counts().event_bytes), (0, 0));
}

#[test]
fn a_directory_that_has_gone_or_been_replaced_is_told_at_the_next_change() {
    for replace in [false, true] {
        let dir = scratch();
        let mut store = open(&dir);
        store.apply(&changes(&[Step::Append(1, 10)])).unwrap();
        let (spool, elsewhere) = (options(&dir).dir, dir.path().join("elsewhere"));
        std::fs::rename(&spool, &elsewhere).unwrap();
        let other = replace.then(|| open(&dir));
        let lost = store.apply(&changes(&[Step::Append(2, 10)]));
        assert!(matches!(lost, Err(SpoolError::Vanished { .. })), "{lost:?}");
        assert!(matches!(store.still_there(), Err(SpoolError::Vanished { .. })));
        drop((store, other));
        let mut anew = open(&dir);
        anew.apply(&changes(&[Step::Append(2, 10)])).unwrap();
        assert_eq!(Model::of_store(&anew).rows.len(), 1);
    }
}

#[test]
fn a_log_is_written_back_and_does_not_grow_without_bound() {
    let dir = scratch();
    let mut store = open(&dir);
    let log = options(&dir).dir.join("spool.db-wal");
    for turn in 0..20_u64 {
        let appends: Vec<_> = (1..=100).map(|number| Step::Append(turn * 100 + number, 20_000)).collect();
        store.apply(&changes(&appends)).unwrap();
        assert!(log.metadata().unwrap().len() < 24 * 1024 * 1024);
    }
    let deletes: Vec<_> = (1..=2000).map(Step::Delete).collect();
    store.apply(&changes(&deletes)).unwrap();
    while store.give_back(1000).unwrap() {}
    let left: u64 =
        std::fs::read_dir(options(&dir).dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(left < 100_000, "{left} bytes are left");
}
