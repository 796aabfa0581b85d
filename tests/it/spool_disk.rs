//! The spool on a real file system: one that is small, one that may not be written to, and how fast it is.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use trunkline::spool::{SpoolError, Store};

use crate::harness::rows::{Model, Step, changes, options};

/// Set in a process that sees a small file system of its own at this path.
const SMALL_DISK: &str = "SPOOL_TEST_SMALL_DISK";

/// Runs one of these tests again in a name space where a small disk can be mounted without privileges.
/// Tells whether that was possible here.
fn run_on_small_disk(test: &str) -> bool {
    let place = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=3m tmpfs \"$0\" && exec \"$1\" --exact \"$2\" --nocapture";
    let can_mount = Command::new("unshare").args(["-Urm", "mount", "-t", "tmpfs", "tmpfs"]).arg(place.path()).output();
    if !can_mount.is_ok_and(|output| output.status.success()) {
        return false;
    }
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", script])
        .arg(place.path())
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(SMALL_DISK, place.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

#[test]
fn a_full_disk_refuses_changes_and_takes_them_again_once_there_is_room() {
    let Ok(disk) = std::env::var(SMALL_DISK) else {
        if !run_on_small_disk("spool_disk::a_full_disk_refuses_changes_and_takes_them_again_once_there_is_room") {
            println!("skipped: no file system can be mounted here");
        }
        return;
    };
    let dir = tempfile::tempdir_in(&disk).unwrap();
    let ballast = std::path::Path::new(&disk).join("ballast");
    std::fs::write(&ballast, vec![0; 1024 * 1024]).unwrap();
    let mut store = Store::open(&options(&dir)).unwrap().store;
    let mut model = Model::default();
    let steps = |turn: u64| (turn * 4..turn * 4 + 4).map(|number| Step::Append(number, 10_000)).collect::<Vec<_>>();
    let full = (0..1000).find(|turn| match store.apply(&changes(&steps(*turn))) {
        Ok(_) => {
            model = model.after(&steps(*turn));
            false
        }
        Err(error) => {
            assert!(matches!(error, SpoolError::Full(_)), "{error:?}");
            true
        }
    });
    let full = full.unwrap();
    assert!(full > 3, "{full}");
    assert_eq!(Model::of_store(&store), model);
    assert!(matches!(store.apply(&changes(&steps(full))), Err(SpoolError::Full(_))));
    std::fs::remove_file(&ballast).unwrap();
    store.apply(&changes(&steps(full))).unwrap();
    model = model.after(&steps(full));
    drop(store);
    let opened = Store::open(&options(&dir)).unwrap();
    assert_eq!((Model::of(&opened), opened.salvage), (model, None));
}

#[test]
fn a_place_that_can_not_be_written_to_is_told_as_such() {
    for dir in ["/proc/trunkline-spool", "/dev/null/spool"] {
        let opened = Store::open(&trunkline::spool::Options { dir: dir.into(), vfs: None });
        let error = opened.unwrap_err();
        assert!(matches!(error, SpoolError::Unwritable(_)), "{error:?}");
        assert_eq!(error.code(), "unwritable");
    }
}

/// Rows a second for transactions of some rows each, and how often a second the disk syncs as many bytes.
fn rates(batch: u64, turns: u64) -> (f64, f64) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&options(&dir)).unwrap().store;
    let batches: Vec<_> = (0..turns)
        .map(|turn| (turn * batch..(turn + 1) * batch).map(|number| Step::Append(number, 1500)).collect::<Vec<_>>())
        .map(|steps| changes(&steps))
        .collect();
    let start = Instant::now();
    batches.iter().for_each(|changes| {
        store.apply(changes).unwrap();
    });
    let spool = start.elapsed().as_secs_f64();
    let mut file = File::create(dir.path().join("plain")).unwrap();
    let bytes = vec![7; usize::try_from(batch * 1500).unwrap()];
    let start = Instant::now();
    for _ in 0..turns {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
    }
    let rows = (batch * turns) as f64;
    (rows / spool, rows / start.elapsed().as_secs_f64())
}

#[test]
#[ignore = "a measurement: cargo test --test it -- --ignored --nocapture rows_a_second"]
fn rows_a_second_beside_what_the_disk_itself_syncs() {
    for (batch, turns) in [(1, 400), (16, 200), (256, 40)] {
        let (spool, disk) = rates(batch, turns);
        println!("{batch:4} rows a transaction: {spool:8.0} rows/s, the disk alone {disk:8.0} rows/s");
    }
}
