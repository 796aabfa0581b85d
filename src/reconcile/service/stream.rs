//! One stream of an owned source: what is due is compared, batch by batch, and remembered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::settled::{Batch, fault_of_windows, row_numbers};
use super::{Desk, RETRY_S};
use crate::event::time::Time;
use crate::provider::api::StreamInfo;
use crate::reconcile::compare::digest::Digest;
use crate::reconcile::cursor::{self, Cursor, CursorFault};
use crate::reconcile::schedule::{Read, Reading, Schedule, Settled, Timing};
use crate::reconcile::standing::{StreamState, SweepSums};
use crate::reconcile::sweep::{CompareError, Comparing, Regions, Step};
use crate::reconcile::tools::Manner;
use crate::reconcile::window::Window;
use crate::telemetry::reconcile::StreamMetrics;

/// A stream that nothing can be asked of is tried again after so long.
const MISCONFIGURED_S: i64 = 900;

/// A stream at work.
#[derive(Debug)]
pub(super) struct Stream {
    info: &'static StreamInfo,
    schedule: Schedule,
    metrics: StreamMetrics,
    /// Where the provider wants to be asked about accounts.
    regions: Regions,
    /// Whether the last cursor could not be written.
    is_unwritten: bool,
    /// What was told last that is wrong.
    problem: Option<String>,
    /// Before that time nothing is asked.
    not_before: Option<Time>,
}

impl Stream {
    /// Goes on from a cursor, or begins anew.
    ///
    /// # Errors
    /// When the cursor is one of a later release.
    pub(super) fn begin(
        desk: &Desk,
        info: &'static StreamInfo,
        timing: Timing,
        cursor: Option<&Vec<u8>>,
    ) -> Result<Self, CursorFault> {
        let (name, now) = (&desk.source_name, desk.now());
        let read = cursor.map(|value| Cursor::read(value, name, info.name)).transpose();
        let mut regions = Regions::new();
        let schedule = match read {
            Ok(Some(cursor)) => {
                regions = cursor.region;
                Schedule::resume(cursor.progress, timing, now)
            }
            Ok(None) => Schedule::begin(timing, now),
            Err(fault @ CursorFault::Newer { .. }) => return Err(fault),
            Err(fault) => {
                tracing::warn!(source.name = %name, stream = info.name, %fault, "a cursor counts as none");
                Schedule::begin(timing, now)
            }
        };
        let families = &desk.tools.shared().metrics().reconcile;
        let metrics = families.stream(name, info.name, StreamState::NAMES);
        Ok(Self { info, schedule, metrics, regions, is_unwritten: false, problem: None, not_before: None })
    }

