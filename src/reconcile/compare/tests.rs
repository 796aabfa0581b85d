//! Whatever rows come in whatever order, pages and copies, and whatever the topics hold, the sums hold and the
//! result is the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::cells::{Cells, Fate};
use super::*;
use crate::event::time::Time;
use crate::reconcile::sought::memory::Memory;
use crate::reconcile::sought::{Gathering, Print, Sought};
use crate::reconcile::window::{HOUR_S, Window};

/// What a provider lists: its key, its version, its account and its hour. Equal ones are one row.
type WorldRow = (u8, u8, u8, u8);

#[derive(Debug, Clone)]
struct World {
    listed: Vec<WorldRow>,
    topics: Vec<(u8, u8)>,
    counted: BTreeMap<(u8, u8), u64>,
    withholds: bool,
}

fn world() -> impl Strategy<Value = World> {
    // Account and hour follow from the key, as a row has one place.
    let row = (0_u8..30, 0_u8..3).prop_map(|(key, version)| (key, version, key % 3, key / 3 % 2));
    let counted = proptest::collection::btree_map((0_u8..3, 0_u8..2), 0_u64..40, 0..6);
    let parts = (proptest::collection::vec(row, 0..80), proptest::collection::vec((0_u8..30, 0_u8..3), 0..80), counted);
    (parts, any::<bool>()).prop_map(|((listed, topics, counted), withholds)| World {
        listed,
        topics,
        counted,
        withholds,
    })
}

fn print(key: u8, version: u8) -> Print {
    let spread = |number: u8| u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Print { key: spread(key), id: spread(version), fact: u64::from(version) }
}

fn at(hour: u8) -> Time {
    Time::from_unix_seconds(i64::from(hour) * HOUR_S).unwrap()
}

fn account(number: u8) -> String {
    format!("account-{number}")
}

/// What a sweep came to: sums by cell, and what was published.
type Outcome = (Vec<(String, Window, Counts)>, BTreeSet<(u8, u8)>, u64);

fn gather(world: &World, cells: &mut Cells) -> Sought {
    let mut gathering = Gathering::new(Memory::new(1 << 20).lease());
    for ((account_number, hour), rows) in &world.counted {
        let cell = cells.cell(&account(*account_number), at(*hour)).unwrap();
        cells.count(cell, *rows);
    }
    for (number, (key, version, account_number, hour)) in (0_u32..).zip(&world.listed) {
        let cell = cells.cell(&account(*account_number), at(*hour)).unwrap();
        gathering.push(print(*key, *version), number, cell).unwrap();
    }
    gathering.seal()
}

fn sweep(world: &World) -> Outcome {
    let mut cells = Cells::new(false);
    let mut sought = gather(world, &mut cells);
    world.topics.iter().for_each(|(key, version)| sought.see(print(*key, *version)));
    let waiting = sought.waiting();
    let mut published = BTreeSet::new();
    for (number, (key, version, ..)) in (0_u32..).zip(&world.listed) {
        if waiting.contains(number) && !world.withholds {
            sought.publish(print(*key, *version));
            assert!(published.insert((*key, *version)), "published twice");
        } else if waiting.contains(number) {
            sought.withhold(print(*key, *version));
        }
    }
    sum(&sought, &mut cells);
    let by_cell =
        cells.in_order().into_iter().map(|(account, hour, cell)| (account.to_owned(), hour, cells.counts(cell)));
    (by_cell.collect(), published, sought.repeated())
}

fn sum(sought: &Sought, cells: &mut Cells) {
    for row in sought.rows() {
        let fate = match (row.is_published, row.is_withheld) {
            (true, _) => Fate::Published,
            (_, true) => Fate::Withheld,
            _ => Fate::Waiting,
        };
        cells.add(row.cell, Class::of(row.found, Unseen::Missing), fate);
    }
}

fn holds(counts: &Counts) -> bool {
    let explained = counts.held + counts.unseen() + counts.unreadable + counts.unexplained;
    counts.expected + counts.surplus == explained && counts.published + counts.withheld == counts.unseen()
}

