//! One lane: the way of one topic partition, through Kafka and through the spool.
//!
//! The lane decides, and does nothing itself: whatever it wants done goes through [`Outside`], and the
//! clock is an argument. So its rules can be tried by a model with every order of acknowledgements,
//! failures, time-outs, disk errors and crashes (`model.rs`).
//!
//! An event gets its number when it is accepted, and numbers only grow. The lane owns it from then until it is
//! settled, and it is in exactly one place of the lane:
//!
//! * in flight: handed to Kafka's client, no outcome yet; it may have a copy in the spool;
//! * suspect: refused by Kafka together with others, to be tried alone;
//! * burying: refused by Kafka alone, and on its way to the dead letters or to the quarantine;
//! * appending: on its way to the spool;
//! * a row: in the spool, to be handed to Kafka later;
//! * loading: a row that is being read back;
//! * held: in memory, behind events that have to be in Kafka's queue before.
//!
//! What keeps the order: nothing new is handed to Kafka while an earlier event is not in its queue. So
//! an event that was answered always precedes one that arrived after the answer.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

mod drain;
#[cfg(test)]
mod model;
mod outside;
mod refusal;
mod reopening;
#[cfg(test)]
mod tests;

use crate::settings::Policy;
pub use outside::{Facts, Outside, RowFacts, Way};
use refusal::{Burying, Suspect};

/// How long after the spool has refused events in flight they are offered to it again.
const COPY_AGAIN: Duration = Duration::from_secs(1);

/// How long a lane waits after Kafka has failed an event, at first and at most.
const BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// What is being done with the lane's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// New events go to Kafka.
    Live,
    /// New events go to the spool, until Kafka is tried again.
    Spooling {
        /// Not before this time.
        retry_at: Instant,
    },
    /// New events go to the spool, while its rows go to Kafka.
    Draining {
        /// Rows that may be in flight.
        at_most: usize,
        /// Whether Kafka has acknowledged something since the lane began to spool.
        proven: bool,
    },
    /// New events wait in memory, while the last rows and suspects go to Kafka.
    Closing,
}

/// Whether an event that is in flight has a copy in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copy {
    None,
    /// It can have none, and its request has been told.
    Denied,
    Appending,
    Stored,
}

#[derive(Debug)]
struct InFlight<P> {
    payload: P,
    facts: Facts,
    copy: Copy,
    drained: bool,
}

#[derive(Debug)]
struct Waiting<P> {
    payload: P,
    facts: Facts,
}

/// The state of one lane. `P` is what the owner keeps of an event, `R` what it is told of a refusal.
#[derive(Debug)]
pub struct Lane<P, R> {
    mode: Mode,
    in_flight: BTreeMap<u64, InFlight<P>>,
    /// The one event in flight, if no other one has been since it was handed to Kafka.
    lone: Option<u64>,
    suspects: BTreeMap<u64, Suspect<P>>,
    /// Events up to this number are handed to Kafka one at a time: one of them spoils whatever goes with it.
    alone_up_to: Option<u64>,
    burying: BTreeMap<u64, Burying<P, R>>,
    appending: BTreeMap<u64, Waiting<P>>,
    rows: BTreeMap<u64, RowFacts>,
    loading: BTreeMap<u64, RowFacts>,
    held: VecDeque<(u64, Waiting<P>)>,
    /// No event without a copy is overdue before this.
    next_deadline: Option<Instant>,
    /// Events in flight that the spool has refused are offered to it again then.
    copy_again_at: Option<Instant>,
    backoff: Duration,
    row_bytes_in_flight: u64,
    /// Kafka has acknowledged something since the lane began to spool.
    acknowledged: bool,
    /// Rows could not be read, and are not asked for before this. Until then they do not keep the lane
    /// from being live: a spool that is broken must not stop what Kafka takes.
    unreadable_until: Option<Instant>,
    /// The lane's topic is being cut into other partitions: nothing is handed to Kafka.
    gated: bool,
}

impl<P, R> Lane<P, R> {
    /// A lane with these rows of the spool, at a start. Without rows it is live.
    pub fn new(rows: BTreeMap<u64, RowFacts>, now: Instant) -> Self {
        let mode = if rows.is_empty() { Mode::Live } else { Mode::Spooling { retry_at: now } };
        Self {
            mode,
            in_flight: BTreeMap::new(),
            lone: None,
            suspects: BTreeMap::new(),
            alone_up_to: None,
            burying: BTreeMap::new(),
            appending: BTreeMap::new(),
            rows,
            loading: BTreeMap::new(),
            held: VecDeque::new(),
            next_deadline: None,
            copy_again_at: None,
            backoff: BACKOFF,
            row_bytes_in_flight: 0,
            acknowledged: false,
            unreadable_until: None,
            gated: false,
        }
    }

