//! One comparison: some windows of a stream are asked for, looked for in the topics, and what is not there is published.
//!
//! # Order of steps
//! The provider is asked first, then the topics are looked through to their ends as they are then, then to their ends as
//! they are after that. What a webhook brings meanwhile is seen by the second look; what it brings still later comes
//! twice under one id, which consumers take as one.
//!
//! A provider that can tell numbers of rows is asked for them first, and for rows only of the cells in which the topics
//! hold less, and of a few others by chance: so that it shows if its numbers mean something else than is thought.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rand::seq::IteratorRandom as _;
use thiserror::Error;

use crate::event::envelope::Record;
use crate::event::time::Time;
use crate::outbound::{Ended, Fetched, Findings, Line, WorkFile};
use crate::provider::api::{Asked, Ending, Found, Question, StreamInfo, Verdict};
use crate::publish::scan::{ScanError, Scanner};
use crate::reconcile::compare::cells::{CellNumber, Cells, TooManyCells};
use crate::reconcile::compare::digest::Digest;
use crate::reconcile::mapped::Mapper;
use crate::reconcile::outlet::{NotPublished, Outlet};
use crate::reconcile::rows::{Rows, RowsError};
use crate::reconcile::schedule::End;
use crate::reconcile::sought::memory::Memory;
use crate::reconcile::window::{Window, join};

mod parts;
mod scans;

/// One stream of one source, and all that comparing it needs.
#[derive(Debug)]
pub struct Comparing<'c> {
    /// The stream.
    pub stream: &'static StreamInfo,
    /// The connection to the provider.
    pub line: &'c Line,
    /// What looks through the topics.
    pub scanner: &'c Scanner,
    /// How rows are mapped.
    pub mapper: Mapper<'c>,
    /// Where rows go; none if nothing is to be published.
    pub outlet: Option<&'c Outlet<'c>>,
    /// Memory for rows.
    pub memory: &'c Memory,
    /// Where rows lie while they are compared.
    pub work_dir: &'c Path,
    /// What they may take there, in bytes.
    pub max_work_bytes: u64,
    /// Whether rows that the topics lack are told and not published.
    pub withholds: bool,
    /// Publish every row, without looking what is there.
    pub without_comparison: bool,
    /// Cells whose rows are asked for although the numbers agree.
    pub audit_cells: u32,
}

/// Something that a comparison tells while it runs.
#[derive(Debug)]
pub enum Step<'s> {
    /// The provider was asked about so many windows of all.
    Asked {
        /// How many.
        windows: usize,
        /// Of so many.
        of: usize,
    },
    /// The topics are being looked through.
    Scanning,
    /// So many rows are published.
    Published(u64),
    /// This would be published, were it not a dry run.
    WouldPublish(&'s Record),
}

/// Why nothing more can be compared now.
#[derive(Debug, Error)]
pub enum CompareError {
    /// The operator has something to do.
    #[error("{word}: {mend}")]
    Misconfigured {
        /// A short word.
        word: &'static str,
        /// What is to be done.
        mend: String,
    },
    /// The provider wants to be left alone.
    #[error("the provider wants to be asked again in {0} s")]
    Throttled(u64),
    /// Topics do not hold the time that is compared any more.
    #[error(
        "{topic} does not go back to {from}: rows of that time can not be looked for. --without-comparison publishes \
         every row, each under its own id"
    )]
    BeyondRetention {
        /// The topic.
        topic: &'static str,
        /// The beginning of what is compared.
        from: Time,
    },
    /// The topics can not be looked through.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The process stops.
    #[error("the process stops")]
    Stopping,
    /// Rows can not be kept.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// There is not enough memory.
    #[error("reconcile.max_memory_bytes is too little for what is compared at once")]
    Memory,
    /// There are too many cells.
    #[error(transparent)]
    Cells(#[from] TooManyCells),
    /// Kafka takes nothing.
    #[error(transparent)]
    NotPublished(#[from] NotPublished),
    /// A record could not be written, which its types do not allow.
    #[error("a record could not be written as JSON")]
    NotJson(#[from] serde_json::Error),
}

/// What came of a comparison.
#[derive(Debug)]
pub struct Compared {
    /// What was found of each cell.
    pub cells: Cells,
    /// How each window ended, oldest first.
    pub windows: Vec<(Window, End)>,
    /// Windows of which the provider told anything.
    pub answered_windows: u64,
    /// Answers of the provider.
    pub requests: u64,
    /// Records of the topics that were looked at.
    pub scanned_records: u64,
    /// Audited cells in which rows were found that the topics lack.
    pub audit_mismatches: u64,
}

/// What is known of a window so far.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    digest: Digest,
    /// Why it is not read whole.
    why: Option<&'static str>,
    is_expired: bool,
    is_answered: bool,
}

/// A comparison under way.
struct State {
    cells: Cells,
    windows: BTreeMap<Time, (Window, Told)>,
    rows: Rows,
    audited: Vec<CellNumber>,
    requests: u64,
    scanned_records: u64,
}

/// What asking came to.
enum Answered {
    Whole,
    Open(&'static str),
    Narrower,
    Expired,
}

/// Takes what the provider tells.
struct Collector<'c> {
    rows: &'c mut Rows,
    cell: Option<CellNumber>,
    asked_from: Time,
    counts: Vec<(String, u64)>,
    answers: u64,
}

impl Found for Collector<'_> {
    fn count(&mut self, account: &str, rows: u64) {
        self.counts.push((account.to_owned(), rows));
    }

    fn row(&mut self, json: &str) {
        self.rows.push(json);
    }
}

