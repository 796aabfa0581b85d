//! Asking the provider: for numbers and then for the rows of some cells, or for all rows.
//!
//! Whatever is answered to a question about one account, it is about that account alone. What says that the source as a
//! whole can not be asked stops everything, and what was read until then is still compared.

use std::sync::Arc;

use rand::seq::IteratorRandom as _;
use url::Url;

use super::state::{State, Strange};
use super::{CompareError, Comparing, Step};
use crate::event::time::Time;
use crate::outbound::{Ended, Fetched, Findings, WorkFile};
use crate::provider::api::{Answer, Asked, Ending, Found, Question, Verdict};
use crate::reconcile::compare::cells::CellNumber;
use crate::reconcile::rows::{Place, Rows};
use crate::reconcile::window::{Window, join};

/// What asking came to.
pub(super) enum Answered {
    Whole,
    Open(&'static str),
    Narrower,
    Expired,
    Stopped(CompareError),
}

/// What is wrong with the source as a whole, whichever account was asked about.
const OF_THE_SOURCE: [&str; 2] = ["unauthorized", "tls"];

/// Takes what the provider tells.
struct Collector<'c> {
    /// Where the rows of this question begin.
    begin: Place,
    rows: &'c mut Rows,
    cell: Option<CellNumber>,
    asked_from: Time,
    counts: Vec<(String, u64)>,
    answers: u64,
    moved: Option<Url>,
    strange: Option<Strange>,
}

impl Found for Collector<'_> {
    fn count(&mut self, account: &str, rows: u64) {
        self.counts.push((account.to_owned(), rows));
    }

    fn row(&mut self, json: &str) {
        self.rows.push(json);
    }

    fn take_back(&mut self) {
        self.rows.forget_behind(self.begin);
        self.counts.clear();
    }

    fn moved(&mut self, host: &Url) {
        self.moved = Some(host.clone());
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

    fn not_understood(&mut self, answer: &Answer, fetched: &Arc<Fetched>) {
        self.strange = Some((answer.clone(), Arc::clone(fetched)));
    }
}

