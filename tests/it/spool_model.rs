//! The spool against a simple model: whatever is done to it, in whatever order, with crashes between.

use proptest::prelude::*;
use trunkline::spool::{Options, Store};

use crate::harness::faulty_files::{Fault, FaultyFiles};
use crate::harness::rows::{Model, Step, changes, scratch};

/// What a test does next. Numbers of rows are drawn from a few, so that they meet.
#[derive(Debug, Clone)]
enum Deed {
    Apply(Vec<Step>),
    GiveBack,
    /// The process ends, and another one opens the spool.
    Crash,
    /// Power goes off now, or at one of the next operations of the disk.
    PowerLoss(u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![4 => 0_usize..3000, 1 => 3000_usize..30_000];
    let step = prop_oneof![
        4 => (1_u64..60, size.clone()).prop_map(|(number, size)| Step::Append(number, size)),
        3 => (1_u64..60).prop_map(Step::Delete),
        1 => (1_u64..60).prop_map(Step::Quarantine),
        1 => (100_u64..110, size).prop_map(|(number, size)| Step::Bury(number, size)),
        1 => (1_u32..100).prop_map(Step::Partitions),
    ];
    prop::collection::vec(step, 1..20)
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => steps().prop_map(Deed::Apply),
        1 => Just(Deed::GiveBack),
        2 => Just(Deed::Crash),
        2 => (0_u64..40, any::<u64>()).prop_map(|(operations, seed)| Deed::PowerLoss(operations, seed)),
    ];
    prop::collection::vec(deed, 1..30)
}

/// The steps that can be made: a number is taken in once.
fn possible(model: &Model, steps: &[Step]) -> Vec<Step> {
    let mut model = model.clone();
    let mut possible = Vec::new();
    for step in steps {
        let is_new = |number: &u64| !model.rows.contains_key(number) && !model.quarantine.contains_key(number);
        let makes_sense = match step {
            Step::Append(number, _) | Step::Bury(number, _) => is_new(number),
            Step::Delete(_) | Step::Quarantine(_) | Step::Partitions(_) => true,
        };
        if makes_sense {
            model = model.after(&[*step]);
            possible.push(*step);
        }
    }
    possible
}

/// A spool that is tortured, and what it should hold.
struct Tortured<'f> {
    files: &'f FaultyFiles,
    options: Options,
    /// Nothing, while the process that had it open is gone.
    store: Option<Store>,
    model: Model,
}

impl Tortured<'_> {
    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Apply(steps) => self.apply(&steps),
            Deed::Crash => self.reopen(None),
            Deed::PowerLoss(operations, seed) => {
                self.files.fail(Fault::PowerLoss(self.files.operations() + operations, seed));
            }
            Deed::GiveBack => {
                if self.store.as_mut().unwrap().give_back(7).is_err() {
                    self.reopen(None);
                }
            }
        }
    }

    fn apply(&mut self, steps: &[Step]) {
        let steps = possible(&self.model, steps);
        let after = self.model.after(&steps);
        match self.store.as_mut().unwrap().apply(&changes(&steps)) {
            Ok(_) => self.model = after,
            Err(_) => self.reopen(Some(after)),
        }
    }

    /// Opens the spool as the next process does, with power back if it was off. What was not
    /// acknowledged may be there, but only whole.
    fn reopen(&mut self, perhaps: Option<Model>) {
        self.store = None;
        let opened = Store::open(&self.options).unwrap_or_else(|_| {
            self.files.power_cycle();
            Store::open(&self.options).unwrap()
        });
        let found = Model::of(&opened);
        assert_eq!(opened.salvage, None);
        assert!(found == self.model || Some(&found) == perhaps.as_ref(), "{found:?}, not {:?}", self.model);
        self.model = found;
        self.store = Some(opened.store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_holds_what_a_map_would_hold_that_nothing_can_harm(deeds in deeds()) {
        let files = FaultyFiles::register();
        let dir = scratch();
        let options = Options { dir: dir.path().to_owned(), vfs: Some(files.name()) };
        let store = Some(Store::open(&options).unwrap().store);
        let mut spool = Tortured { files: &files, options, store, model: Model::default() };
        for deed in deeds {
            spool.act(deed);
        }
        spool.reopen(None);
    }
}
