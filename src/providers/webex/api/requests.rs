//! The requests: which endpoint tells what, and how it is asked.

use crate::event::time::Time;
use crate::provider::api::{Asked, Request};
use crate::providers::webex::record::to_millisecond;

/// Name of the stream of a partner's records.
pub(super) const CDR: &str = "cdr";
/// Name of the stream of the Detailed Call History.
pub(super) const CDR_FEED: &str = "cdr_feed";
/// Name of the stream of the Detailed Call History by time of insertion.
pub(super) const CDR_STREAM: &str = "cdr_stream";

/// The base of tokens and webhooks.
pub(super) const API: &str = "api";
/// The base of what partners ask.
pub(super) const ANALYTICS: &str = "analytics";
/// The base of the Detailed Call History.
pub(super) const FEED: &str = "feed";

/// Class of questions for numbers of records.
pub(super) const COUNTS: &str = "partner_counts";
/// Class of questions for the records of an organisation.
pub(super) const RECORDS: &str = "partner_records";
/// Class of first requests to the Detailed Call History.
pub(super) const FIRST: &str = "feed";
/// Class of requests for its further pages.
pub(super) const PAGES: &str = "feed_pages";

/// Class of requests for webhooks.
pub(super) const WEBHOOKS: &str = "webhooks";

/// Records on a page of the Detailed Call History. Webex takes what is outside of these for the nearer one.
pub(super) const MOST_A_PAGE: u32 = 5000;
pub(super) const LEAST_A_PAGE: u32 = 500;

/// Asks how many records each organisation has.
pub(super) fn counts(asked: &Asked) -> Request {
    in_cell(Request::get(ANALYTICS, COUNTS, "/v1/partners/cdrcountbyorg"), asked)
}

/// Asks for the first page of a stream's records.
pub(super) fn rows(asked: &Asked, organisation: Option<&str>, a_page: u32) -> Request {
    match asked.stream {
        CDR => in_cell(of(Request::get(ANALYTICS, RECORDS, "/v1/partners/cdrsbyorg"), asked.account.as_deref()), asked),
        endpoint => {
            let request = Request::get(FEED, FIRST, format!("/v1/{endpoint}"))
                .with("startTime", to_millisecond(asked.from))
                .with("endTime", to_millisecond(asked.to))
                .with("max", a_page.to_string());
            of(request, asked.account.as_deref().or(organisation))
        }
    }
}

/// Something that needs the same rights as a stream, and brings little.
pub(super) fn check(asked: &Asked, organisation: Option<&str>) -> Request {
    if asked.stream == CDR { counts(asked) } else { rows(asked, organisation, LEAST_A_PAGE) }
}

fn of(request: Request, organisation: Option<&str>) -> Request {
    match organisation {
        Some(id) => request.with("orgId", id),
        None => request,
    }
}

/// It is not documented whether a record at `endTime` belongs to what is asked. With a millisecond less no record is
/// counted in two hours.
fn in_cell(request: Request, asked: &Asked) -> Request {
    let last = asked.to.minus_us(1000).unwrap_or(asked.to);
    request.with("endTime", to_millisecond(last)).with("startTime", to_millisecond(asked.from))
}

/// What a request asks for: the instants of `startTime` and `endTime`.
pub(super) fn stretch_of(request: &Request) -> Option<(Time, Time)> {
    let time = |name| Time::parse_iso(value_of(request, name)?);
    Some((time("startTime")?, time("endTime")?))
}

/// How many records a page may have by the request.
pub(super) fn a_page_of(request: &Request) -> Option<u32> {
    value_of(request, "max")?.parse().ok()
}

fn value_of<'q>(request: &'q Request, name: &str) -> Option<&'q str> {
    request.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
