//! What a request waits on while its events are on their way.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use futures_util::task::AtomicWaker;

use super::mailbox::Mailbox;

/// One request's share in the fate of its events. The events are owned by the publisher: dropping the
/// wait changes nothing for them.
#[derive(Debug)]
pub struct Ticket {
    open: AtomicUsize,
    failed: AtomicBool,
    waker: AtomicWaker,
    /// Of the thread on which somebody waits.
    mailbox: OnceLock<Option<Arc<Mailbox>>>,
}

impl Ticket {
    /// A ticket for this many events.
    pub fn new(events: usize) -> Self {
        Self {
            open: AtomicUsize::new(events),
            failed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            mailbox: OnceLock::new(),
        }
    }

    /// Tells the fate of one event.
    pub fn settle(&self, durable: bool) {
        if !durable {
            self.failed.store(true, Ordering::Release);
        }
        let before = self.open.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "an event is settled once");
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
            self.mailbox.get_or_init(Mailbox::of_this_thread);
            self.waker.register(context.waker());
            if self.failed.load(Ordering::Acquire) {
                Poll::Ready(false)
            } else if self.open.load(Ordering::Acquire) == 0 {
                Poll::Ready(true)
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use super::*;

    #[tokio::test]
    async fn a_ticket_is_durable_only_when_every_event_is() {
        let ticket = Ticket::new(2);
        ticket.settle(true);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::pin!(ticket.durable()).poll(&mut context).is_pending());
        ticket.settle(true);
        assert!(ticket.durable().await);
        assert!(Ticket::new(0).durable().await);
    }

    #[tokio::test]
    async fn one_failure_fails_the_request_without_waiting_for_the_rest() {
        let ticket = Ticket::new(3);
        ticket.settle(false);
        assert!(!ticket.durable().await);
    }
}
