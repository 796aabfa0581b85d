//! A comparison that somebody asks for: some streams of a source over a stretch of time.
//!
//! It joins no group and writes no cursor. What it has done of its stretch is remembered under exactly its source, stream
//! and times, so that the same command goes on after it was interrupted; one that has come to its end is begun anew.

mod access;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use ulid::Ulid;

use super::compare::Counts;
use super::cursor::run::{self as runs, Run};
use super::schedule::End;
use super::state::StateError;
use super::sweep::{CompareError, Compared, Comparing, Regions, Step};
use super::table::exit::WindowNumbers;
use super::tools::{self, Manner, SourceTools, Tools, ToolsError};
use super::window::{Window, hour_of};
use crate::event::kind::STATE_TOPIC;
use crate::event::time::Time;
use crate::outbound::{Line, real_sleep};
use crate::provider::api::StreamInfo;
use crate::publish::Publisher;
use crate::publish::client::StartError;
use crate::publish::topics::{self, MoreTopics, TopicsError};
use crate::settings::reconcile::PublishMissing;
use crate::settings::{Settings, Source};
use crate::telemetry::metrics::Metrics;

#[cfg(feature = "object-store")]
pub mod copying;
#[cfg(feature = "object-store")]
pub use copying::CopyCommandError;

/// How long Kafka is waited for at the start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is needed beside the topics of webhooks.
pub const STATE: MoreTopics = MoreTopics { needed: &[], aside: &[&STATE_TOPIC] };

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Products or streams; those of the configuration, if empty.
    pub products: Vec<String>,
    /// Its first instant.
    pub from: Option<Time>,
    /// The first instant after it.
    pub to: Option<Time>,
    /// Publish and remember nothing.
    pub dry_run: bool,
    /// Begin anew, whatever an earlier run has done.
    pub restart: bool,
    /// Publish also what the configuration withholds.
    pub publish_missing: bool,
    /// Publish every row.
    pub without_comparison: bool,
}

/// Why nothing was compared.
#[derive(Debug, Error)]
pub enum CommandError {
    /// There is no such source.
    #[error("there is no source {name:?} in the configuration; the sources are: {known}")]
    NoSource {
        /// The name asked for.
        name: String,
        /// Those that are there.
        known: String,
    },
    /// It has no API.
    #[error("{0} has no credentials for its provider's API; its page below docs/providers names the keys")]
    NoCredentials(String),
    /// There is no such stream.
    #[error("{product:?} is nothing that {provider} is asked for; that are: {known}")]
    NoStream {
        /// What was asked for.
        product: String,
        /// Of whom.
        provider: &'static str,
        /// What there is.
        known: String,
    },
    /// There is no time between the two.
    #[error("--from {from} is not before --to {to}")]
    NoTime {
        /// The beginning.
        from: Time,
        /// The end.
        to: Time,
    },
    /// It can not be compared.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// No publisher.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A topic can not be made.
    #[error(transparent)]
    Topics(#[from] TopicsError),
    /// Kafka is away.
    #[error("Kafka is not ready")]
    NotReady,
}

/// What came of one stream.
#[derive(Debug)]
pub struct StreamResult {
    /// The stream.
    pub stream: &'static StreamInfo,
    /// What was compared.
    pub whole: Window,
    /// Each cell.
    pub cells: BTreeMap<(String, Window), Counts>,
    /// The sums of cells that an earlier run has done.
    pub before: Counts,
    /// How each window ended.
    pub windows: Vec<(Window, End)>,
    /// The sums of windows.
    pub numbers: WindowNumbers,
    /// Windows of which the provider told anything.
    pub answered_windows: u64,
    /// Answers.
    pub requests: u64,
    /// Records of the topics that were looked at.
    pub scanned_records: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it came to no end.
    pub error: Option<CompareError>,
}

/// Everything that a command works with.
#[derive(Debug)]
pub struct Command {
    options: Options,
    streams: Vec<&'static StreamInfo>,
    tools: SourceTools,
}

impl Command {
    /// Connects to Kafka, and to the provider with the first question.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn start(settings: &Settings, name: &str, options: Options) -> Result<Self, CommandError> {
        let source = source(settings, name)?;
        let api = source.api.clone().ok_or_else(|| CommandError::NoCredentials(name.to_owned()))?;
        let streams = streams(source, &options.products)?;
        // A dry run keeps nothing but tokens, of which a provider may have ended the old one.
        if settings.kafka.create_topics && (!options.dry_run || tools::keeps_tokens(&*api)) {
            topics::create_missing(&settings.kafka, STATE).await?;
        }
        let metrics = Arc::new(Metrics::new());
        let publisher = Arc::new(Publisher::start(&settings.kafka, None, STATE, settings.dedup_window, &metrics)?);
        if !publisher.health().wait_until_ready(PATIENCE).await {
            return Err(CommandError::NotReady);
        }
        let shared = Arc::new(Tools::new(settings, &publisher, &metrics, real_sleep())?);
        let tools = SourceTools::new(&shared, source, &api)?;
        Ok(Self { options, streams, tools })
    }

    /// The connection to the provider.
    pub fn line(&self) -> &Line {
        self.tools.line()
    }

    /// The streams, in the order in which they are compared.
    pub fn streams(&self) -> &[&'static StreamInfo] {
        &self.streams
    }

