//! The thread that gives the lanes the time, and mends what has broken.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::StartError;
use super::lane::Mode;
use super::vitals::Ends;
use super::{Core, number_of_now};

/// How much later than its deadline an event may go to the spool.
const TICK: Duration = Duration::from_millis(5);

/// How often gauges are set and the client is looked at.
const SURVEY: Duration = Duration::from_millis(250);

/// How long the client may hold events without any outcome, while the brokers are well, before it is taken for stuck:
/// at first, and at most, since there are reasons that a new client does not help against.
const STUCK: Duration = Duration::from_secs(10);
const STUCK_AT_MOST: Duration = Duration::from_secs(320);

/// How long the lanes leave a new client alone after the old one has failed for good.
const RESTED: Duration = Duration::from_secs(1);

/// The thread, until it is stopped.
#[derive(Debug)]
pub(super) struct Upkeep {
    stop: Mutex<Option<Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Upkeep {
    pub(super) fn start(core: &Arc<Core>) -> Result<Self, StartError> {
        let (stop, stopped) = channel();
        let vitals = Arc::clone(&core.vitals);
        let core = Arc::clone(core);
        let thread = vitals.spawn("upkeep", Ends::Never, move || keep_up(&core, &stopped))?;
        Ok(Self { stop: Mutex::new(Some(stop)), thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread. Lanes get no time any more.
    pub(super) fn stop(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the upkeep thread had panicked");
        }
    }
}

fn keep_up(core: &Core, stopped: &Receiver<()>) {
    let (mut spooling_before, mut survey_at, mut stuck_after) = (0, Instant::now(), STUCK);
    while matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
        let now = Instant::now();
        core.shared.numbers_after(number_of_now());
        let spooling = core.tick(now);
        core.shared.metrics.lanes_open.set(spooling);
        announce(spooling_before, spooling);
        spooling_before = spooling;
        if survey_at <= now {
            core.survey(now);
            stuck_after = core.mend_producer(stuck_after, now);
            survey_at = now + SURVEY;
        }
    }
}

/// Tells once that Kafka does not keep up, and once that it does again.
fn announce(before: i64, open: i64) {
    match (before, open) {
        (0, 1..) => tracing::warn!(
            partitions = open,
            "Kafka does not take events in time; they go to the spool, and strict sources get 503"
        ),
        (1.., 0) => tracing::info!("events go to Kafka again"),
        _ => {}
    }
}

impl Core {
    /// Gives every lane the time, and counts those whose events go to the spool.
    fn tick(&self, now: Instant) -> i64 {
        let mut spooling = 0;
        self.lanes.each(|lane| {
            let spools = lane.with(|lane, out| {
                lane.tick(now, out);
                matches!(lane.mode(), Mode::Spooling { .. } | Mode::Draining { .. })
            });
            spooling += i64::from(spools);
        });
        self.lanes.finish_cuts(now);
        spooling
    }

    fn survey(&self, now: Instant) {
        let (state, metrics) = (self.spool_state(), &self.shared.metrics);
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        metrics.spool_events.set(gauge(state.events));
        metrics.spool_bytes.set(gauge(state.bytes));
        metrics.spool_oldest_age.set(gauge(state.oldest_age_seconds));
        metrics.spool_quarantined.set(gauge(state.quarantined));
        metrics.spool_ready.set(i64::from(state.ready));
        let waiting = usize::try_from(metrics.unacknowledged.get()).unwrap_or(0);
        self.shared.producer.deliveries().survey(waiting, now);
    }

    /// Replaces a client that has failed for good, and one that is stuck. Tells after what time the next one is taken
    /// for stuck.
    fn mend_producer(&self, stuck_after: Duration, now: Instant) -> Duration {
        let silent_for = self.shared.producer.deliveries().silent_for(now);
        if self.shared.producer.has_failed() {
            tracing::error!("the Kafka client has failed for good");
            self.replace_producer();
        } else if silent_for > stuck_after && self.shared.brokers_answer.load(Ordering::Acquire) {
            let silent_ms = u64::try_from(silent_for.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(silent_ms, "the brokers are well, and the Kafka client gets no answer to any event");
            self.replace_producer();
            return (stuck_after * 2).min(STUCK_AT_MOST);
        }
        let delivers = self.shared.producer.deliveries().problem(stuck_after, now).is_none() && silent_for.is_zero();
        if delivers && self.shared.metrics.lanes_open.get() == 0 { STUCK } else { stuck_after }
    }

    /// A client that has failed for good or is stuck delivers nothing any more. The lanes spool meanwhile, a new one
    /// takes its place, and what the old one held lands and goes to the spool.
    fn replace_producer(&self) {
        tracing::warn!("the Kafka client is replaced; events go to the spool meanwhile");
        let retry_at = Instant::now() + RESTED;
        self.lanes.each(|lane| lane.with(|lane, out| lane.spool_from_now_on(retry_at, out)));
        match self.shared.producer.replace() {
            Ok(()) => tracing::info!("the Kafka client has been replaced"),
            Err(error) => tracing::error!(%error, "the Kafka client could not be replaced; it is tried again"),
        }
    }
}
