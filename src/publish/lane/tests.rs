//! Single rules of the lane, told one by one. `model.rs` tries them all together.

use super::*;

const PATIENCE: Duration = Duration::from_millis(100);

/// Notes what it is asked to do.
#[derive(Default)]
struct Notes {
    produced: Vec<u64>,
    appended: Vec<u64>,
    deleted: Vec<u64>,
    loads: Vec<Vec<u64>>,
    durable: Vec<(char, Way)>,
    failed: Vec<char>,
    stalled: Vec<char>,
    buried: Vec<(u64, bool)>,
    full: bool,
}

impl Outside<char, ()> for Notes {
    fn produce(&mut self, number: u64, _: &mut char, _: Instant) -> bool {
        if !self.full {
            self.produced.push(number);
        }
        !self.full
    }

    fn append(&mut self, number: u64, _: &mut char, _: RowFacts) -> bool {
        self.appended.push(number);
        true
    }

    fn bury(&mut self, number: u64, _: &mut char, _: Facts, (): (), is_row: bool) {
        self.buried.push((number, is_row));
    }

    fn delete(&mut self, number: u64) {
        self.deleted.push(number);
    }

    fn load(&mut self, numbers: Vec<u64>) {
        self.loads.push(numbers);
    }

    fn durable(&mut self, event: &mut char, way: Way) {
        self.durable.push((*event, way));
    }

    fn failed(&mut self, event: char) {
        self.failed.push(event);
    }

    fn stalled(&mut self, event: &mut char) {
        self.stalled.push(*event);
    }
}

fn facts(now: Instant, policy: Policy) -> Facts {
    Facts { key_hash: 1, bytes: 10, policy, deadline: now + PATIENCE }
}

fn rows(numbers: std::ops::Range<u64>) -> BTreeMap<u64, RowFacts> {
    numbers.map(|number| (number, RowFacts { key_hash: 1, bytes: 10 })).collect()
}

/// A lane whose first event, `a`, Kafka has not acknowledged in time.
fn overdue(policy: Policy) -> (Lane<char, ()>, Notes, Instant) {
    let (mut notes, now) = (Notes::default(), Instant::now());
    let mut lane = Lane::new(BTreeMap::new(), now);
    lane.accept(1, 'a', facts(now, policy), now, &mut notes);
    lane.tick(now + PATIENCE - Duration::from_millis(1), &mut notes);
    assert!(notes.appended.is_empty() && lane.is_live());
    lane.tick(now + PATIENCE, &mut notes);
    (lane, notes, now + PATIENCE)
}

#[test]
fn an_event_that_is_overdue_goes_to_the_spool_and_is_durable_once_it_is_there() {
    let (mut lane, mut notes, now) = overdue(Policy::Spool);
    assert_eq!(notes.appended, [1]);
    assert!(notes.durable.is_empty());
    lane.stored(1, now, &mut notes);
    assert_eq!(notes.durable, [('a', Way::Spooled)]);
    lane.accept(2, 'b', facts(now, Policy::Spool), now, &mut notes);
    assert_eq!((notes.produced, notes.appended), (vec![1], vec![1, 2]), "new events wait for nothing");
}

#[test]
fn an_event_that_the_spool_refused_is_offered_to_it_again() {
    let (mut lane, mut notes, now) = overdue(Policy::Spool);
    let mut given_back = None;
    lane.not_stored(1, |event| given_back = Some(*event), now, &mut notes);
    assert_eq!((given_back, &notes.stalled), (Some('a'), &vec!['a']), "its request is told to try again");
    lane.tick(now + COPY_AGAIN, &mut notes);
    assert_eq!(notes.appended, [1, 1]);
    lane.stored(1, now, &mut notes);
    assert_eq!(notes.durable, [('a', Way::Spooled)], "what comes again is a duplicate now");
    lane.acknowledged(1, now, &mut notes);
    assert_eq!(notes.deleted, [1]);
}

#[test]
fn a_late_acknowledgement_removes_the_copy_and_makes_the_lane_live() {
    let (mut lane, mut notes, now) = overdue(Policy::Spool);
    lane.stored(1, now, &mut notes);
    lane.acknowledged(1, now, &mut notes);
    assert_eq!(notes.deleted, [1]);
    assert_eq!(notes.durable, [('a', Way::Spooled), ('a', Way::Late)]);
    assert!(lane.is_idle() && lane.is_live());
}

#[test]
fn a_strict_event_is_told_at_once_and_the_next_ones_before_they_wait() {
    let (mut lane, mut notes, now) = overdue(Policy::Strict);
    assert_eq!((&notes.stalled, notes.appended.len()), (&vec!['a'], 0));
    lane.accept(2, 'b', facts(now, Policy::Strict), now, &mut notes);
    assert_eq!(notes.failed, ['b']);
    lane.acknowledged(1, now, &mut notes);
    assert_eq!(notes.durable, [('a', Way::Live)], "late, and durable after all");
    assert!(lane.is_live());
}

