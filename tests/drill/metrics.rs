//! What the program tells about itself, once a second.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::ledger::Ledger;
use crate::scene::Scene;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The counters that tell which way events took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) live: u64,
    pub(crate) spooled: u64,
    pub(crate) late: u64,
    pub(crate) drained: u64,
    pub(crate) replacements: u64,
    /// Events in the spool; absent if the program does not tell.
    pub(crate) in_spool: Option<u64>,
}

/// One look at the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at_us: u64,
    /// Which process it was, see [`Scene::life`].
    pub(crate) life: u64,
    pub(crate) counters: Counters,
    /// Greatest resident memory of the process so far, in KiB.
    pub(crate) peak_rss_kib: u64,
    /// Requests answered 2xx by then, as counted by the senders.
    pub(crate) taken: u64,
}

/// Sums over all lives of the program.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ways {
    pub(crate) live: u64,
    pub(crate) spooled: u64,
    pub(crate) late: u64,
    pub(crate) drained: u64,
    /// Times that the Kafka client was replaced.
    pub(crate) replacements: u64,
    /// What was drained between two looks between which requests were answered too.
    pub(crate) drained_under_load: u64,
}

/// Looks at the program and remembers.
#[derive(Debug)]
pub(crate) struct Watch {
    client: reqwest::Client,
    admin: String,
    scene: Arc<Scene>,
    ledger: Arc<Ledger>,
    process: AtomicU32,
    samples: Mutex<Vec<Sample>>,
}

impl Watch {
    pub(crate) fn new(admin: String, scene: Arc<Scene>, ledger: Arc<Ledger>) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).pool_max_idle_per_host(0).build().unwrap();
        Self { client, admin, scene, ledger, process: AtomicU32::new(0), samples: Mutex::default() }
    }

    /// Tells which process is looked at from now on.
    pub(crate) fn observe(&self, process: u32) {
        self.process.store(process, Ordering::Release);
    }

    pub(crate) async fn is_ok(&self, path: &str) -> bool {
        let answer = self.client.get(format!("{}{path}", self.admin)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Takes a sample, if the program answers and stays the same meanwhile.
    pub(crate) async fn sample(&self) {
        let (life, at_us) = (self.scene.life(), self.scene.now_us());
        let Some(text) = self.get("/metrics").await else { return };
        let peak_rss_kib = peak_rss_kib(self.process.load(Ordering::Acquire)).unwrap_or(0);
        if life % 2 == 1 && life == self.scene.life() {
            let taken = self.ledger.counts().taken;
            let sample = Sample { at_us, life, counters: Counters::parse(&text), peak_rss_kib, taken };
            self.samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
        }
    }

    /// Events in the spool as `/readyz` and the metric tell, the greater of both; `Err` if nothing
    /// answers, `Ok(None)` if the program knows no spool.
    pub(crate) async fn in_spool(&self) -> Result<Option<u64>, &'static str> {
        let silent = "the operators' address does not answer";
        let metrics = self.get("/metrics").await.ok_or(silent)?;
        let readiness = self.get("/readyz").await.ok_or(silent)?;
        let readiness: serde_json::Value = serde_json::from_str(&readiness).map_err(|_| "/readyz is not JSON")?;
        Ok(readiness["spool"]["events"].as_u64().max(Counters::parse(&metrics).in_spool))
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn last(&self) -> Option<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).last().copied()
    }

    async fn get(&self, path: &str) -> Option<String> {
        let answer = self.client.get(format!("{}{path}", self.admin)).send().await.ok()?;
        answer.text().await.ok()
    }
}

impl Counters {
    /// Reads a page of metrics in OpenMetrics or Prometheus text.
    pub(crate) fn parse(text: &str) -> Self {
        let mut counters = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.split_once(' ').filter(|_| line.starts_with("trunkline_")) else {
                continue;
            };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let Ok(value) = value.trim().parse::<u64>() else { continue };
            match name {
                "trunkline_events_total" if labels.contains("route=\"kafka\"") => counters.live += value,
                "trunkline_events_total" if labels.contains("route=\"spool\"") => counters.spooled += value,
                "trunkline_spool_late_acknowledgements_total" => counters.late += value,
                "trunkline_spool_drained_total" => counters.drained += value,
                "trunkline_producer_replacements_total" => counters.replacements += value,
                "trunkline_spool_events" => *counters.in_spool.get_or_insert(0) += value,
                _ => {}
            }
        }
        counters
    }
}

impl Ways {
    /// Adds up the lives. Within one, a counter never falls, so its last sample holds its sum.
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let mut ways = Self::default();
        for (index, sample) in samples.iter().enumerate() {
            let same_life = |other: &&Sample| other.life == sample.life;
            let before = index.checked_sub(1).map(|before| &samples[before]).filter(same_life);
            let from = before.map_or(Counters::default(), |before| before.counters);
            let now = sample.counters;
            let drained = now.drained.saturating_sub(from.drained);
            ways.live += now.live.saturating_sub(from.live);
            ways.spooled += now.spooled.saturating_sub(from.spooled);
            ways.late += now.late.saturating_sub(from.late);
            ways.drained += drained;
            ways.replacements += now.replacements.saturating_sub(from.replacements);
            if before.is_some_and(|before| before.taken < sample.taken) {
                ways.drained_under_load += drained;
            }
        }
        ways
    }
}

/// The samples as a table for a plotting program.
pub(crate) fn table(samples: &[Sample]) -> String {
    let mut text = "seconds,life,live,spooled,late,drained,replacements,in_spool,peak_rss_kib,taken\n".to_owned();
    for Sample { at_us, life, counters, peak_rss_kib, taken } in samples {
        let Counters { live, spooled, late, drained, replacements, in_spool } = counters;
        let (seconds, in_spool) = (at_us / 1_000_000, in_spool.unwrap_or(0));
        write!(text, "{seconds},{life},{live},{spooled},{late},{drained},{replacements},").unwrap();
        writeln!(text, "{in_spool},{peak_rss_kib},{taken}").unwrap();
    }
    text
}

/// `VmHWM` of a process; absent where the system does not tell or the process has gone.
fn peak_rss_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels() {
        let text = "# TYPE trunkline_events counter\n\
                    trunkline_events_total{source=\"a\",kind=\"x\",route=\"kafka\"} 3\n\
                    trunkline_events_total{source=\"b\",kind=\"x\",route=\"kafka\"} 4\n\
                    trunkline_events_total{source=\"b\",kind=\"x\",route=\"spool\"} 5\n\
                    trunkline_spool_late_acknowledgements_total 6\n\
                    trunkline_spool_drained_total 7\ntrunkline_producer_replacements_total 2\ntrunkline_spool_events 8\ntrunkline_ready 1\n# EOF\n";
        let counters = Counters { live: 7, spooled: 5, late: 6, drained: 7, replacements: 2, in_spool: Some(8) };
        assert_eq!(Counters::parse(text), counters);
        assert_eq!(Counters::parse("trunkline_ready 1\n").in_spool, None);
    }

    #[test]
    fn ways_are_summed_over_lives_and_draining_counts_as_loaded_only_beside_answers() {
        let sample = |life, drained, taken| Sample {
            at_us: 0,
            life,
            counters: Counters { drained, live: drained * 10, ..Counters::default() },
            peak_rss_kib: 0,
            taken,
        };
        let ways = Ways::of(&[sample(1, 0, 5), sample(1, 4, 6), sample(3, 2, 9), sample(3, 7, 9)]);
        assert_eq!((ways.drained, ways.drained_under_load, ways.live), (11, 4, 110));
    }
}
