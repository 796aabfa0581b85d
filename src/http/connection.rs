//! Connections of one worker: how long each may wait for its next head, and which one makes room for others.
//!
//! actix-web gives the first head of a connection a time, and no other; and when it has as many connections
//! as it may have, it waits until one ends. So every connection is watched here, below HTTP: it is *busy*
//! while a request is served, and *waiting* otherwise.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::KEEP_ALIVE;
use super::pace::{Pace, TooSlow};

/// What a sender gets whose head does not come. It is no answer to a request, so that it has no body.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The connections of one worker.
#[derive(Debug)]
pub struct Crowd {
    /// From so many on, one that waits is closed for each one that comes.
    most: usize,
    head_timeout: Duration,
    members: RefCell<Vec<Rc<Connection>>>,
    /// Those that were dismissed and are still there.
    leaving: Cell<usize>,
    /// Numbers the times at which connections began to wait.
    waits: Cell<u64>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new(most: usize, head_timeout: Duration) -> Rc<Self> {
        let members = RefCell::default();
        Rc::new(Self { most, head_timeout, members, leaving: Cell::new(0), waits: Cell::new(0) })
    }

    /// Watches a new connection.
    pub fn watch<Io>(self: &Rc<Self>, io: Io) -> Watched<Io> {
        let connection = Rc::new(Connection {
            crowd: Rc::clone(self),
            place: Cell::new(self.members.borrow().len()),
            phase: Cell::new(Phase::Idle),
            since: Cell::new(self.next_wait()),
            pace: Cell::new(Pace::deadline(self.head_timeout)),
            dismissed: Cell::new(false),
            amid: Cell::new(false),
            waker: RefCell::default(),
        });
        self.make_room();
        self.members.borrow_mut().push(Rc::clone(&connection));
        Watched { io, connection, timer: None, armed_for: Phase::Idle }
    }

    fn next_wait(&self) -> u64 {
        self.waits.set(self.waits.get() + 1);
        self.waits.get()
    }

    /// Closes the connection that has waited longest, if there are too many.
    fn make_room(&self) {
        let members = self.members.borrow();
        if members.len() - self.leaving.get() < self.most {
            return;
        }
        let waits = |member: &&Rc<Connection>| member.phase.get() != Phase::Busy && !member.dismissed.get();
        if let Some(longest) = members.iter().filter(waits).min_by_key(|member| member.since.get()) {
            self.leaving.set(self.leaving.get() + 1);
            longest.dismiss();
        }
    }

