//! Damaged files: the spool starts, sets them aside, and saves every row that holds.

use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;
use trunkline::spool::{Opened, SpoolError, Store};

use crate::harness::rows::{Model, Step, changes, options, scratch};

fn path(dir: &TempDir, name: &str) -> PathBuf {
    options(dir).dir.join(name)
}

/// A spool of forty rows, two large, and three in the quarantine; rows 41 to 60 have been deleted.
fn filled(dir: &TempDir) -> (Store, Model) {
    let mut store = Store::open(&options(dir)).unwrap().store;
    let mut model = Model::default();
    let appends = (1..=60).map(|number| Step::Append(number, if number.is_multiple_of(20) { 50_000 } else { 900 }));
    for steps in [
        appends.collect::<Vec<_>>(),
        vec![Step::Partitions(12), Step::Quarantine(7), Step::Quarantine(40), Step::Bury(70, 9000)],
        (41..=60).map(Step::Delete).collect(),
    ] {
        store.apply(&changes(&steps)).unwrap();
        model = model.after(&steps);
    }
    (store, model)
}

/// The same, all of it in the database itself and nothing in its log.
fn written_back(dir: &TempDir) -> Model {
    let (mut store, model) = filled(dir);
    while store.give_back(1000).unwrap() {}
    model
}

fn damage(path: &PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// The spool's files, to be put back before each of many damages.
struct Files(Vec<(PathBuf, Vec<u8>)>);

impl Files {
    fn of(dir: &TempDir) -> Self {
        let paths = ["spool.db", "spool.db-wal", "spool.witness"].map(|name| path(dir, name));
        Self(paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect())
    }

    fn put_back(&self, dir: &TempDir) {
        std::fs::remove_dir_all(options(dir).dir).unwrap();
        std::fs::create_dir(options(dir).dir).unwrap();
        self.0.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }

    fn length(&self, which: usize) -> usize {
        self.0[which].1.len()
    }
}

/// Opens what was damaged and checks what must hold whatever the damage: the spool works, and what was
/// damaged is still there under another name.
fn reopened(dir: &TempDir) -> Opened {
    let mut opened = Store::open(&options(dir)).unwrap();
    if let Some(salvage) = &opened.salvage {
        assert!(salvage.set_aside.iter().all(|path| path.exists()), "{salvage:?}");
        assert_eq!((salvage.rows, salvage.quarantined), (opened.rows.len() as u64, opened.quarantined));
    }
    opened.store.apply(&changes(&[Step::Append(1000, 10), Step::Delete(1000)])).unwrap();
    opened
}

/// Everything that is found is as it was written, and nothing that was deleted has come back.
fn assert_part_of(found: &Model, model: &Model, context: &str) {
    for (number, size) in &found.rows {
        let kept = model.rows.get(number).or_else(|| model.quarantine.get(number));
        assert_eq!(kept, Some(size), "row {number}, {context}");
    }
    for (number, size) in &found.quarantine {
        assert_eq!(model.quarantine.get(number), Some(size), "quarantined row {number}, {context}");
    }
}

#[test]
fn rows_are_saved_from_a_database_whose_header_is_garbage() {
    for length in [16, 100] {
        let dir = scratch();
        let model = written_back(&dir);
        damage(&path(&dir, "spool.db"), |bytes| bytes[..length].fill(b'#'));
        let opened = reopened(&dir);
        let salvage = opened.salvage.as_ref().unwrap();
        assert_eq!((Model::of(&opened), salvage.lost), (model, 0));
        let name = salvage.set_aside[0].file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("spool.db.damaged-20") && name.ends_with('Z'), "{name}");
    }
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = scratch();
    written_back(&dir);
    damage(&path(&dir, "spool.db"), |bytes| bytes[60..64].copy_from_slice(&[0, 0, 0, 9]));
    let before = std::fs::read(path(&dir, "spool.db")).unwrap();
    let refused = Store::open(&options(&dir));
    assert!(matches!(refused, Err(SpoolError::Newer { found: 9, known: 2 })), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("newer"));
    assert_eq!(std::fs::read(path(&dir, "spool.db")).unwrap(), before);
}

#[test]
fn rows_are_saved_from_what_is_left_of_a_database_that_was_cut_off() {
    let dir = scratch();
    let model = written_back(&dir);
    let files = Files::of(&dir);
    for length in (1..files.length(0)).step_by(3 * 4096 + 77) {
        files.put_back(&dir);
        damage(&path(&dir, "spool.db"), |bytes| bytes.truncate(length));
        let opened = reopened(&dir);
        let found = Model::of(&opened);
        assert!(opened.salvage.is_some());
        assert_part_of(&found, &model, &format!("{length} bytes"));
        // A page holds at least three of the small rows, and one in six pages is a tree's or a map's.
        assert!(length < 100_000 || found.rows.len() > 20, "{} rows in {length} bytes", found.rows.len());
    }
}

