//! Every metric, declared once. Handles with labels are resolved when a source is set up, so that the
//! path of a request looks nothing up. No label ever holds anything that a request can choose.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::api::ApiFamilies;
use super::reconcile::ReconcileFamilies;
use super::warnings::Warnings;
use crate::build::BUILD;
use crate::event::kind::{KINDS, Kind};
use crate::verify::AuthError;

type Labels = Vec<(&'static str, String)>;
type Seconds = Gauge<f64, AtomicU64>;

/// How a request ended, the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// Its events are durable.
    Accepted,
    /// All of its events were durable already.
    Duplicate,
    /// Recognised, and nothing to publish.
    Ignored,
    /// Authentic, and now in the dead-letter topic.
    NotUnderstood,
    /// Not authentic.
    Unauthenticated,
    /// Signed at a time that lies ahead of our clock.
    ClockAhead,
    /// A method that the provider does not use.
    MethodNotAllowed,
    /// Too large.
    TooLarge,
    /// Did not arrive in time.
    TimedOut,
    /// The sender went away before the request was complete.
    Incomplete,
    /// Its events could not be made durable now.
    Unavailable,
}

impl RequestOutcome {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Accepted, "accepted"),
        (Self::Duplicate, "duplicate"),
        (Self::Ignored, "ignored"),
        (Self::NotUnderstood, "not_understood"),
        (Self::Unauthenticated, "unauthenticated"),
        (Self::ClockAhead, "clock_ahead"),
        (Self::MethodNotAllowed, "method_not_allowed"),
        (Self::TooLarge, "too_large"),
        (Self::TimedOut, "timed_out"),
        (Self::Incomplete, "incomplete"),
        (Self::Unavailable, "unavailable"),
    ];

    /// Whether the webhook is refused for what it is, whose reason is the outcome itself.
    fn is_refusal(self) -> bool {
        matches!(self, Self::ClockAhead | Self::MethodNotAllowed | Self::TooLarge | Self::TimedOut)
    }
}

/// The way by which an event became durable, the label `route`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Kafka acknowledged it.
    Kafka,
    /// It was synced to the spool.
    Spool,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    events: Family<Labels, Counter>,
    dead_letters: Family<Labels, Counter>,
    unauthenticated: Family<Labels, Counter>,
    secret_matches: Family<Labels, Counter>,
    unmapped: Family<Labels, Counter>,
    last_received: Family<Labels, Seconds>,
    /// What the log tells of webhooks that are refused.
    pub refusals: Arc<Warnings>,
    /// What it tells of webhooks that belong elsewhere.
    pub misdirected: Warnings,
    /// What the providers' APIs are asked.
    pub apis: ApiFamilies,
    /// What comparing with their lists comes to.
    pub reconcile: Arc<ReconcileFamilies>,
    /// Requests for a source that does not exist.
    pub unknown_source: Counter,
    /// Duration of requests, from the last byte of the head to the answer.
    pub request_duration: Histogram,
    /// Duration from producing a record to its acknowledgement.
    pub publish_duration: Histogram,
    /// Bytes of request bodies in memory.
    pub in_flight_bytes: Gauge,
    /// Records that Kafka has not acknowledged yet.
    pub unacknowledged: Gauge,
    /// Records that Kafka refused for good.
    pub refused: Family<Labels, Counter>,
    /// 1 while events can be made durable.
    pub ready: Gauge,
    /// Events that Kafka acknowledged after they had gone to the spool.
    pub late_acknowledgements: Counter,
    /// Events that Kafka acknowledged after they were read from the spool.
    pub drained: Counter,
    /// Events that wait in the spool.
    pub spool_events: Gauge,
    /// What they and the quarantine count, in bytes.
    pub spool_bytes: Gauge,
    /// Age of the oldest event that waits in the spool, in seconds.
    pub spool_oldest_age: Gauge,
    /// Events that Kafka refuses in every form.
    pub spool_quarantined: Gauge,
    /// 1 while the spool can keep events.
    pub spool_ready: Gauge,
    /// Lanes whose events go to the spool.
    pub lanes_open: Gauge,
    /// Deliveries that Kafka's client gave back, by error.
    delivery_failures: Family<Labels, Counter>,
    /// Times that Kafka's client was replaced after it had failed for good.
    pub producer_replacements: Counter,
    /// 1 once the duplicate window has been filled from the spool and the topics.
    pub dedup_warm: Gauge,
    /// Events that the duplicate window was filled with at the start.
    pub dedup_warmed_events: Gauge,
}

