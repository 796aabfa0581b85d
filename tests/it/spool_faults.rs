//! The spool on a disk that fails, fills up, or loses power at any moment.

use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_FSYNC};
use trunkline::spool::{Options, SpoolError, Store};

use crate::harness::faulty_files::{Fault, FaultyFiles};
use crate::harness::rows::{self, Model, Step, changes};

/// Transactions of every sort; an empty one stands for giving room back to the disk.
fn script() -> Vec<Vec<Step>> {
    let append = |range: std::ops::Range<u64>, size| range.map(|number| Step::Append(number, size)).collect::<Vec<_>>();
    vec![
        append(1..2, 1500),
        append(2..10, 1500),
        vec![Step::Partitions(12), Step::Append(10, 9000), Step::Delete(2)],
        vec![Step::Quarantine(3), Step::Bury(11, 20_000), Step::Append(12, 0)],
        vec![],
        append(13..40, 700),
        (4..30).map(Step::Delete).collect(),
        vec![Step::Partitions(24), Step::Delete(30)],
        vec![],
        append(41..44, 30_000),
        vec![Step::Delete(41), Step::Quarantine(42)],
    ]
}

/// A few large transactions, so that the log is written back by itself.
fn large_script() -> Vec<Vec<Step>> {
    let append = |first: u64| (first..first + 60).map(|number| Step::Append(number, 60_000)).collect::<Vec<_>>();
    vec![append(1), append(100), append(200), (1..150).map(Step::Delete).collect(), append(300), vec![], append(400)]
}

/// One run of a script in a directory of its own.
struct Run<'f> {
    files: &'f FaultyFiles,
    dir: tempfile::TempDir,
}

/// How far a run came: what was acknowledged, and what it would have been with the step that was not.
struct Outcome {
    acknowledged: Model,
    perhaps: Model,
}

impl<'f> Run<'f> {
    fn new(files: &'f FaultyFiles, fault: Option<Fault>) -> Self {
        files.begin(fault);
        Self { files, dir: rows::scratch() }
    }

    fn options(&self) -> Options {
        Options { dir: self.dir.path().to_owned(), vfs: Some(self.files.name()) }
    }

    /// Runs a script up to the first error.
    fn until_error(&self, script: &[Vec<Step>]) -> Outcome {
        let mut model = Model::default();
        let Ok(opened) = Store::open(&self.options()) else {
            return Outcome { acknowledged: model.clone(), perhaps: model };
        };
        let mut store = opened.store;
        for steps in script {
            let perhaps = model.after(steps);
            if act(&mut store, steps).is_err() {
                return Outcome { acknowledged: model, perhaps };
            }
            model = perhaps;
        }
        Outcome { acknowledged: model.clone(), perhaps: model }
    }

    /// Runs a script, mends the disk at each error and tries again. Returns how often it had to.
    fn with_retries(&self, script: &[Vec<Step>]) -> usize {
        let mut errors = 0;
        let mut store = Store::open(&self.options()).map(|opened| opened.store);
        if store.is_err() {
            errors += 1;
            self.files.mend();
            store = Store::open(&self.options()).map(|opened| opened.store);
        }
        let mut store = store.unwrap();
        let mut model = Model::default();
        for steps in script {
            if let Err(error) = act(&mut store, steps) {
                errors += 1;
                assert!(matches!(error, SpoolError::Full(_) | SpoolError::Unwritable(_)), "{error:?}");
                assert_eq!(Model { partitions: model.partitions, ..Model::of_store(&store) }, model);
                self.files.mend();
                act(&mut store, steps).unwrap();
            }
            model = model.after(steps);
        }
        drop(store);
        let opened = Store::open(&self.options()).unwrap();
        assert_eq!(opened.salvage, None);
        assert_eq!(Model::of(&opened), model);
        errors
    }
}

fn act(store: &mut Store, steps: &[Step]) -> Result<(), SpoolError> {
    match steps {
        [] => store.give_back(1000).map(drop),
        steps => store.apply(&changes(steps)).map(drop),
    }
}

fn operations_of(files: &FaultyFiles, script: &[Vec<Step>]) -> u64 {
    assert_eq!(Run::new(files, None).with_retries(script), 0);
    Run::new(files, None).until_error(script);
    files.operations()
}

/// Whether everything that was acknowledged before power went off is there afterwards, and nothing is
/// there by half.
fn survives(files: &FaultyFiles, script: &[Vec<Step>], operation: u64, seed: u64) -> bool {
    let run = Run::new(files, Some(Fault::PowerLoss(operation, seed)));
    let outcome = run.until_error(script);
    files.power_cycle();
    let opened = Store::open(&run.options()).unwrap();
    let found = Model::of(&opened);
    opened.salvage.is_none() && (found == outcome.acknowledged || found == outcome.perhaps)
}

#[test]
fn what_was_acknowledged_survives_a_power_failure_at_any_moment() {
    let files = FaultyFiles::register();
    let script = script();
    for operation in 0..operations_of(&files, &script) {
        for seed in 0..3 {
            assert!(
                survives(&files, &script, operation, seed * 1000 + operation),
                "operation {operation}, seed {seed}"
            );
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_failure_while_the_log_is_written_back() {
    let files = FaultyFiles::register();
    let script = large_script();
    let operations = operations_of(&files, &script);
    for operation in (0..operations).step_by(usize::try_from(operations / 16).unwrap()) {
        assert!(survives(&files, &script, operation, operation), "operation {operation}");
    }
}

#[test]
fn without_syncs_a_power_failure_loses_what_was_acknowledged() {
    let files = FaultyFiles::register();
    files.ignore_syncs();
    let script = script();
    let operations = operations_of(&files, &script);
    let lost = (0..operations).filter(|operation| !survives(&files, &script, *operation, *operation)).count();
    assert!(lost > 10, "{lost} of {operations} runs lost something");
}

#[test]
fn any_failing_write_or_sync_leaves_everything_as_it_was_and_the_next_try_succeeds() {
    let files = FaultyFiles::register();
    let script = script();
    let operations = operations_of(&files, &script);
    for code in [SQLITE_FULL, SQLITE_IOERR_FSYNC] {
        let mut errors = 0;
        for operation in 0..operations {
            errors += Run::new(&files, Some(Fault::Fail(operation..operation + 1, code))).with_retries(&script);
            errors += Run::new(&files, Some(Fault::Fail(operation..u64::MAX, code))).with_retries(&script);
        }
        assert!(errors as u64 > operations, "{errors} errors in {operations} operations");
    }
}