#[test]
fn an_empty_or_missing_database_is_noticed_and_its_log_is_not_thrown_away() {
    for remove in [false, true] {
        let dir = scratch();
        let (store, model) = filled(&dir);
        drop(store);
        match remove {
            true => std::fs::remove_file(path(&dir, "spool.db")).unwrap(),
            false => std::fs::write(path(&dir, "spool.db"), "").unwrap(),
        }
        let opened = reopened(&dir);
        assert_eq!(opened.salvage.as_ref().unwrap().lost, 0);
        assert_eq!(Model::of(&opened), model);
    }
}

#[test]
fn a_directory_in_the_place_of_the_database_is_set_aside() {
    let dir = scratch();
    written_back(&dir);
    std::fs::remove_file(path(&dir, "spool.db")).unwrap();
    std::fs::create_dir(path(&dir, "spool.db")).unwrap();
    let opened = reopened(&dir);
    assert!(opened.salvage.unwrap().set_aside[0].is_dir());
    assert!(opened.rows.is_empty());
}

#[test]
fn a_broken_page_costs_no_row_of_another_page() {
    let dir = scratch();
    let model = written_back(&dir);
    let files = Files::of(&dir);
    for page in 0..files.length(0) / 4096 {
        files.put_back(&dir);
        damage(&path(&dir, "spool.db"), |bytes| bytes[page * 4096..(page + 1) * 4096].fill(0xA5));
        let opened = Store::open(&options(&dir)).unwrap();
        // A page in the middle of a large row is only noticed when the row is read.
        let numbers: Vec<u64> = opened.rows.iter().map(|stored| stored.number).collect();
        let read = opened.store.read(&numbers).unwrap();
        let good = read.iter().filter(|(_, row)| row.is_ok()).count()
            + opened.store.list_quarantined(99).unwrap().iter().filter(|row| row.label.is_ok()).count();
        let all = model.rows.len() + model.quarantine.len();
        assert!(good + 4 >= all, "page {page}: {good} of {all} rows");
        for (number, row) in read.into_iter().filter_map(|(number, row)| Some((number, row.ok()?))) {
            assert_eq!(row.record.value.len(), *model.rows.get(&number).or(model.quarantine.get(&number)).unwrap());
        }
    }
}

#[test]
fn any_flipped_bytes_lose_few_rows_and_invent_none() {
    let mut random = StdRng::seed_from_u64(20_260_203);
    let dir = scratch();
    let (mut store, model) = filled(&dir);
    store.apply(&changes(&[Step::Append(80, 700)])).unwrap();
    let model = model.after(&[Step::Append(80, 700)]);
    drop(store);
    let files = Files::of(&dir);
    for turn in 0..200 {
        files.put_back(&dir);
        let which = turn % 3;
        let at = random.random_range(0..files.length(which));
        let damaged = &files.0[which].0;
        let context = format!("turn {turn}: byte {at} of {}", damaged.display());
        damage(damaged, |bytes| bytes[at] ^= random.random_range(1..=255));
        let opened = reopened(&dir);
        let numbers: Vec<u64> = opened.rows.iter().map(|stored| stored.number).collect();
        let read = opened.store.read(&numbers).unwrap();
        let held = read.iter().filter(|(_, row)| row.is_ok()).count();
        assert!(held + 4 >= model.rows.len(), "{context}: {held} of {} rows", model.rows.len());
        let deleted: Vec<_> = numbers.iter().filter(|number| (41..=60).contains(*number)).collect();
        assert!(deleted.is_empty() || which == 1, "{context}: {deleted:?} have come back");
    }
}

#[test]
fn a_damaged_end_of_the_log_is_not_taken_for_one_that_was_never_written() {
    let dir = scratch();
    let (store, model) = filled(&dir);
    drop(store);
    let files = Files::of(&dir);
    for frame in 0..(files.length(1) - 32) / 4120 {
        files.put_back(&dir);
        damage(&path(&dir, "spool.db-wal"), |bytes| bytes[32 + frame * 4120 + 2000] ^= 1);
        let opened = reopened(&dir);
        assert!(opened.salvage.is_some(), "frame {frame}");
        let numbers: Vec<u64> = opened.rows.iter().map(|stored| stored.number).collect();
        let missing = model.rows.keys().filter(|number| !numbers.contains(number)).count();
        assert!(missing <= 4, "frame {frame}: {missing} rows are missing");
    }
}

#[test]
fn a_log_that_was_cut_off_is_noticed_and_what_is_left_is_saved() {
    let dir = scratch();
    let (store, model) = filled(&dir);
    drop(store);
    damage(&path(&dir, "spool.db-wal"), |bytes| bytes.truncate(bytes.len() - 5000));
    let opened = reopened(&dir);
    let found = Model::of(&opened);
    assert!(opened.salvage.unwrap().cause.contains("had been synced"));
    // The deletions were in what has gone.
    assert!(model.rows.keys().all(|number| found.rows.contains_key(number)));
}
