//! Tickets and mailboxes under every order in which threads may meet, and with every value that they may read.
//!
//! These are the same files as outside, made of loom's types. A wake-up that is lost shows itself as a deadlock,
//! which loom reports.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::atomic::AtomicBool;
use loom::thread;

#[expect(clippy::duplicate_mod, reason = "the same text, made of loom's types")]
#[path = "mailbox.rs"]
mod mailbox;
#[expect(clippy::duplicate_mod, reason = "the same text, made of loom's types")]
#[expect(unreachable_pub, reason = "outside of the model it is reached")]
#[path = "ticket.rs"]
mod ticket;

mod sync {
    use std::task::Waker;

    pub(super) use std::sync::PoisonError;

    pub(super) use loom::sync::atomic::{AtomicUsize, Ordering};
    pub(super) use loom::sync::{Arc, Mutex, MutexGuard};

    /// Loom's stand-in, with the names that the true one has.
    #[derive(Debug, Default)]
    pub(super) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(super) fn new() -> Self {
            Self::default()
        }

        pub(super) fn register(&self, waker: &Waker) {
            self.0.register_by_ref(waker);
        }

        pub(super) fn wake(&self) {
            self.0.wake();
        }

        pub(super) fn take(&self) -> Option<Waker> {
            self.0.take_waker()
        }
    }
}

use mailbox::Mailbox;
use sync::{Arc, Ordering};
use ticket::Ticket;

loom::thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Arc<Mailbox>>> = RefCell::new(None);
}

fn of_this_thread() -> Option<Arc<Mailbox>> {
    OF_THIS_THREAD.with(|mailbox| mailbox.borrow().clone())
}

/// Gives this thread a mailbox.
fn open_mailbox() -> Arc<Mailbox> {
    let mailbox = Arc::new(Mailbox::default());
    OF_THIS_THREAD.with(|of_this_thread| of_this_thread.replace(Some(Arc::clone(&mailbox))));
    mailbox
}

/// Settles each event on a thread of its own while this one waits. Tells what it was told.
fn answer(fates: &'static [bool]) -> bool {
    let ticket = settled_elsewhere(fates);
    block_on(ticket.durable())
}

fn settled_elsewhere(fates: &'static [bool]) -> Arc<Ticket> {
    let ticket = Arc::new(Ticket::new(fates.len()));
    for durable in fates {
        let ticket = Arc::clone(&ticket);
        thread::spawn(move || ticket.settle(*durable));
    }
    ticket
}

/// A task that is polled only after it was woken, as by a runtime.
struct Task<F> {
    future: F,
    woken: std::sync::Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl<F: Future + Unpin> Task<F> {
    fn new(future: F) -> Self {
        Self { future, woken: std::sync::Arc::new(Woken(AtomicBool::new(true))) }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        if !self.woken.0.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let waker = Waker::from(std::sync::Arc::clone(&self.woken));
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker))
    }
}

/// Runs it in every order that takes no more than so many preemptions; a thread that waits may always be left.
/// All orders of three threads would take hours.
fn in_orders(preemptions: Option<usize>, run: fn()) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    let orders = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&orders);
    model.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        run();
    });
    println!("{} orders", orders.load(Ordering::Relaxed));
}

#[test]
fn a_ticket_with_a_failure_is_never_durable() {
    in_orders(None, || assert!(!answer(&[false])));
    in_orders(Some(3), || assert!(!answer(&[true, false])));
    in_orders(Some(3), || assert!(!answer(&[false, false])));
}

#[test]
fn a_ticket_whose_events_are_all_durable_wakes_who_waits_for_it() {
    in_orders(None, || assert!(answer(&[true])));
    in_orders(Some(3), || assert!(answer(&[true, true])));
}

/// Waits for tickets on a thread whose carrier wakes who waits.
fn carried(fates: &'static [&'static [bool]]) {
    let mailbox = open_mailbox();
    let tickets: Vec<_> = fates.iter().map(|fates| settled_elsewhere(fates)).collect();
    let mut tasks: Vec<_> = tickets.iter().map(|ticket| Task::new(Box::pin(ticket.durable()))).collect();
    let mut spare = Vec::new();
    block_on(poll_fn(|context| {
        mailbox.listen(context.waker());
        mailbox.empty(&mut spare);
        tasks.retain_mut(|task| task.poll().is_pending());
        if tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }));
}

#[test]
fn a_carrier_misses_nobody_who_is_posted_while_it_looks() {
    in_orders(None, || carried(&[&[true]]));
    in_orders(Some(2), || carried(&[&[true, false]]));
    in_orders(Some(2), || carried(&[&[true], &[true]]));
}

/// Waits for a ticket on a thread whose carrier ends meanwhile.
fn abandoned() {
    let mailbox = open_mailbox();
    let ticket = settled_elsewhere(&[true]);
    let mut durable = pin!(ticket.durable());
    let ended = thread::spawn(move || mailbox.close());
    assert!(block_on(durable.as_mut()));
    ended.join().unwrap();
}

#[test]
fn a_ticket_is_told_though_its_carrier_ends_meanwhile() {
    in_orders(Some(3), abandoned);
}
