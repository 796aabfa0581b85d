//! Publishing: records in, certainty out.
//!
//! The publisher owns every record from [`Publisher::submit`] to its end. A request only holds a
//! [`Ticket`] and decides for itself how long it waits; when it stops waiting, or its client goes away,
//! the record is still delivered as soon as Kafka takes it, and the duplicate window knows about it.
//! [`Publisher::submit`] is the one door: whatever else makes events durable stands behind it too.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub mod dead_letter;
pub mod dedup;
pub mod embedded;
pub mod health;
pub mod kafka;
mod kept;
pub mod raw;
pub mod reader;
pub mod ticket;
pub mod topics;

use crate::config::KafkaSettings;
use crate::event::envelope::Record;
use crate::event::kind::{self, TopicInfo};
use crate::event::time::Time;
use crate::providers::Fault;
use crate::request::{Headers, Method, RawRequest};
use crate::telemetry::metrics::{Metrics, SourceMetrics};
use dedup::{Admission, Window};
use health::Health;
use kafka::{Delivery, Producer, Refused, SendError};
use ticket::Ticket;

/// Where a batch of records comes from, as far as their later fate may need it.
#[derive(Debug)]
pub struct Origin {
    /// Name of the source.
    pub source_name: Arc<str>,
    /// Name of the provider.
    pub provider: &'static str,
    /// Method of the request.
    pub method: Method,
    /// Who sent it.
    pub remote_addr: Option<IpAddr>,
    /// When it was read.
    pub received_at: Time,
    /// The source's metrics.
    pub metrics: Arc<SourceMetrics>,
}

/// A batch that the publisher has taken.
#[derive(Debug)]
pub struct Submitted {
    /// Tells when everything is durable.
    pub ticket: Arc<Ticket>,
    /// How many records there are.
    pub records: usize,
    /// How many of the records are not copies of earlier ones.
    pub fresh: usize,
}

/// Publishes records to Kafka.
#[derive(Debug)]
pub struct Publisher {
    inner: Arc<Inner>,
    health: Health,
    refusals: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    producer: Producer,
    window: Arc<Window>,
    topic_names: HashMap<&'static str, String>,
    metrics: Arc<Metrics>,
}

impl Publisher {
    /// Starts a producer and the threads that look after it. Kafka need not be reachable yet.
    ///
    /// # Errors
    /// When librdkafka does not accept the configuration.
    pub fn start(settings: &KafkaSettings, window: usize, metrics: &Arc<Metrics>) -> Result<Self, kafka::StartError> {
        let window = Arc::new(Window::new(window));
        let (producer, refused) = Producer::start(settings, Arc::clone(&window), Arc::clone(metrics))?;
        let names = kind::all_topics().map(|topic| (topic.suffix, topics::full_name(settings, topic)));
        let topic_names: HashMap<_, _> = names.collect();
        let wanted = topics::wanted(settings).map(|topic| topics::full_name(settings, topic)).collect();
        let health = Health::watch(producer.clone(), wanted, Arc::clone(metrics));
        let inner = Arc::new(Inner { producer, window, topic_names, metrics: Arc::clone(metrics) });
        let worker = Arc::clone(&inner);
        let refusals = std::thread::Builder::new()
            .name("refused-records".to_owned())
            .spawn(move || refused.into_iter().for_each(|refused| worker.bury(refused)))
            .map_err(kafka::StartError::Thread)?;
        Ok(Self { inner, health, refusals: Some(refusals) })
    }

    /// Takes a batch of records. They are on their way, or known as copies, when this returns.
    pub fn submit(&self, records: Vec<Record>, origin: &Arc<Origin>) -> Submitted {
        let count = records.len();
        let ticket = Arc::new(Ticket::new(count));
        let mut fresh = 0;
        for record in records {
            match self.inner.admit(&record, &ticket) {
                Admission::Durable => ticket.settle(true),
                Admission::Pending => {}
                Admission::New => {
                    fresh += 1;
                    self.inner.produce(&record, &ticket, origin);
                }
            }
        }
        Submitted { ticket, records: count, fresh }
    }

    /// What is known of the broker.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Waits for acknowledgements of everything on its way, at most this long, and tells how many
    /// records are left without one.
    pub fn flush(&self, timeout: Duration) -> usize {
        self.inner.producer.flush(timeout)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.health.stop();
        self.inner.producer.close();
        if let Some(refusals) = self.refusals.take()
            && refusals.join().is_err()
        {
            tracing::error!("the thread for refused records had panicked");
        }
    }
}

impl Inner {
    fn admit(&self, record: &Record, ticket: &Arc<Ticket>) -> Admission {
        record.identity.map_or(Admission::New, |key| self.window.admit(key, ticket))
    }

    fn produce(&self, record: &Record, ticket: &Arc<Ticket>, origin: &Arc<Origin>) {
        let delivery = Delivery::new(Arc::clone(ticket), record.identity, record.kind, Arc::clone(origin));
        match self.producer.send(self.topic_name(record.topic), record, delivery) {
            Ok(()) => {}
            Err(SendError::Refused(delivery, reason)) => {
                let value = record.value.clone();
                self.bury(Refused { delivery, value, reason });
            }
            Err(SendError::Unavailable(delivery)) => delivery.finish(&self.window, false),
        }
    }

    fn topic_name(&self, topic: &TopicInfo) -> &str {
        self.topic_names.get(topic.suffix).map_or(topic.suffix, String::as_str)
    }

    /// Puts a record that Kafka refuses for good into the dead-letter topic. Asking again would be
    /// refused again; the event counts as durable once its dead letter is.
    fn bury(&self, refused: Refused) {
        let Refused { delivery, value, reason } = refused;
        self.metrics.refused(reason);
        let origin = Arc::clone(&delivery.origin);
        tracing::error!(source.name = %origin.source_name, reason, value_bytes = value.len(), "Kafka refuses a record for good");
        let letter = match delivery.is_dead_letter() {
            true => None,
            false => dead_letter_of(&value, reason, &origin).ok(),
        };
        let Some(letter) = letter else {
            return delivery.finish(&self.window, false);
        };
        self.metrics.dead_letter(&origin.metrics, reason);
        match self.producer.send(self.topic_name(letter.topic), &letter, delivery.as_dead_letter()) {
            Ok(()) => {}
            Err(SendError::Refused(delivery, _) | SendError::Unavailable(delivery)) => {
                delivery.finish(&self.window, false);
            }
        }
    }
}

/// The refused event itself is the dead letter's body: the request it came from is gone by now.
fn dead_letter_of(value: &[u8], reason: &'static str, origin: &Origin) -> Result<Record, serde_json::Error> {
    let path = format!("/webhooks/{}", origin.source_name);
    let request = RawRequest {
        method: origin.method,
        path: &path,
        url_token: None,
        query: "",
        headers: Headers::default(),
        body: value,
        undecodable: false,
        remote_addr: origin.remote_addr,
        received_at: origin.received_at,
    };
    let mut fault = Fault::of_request(reason, "Kafka refuses the event that was made of this request");
    fault.record = Some(String::from_utf8_lossy(value));
    dead_letter::of_fault(&fault, &request, &origin.source_name, origin.provider)
}