impl Comparing<'_> {
    pub(super) async fn ask_counted(
        &self,
        state: &mut State,
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), CompareError> {
        self.ask_counts(state, tell).await?;
        let cells = self.cells_to_ask(state, tell).await?;
        // A provider that wants no more questions about numbers for a while may take those about rows.
        let is_throttled = matches!(state.stopped, Some(CompareError::Throttled(_)));
        let throttled = if is_throttled { state.stopped.take() } else { None };
        self.ask_cells(state, cells).await;
        state.stopped = state.stopped.take().or(throttled);
        Ok(())
    }

    async fn ask_counts(&self, state: &mut State, tell: &mut (dyn FnMut(Step<'_>) + Send)) -> Result<(), CompareError> {
        let windows: Vec<Window> = state.windows.values().map(|(window, _)| *window).collect();
        for (index, window) in windows.iter().enumerate() {
            tell(Step::Asked { windows: index, of: windows.len() });
            let question = Question::Counts(self.asked(state, *window, None));
            let (answered, counts) = self.ask(state, &question, None).await;
            if let Answered::Stopped(error) = answered {
                state.stopped = Some(error);
                return Ok(());
            }
            state.note(*window, &answered);
            state.count(*window, counts, self.known.and_then(|known| known.get(&window.from())))?;
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
        if state.cells.is_empty() {
            return Ok(Vec::new());
        }
        tell(Step::Scanning);
        self.tally(state).await?;
        let audits = usize::try_from(self.audit_cells).unwrap_or_default();
        state.audited = state.cells.agreeing().choose_multiple(&mut rand::rng(), audits);
        Ok(state.cells.short().chain(state.audited.iter().copied()).collect())
    }

    /// What is refused about one account leaves its cell open and stops nothing.
    async fn ask_cells(&self, state: &mut State, cells: Vec<CellNumber>) {
        for cell in cells {
            if state.stopped.is_some() {
                state.leave(cell);
                continue;
            }
            let Some((account, hour)) = state.cells.place(cell).map(|(account, hour)| (account.to_owned(), hour))
            else {
                continue;
            };
            let Some(window) =
                state.windows.values().map(|(window, _)| *window).find(|window| hour.contains(window.from()))
            else {
                continue;
            };
            let question = Question::Rows(self.asked(state, window, Some(account)));
            match self.ask(state, &question, Some(cell)).await.0 {
                Answered::Whole => state.cells.list(cell),
                Answered::Stopped(CompareError::Misconfigured { word, mend }) if !OF_THE_SOURCE.contains(&word) => {
                    state.note_refused(self, window, word, &mend);
                }
                Answered::Stopped(error) => {
                    state.stopped = Some(error);
                    state.leave(cell);
                }
                other => state.note_open(window, &other),
            }
        }
    }

    /// Asks for the cells that were taken to be whole by their numbers, where an audit has shown that these tell nothing.
    pub(super) async fn ask_behind_audits(
        &self,
        state: &mut State,
        end: Place,
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), CompareError> {
        let cells = state.cells_behind_audits();
        if state.audit_mismatches() == 0 {
            return Ok(());
        }
        tracing::warn!(
            source.name = %self.mapper.source.name, stream = self.stream.name, cells = cells.len(),
            "the provider's numbers agree with the topics and its rows do not; all rows of that time are asked for"
        );
        self.ask_cells(state, cells).await;
        self.compare_rows(state, end, tell).await?;
        Ok(())
    }

    /// Asks for the rows of whole windows, joined as far as one request goes.
    pub(super) async fn ask_rows(
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
            let question = Question::Rows(self.asked(state, window.widened_s(self.stream.margin_s), None));
            let (answered, _) = self.ask(state, &question, None).await;
            if let Answered::Stopped(error) = answered {
                state.stopped = Some(error);
                break;
            }
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

    fn asked(&self, state: &State, window: Window, account: Option<String>) -> Asked {
        let of_account = account.as_ref().and_then(|account| state.regions.get(account));
        let region = of_account.or_else(|| state.regions.get("")).and_then(|url| Url::parse(url).ok());
        Asked { stream: self.stream.name, from: window.from(), to: window.to(), account, region }
    }

    async fn ask(
        &self,
        state: &mut State,
        question: &Question,
        cell: Option<CellNumber>,
    ) -> (Answered, Vec<(String, u64)>) {
        let asked = match question {
            Question::Counts(asked) | Question::Rows(asked) | Question::Check(asked) => asked,
        };
        let asked_from = asked.from.plus_s(i64::from(self.stream.margin_s));
        let mut collector = Collector {
            begin: state.rows.end(),
            rows: &mut state.rows,
            cell,
            asked_from,
            counts: Vec::new(),
            answers: 0,
            moved: None,
            strange: None,
        };
        let ended = self.line.ask(question, &mut collector).await;
        let Collector { counts, answers, moved, strange, .. } = collector;
        state.strange = state.strange.take().or(strange);
        state.requests += answers;
        if let Some(host) = moved {
            state.regions.insert(asked.account.clone().unwrap_or_default(), host.to_string());
        }
        let answered = match ended {
            Ended::Throttled(wait) => Answered::Stopped(CompareError::Throttled(wait.as_secs())),
            Ended::Said(Ending::Failed(Verdict::Misconfigured { word, mend })) => {
                Answered::Stopped(CompareError::Misconfigured { word, mend })
            }
            Ended::Said(Ending::Whole) => Answered::Whole,
            Ended::Said(Ending::Partial(word)) => Answered::Open(word),
            Ended::Said(Ending::Narrower) => Answered::Narrower,
            Ended::Said(Ending::Expired) => Answered::Expired,
            Ended::Said(Ending::Failed(verdict)) => Answered::Open(verdict.word()),
        };
        (answered, counts)
    }
}
