//! Comparisons in this process: a double's API on one side, the embedded broker on the other, and no wait that is real.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use trunkline::config;
use trunkline::event::kind::STATE_TOPIC;
use trunkline::event::time::Time;
use trunkline::outbound::access::NoVault;
use trunkline::outbound::{Client, ClientSettings, Line, Sleep};
use trunkline::provider::api::StreamInfo;
use trunkline::publish::Publisher;
use trunkline::publish::embedded::EmbeddedBroker;
use trunkline::publish::reader::ReadRecord;
use trunkline::publish::scan::Scanner;
use trunkline::publish::topics::MoreTopics;
use trunkline::reconcile::compare::digest::Digest;
use trunkline::reconcile::mapped::Mapper;
use trunkline::reconcile::outlet::Outlet;
use trunkline::reconcile::schedule::End;
use trunkline::reconcile::sought::memory::Memory;
use trunkline::reconcile::sweep::{CompareError, Compared, Comparing, Regions};
use trunkline::reconcile::window::Window;
use trunkline::settings::reconcile::PublishMissing;
use trunkline::telemetry::metrics::Metrics;

use super::double::TestDouble;
use super::{DEADLINE, PARTITIONS, TOPIC_PREFIX};

const MORE: MoreTopics = MoreTopics { needed: &[], aside: &[&STATE_TOPIC] };

/// A broker, and what publishes to it and looks through it. Comparisons of several doubles may share one, since the
/// accounts of each are its own.
pub(crate) struct Ground {
    broker: EmbeddedBroker,
    settings: config::Settings,
    publisher: Publisher,
    scanner: Scanner,
    metrics: Arc<Metrics>,
    folder: TempDir,
}

/// One source that asks a double.
pub(crate) struct Side<'g> {
    ground: &'g Ground,
    settings: config::Settings,
    line: Line,
    pub(crate) metrics: Arc<Metrics>,
    waits: Arc<Mutex<Vec<Duration>>>,
    memory: Memory,
    pub(crate) options: SideOptions,
    pub(crate) regions: Regions,
    pub(crate) known: BTreeMap<Time, Digest>,
}

/// What tests vary of a comparison.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SideOptions {
    pub(crate) audit_cells: u32,
    pub(crate) max_work_bytes: u64,
}

impl Ground {
    pub(crate) async fn start() -> Self {
        let broker = EmbeddedBroker::start(TOPIC_PREFIX, PARTITIONS).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = super::settings("", broker.bootstrap_servers(), folder.path());
        let metrics = Arc::new(Metrics::new());
        let publisher = Publisher::start(&settings.kafka, None, MORE, settings.dedup_window, &metrics).unwrap();
        assert!(publisher.health().wait_until_ready(DEADLINE).await, "Kafka is ready in time");
        let scanner = Scanner::start(&settings.kafka, publisher.vitals()).unwrap();
        Self { broker, settings, publisher, scanner, metrics, folder }
    }

    /// A source that asks a double at its first door, with more keys of it.
    pub(crate) fn side(&self, double: &TestDouble, more: &str) -> Side<'_> {
        self.side_at(double, &double.bases.first, more)
    }

    /// The same at another URL.
    pub(crate) fn side_at(&self, double: &TestDouble, base: &str, more: &str) -> Side<'_> {
        let credential = |name: &str| format!("{name} = \"{}\"\n", double.credential(name));
        let credentials: String = ["client_id", "client_secret", "refresh_token"].map(credential).concat();
        let toml = format!(
            "[reconcile]\nstate_keys = [\"0123456789abcdef\"]\n[[sources]]\nname = \"webex-partner\"\nprovider = \"webex\"\n\
             signature_secrets = [\"secret\"]\n{credentials}api_url = \"{}\"\nanalytics_url = \"{base}\"\n\
             feed_url = \"{base}\"\n{more}",
            double.bases.first,
        );
        let settings = super::settings(&toml, self.broker.bootstrap_servers(), self.folder.path());
        let (metrics, waits) = (Arc::new(Metrics::new()), Arc::new(Mutex::new(Vec::new())));
        let api = settings.sources[1].api.clone().unwrap();
        let client = Client::new(&ClientSettings::default()).unwrap();
        let sleep = noting(&waits);
        let line = Line::new(
            "webex-partner",
            api,
            client,
            Arc::new(NoVault),
            Arc::new(metrics.apis.of("webex-partner")),
            sleep,
        );
        let options = SideOptions { audit_cells: 0, max_work_bytes: 1 << 30 };
        Side {
            ground: self,
            settings,
            line,
            metrics,
            waits,
            memory: Memory::new(16 << 20),
            options,
            regions: Regions::new(),
            known: BTreeMap::new(),
        }
    }

    /// How often a value was in no map.
    pub(crate) fn unmapped(&self, field: &str) -> f64 {
        super::sample(&self.metrics.render(), "trunkline_unmapped_values_total", &[("field", field)])
    }

    /// Everything that a topic holds.
    pub(crate) fn records(&self, topic: &str) -> Vec<ReadRecord> {
        super::records_of(&self.settings.kafka, topic)
    }
}

