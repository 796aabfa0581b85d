//! From an HTTP request to a [`RawRequest`], and from its outcome to an answer.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::http::uri::PathAndQuery;
use actix_web::{HttpRequest, HttpResponse, web};
use ipnet::IpNet;
use percent_encoding::percent_decode_str;

use super::answer::Answer;
use super::body::{self, Body, BodyError, Limits};
use super::budget::{Budget, Reservation};
use super::connection::{Connection, Serving};
use super::peer;
use crate::event::time::Time;
use crate::ingest::{ActiveSource, Ingest, Outcome};
use crate::request::{Method, RawRequest};
use crate::settings::ServerSettings;
use crate::telemetry::metrics::RequestOutcome;

const PREFIX: &str = "/webhooks/";

/// What every webhook needs.
#[derive(Debug)]
pub struct State {
    ingest: Arc<Ingest>,
    budget: Budget,
    read_timeout: Duration,
    trusted_proxies: Vec<IpNet>,
    public_url: Option<String>,
}

impl State {
    /// Prepares the receiver.
    pub fn new(settings: &ServerSettings, ingest: Arc<Ingest>) -> Self {
        let budget = Budget::new(settings.max_in_flight_bytes, ingest.metrics().in_flight_bytes.clone());
        let trusted_proxies = settings.trusted_proxies.clone();
        let public_url = settings.public_url.clone();
        Self { ingest, budget, read_timeout: settings.read_timeout, trusted_proxies, public_url }
    }
}

/// Receives any request.
pub async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let serving = request.conn_data::<Rc<Connection>>().map(Connection::serve);
    let answer = answer(&request, payload, &state, serving.as_ref()).await;
    state.ingest.metrics().request_duration.observe(started.elapsed().as_secs_f64());
    answer.into_response()
}

/// The head is judged first; only then the body is read.
async fn answer(request: &HttpRequest, payload: web::Payload, state: &State, serving: Option<&Serving>) -> Answer {
    let (target, active, method) = match addressed(request, state) {
        Ok(addressed) => addressed,
        Err(answer) => return refused(answer, payload, serving).await,
    };
    let path = target.shown_path();
    let head = head(request, state, &target, &path, method);
    let admission = match state.ingest.admit(active, head.head()) {
        Ok(admission) => admission,
        Err(outcome) => return refused(answer_of(outcome), payload, serving).await,
    };
    let mut reservation = state.budget.reserve(head.remote_addr);
    let within_bytes = admission.within_bytes();
    let limits = limits(state, active, within_bytes);
    let body = match read_body(request.headers(), payload, limits, &mut reservation).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) if within_bytes.is_some() => return answer_of(state.ingest.refuse_unsigned(active)),
        Err(error) => return refused_body(active, error),
    };
    serving.inspect(|serving| serving.read_to_its_end());
    answer_of(state.ingest.take(active, admission, &head.with_body(&body.bytes, body.undecodable)).await)
}

/// For which source a request is.
fn addressed<'s>(request: &'s HttpRequest, state: &'s State) -> Result<(Target<'s>, &'s ActiveSource, Method), Answer> {
    let target = Target::of(request.uri().path()).ok_or(Answer::NotFound)?;
    let Some(active) = state.ingest.source(target.source) else {
        state.ingest.metrics().unknown_source.inc();
        return Err(Answer::NotFound);
    };
    let Some(method) = method_of(request, active) else {
        active.metrics.request(RequestOutcome::MethodNotAllowed);
        return Err(Answer::MethodNotAllowed(active.source.info.methods));
    };
    Ok((target, active, method))
}

/// A request of which only the head is known.
fn head<'r>(
    request: &'r HttpRequest,
    state: &'r State,
    target: &'r Target<'_>,
    path: &'r str,
    method: Method,
) -> RawRequest<'r> {
    let headers = request.headers();
    let forwarded_for: Vec<&[u8]> = headers.get_all("x-forwarded-for").map(|value| value.as_bytes()).collect();
    let peer = request.peer_addr().map(|address| address.ip());
    let remote_addr = peer::remote_addr(peer, forwarded_for.into_iter(), &state.trusted_proxies);
    let received = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    RawRequest::new(method, path, Time::now())
        .with_token(target.token.as_deref())
        .with_query(request.uri().query().unwrap_or_default())
        .with_headers(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
        .with_remote_addr(remote_addr)
        .with_target(received, state.public_url.as_deref())
}

/// What nothing is proven of yet is read only as far as its provider says.
fn limits(state: &State, active: &ActiveSource, within_bytes: Option<usize>) -> Limits {
    let most = active.source.max_body_bytes;
    Limits { bytes: within_bytes.map_or(most, |within_bytes| within_bytes.min(most)), read_timeout: state.read_timeout }
}

/// Only an admitted head comes here.
async fn read_body(
    headers: &HeaderMap,
    payload: web::Payload,
    limits: Limits,
    reservation: &mut Reservation<'_>,
) -> Result<Body, BodyError> {
    body::read(payload, content_length(headers), is_gzip(headers), limits, reservation).await
}

async fn refused(answer: Answer, payload: web::Payload, serving: Option<&Serving>) -> Answer {
    if body::drop_what_is_here(payload).await {
        serving.inspect(|serving| serving.read_to_its_end());
    }
    answer
}

fn answer_of(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Durable(reply) => Answer::Ok(reply),
        Outcome::Unauthenticated => Answer::Unauthorized,
        Outcome::Unavailable | Outcome::ClockAhead => Answer::Unavailable,
    }
}

fn refused_body(active: &ActiveSource, error: BodyError) -> Answer {
    let (outcome, answer) = match error {
        BodyError::TooLarge => (RequestOutcome::TooLarge, Answer::ContentTooLarge),
        BodyError::TimedOut => (RequestOutcome::TimedOut, Answer::RequestTimeout),
        BodyError::Incomplete => (RequestOutcome::Incomplete, Answer::Incomplete),
        BodyError::Busy => (RequestOutcome::Unavailable, Answer::Unavailable),
    };
    active.metrics.request(outcome);
    answer
}

/// `/webhooks/<source>` or `/webhooks/<source>/<token>`. A slash at the end, which some forms add to a URL by
/// themselves, is as none.
struct Target<'p> {
    /// What stands before the token.
    path: &'p str,
    source: &'p str,
    token: Option<String>,
}

impl<'p> Target<'p> {
    fn of(path: &'p str) -> Option<Self> {
        let rest = path.strip_prefix(PREFIX)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (source, token) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.get(..PREFIX.len() + source.len())?;
        let token = (!token.is_empty()).then(|| percent_decode_str(token).decode_utf8_lossy().into_owned());
        Some(Self { path, source, token })
    }

    fn shown_path(&self) -> Cow<'p, str> {
        match self.token {
            Some(_) => format!("{}/***", self.path).into(),
            None => self.path.into(),
        }
    }
}

fn method_of(request: &HttpRequest, active: &ActiveSource) -> Option<Method> {
    let name = request.method().as_str();
    active.source.info.methods.iter().find(|method| method.as_str() == name).copied()
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Only gzip is undone. Bytes in any other encoding are authenticated as they came.
fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).map(str::trim);
    encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip"))
}