#[test]
fn the_drain_waits_for_everything_that_kafka_has_not_told_about() {
    let (mut lane, mut notes, now) = overdue(Policy::Spool);
    lane.accept(2, 'b', facts(now, Policy::Spool), now, &mut notes);
    lane.stored(1, now, &mut notes);
    lane.stored(2, now, &mut notes);
    assert!(notes.loads.is_empty());
    lane.acknowledged(1, now, &mut notes);
    assert_eq!(notes.loads, [[2]]);
}

#[test]
fn rows_of_the_last_run_are_tried_by_a_few_first() {
    let (mut notes, now) = (Notes::default(), Instant::now());
    let mut lane = Lane::new(rows(1..5001), now);
    lane.tick(now, &mut notes);
    assert_eq!(notes.loads.pop(), Some((1..=16).collect()));
    lane.loaded((1..=16).map(|number| (number, 'r')).collect(), now, &mut notes);
    lane.tick(now + MAX_BACKOFF * 10, &mut notes);
    assert!(notes.loads.is_empty(), "nothing more until one of them has arrived");
    (1..=16).for_each(|number| lane.acknowledged(number, now, &mut notes));
    assert!(notes.loads.iter().map(Vec::len).sum::<usize>() > 16);
    lane.accept(9000, 'n', facts(now, Policy::Spool), now, &mut notes);
    assert_eq!(notes.appended, [9000], "what is new goes behind them");
}

#[test]
fn the_last_rows_are_not_waited_for_on_disk() {
    let (mut notes, now) = (Notes::default(), Instant::now());
    let mut lane = Lane::new(rows(1..101), now);
    lane.tick(now, &mut notes);
    lane.loaded((1..=16).map(|number| (number, 'r')).collect(), now, &mut notes);
    lane.acknowledged(1, now, &mut notes);
    lane.accept(200, 'n', facts(now, Policy::Spool), now, &mut notes);
    assert!(notes.appended.is_empty() && !notes.produced.contains(&200));
    for number in 2..=100 {
        while let Some(load) = notes.loads.pop() {
            lane.loaded(load.into_iter().map(|number| (number, 'r')).collect(), now, &mut notes);
        }
        lane.acknowledged(number, now, &mut notes);
    }
    assert_eq!(notes.produced, (1..=100).chain([200]).collect::<Vec<u64>>());
    assert_eq!(lane.mode(), Mode::Live);
}

#[test]
fn failures_are_tried_again_later_each_time() {
    let (mut notes, mut now) = (Notes::default(), Instant::now());
    let mut lane = Lane::new(rows(1..2), now);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let since = now;
        while notes.loads.is_empty() {
            now += Duration::from_millis(50);
            lane.tick(now, &mut notes);
        }
        waits.push(now - since);
        lane.loaded(notes.loads.pop().unwrap().into_iter().map(|number| (number, 'r')).collect(), now, &mut notes);
        lane.failed(1, now, &mut notes);
    }
    assert!(waits.is_sorted() && waits[7] == MAX_BACKOFF, "{waits:?}");
}

#[test]
fn rows_that_can_not_be_read_do_not_keep_the_lane_from_being_live() {
    let (mut notes, now) = (Notes::default(), Instant::now());
    let mut lane = Lane::new(rows(1..2), now);
    lane.tick(now, &mut notes);
    lane.not_loaded(now, &mut notes);
    assert_eq!(lane.mode(), Mode::Live);
    lane.tick(now + MAX_BACKOFF, &mut notes);
    assert_eq!(notes.loads, [[1], [1]], "and are asked for again");
}

#[test]
fn a_full_queue_is_a_reason_for_the_spool() {
    let (mut notes, now) = (Notes { full: true, ..Notes::default() }, Instant::now());
    let mut lane = Lane::new(BTreeMap::new(), now);
    lane.accept(1, 'a', facts(now, Policy::Spool), now, &mut notes);
    lane.accept(2, 'b', facts(now, Policy::Strict), now, &mut notes);
    assert_eq!((notes.appended, notes.failed), (vec![1], vec!['b']));
}

#[test]
fn a_gated_lane_hands_nothing_to_kafka_until_the_older_rows_are_there() {
    let (mut notes, now) = (Notes::default(), Instant::now());
    let mut lane = Lane::gated(now);
    lane.accept(10, 'n', facts(now, Policy::Spool), now, &mut notes);
    lane.stored(10, now, &mut notes);
    lane.tick(now + MAX_BACKOFF, &mut notes);
    assert!(notes.loads.is_empty() && notes.produced.is_empty());
    lane.ungate(rows(1..3), now, &mut notes);
    assert_eq!(notes.loads, [[1, 2, 10]]);
}

