//! The requests: which endpoint tells what, and how it is asked.

use super::streams::{direction_of, product_of};
use crate::event::time::Time;
use crate::provider::api::{Asked, Request};

/// The base of everything.
pub(super) const API: &str = "api";

/// Class of pages of rows.
pub(super) const RECORDS: &str = "records";
/// Class of what is asked about reports.
pub(super) const REPORTS: &str = "reports";

const RECORDS_PATH: &str = "/v2/reports/records";
const REPORTS_PATH: &str = "/v2/reports";

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

/// Asks for the reports of a stretch of time.
pub(super) fn list(scope: &Scope, from: Time, to: Time) -> Request {
    Request::get(API, REPORTS, REPORTS_PATH)
        .with("account_id", scope.account_id.as_str())
        .with("status", STATES)
        .with("date_from", from.to_string())
        .with("date_to", to.to_string())
}

/// What a request asks for.
pub(super) fn stretch_of(request: &Request) -> Option<(Time, Time)> {
    let value_of = |name| request.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    Some((Time::parse_iso(value_of("date_start")?)?, Time::parse_iso(value_of("date_end")?)?))
}
