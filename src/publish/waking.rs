//! How requests wait for their events, and how they are woken.
//!
//! To wake a task of another thread costs a system call, for every task, and acknowledgements come in bursts. So a
//! settled [`Ticket`] leaves its waker in the mailbox of the thread on which its request waits: only the first
//! of a burst wakes that thread, where [`carry`] wakes the others, at home and nearly for nothing.
//!
//! An event that is handed to Kafka's client alone is sent alone, if its lane has nothing else to send. So the
//! events of all requests that a worker has read in one go are handed over together, when the last of these
//! requests has been read. A lone request waits for nothing.
//!
//! `ticket` and `mailbox` are what threads share. They use nothing but `sync`, so that `model` can compile the
//! same files with loom's types and try every order in which threads may meet in them.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::{mem, ptr, thread};

mod mailbox;
pub mod ticket;

/// What threads share is made of.
mod sync {
    pub(super) use std::sync::atomic::{AtomicUsize, Ordering};
    pub(super) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    pub(super) use futures_util::task::AtomicWaker;
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use mailbox::Mailbox;
pub use ticket::Ticket;

/// Where a thread has put something that somebody must look at.
pub(super) trait Inbox: Send + Sync {
    /// Looks at everything that is there.
    fn empty(self: Arc<Self>);
}

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Arc<Mailbox>>> = const { RefCell::new(None) };
    /// Inboxes into which this thread has put what nobody may have looked at.
    static TO_EMPTY: RefCell<Vec<Arc<dyn Inbox>>> = const { RefCell::new(Vec::new()) };
}

/// Empties the mailbox of this thread for ever, and the inboxes that it has put something into. Whoever waits on
/// this thread for a ticket is woken through it from now on, so this must run on a runtime whose tasks stay on
/// this thread. Should it end before they do, they are woken at once, and directly from then on.
pub async fn carry() -> Infallible {
    let carrier = Carrier::start();
    let (mut inboxes, mut wakers) = (Vec::new(), Vec::new());
    poll_fn(|context| {
        // Before it looks, or what comes in between would wait for the next burst.
        carrier.0.listen(context.waker());
        TO_EMPTY.with(|to_empty| mem::swap(&mut inboxes, &mut *to_empty.borrow_mut()));
        inboxes.drain(..).for_each(Inbox::empty);
        carrier.0.empty(&mut wakers);
        Poll::Pending
    })
    .await
}

/// Empties an inbox: when the other requests that this thread has read have put their events into theirs, if
/// there is somebody to do it then, else at once.
pub(super) fn empty_soon<I: Inbox + 'static>(inbox: &Arc<I>) {
    let Some(mailbox) = of_this_thread() else { return Arc::clone(inbox).empty() };
    let is_first = TO_EMPTY.with(|to_empty| {
        let mut to_empty = to_empty.borrow_mut();
        if !to_empty.iter().any(|known| ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(inbox))) {
            to_empty.push(Arc::<I>::clone(inbox));
        }
        to_empty.len() == 1
    });
    if is_first {
        mailbox.call();
    }
}

/// The mailbox of this thread, if somebody empties it.
fn of_this_thread() -> Option<Arc<Mailbox>> {
    OF_THIS_THREAD.with(|mailbox| mailbox.borrow().clone())
}

/// The right to empty this thread's mailbox. Whatever ends it, nobody goes on waiting for it.
struct Carrier(Arc<Mailbox>);

impl Carrier {
    fn start() -> Self {
        let mailbox = Arc::new(Mailbox::default());
        OF_THIS_THREAD.with(|of_this_thread| of_this_thread.replace(Some(Arc::clone(&mailbox))));
        Self(mailbox)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // A thread that ends may have lost these values already, and then nobody can come to the mailbox again.
        let is_ours = |mailbox: &mut Arc<Mailbox>| Arc::ptr_eq(mailbox, &self.0);
        OF_THIS_THREAD.try_with(|mailbox| mailbox.borrow_mut().take_if(is_ours)).ok();
        self.0.close();
        let to_empty = TO_EMPTY.try_with(RefCell::take).unwrap_or_default();
        if thread::panicking() {
            tracing::error!("what wakes the requests of a worker has panicked; they are woken directly from now on");
            // An inbox may be the reason. Upkeep looks into all of them.
            return;
        }
        to_empty.into_iter().for_each(Inbox::empty);
    }
}
