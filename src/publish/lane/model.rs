//! The lane against a model of the world: Kafka's client as a queue, the spool as another, a disk, a topic and
//! the dead letters. Whatever the order of arrivals, acknowledgements, refusals, failures, time-outs, disk errors,
//! damage, crashes and restarts, what is promised must hold.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Facts, Lane, Mode, Outside, RowFacts, Way};
use crate::settings::Policy;

type EventId = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Pending,
    Durable {
        step: usize,
    },
    Failed,
    /// Its request was never answered: the process died.
    Lost,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    arrived: usize,
    life: usize,
    policy: Policy,
    answer: Answer,
    /// Kafka never takes it.
    guilty: bool,
    /// It was refused together with others after it had been answered, and what was in Kafka's queue behind it
    /// may have gone first.
    overtaken: bool,
    /// Damage to the disk has hit it.
    hit: bool,
}

#[derive(Debug)]
enum SpoolJob {
    Append(u64, EventId),
    Delete(u64),
    Load(Vec<u64>),
}

/// Everything outside of the lane.
#[derive(Debug, Default)]
struct World {
    step: usize,
    life: usize,
    events: Vec<Event>,
    /// What Kafka's client holds; `true` when the broker has written it and the answer is on its way.
    queue: VecDeque<(u64, EventId, bool)>,
    queue_is_full: bool,
    topic: Vec<EventId>,
    burials: VecDeque<(u64, EventId)>,
    letters: BTreeSet<EventId>,
    jobs: VecDeque<SpoolJob>,
    disk: BTreeMap<u64, EventId>,
    deleted: BTreeMap<u64, EventId>,
    /// Rows that the lane heard of when the spool was opened anew: published before, or answered as failed.
    strays: BTreeSet<u64>,
    disk_is_broken: bool,
    /// The next commit succeeds, and is reported as an error.
    commit_is_untold: bool,
    no_room: bool,
    order_is_promised: bool,
}

impl World {
    fn answer(&mut self, event: EventId, answer: Answer) {
        if self.events[event].answer == Answer::Pending {
            self.events[event].answer = answer;
        }
    }
}

impl Outside<EventId, ()> for World {
    fn produce(&mut self, number: u64, event: &mut EventId, _: Instant) -> bool {
        if self.queue_is_full {
            return false;
        }
        let exempt = !self.order_is_promised || self.strays.contains(&number);
        assert!(exempt || self.queue.iter().all(|(queued, ..)| *queued < number), "in order");
        self.queue.push_back((number, *event, false));
        true
    }

    fn append(&mut self, number: u64, event: &mut EventId, _: RowFacts) -> bool {
        if !self.no_room {
            assert_eq!(self.events[*event].policy, Policy::Spool, "a strict event never goes to the spool");
            self.jobs.push_back(SpoolJob::Append(number, *event));
        }
        !self.no_room
    }

    fn delete(&mut self, number: u64) {
        self.jobs.push_back(SpoolJob::Delete(number));
    }

    fn load(&mut self, numbers: Vec<u64>) {
        assert!(!numbers.is_empty());
        self.jobs.push_back(SpoolJob::Load(numbers));
    }

    fn bury(&mut self, number: u64, event: &mut EventId, _: Facts, (): (), is_row: bool) {
        assert!(self.events[*event].guilty, "{event} was only in bad company");
        assert!(!is_row || self.disk.contains_key(&number) || self.events[*event].hit, "{event} is a row");
        self.burials.push_back((number, *event));
    }

    fn durable(&mut self, event: &mut EventId, way: Way) {
        match way {
            Way::Spooled => assert!(self.disk.values().any(|stored| stored == event), "{event} is on the disk"),
            Way::Buried => assert!(self.letters.contains(event), "{event} has its letter"),
            Way::Live | Way::Late | Way::Drained => assert!(self.topic.contains(event), "{event} is in the topic"),
        }
        let step = self.step;
        self.answer(*event, Answer::Durable { step });
    }

