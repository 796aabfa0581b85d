//! Which rows there are: by reports, which Vonage makes on request and keeps as files.
//!
//! A report is asked for, its state is read until it has ended, and its file is fetched. Each report costs money, so one
//! whose creation was not answered is looked for in the list before the stretch is given up.

use std::time::Duration;

use super::judge::http_date;
use super::records::ending_of;
use super::report::Report;
use super::requests::{self, Scope};
use super::streams::needed_of;
use crate::event::time::Time;
use crate::provider::api::reports::Progress;
use crate::provider::api::{Answer, Asked, Download, Ending, FileFault, Found, Heard, Say, Talk, Verdict};

/// A report covers so much at most: more rows than a file should have come of more.
pub(super) const WIDEST_S: i64 = 31 * 86_400;

const HOUR_S: i64 = 3600;

/// Waits between two readings of a state: the first, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A report that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// A broken file is fetched again so often.
const MORE_DOWNLOADS: u32 = 2;

/// A conversation about rows.
#[derive(Debug)]
pub(super) struct Reports {
    scope: Scope,
    asked: Asked,
    /// Stretches to be asked for, the next one last.
    left: Vec<(Time, Time)>,
    stage: Stage,
    wait: Duration,
    waited: Duration,
    downloads: u32,
    /// Whether the stretch was asked for a second time.
    is_anew: bool,
    /// Why not everything was told.
    fault: Option<&'static str>,
}

/// What was said last.
#[derive(Debug)]
enum Stage {
    Create,
    /// Whether the report was created although that was not answered; the word is that of the failure.
    Seek(&'static str),
    Wait(String),
    State,
    File(Report),
    /// The file is waited for before it is fetched once more.
    Pause(Report),
    Cancel,
}

impl Reports {
    /// Begins to ask.
    pub(super) fn about(asked: &Asked, scope: Scope) -> Self {
        let mut left = Vec::new();
        let mut from = asked.from;
        while from < asked.to {
            let to = from.plus_s(WIDEST_S).min(asked.to);
            left.push((from, to));
            from = to;
        }
        left.reverse();
        Self {
            scope,
            asked: asked.clone(),
            left,
            stage: Stage::Create,
            wait: FIRST_WAIT,
            waited: Duration::ZERO,
            downloads: 0,
            is_anew: false,
            fault: None,
        }
    }

    /// Asks for the report of the next stretch.
    fn create(&mut self) -> Say {
        let Some((from, to)) = self.left.last() else {
            return Say::Done(self.fault.map_or(Ending::Whole, Ending::Partial));
        };
        self.stage = Stage::Create;
        (self.wait, self.waited, self.downloads) = (FIRST_WAIT, Duration::ZERO, 0);
        Say::Send(requests::create(&self.scope, &self.asked, *from, *to))
    }

    /// Goes on by what is known of the report.
    fn see(&mut self, report: Report) -> Say {
        match report.progress {
            Progress::Pending if self.waited >= PATIENCE => {
                self.stage = Stage::Cancel;
                Say::Send(requests::cancel(&report.id))
            }
            Progress::Pending => {
                let wait = self.wait;
                self.waited += wait;
                self.wait = (wait * 3 / 2).min(LONGEST_WAIT);
                self.stage = Stage::Wait(report.id);
                Say::Wait(wait)
            }
            Progress::Failed => self.anew("report_failed"),
            Progress::Ready | Progress::Truncated => self.fetch(report),
        }
    }

    /// A report without rows may have no file.
    fn fetch(&mut self, report: Report) -> Say {
        let Some(file) = report.file.as_deref() else {
            let is_empty = report.items_count == Some(0) && report.progress == Progress::Ready;
            return if is_empty { self.finish_stretch() } else { self.anew("report_failed") };
        };
        let download = Download { request: requests::media(file), needed: needed_of(self.asked.stream) };
        self.stage = Stage::File(report);
        Say::Fetch(download)
    }

    /// Asks for the same stretch once more, and no third time.
    fn anew(&mut self, why: &'static str) -> Say {
        if self.is_anew {
            return Say::Done(Ending::Partial(why));
        }
        self.is_anew = true;
        self.create()
    }

