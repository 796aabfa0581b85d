//! A comparison that somebody asks for: some streams of a source over a stretch of time.
//!
//! It joins no group and writes no cursor. What it has done of its stretch is remembered under exactly its source, stream
//! and times, so that the same command goes on after it was interrupted; one that has come to its end is begun anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use ulid::Ulid;

use super::compare::Counts;
use super::cursor::run::{self as runs, Run};
use super::mapped::Mapper;
use super::outlet::Outlet;
use super::schedule::End;
use super::sought::memory::Memory;
use super::state::{State, StateError};
use super::sweep::{CompareError, Compared, Comparing, Step};
use super::table::exit::WindowNumbers;
use super::tokens::StateVault;
use super::vault::{Vault, VaultError};
use super::window::{Window, hour_of};
use crate::event::kind::STATE_TOPIC;
use crate::event::time::Time;
use crate::outbound::access::NoVault;
use crate::outbound::{Client, ClientError, Line, real_sleep};
use crate::provider::api::{Access, Api, StreamInfo};
use crate::publish::Publisher;
use crate::publish::client::StartError;
use crate::publish::scan::Scanner;
use crate::publish::topics::{self, MoreTopics, TopicsError};
use crate::settings::reconcile::PublishMissing;
use crate::settings::{Settings, Source};
use crate::telemetry::metrics::Metrics;

#[cfg(feature = "object-store")]
mod copying;
#[cfg(feature = "object-store")]
pub use copying::CopyCommandError;

/// How long Kafka is waited for at the start.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many windows are compared at once, and remembered when they are done.
const BATCH_WINDOWS: usize = 24;

/// An hour less than the provider keeps.
const SPARED_S: u32 = 3600;

/// Where a comparison begins unless it is said.
const LOOKBACK_S: u32 = 259_200;

const STATE: MoreTopics = MoreTopics { needed: &[], aside: &[&STATE_TOPIC] };

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
    /// No key to keep tokens with.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No client.
    #[error(transparent)]
    Client(#[from] ClientError),
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
pub struct Command<'c> {
    settings: &'c Settings,
    source: &'c Source,
    options: Options,
    streams: Vec<&'static StreamInfo>,
    api: Arc<dyn Api>,
    metrics: Arc<Metrics>,
    publisher: Arc<Publisher>,
    scanner: Scanner,
    line: Line,
    memory: Memory,
}

