//! The schedule against a simple model: a world of hours, each of which remembers at which ages it was read whole.
//!
//! Whatever fails, is cut off, restarts or is written by another process, whatever the clock says and however the ages
//! of the configuration change, `through` of an age never passes an hour that was not read at that age, is not open, and
//! was not told as expired; nor does it pass an hour that is still too young. Of a clock that was ahead for a short time nothing
//! is left: then the true ages count.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::reconcile::cursor::Cursor;

const TOLERANCE_S: i64 = 300;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// The time goes on.
    Wait { minutes: u16 },
    /// Each read of the plan ends by a letter; what has none is cut off. They are settled from the end if `backwards`.
    Sweep { ends: Vec<u8>, backwards: bool },
    /// The process ends, and another goes on with what was written last.
    Restart,
    /// The configuration has other ages.
    Change { ages: usize },
    /// From now on the clock is wrong by so much.
    Clock { minutes: i32 },
    /// A cursor is written.
    Write,
    /// Another process, which had gone on from an earlier cursor, writes what it believes.
    Zombie { ago: usize },
}

const AGES_S: [&[u32]; 5] = [&[1800], &[1800, 43_200], &[900, 7200, 43_200], &[43_200], &[0, 86_400]];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u16..400).prop_map(|minutes| Step::Wait { minutes }),
        6 => (proptest::collection::vec(0_u8..10, 0..60), any::<bool>())
            .prop_map(|(ends, backwards)| Step::Sweep { ends, backwards }),
        1 => Just(Step::Restart),
        1 => (0..AGES_S.len()).prop_map(|ages| Step::Change { ages }),
        1 => prop_oneof![Just(0), -3000..3000_i32].prop_map(|minutes| Step::Clock { minutes }),
        3 => Just(Step::Write),
        1 => (0_usize..6).prop_map(|ago| Step::Zombie { ago }),
    ]
}

#[derive(Debug)]
struct Model {
    schedule: Schedule,
    timing: Timing,
    /// What the time really is.
    truth: Time,
    skew_s: i64,
    /// The greatest age at which an hour was read whole, in seconds, by the clock of that moment.
    read_s: BTreeMap<Time, i64>,
    /// The same by a clock that is right.
    truly_read_s: BTreeMap<Time, i64>,
    expired: BTreeSet<Time>,
    /// Where each age began: what is before was never claimed.
    began: BTreeMap<u32, Time>,
    written: Vec<Vec<u8>>,
}

fn timing(ages_s: &[u32], reach_is_sure: bool) -> Timing {
    Timing { ages_s: ages_s.to_vec(), lookback_s: 169_200, reach_s: 259_200, reach_is_sure }
}

impl Model {
    fn new(reach_is_sure: bool) -> Self {
        let timing = timing(AGES_S[1], reach_is_sure);
        let truth = Time::parse_iso("2026-02-03T00:10:00Z").unwrap();
        let schedule = Schedule::begin(timing.clone(), truth);
        let (read_s, truly_read_s, expired) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let (began, written) = (BTreeMap::new(), Vec::new());
        let mut model = Self { schedule, timing, truth, skew_s: 0, read_s, truly_read_s, expired, began, written };
        model.remember_beginnings(&[]);
        model.write();
        model
    }

    fn now(&self) -> Time {
        self.truth.plus_s(self.skew_s)
    }

