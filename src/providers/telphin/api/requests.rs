//! The requests: which resource tells what, and how it is asked.

use super::Account;
use super::times::written;
use crate::event::time::Time;
use crate::provider::api::{Asked, Request};

/// Name of the stream of calls.
pub(super) const CALL_HISTORY: &str = "call_history";
/// Name of the stream of calls that looks for those of all recordings too.
pub(super) const RECORD: &str = "record";

/// The one base.
pub(super) const API: &str = "api";

/// Class of questions of which Telphin answers one at a time.
pub(super) const STATISTICS: &str = "statistics";
/// Class of the question whose credentials these are.
pub(super) const USER: &str = "user";

/// Class of requests for one recording, and for archives.
pub(super) const RECORDINGS: &str = "recordings";

/// Class of requests for extensions and what is subscribed of them.
pub(super) const SUBSCRIPTIONS: &str = "subscriptions";

/// Where everything but tokens lies.
pub(super) const ROOT: &str = "/api/ver1.0";

/// Rows on a page. It is not documented how many there may be; the answer says how many there are.
pub(super) const A_PAGE: usize = 100;

/// Whose credentials are these?
pub(super) fn user() -> Request {
    Request::get(API, USER, format!("{ROOT}/user/"))
}

/// A page of the calls of a stretch of time, which are counted from 1.
pub(super) fn calls(account: &Account, asked: &Asked, page: u32) -> Request {
    let request = Request::get(API, STATISTICS, client(account, "call_history/"));
    within(request, account, asked.from, asked.to)
        .with("order", "asc")
        .with("page", page.to_string())
        .with("per_page", A_PAGE.to_string())
}

/// One call.
pub(super) fn call(account: &Account, id: &str) -> Request {
    Request::get(API, STATISTICS, client(account, &format!("call_history/{id}/")))
}

/// All recordings of a stretch of time.
pub(super) fn recordings(account: &Account, asked: &Asked) -> Request {
    let request = Request::get(API, STATISTICS, client(account, "record/"));
    within(request, account, asked.from, asked.to).with("order", "asc")
}

/// Whether a request is about one call, which may not be there.
pub(super) fn is_of_one_call(request: &Request) -> bool {
    let behind = request.path.split_once("/call_history/").map(|(_, behind)| behind);
    behind.is_some_and(|behind| !behind.is_empty())
}

/// Whether a request asks for sums.
pub(super) fn is_of_sums(request: &Request) -> bool {
    request.path.ends_with("/stats/")
}

/// Whether a request asks for recordings.
pub(super) fn is_of_recordings(request: &Request) -> bool {
    request.path.ends_with("/record/")
}

pub(super) fn client(account: &Account, resource: &str) -> String {
    format!("{ROOT}/client/{}/{resource}", account.id)
}

pub(super) fn within(request: Request, account: &Account, from: Time, to: Time) -> Request {
    request
        .with("start_datetime", written(from, account.utc_offset_min))
        .with("end_datetime", written(to, account.utc_offset_min))
}