/// A live lane with events in flight, all of them in one request.
fn in_one_request(events: &[char], policy: Policy) -> (Lane<char, ()>, Notes, Instant) {
    let (mut notes, now) = (Notes::default(), Instant::now());
    let mut lane = Lane::new(BTreeMap::new(), now);
    for (number, event) in (1..).zip(events) {
        lane.accept(number, *event, facts(now, policy), now, &mut notes);
    }
    (lane, notes, now)
}

#[test]
fn an_event_that_is_refused_with_others_goes_once_more_alone() {
    let (mut lane, mut notes, now) = in_one_request(&['a', 'b', 'c'], Policy::Strict);
    (1..=3).for_each(|number| lane.refused(number, (), false, now, &mut notes));
    assert_eq!(notes.produced, [1, 2, 3, 1], "one at a time");
    lane.accept(4, 'd', facts(now, Policy::Strict), now, &mut notes);
    lane.acknowledged(1, now, &mut notes);
    lane.refused(2, (), false, now, &mut notes);
    assert_eq!((notes.buried.as_slice(), notes.produced.len()), (&[(2, false)][..], 6), "now it speaks of 2 alone");
    lane.acknowledged(3, now, &mut notes);
    assert_eq!(notes.produced, [1, 2, 3, 1, 2, 3, 4], "what came meanwhile goes behind them");
    lane.buried(2, true, now, &mut notes);
    assert_eq!(notes.durable, [('a', Way::Live), ('c', Way::Live), ('b', Way::Buried)]);
    assert!(lane.is_live() && notes.failed.is_empty());
}

#[test]
fn a_lone_event_and_one_that_was_looked_at_itself_are_refused_for_good() {
    let (mut lane, mut notes, now) = in_one_request(&['a'], Policy::Strict);
    lane.refused(1, (), false, now, &mut notes);
    let (mut others, mut more_notes, _) = in_one_request(&['a', 'b'], Policy::Strict);
    others.refused(2, (), true, now, &mut more_notes);
    assert_eq!((notes.buried, more_notes.buried), (vec![(1, false)], vec![(2, false)]));
}

#[test]
fn suspects_that_are_overdue_go_to_the_spool_and_are_tried_alone_from_there() {
    let (mut lane, mut notes, now) = in_one_request(&['a', 'b', 'c'], Policy::Spool);
    (1..=3).for_each(|number| lane.refused(number, (), false, now, &mut notes));
    let now = now + PATIENCE;
    lane.tick(now, &mut notes);
    assert_eq!(notes.appended, [2, 3, 1]);
    (1..=3).for_each(|number| lane.stored(number, now, &mut notes));
    lane.acknowledged(1, now, &mut notes);
    for number in 2..=3 {
        assert_eq!(notes.loads.pop(), Some(vec![number]));
        lane.loaded(vec![(number, 'r')], now, &mut notes);
        lane.acknowledged(number, now, &mut notes);
    }
    assert!(lane.is_idle() && lane.is_live());
}

#[test]
fn an_event_is_buried_when_it_is_known_whether_the_spool_has_it() {
    for stored in [true, false] {
        let (mut lane, mut notes, now) = overdue(Policy::Spool);
        lane.refused(1, (), false, now, &mut notes);
        assert!(notes.buried.is_empty(), "its copy is on its way to the spool");
        match stored {
            true => lane.stored(1, now, &mut notes),
            false => lane.not_stored(1, |_| {}, now, &mut notes),
        }
        assert_eq!(notes.buried, [(1, stored)]);
        lane.buried(1, true, now, &mut notes);
        assert_eq!((notes.deleted == [1], lane.is_idle()), (stored, true));
    }
}

#[test]
fn what_can_not_be_buried_stays_a_row_or_fails() {
    for stored in [true, false] {
        let (mut lane, mut notes, now) = overdue(Policy::Spool);
        match stored {
            true => lane.stored(1, now, &mut notes),
            false => lane.not_stored(1, |_| {}, now, &mut notes),
        }
        lane.refused(1, (), false, now, &mut notes);
        lane.buried(1, false, now, &mut notes);
        assert_eq!((lane.oldest_stored(), notes.failed.len()), if stored { (Some(1), 0) } else { (None, 1) });
    }
}

#[test]
fn rows_that_a_reopened_spool_has_lost_are_forgotten_and_those_it_has_found_are_taken_in() {
    let (mut notes, now) = (Notes::default(), Instant::now());
    let mut lane: Lane<char, ()> = Lane::new(rows(1..4), now);
    assert_eq!(lane.forget_lost(&rows(2..3)), 2);
    assert!(lane.knows(2) && !lane.knows(1) && !lane.knows(9));
    lane.adopt(9, RowFacts { key_hash: 1, bytes: 10 }, now, &mut notes);
    lane.tick(now, &mut notes);
    assert_eq!(notes.loads, [[2, 9]]);
}
