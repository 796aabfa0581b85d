//! Health, readiness and metrics, for operators only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::answer::Answer;
use crate::ingest::Ingest;
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
        .default_service(web::to(async || Answer::NotFound.into_response()));
}

/// Alive: the process answers.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// Ready: events can be made durable, and we are not about to stop.
async fn readyz(state: web::Data<State>) -> HttpResponse {
    let kafka = state.ingest.publisher().health().state();
    let stopping = state.stopping.load(Ordering::Acquire);
    let ready = kafka.ready && !stopping;
    let body = json!({"status": if ready { "ready" } else { "not_ready" }, "stopping": stopping, "kafka": kafka});
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(body)
}

async fn render_metrics(state: web::Data<State>) -> HttpResponse {
    let text = state.ingest.metrics().render();
    HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE)).body(text)
}
