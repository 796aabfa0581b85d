//! Which windows of a stream are read now.
//!
//! A window is read when its end has a certain age, and again at greater ages, since rows come late and change. What
//! was not read whole stays open and is tried again until its rows leave the provider. Nothing else moves a stream
//! over a window, whatever fails, restarts or goes wrong with a clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::time::Time;
use crate::reconcile::compare::Counts;
use crate::reconcile::compare::digest::Digest;
use crate::reconcile::window::{HOUR_S, Window, hour_of};

mod plan;
pub mod progress;
pub mod rhythm;
pub mod rules;

pub use plan::{End, Expired, Plan, Read, Reading, Settled, Warning};
use progress::{DoneWindow, OpenWindow, Progress, is_believable};

/// With so many open windows a stream begins no new ones.
const OPEN_AT_MOST: usize = 1000;

/// So many open windows are tried again in a sweep, beside those that are due.
const RETRIES_AT_MOST: usize = 24;

/// An open window is tried again after this part of its age.
const RETRY_PART: i64 = 8;

/// Windows whose rows leave the provider so soon go before all others, and are warned of.
const LEAVES_SOON_S: i64 = 6 * HOUR_S;

/// Taken off what the provider keeps, for clocks and for the time that a request takes.
const HORIZON_MARGIN_S: i64 = 60;

/// When windows are read, and how long they can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Ages at which a window is read, in seconds, ascending; one at least.
    pub ages_s: Vec<u32>,
    /// How far back the first sweep begins.
    pub lookback_s: u32,
    /// How long the provider keeps rows.
    pub reach_s: u32,
    /// Whether that is certain. If it is not, a window that seems too old is asked for once.
    pub reach_is_sure: bool,
}

/// The reading of one stream.
#[derive(Debug)]
pub struct Schedule {
    timing: Timing,
    progress: Progress,
    /// Windows that were read before an older one was, with the age at which.
    settled: BTreeMap<Time, u32>,
    /// Open windows that were warned of at three quarters of their time.
    warned: BTreeSet<Time>,
}

impl Schedule {
    /// A stream that was never read.
    pub fn begin(timing: Timing, now: Time) -> Self {
        let progress = Progress::begin(beginning(&timing, now), &timing.ages_s);
        Self { timing, progress, settled: BTreeMap::new(), warned: BTreeSet::new() }
    }

    /// A stream that was read before, perhaps under other ages or by a clock that was ahead.
    pub fn resume(mut progress: Progress, timing: Timing, now: Time) -> Self {
        progress.adopt(&timing.ages_s, beginning(&timing, now));
        progress.meet_clock(now, timing.lookback_s);
        Self { timing, progress, settled: BTreeMap::new(), warned: BTreeSet::new() }
    }

    /// What is to be remembered.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// When a window can no longer be read whole.
    pub fn horizon(&self, window: Window) -> Time {
        window.from().plus_s(i64::from(self.timing.reach_s) - HORIZON_MARGIN_S)
    }

    /// Seconds until the first open window leaves the provider; none without one.
    pub fn horizon_s(&self, now: Time) -> Option<i64> {
        let (_, first) = self.progress.open.first_key_value()?;
        Some(self.horizon(first.window).unix_seconds().saturating_sub(now.unix_seconds()).max(0))
    }

    /// Seconds since the start of the oldest window that was not read at its first age.
    pub fn lag_s(&self, now: Time) -> i64 {
        let first = self.progress.reached.first().map_or(self.progress.since, |reached| reached.through);
        now.unix_seconds().saturating_sub(first.unix_seconds()).max(0)
    }

    /// What the provider told of each window that was complete, by its first instant. Where it tells the same again,
    /// nothing has to be compared.
    pub fn digests(&self) -> impl Iterator<Item = (Time, Digest)> {
        let complete = self.progress.done.iter().filter(|(from, _)| !self.progress.open.contains_key(from));
        complete.map(|(from, done)| (*from, done.digest))
    }

    /// Whether what another process wrote about this stream takes it back, so that ours has to be written again.
    pub fn is_taken_back_by(&self, other: &Progress) -> bool {
        self.progress.is_taken_back_by(other)
    }

    /// What a sweep has to do now. `now` is the earlier of our clock and the provider's.
    ///
    /// What has expired is moved over by this, and told once.
    pub fn plan(&mut self, now: Time) -> Plan {
        self.plan_with(now, Self::retries)
    }

    /// The same, and every open window, however short it has rested.
    pub fn plan_all(&mut self, now: Time) -> Plan {
        self.plan_with(now, Self::all_open)
    }

