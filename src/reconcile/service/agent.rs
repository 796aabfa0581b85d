//! The work for one owned source.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::chores::Chores;
use super::stream::Stream;
use super::{Desk, REST};
use crate::event::time::Time;
use crate::reconcile::ownership::{CURSORS, place_of};
use crate::reconcile::schedule::rhythm::next_sweep;
use crate::reconcile::standing::StreamState;

/// How long it is waited until it is told that the state topic could not be read to its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// So often it is looked what time it is, and told how old the oldest window is.
const LOOK: Duration = Duration::from_secs(1);

/// What an agent hears while it works.
#[derive(Debug)]
pub(super) enum Order {
    /// Sweep now.
    Sweep,
    /// A cursor was written, whoever wrote it.
    Written {
        /// The stream.
        stream: String,
        /// The cursor; none if it was taken back.
        value: Option<Vec<u8>>,
    },
}

/// Works for one source.
#[derive(Debug)]
pub(super) struct Agent {
    desk: Arc<Desk>,
    orders: UnboundedReceiver<Order>,
}

impl Agent {
    pub(super) fn new(desk: Arc<Desk>, orders: UnboundedReceiver<Order>) -> Self {
        Self { desk, orders }
    }

    /// Works until it is aborted. A fault of ours must not end what is done for the source for ever, and no webhook may
    /// wait for it: it is told, and the work begun again from the last cursors.
    pub(super) async fn work(mut self, mut cursors: HashMap<String, Vec<u8>>) {
        loop {
            if has_panicked(self.work_on(&cursors)).await {
                tracing::error!(source.name = %self.desk.source_name, "comparing has failed, and is begun again");
            }
            tokio::time::sleep(REST).await;
            cursors = self.cursors_of_the_topic().await;
        }
    }

    async fn work_on(&mut self, cursors: &HashMap<String, Vec<u8>>) {
        // If the number of partitions was changed, the cursors may lie in another one.
        let elsewhere = if cursors.is_empty() { self.cursors_of_the_topic().await } else { HashMap::new() };
        let cursors = if cursors.is_empty() { &elsewhere } else { cursors };
        let mut streams = self.begin(cursors);
        let (mut is_asked_for, mut chores) = (false, Chores::default());
        loop {
            let read_to = streams.iter().map(Stream::read_to).min();
            for stream in &mut streams {
                stream.sweep(&self.desk, is_asked_for).await;
            }
            chores.run(&self.desk, read_to).await;
            is_asked_for = self.wait(&mut streams).await;
        }
    }

    /// The source's cursors, wherever they lie. Begun without them, a stream would forget what it had not read yet, so
    /// the topic is waited for, however long that takes.
    async fn cursors_of_the_topic(&self) -> HashMap<String, Vec<u8>> {
        while !self.desk.view.wait_until_whole(PATIENCE).await {
            tracing::warn!(source.name = %self.desk.source_name, "the state topic is not read to its end yet");
        }
        let values = self.desk.view.values(&format!("{CURSORS}{}/", self.desk.source_name));
        values.into_iter().filter_map(|(key, value)| Some((place_of(&key)?.1.to_owned(), value.to_vec()))).collect()
    }

    /// Begins the streams that can be run.
    fn begin(&self, cursors: &HashMap<String, Vec<u8>>) -> Vec<Stream> {
        let mut streams = Vec::new();
        for (info, timing) in &self.desk.streams {
            self.desk.board.begin(&self.desk.source_name, info.name);
            match Stream::begin(&self.desk, info, timing.clone(), cursors.get(info.name)) {
                Ok(stream) => {
                    stream.show(&self.desk);
                    streams.push(stream);
                }
                Err(fault) => {
                    tracing::error!(source.name = %self.desk.source_name, stream = info.name, %fault, "not compared");
                    self.desk.show(info.name, |standing| {
                        standing.state = StreamState::Misconfigured;
                        standing.problem = Some(format!("its cursor can not be gone on from: {fault}"));
                    });
                }
            }
        }
        streams
    }

    /// Waits until something is to be done, and tells whether a sweep was asked for.
    async fn wait(&mut self, streams: &mut [Stream]) -> bool {
        let begun = self.desk.now();
        let next = self.next_sweep(begun, streams);
        self.tell_next(streams, next);
        loop {
            self.tell_lag(streams);
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {
                    let now = self.desk.now();
                    // By a clock that was put back, the next sweep may lie far ahead.
                    if now >= next || now < begun {
                        return false;
                    }
                }
                order = self.orders.recv() => match order {
                    Some(Order::Sweep) => return true,
                    Some(Order::Written { stream, value }) => {
                        for known in streams.iter_mut().filter(|known| known.name() == stream) {
                            known.hear(&self.desk, value.as_deref()).await;
                        }
                    }
                    None => std::future::pending().await,
                },
            }
        }
    }

    /// The source's next time, or when a stream that failed wants to be tried again, if that is sooner.
    fn next_sweep(&self, now: Time, streams: &[Stream]) -> Time {
        let regular = next_sweep(now, &self.desk.source_name, self.desk.every_s);
        streams.iter().filter_map(Stream::not_before).fold(regular, Time::min)
    }

    fn tell_next(&self, streams: &[Stream], next: Time) {
        for stream in streams {
            self.desk.show(stream.name(), |standing| standing.next_sweep_at = Some(next));
        }
    }

    fn tell_lag(&self, streams: &[Stream]) {
        let now = self.desk.now();
        let lag_s = streams.iter().map(|stream| stream.lag_s(now)).max().unwrap_or_default();
        streams.first().into_iter().for_each(|stream| stream.metrics().lag(lag_s));
    }
}

/// Waits for the end of some work, and tells whether it was a panic.
async fn has_panicked(work: impl Future<Output = ()>) -> bool {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready(false),
        Err(_) => Poll::Ready(true),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_from_an_end() {
        let panics = async |panics: bool| {
            tokio::task::yield_now().await;
            assert!(!panics, "on purpose");
        };
        assert!(!has_panicked(panics(false)).await && has_panicked(panics(true)).await);
    }
}
