//! Holding back what belongs into one topic, so that it can be read wholly and then deleted.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the deleted topic holds; and the plan of those who send it.
pub(crate) const HELD_TOPIC: &str = "inbound-message.v1";
pub(crate) const HELD_SIMULATION: &str = "inbound-message";

/// Webhooks for the topic pass it on their way out, and leave it when they are taken.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    inside: usize,
}

impl Gate {
    /// Makes something to be sent. What makes it is told whether it may belong into the topic, and tells whether it
    /// does.
    pub(crate) fn pass<T>(&self, make: impl FnOnce(bool) -> (T, bool)) -> T {
        let mut state = self.lock();
        let (made, is_held) = make(!state.closed);
        state.inside += usize::from(is_held);
        made
    }

    /// A webhook for the topic is taken.
    pub(crate) fn leave(&self) {
        self.lock().inside -= 1;
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    pub(crate) fn open(&self) {
        self.lock().closed = false;
    }

    /// Whether nothing for the topic is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().inside == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_a_closed_gate_and_it_knows_who_is_still_inside() {
        let gate = Gate::default();
        assert!(gate.pass(|open| (open, open)));
        gate.close();
        assert!(!gate.pass(|open| (open, open)));
        assert!(!gate.is_empty());
        gate.leave();
        assert!(gate.is_empty());
        gate.open();
        assert!(gate.pass(|open| (open, open)));
    }
}
