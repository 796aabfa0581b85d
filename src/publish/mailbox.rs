//! What a worker thread does for many requests at once. Requests and acknowledgements come in bursts.
//!
//! To wake a task of another thread costs a system call, for every task. So a settled ticket leaves its waker
//! in the mailbox of the thread on which its request waits: only the first of a burst wakes that thread, where
//! [`carry`] wakes the others, at home and nearly for nothing.
//!
//! An event that is handed to Kafka's client alone is sent alone, if its lane has nothing else to send. So the
//! events of all requests that a worker has read in one go are handed over together, when the last of these
//! requests has been read. A lone request waits for nothing.

use std::cell::{OnceCell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use futures_util::task::AtomicWaker;

use super::track::Track;

thread_local! {
    static OF_THIS_THREAD: OnceCell<Arc<Mailbox>> = const { OnceCell::new() };
    /// Lanes in whose inboxes this thread has put events that nobody may have looked at.
    static TO_EMPTY: RefCell<Vec<Arc<Track>>> = const { RefCell::new(Vec::new()) };
}

/// Wakers that are to be woken on one thread.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    posted: Mutex<Vec<Waker>>,
    carrier: AtomicWaker,
}

/// Empties the mailbox of this thread for ever, and the inboxes that it has put events into. Whoever waits on
/// this thread for a ticket is woken through it from now on, so this must run as long as they do: on a runtime
/// whose tasks stay on this thread.
pub async fn carry() -> Infallible {
    let mailbox = OF_THIS_THREAD.with(|mailbox| Arc::clone(mailbox.get_or_init(Arc::default)));
    let (mut tracks, mut wakers) = (Vec::new(), Vec::new());
    poll_fn(|context| {
        // Before it looks, or what comes in between would wait for the next burst.
        mailbox.carrier.register(context.waker());
        TO_EMPTY.with(|to_empty| mem::swap(&mut tracks, &mut *to_empty.borrow_mut()));
        tracks.drain(..).for_each(|track| track.empty_inbox());
        mailbox.empty(&mut wakers);
        Poll::Pending
    })
    .await
}

/// Empties a lane's inbox: when the other requests that this thread has read have put their events into theirs,
/// if there is somebody to do it then, else at once. Should the thread end before, upkeep does it.
pub(super) fn empty_soon(track: &Arc<Track>) {
    let Some(carrier) = Mailbox::of_this_thread() else { return track.empty_inbox() };
    let is_first = TO_EMPTY.with(|to_empty| {
        let mut to_empty = to_empty.borrow_mut();
        if !to_empty.iter().any(|known| Arc::ptr_eq(known, track)) {
            to_empty.push(Arc::clone(track));
        }
        to_empty.len() == 1
    });
    if is_first {
        carrier.carrier.wake();
    }
}

impl Mailbox {
    /// The mailbox of this thread, if it has one.
    pub(super) fn of_this_thread() -> Option<Arc<Self>> {
        OF_THIS_THREAD.with(|mailbox| mailbox.get().cloned())
    }

    /// Lets a task be woken.
    pub(super) fn post(&self, waker: Waker) {
        let is_first = {
            let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
            posted.push(waker);
            posted.len() == 1
        };
        // Whoever posted the first of those that are still there has woken the carrier.
        if is_first {
            self.carrier.wake();
        }
    }

    fn empty(&self, spare: &mut Vec<Waker>) {
        mem::swap(spare, &mut *self.posted.lock().unwrap_or_else(PoisonError::into_inner));
        spare.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::super::ticket::Ticket;
    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn counter() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (Arc::clone(&counter), Waker::from(counter))
    }

    #[test]
    fn a_burst_wakes_the_carrier_once_and_everybody_who_waits() {
        let (mailbox, mut spare) = (Mailbox::default(), Vec::new());
        let (carrier, carrier_waker) = counter();
        let (task, task_waker) = counter();
        let mut carry = || {
            mailbox.carrier.register(&carrier_waker);
            mailbox.empty(&mut spare);
        };
        carry();
        for burst in 1..=3 {
            (0..10).for_each(|_| mailbox.post(task_waker.clone()));
            assert_eq!(carrier.0.load(Ordering::Acquire), burst);
            carry();
            assert_eq!(task.0.load(Ordering::Acquire), burst * 10);
        }
    }

    #[test]
    fn a_ticket_that_is_awaited_where_somebody_carries_is_told_by_the_carrier_alone() {
        let mailbox = OF_THIS_THREAD.with(|mailbox| Arc::clone(mailbox.get_or_init(Arc::default)));
        let ticket = Ticket::new(1);
        let (task, task_waker) = counter();
        let mut durable = std::pin::pin!(ticket.durable());
        assert!(durable.as_mut().poll(&mut Context::from_waker(&task_waker)).is_pending());
        std::thread::scope(|scope| scope.spawn(|| ticket.settle(true)).join().unwrap());
        assert_eq!(task.0.load(Ordering::Acquire), 0);
        mailbox.empty(&mut Vec::new());
        assert_eq!(task.0.load(Ordering::Acquire), 1);
    }

    #[test]
    fn tickets_that_are_settled_elsewhere_wake_the_requests_of_a_thread_that_carries() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            tokio::task::spawn_local(carry());
            tokio::task::yield_now().await;
            let tickets: Vec<_> = (0..1000).map(|_| Arc::new(Ticket::new(1))).collect();
            let waiting = tickets.iter().map(|ticket| {
                let ticket = Arc::clone(ticket);
                tokio::task::spawn_local(async move { ticket.durable().await })
            });
            let waiting: Vec<_> = waiting.collect();
            let settle = std::thread::spawn(move || tickets.iter().for_each(|ticket| ticket.settle(true)));
            for task in waiting {
                assert!(task.await.unwrap());
            }
            settle.join().unwrap();
        });
    }
}
