//! One comparison: some windows of a stream are asked for, looked for in the topics, and what is not there is published.
//!
//! # Order of steps
//! The provider is asked first, then the topics are looked through to their ends as they are then, then to their ends as
//! they are after that. What a webhook brings meanwhile is seen by the second look; what it brings still later comes
//! twice under one id, which consumers take as one.
//!
//! A provider that can tell numbers of rows is asked for them first, and for rows only of the cells in which the topics
//! hold less, and of a few others by chance: so that it shows if its numbers mean something else than is thought. If one of
//! these has rows that the topics lack, the numbers of its hour are worth nothing, and all cells of that hour are asked for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use crate::event::envelope::Record;
use crate::event::time::Time;
use crate::outbound::Line;
use crate::provider::api::StreamInfo;
use crate::publish::scan::{ScanError, Scanner};
use crate::reconcile::compare::cells::{Cells, TooManyCells};
use crate::reconcile::compare::digest::Digest;
use crate::reconcile::mapped::Mapper;
use crate::reconcile::outlet::{NotPublished, Outlet};
use crate::reconcile::rows::{Place, Rows, RowsError};
use crate::reconcile::schedule::End;
use crate::reconcile::sought::memory::Memory;
use crate::reconcile::window::Window;
use crate::settings::reconcile::PublishMissing;

mod asking;
mod parts;
mod scans;
mod state;
mod users;

use state::{State, Told};

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
    /// Which of the rows that the topics lack are published.
    pub publish_missing: PublishMissing,
    /// Publish every row, without looking what is there.
    pub without_comparison: bool,
    /// Cells whose rows are asked for although the numbers agree.
    pub audit_cells: u32,
    /// What the provider told of windows that are complete, by their first instants. Of those of which it tells the
    /// same, nothing is looked for: what lies in a topic does not go away while it is kept.
    pub known: Option<&'c BTreeMap<Time, Digest>>,
    /// Hosts to which the provider has sent us before.
    pub regions: &'c Regions,
}

/// The host at which the provider wants to be asked about an account, by account; about all others under the empty text.
pub type Regions = BTreeMap<String, String>;

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
    /// How each window ended, oldest first. Those that were not asked for whole are left out.
    pub windows: Vec<(Window, End)>,
    /// Why not everything was asked for, and nothing more can be asked for now.
    pub stopped: Option<CompareError>,
    /// Windows of which the provider told anything.
    pub answered_windows: u64,
    /// Answers of the provider.
    pub requests: u64,
    /// Records of the topics that were looked at.
    pub scanned_records: u64,
    /// How long that took.
    pub scanned_for: Duration,
    /// Windows of which the provider told what was known of them, by their first instants. They have no cells.
    pub unchanged: BTreeSet<Time>,
    /// Audited cells in which rows were found that the topics lack.
    pub audit_mismatches: u64,
    /// Hosts to which the provider has sent us by now.
    pub regions: Regions,
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
            unreadable: HashSet::new(),
            audited: Vec::new(),
            requests: 0,
            scanned_records: 0,
            scanned_for: Duration::ZERO,
            regions: self.regions.clone(),
            strange: None,
            users: None,
            stopped: None,
        };
        if self.stream.counted {
            self.ask_counted(&mut state, tell).await?;
        } else {
            self.ask_rows(&mut state, windows, tell).await?;
        }
        let end = self.compare_rows(&mut state, Place::default(), tell).await?;
        self.ask_behind_audits(&mut state, end, tell).await?;
        self.keep_strange(&state).await?;
        Ok(state.finish(self.outlet.is_none()))
    }
}
