//! Health, readiness and metrics, for operators only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

mod reconcile;

use super::answer::Answer;
use crate::ingest::Ingest;
use crate::reconcile::service::Reconcilers;
use crate::spool::{SpoolError, Store, Verifying};
use crate::telemetry::metrics;

/// What the operators' server shows.
#[derive(Debug)]
pub struct State {
    /// The service.
    pub ingest: Arc<Ingest>,
    /// What compares sources by schedule, where any is.
    pub reconcilers: Option<Arc<Reconcilers>>,
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
        .route("/api/reconcile", web::get().to(reconcile::all))
        .route("/api/reconcile/{source}", web::get().to(reconcile::one))
        .route("/-/reconcile/{source}", web::post().to(reconcile::sweep))
        .route("/-/spool/drain", web::post().to(drain_spool))
        .route("/-/spool/verify", web::post().to(verify_spool))
        .default_service(web::to(async || Answer::NotFound.into_response()));
}

/// Alive: the process answers, and every part of it that has to run for ever does.
async fn healthz(state: web::Data<State>) -> HttpResponse {
    match state.ingest.publisher().vitals().ended() {
        ended if ended.is_empty() => HttpResponse::Ok().json(json!({"status": "alive"})),
        ended => HttpResponse::ServiceUnavailable().json(json!({"status": "failed", "ended": ended})),
    }
}

/// Ready: events can be made durable, by Kafka or by the spool, and we are not about to stop.
async fn readyz(state: web::Data<State>) -> HttpResponse {
    let (kafka, spool) = (state.ingest.publisher().health().state(), state.ingest.publisher().spool());
    let stopping = state.stopping.load(Ordering::Acquire);
    let ended = state.ingest.publisher().vitals().ended();
    let ready = state.ingest.is_ready() && !stopping;
    let status = if ready { "ready" } else { "not_ready" };
    let mut body = json!({"status": status, "stopping": stopping, "kafka": kafka, "spool": spool});
    body["reconcilers"] = state.reconcilers.as_ref().map_or_else(|| json!([]), |reconcilers| reconcilers.readiness());
    if !ended.is_empty() {
        body["ended"] = json!(ended);
    }
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(body)
}

async fn render_metrics(state: web::Data<State>) -> HttpResponse {
    let metrics = state.ingest.metrics();
    metrics.ready.set(i64::from(state.ingest.is_ready()));
    state.reconcilers.iter().for_each(|reconcilers| reconcilers.refresh_metrics());
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
    let listed = ask(state, move |store| store.overview(limit)).await;
    listed.map_or_else(std::convert::identity, |listed: Value| HttpResponse::Ok().json(listed))
}

/// Whether every row of the spool holds. It goes on keeping events between the steps.
async fn verify_spool(state: web::Data<State>) -> HttpResponse {
    let mut so_far = Verifying::default();
    loop {
        match ask(state.clone(), move |store| store.verify_step(so_far)).await.map(Verifying::done) {
            Ok(Ok(found)) => return HttpResponse::Ok().json(found.json()),
            Ok(Err(more)) => so_far = more,
            Err(unanswered) => return unanswered,
        }
    }
}

/// Lets every lane try Kafka again at once.
async fn drain_spool(state: web::Data<State>) -> HttpResponse {
    state.ingest.publisher().retry_now();
    HttpResponse::Ok().json(state.ingest.publisher().spool())
}

/// Asks the spool's thread, which may have to finish something first. Without an answer there is a response.
async fn ask<T: Send + 'static>(
    state: web::Data<State>,
    question: impl FnOnce(&Store) -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, HttpResponse> {
    let asked = web::block(move || state.ingest.publisher().look_into_spool(question)).await;
    match asked {
        Ok(Some(Ok(answer))) => Ok(answer),
        Ok(Some(Err(error))) => Err(unanswered(&format!("{:#}", anyhow::Error::from(error)))),
        Ok(None) | Err(_) => Err(unanswered("the spool is not open now; /readyz tells why")),
    }
}

fn unanswered(detail: &str) -> HttpResponse {
    problem(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable", detail)
}

fn problem(status: StatusCode, title: &str, detail: &str) -> HttpResponse {
    let problem = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    HttpResponse::build(status).content_type("application/problem+json").body(problem.to_string())
}

/// Lets nothing be done by a page of another site that an operator has open: what is done goes by POST, and
/// browsers say where that comes from.
pub async fn refuse_other_sites(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if request.method().is_safe() || !is_of_another_site(request.headers()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let detail = "A page of another site may not ask for this.";
    Ok(request.into_response(problem(StatusCode::FORBIDDEN, "Forbidden", detail)))
}

fn is_of_another_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) != text("host"),
        (None, None) => false,
    }
}