    fn finish_stretch(&mut self) -> Say {
        self.left.pop();
        self.is_anew = false;
        self.create()
    }

    /// Asks for the stretch in halves, down to hours.
    fn halve(&mut self, word: &'static str) -> Say {
        let Some((from, to)) = self.left.pop() else { return self.create() };
        let hours = (to.unix_seconds() - from.unix_seconds()) / HOUR_S;
        if hours > 1 {
            let middle = from.plus_s(hours / 2 * HOUR_S);
            self.left.extend([(middle, to), (from, middle)]);
        } else {
            self.fault = Some(word);
        }
        self.is_anew = false;
        self.create()
    }

    fn take_file(&mut self, report: Report, read: Result<u64, FileFault>) -> Say {
        match read {
            Err(FileFault::Broken) if self.downloads < MORE_DOWNLOADS => {
                self.downloads += 1;
                self.stage = Stage::Pause(report);
                Say::Wait(FIRST_WAIT)
            }
            Err(FileFault::Broken) => self.anew("broken_file"),
            Err(fault) => Say::Done(Ending::Partial(fault.word())),
            Ok(_) if report.progress == Progress::Truncated => self.halve("truncated"),
            Ok(rows) => {
                if report.items_count.is_some_and(|told| told != rows) {
                    self.fault = Some("count_mismatch");
                }
                self.finish_stretch()
            }
        }
    }

    /// Looks for the report whose creation was not answered.
    fn adopt(&mut self, answer: &Answer, word: &'static str) -> Say {
        let clock = answer.header("date").and_then(http_date);
        let reports = Report::list(answer).unwrap_or_default();
        let mine = clock.zip(self.left.last()).and_then(|(clock, (from, to))| {
            reports.into_iter().find(|report| report.is_of(&self.asked, *from, *to, clock))
        });
        match mine {
            Some(report) => self.see(report),
            None => Say::Done(Ending::Failed(Verdict::Again { word })),
        }
    }

    fn hear_answer(&mut self, stage: Stage, answer: &Answer) -> Say {
        match stage {
            Stage::Create | Stage::State => match Report::of(answer) {
                Some(report) => self.see(report),
                None => Say::Done(Ending::Failed(Verdict::NotUnderstood)),
            },
            Stage::Seek(word) => self.adopt(answer, word),
            Stage::Cancel => Say::Done(Ending::Partial("report_timeout")),
            Stage::Wait(_) | Stage::File(_) | Stage::Pause(_) => self.create(),
        }
    }

    fn hear_verdict(&mut self, stage: Stage, verdict: &Verdict) -> Say {
        match (stage, verdict) {
            (Stage::Create, Verdict::Again { word }) => {
                self.stage = Stage::Seek(word);
                Say::Send(requests::latest(&self.scope))
            }
            (Stage::State | Stage::File(_), Verdict::Expired) => self.anew("gone"),
            (Stage::Create | Stage::File(_), Verdict::Narrower) => self.halve("too_large"),
            (Stage::Cancel, _) => Say::Done(Ending::Partial("report_timeout")),
            (_, verdict) => Say::Done(ending_of(verdict)),
        }
    }

    fn hear_wait(&mut self, stage: Stage) -> Say {
        match stage {
            Stage::Wait(id) => {
                let request = requests::state(&id);
                self.stage = Stage::State;
                Say::Send(request)
            }
            Stage::Pause(report) => self.fetch(report),
            _ => self.create(),
        }
    }
}

impl Talk for Reports {
    fn next(&mut self, heard: Heard<'_>, _found: &mut dyn Found) -> Say {
        let stage = std::mem::replace(&mut self.stage, Stage::Create);
        match (heard, stage) {
            (Heard::Begin, _) => self.create(),
            (Heard::Answer(answer), stage) => self.hear_answer(stage, answer),
            (Heard::Judged(verdict), stage) => self.hear_verdict(stage, verdict),
            (Heard::Waited, stage) => self.hear_wait(stage),
            (Heard::File(read), Stage::File(report)) => self.take_file(report, read),
            (Heard::File(_), _) => self.create(),
        }
    }
}

#[cfg(test)]
mod tests;
