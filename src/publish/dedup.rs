//! The duplicate window: which events are durable already, and which are on their way.
//!
//! A fact is absent, pending or durable. A copy of a durable fact is answered and not published again.
//! A copy of a pending one shares the answer of the first. A failure makes the fact absent again, so
//! that the provider's retry publishes it; an acknowledgement that comes late, after the request was
//! answered 503, still makes it durable. Until it comes, nobody waits for such a stalled fact: its
//! copies are answered 503 at once.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::waking::ticket::Ticket;
use crate::event::id::{EventId, FactHash};

/// What makes two events copies of each other.
pub type FactKey = (EventId, Option<FactHash>);

/// The facts that this process remembers.
#[derive(Debug)]
pub struct Window {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Keys are digests of authentic facts already, so that a quick hash spreads them well enough.
    facts: FxHashMap<FactKey, Fact>,
    /// Durable facts, the oldest first. Pending ones are never forgotten; what bounds them is the memory for
    /// records on their way.
    durable: VecDeque<FactKey>,
    /// Facts that were durable before this process made any so, the oldest first. They are forgotten first.
    earlier: VecDeque<FactKey>,
}

#[derive(Debug)]
enum Fact {
    Pending(Vec<Arc<Ticket>>),
    Stalled,
    Durable,
}

/// What is known of a fact that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Nothing: it is to be published, and is pending from now on.
    New,
    /// A copy is on its way; the ticket shares its fate.
    Pending,
    /// A copy is on its way, and has been for too long to wait for it.
    Stalled,
    /// It is durable.
    Durable,
}

impl Window {
    /// A window that remembers this many durable facts; none, if zero.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    /// Takes in a fact.
    pub fn admit(&self, key: FactKey, ticket: &Arc<Ticket>) -> Admission {
        if self.capacity == 0 {
            return Admission::New;
        }
        let mut state = self.lock();
        let mut known = match state.facts.entry(key) {
            Entry::Occupied(known) => known,
            Entry::Vacant(vacant) => {
                vacant.insert(Fact::Pending(Vec::new()));
                return Admission::New;
            }
        };
        match known.get_mut() {
            Fact::Durable => Admission::Durable,
            Fact::Stalled => Admission::Stalled,
            Fact::Pending(waiting) => {
                // Requests that were answered in the meantime wait no longer. Without this, a provider
                // that retries through a long outage would pile up their tickets.
                waiting.retain(|waiting| Arc::strong_count(waiting) > 1);
                waiting.push(Arc::clone(ticket));
                Admission::Pending
            }
        }
    }

    /// Settles a pending fact and tells everybody who waits for it.
    pub fn settle(&self, key: FactKey, durable: bool) {
        if self.capacity == 0 {
            return;
        }
        let waiting = self.lock().settle(key, durable, self.capacity);
        for ticket in waiting {
            ticket.settle(durable);
        }
    }

    /// Lets nobody wait for a pending fact any longer.
    pub fn stall(&self, key: FactKey) {
        let waiting = match self.lock().facts.get_mut(&key) {
            Some(fact @ Fact::Pending(_)) => std::mem::replace(fact, Fact::Stalled),
            Some(Fact::Stalled | Fact::Durable) | None => return,
        };
        if let Fact::Pending(waiting) = waiting {
            waiting.iter().for_each(|ticket| ticket.settle(false));
        }
    }

