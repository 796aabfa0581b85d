//! The requests: which endpoint tells what, and how it is asked.

use serde_json::json;

use super::streams::{direction_of, product_of};
use crate::event::time::Time;
use crate::provider::api::reports::Order;
use crate::provider::api::{Asked, Request, Verb};

/// The base of everything.
pub(super) const API: &str = "api";

/// Class of pages of rows.
pub(super) const RECORDS: &str = "records";
/// Class of what is asked about reports.
pub(super) const REPORTS: &str = "reports";

/// Class of files.
pub(super) const MEDIA: &str = "media";

const RECORDS_PATH: &str = "/v2/reports/records";
const REPORTS_PATH: &str = "/v2/reports";
const MEDIA_PATH: &str = "/v3/media";

/// Every state that a report can have. A list without states is refused.
const STATES: &str = "PENDING,PROCESSING,SUCCESS,ABORTED,FAILED,TRUNCATED";

/// From which page on a list goes on: both values come from the page before and belong together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Cursor {
    pub(super) cursor: String,
    pub(super) iv: Option<String>,
}

/// Whose rows, and what of them.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) account_id: String,
    /// Whether texts of messages are wanted.
    pub(super) with_texts: bool,
    /// Whether rows of accounts below are wanted; reports alone have them.
    pub(super) with_subaccounts: bool,
}

/// Asks for a page of rows: the first one, or the one at a cursor.
pub(super) fn records(scope: &Scope, asked: &Asked, from: Time, to: Time, at: Option<&Cursor>) -> Request {
    let request = Request::get(API, RECORDS, RECORDS_PATH)
        .with("account_id", scope.account_id.as_str())
        .with("product", product_of(asked.stream).unwrap_or(asked.stream));
    let request = match direction_of(asked.stream) {
        Some(direction) => request.with("direction", direction),
        None => request,
    };
    let request = request.with("date_start", from.to_string()).with("date_end", to.to_string());
    let request = if with_message(scope, asked) { request.with("include_message", "true") } else { request };
    match at {
        Some(Cursor { cursor, iv: Some(iv) }) => request.with("cursor", cursor.as_str()).with("iv", iv.as_str()),
        Some(Cursor { cursor, iv: None }) => request.with("cursor", cursor.as_str()),
        None => request,
    }
}

/// Only rows of messages have a text.
fn with_message(scope: &Scope, asked: &Asked) -> bool {
    scope.with_texts && direction_of(asked.stream).is_some()
}

/// Asks for the reports that were asked for lately, by Vonage's own default.
pub(super) fn latest(scope: &Scope) -> Request {
    list_of(scope, &[], None, None)
}

/// Asks for a report to be made.
pub(super) fn create(scope: &Scope, asked: &Asked, from: Time, to: Time) -> Request {
    let mut body = json!({
        "product": product_of(asked.stream).unwrap_or(asked.stream),
        "account_id": scope.account_id,
        "date_start": from.to_string(),
        "date_end": to.to_string(),
    });
    if let Some(direction) = direction_of(asked.stream) {
        body["direction"] = direction.into();
    }
    if with_message(scope, asked) {
        body["include_message"] = true.into();
    }
    if scope.with_subaccounts {
        body["include_subaccounts"] = true.into();
    }
    Request { verb: Verb::Post, body: Some(body.to_string()), ..Request::get(API, REPORTS, REPORTS_PATH) }
}

/// Asks for a report that somebody has ordered. Their own parameters are not read, and go last.
pub(super) fn order(scope: &Scope, order: &Order) -> Request {
    let mut body = json!({
        "product": order.product,
        "account_id": scope.account_id,
        "date_start": order.from.to_string(),
        "date_end": order.to.to_string(),
    });
    if let Some(direction) = &order.direction {
        body["direction"] = direction.as_str().into();
    }
    if order.with_texts {
        body["include_message"] = true.into();
    }
    if scope.with_subaccounts {
        body["include_subaccounts"] = true.into();
    }
    for (name, value) in &order.more {
        body[name] = value.as_str().into();
    }
    Request { verb: Verb::Post, body: Some(body.to_string()), ..Request::get(API, REPORTS, REPORTS_PATH) }
}

/// Asks for the reports in some states, or in all, that were asked for in a stretch of time.
pub(super) fn list_of(scope: &Scope, states: &[String], from: Option<Time>, to: Option<Time>) -> Request {
    let states = if states.is_empty() { STATES.to_owned() } else { states.join(",").to_uppercase() };
    let mut request =
        Request::get(API, REPORTS, REPORTS_PATH).with("account_id", scope.account_id.as_str()).with("status", states);
    for (name, time) in [("date_from", from), ("date_to", to)] {
        request.query.extend(time.map(|time| (name.to_owned(), time.to_string())));
    }
    request
}

/// Asks for the state of a report.
pub(super) fn state(id: &str) -> Request {
    Request::get(API, REPORTS, format!("{REPORTS_PATH}/{id}"))
}

/// Has a report given up.
pub(super) fn cancel(id: &str) -> Request {
    Request { verb: Verb::Delete, ..state(id) }
}

/// Asks for the file of a report.
pub(super) fn media(file: &str) -> Request {
    Request::get(API, MEDIA, format!("{MEDIA_PATH}/{file}"))
}

/// Whether an answer from this path is a report's file.
pub(super) fn is_media(path: &str) -> bool {
    path.starts_with(MEDIA_PATH)
}

/// Whether a request is about one report or its file, which may be gone.
pub(super) fn is_of_one_report(request: &Request) -> bool {
    let is_report = request.class == REPORTS && request.path != REPORTS_PATH;
    is_report || request.class == MEDIA
}

/// Whether a request asks for a list of reports.
pub(super) fn is_list(request: &Request) -> bool {
    request.verb == Verb::Get && request.path == REPORTS_PATH
}

/// What a request asks for.
pub(super) fn stretch_of(request: &Request) -> Option<(Time, Time)> {
    let body: Option<serde_json::Value> = request.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    let value_of = |name: &str| {
        let pair = request.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        pair.or_else(|| body.as_ref()?.get(name)?.as_str())
    };
    Some((Time::parse_iso(value_of("date_start")?)?, Time::parse_iso(value_of("date_end")?)?))
}