    fn plan_with(&mut self, now: Time, retries: fn(&Self, Time) -> Vec<Read>) -> Plan {
        self.meet_clock(now);
        let mut expired = self.expire_open(now);
        self.advance(now);
        expired.extend(self.expire_unread(now));
        let warnings = self.warnings(now);
        let mut reads = self.due(now);
        reads.extend(retries(self, now));
        reads.sort_by_key(Read::turn);
        Plan { reads, expired, warnings }
    }

    /// Takes in what came of a reading, in any order.
    pub fn settle(&mut self, reading: Reading, now: Time) -> Settled {
        let settled = self.settled_as(reading, now);
        self.meet_clock(now);
        self.advance(now);
        settled
    }

    fn settled_as(&mut self, reading: Reading, now: Time) -> Settled {
        match reading.end {
            End::Complete { digest } => self.complete(&reading, digest),
            End::Expired { ref why } => self.give_up(&reading, why.clone()),
            End::Open { ref why } if self.horizon(reading.read.window) <= now => self.give_up(&reading, why.clone()),
            End::Open { ref why } => {
                let why = why.clone();
                self.keep_open(reading, why, now)
            }
        }
    }

    fn complete(&mut self, reading: &Reading, digest: Digest) -> Settled {
        let Reading { read: Read { window, age_s, .. }, counts, .. } = *reading;
        self.close(window, age_s);
        self.progress.done.remove(&window.from());
        // What was withheld may be published by the next reading: the configuration changes, and users become known.
        if counts.withheld == 0 {
            let Counts { expected, missing, published, .. } = counts;
            self.progress.keep_done(window.from(), DoneWindow { age_s, digest, expected, missing, published });
        }
        Settled::Complete
    }

    fn give_up(&mut self, reading: &Reading, why: String) -> Settled {
        let Reading { read: Read { window, age_s, .. }, counts, .. } = *reading;
        let tries = self.close(window, age_s).map_or(0, |open| open.tries).saturating_add(1);
        self.progress.done.remove(&window.from());
        Settled::Expired(Expired { window, age_s, why, tries, counts })
    }

    fn close(&mut self, window: Window, age_s: u32) -> Option<OpenWindow> {
        self.warned.remove(&window.from());
        let settled_s = self.settled.entry(window.from()).or_insert(age_s);
        *settled_s = age_s.max(*settled_s);
        self.progress.open.remove(&window.from())
    }

    fn keep_open(&mut self, reading: Reading, why: String, now: Time) -> Settled {
        let Reading { read: Read { window, age_s, .. }, counts, accounts, .. } = reading;
        let before = self.progress.open.get(&window.from());
        if before.is_none() && self.progress.open.len() >= OPEN_AT_MOST {
            return Settled::Unmoved;
        }
        let age_s = before.map_or(age_s, |before| before.age_s.max(age_s));
        let tries = before.map_or(0, |before| before.tries).saturating_add(1);
        let open = OpenWindow { window, age_s, why, tries, tried_at: now, counts, accounts };
        self.progress.open.insert(window.from(), open);
        self.progress.done.remove(&window.from());
        Settled::Open
    }

    /// By a clock that was ahead, windows seem to have been read that were not there yet.
    fn meet_clock(&mut self, now: Time) {
        let mut was_ahead = self.progress.meet_clock(now, self.timing.lookback_s);
        let mut settled = self.settled.iter();
        was_ahead |= !settled.all(|(from, age_s)| is_believable(Window::hour_at(*from).to(), *age_s, now));
        if was_ahead {
            self.settled.clear();
        }
    }

    /// Moves each age over the windows that were read at it, and over those that are open and old enough for it: their
    /// next reading is one at this age.
    fn advance(&mut self, now: Time) {
        for reached in &mut self.progress.reached {
            let latest = now.plus_s(-i64::from(reached.age_s));
            loop {
                let window = Window::hour_at(reached.through);
                let is_read = self.settled.get(&window.from()).is_some_and(|age_s| *age_s >= reached.age_s);
                if !is_read {
                    let open = self.progress.open.get_mut(&window.from()).filter(|_| window.to() <= latest);
                    let Some(open) = open else { break };
                    open.age_s = open.age_s.max(reached.age_s);
                }
                // Behind the last hour of all times there is no other one.
                if window.to() <= reached.through {
                    break;
                }
                reached.through = window.to();
            }
        }
        self.forget_settled();
    }

    /// What every age has passed needs no memory.
    fn forget_settled(&mut self) {
        let reached = &self.progress.reached;
        self.settled.retain(|from, age_s| {
            let slowest = reached.iter().rev().find(|reached| reached.age_s <= *age_s);
            slowest.is_some_and(|reached| reached.through <= *from)
        });
    }

    fn expire_open(&mut self, now: Time) -> Vec<Expired> {
        let gone = self.progress.open.values().filter(|open| self.horizon(open.window) <= now);
        let expired: Vec<Expired> = gone.map(Expired::of).collect();
        for Expired { window, age_s, .. } in &expired {
            self.close(*window, *age_s);
        }
        expired
    }