proptest! {
    #[test]
    fn the_sums_hold_in_each_cell_and_together(world in world()) {
        let (by_cell, published, repeated) = sweep(&world);
        let mut total = Counts::default();
        for (account, hour, counts) in by_cell {
            prop_assert!(holds(&counts), "{account} {hour:?} {counts:?}");
            total += counts;
        }
        prop_assert!(holds(&total), "{total:?}");
        prop_assert_eq!(total.published, published.len() as u64);
        let distinct: BTreeSet<WorldRow> = world.listed.iter().copied().collect();
        prop_assert_eq!(repeated, (world.listed.len() - distinct.len()) as u64);
    }

    #[test]
    fn the_sums_hold_where_only_numbers_are_compared(
        told in proptest::collection::vec((proptest::option::of(0_u64..9), proptest::option::of(0_u32..9)), 1..20),
    ) {
        let mut cells = Cells::new(false);
        for (number, (counted, tallied)) in (0_u8..).zip(&told) {
            let cell = cells.cell(&account(number), at(0)).unwrap();
            counted.iter().for_each(|rows| cells.count(cell, *rows));
            tallied.iter().for_each(|records| cells.tally(cell, *records));
            prop_assert!(holds(&cells.counts(cell)), "{:?}", cells.counts(cell));
        }
        prop_assert!(holds(&cells.sum(Window::hour_at(at(0)))));
    }

    #[test]
    fn only_what_the_topics_lack_is_published(world in world()) {
        let (_, published, _) = sweep(&World { withholds: false, ..world.clone() });
        let listed: BTreeSet<(u8, u8)> = world.listed.iter().map(|(key, version, ..)| (*key, *version)).collect();
        let topics: BTreeSet<(u8, u8)> = world.topics.iter().copied().collect();
        prop_assert_eq!(&published, &listed.difference(&topics).copied().collect::<BTreeSet<_>>());
        let again = World { topics: topics.union(&published).copied().collect(), withholds: false, ..world };
        prop_assert!(sweep(&again).1.is_empty(), "a second sweep has nothing to publish");
    }

    #[test]
    fn order_and_copies_change_nothing(world in world(), seeds in proptest::collection::vec(any::<u32>(), 0..200)) {
        let mut shuffled = world.clone();
        for (place, seed) in seeds.iter().enumerate() {
            if let Some(row) = shuffled.listed.get(place % shuffled.listed.len().max(1)).copied() {
                let other = *seed as usize % shuffled.listed.len();
                shuffled.listed.swap(place % world.listed.len(), other);
                shuffled.listed.extend((seed % 5 == 0).then_some(row));
            }
            if !shuffled.topics.is_empty() {
                let record = shuffled.topics[*seed as usize % shuffled.topics.len()];
                shuffled.topics.push(record);
                shuffled.topics.swap_remove(0);
                shuffled.topics.push(record);
            }
        }
        shuffled.topics = shuffled.topics.into_iter().chain(world.topics.iter().copied()).collect();
        let ((cells, published, _), (other_cells, other_published, _)) = (sweep(&world), sweep(&shuffled));
        prop_assert_eq!(published, other_published);
        prop_assert_eq!(cells, other_cells);
        prop_assert_eq!(digest(&world), digest(&shuffled));
    }

    #[test]
    fn parts_that_are_compared_one_after_the_other_publish_the_same(world in world(), cut in any::<prop::sample::Index>()) {
        let whole = World { withholds: false, ..world };
        let (first, rest) = whole.listed.split_at(cut.index(whole.listed.len() + 1));
        let part = |listed: &[WorldRow], published: &BTreeSet<(u8, u8)>| {
            let topics = whole.topics.iter().chain(published).copied().collect();
            sweep(&World { listed: listed.to_vec(), topics, counted: BTreeMap::new(), withholds: false })
        };
        let (_, one, _) = part(first, &BTreeSet::new());
        let (_, other, _) = part(rest, &one);
        prop_assert!(one.is_disjoint(&other));
        prop_assert_eq!(one.union(&other).copied().collect::<BTreeSet<_>>(), sweep(&whole).1);
    }
}

fn digest(world: &World) -> digest::Digest {
    let mut digest = digest::Digest::default();
    gather(world, &mut Cells::new(false)).rows().for_each(|row| digest.add_row(row.print));
    digest
}

#[test]
fn a_row_counts_by_what_the_topics_hold() {
    for (found, unseen, class) in [
        (Found::Row, Unseen::Missing, Class::Held),
        (Found::Row, Unseen::New, Class::Held),
        (Found::Key, Unseen::Missing, Class::Updated),
        (Found::Key, Unseen::New, Class::Updated),
        (Found::Nothing, Unseen::Missing, Class::Missing),
        (Found::Nothing, Unseen::New, Class::New),
    ] {
        assert_eq!(Class::of(found, unseen), class);
    }
}

#[test]
fn a_window_is_settled_once_nothing_is_left() {
    let done = Counts {
        expected: 9,
        held: 5,
        missing: 2,
        updated: 1,
        published: 2,
        withheld: 1,
        unreadable: 1,
        ..Counts::default()
    };
    assert!(done.is_settled() && done.is_worth_telling());
    assert!(!Counts { unexplained: 1, ..done }.is_settled());
    assert!(!Counts { published: 1, ..done }.is_settled());
    let held = Counts { expected: 5, held: 5, ..Counts::default() };
    assert!(held.is_settled() && !held.is_worth_telling());
    assert!(Counts { surplus: 1, ..held }.is_settled(), "what is told beside the count is never an alarm");
}