/// The metrics of one source, looked up once.
#[derive(Debug)]
pub struct SourceMetrics {
    source: String,
    provider: &'static str,
    requests: [Counter; RequestOutcome::ALL.len()],
    events: [[Counter; 2]; KINDS.len()],
    secret_matches: Vec<Counter>,
    last_received: Seconds,
    refusals: Arc<Warnings>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Declares every metric.
    pub fn new() -> Self {
        let seconds =
            || Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]);
        let mut metrics = Self {
            registry: Registry::with_prefix("trunkline"),
            requests: Family::default(),
            events: Family::default(),
            dead_letters: Family::default(),
            unauthenticated: Family::default(),
            secret_matches: Family::default(),
            unmapped: Family::default(),
            last_received: Family::default(),
            refusals: Arc::new(Warnings::new("webhooks are refused", Duration::from_secs(60))),
            misdirected: Warnings::new("webhooks belong elsewhere", Duration::from_secs(3600)),
            apis: ApiFamilies::default(),
            reconcile: Arc::default(),
            unknown_source: Counter::default(),
            request_duration: seconds(),
            publish_duration: seconds(),
            in_flight_bytes: Gauge::default(),
            unacknowledged: Gauge::default(),
            refused: Family::default(),
            ready: Gauge::default(),
            late_acknowledgements: Counter::default(),
            drained: Counter::default(),
            spool_events: Gauge::default(),
            spool_bytes: Gauge::default(),
            spool_oldest_age: Gauge::default(),
            spool_quarantined: Gauge::default(),
            spool_ready: Gauge::default(),
            lanes_open: Gauge::default(),
            delivery_failures: Family::default(),
            producer_replacements: Counter::default(),
            dedup_warm: Gauge::default(),
            dedup_warmed_events: Gauge::default(),
        };
        metrics.register_requests();
        metrics.register_publishing();
        metrics.register_spool();
        metrics.apis.register(&mut metrics.registry);
        metrics.reconcile.register(&mut metrics.registry);
        metrics
    }

    fn register_requests(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Webhooks by source and outcome", self.requests.clone());
        registry.register("unauthenticated", "Refused webhooks by source and reason", self.unauthenticated.clone());
        registry.register(
            "secret_matches",
            "Which of a source's secrets or tokens matched",
            self.secret_matches.clone(),
        );
        registry.register("unknown_source", "Webhooks for a source that does not exist", self.unknown_source.clone());
        registry.register(
            "last_received_timestamp_seconds",
            "Unix time of the last authentic webhook",
            self.last_received.clone(),
        );
        registry.register("request_duration_seconds", "Duration of webhooks", self.request_duration.clone());
        registry.register("in_flight_bytes", "Bytes of webhook bodies in memory", self.in_flight_bytes.clone());
        let build: Family<Labels, Gauge> = Family::default();
        build.get_or_create(&build_labels()).set(1);
        registry.register("build_info", "What the running program was made of", build);
    }

    fn register_publishing(&mut self) {
        let registry = &mut self.registry;
        registry.register("events", "Events made durable, by the way they took", self.events.clone());
        registry.register("dead_letters", "Dead letters by source and reason", self.dead_letters.clone());
        registry.register("unmapped_values", "Values of a provider that are in no map", self.unmapped.clone());
        registry.register(
            "publish_duration_seconds",
            "Time from producing to acknowledgement",
            self.publish_duration.clone(),
        );
        registry.register(
            "unacknowledged_records",
            "Records that Kafka has not acknowledged yet",
            self.unacknowledged.clone(),
        );
        registry.register("refused_records", "Records that Kafka refused for good", self.refused.clone());
        registry.register("ready", "1 while events can be made durable", self.ready.clone());
    }

    fn register_spool(&mut self) {
        let gauges = [
            ("spool_events", "Events that wait in the spool", &self.spool_events),
            ("spool_bytes", "What the spool holds, as it counts against its limit", &self.spool_bytes),
            ("spool_oldest_age_seconds", "Age of the oldest event in the spool", &self.spool_oldest_age),
            ("spool_quarantined_events", "Events that Kafka refuses in every form", &self.spool_quarantined),
            ("spool_ready", "1 while the spool can keep events", &self.spool_ready),
            ("lanes_open", "Partitions whose events go to the spool", &self.lanes_open),
            ("dedup_warm", "1 once the duplicate window was filled after the start", &self.dedup_warm),
            ("dedup_warmed_events", "Events it was filled with", &self.dedup_warmed_events),
        ];
        for (name, help, gauge) in gauges {
            self.registry.register(name, help, gauge.clone());
        }
        let counters = [
            ("spool_late_acknowledgements", "Spooled events acknowledged late", &self.late_acknowledgements),
            ("spool_drained", "Events published from the spool", &self.drained),
            ("producer_replacements", "Fatal failures of the Kafka client, mended", &self.producer_replacements),
        ];
        for (name, help, counter) in counters {
            self.registry.register(name, help, counter.clone());
        }
        let failures = self.delivery_failures.clone();
        self.registry.register("delivery_failures", "Deliveries that the Kafka client gave back", failures);
    }

    /// Counts a delivery that Kafka's client gave back. The error's name is from librdkafka's list.
    pub fn delivery_failed(&self, error: String) {
        self.delivery_failures.get_or_create(&vec![("error", error)]).inc();
    }

    /// Looks up the metrics of one source. Its counters exist from now on, at zero.
    pub fn source(&self, source: &str, provider: &'static str, secrets: usize) -> SourceMetrics {
        let labels = |name: &'static str, value: &str| vec![("source", source.to_owned()), (name, value.to_owned())];
        let of_kind = |kind: Kind| {
            ["kafka", "spool"].map(|route| {
                let mut labels = labels("kind", kind.info().name);
                labels.push(("route", route.to_owned()));
                self.events.get_or_create_owned(&labels)
            })
        };
        SourceMetrics {
            source: source.to_owned(),
            provider,
            requests: RequestOutcome::ALL.map(|(_, name)| self.requests.get_or_create_owned(&labels("outcome", name))),
            events: std::array::from_fn(|index| of_kind(KINDS[index].kind)),
            secret_matches: (0..secrets)
                .map(|index| self.secret_matches.get_or_create_owned(&labels("index", &index.to_string())))
                .collect(),
            last_received: self.last_received.get_or_create_owned(&vec![("source", source.to_owned())]),
            refusals: Arc::clone(&self.refusals),
        }
    }

    /// Counts a dead letter. `reason` comes from a fixed list.
    pub fn dead_letter(&self, source: &SourceMetrics, reason: &'static str) {
        let labels = vec![("source", source.source.clone()), ("reason", reason.to_owned())];
        self.dead_letters.get_or_create(&labels).inc();
    }

    /// Counts a webhook that is not authentic by its reason, and has the log tell it.
    pub fn unauthenticated(&self, source: &SourceMetrics, error: AuthError) {
        let labels = vec![("source", source.source.clone()), ("reason", error.code().to_owned())];
        self.unauthenticated.get_or_create(&labels).inc();
        self.refusals.note(&source.source, error.code(), Instant::now());
    }

    /// Has the log tell a webhook that belongs elsewhere. `advice` comes from a fixed list.
    pub fn misdirected(&self, source: &SourceMetrics, advice: &'static str) {
        self.misdirected.note(&source.source, advice, Instant::now());
    }

    /// Counts a value that is in no map. `field` is the wire field's name in our code.
    pub fn unmapped(&self, source: &SourceMetrics, field: &'static str) {
        let labels = vec![("provider", source.provider.to_owned()), ("field", field.to_owned())];
        self.unmapped.get_or_create(&labels).inc();
    }

    /// Counts a record that Kafka refused for good.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&vec![("reason", reason.to_owned())]).inc();
    }

    /// Everything in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

