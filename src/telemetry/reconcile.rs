//! Metrics of comparing with the providers' own lists.
//!
//! The series of a source are there while this process owns it, so that sums over replicas are right; only
//! `reconcile_owned` tells of every source.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;
type Number = Gauge<f64, AtomicU64>;

/// What a row can be, the label `state` of rows.
const ROWS: [&str; 7] = ["held", "missing", "new", "updated", "unreadable", "published", "withheld"];

/// How a window can end, the label `outcome`.
const OUTCOMES: [&str; 3] = ["complete", "open", "expired"];

/// Numbers of rows in the order of the label's values: held, missing, new, updated, unreadable, published, withheld.
pub type RowNumbers = [u64; ROWS.len()];

/// The metrics of all sources.
#[derive(Debug, Default)]
pub struct ReconcileFamilies {
    rows: Family<Labels, Counter>,
    missing: Family<Labels, Counter>,
    unexplained: Family<Labels, Gauge>,
    lag: Family<Labels, Gauge>,
    horizon: Family<Labels, Number>,
    open_windows: Family<Labels, Gauge>,
    windows: Family<Labels, Counter>,
    state: Family<Labels, Gauge>,
    owned: Family<Labels, Gauge>,
    audit_mismatches: Family<Labels, Counter>,
    /// Sources that have cursors and are in no configuration here.
    pub unowned_sources: Gauge,
    /// Records of the topics that were looked at.
    pub scan_records: Counter,
    scan_seconds: Counter<f64, AtomicU64>,
    /// What rows have taken of the memory.
    pub index_bytes: Gauge,
}

/// The metrics of one stream, from when its source is owned until this is dropped.
#[derive(Debug)]
pub struct StreamMetrics {
    families: Arc<ReconcileFamilies>,
    source: Labels,
    stream: Labels,
    states: &'static [&'static str],
}

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    labels.iter().cloned().chain([(name, value.to_owned())]).collect()
}

impl ReconcileFamilies {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("reconcile_rows", "Rows of a provider's list, by what became of them", self.rows.clone());
        registry.register("reconcile_missing", "Rows that no webhook had told", self.missing.clone());
        registry.register("reconcile_windows", "Hours that were compared, by outcome", self.windows.clone());
        registry.register("reconcile_audit_mismatch", "Audited hours with unseen rows", self.audit_mismatches.clone());
        registry.register("reconcile_scan_records", "Records of topics looked at", self.scan_records.clone());
        registry.register("reconcile_scan_seconds", "Time that took", self.scan_seconds.clone());
        let horizon = "Seconds until the oldest open hour leaves the provider";
        registry.register("reconcile_horizon_seconds", horizon, self.horizon.clone());
        let gauges = [
            ("reconcile_unexplained", "Counted rows of open hours that were seen nowhere", &self.unexplained),
            ("reconcile_lag_seconds", "Age of the oldest hour that was not read yet", &self.lag),
            ("reconcile_open_windows", "Hours that are tried again", &self.open_windows),
            ("reconcile_state", "1 for what a stream is doing", &self.state),
            ("reconcile_owned", "1 where this process compares the source", &self.owned),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let unowned = "Sources with cursors that are not configured here";
        registry.register("reconcile_unowned_sources", unowned, self.unowned_sources.clone());
        registry.register("reconcile_index_bytes", "Memory that rows have taken", self.index_bytes.clone());
    }

    /// Tells whether a source is compared by this process.
    pub fn owned(&self, source: &str, is_owned: bool) {
        self.owned.get_or_create(&vec![("source", source.to_owned())]).set(i64::from(is_owned));
    }

    /// Notes how long topics were looked through.
    pub fn scanned(&self, records: u64, elapsed: Duration) {
        self.scan_records.inc_by(records);
        self.scan_seconds.inc_by(elapsed.as_secs_f64());
    }

    /// Begins the series of one stream, at zero. `states` are all the states that it can have.
    pub fn stream(self: &Arc<Self>, source: &str, stream: &str, states: &'static [&'static str]) -> StreamMetrics {
        let source: Labels = vec![("source", source.to_owned())];
        let stream = with(&source, "stream", stream);
        let begun = StreamMetrics { families: Arc::clone(self), source, stream, states };
        ROWS.iter().for_each(|row| drop(self.rows.get_or_create(&with(&begun.stream, "state", row))));
        OUTCOMES.iter().for_each(|outcome| drop(self.windows.get_or_create(&with(&begun.stream, "outcome", outcome))));
        drop(self.missing.get_or_create(&begun.source));
        drop(self.audit_mismatches.get_or_create(&begun.source));
        begun.state(states.first().copied().unwrap_or_default());
        begun.windows(0, 0, None);
        begun.lag(0);
        begun
    }
}

