//! Tests that need to reach behind the store's interface.

use super::heads::{Head, Table};
use super::seal::Sealed;
use super::seal::tests::row;
use super::*;

const NOW_MS: i64 = 1_770_120_866_103;

fn options(dir: &tempfile::TempDir) -> Options {
    Options { dir: dir.path().to_owned(), vfs: None }
}

fn append(number: u64, size: usize) -> Change {
    Change::Append { number, row: row(number, size), spooled_at_ms: NOW_MS }
}

#[test]
fn a_row_of_another_version_is_kept_and_listed_and_otherwise_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(&dir)).unwrap().store;
    store.apply(&[append(1, 100)]).unwrap();
    let (ours, kept) = (row(2, 100), row(3, 100));
    for sealed in [
        Sealed { topic: "fax-event.v1", ..Sealed::of(2, &ours, NOW_MS) },
        Sealed { kind: "fax_event", ..Sealed::of(3, &kept, NOW_MS) },
    ] {
        let head = Head::of(&sealed).unwrap();
        head.insert(&store.connection, Table::Record, &sealed.encode().unwrap()).unwrap();
    }
    drop(store);
    let opened = Store::open(&options(&dir)).unwrap();
    assert_eq!(opened.rows.iter().map(|stored| stored.number).collect::<Vec<_>>(), [1]);
    assert_eq!((opened.foreign, opened.highest_number), (2, 3));
    assert_eq!(opened.store.read(&[2, 1, 3]).unwrap().len(), 1);
    let listed = opened.store.list(9).unwrap();
    assert_eq!(listed.iter().map(|row| row.topic.as_str()).collect::<Vec<_>>()[1], "fax-event.v1");
    assert!(opened.store.verify().unwrap().holds());
}

#[test]
fn a_damaged_row_is_told_in_its_place_and_can_be_put_into_the_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(&dir)).unwrap().store;
    store.apply(&[append(1, 100), append(2, 100), append(3, 100)]).unwrap();
    store.connection.execute("UPDATE record SET sealed = zeroblob(200) WHERE number = 2", ()).unwrap();
    store
        .connection
        .execute("UPDATE record SET sealed = (SELECT sealed FROM record WHERE number = 1) WHERE number = 3", ())
        .unwrap();
    let read = store.read(&[3, 2, 1]).unwrap();
    let held: Vec<_> = read.iter().map(|(number, row)| (*number, row.is_ok())).collect();
    assert_eq!(held, [(3, false), (2, false), (1, true)]);
    let found = store.verify().unwrap();
    assert_eq!((found.rows, found.problems.len()), (1, 2), "{found:?}");
    store.apply(&[Change::Quarantine { number: 2, row: None, reason: "damaged", at_ms: NOW_MS }]).unwrap();
    let listed = store.list_quarantined(9).unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].label.is_err());
    assert_eq!(store.list(9).unwrap().len(), 2);
}

#[test]
fn columns_that_were_changed_are_mended_from_the_rows_themselves() {
    for change in ["topic = 'call-event.v1'", "key_hash = key_hash + 1", "event_id = zeroblob(16)", "kind = ''"] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(&options(&dir)).unwrap().store;
        store.apply(&[append(1, 100), append(2, 100)]).unwrap();
        store.connection.execute(&format!("UPDATE record SET {change} WHERE number = 2"), ()).unwrap();
        drop(store);
        let undamaged = Store::open_existing(&options(&dir));
        assert!(matches!(undamaged, Err(SpoolError::Corrupt(_))), "{change}");
        let opened = Store::open(&options(&dir)).unwrap();
        assert_eq!(opened.salvage.map(|salvage| (salvage.rows, salvage.lost)), Some((2, 0)), "{change}");
        let of_row = row(2, 100);
        assert_eq!(opened.rows[1].identity, of_row.record.identity);
        assert_eq!((opened.rows[1].topic, opened.rows[1].key_hash), (of_row.record.topic, of_row.key_hash));
    }
}