    fn remove(&self, connection: &Connection) {
        let mut members = self.members.borrow_mut();
        let place = connection.place.get();
        members.swap_remove(place);
        if let Some(moved) = members.get(place) {
            moved.place.set(place);
        }
        if connection.dismissed.get() {
            self.leaving.set(self.leaving.get() - 1);
        }
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come since the last request.
    Idle,
    /// Something has come, but no whole head yet; or the rest of a body that nobody wants.
    Head,
    /// A request is served, which looks after its own body.
    Busy,
}

/// One connection, as those who serve its requests know it.
pub struct Connection {
    crowd: Rc<Crowd>,
    /// Where it stands among the members.
    place: Cell<usize>,
    phase: Cell<Phase>,
    /// When it began to wait.
    since: Cell<u64>,
    pace: Cell<Pace>,
    dismissed: Cell<bool>,
    /// A request was answered before its body had come, so that nothing more can be said in between.
    amid: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Connection {
    /// A request is being served, until the answer is given.
    pub fn serve(self: &Rc<Self>) -> Serving {
        self.phase.set(Phase::Busy);
        self.amid.set(true);
        Serving(Rc::clone(self))
    }

    fn wait(&self) {
        self.phase.set(Phase::Idle);
        self.pace.set(Pace::deadline(KEEP_ALIVE));
        self.since.set(self.crowd.next_wait());
        self.crowd.make_room();
    }

    fn dismiss(&self) {
        self.dismissed.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn heard(&self) {
        if self.phase.get() == Phase::Idle {
            self.phase.set(Phase::Head);
            self.pace.set(Pace::deadline(self.crowd.head_timeout));
        }
    }

    fn slice_over(&self) -> Result<(), TooSlow> {
        if self.phase.get() == Phase::Busy {
            return Ok(());
        }
        let mut pace = self.pace.get();
        let over = pace.slice_over();
        self.pace.set(pace);
        over
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// A request is served while this is there.
#[derive(Debug)]
pub struct Serving(Rc<Connection>);

impl Serving {
    /// The whole request has come: what follows is the next head.
    pub fn read_to_its_end(&self) {
        self.0.amid.set(false);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// The bytes of a connection, which end when it is dismissed or its time is over.
#[derive(Debug)]
pub struct Watched<Io> {
    io: Io,
    connection: Rc<Connection>,
    /// The end of the slice of time that is waited through.
    timer: Option<Pin<Box<Sleep>>>,
    armed_for: Phase,
}

impl<Io> Watched<Io> {
    /// What those who serve requests need to know of it.
    pub fn connection(&self) -> Rc<Connection> {
        Rc::clone(&self.connection)
    }
}

impl<Io> Drop for Watched<Io> {
    fn drop(&mut self) {
        self.connection.crowd.remove(&self.connection);
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Watched<Io> {
    /// Nothing has come. The timer is not set anew for each request: it runs on, and a slice that was begun
    /// before counts as one.
    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.waker.replace(Some(context.waker().clone()));
        let phase = self.connection.phase.get();
        let slice = self.connection.pace.get().slice();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(slice)));
        if phase == Phase::Head && self.armed_for != Phase::Head {
            timer.as_mut().reset(Instant::now() + slice);
        }
        self.armed_for = phase;
        while timer.as_mut().poll(context).is_ready() {
            if self.connection.slice_over().is_err() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + slice);
        }
        Poll::Pending
    }

    /// Tells a sender whose head has begun that it was too slow.
    fn say_that_time_is_over(&mut self, context: &mut Context<'_>) {
        if self.connection.phase.get() == Phase::Head && !self.connection.amid.get() {
            // It is a courtesy: the connection is closed in any case.
            if Pin::new(&mut self.io).poll_write(context, TIMED_OUT).is_ready() {
                let _closing = Pin::new(&mut self.io).poll_flush(context);
            }
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.connection.dismissed.get() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if read.is_ready() {
            if buffer.filled().len() > before {
                self.connection.heard();
            }
            return read;
        }
        std::task::ready!(self.poll_time(context));
        self.say_that_time_is_over(context);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Watched<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn dismissed<Io>(watched: &[Watched<Io>]) -> Vec<bool> {
        watched.iter().map(|watched| watched.connection.dismissed.get()).collect()
    }

    #[test]
    fn whoever_has_waited_longest_makes_room_and_nobody_who_is_served() {
        let crowd = Crowd::new(3, TIMEOUT);
        let mut watched: Vec<_> = (0..3).map(|_| crowd.watch(())).collect();
        let served = watched[0].connection().serve();
        assert_eq!(dismissed(&watched), [false, false, false]);
        watched.push(crowd.watch(()));
        assert_eq!(dismissed(&watched), [false, true, false, false]);
        watched.push(crowd.watch(()));
        assert_eq!(dismissed(&watched), [false, true, true, false, false]);
        drop(watched.drain(1..3));
        assert_eq!(crowd.leaving.get(), 0);
        drop(served);
        assert_eq!(dismissed(&watched), [false, true, false], "there are too many still, and the last to wait stays");
    }

    #[test]
    fn when_all_are_served_the_first_to_be_answered_makes_room() {
        let crowd = Crowd::new(2, TIMEOUT);
        let watched: Vec<_> = (0..3).map(|_| crowd.watch(())).collect();
        assert_eq!(dismissed(&watched), [true, false, false]);
        let serving: Vec<_> = watched[1..].iter().map(|watched| watched.connection().serve()).collect();
        drop(serving);
        assert_eq!(dismissed(&watched), [true, true, false]);
    }

    #[tokio::test]
    async fn a_dismissed_connection_ends_for_its_reader() {
        let crowd = Crowd::new(1, TIMEOUT);
        let (ours, _theirs) = tokio::io::duplex(64);
        let mut first = crowd.watch(ours);
        let mut bytes = [0; 8];
        let mut context = Context::from_waker(Waker::noop());
        let mut read = |watched: &mut Watched<_>| {
            let mut buffer = ReadBuf::new(&mut bytes);
            Pin::new(watched).poll_read(&mut context, &mut buffer).map(|read| read.map(|()| buffer.filled().len()))
        };
        assert!(read(&mut first).is_pending());
        let _second = crowd.watch(());
        assert!(matches!(read(&mut first), Poll::Ready(Ok(0))));
    }
}
