//! The load generator: connections that each send the next webhook as soon as the last was answered.
//!
//! Existing load generators repeat one body, which would be a duplicate here, or build each in a script.
//! So this one sends webhooks that were signed before, through hyper's client, on one thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::usage;
use crate::webhooks::Prepared;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) elapsed: Duration,
    /// Of each request, in ascending order.
    latencies: Vec<Duration>,
    /// Processor time of this process meanwhile.
    pub(crate) processor_time: Duration,
}

impl Report {
    pub(crate) fn requests(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn requests_per_second(&self) -> f64 {
        count(self.requests()) / self.elapsed.as_secs_f64()
    }

    /// The latency that this part of the requests did not exceed.
    pub(crate) fn latency(&self, percent: usize) -> Duration {
        self.latencies[(self.latencies.len() * percent / 100).min(self.latencies.len() - 1)]
    }
}

/// A number of things as a float, which holds every number below 2^53 exactly.
#[expect(clippy::cast_precision_loss, reason = "no measurement counts that far")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// Sends webhooks until the time is over, or none is left. All must be answered 200.
pub(crate) fn run(address: &str, connections: usize, duration: Duration, webhooks: Vec<Prepared>) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let webhooks = Rc::new(RefCell::new(webhooks));
    LocalSet::new().block_on(&runtime, async {
        let mut senders = Vec::new();
        for _ in 0..connections {
            senders.push(connect(address).await);
        }
        let (started, used_before) = (Instant::now(), usage::processor_time(std::process::id()));
        let senders = senders.into_iter();
        let sending = senders.map(|sender| send_until(sender, Rc::clone(&webhooks), started + duration));
        let tasks: Vec<_> = sending.map(tokio::task::spawn_local).collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.unwrap());
        }
        let elapsed = started.elapsed();
        let processor_time = usage::processor_time(std::process::id()) - used_before;
        latencies.sort_unstable();
        assert!(!latencies.is_empty(), "nothing was answered");
        Report { elapsed, latencies, processor_time }
    })
}

async fn connect(address: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::task::spawn_local(async move { connection.await.unwrap() });
    sender
}

async fn send_until(
    mut sender: SendRequest<Full<Bytes>>,
    webhooks: Rc<RefCell<Vec<Prepared>>>,
    end: Instant,
) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let Some(webhook) = webhooks.borrow_mut().pop() else { break };
        sender.ready().await.unwrap();
        let sent = Instant::now();
        let answer = sender.send_request(webhook).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body().collect().await.unwrap();
        latencies.push(sent.elapsed());
    }
    latencies
}