    /// A lane that hands nothing to Kafka until [`Lane::ungate`].
    pub fn gated(now: Instant) -> Self {
        Self { mode: Mode::Spooling { retry_at: now }, gated: true, ..Self::new(BTreeMap::new(), now) }
    }

    /// Takes an event. Its number is greater than every one before.
    pub fn accept(&mut self, number: u64, payload: P, facts: Facts, now: Instant, out: &mut impl Outside<P, R>) {
        match self.mode {
            Mode::Live => self.launch(number, Waiting { payload, facts }, now, out),
            Mode::Closing => {
                self.expect_by(facts.deadline);
                self.held.push_back((number, Waiting { payload, facts }));
            }
            Mode::Spooling { .. } | Mode::Draining { .. } => self.divert(number, Waiting { payload, facts }, out),
        }
    }

    /// Kafka has acknowledged an event.
    pub fn acknowledged(&mut self, number: u64, now: Instant, out: &mut impl Outside<P, R>) {
        let Some(mut flight) = self.land(number) else { return };
        if matches!(flight.copy, Copy::Appending | Copy::Stored) {
            out.delete(number);
        }
        let way = match flight.copy {
            _ if flight.drained => Way::Drained,
            Copy::None | Copy::Denied => Way::Live,
            Copy::Appending | Copy::Stored => Way::Late,
        };
        out.durable(&mut flight.payload, way);
        self.prove();
        self.progress(now, out);
    }

    /// Kafka's client gives an event back, without the event's own fault.
    pub fn failed(&mut self, number: u64, now: Instant, out: &mut impl Outside<P, R>) {
        let Some(InFlight { payload, facts, copy, .. }) = self.land(number) else { return };
        self.spool_after_failure(now, out);
        match copy {
            Copy::Stored => drop(self.rows.insert(number, facts.into())),
            Copy::Appending => drop(self.appending.insert(number, Waiting { payload, facts })),
            Copy::Denied => out.failed(payload),
            Copy::None => self.divert(number, Waiting { payload, facts }, out),
        }
        self.progress(now, out);
    }

    /// The spool has committed and synced an event.
    pub fn stored(&mut self, number: u64, now: Instant, out: &mut impl Outside<P, R>) {
        if let Some(Waiting { mut payload, facts }) = self.appending.remove(&number) {
            self.rows.insert(number, facts.into());
            out.durable(&mut payload, Way::Spooled);
        } else if let Some(flight) = self.in_flight.get_mut(&number) {
            flight.copy = Copy::Stored;
            out.durable(&mut flight.payload, Way::Spooled);
        } else {
            self.stored_while_burying(number, out);
        }
        self.progress(now, out);
    }

    /// The spool could not keep an event. One that somebody may yet tell about gets back what it was to keep,
    /// since the spool may be tried again before.
    pub fn not_stored(
        &mut self,
        number: u64,
        give_back: impl FnOnce(&mut P),
        now: Instant,
        out: &mut impl Outside<P, R>,
    ) {
        if let Some(Waiting { payload, .. }) = self.appending.remove(&number) {
            out.failed(payload);
        } else if let Some(flight) = self.in_flight.get_mut(&number) {
            give_back(&mut flight.payload);
            flight.copy = Copy::Denied;
            out.stalled(&mut flight.payload);
            self.copy_again_at.get_or_insert(now + COPY_AGAIN);
        } else {
            self.not_stored_while_burying(number, give_back, out);
        }
        self.progress(now, out);
    }

    /// Rows that were asked for, as far as they are there, in ascending order.
    pub fn loaded(&mut self, found: Vec<(u64, P)>, now: Instant, out: &mut impl Outside<P, R>) {
        self.unreadable_until = None;
        for (number, payload) in found {
            let Some(row) = self.loading.remove(&number) else { continue };
            // Asked for before it was known that the rows have to go alone.
            if self.must_wait_for_its_turn(number) {
                self.rows.insert(number, row);
            } else {
                self.relaunch(number, payload, row, now, out);
            }
        }
        // What was asked for and is not there has been removed by somebody else.
        self.loading.clear();
        self.progress(now, out);
    }