    fn failed(&mut self, event: EventId) {
        self.answer(event, Answer::Failed);
    }

    fn stalled(&mut self, event: &mut EventId) {
        self.answer(*event, Answer::Failed);
    }
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Arrive(Policy),
    /// An event that Kafka refuses.
    ArriveGuilty(Policy),
    Acknowledge,
    /// The broker writes an event, and its answer does not arrive yet.
    Write,
    FailAll,
    /// Kafka refuses so many events that came in one request.
    Refuse(usize),
    Bury,
    SpoolJob,
    /// The disk forgets a row, or remembers one that was deleted, and the spool is opened anew.
    Damage {
        lose: bool,
        revive: bool,
    },
    UntoldCommit,
    Break(bool),
    FillDisk(bool),
    FillQueue(bool),
    Wait(u64),
    Save,
    RetryNow,
    Crash,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        10 => Just(Happening::Arrive(Policy::Spool)),
        3 => Just(Happening::Arrive(Policy::Strict)),
        8 => Just(Happening::Acknowledge),
        2 => Just(Happening::Write),
        1 => Just(Happening::FailAll),
        1 => prop_oneof![Just(Policy::Spool), Just(Policy::Strict)].prop_map(Happening::ArriveGuilty),
        2 => (1..6_usize).prop_map(Happening::Refuse),
        4 => Just(Happening::Bury),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(lose, revive)| Happening::Damage { lose, revive }),
        1 => Just(Happening::UntoldCommit),
        12 => Just(Happening::SpoolJob),
        1 => any::<bool>().prop_map(Happening::Break),
        1 => any::<bool>().prop_map(Happening::FillDisk),
        1 => any::<bool>().prop_map(Happening::FillQueue),
        6 => prop_oneof![Just(1), Just(60), Just(400), Just(6000)].prop_map(Happening::Wait),
        1 => Just(Happening::Save),
        1 => Just(Happening::RetryNow),
        1 => Just(Happening::Crash),
    ]
}

/// A lane in its world.
struct Model {
    lane: Lane<EventId, ()>,
    world: World,
    now: Instant,
    next_number: u64,
    modes: BTreeSet<&'static str>,
}

const ACK_TIMEOUT: Duration = Duration::from_millis(50);
const ROW: RowFacts = RowFacts { key_hash: 0, bytes: 100 };

impl Model {
    fn new() -> Self {
        let now = Instant::now();
        let world = World { order_is_promised: true, ..World::default() };
        Self { lane: Lane::new(BTreeMap::new(), now), world, now, next_number: 1, modes: Default::default() }
    }

    fn happen(&mut self, happening: Happening) {
        self.world.step += 1;
        match happening {
            Happening::Arrive(policy) => self.arrive(policy, false),
            Happening::ArriveGuilty(policy) => self.arrive(policy, true),
            Happening::Acknowledge => self.acknowledge(),
            Happening::Write => self.write(),
            Happening::FailAll => self.fail_all(),
            Happening::Refuse(events) => self.refuse(events),
            Happening::Bury => self.bury(),
            Happening::Damage { lose, revive } => self.damage(lose, revive),
            Happening::UntoldCommit => self.world.commit_is_untold = true,
            Happening::SpoolJob => self.spool_job(),
            Happening::Break(broken) => self.world.disk_is_broken = broken,
            Happening::FillDisk(full) => self.world.no_room = full,
            Happening::FillQueue(full) => self.world.queue_is_full = full,
            Happening::Wait(wait_ms) => self.now += Duration::from_millis(wait_ms),
            Happening::Save => self.lane.save(self.now, &mut self.world),
            Happening::RetryNow => self.lane.retry_now(self.now, &mut self.world),
            Happening::Crash => self.crash(),
        }
        self.lane.tick(self.now, &mut self.world);
        self.modes.insert(match self.lane.mode() {
            Mode::Live => "live",
            Mode::Spooling { .. } => "spooling",
            Mode::Draining { .. } => "draining",
            Mode::Closing => "closing",
        });
    }

