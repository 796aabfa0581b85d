//! The lane against a model of the world: Kafka's client as a queue, the spool as another, a disk and a
//! topic. Whatever the order of arrivals, acknowledgements, failures, time-outs, disk errors, crashes
//! and restarts, what is promised must hold.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Facts, Lane, Mode, Outside, Policy, RowFacts, Way};

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
    refused: bool,
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
    jobs: VecDeque<SpoolJob>,
    disk: BTreeMap<u64, EventId>,
    disk_is_broken: bool,
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

impl Outside<EventId> for World {
    fn produce(&mut self, number: u64, event: &mut EventId, _: Instant) -> bool {
        if self.queue_is_full {
            return false;
        }
        assert!(self.queue.iter().all(|(queued, ..)| *queued < number) || !self.order_is_promised, "in order");
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

    fn delete(&mut self, number: u64, _: RowFacts) {
        self.jobs.push_back(SpoolJob::Delete(number));
    }

    fn load(&mut self, numbers: Vec<u64>) {
        assert!(!numbers.is_empty());
        self.jobs.push_back(SpoolJob::Load(numbers));
    }

    fn durable(&mut self, event: &mut EventId, way: Way) {
        match way {
            Way::Spooled => assert!(self.disk.values().any(|stored| stored == event), "{event} is on the disk"),
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
    Acknowledge,
    /// The broker writes an event, and its answer does not arrive yet.
    Write,
    FailAll,
    Refuse,
    SpoolJob,
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
        1 => Just(Happening::Refuse),
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
    lane: Lane<EventId>,
    world: World,
    now: Instant,
    next_number: u64,
    modes: std::collections::BTreeSet<&'static str>,
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
            Happening::Arrive(policy) => self.arrive(policy),
            Happening::Acknowledge => self.acknowledge(),
            Happening::Write => self.write(),
            Happening::FailAll => self.fail_all(),
            Happening::Refuse => self.refuse(),
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

    fn arrive(&mut self, policy: Policy) {
        let id = self.world.events.len();
        let (arrived, life) = (self.world.step, self.world.life);
        self.world.events.push(Event { arrived, life, policy, answer: Answer::Pending, refused: false });
        let number = self.next_number;
        self.next_number += 1;
        let facts = Facts { key_hash: ROW.key_hash, bytes: ROW.bytes, policy, deadline: self.now + ACK_TIMEOUT };
        self.lane.accept(number, id, facts, self.now, &mut self.world);
    }

    fn write(&mut self) {
        let unwritten = self.world.queue.iter_mut().find(|(.., written)| !written);
        if let Some((_, event, written)) = unwritten {
            *written = true;
            self.world.topic.push(*event);
        }
    }

    fn acknowledge(&mut self) {
        let Some((number, event, written)) = self.world.queue.pop_front() else { return };
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

    /// Somebody else keeps the event, and then its copy is deleted; or nobody can, and it comes back.
    fn refuse(&mut self) {
        if self.world.queue.front().is_none_or(|(.., written)| *written) {
            return;
        }
        let Some((number, event, _)) = self.world.queue.pop_front() else { return };
        let refused = self.lane.refused(number, self.now, &mut self.world).unwrap();
        self.world.events[event].refused = true;
        self.world.answer(event, Answer::Failed);
        match refused.has_copy {
            true if number % 3 == 0 => self.lane.restore(number, ROW, self.now, &mut self.world),
            true => self.world.delete(number, ROW),
            false => {}
        }
    }

    fn spool_job(&mut self) {
        let broken = self.world.disk_is_broken;
        match self.world.jobs.pop_front() {
            None => {}
            Some(SpoolJob::Append(number, _)) if broken => {
                self.lane.not_stored(number, |_| {}, self.now, &mut self.world);
            }
            Some(SpoolJob::Append(number, event)) => {
                self.world.disk.insert(number, event);
                self.lane.stored(number, self.now, &mut self.world);
            }
            // A deletion is repeated until it succeeds.
            Some(SpoolJob::Delete(number)) => drop(self.world.disk.remove(&number)),
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
            self.happen(Happening::Wait(20));
        }
        panic!("the lane is stuck: {:?} {:?}", self.lane, self.world);
    }

    fn check(&self) {
        let World { events, topic, disk, queue, order_is_promised, .. } = &self.world;
        assert!(disk.is_empty() && queue.is_empty(), "nothing is left behind");
        let first = |event: EventId| topic.iter().position(|published| *published == event);
        let mut positions = Vec::new();
        for (id, event) in events.iter().enumerate() {
            assert_ne!(event.answer, Answer::Pending, "event {id} was never answered");
            if let (Answer::Durable { step }, false) = (event.answer, event.refused) {
                let position = first(id).unwrap_or_else(|| panic!("event {id} was answered 200 and is lost"));
                positions.push((id, step, position));
            }
        }
        for (id, answered, position) in positions.iter().filter(|_| *order_is_promised) {
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
    let config = ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() };
    let seen = std::cell::RefCell::new(std::collections::BTreeSet::new());
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
