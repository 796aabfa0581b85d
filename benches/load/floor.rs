//! The floor: the least that a receiver of signed webhooks must do before Kafka has them.
//!
//! The same server with the same settings, the same Kafka client with the same settings. For each request
//! it reads the body, computes an HMAC-SHA256 over it, parses it once into a [`Value`], produces as many
//! records as Trunkline makes of such a body, with keys, values and headers of the same sizes, awaits all
//! acknowledgements and answers. It knows no schema, no duplicates, no spool and no metrics.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rdkafka::ClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::Notify;
use trunkline::config::{self, Environment, Settings, Source};
use trunkline::event::envelope::{Ingest, Mode, Reception, Record};
use trunkline::event::time::Time;
use trunkline::http::{BACKLOG, KEEP_ALIVE};
use trunkline::provider::Normalized;
use trunkline::publish::{client, topics};
use trunkline::verify;

use crate::webhooks::{self, SECRET, Webhook};

/// Records that are made at the start, so that those of one batch to Kafka are not all alike.
const RECORDS: usize = 256;

struct Floor {
    producer: ThreadedProducer<Deliveries>,
    /// What Trunkline makes of one webhook, for several webhooks.
    records: Vec<Vec<(String, Record)>>,
    requests: AtomicUsize,
    has_parameters: bool,
}

/// One request's records.
struct Delivery {
    left: AtomicUsize,
    failed: AtomicBool,
    done: Notify,
}

struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        if result.is_err() {
            delivery.failed.store(true, Ordering::Release);
        }
        if delivery.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            delivery.done.notify_one();
        }
    }
}

/// Serves until the process is killed, with the configuration of a Trunkline beside it.
pub(crate) fn run(configuration: &str, webhook: &str) {
    let webhook = webhooks::find(webhook);
    let environment = Environment::from([("BENCH_SECRET".to_owned(), SECRET.to_owned())]);
    let settings = config::load(Some(configuration.as_ref()), &environment).unwrap().settings;
    actix_web::rt::System::new().block_on(serve(&settings, webhook)).unwrap();
}

/// As `trunkline::http::serve_webhooks` does.
async fn serve(settings: &Settings, webhook: &'static Webhook) -> std::io::Result<()> {
    let state = web::Data::new(Floor {
        producer: client::producer_config(&settings.kafka).create_with_context(Deliveries).unwrap(),
        records: (0..RECORDS.div_ceil(webhook.records)).map(|_| records(settings, webhook)).collect(),
        requests: AtomicUsize::new(0),
        has_parameters: webhook.has_parameters(),
    });
    let app = move || App::new().app_data(state.clone()).default_service(web::to(receive));
    let mut server = HttpServer::new(app)
        .keep_alive(KEEP_ALIVE)
        .backlog(BACKLOG)
        .client_request_timeout(settings.server.read_timeout)
        .disable_signals();
    if settings.server.workers > 0 {
        server = server.workers(settings.server.workers);
    }
    server.bind(settings.server.listen)?.run().await
}

/// What Trunkline makes of one webhook, with the names of the topics.
fn records(settings: &Settings, webhook: &Webhook) -> Vec<(String, Record)> {
    let source: &Source = &settings.sources[0];
    let signed = webhook.sign();
    let raw = signed.received("/", Time::now());
    let verified = verify::authenticate(&raw, &*source.provider, &source.doors).unwrap();
    let mut normalized = Normalized::default();
    source.provider.normalize(&verified, &mut normalized);
    assert!(normalized.faults.is_empty(), "{:?}", normalized.faults);
    let proof = verified.proof();
    let raw_id = "01JBENCH000000000000000000".to_owned();
    let ingest = Ingest { via: "webhook", verification: proof.verification.as_str(), scheme: &proof.scheme, raw_id };
    let provider = source.info.name;
    let origin = Reception { provider, source_name: &source.name, received_at: raw.received_at, ingest: &ingest };
    let events = normalized.events.into_iter();
    let records = events.map(|event| event.into_record(&origin, &source.privacy, Mode::Binary).unwrap());
    records.map(|record| (topics::full_name(&settings.kafka, record.topic), record)).collect()
}

async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<Floor>) -> HttpResponse {
    let Ok(Ok(body)) = payload.to_bytes_limited(usize::MAX).await else {
        return HttpResponse::BadRequest().finish();
    };
    let told = if body.is_empty() { request.query_string().as_bytes() } else { &body };
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(told);
    black_box(mac.finalize());
    black_box(parse(told, state.has_parameters));
    let index = state.requests.fetch_add(1, Ordering::Relaxed) % state.records.len();
    let delivery = state.produce(&state.records[index]);
    delivery.done.notified().await;
    match delivery.failed.load(Ordering::Acquire) {
        true => HttpResponse::ServiceUnavailable().finish(),
        false => HttpResponse::Ok().finish(),
    }
}

fn parse(told: &[u8], has_parameters: bool) -> Value {
    match has_parameters {
        true => form_urlencoded::parse(told).map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        false => serde_json::from_slice(told).unwrap(),
    }
}

impl Floor {
    fn produce(&self, records: &[(String, Record)]) -> Arc<Delivery> {
        let (left, failed) = (AtomicUsize::new(records.len()), AtomicBool::new(false));
        let delivery = Arc::new(Delivery { left, failed, done: Notify::new() });
        for (topic, record) in records {
            let none = OwnedHeaders::new_with_capacity(record.headers.len());
            let headers = record
                .headers
                .iter()
                .fold(none, |headers, (name, value)| headers.insert(Header { key: name, value: Some(value) }));
            let message = BaseRecord::with_opaque_to(topic, Arc::clone(&delivery))
                .key(&record.key)
                .payload(&record.value)
                .headers(headers);
            let sent = self.producer.send(message);
            assert!(sent.is_ok(), "the client's queue is full");
        }
        delivery
    }
}
