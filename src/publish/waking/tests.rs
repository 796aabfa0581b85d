use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::*;

/// Only a hang takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl Inbox for Counter {
    fn empty(self: Arc<Self>) {
        self.wake();
    }
}

fn counter() -> (Arc<Counter>, Waker) {
    let counter = Arc::new(Counter::default());
    (Arc::clone(&counter), Waker::from(counter))
}

fn settle_elsewhere(ticket: &Ticket) {
    thread::scope(|scope| scope.spawn(|| ticket.settle(true)).join().unwrap());
}

/// Runs on a thread whose tasks stay there, as those of a worker do.
fn on_a_worker<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let within = async { tokio::time::timeout(PATIENCE, work).await.expect("nobody is left waiting") };
    tokio::task::LocalSet::new().block_on(&runtime, within)
}

/// A task that waits for a ticket, and has begun to.
async fn waiting(ticket: &Arc<Ticket>) -> tokio::task::JoinHandle<bool> {
    let ticket = Arc::clone(ticket);
    let task = tokio::task::spawn_local(async move { ticket.durable().await });
    tokio::task::yield_now().await;
    task
}

#[tokio::test]
async fn a_ticket_is_durable_only_when_every_event_is() {
    let ticket = Ticket::new(2);
    ticket.settle(true);
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(ticket.durable()).poll(&mut context).is_pending());
    ticket.settle(true);
    assert!(ticket.durable().await);
    assert!(Ticket::new(0).durable().await);
}

#[tokio::test]
async fn one_failure_fails_the_request_without_waiting_for_the_rest() {
    let ticket = Ticket::new(3);
    ticket.settle(false);
    assert!(!ticket.durable().await);
    ticket.settle(true);
    ticket.settle(true);
    assert!(!ticket.durable().await);
}

#[test]
fn a_burst_wakes_the_carrier_once_and_everybody_who_waits() {
    let (mailbox, mut spare) = (Mailbox::default(), Vec::new());
    let (carrier, carrier_waker) = counter();
    let (task, task_waker) = counter();
    let mut carry = || {
        mailbox.listen(&carrier_waker);
        mailbox.empty(&mut spare);
    };
    carry();
    for burst in 1..=3 {
        (0..10).for_each(|_| mailbox.post(task_waker.clone()));
        assert_eq!(carrier.count(), burst);
        carry();
        assert_eq!(task.count(), burst * 10);
    }
}

#[test]
fn a_ticket_that_is_awaited_where_somebody_carries_is_told_by_the_carrier_alone() {
    let carrier = Carrier::start();
    let ticket = Ticket::new(1);
    let (task, task_waker) = counter();
    let mut durable = pin!(ticket.durable());
    assert!(durable.as_mut().poll(&mut Context::from_waker(&task_waker)).is_pending());
    settle_elsewhere(&ticket);
    assert_eq!(task.count(), 0);
    carrier.0.empty(&mut Vec::new());
    assert_eq!(task.count(), 1);
}

#[test]
fn tickets_that_are_settled_elsewhere_wake_the_requests_of_a_thread_that_carries() {
    on_a_worker(async {
        tokio::task::spawn_local(carry());
        tokio::task::yield_now().await;
        let tickets: Vec<_> = (0..1000).map(|_| Arc::new(Ticket::new(1))).collect();
        let mut tasks = Vec::new();
        for ticket in &tickets {
            tasks.push(waiting(ticket).await);
        }
        let settle = thread::spawn(move || tickets.iter().for_each(|ticket| ticket.settle(true)));
        for task in tasks {
            assert!(task.await.unwrap());
        }
        settle.join().unwrap();
    });
}

#[test]
fn inboxes_are_emptied_together_and_each_once() {
    on_a_worker(async {
        tokio::task::spawn_local(carry());
        tokio::task::yield_now().await;
        let inboxes = [counter().0, counter().0];
        for inbox in inboxes.iter().cycle().take(6) {
            empty_soon(inbox);
        }
        assert_eq!(inboxes.each_ref().map(|inbox| inbox.count()), [0, 0]);
        tokio::task::yield_now().await;
        assert_eq!(inboxes.each_ref().map(|inbox| inbox.count()), [1, 1]);
    });
}

#[test]
fn an_inbox_is_emptied_at_once_where_nobody_carries() {
    let (inbox, _) = counter();
    empty_soon(&inbox);
    assert_eq!(inbox.count(), 1);
}

#[test]
fn who_waits_where_the_carrier_has_ended_is_woken_all_the_same() {
    on_a_worker(async {
        let carrier = tokio::task::spawn_local(carry());
        tokio::task::yield_now().await;
        let (before, after) = (Arc::new(Ticket::new(1)), Arc::new(Ticket::new(1)));
        let posted = Arc::new(Ticket::new(1));
        let mut tasks = vec![waiting(&before).await, waiting(&posted).await];
        let (inbox, _) = counter();
        empty_soon(&inbox);
        settle_elsewhere(&posted);
        carrier.abort();
        assert!(carrier.await.unwrap_err().is_cancelled());
        assert_eq!(inbox.count(), 1);
        settle_elsewhere(&before);
        tasks.push(waiting(&after).await);
        settle_elsewhere(&after);
        for task in tasks {
            assert!(task.await.unwrap());
        }
    });
}

/// An inbox in which something panics.
struct Broken;

impl Inbox for Broken {
    fn empty(self: Arc<Self>) {
        panic!("this is the test's");
    }
}

#[test]
fn a_carrier_that_panics_leaves_nobody_waiting() {
    on_a_worker(async {
        let carrier = tokio::task::spawn_local(carry());
        tokio::task::yield_now().await;
        let ticket = Arc::new(Ticket::new(1));
        let task = waiting(&ticket).await;
        empty_soon(&Arc::new(Broken));
        empty_soon(&Arc::new(Broken));
        settle_elsewhere(&ticket);
        assert!(carrier.await.unwrap_err().is_panic());
        assert!(task.await.unwrap());
        let (inbox, _) = counter();
        empty_soon(&inbox);
        assert_eq!(inbox.count(), 1);
    });
}

#[test]
fn a_second_carrier_of_a_thread_takes_over_and_the_end_of_the_first_takes_nothing_from_it() {
    let first = Carrier::start();
    let second = Carrier::start();
    drop(first);
    assert!(of_this_thread().is_some_and(|mailbox| Arc::ptr_eq(&mailbox, &second.0)));
    drop(second);
    assert!(of_this_thread().is_none());
}