    /// An age that had no greater one to go on from claims nothing of what is before its beginning.
    fn remember_beginnings(&mut self, known: &[u32]) {
        for reached in self.schedule.progress().reached() {
            if !known.iter().any(|age_s| *age_s >= reached.age_s) {
                self.began.insert(reached.age_s, reached.through);
            } else if !known.contains(&reached.age_s) {
                let greater = known.iter().filter(|age_s| **age_s > reached.age_s).min();
                let began = greater.and_then(|age_s| self.began.get(age_s)).copied();
                self.began.extend(began.map(|began| (reached.age_s, began)));
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Wait { minutes } => self.truth = self.truth.plus_s(i64::from(*minutes) * 60),
            Step::Sweep { ends, backwards } => self.sweep(ends, *backwards),
            Step::Restart => self.resume(self.timing.clone()),
            Step::Change { ages } => self.resume(timing(AGES_S[*ages], self.timing.reach_is_sure)),
            Step::Clock { minutes } => self.skew_s = i64::from(*minutes) * 60,
            Step::Write => self.write(),
            Step::Zombie { ago } => self.meet_zombie(*ago),
        }
    }

    fn sweep(&mut self, ends: &[u8], backwards: bool) {
        let plan = self.schedule.plan(self.now());
        plan.expired.iter().for_each(|expired| self.expire(expired.window));
        self.check_plan(&plan);
        let mut reads: Vec<(Read, u8)> = plan.reads.into_iter().zip(ends.iter().copied()).collect();
        if backwards {
            reads.reverse();
        }
        for (read, end) in reads {
            self.settle(read, end);
        }
    }

    fn check_plan(&self, plan: &Plan) {
        let windows: BTreeSet<Window> = plan.reads.iter().map(|read| read.window).collect();
        assert_eq!(windows.len(), plan.reads.len(), "a window is read once in a sweep");
        assert!(plan.reads.is_sorted_by_key(|read| read.window), "oldest first");
        assert!(plan.reads.iter().filter(|read| read.is_retry).count() <= RETRIES_AT_MOST);
        for read in &plan.reads {
            let age_s = self.now().unix_seconds() - read.window.to().unix_seconds();
            assert!(age_s >= i64::from(read.age_s), "{read:?} is younger than its age");
            let greater = self.timing.ages_s.iter().find(|greater_s| **greater_s > read.age_s);
            assert!(greater.is_none_or(|greater_s| age_s < i64::from(*greater_s)), "{read:?} is due at a greater age");
        }
    }

    fn settle(&mut self, read: Read, end: u8) {
        let age_s = |now: Time| now.unix_seconds() - read.window.to().unix_seconds();
        let ages_s = [(age_s(self.now()), &mut self.read_s), (age_s(self.truth), &mut self.truly_read_s)];
        let end = match end {
            0..=6 => End::Complete { digest: Digest::default() },
            7..=8 => End::Open { why: "timeout".to_owned() },
            _ => End::Expired { why: "gone".to_owned() },
        };
        if matches!(end, End::Complete { .. }) {
            for (age_s, read_s) in ages_s {
                let greatest_s = read_s.entry(read.window.from()).or_insert(age_s);
                *greatest_s = age_s.max(*greatest_s);
            }
        }
        let reading = Reading { read, end, counts: Counts::default(), accounts: Vec::new() };
        if let Settled::Expired(expired) = self.schedule.settle(reading, self.now()) {
            self.expire(expired.window);
        }
    }

    fn expire(&mut self, window: Window) {
        self.expired.extend(window.hours().map(Window::from));
    }

    fn cursor_of(&self, progress: Progress) -> Cursor {
        Cursor {
            source_name: "s".to_owned(),
            stream: "t".to_owned(),
            progress,
            reports: Vec::new(),
            region: BTreeMap::new(),
            instance: "i".to_owned(),
            written_at: self.now(),
        }
    }

    fn write(&mut self) {
        self.written.push(self.cursor_of(self.schedule.progress().clone()).write().unwrap());
    }

    fn read_back(&self, ago: usize) -> Progress {
        let value = &self.written[self.written.len().saturating_sub(1 + ago)];
        Cursor::read(value, "s", "t").unwrap().progress
    }

    fn resume(&mut self, timing: Timing) {
        let progress = self.read_back(0);
        let known: Vec<u32> = progress.reached().iter().map(|reached| reached.age_s).collect();
        self.schedule = Schedule::resume(progress, timing.clone(), self.now());
        self.timing = timing;
        self.remember_beginnings(&known);
    }

    fn meet_zombie(&self, ago: usize) {
        let zombie = self.read_back(ago);
        let is_back = |ours: &progress::Reached| {
            let theirs = zombie.reached().iter().find(|theirs| theirs.age_s == ours.age_s);
            theirs.is_some_and(|theirs| theirs.through < ours.through)
        };
        let expected = self.schedule.progress().reached().iter().any(is_back);
        assert_eq!(self.schedule.is_taken_back_by(&zombie), expected);
    }

    /// What the schedule claims.
    fn check(&self, read_s: &BTreeMap<Time, i64>) {
        let reached = self.schedule.progress().reached();
        assert!(reached.windows(2).all(|pair| pair[0].through >= pair[1].through), "{reached:?}");
        let open: BTreeSet<Time> = self.schedule.progress().open().map(|open| open.window.from()).collect();
        for reached in reached {
            let began = self.began.get(&reached.age_s).copied();
            let claimed = began.and_then(|began| Window::new(began, reached.through));
            for hour in claimed.into_iter().flat_map(Window::hours).map(Window::from) {
                let was_read = read_s.get(&hour).is_some_and(|age_s| *age_s >= i64::from(reached.age_s) - TOLERANCE_S);
                assert!(was_read || open.contains(&hour) || self.expired.contains(&hour), "{hour} at {reached:?}");
            }
        }
    }

    /// What has to hold once the clock was looked at.
    fn check_clock(&mut self) {
        let plan = self.schedule.plan(self.now());
        plan.expired.iter().for_each(|expired| self.expire(expired.window));
        for reached in self.schedule.progress().reached() {
            let latest = self.now().plus_s(TOLERANCE_S - i64::from(reached.age_s));
            assert!(reached.through <= latest, "{reached:?} is beyond {latest}");
        }
    }

    /// With a clock that is right and a provider that answers, everything is read in the end.
    fn come_to_rest(&mut self) {
        self.skew_s = 0;
        for _ in 0..200 {
            let plan = self.schedule.plan(self.now());
            plan.expired.iter().for_each(|expired| self.expire(expired.window));
            if plan.reads.is_empty() && self.schedule.progress().open().len() == 0 {
                break;
            }
            plan.reads.into_iter().for_each(|read| self.settle(read, 0));
            self.truth = self.truth.plus_s(HOUR_S);
        }
        self.check_clock();
        for reached in self.schedule.progress().reached() {
            let latest = hour_of(self.now().plus_s(-i64::from(reached.age_s)));
            assert!(reached.through.plus_s(HOUR_S) >= latest, "{reached:?} has not come to {latest}");
        }
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(150))]
    #[test]
    fn nothing_but_expiry_moves_a_stream_over_an_unread_window(
        steps in proptest::collection::vec(step(), 1..60), reach_is_sure in any::<bool>(),
    ) {
        let mut model = Model::new(reach_is_sure);
        for step in &steps {
            model.step(step);
            model.check_clock();
            model.check(&model.read_s);
        }
        model.come_to_rest();
        model.check(&model.read_s);
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_hides_no_window(
        before in proptest::collection::vec(step(), 0..20),
        ahead_minutes in 121_i32..2500,
        noticed_percent in 0_i64..50,
        writes in any::<bool>(),
    ) {
        let mut model = Model::new(false);
        before.iter().filter(|step| !matches!(step, Step::Clock { .. } | Step::Zombie { .. })).for_each(|step| model.step(step));
        model.step(&Step::Clock { minutes: ahead_minutes });
        model.step(&Step::Sweep { ends: vec![0; 1000], backwards: false });
        if writes {
            model.step(&Step::Write);
            model.step(&Step::Restart);
        }
        model.skew_s = 0;
        // An hour is what the grid can hide of it.
        model.truth = model.truth.plus_s(i64::from(ahead_minutes - 60) * 60 * noticed_percent / 100);
        model.check_clock();
        model.check(&model.truly_read_s);
        model.come_to_rest();
        model.check(&model.truly_read_s);
    }
}