    fn arrive(&mut self, policy: Policy, guilty: bool) {
        let id = self.world.events.len();
        let (arrived, life) = (self.world.step, self.world.life);
        let answer = Answer::Pending;
        self.world.events.push(Event { arrived, life, policy, answer, guilty, overtaken: false, hit: false });
        let number = self.next_number;
        self.next_number += 1;
        let facts = Facts { key_hash: ROW.key_hash, bytes: ROW.bytes, policy, deadline: self.now + ACK_TIMEOUT };
        self.lane.accept(number, id, facts, self.now, &mut self.world);
    }

    fn write(&mut self) {
        let World { queue, events, topic, .. } = &mut self.world;
        let unwritten = queue.iter_mut().find(|(.., written)| !written);
        if let Some((_, event, written)) = unwritten.filter(|(_, event, _)| !events[*event].guilty) {
            *written = true;
            topic.push(*event);
        }
    }

    fn acknowledge(&mut self) {
        let Some((number, event, written)) = self.world.queue.front().copied() else { return };
        if self.world.events[event].guilty {
            return self.refuse(1);
        }
        self.world.queue.pop_front();
        if !written {
            self.world.topic.push(event);
        }
        self.lane.acknowledged(number, self.now, &mut self.world);
    }

    fn fail_all(&mut self) {
        for (number, ..) in std::mem::take(&mut self.world.queue) {
            self.lane.failed(number, self.now, &mut self.world);
        }
    }

    /// One event is refused only if it is at fault; several are refused if one is, or if they are too much together.
    fn refuse(&mut self, events: usize) {
        let World { queue, .. } = &mut self.world;
        let unwritten = queue.iter().take(events).take_while(|(.., written)| !written).count();
        let refused: Vec<_> = queue.drain(..unwritten).collect();
        match refused[..] {
            [(number, event, _)] if !self.world.events[event].guilty => {
                return self.world.queue.push_front((number, event, false));
            }
            _ => {}
        }
        for (number, event, _) in refused {
            let event = &mut self.world.events[event];
            event.overtaken |= matches!(event.answer, Answer::Durable { .. });
            self.lane.refused(number, (), false, self.now, &mut self.world);
        }
    }

    /// A dead letter is durable, or could not be made so.
    fn bury(&mut self) {
        let Some((number, event)) = self.world.burials.pop_front() else { return };
        let kept = !self.world.disk_is_broken;
        if kept {
            self.world.letters.insert(event);
        }
        self.lane.buried(number, kept, self.now, &mut self.world);
    }

    /// What the ledger does when it has opened the spool anew.
    fn reopen(&mut self) {
        let rows: BTreeMap<u64, RowFacts> = self.world.disk.keys().map(|number| (*number, ROW)).collect();
        self.lane.forget_lost(&rows);
        for number in rows.into_keys().filter(|number| !self.lane.knows(*number)).collect::<Vec<_>>() {
            self.world.strays.insert(number);
            self.lane.adopt(number, ROW, self.now, &mut self.world);
        }
    }

    fn damage(&mut self, lose: bool, revive: bool) {
        if self.world.disk_is_broken {
            return;
        }
        let World { disk, deleted, events, .. } = &mut self.world;
        if lose && let Some((_, event)) = disk.pop_first() {
            events[event].hit = true;
        }
        if revive && let Some((number, event)) = deleted.pop_last() {
            disk.insert(number, event);
        }
        self.reopen();
    }

