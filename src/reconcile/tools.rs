//! What comparing takes: some of it all comparisons of a process share, the rest is one source's own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::mapped::Mapper;
use super::outlet::Outlet;
use super::sought::memory::Memory;
use super::state::State;
use super::sweep::{Comparing, Regions};
use super::tokens::StateVault;
use super::vault::{Vault, VaultError};
use crate::event::envelope::Mode;
use crate::outbound::access::{NoVault, Vault as TokenVault};
use crate::outbound::{Client, ClientError, Line, Sleep};
use crate::provider::api::{Access, Api, StreamInfo};
use crate::publish::Publisher;
use crate::publish::client::StartError;
use crate::publish::scan::Scanner;
use crate::settings::reconcile::{PublishMissing, ReconcileSettings};
use crate::settings::{KafkaSettings, Settings, Source};
use crate::telemetry::metrics::{Metrics, SourceMetrics};

/// So many windows are compared at once at least.
const BATCH_WINDOWS: usize = 24;

/// Why nothing can be compared.
#[derive(Debug, Error)]
pub enum ToolsError {
    /// No key to keep tokens with.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No scanner.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What all comparisons of a process share.
pub struct Tools {
    kafka: KafkaSettings,
    state_keys: Vec<secrecy::SecretString>,
    work_dir: PathBuf,
    max_work_bytes: u64,
    client: Client,
    scanner: Arc<Scanner>,
    memory: Memory,
    publisher: Arc<Publisher>,
    metrics: Arc<Metrics>,
    sleep: Sleep,
    no_regions: Regions,
}

impl fmt::Debug for Tools {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tools").field("work_dir", &self.work_dir).finish_non_exhaustive()
    }
}

/// What one source is compared with.
#[derive(Debug)]
pub struct SourceTools {
    /// The source.
    pub source: Arc<Source>,
    /// Its provider's API.
    pub api: Arc<dyn Api>,
    shared: Arc<Tools>,
    source_metrics: Arc<SourceMetrics>,
    line: Line,
}

/// What may differ from one comparison to the next.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Publish nothing.
    pub dry_run: bool,
    /// Publish also what the configuration withholds.
    pub publish_missing: bool,
    /// Publish every row, without looking what is there.
    pub without_comparison: bool,
}

/// Whether an API's tokens change, so that the newest has to be kept.
pub fn keeps_tokens(api: &dyn Api) -> bool {
    matches!(api.access(), Access::OAuth(oauth) if oauth.refresh_token.is_some())
}

impl Tools {
    /// Connects nothing yet.
    ///
    /// # Errors
    /// [`ToolsError`].
    pub fn new(
        settings: &Settings,
        publisher: &Arc<Publisher>,
        metrics: &Arc<Metrics>,
        sleep: Sleep,
    ) -> Result<Self, ToolsError> {
        let ReconcileSettings { state_keys, max_memory_bytes, work_dir, max_work_bytes, .. } = &settings.reconcile;
        Ok(Self {
            kafka: settings.kafka.clone(),
            state_keys: state_keys.clone(),
            work_dir: work_dir.clone(),
            max_work_bytes: *max_work_bytes,
            client: Client::new(&settings.outbound)?,
            scanner: Arc::new(Scanner::start(&settings.kafka, publisher.vitals())?),
            memory: Memory::new(*max_memory_bytes),
            publisher: Arc::clone(publisher),
            metrics: Arc::clone(metrics),
            sleep,
            no_regions: Regions::new(),
        })
    }

    /// The publisher of the process.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// How events are laid out.
    pub fn envelope(&self) -> Mode {
        self.kafka.envelope
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is remembered of a source.
    pub fn state_of(&self, source_name: &str) -> State {
        State::new(&self.kafka, &self.publisher, source_name)
    }

    /// What rows have taken of the memory, in bytes.
    pub fn index_bytes(&self) -> usize {
        self.memory.taken_bytes()
    }
}

impl SourceTools {
    /// Those of a source, by its provider's API.
    ///
    /// # Errors
    /// When its tokens can not be kept.
    pub fn new(shared: &Arc<Tools>, source: &Arc<Source>, api: &Arc<dyn Api>) -> Result<Self, ToolsError> {
        let name = source.name.as_str();
        let vault: Arc<dyn TokenVault> = match keeps_tokens(&**api) {
            true => Arc::new(StateVault::new(shared.state_of(name), Vault::new(&shared.state_keys)?, name)),
            false => Arc::new(NoVault),
        };
        let api_metrics = Arc::new(shared.metrics.apis.of(name));
        let sleep = Arc::clone(&shared.sleep);
        Ok(Self {
            source: Arc::clone(source),
            api: Arc::clone(api),
            shared: Arc::clone(shared),
            source_metrics: Arc::new(shared.metrics.source(name, source.info.name, source.secrets)),
            line: Line::new(name, Arc::clone(api), shared.client.clone(), vault, api_metrics, sleep),
        })
    }

    /// What is remembered of it.
    pub fn state(&self) -> State {
        self.shared.state_of(&self.source.name)
    }

    /// What all sources share.
    pub fn shared(&self) -> &Tools {
        &self.shared
    }

    /// The connection to its provider.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Where its rows go.
    pub fn outlet(&self) -> Outlet<'_> {
        Outlet {
            publisher: &self.shared.publisher,
            metrics: &self.shared.metrics,
            source_metrics: Arc::clone(&self.source_metrics),
            source_name: self.source.name.as_str().into(),
            provider: self.source.info.name,
        }
    }

    /// Which of the rows that no webhook told are published.
    pub fn publish_missing(&self, manner: Manner) -> PublishMissing {
        if manner.publish_missing { PublishMissing::All } else { self.source.publish_missing() }
    }

    /// So many windows are compared at once, and remembered when they are done: as many as one question may be about.
    pub fn batch_windows(&self, stream: &StreamInfo) -> usize {
        let widest_hours = usize::try_from(self.api.widest_s(stream) / 3600).unwrap_or_default();
        widest_hours.max(BATCH_WINDOWS)
    }

    /// All that comparing a stream needs.
    pub fn comparing<'t>(
        &'t self,
        stream: &'static StreamInfo,
        outlet: &'t Outlet<'t>,
        manner: Manner,
    ) -> Comparing<'t> {
        let configured = self.source.reconcile.as_ref();
        Comparing {
            stream,
            line: &self.line,
            scanner: &self.shared.scanner,
            mapper: Mapper {
                source: &self.source,
                api: &self.api,
                stream: stream.name,
                mode: self.shared.kafka.envelope,
            },
            outlet: (!manner.dry_run).then_some(outlet),
            memory: &self.shared.memory,
            work_dir: &self.shared.work_dir,
            max_work_bytes: self.shared.max_work_bytes,
            publish_missing: self.publish_missing(manner),
            without_comparison: manner.without_comparison,
            audit_cells: configured.map_or(1, |options| options.audit_cells),
            known: None,
            regions: &self.shared.no_regions,
        }
    }
}