    /// Rows that were asked for can not be read.
    pub fn not_loaded(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        self.rows.append(&mut self.loading);
        self.unreadable_until = Some(now + MAX_BACKOFF);
        self.spool_from_now_on(now, out);
        self.progress(now, out);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        if self.next_deadline.is_some_and(|deadline| deadline <= now) {
            self.give_up_waiting(now, out);
        }
        if self.copy_again_at.is_some_and(|at| at <= now) {
            self.copy_again_at = None;
            self.copy_all(Copy::Denied, |facts| facts.policy == Policy::Spool, now, out);
        }
        self.progress(now, out);
    }

    /// Hands nothing more to Kafka for now: new events go to the spool.
    pub fn spool_from_now_on(&mut self, retry_at: Instant, out: &mut impl Outside<P, R>) {
        if !matches!(self.mode, Mode::Spooling { .. }) {
            self.acknowledged = false;
        }
        self.mode = Mode::Spooling { retry_at };
        for (number, suspect) in std::mem::take(&mut self.suspects) {
            self.divert_suspect(number, suspect, out);
        }
        for (number, waiting) in std::mem::take(&mut self.held) {
            self.divert(number, waiting, out);
        }
    }

    /// Puts everything that is in flight into the spool as well, as if its time were over.
    pub fn save(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        self.spool_from_now_on(now, out);
        self.copy_all(Copy::None, |_| true, now, out);
    }

    /// Tries Kafka again without waiting.
    pub fn retry_now(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        self.backoff = BACKOFF;
        if let Mode::Spooling { retry_at } = &mut self.mode {
            *retry_at = now;
        }
        self.progress(now, out);
    }

    /// Opens the gate, with the rows that came from elsewhere. They are older than those of this lane.
    pub fn ungate(&mut self, rows: BTreeMap<u64, RowFacts>, now: Instant, out: &mut impl Outside<P, R>) {
        self.rows.extend(rows);
        self.gated = false;
        self.progress(now, out);
    }

    /// Closes the lane for good: nothing is handed to Kafka any more.
    pub fn gate(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        self.gated = true;
        self.spool_from_now_on(now, out);
    }

    /// Whether nothing but rows is left in the lane.
    pub fn is_quiet(&self) -> bool {
        let settled = self.in_flight.is_empty() && self.suspects.is_empty() && self.burying.is_empty();
        settled && self.appending.is_empty() && self.held.is_empty() && self.loading.is_empty()
    }

    /// Gives the rows to another lane.
    pub fn take_rows(&mut self) -> BTreeMap<u64, RowFacts> {
        std::mem::take(&mut self.rows)
    }

    /// What is being done.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether new events go to Kafka, now or as soon as the last rows have.
    pub fn is_live(&self) -> bool {
        matches!(self.mode, Mode::Live | Mode::Closing)
    }

    /// Whether nothing is left to be done.
    pub fn is_idle(&self) -> bool {
        self.is_quiet() && self.rows.is_empty()
    }

    /// Events that neither Kafka has acknowledged nor the spool holds, and whose requests have not been told so.
    pub fn unsaved_count(&self) -> usize {
        let unsaved = |copy: Copy| matches!(copy, Copy::None | Copy::Appending);
        let in_flight = self.in_flight.values().filter(|flight| unsaved(flight.copy)).count();
        let suspects = self.suspects.values().filter(|suspect| !suspect.told).count();
        let burying = self.burying.values().filter(|burying| unsaved(burying.copy)).count();
        in_flight + suspects + burying + self.appending.len() + self.held.len()
    }

    /// How long ago the oldest event in flight should have had its outcome.
    pub fn late_for(&self, now: Instant) -> Duration {
        let oldest = self.in_flight.values().next();
        oldest.map_or(Duration::ZERO, |flight| now.saturating_duration_since(flight.facts.deadline))
    }

    /// Number of the oldest event that is in the spool.
    pub fn oldest_stored(&self) -> Option<u64> {
        let in_flight = self.in_flight.iter().find(|(_, flight)| flight.copy == Copy::Stored).map(|(number, _)| number);
        let burying = self.burying.iter().find(|(_, burying)| burying.copy == Copy::Stored).map(|(number, _)| number);
        let rows = [self.rows.keys().next(), self.loading.keys().next()];
        [in_flight, burying].into_iter().chain(rows).flatten().min().copied()
    }