#[test]
fn a_deleted_row_leaves_no_trace_on_the_disk_once_its_room_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(&dir)).unwrap().store;
    let changes: Vec<_> = (1..=500).map(|number| append(number, 1500)).collect();
    store.apply(&changes).unwrap();
    let deletes: Vec<_> = (1..=500).map(|number| Change::Delete { number }).collect();
    store.apply(&deletes).unwrap();
    let mut turns = 0;
    while store.give_back(50).unwrap() {
        turns += 1;
    }
    assert!(turns > 2, "{turns}");
    for (path, most) in [("spool.db", 10 * 4096), ("spool.db-wal", 0)] {
        let content = std::fs::read(dir.path().join(path)).unwrap();
        assert!(content.len() <= most, "{path} has {} bytes", content.len());
        assert!(!content.windows(4).any(|window| window == seal::MAGIC), "{path}");
    }
    store.apply(&[append(501, 100)]).unwrap();
    assert_eq!(store.read(&[501]).unwrap().len(), 1);
}

#[test]
fn an_interrupted_salvage_is_ended_or_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(&dir)).unwrap().store;
    store.apply(&[append(1, 100)]).unwrap();
    store.give_back(9).unwrap();
    drop(store);
    let (database, salvaged) = (dir.path().join("spool.db"), dir.path().join("spool.salvaged.db"));
    // The crash came while rows were copied: the database itself is still there.
    std::fs::write(&salvaged, "half a database").unwrap();
    assert_eq!(Store::open(&options(&dir)).unwrap().rows.len(), 1);
    // The crash came after the damaged database had been moved away.
    std::fs::rename(&database, &salvaged).unwrap();
    std::fs::write(dir.path().join("spool.db-wal"), "the log of the damaged database").unwrap();
    let opened = Store::open(&options(&dir)).unwrap();
    assert_eq!((opened.rows.len(), opened.salvage), (1, None));
}

#[test]
fn damage_that_appears_while_the_spool_is_open_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(&dir)).unwrap().store;
    let changes: Vec<_> = (1..=100).map(|number| append(number, 1500)).collect();
    store.apply(&changes).unwrap();
    store.give_back(9).unwrap();
    store.connection.execute_batch("PRAGMA shrink_memory").unwrap();
    let path = dir.path().join("spool.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let failed = store.apply(&[append(101, 10), Change::Delete { number: 50 }]);
    assert!(matches!(failed, Err(SpoolError::Corrupt(_))), "{failed:?}");
    assert!(matches!(store.read(&[50]), Err(SpoolError::Corrupt(_))));
    assert!(matches!(store.verify(), Err(SpoolError::Corrupt(_))) || !store.verify().unwrap().holds());
    drop(store);
    assert!(Store::open(&options(&dir)).unwrap().salvage.is_some());
}

#[test]
fn a_verification_in_steps_sees_every_row_and_lets_commits_between() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(&dir)).unwrap().store;
    let many: Vec<Change> = (1..=50).map(|number| append(number, 100_000)).collect();
    store.apply(&many).unwrap();
    let last = append(51, 100);
    let (mut steps, mut so_far) = (0, Verifying::default());
    let found = loop {
        so_far = match store.verify_step(so_far).unwrap().done() {
            Ok(found) => break found,
            Err(more) => more,
        };
        steps += 1;
        if steps == 1 {
            store.apply(std::slice::from_ref(&last)).unwrap();
        }
    };
    assert!((4..10).contains(&steps), "{steps}");
    assert_eq!(found, store.verify().unwrap());
    assert_eq!((found.rows, found.holds()), (51, true));
    store.connection.execute("UPDATE record SET sealed = zeroblob(100) WHERE number = 7", ()).unwrap();
    let mut so_far = Verifying::default();
    let found = loop {
        so_far = match store.verify_step(so_far).unwrap().done() {
            Ok(found) => break found,
            Err(more) => more,
        };
    };
    assert_eq!((found.rows, found.problems.len()), (50, 1));
}