fn build_labels() -> Labels {
    [("version", BUILD.version), ("commit", BUILD.commit), ("target", BUILD.target), ("rustc", BUILD.rustc)]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
}

impl SourceMetrics {
    /// Counts a request by its outcome. A refusal is told by the log too; why a webhook is not authentic is known
    /// elsewhere, and told from there.
    pub fn request(&self, outcome: RequestOutcome) {
        let Some(index) = RequestOutcome::ALL.iter().position(|(known, _)| *known == outcome) else { return };
        self.requests[index].inc();
        if outcome.is_refusal() {
            self.refusals.note(&self.source, RequestOutcome::ALL[index].1, Instant::now());
        }
    }

    /// The counter of durable events of one kind that took one way.
    pub fn events(&self, kind: Kind, route: Route) -> &Counter {
        &self.events[kind as usize][route as usize]
    }

    /// Counts an authentic request.
    #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch fit a float exactly")]
    pub fn authentic(&self, secret_index: Option<usize>, now_s: i64) {
        self.last_received.set(now_s as f64);
        if let Some(counter) = secret_index.and_then(|index| self.secret_matches.get(index)) {
            counter.inc();
        }
    }
}

/// OpenMetrics 1.0.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Label sets are plain pairs; this is what makes them one.
const _: fn() = || {
    fn encodes<T: EncodeLabelSet>() {}
    encodes::<Labels>();
};
