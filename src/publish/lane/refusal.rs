//! What Kafka refuses: which event of a batch is at fault, and what becomes of it.
//!
//! Kafka's client sends many events in one request, and reports a refusal for every one of them. So a refusal
//! speaks of an event only if that was alone in its request, and certainly was if it was alone in flight. The
//! others are suspects: they go once more, one at a time, before anything new.

use std::time::Instant;

use super::{Copy, Facts, InFlight, Lane, Mode, Outside, Waiting, Way};
use crate::settings::Policy;

/// An event that Kafka has refused together with others, with no copy in the spool.
#[derive(Debug)]
pub(super) struct Suspect<P> {
    pub(super) payload: P,
    pub(super) facts: Facts,
    /// Its request has been told to try again.
    pub(super) told: bool,
}

/// An event that Kafka refuses for good, until it is kept elsewhere.
#[derive(Debug)]
pub(super) struct Burying<P, R> {
    pub(super) payload: P,
    pub(super) facts: Facts,
    pub(super) copy: Copy,
    /// Until its burial has been asked for.
    pub(super) refusal: Option<R>,
}

impl<P, R> Lane<P, R> {
    /// Kafka refuses an event. `certain` tells that the event itself was looked at, and not a batch.
    pub fn refused(&mut self, number: u64, refusal: R, certain: bool, now: Instant, out: &mut impl Outside<P, R>) {
        let alone = self.lone == Some(number);
        let Some(InFlight { payload, facts, copy, .. }) = self.land(number) else { return };
        if certain || alone {
            self.prove();
            self.burying.insert(number, Burying { payload, facts, copy, refusal: Some(refusal) });
            self.dig(number, out);
        } else {
            self.suspect(number, payload, facts, copy, out);
        }
        self.progress(now, out);
    }

    /// An event that was to be buried is kept elsewhere now, or could not be.
    pub fn buried(&mut self, number: u64, kept: bool, now: Instant, out: &mut impl Outside<P, R>) {
        let Some(Burying { mut payload, facts, copy, .. }) = self.burying.remove(&number) else { return };
        match (kept, copy) {
            (true, Copy::Stored) => {
                out.delete(number);
                out.durable(&mut payload, Way::Buried);
            }
            (true, Copy::None | Copy::Denied | Copy::Appending) => out.durable(&mut payload, Way::Buried),
            (false, Copy::Stored) => {
                self.rows.insert(number, facts.into());
                self.alone_up_to = self.alone_up_to.max(Some(number));
                self.spool_from_now_on(now + super::MAX_BACKOFF, out);
            }
            (false, Copy::None | Copy::Denied | Copy::Appending) => out.failed(payload),
        }
        self.progress(now, out);
    }

    /// The copy of an event that is being buried has arrived in the spool.
    pub(super) fn stored_while_burying(&mut self, number: u64, out: &mut impl Outside<P, R>) {
        let Some(burying) = self.burying.get_mut(&number) else { return };
        burying.copy = Copy::Stored;
        out.durable(&mut burying.payload, Way::Spooled);
        self.dig(number, out);
    }

    /// The copy of an event that is being buried has not arrived in the spool.
    pub(super) fn not_stored_while_burying(
        &mut self,
        number: u64,
        give_back: impl FnOnce(&mut P),
        out: &mut impl Outside<P, R>,
    ) {
        let Some(burying) = self.burying.get_mut(&number) else { return };
        give_back(&mut burying.payload);
        burying.copy = Copy::None;
        self.dig(number, out);
    }

    /// Asks for the burial, once it is known whether there is a copy in the spool.
    fn dig(&mut self, number: u64, out: &mut impl Outside<P, R>) {
        let Some(burying) = self.burying.get_mut(&number) else { return };
        if burying.copy == Copy::Appending {
            return;
        }
        if let Some(refusal) = burying.refusal.take() {
            out.bury(number, &mut burying.payload, burying.facts, refusal, burying.copy == Copy::Stored);
        }
    }

    /// Whatever is in flight may have been in the same request, and is to go alone from now on.
    fn suspect(&mut self, number: u64, payload: P, facts: Facts, copy: Copy, out: &mut impl Outside<P, R>) {
        let last = self.in_flight.keys().next_back().copied();
        self.alone_up_to = self.alone_up_to.max(last).max(Some(number));
        if self.mode == Mode::Live {
            self.mode = Mode::Closing;
        }
        let suspect = |payload| Suspect { payload, facts, told: copy == Copy::Denied };
        match copy {
            Copy::Stored => {
                self.rows.insert(number, facts.into());
            }
            Copy::Appending => drop(self.appending.insert(number, Waiting { payload, facts })),
            Copy::None | Copy::Denied if self.mode == Mode::Closing => {
                self.expect_by(facts.deadline);
                self.suspects.insert(number, suspect(payload));
            }
            Copy::None | Copy::Denied => self.divert_suspect(number, suspect(payload), out),
        }
    }

    /// Whether events are left that have to go alone.
    pub(super) fn goes_alone(&mut self) -> bool {
        let Some(last) = self.alone_up_to else { return false };
        let first = [
            self.suspects.keys().next(),
            self.in_flight.keys().next(),
            self.rows.keys().next(),
            self.loading.keys().next(),
            self.appending.keys().next(),
        ];
        let alone = first.into_iter().flatten().any(|number| *number <= last);
        if !alone {
            self.alone_up_to = None;
        }
        alone
    }

    /// Whether a row that has been read has to go back, since others are to go alone before it.
    pub(super) fn must_wait_for_its_turn(&mut self, number: u64) -> bool {
        if !self.goes_alone() {
            return false;
        }
        let others = [self.suspects.keys().next(), self.rows.keys().next(), self.appending.keys().next()];
        !self.in_flight.is_empty() || others.into_iter().flatten().any(|other| *other < number)
    }

    /// Hands the oldest event to Kafka, if nothing else is on its way there.
    pub(super) fn try_the_next_alone(&mut self, now: Instant, out: &mut impl Outside<P, R>) {
        if !self.in_flight.is_empty() || !self.loading.is_empty() {
            return;
        }
        let before = [self.rows.keys().next(), self.appending.keys().next()].into_iter().flatten().min().copied();
        let is_next = |number: u64| before.is_none_or(|before| number < before);
        match self.suspects.first_entry() {
            Some(first) if is_next(*first.key()) => {
                let (number, suspect) = first.remove_entry();
                self.launch_suspect(number, suspect, now, out);
            }
            _ => self.load(1, out),
        }
    }

    fn launch_suspect(&mut self, number: u64, suspect: Suspect<P>, now: Instant, out: &mut impl Outside<P, R>) {
        let Suspect { mut payload, facts, told } = suspect;
        if out.produce(number, &mut payload, now) {
            let copy = if told { Copy::Denied } else { Copy::None };
            self.put_in_flight(number, InFlight { payload, facts, copy, drained: false });
        } else {
            self.suspects.insert(number, Suspect { payload, facts, told });
            self.spool_after_failure(now, out);
        }
    }

    /// Hands a suspect to the spool. One whose request was told to try again is that request's concern now.
    pub(super) fn divert_suspect(&mut self, number: u64, suspect: Suspect<P>, out: &mut impl Outside<P, R>) {
        let Suspect { payload, facts, told } = suspect;
        match told || facts.policy == Policy::Strict {
            true => out.failed(payload),
            false => self.divert(number, Waiting { payload, facts }, out),
        }
    }
}
