//! Metrics of what the providers' APIs are asked.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What may come of a request, the label `outcome`. A series that begins when something goes wrong for the first time
/// has no rate then.
const OUTCOMES: [&str; 24] = [
    "ok",
    "empty",
    "lossy",
    "unauthorized",
    "forbidden",
    "not_found",
    "gone",
    "conflict",
    "invalid",
    "expired",
    "throttled",
    "quota",
    "elsewhere",
    "server_error",
    "unreachable",
    "tls",
    "redirect_refused",
    "foreign_host",
    "timeout",
    "truncated",
    "not_understood",
    "too_large",
    "short_answer",
    "page_repeats",
];

type Labels = Vec<(&'static str, String)>;

/// The metrics of all sources that ask an API.
#[derive(Debug)]
pub struct ApiFamilies {
    requests: Family<Labels, Counter>,
    duration: Family<Labels, Histogram, Durations>,
    throttled: Family<Labels, Counter<f64, AtomicU64>>,
    quota: Family<Labels, Gauge>,
    skew: Family<Labels, Gauge>,
    token_expires: Family<Labels, Gauge>,
}

/// Answers of these APIs take between some ten milliseconds and two minutes.
#[derive(Debug, Clone, Copy)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0])
    }
}

/// The metrics of one source's API.
#[derive(Debug)]
pub struct ApiMetrics {
    source: String,
    requests: Family<Labels, Counter>,
    duration: Histogram,
    throttled: Counter<f64, AtomicU64>,
    quota: Gauge,
    skew: Gauge,
    token_expires: Gauge,
    last_skew_s: AtomicI64,
    /// Less than nothing where the provider tells of no quota.
    last_quota: AtomicI64,
}

impl Default for ApiFamilies {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(Durations),
            throttled: Family::default(),
            quota: Family::default(),
            skew: Family::default(),
            token_expires: Family::default(),
        }
    }
}

impl ApiFamilies {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("api_requests", "Requests to providers' APIs by class and outcome", self.requests.clone());
        registry.register("api_request_duration_seconds", "Duration of requests to APIs", self.duration.clone());
        registry.register("api_throttled_seconds", "Time waited because an API said so", self.throttled.clone());
        registry.register("api_quota_remaining", "Requests that an API still allows, as it says", self.quota.clone());
        registry.register("api_clock_skew_seconds", "How far an API's clock is ahead of ours", self.skew.clone());
        registry.register(
            "api_token_expires_timestamp_seconds",
            "Unix time at which the refresh token ends, 0 where it is not known",
            self.token_expires.clone(),
        );
    }

    /// Looks up the metrics of one source. They exist from now on, at zero.
    pub fn of(&self, source: &str) -> ApiMetrics {
        let labels = vec![("source", source.to_owned())];
        ApiMetrics {
            source: source.to_owned(),
            requests: self.requests.clone(),
            duration: self.duration.get_or_create_owned(&labels),
            throttled: self.throttled.get_or_create_owned(&labels),
            quota: self.quota.get_or_create_owned(&labels),
            skew: self.skew.get_or_create_owned(&labels),
            token_expires: self.token_expires.get_or_create_owned(&labels),
            last_skew_s: AtomicI64::new(0),
            last_quota: AtomicI64::new(-1),
        }
    }
}

impl ApiMetrics {
    /// Counts no request of a class, so that its counters exist from now on.
    pub fn begin(&self, class: &'static str) {
        for outcome in OUTCOMES {
            drop(self.requests.get_or_create(&self.labels(class, outcome)));
        }
    }

    /// Counts a request. Class and outcome come from fixed lists.
    pub fn request(&self, class: &'static str, outcome: &'static str) {
        self.requests.get_or_create(&self.labels(class, outcome)).inc();
    }

    fn labels(&self, class: &'static str, outcome: &'static str) -> Labels {
        vec![("source", self.source.clone()), ("endpoint", class.to_owned()), ("outcome", outcome.to_owned())]
    }

    /// Notes how long a request took.
    pub fn duration(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }

    /// Notes how long is waited because the provider said so.
    pub fn throttled(&self, wait: Duration) {
        self.throttled.inc_by(wait.as_secs_f64());
    }

    /// Notes how many requests the provider still allows.
    pub fn quota(&self, remaining: i64) {
        self.quota.set(remaining);
        self.last_quota.store(remaining, Ordering::Relaxed);
    }

    /// How many requests the provider still allows, if it has said so.
    pub fn last_quota(&self) -> Option<i64> {
        Some(self.last_quota.load(Ordering::Relaxed)).filter(|remaining| *remaining >= 0)
    }

    /// The Unix time at which the refresh token ends, if it is known.
    pub fn token_expires_unix_s(&self) -> Option<i64> {
        Some(self.token_expires.get()).filter(|unix_s| *unix_s > 0)
    }

    /// Notes the Unix time at which the refresh token ends.
    pub fn token_expires(&self, unix_s: i64) {
        self.token_expires.set(unix_s);
    }

    /// Notes by how many seconds the provider's clock is ahead of ours, and tells what was noted before.
    pub fn clock_skew(&self, skew_s: i64) -> i64 {
        self.skew.set(skew_s);
        self.last_skew_s.swap(skew_s, Ordering::Relaxed)
    }

    /// By how many seconds the provider's clock was last ahead of ours.
    pub fn last_skew_s(&self) -> i64 {
        self.last_skew_s.load(Ordering::Relaxed)
    }
}