    fn spool_job(&mut self) {
        let broken = self.world.disk_is_broken;
        match self.world.jobs.pop_front() {
            None => {}
            Some(SpoolJob::Append(number, _)) if broken => {
                self.lane.not_stored(number, |_| {}, self.now, &mut self.world);
            }
            Some(SpoolJob::Append(number, event)) => {
                let before = self.world.disk.insert(number, event);
                assert!(before.is_none_or(|before| before == event), "a number is one event's");
                if std::mem::take(&mut self.world.commit_is_untold) {
                    self.lane.not_stored(number, |_| {}, self.now, &mut self.world);
                    return self.reopen();
                }
                self.lane.stored(number, self.now, &mut self.world);
            }
            // A deletion is repeated until it succeeds.
            Some(SpoolJob::Delete(number)) => {
                let deleted = self.world.disk.remove(&number);
                self.world.deleted.extend(deleted.map(|event| (number, event)));
            }
            Some(SpoolJob::Load(_)) if broken => {
                self.world.order_is_promised = false;
                self.lane.not_loaded(self.now, &mut self.world);
            }
            Some(SpoolJob::Load(numbers)) => {
                let found = numbers.iter().filter_map(|number| Some((*number, *self.world.disk.get(number)?)));
                self.lane.loaded(found.collect(), self.now, &mut self.world);
            }
        }
    }

    /// What was not written is gone, and so is what was on its way to the disk.
    fn crash(&mut self) {
        self.world.life += 1;
        self.world.queue.clear();
        self.world.burials.clear();
        self.world.jobs.clear();
        for event in &mut self.world.events {
            if event.answer == Answer::Pending {
                event.answer = Answer::Lost;
            }
        }
        let rows = self.world.disk.keys().map(|number| (*number, ROW)).collect();
        self.lane = Lane::new(rows, self.now);
    }

    /// All is well again, and time passes.
    fn settle(&mut self) {
        for mended in [Happening::Break(false), Happening::FillDisk(false), Happening::FillQueue(false)] {
            self.happen(mended);
        }
        for _ in 0..10_000 {
            if self.lane.is_idle() && self.world.jobs.is_empty() && self.lane.mode() == Mode::Live {
                return;
            }
            self.happen(Happening::SpoolJob);
            self.happen(Happening::Acknowledge);
            self.happen(Happening::Bury);
            self.happen(Happening::Wait(200));
        }
        panic!("the lane is stuck: {:?} {:?}", self.lane, self.world);
    }

    fn check(&self) {
        let World { events, topic, letters, disk, queue, burials, order_is_promised, .. } = &self.world;
        assert!(disk.is_empty() && queue.is_empty() && burials.is_empty(), "nothing is left behind");
        assert_eq!((self.lane.unsaved_count(), self.lane.oldest_stored()), (0, None));
        let first = |event: EventId| topic.iter().position(|published| *published == event);
        let mut positions = Vec::new();
        for (id, event) in events.iter().enumerate() {
            assert_ne!(event.answer, Answer::Pending, "event {id} was never answered");
            let Answer::Durable { step } = event.answer else { continue };
            match first(id) {
                Some(position) => positions.push((id, step, position)),
                None => assert!(letters.contains(&id) || event.hit, "event {id} was answered 200 and is lost"),
            }
        }
        let in_order = |(id, ..): &&(EventId, usize, usize)| *order_is_promised && !events[*id].overtaken;
        for (id, answered, position) in positions.iter().filter(in_order) {
            let later = positions
                .iter()
                .filter(|(other, ..)| events[*other].life == events[*id].life && events[*other].arrived > *answered);
            for (other, _, other_position) in later {
                assert!(position < other_position, "{other} arrived after the answer to {id} and precedes it");
            }
        }
    }
}

#[test]
fn what_is_promised_holds_whatever_happens() {
    let config = ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() };
    let seen = std::cell::RefCell::new(BTreeSet::new());
    let happenings = proptest::collection::vec(happening(), 1..250);
    TestRunner::new(config)
        .run(&happenings, |happenings| {
            let mut model = Model::new();
            happenings.into_iter().for_each(|happening| model.happen(happening));
            model.settle();
            model.check();
            seen.borrow_mut().append(&mut model.modes);
            Ok(())
        })
        .unwrap();
    assert_eq!(seen.into_inner().into_iter().collect::<Vec<_>>(), ["closing", "draining", "live", "spooling"]);
}