impl StreamMetrics {
    /// Counts rows. `missing` are those that no webhook had told.
    pub fn rows(&self, numbers: RowNumbers, missing: u64) {
        for (name, number) in ROWS.iter().zip(numbers) {
            self.families.rows.get_or_create(&with(&self.stream, "state", name)).inc_by(number);
        }
        self.families.missing.get_or_create(&self.source).inc_by(missing);
    }

    /// Counts a window by its outcome: `complete`, `open`, `expired`.
    pub fn window(&self, outcome: &'static str) {
        self.families.windows.get_or_create(&with(&self.stream, "outcome", outcome)).inc();
    }

    /// Counts audited cells in which rows were found that the topics lacked.
    pub fn audit_mismatches(&self, cells: u64) {
        self.families.audit_mismatches.get_or_create(&self.source).inc_by(cells);
    }

    /// Tells of the windows that are open now.
    #[expect(clippy::cast_precision_loss, reason = "seconds of some months fit a float exactly")]
    pub fn windows(&self, open: usize, unexplained: u64, horizon_s: Option<i64>) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.families.open_windows.get_or_create(&self.stream).set(number(open as u64));
        self.families.unexplained.get_or_create(&self.stream).set(number(unexplained));
        let horizon_s = horizon_s.map_or(f64::INFINITY, |seconds| seconds as f64);
        self.families.horizon.get_or_create(&self.stream).set(horizon_s);
    }

    /// Tells how old the oldest window is that was not read yet: of a source's streams, the greatest.
    pub fn lag(&self, lag_s: i64) {
        self.families.lag.get_or_create(&self.source).set(lag_s);
    }

    /// Tells what the stream is doing.
    pub fn state(&self, now: &'static str) {
        for state in self.states {
            self.families.state.get_or_create(&with(&self.stream, "state", state)).set(i64::from(*state == now));
        }
    }
}

impl Drop for StreamMetrics {
    fn drop(&mut self) {
        let Self { families, source, stream, states } = self;
        for row in ROWS {
            families.rows.remove(&with(stream, "state", row));
        }
        for outcome in OUTCOMES {
            families.windows.remove(&with(stream, "outcome", outcome));
        }
        for state in *states {
            families.state.remove(&with(stream, "state", state));
        }
        families.missing.remove(source);
        families.audit_mismatches.remove(source);
        families.lag.remove(source);
        families.unexplained.remove(stream);
        families.open_windows.remove(stream);
        families.horizon.remove(stream);
    }
}

#[cfg(test)]
mod tests {
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn the_series_of_a_stream_are_there_while_it_is_owned() {
        let metrics = Metrics::new();
        metrics.reconcile.owned("webex-a", false);
        let owned = || {
            let text = metrics.render();
            let lines = text.lines().filter(|line| line.contains("webex-a")).map(str::to_owned);
            lines.collect::<Vec<_>>()
        };
        assert_eq!(owned(), ["trunkline_reconcile_owned{source=\"webex-a\"} 0"]);
        let stream = metrics.reconcile.stream("webex-a", "cdr", &["idle", "asking"]);
        stream.rows([5, 1, 0, 2, 0, 3, 0], 1);
        stream.window("complete");
        stream.windows(2, 7, Some(60));
        stream.state("asking");
        let lines = owned();
        for expected in [
            "trunkline_reconcile_rows_total{source=\"webex-a\",stream=\"cdr\",state=\"held\"} 5",
            "trunkline_reconcile_rows_total{source=\"webex-a\",stream=\"cdr\",state=\"new\"} 0",
            "trunkline_reconcile_missing_total{source=\"webex-a\"} 1",
            "trunkline_reconcile_windows_total{source=\"webex-a\",stream=\"cdr\",outcome=\"expired\"} 0",
            "trunkline_reconcile_horizon_seconds{source=\"webex-a\",stream=\"cdr\"} 60.0",
            "trunkline_reconcile_state{source=\"webex-a\",stream=\"cdr\",state=\"asking\"} 1",
            "trunkline_reconcile_state{source=\"webex-a\",stream=\"cdr\",state=\"idle\"} 0",
            "trunkline_reconcile_audit_mismatch_total{source=\"webex-a\"} 0",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} is not in {lines:#?}");
        }
        drop(stream);
        assert_eq!(owned().len(), 1, "{:#?}", owned());
    }
}
