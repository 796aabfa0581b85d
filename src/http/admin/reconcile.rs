//! What operators see of the sources that are compared by schedule, and the order to do it now.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::{State, problem};
use crate::reconcile::service::NotSwept;

/// How many of the cells that are not complete are listed.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    #[serde(default = "Listing::default_limit")]
    limit: usize,
}

impl Listing {
    fn default_limit() -> usize {
        200
    }
}

/// All sources.
pub(super) async fn all(state: web::Data<State>) -> HttpResponse {
    let none = || json!({"instance": null, "sources": []});
    HttpResponse::Ok().json(state.reconcilers.as_ref().map_or_else(none, |reconcilers| reconcilers.json()))
}

/// One source in all detail.
pub(super) async fn one(
    state: web::Data<State>,
    source: web::Path<String>,
    listing: web::Query<Listing>,
) -> HttpResponse {
    let details = state.reconcilers.as_ref().and_then(|reconcilers| reconcilers.details(&source, listing.limit));
    details.map_or_else(unknown, |details| HttpResponse::Ok().json(details))
}

/// Lets a source sweep now.
pub(super) async fn sweep(state: web::Data<State>, source: web::Path<String>) -> HttpResponse {
    let swept = state.reconcilers.as_ref().map_or(Err(NotSwept::Unknown), |reconcilers| reconcilers.sweep_now(&source));
    match swept {
        Ok(()) => HttpResponse::Accepted().json(json!({"source": &*source, "status": "sweeping"})),
        Err(NotSwept::Unknown) => unknown(),
        Err(NotSwept::Elsewhere(instance)) => elsewhere(instance),
    }
}

fn unknown() -> HttpResponse {
    problem(StatusCode::NOT_FOUND, "Not Found", "There is no such source that is compared by schedule.")
}

fn elsewhere(instance: Option<String>) -> HttpResponse {
    let detail = "Another process compares this source, or none does yet.";
    let problem = json!({
        "type": "about:blank",
        "title": "Conflict",
        "status": StatusCode::CONFLICT.as_u16(),
        "detail": detail,
        "instance_id": instance,
    });
    HttpResponse::Conflict().content_type("application/problem+json").body(problem.to_string())
}
