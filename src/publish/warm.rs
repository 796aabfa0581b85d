//! Filling the duplicate window after a start, so that a provider's retry of what was answered just
//! before a crash is not published again. It happens in the background: readiness does not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::client::StartError;
use super::dedup::FactKey;
use super::locked_lane::Shared;
use super::reader::{From, ReadRecord, Reader};
use super::vitals::Ends;
use super::{Core, topics};
use crate::event::id::{EventId, FactHash};
use crate::event::kind::KINDS;
use crate::settings::KafkaSettings;

/// How long the topics are read at most, once they can be.
const READ_FOR: Duration = Duration::from_secs(30);

/// How long to wait for brokers, and for records.
const POLL: Duration = Duration::from_millis(100);

/// How long partitions without a leader are waited for, and how often they are looked at meanwhile.
const LEADERS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The thread that fills the window.
#[derive(Debug)]
pub(super) struct Warming {
    stop: Arc<AtomicBool>,
}

impl Warming {
    pub(super) fn start(settings: &KafkaSettings, window: usize, core: &Core) -> Result<Self, StartError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (settings, shared, stopped) = (settings.clone(), Arc::clone(&core.shared), Arc::clone(&stop));
        // Nobody waits for its end: it may be asking brokers that do not answer.
        let thread = core.vitals.spawn("duplicate-window", Ends::WhenDone, move || {
            if window > 0 {
                fill(&settings, window, &shared, &stopped);
            }
            shared.metrics.dedup_warm.set(1);
        })?;
        drop(thread);
        Ok(Self { stop })
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn fill(settings: &KafkaSettings, window: usize, shared: &Shared, stopped: &AtomicBool) {
    let Some(mut reader) = open(settings, window, shared, stopped) else { return };
    let deadline = Instant::now() + READ_FOR;
    let mut remembered = 0;
    while !reader.is_at_end() && Instant::now() < deadline && !stopped.load(Ordering::Acquire) {
        match reader.next(POLL) {
            Ok(None) => {}
            Ok(Some(record)) => {
                if let Some(key) = key_of(&record) {
                    shared.window.remember(key);
                    remembered += 1;
                }
            }
            Err(error) => return tracing::warn!(%error, "the topics can not be read; retries may be published again"),
        }
    }
    shared.metrics.dedup_warmed_events.set(remembered);
    let whole = reader.is_at_end() && reader.left_out() == 0;
    tracing::info!(events = remembered, whole, "the duplicate window is filled");
}

/// Opens the topics at their ends, once the brokers are ready: a client that asks brokers who are away can
/// not be stopped for a while. Partitions without a leader are waited for, and left out where none comes.
fn open(settings: &KafkaSettings, window: usize, shared: &Shared, stopped: &AtomicBool) -> Option<Reader> {
    let names: Vec<String> = KINDS.iter().map(|info| topics::full_name(settings, info.topic)).collect();
    let partitions: i64 = KINDS.iter().map(|info| i64::from(info.topic.partitions)).sum();
    let each = i64::try_from(window).unwrap_or(i64::MAX) / partitions + 1;
    let mut opened_first = None;
    while !stopped.load(Ordering::Acquire) {
        let mut pause = POLL;
        if shared.brokers_answer.load(Ordering::Acquire) {
            match Reader::open(settings, &names, From::Last(each)) {
                Ok(reader) if reader.left_out() == 0 => return Some(reader),
                Ok(reader) => {
                    let since = *opened_first.get_or_insert_with(Instant::now);
                    if since.elapsed() > LEADERS_WITHIN {
                        tracing::warn!(partitions = reader.left_out(), "partitions have no leader, and are not read");
                        return Some(reader);
                    }
                    pause = LOOK_AGAIN;
                }
                Err(error) => tracing::debug!(%error, "the topics can not be read yet"),
            }
        }
        std::thread::park_timeout(pause);
    }
    None
}

/// The identity of an event: its headers have it, or, of a structured CloudEvent, its value.
fn key_of(record: &ReadRecord) -> Option<FactKey> {
    if let Some(id) = record.headers.get("ce_id") {
        return parse(id, record.headers.get("ce_facthash").map(String::as_str));
    }
    let event: CloudEvent = serde_json::from_slice(&record.value).ok()?;
    parse(&event.id, event.facthash.as_deref())
}

#[derive(Deserialize)]
struct CloudEvent {
    id: String,
    facthash: Option<String>,
}

fn parse(id: &str, fact_hash: Option<&str>) -> Option<FactKey> {
    let fact_hash = match fact_hash {
        None => None,
        Some(text) => Some(FactHash::parse(text)?),
    };
    Some((EventId::parse(id)?, fact_hash))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn record(headers: &[(&str, &str)], value: &str) -> ReadRecord {
        let headers: HashMap<_, _> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (topic, key, value) = (String::new(), String::new(), value.as_bytes().to_vec());
        ReadRecord { topic, partition: 0, offset: 0, key, headers, value }
    }

    #[test]
    fn an_event_is_known_by_its_headers_or_by_its_structured_value() {
        let (id, hash) = ("00112233445566778899aabbccddeeff", "0011223344556677");
        let binary = key_of(&record(&[("ce_id", id), ("ce_facthash", hash)], "{}")).unwrap();
        assert_eq!((binary.0.to_string(), binary.1.unwrap().to_string()), (id.to_owned(), hash.to_owned()));
        let value = format!("{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"facthash\":\"{hash}\",\"data\":{{}}}}");
        assert_eq!(key_of(&record(&[], &value)), Some(binary));
        assert_eq!(key_of(&record(&[("ce_id", id)], "{}")), Some((binary.0, None)));
        for strange in [
            record(&[("ce_id", "x")], "{}"),
            record(&[("ce_id", id), ("ce_facthash", "x")], "{}"),
            record(&[], "no JSON"),
        ] {
            assert_eq!(key_of(&strange), None);
        }
    }
}