    /// Remembers a fact that was made durable by somebody else or in another life, unless it is known.
    pub fn remember(&self, key: FactKey) {
        if self.capacity > 0 {
            self.lock().remember(key, self.capacity);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn settle(&mut self, key: FactKey, durable: bool, capacity: usize) -> Vec<Arc<Ticket>> {
        let before = match durable {
            true => self.facts.insert(key, Fact::Durable),
            false => self.facts.remove(&key),
        };
        if durable && !matches!(before, Some(Fact::Durable)) {
            self.durable.push_back(key);
        }
        self.forget_oldest(capacity);
        match before {
            Some(Fact::Pending(waiting)) => waiting,
            Some(Fact::Stalled | Fact::Durable) | None => Vec::new(),
        }
    }

    fn remember(&mut self, key: FactKey, capacity: usize) {
        if let Entry::Vacant(vacant) = self.facts.entry(key) {
            vacant.insert(Fact::Durable);
            self.earlier.push_back(key);
            self.forget_oldest(capacity);
        }
    }

    fn forget_oldest(&mut self, capacity: usize) {
        while self.earlier.len() + self.durable.len() > capacity {
            let oldest = self.earlier.pop_front().or_else(|| self.durable.pop_front());
            oldest.and_then(|oldest| self.facts.remove(&oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::id::Identity;

    fn key(id: &str) -> FactKey {
        (EventId::compute("p", "a", "k", &Identity { id, x: "", y: "" }), None)
    }

    fn ticket() -> Arc<Ticket> {
        Arc::new(Ticket::new(1))
    }

    #[test]
    fn a_fact_is_absent_then_pending_then_durable() {
        let window = Window::new(10);
        assert_eq!(window.admit(key("1"), &ticket()), Admission::New);
        assert_eq!(window.admit(key("1"), &ticket()), Admission::Pending);
        window.settle(key("1"), true);
        assert_eq!(window.admit(key("1"), &ticket()), Admission::Durable);
        let priced = (key("1").0, Some(FactHash::compute(&["0.0333"])));
        assert_eq!(window.admit(priced, &ticket()), Admission::New, "another price is news");
    }

    #[tokio::test]
    async fn copies_of_a_pending_fact_share_its_fate() {
        for durable in [true, false] {
            let window = Window::new(10);
            let copy = ticket();
            window.admit(key("1"), &ticket());
            window.admit(key("1"), &copy);
            window.settle(key("1"), durable);
            assert_eq!(copy.durable().await, durable);
        }
    }

    #[test]
    fn a_failure_makes_the_fact_absent_again() {
        let window = Window::new(10);
        window.admit(key("1"), &ticket());
        window.settle(key("1"), false);
        assert_eq!(window.admit(key("1"), &ticket()), Admission::New);
    }

    #[test]
    fn only_the_newest_durable_facts_are_remembered_and_pending_ones_always() {
        let window = Window::new(2);
        window.admit(key("pending"), &ticket());
        for id in ["1", "2", "3"] {
            window.admit(key(id), &ticket());
            window.settle(key(id), true);
        }
        assert_eq!(window.admit(key("1"), &ticket()), Admission::New);
        assert_eq!(window.admit(key("3"), &ticket()), Admission::Durable);
        assert_eq!(window.admit(key("pending"), &ticket()), Admission::Pending);
    }

    #[test]
    fn tickets_of_requests_that_were_answered_do_not_pile_up() {
        let window = Window::new(2);
        window.admit(key("1"), &ticket());
        for _ in 0..1000 {
            window.admit(key("1"), &ticket());
        }
        let state = window.lock();
        let Some(Fact::Pending(waiting)) = state.facts.get(&key("1")) else { panic!("still pending") };
        assert_eq!(waiting.len(), 1);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_stalled_fact_and_it_may_become_durable_yet() {
        let window = Window::new(10);
        let copy = ticket();
        window.admit(key("1"), &ticket());
        window.admit(key("1"), &copy);
        window.stall(key("1"));
        assert!(!copy.durable().await);
        assert_eq!(window.admit(key("1"), &ticket()), Admission::Stalled);
        window.settle(key("1"), true);
        assert_eq!(window.admit(key("1"), &ticket()), Admission::Durable);
        window.stall(key("1"));
        assert_eq!(window.admit(key("1"), &ticket()), Admission::Durable, "what is durable stays so");
    }

    #[test]
    fn what_was_durable_in_another_life_is_remembered_and_disturbs_nothing() {
        let window = Window::new(2);
        window.admit(key("pending"), &ticket());
        for id in ["pending", "1", "2", "2", "3"] {
            window.remember(key(id));
        }
        assert_eq!(window.admit(key("pending"), &ticket()), Admission::Pending);
        assert_eq!(window.admit(key("2"), &ticket()), Admission::Durable);
        assert_eq!(window.admit(key("1"), &ticket()), Admission::New, "only so many");
    }

    #[test]
    fn what_is_remembered_late_does_not_drive_out_what_is_newer() {
        let window = Window::new(2);
        for id in ["1", "2"] {
            window.admit(key(id), &ticket());
            window.settle(key(id), true);
        }
        window.remember(key("old"));
        assert_eq!(window.admit(key("1"), &ticket()), Admission::Durable);
        assert_eq!(window.admit(key("old"), &ticket()), Admission::New);
    }

    #[test]
    fn a_window_of_zero_forgets_everything() {
        let window = Window::new(0);
        window.admit(key("1"), &ticket());
        window.settle(key("1"), true);
        assert_eq!(window.admit(key("1"), &ticket()), Admission::New);
    }
}