    /// Where it is certain what the provider keeps, it is not asked for what is older.
    fn expire_unread(&mut self, now: Time) -> Vec<Expired> {
        let mut expired = Vec::new();
        if !self.timing.reach_is_sure {
            return expired;
        }
        let first_kept = Window::hour_at(now.plus_s(HORIZON_MARGIN_S - i64::from(self.timing.reach_s))).to();
        for reached in &mut self.progress.reached {
            if let Some(window) = Window::new(reached.through, first_kept) {
                let (why, counts) = ("unread".to_owned(), Counts::default());
                expired.push(Expired { window, age_s: reached.age_s, why, tries: 0, counts });
                reached.through = first_kept;
            }
        }
        expired
    }

    fn warnings(&mut self, now: Time) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for open in self.progress.open.values() {
            let (window, horizon) = (open.window, self.horizon(open.window));
            let time_s = horizon.unix_seconds().saturating_sub(window.to().unix_seconds());
            let is_late = horizon.plus_s(-time_s / 4) <= now && self.warned.insert(window.from());
            if is_late || self.leaves_soon(window, now) {
                warnings.push(Warning { window, why: open.why.clone(), horizon });
            }
        }
        warnings
    }

    fn leaves_soon(&self, window: Window, now: Time) -> bool {
        self.horizon(window) <= now.plus_s(LEAVES_SOON_S)
    }

    fn read(&self, window: Window, age_s: u32, is_retry: bool, now: Time) -> Read {
        Read { window, age_s, is_retry, leaves_soon: self.leaves_soon(window, now) }
    }

    /// Windows that are old enough for an age and were not read at it, each for the greatest such age. Open ones are not
    /// among them: they are tried again in their own time.
    fn due(&self, now: Time) -> Vec<Read> {
        let room = OPEN_AT_MOST.saturating_sub(self.progress.open.len());
        let mut reads: Vec<Read> = Vec::new();
        let mut next = None;
        // From the greatest age, whose windows are the oldest.
        for reached in self.progress.reached.iter().rev() {
            let begin = next.map_or(reached.through, |next: Time| reached.through.max(next));
            let latest = hour_of(now.plus_s(-i64::from(reached.age_s)));
            let hours = Window::new(begin, latest).into_iter().flat_map(Window::hours);
            let unread = hours.filter(|window| self.is_unread(*window, reached.age_s));
            reads.extend(unread.take(room - reads.len()).map(|window| self.read(window, reached.age_s, false, now)));
            next = Some(begin.max(latest));
        }
        reads
    }

    fn is_unread(&self, window: Window, age_s: u32) -> bool {
        let was_settled = self.settled.get(&window.from()).is_some_and(|settled_s| *settled_s >= age_s);
        !was_settled && !self.progress.open.contains_key(&window.from())
    }

    /// Open windows that have rested: those that leave soon, then those that waited longest.
    fn retries(&self, now: Time) -> Vec<Read> {
        let rested = self.progress.open.values().filter(|open| has_rested(open, now));
        let mut reads: Vec<(Time, Read)> = rested
            .filter_map(|open| {
                let age_s = self.age_of(open.window, now)?;
                Some((open.tried_at, self.read(open.window, age_s, true, now)))
            })
            .collect();
        reads.sort_by_key(|(tried_at, read)| (!read.leaves_soon, *tried_at, read.window));
        reads.into_iter().map(|(_, read)| read).take(RETRIES_AT_MOST).collect()
    }

    fn all_open(&self, now: Time) -> Vec<Read> {
        let open = self.progress.open.values();
        open.filter_map(|open| Some(self.read(open.window, self.age_of(open.window, now)?, true, now))).collect()
    }

    /// The greatest age that a window has reached.
    fn age_of(&self, window: Window, now: Time) -> Option<u32> {
        let ages = self.progress.reached.iter().rev().map(|reached| reached.age_s);
        ages.into_iter().find(|age_s| window.to() <= now.plus_s(-i64::from(*age_s)))
    }
}

/// Where a stream begins that was never read.
fn beginning(timing: &Timing, now: Time) -> Time {
    let begin = hour_of(now.plus_s(-i64::from(timing.lookback_s)));
    let kept = Window::hour_at(now.plus_s(HOUR_S - i64::from(timing.reach_s))).to();
    if timing.reach_is_sure { begin.max(kept) } else { begin }
}

/// A try that seems to lie ahead was made by another clock, and holds up nothing.
fn has_rested(open: &OpenWindow, now: Time) -> bool {
    let since = |time: Time| now.unix_seconds().saturating_sub(time.unix_seconds());
    let (rested_s, age_s) = (since(open.tried_at), since(open.window.to()));
    rested_s < 0 || rested_s.saturating_mul(RETRY_PART) >= age_s
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
