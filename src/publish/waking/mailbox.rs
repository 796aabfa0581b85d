//! Wakers that are to be woken on one thread.

use std::mem;
use std::task::Waker;

use super::sync::{AtomicWaker, Mutex, MutexGuard, PoisonError};

/// What a thread's carrier has to wake.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inside: Mutex<Inside>,
    carrier: AtomicWaker,
}

#[derive(Debug, Default)]
struct Inside {
    posted: Vec<Waker>,
    /// Whether nobody will empty it any more.
    closed: bool,
}

impl Mailbox {
    /// Lets a task be woken.
    pub(super) fn post(&self, waker: Waker) {
        let mut inside = self.lock();
        if inside.closed {
            drop(inside);
            return waker.wake();
        }
        inside.posted.push(waker);
        let is_first = inside.posted.len() == 1;
        drop(inside);
        // Whoever posted the first of those that are still there has woken the carrier.
        if is_first {
            self.call();
        }
    }

    /// Wakes the carrier.
    pub(super) fn call(&self) {
        self.carrier.wake();
    }

    /// Whom to wake. To be called before [`empty`](Self::empty).
    pub(super) fn listen(&self, carrier: &Waker) {
        self.carrier.register(carrier);
    }

    /// Wakes everybody who was posted. What is spare takes turns with the mailbox, so that neither has to grow
    /// again.
    pub(super) fn empty(&self, spare: &mut Vec<Waker>) {
        mem::swap(spare, &mut self.lock().posted);
        spare.drain(..).for_each(Waker::wake);
    }

    /// Wakes everybody who was posted, and from now on whoever is posted at once.
    pub(super) fn close(&self) {
        let posted = {
            let mut inside = self.lock();
            inside.closed = true;
            mem::take(&mut inside.posted)
        };
        posted.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