/// Waits for nothing, and notes for how long it should have waited.
fn noting(waits: &Arc<Mutex<Vec<Duration>>>) -> Sleep {
    let waits = Arc::clone(waits);
    Arc::new(move |duration| {
        waits.lock().unwrap().push(duration);
        Box::pin(tokio::task::yield_now())
    })
}

impl Side<'_> {
    /// Compares windows of a stream, all of which are to be asked for.
    pub(crate) async fn compare(&self, stream: &str, windows: &[Window]) -> Result<Compared, CompareError> {
        let mut compared = self.compare_some(stream, windows).await?;
        compared.stopped.take().map_or(Ok(compared), Err)
    }

    /// Compares as many of the windows as can be asked for.
    pub(crate) async fn compare_some(&self, stream: &str, windows: &[Window]) -> Result<Compared, CompareError> {
        let source = &self.settings.sources[1];
        let stream = source.info.streams.iter().find(|known| known.name == stream).unwrap();
        let outlet = Outlet {
            publisher: &self.ground.publisher,
            metrics: &self.ground.metrics,
            source_metrics: Arc::new(self.metrics.source(&source.name, source.info.name, source.secrets)),
            source_name: source.name.as_str().into(),
            provider: source.info.name,
        };
        self.comparing(stream, &outlet).compare(windows, &mut |_| ()).await
    }

    fn comparing<'s>(&'s self, stream: &'static StreamInfo, outlet: &'s Outlet<'s>) -> Comparing<'s> {
        let source = &self.settings.sources[1];
        Comparing {
            stream,
            line: &self.line,
            scanner: &self.ground.scanner,
            mapper: Mapper { source, api: self.line.api(), stream: stream.name, mode: self.settings.kafka.envelope },
            outlet: Some(outlet),
            memory: &self.memory,
            work_dir: self.ground.folder.path(),
            max_work_bytes: self.options.max_work_bytes,
            publish_missing: PublishMissing::All,
            without_comparison: false,
            audit_cells: self.options.audit_cells,
            known: Some(&self.known),
            regions: &self.regions,
        }
    }

    /// How often an answer was counted under a word, of all classes of requests.
    pub(crate) fn outcomes(&self, word: &str) -> f64 {
        super::sample(&self.metrics.render(), "trunkline_api_requests_total", &[("outcome", word)])
    }

    /// For how long it was waited each time, in whole seconds. What is short is of the rates.
    pub(crate) fn waits_s(&self) -> Vec<u64> {
        self.waits.lock().unwrap().iter().map(Duration::as_secs).filter(|wait_s| *wait_s > 4).collect()
    }
}

/// How a window ended, and why.
pub(crate) fn end_of(end: &End) -> String {
    match end {
        End::Complete { .. } => "complete".to_owned(),
        End::Open { why } => format!("open: {why}"),
        End::Expired { why } => format!("expired: {why}"),
    }
}

/// Hours of the double's world, which begins at 10 o'clock.
pub(crate) fn hours(numbers: std::ops::Range<i64>) -> Vec<Window> {
    let begin = Time::parse_iso("2026-02-03T10:00:00Z").unwrap();
    numbers.map(|number| Window::hour_at(begin.plus_s(number * 3600))).collect()
}