impl<'c> Command<'c> {
    /// Connects to Kafka, and to the provider with the first question.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn start(settings: &'c Settings, name: &str, options: Options) -> Result<Self, CommandError> {
        let source = source(settings, name)?;
        let api = source.api.clone().ok_or_else(|| CommandError::NoCredentials(name.to_owned()))?;
        let streams = streams(source, &options.products)?;
        let client = Client::new(&settings.outbound)?;
        let vault = match api.access() {
            Access::OAuth(oauth) if oauth.refresh_token.is_some() => Some(Vault::new(&settings.reconcile.state_keys)?),
            _ => None,
        };
        // A dry run keeps nothing but tokens, of which a provider may have ended the old one.
        if settings.kafka.create_topics && (!options.dry_run || vault.is_some()) {
            topics::create_missing(&settings.kafka, STATE).await?;
        }
        let metrics = Arc::new(Metrics::new());
        let publisher = Arc::new(Publisher::start(&settings.kafka, None, STATE, settings.dedup_window, &metrics)?);
        if !publisher.health().wait_until_ready(PATIENCE).await {
            return Err(CommandError::NotReady);
        }
        let scanner = Scanner::start(&settings.kafka, publisher.vitals())?;
        let state = State::new(&settings.kafka, &publisher, name);
        let vault: Arc<dyn crate::outbound::access::Vault> = match vault {
            Some(vault) => Arc::new(StateVault::new(state, vault, name)),
            None => Arc::new(NoVault),
        };
        let line = Line::new(name, Arc::clone(&api), client, vault, Arc::new(metrics.apis.of(name)), real_sleep());
        let memory = Memory::new(settings.reconcile.max_memory_bytes);
        Ok(Self { settings, source, options, streams, api, metrics, publisher, scanner, line, memory })
    }

    /// The connection to the provider.
    pub fn line(&self) -> &Line {
        &self.line
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
        let outlet = self.outlet();
        let comparing = self.comparing(stream, &outlet);
        for windows in left.chunks(BATCH_WINDOWS) {
            match comparing.compare(windows, tell).await {
                Ok(compared) => result.take(compared, &mut run),
                Err(error) => {
                    result.error = Some(error);
                    break;
                }
            }
            self.remember(&run).await;
        }
        result.elapsed = started.elapsed();
        if result.is_whole() {
            let anew = Run::begin(&self.source.name, stream.name, whole, &run.instance, Time::now());
            self.remember(&anew).await;
        }
        Ok(())
    }

    fn outlet(&self) -> Outlet<'_> {
        let metrics = self.metrics.source(&self.source.name, self.source.info.name, self.source.secrets);
        Outlet {
            publisher: &self.publisher,
            metrics: &self.metrics,
            source_metrics: Arc::new(metrics),
            source_name: self.source.name.as_str().into(),
            provider: self.source.info.name,
        }
    }

    fn comparing<'r>(&'r self, stream: &'static StreamInfo, outlet: &'r Outlet<'r>) -> Comparing<'r> {
        let configured = self.source.reconcile.as_ref();
        // An API that tells of users whom the feed leaves out would have calls billed that the partner did not sell.
        let default = if self.api.tells_of_more_users() { PublishMissing::KnownUsers } else { PublishMissing::All };
        let policy = configured.and_then(|options| options.publish_missing).unwrap_or(default);
        Comparing {
            stream,
            line: &self.line,
            scanner: &self.scanner,
            mapper: Mapper {
                source: self.source,
                api: &self.api,
                stream: stream.name,
                mode: self.settings.kafka.envelope,
            },
            outlet: (!self.options.dry_run).then_some(outlet),
            memory: &self.memory,
            work_dir: &self.settings.reconcile.work_dir,
            max_work_bytes: self.settings.reconcile.max_work_bytes,
            withholds: policy != PublishMissing::All && !self.options.publish_missing,
            without_comparison: self.options.without_comparison,
            audit_cells: configured.map_or(1, |options| options.audit_cells),
        }
    }

    /// The stretch of time: by hours, unless it was said otherwise.
    fn whole(&self, stream: &StreamInfo, now: Time) -> Result<Window, CommandError> {
        let configured = self.source.reconcile.as_ref().and_then(|options| options.lookback_s);
        let lookback_s = configured.unwrap_or(LOOKBACK_S).min(stream.reach_s.saturating_sub(SPARED_S));
        let from = self.options.from.unwrap_or_else(|| hour_of(now.plus_s(-i64::from(lookback_s))).plus_s(3600));
        let to = self.options.to.unwrap_or_else(|| hour_of(now.plus_s(-i64::from(stream.least_delay_s))));
        Window::new(from, to).ok_or(CommandError::NoTime { from, to })
    }

    /// What an earlier run of the same command has left to do.
    async fn run(&self, stream: &StreamInfo, whole: Window) -> Run {
        let instance = Ulid::generate().to_string();
        let anew = Run::begin(&self.source.name, stream.name, whole, &instance, Time::now());
        if self.options.restart || self.options.dry_run {
            return anew;
        }
        let key = runs::key(&self.source.name, stream.name, whole);
        match self.state().read(&key).await {
            Ok(Some(value)) => Run::read(&value, &self.source.name, stream.name, whole).unwrap_or(anew),
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
            Ok(value) => self.state().write(key, value).await,
            Err(_) => return,
        };
        if let Err(error) = written {
            tracing::warn!(%error, "what was done can not be remembered");
        }
    }

    fn state(&self) -> State {
        State::new(&self.settings.kafka, &self.publisher, &self.source.name)
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
        if compared.audit_mismatches > 0 {
            tracing::warn!(
                stream = self.stream.name,
                cells = compared.audit_mismatches,
                "the provider's numbers agree with the topics and its rows do not"
            );
        }
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

fn source<'s>(settings: &'s Settings, name: &str) -> Result<&'s Source, CommandError> {
    let known = || settings.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    let source = settings.sources.iter().find(|source| source.name == name);
    source.ok_or_else(|| CommandError::NoSource { name: name.to_owned(), known: known() })
}

/// The streams of the products that are asked for, else of those that are configured, else the provider's first.
fn streams(source: &Source, asked: &[String]) -> Result<Vec<&'static StreamInfo>, CommandError> {
    let all = source.info.streams;
    let configured = source.reconcile.as_ref().and_then(|options| options.products.as_deref());
    let wanted = if asked.is_empty() { configured.unwrap_or_default() } else { asked };
    if wanted.is_empty() {
        return Ok(all.iter().take(1).collect());
    }
    let mut streams: Vec<&'static StreamInfo> = Vec::new();
    for product in wanted {
        let is_meant =
            |stream: &&StreamInfo| [stream.product, stream.name].iter().any(|name| name.eq_ignore_ascii_case(product));
        let found: Vec<_> = all.iter().filter(is_meant).collect();
        if found.is_empty() {
            let known = all.iter().map(|stream| stream.product).collect::<Vec<_>>().join(", ");
            return Err(CommandError::NoStream { product: product.clone(), provider: source.info.title, known });
        }
        streams.extend(found);
    }
    Ok(streams)
}