    pub(super) fn name(&self) -> &'static str {
        self.info.name
    }

    /// When it wants to be tried again, if that is before the source's next sweep.
    pub(super) fn not_before(&self) -> Option<Time> {
        self.not_before
    }

    /// How long the oldest window has waited that was not read yet, in seconds.
    pub(super) fn lag_s(&self, now: Time) -> i64 {
        self.schedule.lag_s(now)
    }

    /// Each hour that ends by then was read at its first age, or is open.
    pub(super) fn read_to(&self) -> Time {
        let progress = self.schedule.progress();
        progress.reached().first().map_or(progress.since(), |reached| reached.through)
    }

    pub(super) fn metrics(&self) -> &StreamMetrics {
        &self.metrics
    }

    /// Compares everything that is due.
    pub(super) async fn sweep(&mut self, desk: &Desk, is_asked_for: bool) {
        let now = desk.now();
        if !is_asked_for && self.not_before.is_some_and(|not_before| now < not_before) {
            return;
        }
        self.not_before = None;
        let plan = match is_asked_for {
            true => self.schedule.plan_all(now),
            false => self.schedule.plan(now),
        };
        plan.expired.iter().for_each(|expired| self.tell_expired(desk, expired));
        self.tell_warnings(desk, &plan.warnings);
        let (started, mut sums) = (Instant::now(), SweepSums::default());
        let mut is_whole = true;
        for reads in plan.reads.chunks(desk.tools.batch_windows(self.info)) {
            is_whole = self.batch(desk, reads, &mut sums).await;
            if !is_whole {
                break;
            }
        }
        if plan.reads.is_empty() && (self.is_unwritten || !plan.expired.is_empty()) {
            self.write(desk).await;
        }
        if is_whole {
            self.rest(desk, StreamState::Idle, None);
        }
        sums.seconds = started.elapsed().as_secs_f64();
        if sums.windows.all() > 0 {
            self.tell_sums(desk, sums);
        }
        self.show(desk);
    }

    /// Compares some windows, and tells whether the next ones can be compared too.
    async fn batch(&mut self, desk: &Desk, reads: &[Read], sums: &mut SweepSums) -> bool {
        let error = match self.compare(desk, reads, sums).await {
            Ok(stopped) => {
                self.write(desk).await;
                let Some(error) = stopped else { return true };
                error
            }
            Err(error) => error,
        };
        let Some(fault) = fault_of_windows(&error) else {
            self.fail(desk, &error);
            return false;
        };
        if let [read] = reads {
            tracing::error!(source.name = %desk.source_name, stream = self.name(), from = %read.window.from(), %error,
                "an hour can not be compared");
            self.settle(desk, fault.reading(*read), sums);
            self.write(desk).await;
            return true;
        }
        // Less at once may do, and each hour that does is no longer held up by the others.
        let (earlier, later) = reads.split_at(reads.len() / 2);
        Box::pin(self.batch(desk, earlier, sums)).await && Box::pin(self.batch(desk, later, sums)).await
    }

    /// Compares windows, and tells why not all of them were asked for, if that is so.
    async fn compare(
        &mut self,
        desk: &Desk,
        reads: &[Read],
        sums: &mut SweepSums,
    ) -> Result<Option<CompareError>, CompareError> {
        let outlet = desk.tools.outlet();
        desk.show(self.name(), |standing| standing.state = StreamState::WaitingForKafka);
        self.metrics.state(StreamState::WaitingForKafka.name());
        outlet.wait_for_kafka().await;
        let reads: BTreeMap<Window, Read> = reads.iter().map(|read| (read.window, *read)).collect();
        let windows: Vec<Window> = reads.keys().copied().collect();
        let known: BTreeMap<Time, Digest> = self.schedule.digests().collect();
        let comparing = desk.tools.comparing(self.info, &outlet, Manner::default());
        let comparing = Comparing { known: Some(&known), regions: &self.regions, ..comparing };
        let (name, metrics) = (self.info.name, &self.metrics);
        let mut tell = |step: Step<'_>| {
            let state = match step {
                Step::Asked { .. } => StreamState::Asking,
                Step::Scanning => StreamState::Comparing,
                Step::Published(_) | Step::WouldPublish(_) => StreamState::Publishing,
            };
            metrics.state(state.name());
            desk.show(name, |standing| standing.state = state);
        };
        let mut compared = comparing.compare(&windows, &mut tell).await?;
        self.regions = std::mem::take(&mut compared.regions);
        let families = &desk.tools.shared().metrics().reconcile;
        families.scanned(compared.scanned_records, compared.scanned_for);
        self.metrics.audit_mismatches(compared.audit_mismatches);
        sums.requests += compared.requests;
        sums.scanned_records += compared.scanned_records;
        let batch = Batch { reads: &reads, compared: &compared, before: self.schedule.progress() };
        for reading in batch.readings() {
            self.settle(desk, reading, sums);
        }
        self.show(desk);
        Ok(compared.stopped)
    }

    fn settle(&mut self, desk: &Desk, reading: Reading, sums: &mut SweepSums) {
        let counts = reading.counts;
        let outcome = match self.schedule.settle(reading, desk.now()) {
            Settled::Complete => {
                sums.windows.complete += 1;
                "complete"
            }
            Settled::Open | Settled::Unmoved => {
                sums.windows.open += 1;
                "open"
            }
            Settled::Expired(expired) => {
                sums.windows.expired += 1;
                return self.tell_expired(desk, &expired);
            }
        };
        self.metrics.window(outcome);
        self.metrics.rows(row_numbers(counts), counts.missing);
        sums.counts += counts;
    }

    fn fail(&mut self, desk: &Desk, error: &CompareError) {
        let now = desk.now();
        let (state, wait_s) = match error {
            CompareError::Misconfigured { .. } => (StreamState::Misconfigured, Some(MISCONFIGURED_S)),
            CompareError::Throttled(wait_s) => {
                (StreamState::Throttled, Some(i64::try_from(*wait_s).unwrap_or(i64::MAX)))
            }
            CompareError::Scan(_) | CompareError::NotPublished(_) => (StreamState::WaitingForKafka, Some(RETRY_S)),
            // Some providers charge for what they are asked, so that this is left to the next sweep.
            _ => (StreamState::Idle, None),
        };
        self.not_before = wait_s.map(|wait_s| now.plus_s(wait_s));
        let problem = error.to_string();
        let (source, stream) = (&*desk.source_name, self.name());
        if self.problem.as_ref() == Some(&problem) {
            tracing::debug!(source.name = %source, stream, problem, "nothing can be compared now");
        } else if state == StreamState::Misconfigured || state == StreamState::Idle {
            tracing::error!(source.name = %source, stream, problem, "nothing can be compared");
        } else {
            tracing::warn!(source.name = %source, stream, problem, "nothing can be compared now");
        }
        self.rest(desk, state, Some(problem));
    }

    fn rest(&mut self, desk: &Desk, state: StreamState, problem: Option<String>) {
        self.metrics.state(state.name());
        let throttled_until = self.not_before.filter(|_| state == StreamState::Throttled);
        self.problem.clone_from(&problem);
        desk.show(self.name(), |standing| {
            standing.state = state;
            standing.problem = problem;
            standing.throttled_until = throttled_until;
        });
    }

    /// Shows how far it has come.
    pub(super) fn show(&self, desk: &Desk) {
        let progress = self.schedule.progress();
        let unexplained = progress.open().map(|open| open.counts.unexplained).sum();
        self.metrics.windows(progress.open().len(), unexplained, self.schedule.horizon_s(desk.now()));
        let cursor = Arc::new(self.cursor(desk));
        desk.show(self.name(), |standing| standing.cursor = Some(cursor));
    }

    fn cursor(&self, desk: &Desk) -> Cursor {
        Cursor {
            source_name: desk.source_name.to_string(),
            stream: self.name().to_owned(),
            progress: self.schedule.progress().clone(),
            reports: Vec::new(),
            region: self.regions.clone(),
            instance: desk.instance.to_string(),
            written_at: desk.now(),
        }
    }

    /// What can not be written now is written by the next sweep. Until then others read again what was read.
    async fn write(&mut self, desk: &Desk) {
        let (name, stream) = (&desk.source_name, self.name());
        let written = match self.cursor(desk).write() {
            Ok(value) => desk.tools.state().write(cursor::key(name, stream), value).await,
            Err(error) => return tracing::error!(source.name = %name, stream, %error, "a cursor can not be written"),
        };
        if let Err(error) = &written {
            tracing::warn!(source.name = %name, stream, %error, "a cursor can not be kept now");
        }
        self.is_unwritten = written.is_err();
    }

    /// Another process wrote a cursor of this stream. One that takes ours back is answered.
    pub(super) async fn hear(&mut self, desk: &Desk, value: Option<&[u8]>) {
        let theirs = value.map(|value| Cursor::read(value, &desk.source_name, self.name()));
        let is_taken_back = match theirs {
            Some(Ok(theirs)) if theirs.instance == *desk.instance => return,
            Some(Ok(theirs)) => self.schedule.is_taken_back_by(&theirs.progress),
            // A later release works for the source by now, and may have read more than this one can tell.
            Some(Err(CursorFault::Newer { .. })) => false,
            // Whatever lies there now tells nothing of what was read.
            Some(Err(_)) | None => true,
        };
        if is_taken_back {
            tracing::info!(source.name = %desk.source_name, stream = self.name(), "a cursor is written again");
            self.write(desk).await;
        }
    }
}
