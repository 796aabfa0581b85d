//! `trunkline spool`, run as people run it.

use std::path::Path;

use serde_json::Value;
use trunkline::spool::{Options, Store};

use crate::harness::program::{Finished, Place};
use crate::harness::rows::{Step, changes};

fn filled(place: &Place) -> Store {
    let options = Options { dir: place.path("spool"), vfs: None };
    let mut store = Store::open(&options).unwrap().store;
    let steps = [Step::Append(1, 100), Step::Append(2, 100), Step::Append(5, 40_000), Step::Bury(9, 70)];
    store.apply(&changes(&steps)).unwrap();
    store
}

fn run(place: &Place, arguments: &[&str]) -> Finished {
    let dir = place.path("spool");
    place.run(&[&["spool"], arguments, &["--dir", dir.to_str().unwrap()]].concat())
}

fn overwrite(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let end = bytes.len() - at;
    bytes[end] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn list_shows_rows_and_quarantine_and_never_a_value() {
    let place = Place::new();
    drop(filled(&place));
    let listed = run(&place, &["list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    for part in [
        "waiting for Kafka: 3 rows, ",
        "in the quarantine: 1 rows, ",
        "NUMBER",
        "vonage-eu",
        "too_large",
        "dead-letter.v1",
    ] {
        assert!(listed.stdout.contains(part), "{part:?} is in {}", listed.stdout);
    }
    let lines = run(&place, &["list", "--json", "--limit", "2"]).stdout;
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.iter().map(|row| row["number"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 9]);
    assert_eq!(rows[0]["key"], "vonage:abcd1234:aaaaaaaa-bbbb-cccc-dddd-000000000001");
    assert_eq!((&rows[0]["source_name"], &rows[0]["provider"]), (&"vonage-eu".into(), &"vonage".into()));
    assert_eq!(
        (&rows[2]["quarantine"]["reason"], &rows[2]["spooled_at"]),
        (&"too_large".into(), &"2026-02-03T12:14:26.103Z".into())
    );
    assert!(rows.iter().all(|row| row.get("value").is_none()));
}

#[test]
fn verify_tells_by_its_exit_code_whether_everything_holds() {
    let place = Place::new();
    let mut store = filled(&place);
    while store.give_back(100).unwrap() {}
    drop(store);
    let good = run(&place, &["verify"]);
    assert_eq!((good.code, good.stdout.as_str()), (Some(0), "3 rows and 1 rows of the quarantine hold."), "{good:?}");
    // The large row's last page is somewhere in the file: the byte is one of its value.
    let database = place.path("spool").join("spool.db");
    let at = std::fs::read(&database).unwrap().len() / 2;
    overwrite(&database, at);
    let bad = run(&place, &["verify"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.stderr.contains("row 5 is damaged"), "{bad:?}");
    assert!(run(&place, &["list"]).stdout.contains("damaged: its checksum does not hold"));
}

#[test]
fn a_spool_that_is_in_use_missing_or_damaged_is_left_alone_with_a_clear_error() {
    let place = Place::new();
    let missing = run(&place, &["list"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("there is no spool in"), "{missing:?}");
    assert!(!place.path("spool").exists());
    let mut store = filled(&place);
    while store.give_back(100).unwrap() {}
    let in_use = run(&place, &["verify"]);
    assert_eq!(in_use.code, Some(1));
    assert!(in_use.stderr.contains("is in use by another process"), "{in_use:?}");
    drop(store);
    let database = place.path("spool").join("spool.db");
    std::fs::write(&database, "rubbish").unwrap();
    let damaged = run(&place, &["list"]);
    assert_eq!(damaged.code, Some(1));
    assert!(damaged.stderr.contains("trunkline serve"), "{damaged:?}");
    assert_eq!(std::fs::read(&database).unwrap(), b"rubbish");
}
