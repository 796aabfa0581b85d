//! What a run of the command has done, so that the same command goes on after it was interrupted.

use serde::{Deserialize, Serialize};

use super::bounds::{RANGES_AT_MOST, REPORTS_AT_MOST};
use super::{CursorFault, PendingReport, VERSION, check_head, each, unreadable};
use crate::event::kind::SCHEMA_VERSION;
use crate::event::time::Time;
use crate::reconcile::compare::Counts;
use crate::reconcile::window::{Window, join};

const KIND: &str = "reconcile_run";

/// An unfinished run over a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The source.
    pub source_name: String,
    /// The stream.
    pub stream: String,
    /// What is compared.
    pub whole: Window,
    /// Windows that are done, joined, oldest first.
    done: Vec<Window>,
    /// The sums of them.
    pub totals: Counts,
    /// Reports that were asked for and not yet read.
    pub reports: Vec<PendingReport>,
    /// The process that wrote it.
    pub instance: String,
    /// When.
    pub written_at: Time,
}

#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(default)]
    schema_version: String,
    kind: String,
    version: u64,
    source_name: String,
    stream: String,
    from: Time,
    to: Time,
    done: Vec<(Time, Time)>,
    totals: Counts,
    #[serde(default)]
    reports: serde_json::Value,
    #[serde(default)]
    instance: String,
    written_at: Time,
}

/// The key of a run in the state topic: other times make another run.
pub fn key(source_name: &str, stream: &str, whole: Window) -> String {
    format!("reconcile-run/{source_name}/{stream}/{}/{}", whole.from(), whole.to())
}

impl Run {
    /// A run that has done nothing.
    pub fn begin(source_name: &str, stream: &str, whole: Window, instance: &str, now: Time) -> Self {
        Self {
            source_name: source_name.to_owned(),
            stream: stream.to_owned(),
            whole,
            done: Vec::new(),
            totals: Counts::default(),
            reports: Vec::new(),
            instance: instance.to_owned(),
            written_at: now,
        }
    }

    /// Windows that are left, in order. They are hours of the grid, but for parts of hours at the ends.
    pub fn left(&self) -> impl Iterator<Item = Window> {
        let is_done = |hour: &Window| self.done.iter().any(|done| done.from() <= hour.from() && hour.to() <= done.to());
        self.whole.hours().filter(move |hour| !is_done(hour))
    }

    /// Takes in a window that is done, and its sums.
    pub fn finish(&mut self, window: Window, counts: Counts) {
        self.done.push(window);
        self.done = joined(std::mem::take(&mut self.done));
        self.totals += counts;
    }

    /// The record's value. Of more than 1,000 stretches the latest are left out, and read again by the next run.
    ///
    /// # Errors
    /// Only if it could not be written as JSON, which its types do not allow.
    pub fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let reports = self.reports.get(..REPORTS_AT_MOST).unwrap_or(&self.reports);
        serde_json::to_vec(&Text {
            schema_version: SCHEMA_VERSION.to_owned(),
            kind: KIND.to_owned(),
            version: VERSION,
            source_name: self.source_name.clone(),
            stream: self.stream.clone(),
            from: self.whole.from(),
            to: self.whole.to(),
            done: self.done.iter().take(RANGES_AT_MOST).map(|done| (done.from(), done.to())).collect(),
            totals: self.totals,
            reports: serde_json::to_value(reports)?,
            instance: self.instance.clone(),
            written_at: self.written_at,
        })
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// When a later release wrote it, or it is damaged, or is about another run than its key says.
    pub fn read(value: &[u8], source_name: &str, stream: &str, whole: Window) -> Result<Self, CursorFault> {
        check_head(value, KIND)?;
        let text: Text = serde_json::from_slice(value).map_err(|_| unreadable("members are missing or wrong"))?;
        let is_ours = (text.source_name.as_str(), text.stream.as_str()) == (source_name, stream);
        if !is_ours || Window::new(text.from, text.to) != Some(whole) {
            return Err(unreadable("it is about another run than its key says"));
        }
        let mut run = Self::begin(source_name, stream, whole, &text.instance, text.written_at);
        let done: Option<Vec<Window>> = text.done.into_iter().map(|(from, to)| Window::new(from, to)).collect();
        run.done = joined(done.ok_or_else(|| unreadable("a window that is done has no length"))?);
        run.totals = text.totals;
        run.reports = each(text.reports).take(REPORTS_AT_MOST).collect();
        Ok(run)
    }
}

fn joined(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort();
    join(windows, i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix_seconds(1_770_000_000 + seconds).unwrap()
    }

    fn begun(length_s: i64) -> Run {
        let whole = Window::new(at(0), at(length_s)).unwrap();
        Run::begin("webex-partner", "cdr", whole, "instance", at(0))
    }

    fn read(run: &Run) -> Result<Run, CursorFault> {
        Run::read(&run.write().unwrap(), "webex-partner", "cdr", run.whole)
    }

    #[test]
    fn a_key_names_the_times() {
        assert_eq!(
            key("a", "cdr", Window::new(at(0), at(60)).unwrap()),
            "reconcile-run/a/cdr/2026-02-02T02:40:00Z/2026-02-02T02:41:00Z"
        );
    }

    #[test]
    fn a_run_of_other_times_is_not_gone_on_with() {
        let run = begun(7200);
        let other = Window::new(at(0), at(7201)).unwrap();
        assert!(Run::read(&run.write().unwrap(), "webex-partner", "cdr", other).is_err());
        assert!(Run::read(&run.write().unwrap(), "webex-partner", "cdr_feed", run.whole).is_err());
    }

    #[test]
    fn a_run_of_many_separate_windows_stays_small() {
        let mut run = begun(10_000 * 3600);
        let every_other: Vec<Window> = run.whole.hours().step_by(2).collect();
        every_other.iter().for_each(|hour| run.finish(*hour, Counts::default()));
        let value = run.write().unwrap();
        assert!(value.len() < 100_000, "{}", value.len());
        assert_eq!(read(&run).unwrap().done, every_other[..RANGES_AT_MOST]);
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_was_not_done_also_after_it_was_written(
            length_s in 1_i64..40_000, picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut run = begun(length_s);
            let mut left: Vec<Window> = run.left().collect();
            for pick in picks {
                if !left.is_empty() {
                    let window = left.remove(pick.index(left.len()));
                    run.finish(window, Counts { expected: 2, held: 2, ..Counts::default() });
                }
            }
            prop_assert_eq!(&run.left().collect::<Vec<_>>(), &left);
            prop_assert_eq!(read(&run).unwrap(), run);
        }

        #[test]
        fn reading_holds_against_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let whole = Window::new(at(0), at(9)).unwrap();
            prop_assert!(Run::read(&bytes, "a", "b", whole).is_err());
        }
    }
}