    /// Hands an event to Kafka, or, if it takes none, to the spool.
    fn launch(&mut self, number: u64, mut waiting: Waiting<P>, now: Instant, out: &mut impl Outside<P, R>) {
        if !out.produce(number, &mut waiting.payload, now) {
            self.spool_after_failure(now, out);
            return self.divert(number, waiting, out);
        }
        self.expect_by(waiting.facts.deadline);
        let Waiting { payload, facts } = waiting;
        self.put_in_flight(number, InFlight { payload, facts, copy: Copy::None, drained: false });
    }

    fn put_in_flight(&mut self, number: u64, flight: InFlight<P>) {
        self.lone = self.in_flight.is_empty().then_some(number);
        self.in_flight.insert(number, flight);
    }

    /// Hands a row to Kafka.
    fn relaunch(&mut self, number: u64, mut payload: P, row: RowFacts, now: Instant, out: &mut impl Outside<P, R>) {
        let may = matches!(self.mode, Mode::Draining { .. } | Mode::Closing | Mode::Live) && !self.gated;
        if may && out.produce(number, &mut payload, now) {
            let facts =
                Facts { key_hash: row.key_hash, bytes: row.bytes, policy: Policy::Spool, deadline: now + MAX_BACKOFF };
            self.row_bytes_in_flight += row.bytes;
            self.put_in_flight(number, InFlight { payload, facts, copy: Copy::Stored, drained: true });
        } else {
            self.rows.insert(number, row);
            if may {
                self.spool_after_failure(now, out);
            }
        }
    }

    /// Takes an event out of what is in flight.
    fn land(&mut self, number: u64) -> Option<InFlight<P>> {
        let flight = self.in_flight.remove(&number)?;
        if flight.drained {
            self.row_bytes_in_flight -= flight.facts.bytes;
        }
        Some(flight)
    }

    /// Leaves Kafka alone for longer each time, until it takes something again.
    fn spool_after_failure(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        if !matches!(self.mode, Mode::Spooling { .. }) {
            self.spool_from_now_on(now + self.backoff, out);
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Hands an event to the spool, or gives it back to its request.
    fn divert(&mut self, number: u64, waiting: Waiting<P>, out: &mut impl Outside<P, R>) {
        let Waiting { mut payload, facts } = waiting;
        if facts.policy == Policy::Spool && out.append(number, &mut payload, facts.into()) {
            self.appending.insert(number, Waiting { payload, facts });
        } else {
            out.failed(payload);
        }
    }

    /// Deals with what Kafka has not acknowledged in time.
    fn give_up_waiting(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        let overdue = |facts: &Facts| facts.deadline <= now;
        let held = self.held.iter().any(|(_, waiting)| overdue(&waiting.facts));
        let suspect = self.suspects.values().any(|suspect| !suspect.told && overdue(&suspect.facts));
        let any = held
            || suspect
            || self.in_flight.values().any(|flight| flight.copy == Copy::None && overdue(&flight.facts));
        if any {
            self.spool_from_now_on(now, out);
            self.copy_all(Copy::None, overdue, now, out);
        }
        let unsaved = self.in_flight.values().filter(|flight| flight.copy == Copy::None);
        let held = self.held.iter().map(|(_, waiting)| waiting.facts.deadline);
        let suspects = self.suspects.values().filter(|suspect| !suspect.told).map(|suspect| suspect.facts.deadline);
        self.next_deadline = unsaved.map(|flight| flight.facts.deadline).chain(held).chain(suspects).min();
    }

    /// Copies events that are in flight to the spool.
    fn copy_all(&mut self, state: Copy, wanted: impl Fn(&Facts) -> bool, now: Instant, out: &mut impl Outside<P, R>) {
        for (number, flight) in &mut self.in_flight {
            if flight.copy != state || !wanted(&flight.facts) {
                continue;
            }
            let spools = flight.facts.policy == Policy::Spool;
            if spools && out.append(*number, &mut flight.payload, flight.facts.into()) {
                flight.copy = Copy::Appending;
                continue;
            }
            flight.copy = Copy::Denied;
            out.stalled(&mut flight.payload);
            if spools {
                self.copy_again_at.get_or_insert(now + COPY_AGAIN);
            }
        }
    }

    fn expect_by(&mut self, deadline: Instant) {
        self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
    }

    /// Kafka takes events.
    fn prove(&mut self) {
        self.acknowledged = true;
        self.backoff = BACKOFF;
        if let Mode::Draining { at_most, proven } = &mut self.mode {
            *proven = true;
            *at_most = (*at_most * 2).min(drain::MAX_ROWS_IN_FLIGHT);
        }
    }
}