    /// Compares one stream. Dropping the future interrupts it.
    ///
    /// # Errors
    /// When the stretch of time is none.
    pub async fn compare(
        &self,
        stream: &'static StreamInfo,
        result: &mut Option<StreamResult>,
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), CommandError> {
        let started = Instant::now();
        let whole = self.whole(stream, Time::now())?;
        let mut run = self.run(stream, whole).await;
        let result = result.insert(StreamResult::begin(stream, whole, run.totals));
        let left: Vec<Window> = run.left().collect();
        let outlet = self.tools.outlet();
        let mut regions = Regions::new();
        for windows in left.chunks(self.tools.batch_windows(stream)) {
            let comparing = Comparing { regions: &regions, ..self.tools.comparing(stream, &outlet, self.manner()) };
            match comparing.compare(windows, tell).await {
                Ok(mut compared) => {
                    regions = std::mem::take(&mut compared.regions);
                    result.error = compared.stopped.take();
                    result.take(compared, &mut run);
                }
                Err(error) => {
                    result.error = Some(error);
                    break;
                }
            }
            self.remember(&run).await;
            if result.error.is_some() {
                break;
            }
        }
        result.elapsed = started.elapsed();
        if result.is_whole() {
            let anew = Run::begin(self.source_name(), stream.name, whole, &run.instance, Time::now());
            self.remember(&anew).await;
        }
        Ok(())
    }

    fn manner(&self) -> Manner {
        let Options { dry_run, publish_missing, without_comparison, .. } = self.options;
        Manner { dry_run, publish_missing, without_comparison }
    }

    /// Which of the rows that no webhook told are published.
    pub fn publish_missing(&self) -> PublishMissing {
        self.tools.publish_missing(self.manner())
    }

    /// The stretch of time: by hours, unless it was said otherwise.
    fn whole(&self, stream: &StreamInfo, now: Time) -> Result<Window, CommandError> {
        let configured = self.tools.source.reconcile.as_ref().and_then(|options| options.lookback_s);
        let lookback_s = stream.lookback_s(configured);
        let from = self.options.from.unwrap_or_else(|| hour_of(now.plus_s(-i64::from(lookback_s))).plus_s(3600));
        let to = self.options.to.unwrap_or_else(|| hour_of(now.plus_s(-i64::from(stream.least_delay_s))));
        Window::new(from, to).ok_or(CommandError::NoTime { from, to })
    }

    /// What an earlier run of the same command has left to do.
    async fn run(&self, stream: &StreamInfo, whole: Window) -> Run {
        let instance = Ulid::generate().to_string();
        let anew = Run::begin(self.source_name(), stream.name, whole, &instance, Time::now());
        if self.options.restart || self.options.dry_run {
            return anew;
        }
        let key = runs::key(self.source_name(), stream.name, whole);
        match self.tools.state().read(&key).await {
            Ok(Some(value)) => Run::read(&value, self.source_name(), stream.name, whole).unwrap_or(anew),
            Ok(None) => anew,
            Err(error) => {
                tracing::warn!(%error, "what an earlier run has done can not be read; everything is compared");
                anew
            }
        }
    }

    /// A run that can not be remembered is compared again by the next one, which is no harm.
    async fn remember(&self, run: &Run) {
        if self.options.dry_run {
            return;
        }
        let key = runs::key(&run.source_name, &run.stream, run.whole);
        let written: Result<(), StateError> = match run.write() {
            Ok(value) => self.tools.state().write(key, value).await,
            Err(_) => return,
        };
        if let Err(error) = written {
            tracing::warn!(%error, "what was done can not be remembered");
        }
    }

    fn source_name(&self) -> &str {
        &self.tools.source.name
    }
}

impl StreamResult {
    fn begin(stream: &'static StreamInfo, whole: Window, before: Counts) -> Self {
        Self {
            stream,
            whole,
            cells: BTreeMap::new(),
            before,
            windows: Vec::new(),
            numbers: WindowNumbers::default(),
            answered_windows: 0,
            requests: 0,
            scanned_records: 0,
            elapsed: Duration::ZERO,
            error: None,
        }
    }

    fn take(&mut self, compared: Compared, run: &mut Run) {
        for (account, hour, number) in compared.cells.in_order() {
            *self.cells.entry((account.to_owned(), hour)).or_default() += compared.cells.counts(number);
        }
        for (window, end) in compared.windows {
            match end {
                End::Complete { .. } => {
                    self.numbers.complete += 1;
                    run.finish(window, compared.cells.sum(window));
                }
                End::Open { .. } => self.numbers.open += 1,
                End::Expired { .. } => self.numbers.expired += 1,
            }
            self.windows.push((window, end));
        }
        self.answered_windows += compared.answered_windows;
        self.requests += compared.requests;
        self.scanned_records += compared.scanned_records;
    }

    /// Whether everything was compared.
    fn is_whole(&self) -> bool {
        self.error.is_none()
    }

    /// The sums of all cells, of an earlier run too.
    pub fn totals(&self) -> Counts {
        let mut totals = self.before;
        self.cells.values().for_each(|counts| totals += *counts);
        totals
    }
}

fn source<'s>(settings: &'s Settings, name: &str) -> Result<&'s Arc<Source>, CommandError> {
    let known = || settings.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    let source = settings.sources.iter().find(|source| source.name == name);
    source.ok_or_else(|| CommandError::NoSource { name: name.to_owned(), known: known() })
}

/// The streams of the products that are asked for, else of those that are configured, else the provider's first.
fn streams(source: &Source, asked: &[String]) -> Result<Vec<&'static StreamInfo>, CommandError> {
    let configured = source.reconcile.as_ref().and_then(|options| options.products.as_deref());
    let wanted = if asked.is_empty() { configured } else { Some(asked) };
    let found = source.info.streams_of(wanted.filter(|products| !products.is_empty()));
    found.map_err(|product| {
        let known = source.info.products();
        CommandError::NoStream { product: product.to_owned(), provider: source.info.title, known }
    })
}
