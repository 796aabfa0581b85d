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

/// How long a client that has failed for good stays, if another one failed just before: at first, and at most. That
/// is less than its failure is remembered for, so that readiness does not come and go.
const FAILED: Duration = Duration::from_secs(1);
const FAILED_AT_MOST: Duration = Duration::from_secs(16);

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
    let (mut announced, mut survey_at) = (false, Instant::now());
    let mut mending = Mending::begin(Instant::now());
    while matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
        let now = Instant::now();
        core.shared.numbers_after(number_of_now());
        let spooling = core.tick(now);
        core.shared.metrics.lanes_open.set(spooling);
        core.announce(&mut announced, spooling, now);
        if survey_at <= now {
            core.survey(now);
            core.mend_producer(&mut mending, now);
            survey_at = now + SURVEY;
        }
    }
}

/// When the client is replaced, should it have failed for good or be stuck: later each time, until something is
/// delivered.
#[derive(Debug)]
struct Mending {
    stuck_after: Duration,
    failed_pause: Duration,
    replace_at: Instant,
    /// Since when the brokers have answered.
    well_since: Option<Instant>,
}

impl Mending {
    fn begin(now: Instant) -> Self {
        Self { stuck_after: STUCK, failed_pause: FAILED, replace_at: now, well_since: None }
    }

    /// Silence while the brokers are away says nothing about the client, which may be sending everything just when they
    /// are back. If it were replaced then, all of that would be published twice.
    fn is_stuck(&mut self, brokers_answer: bool, silent_for: Duration, now: Instant) -> bool {
        self.well_since = brokers_answer.then(|| self.well_since.unwrap_or(now));
        let well_for = self.well_since.map(|since| now.saturating_duration_since(since));
        well_for.is_some_and(|well_for| silent_for.min(well_for) > self.stuck_after)
    }
}

impl Core {
    /// Tells once that Kafka takes no events, and once that it takes them again. Lanes without a spool try again with
    /// each event, which alone means nothing.
    fn announce(&self, announced: &mut bool, spooling: i64, now: Instant) {
        let problem = || self.shared.producer.deliveries().problem(false, &self.aside, now);
        if spooling > 0 && !*announced {
            *announced = true;
            let cause = problem().unwrap_or_else(|| "events are not acknowledged in time".to_owned());
            tracing::warn!(partitions = spooling, cause, "Kafka takes no events now; {WITHOUT_KAFKA}");
        } else if spooling == 0 && *announced && problem().is_none() {
            *announced = false;
            tracing::info!("events go to Kafka again");
        }
    }

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

    /// Replaces a client that has failed for good, and one that is stuck.
    fn mend_producer(&self, mending: &mut Mending, now: Instant) {
        let (producer, deliveries) = (&self.shared.producer, self.shared.producer.deliveries());
        let silent_for = deliveries.silent_for(now);
        let stuck = mending.is_stuck(self.shared.brokers_answer.load(Ordering::Acquire), silent_for, now);
        if let Some(cause) = producer.end() {
            if deliveries.ended(&cause, now) {
                tracing::error!(cause, "the Kafka client has failed for good, and is replaced; {WITHOUT_KAFKA}");
            }
            self.replace_failed(mending, now);
        } else if stuck {
            let silent_ms = u64::try_from(silent_for.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(
                silent_ms,
                "the brokers are well, and the Kafka client, which gets no answer to any event, is replaced"
            );
            self.replace_producer();
            mending.stuck_after = (mending.stuck_after * 2).min(STUCK_AT_MOST);
        } else if silent_for.is_zero()
            && deliveries.problem(false, &self.aside, now).is_none()
            && self.shared.metrics.lanes_open.get() == 0
        {
            (mending.stuck_after, mending.failed_pause) = (STUCK, FAILED);
        }
    }

    /// What has made a client fail may make the next one fail too, such as a permission that is missing.
    fn replace_failed(&self, mending: &mut Mending, now: Instant) {
        if now < mending.replace_at {
            return;
        }
        self.replace_producer();
        mending.replace_at = now + mending.failed_pause;
        mending.failed_pause = (mending.failed_pause * 2).min(FAILED_AT_MOST);
    }

    /// A client that has failed for good or is stuck delivers nothing any more. The lanes spool meanwhile, a new one
    /// takes its place, and what the old one held lands and goes to the spool.
    fn replace_producer(&self) {
        let retry_at = Instant::now() + RESTED;
        self.lanes.each(|lane| lane.with(|lane, out| lane.spool_from_now_on(retry_at, out)));
        match self.shared.producer.replace() {
            Ok(()) => tracing::debug!("the Kafka client has been replaced"),
            Err(error) => tracing::error!(%error, "the Kafka client could not be replaced; it is tried again"),
        }
    }
}

/// What becomes of events meanwhile.
const WITHOUT_KAFKA: &str = "the spool keeps events of sources that use it, and webhooks of strict ones get 503";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_stuck_when_it_is_silent_for_long_while_the_brokers_answer() {
        let begin = Instant::now();
        let mut mending = Mending::begin(begin);
        let second = Duration::from_secs(1);
        let mut seen = |brokers_answer, at: u32, silent_for: u32| {
            mending.is_stuck(brokers_answer, second * silent_for, begin + second * at)
        };
        assert!(!seen(true, 0, 0) && !seen(true, 10, 10) && seen(true, 11, 11));
        assert!(!seen(false, 30, 30), "nobody could have answered it");
        assert!(!seen(true, 40, 40) && !seen(true, 50, 50), "it has not had the time since they are back");
        assert!(seen(true, 51, 51));
    }
}
