//! Health, readiness and metrics, for operators only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use crate::ingest::Ingest;
use crate::spool::{SpoolError, Store};
use crate::telemetry::metrics;

/// What the operators' server shows.
#[derive(Debug)]
pub struct State {
    /// The service.
    pub ingest: Arc<Ingest>,
    /// Set when the service has begun to stop.
    pub stopping: Arc<AtomicBool>,
}

/// The paths of this server.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(render_metrics))
        .route("/api/spool", web::get().to(list_spool))
        .route("/api/spool/verify", web::get().to(verify_spool))
        .route("/-/spool/drain", web::post().to(drain_spool))
        .default_service(web::to(async || Answer::NotFound.into_response()));
}

/// Alive: the process answers.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// Ready: events can be made durable, by Kafka or by the spool, and we are not about to stop.
async fn readyz(state: web::Data<State>) -> HttpResponse {
    let (kafka, spool) = (state.ingest.publisher().health().state(), state.ingest.publisher().spool());
    let stopping = state.stopping.load(Ordering::Acquire);
    let ready = state.ingest.is_ready() && !stopping;
    let status = if ready { "ready" } else { "not_ready" };
    let body = json!({"status": status, "stopping": stopping, "kafka": kafka, "spool": spool});
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(body)
}

async fn render_metrics(state: web::Data<State>) -> HttpResponse {
    let metrics = state.ingest.metrics();
    metrics.ready.set(i64::from(state.ingest.is_ready()));
    let text = metrics.render();
    HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE)).body(text)
}

/// How much of the spool is listed.
#[derive(Debug, Deserialize)]
struct Listing {
    #[serde(default = "Listing::default_limit")]
    limit: usize,
}

impl Listing {
    /// A list is made in memory.
    const GREATEST: usize = 10_000;

    fn default_limit() -> usize {
        1000
    }
}

/// What is in the spool and in the quarantine, without the values.
async fn list_spool(state: web::Data<State>, listing: web::Query<Listing>) -> HttpResponse {
    let limit = listing.limit.min(Listing::GREATEST);
    look(state, move |store| store.overview(limit)).await
}

/// Whether the spool holds. It keeps no events while it is read through.
async fn verify_spool(state: web::Data<State>) -> HttpResponse {
    look(state, |store| store.verify().map(|found| found.json())).await
}

/// Lets every lane try Kafka again at once.
async fn drain_spool(state: web::Data<State>) -> HttpResponse {
    state.ingest.publisher().retry_now();
    HttpResponse::Ok().json(state.ingest.publisher().spool())
}

/// Asks the spool's thread, which may have to finish something first.
async fn look(
    state: web::Data<State>,
    question: impl FnOnce(&Store) -> Result<Value, SpoolError> + Send + 'static,
) -> HttpResponse {
    let asked = web::block(move || state.ingest.publisher().look_into_spool(question)).await;
    match asked {
        Ok(Some(Ok(answer))) => HttpResponse::Ok().json(answer),
        Ok(Some(Err(error))) => unanswered(&format!("{:#}", anyhow::Error::from(error))),
        Ok(None) | Err(_) => unanswered("the spool is not open now; /readyz tells why"),
    }
}

fn unanswered(detail: &str) -> HttpResponse {
    let problem = json!({"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": detail});
    HttpResponse::ServiceUnavailable().content_type("application/problem+json").body(problem.to_string())
}
