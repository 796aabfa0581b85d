//! What a request waits on while its events are on their way.

use std::future::poll_fn;
use std::sync::OnceLock;
use std::task::Poll;

use super::mailbox::Mailbox;
use super::of_this_thread;
use super::sync::{Arc, AtomicUsize, AtomicWaker, Ordering};

/// One request's share in the fate of its events. The events are owned by the publisher: dropping the
/// wait changes nothing for them.
#[derive(Debug)]
pub struct Ticket {
    /// How many events are not durable yet, and [`FAILED`]. Both are one number, since a reader that gets them one
    /// after the other could take a failure that comes in between for the last event that became durable.
    state: AtomicUsize,
    waker: AtomicWaker,
    /// Of the thread on which somebody waits.
    mailbox: OnceLock<Option<Arc<Mailbox>>>,
}

/// Set for ever when an event has failed.
const FAILED: usize = 1 << (usize::BITS - 1);

impl Ticket {
    /// A ticket for this many events.
    pub fn new(events: usize) -> Self {
        Self { state: AtomicUsize::new(events), waker: AtomicWaker::new(), mailbox: OnceLock::new() }
    }

    /// Tells the fate of one event.
    pub fn settle(&self, durable: bool) {
        // One that failed is counted as open for ever: the ticket can not become durable any more.
        let before = if durable {
            self.state.fetch_sub(1, Ordering::AcqRel)
        } else {
            self.state.fetch_or(FAILED, Ordering::AcqRel)
        };
        debug_assert!(before & !FAILED > 0, "an event is settled once");
        if before == 1 || !durable {
            self.wake();
        }
    }

    fn wake(&self) {
        let Some(waker) = self.waker.take() else { return };
        match self.mailbox.get() {
            Some(Some(mailbox)) => mailbox.post(waker),
            Some(None) | None => waker.wake(),
        }
    }

    /// Waits until every event is durable (`true`) or one of them failed (`false`).
    pub async fn durable(&self) -> bool {
        poll_fn(|context| {
            self.mailbox.get_or_init(of_this_thread);
            self.waker.register(context.waker());
            match self.state.load(Ordering::Acquire) {
                0 => Poll::Ready(true),
                state if state & FAILED != 0 => Poll::Ready(false),
                _ => Poll::Pending,
            }
        })
        .await
    }
}