impl Findings for Collector<'_> {
    fn fetched(&mut self, fetched: &Arc<Fetched>) {
        self.answers += 1;
        self.rows.group(fetched, self.cell, self.asked_from);
    }

    fn work_file(&mut self) -> std::io::Result<WorkFile> {
        self.rows.work_file()
    }
}

impl Comparing<'_> {
    /// Compares windows, which are hours of the grid or parts of them, oldest first.
    ///
    /// # Errors
    /// When nothing can be compared now. What was published until then is true.
    pub async fn compare(
        &self,
        windows: &[Window],
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<Compared, CompareError> {
        let told = windows.iter().map(|window| (window.from(), (*window, Told::default())));
        let mut state = State {
            cells: Cells::new(self.stream.primary),
            windows: told.collect(),
            rows: Rows::begin(self.work_dir, self.max_work_bytes)?,
            audited: Vec::new(),
            requests: 0,
            scanned_records: 0,
        };
        if self.stream.counted {
            self.ask_counts(&mut state, tell).await?;
            let cells = self.cells_to_ask(&mut state, tell).await?;
            self.ask_cells(&mut state, cells).await?;
        } else {
            self.ask_rows(&mut state, windows, tell).await?;
        }
        self.compare_rows(&mut state, tell).await?;
        Ok(state.finish(self.outlet.is_none()))
    }

    async fn ask_counts(&self, state: &mut State, tell: &mut (dyn FnMut(Step<'_>) + Send)) -> Result<(), CompareError> {
        let windows: Vec<Window> = state.windows.values().map(|(window, _)| *window).collect();
        for (index, window) in windows.iter().enumerate() {
            tell(Step::Asked { windows: index, of: windows.len() });
            let question = Question::Counts(self.asked(*window, None));
            let (answered, counts) = self.ask(state, &question, None).await?;
            state.note(*window, &answered);
            for (account, rows) in counts {
                let cell = state.cells.cell(&account, window.from())?;
                state.cells.count(cell, rows);
            }
            state.digest_counts(*window);
        }
        tell(Step::Asked { windows: windows.len(), of: windows.len() });
        Ok(())
    }

    /// Cells that fall short, and some of the others. Without a comparison, all of them.
    async fn cells_to_ask(
        &self,
        state: &mut State,
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<Vec<CellNumber>, CompareError> {
        if self.without_comparison {
            return Ok(state.cells.in_order().into_iter().map(|(_, _, number)| number).collect());
        }
        tell(Step::Scanning);
        self.tally(state).await?;
        let audits = usize::try_from(self.audit_cells).unwrap_or_default();
        state.audited = state.cells.agreeing().choose_multiple(&mut rand::rng(), audits);
        Ok(state.cells.short().chain(state.audited.iter().copied()).collect())
    }

    async fn ask_cells(&self, state: &mut State, cells: Vec<CellNumber>) -> Result<(), CompareError> {
        for cell in cells {
            let Some((account, hour)) = state.cells.place(cell).map(|(account, hour)| (account.to_owned(), hour))
            else {
                continue;
            };
            let Some(window) =
                state.windows.values().map(|(window, _)| *window).find(|window| hour.contains(window.from()))
            else {
                continue;
            };
            let question = Question::Rows(self.asked(window, Some(account)));
            let (answered, _) = self.ask(state, &question, Some(cell)).await?;
            match answered {
                Answered::Whole => state.cells.list(cell),
                other => state.note_open(window, &other),
            }
        }
        Ok(())
    }

    /// Asks for the rows of whole windows, joined as far as one request goes.
    async fn ask_rows(
        &self,
        state: &mut State,
        windows: &[Window],
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), CompareError> {
        let widest_s = i64::from(self.mapper.api.widest_s(self.stream)).min(self.stream.widest_window_s());
        let mut left = join(windows.iter().copied(), widest_s);
        left.reverse();
        let mut done = 0;
        while let Some(window) = left.pop() {
            tell(Step::Asked { windows: done, of: windows.len() });
            let question = Question::Rows(self.asked(window.widened_s(self.stream.margin_s), None));
            let (answered, _) = self.ask(state, &question, None).await?;
            let hours: Vec<Window> = window.hours().collect();
            if matches!(answered, Answered::Narrower) && hours.len() > 1 {
                let (later, earlier) = (hours[hours.len() / 2], hours[0]);
                let halves = [Window::new(later.from(), window.to()), Window::new(earlier.from(), later.from())];
                left.extend(halves.into_iter().flatten());
                continue;
            }
            done += hours.len();
            hours.iter().for_each(|hour| state.note(*hour, &answered));
        }
        Ok(())
    }

    fn asked(&self, window: Window, account: Option<String>) -> Asked {
        Asked { stream: self.stream.name, from: window.from(), to: window.to(), account, region: None }
    }

    async fn ask(
        &self,
        state: &mut State,
        question: &Question,
        cell: Option<CellNumber>,
    ) -> Result<(Answered, Vec<(String, u64)>), CompareError> {
        let asked_from = match question {
            Question::Counts(asked) | Question::Rows(asked) | Question::Check(asked) => asked.from,
        };
        let asked_from = asked_from.plus_s(i64::from(self.stream.margin_s));
        let mut collector = Collector { rows: &mut state.rows, cell, asked_from, counts: Vec::new(), answers: 0 };
        let ended = self.line.ask(question, &mut collector).await;
        let Collector { counts, answers, .. } = collector;
        state.requests += answers;
        let answered = match ended {
            Ended::Throttled(wait) => return Err(CompareError::Throttled(wait.as_secs())),
            Ended::Said(Ending::Failed(Verdict::Misconfigured { word, mend })) => {
                return Err(CompareError::Misconfigured { word, mend });
            }
            Ended::Said(Ending::Whole) => Answered::Whole,
            Ended::Said(Ending::Partial(word)) => Answered::Open(word),
            Ended::Said(Ending::Narrower) => Answered::Narrower,
            Ended::Said(Ending::Expired) => Answered::Expired,
            Ended::Said(Ending::Failed(verdict)) => Answered::Open(verdict.word()),
        };
        Ok((answered, counts))
    }
}

impl State {
    /// A window was asked for.
    fn note(&mut self, window: Window, answered: &Answered) {
        let Some((_, told)) = self.windows.get_mut(&window.from()) else { return };
        match answered {
            Answered::Whole => told.is_answered = true,
            Answered::Open(word) => told.why = Some(word),
            Answered::Narrower => told.why = Some("too_large"),
            Answered::Expired => told.is_expired = true,
        }
    }

    /// A part of a window that was answered could not be read.
    fn note_open(&mut self, window: Window, answered: &Answered) {
        self.note(window, answered);
        if let Some((_, told)) = self.windows.get_mut(&window.from()) {
            told.why = told.why.or(Some("unexplained"));
        }
    }

    fn digest_counts(&mut self, window: Window) {
        let Some((_, told)) = self.windows.get_mut(&window.from()) else { return };
        for (account, hour, cell) in self.cells.in_order() {
            if hour.contains(window.from()) {
                told.digest.add_count(account, self.cells.counts(cell).expected);
            }
        }
    }

    /// Of a dry run, rows that would be published leave no window open.
    fn finish(self, is_dry_run: bool) -> Compared {
        let audit_mismatches = self.audited.iter().filter(|cell| self.cells.counts(**cell).unseen() > 0).count() as u64;
        let end = |window: Window, told: &Told| match (told.why, self.cells.sum(window)) {
            _ if told.is_expired => End::Expired { why: "expired".to_owned() },
            (Some(why), _) => End::Open { why: why.to_owned() },
            (None, counts) if counts.unexplained > 0 => End::Open { why: "unexplained".to_owned() },
            (None, counts) if !counts.is_settled() && !is_dry_run => End::Open { why: "not_published".to_owned() },
            (None, _) => End::Complete { digest: told.digest },
        };
        let windows = self.windows.values().map(|(window, told)| (*window, end(*window, told))).collect();
        Compared {
            windows,
            answered_windows: self.windows.values().filter(|(_, told)| told.is_answered).count() as u64,
            requests: self.requests,
            scanned_records: self.scanned_records,
            audit_mismatches,
            cells: self.cells,
        }
    }
}
