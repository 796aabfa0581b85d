//! What each answer of Vonage means.
//!
//! Errors are RFC 7807 objects, of which a 422 names the parameters that are not accepted. Messages for people hold
//! names and reasons, and no value that was asked with.

use std::time::Duration;

use super::page;
use super::problem::Problem;
use super::report::Report;
use super::requests::{self, MEDIA, RECORDS};
use crate::event::time::Time;
use crate::provider::api::{Answer, Request, Verb, Verdict};

/// How long to wait after an answer that asks for it and does not say how long: rates are counted by the second.
const PAUSE: Duration = Duration::from_secs(1);

/// A request for so much is never refused for being wide.
const NEVER_WIDE_S: i64 = 3600;

/// Beyond this age rows may be gone: thirteen months of the shortest kind, and a margin for clocks.
const OLD_S: i64 = 390 * 86_400;

/// Judges an answer.
pub(super) fn judge(request: &Request, answer: &Answer) -> Verdict {
    match answer.status {
        204 => Verdict::Empty,
        200..=299 => contents(request, answer),
        400 | 422 => invalid(request, answer),
        401 => Verdict::Renew,
        403 => forbidden(request, answer),
        404 | 410 if requests::is_of_one_report(request) => Verdict::Expired,
        404 | 410 => not_found(request, answer),
        408 => Verdict::Again { word: "timeout" },
        423 | 428 | 429 => Verdict::Throttled { otherwise: PAUSE },
        409 if request.verb == Verb::Delete => Verdict::Empty,
        402..=499 => refused(request, answer),
        500..=599 => Verdict::Again { word: "server_error" },
        _ => Verdict::NotUnderstood,
    }
}

fn contents(request: &Request, answer: &Answer) -> Verdict {
    let is_right = match request.class {
        RECORDS => return page_of(answer),
        MEDIA => true,
        _ if request.verb == Verb::Delete => true,
        _ if requests::is_list(request) => Report::list(answer).is_some(),
        _ => Report::of(answer).is_some(),
    };
    if is_right { Verdict::Fine } else { Verdict::NotUnderstood }
}

fn page_of(answer: &Answer) -> Verdict {
    match page::read(answer, &mut |_| ()) {
        Some(page) if page.rows == 0 => Verdict::Empty,
        Some(_) => Verdict::Fine,
        None => Verdict::NotUnderstood,
    }
}

/// The provider's own clock has to agree that a time is old: rows of a request that is refused for its form must not be
/// taken for rows that are gone.
fn invalid(request: &Request, answer: &Answer) -> Verdict {
    let problem = Problem::of(answer);
    let Some((from, to)) = requests::stretch_of(request).filter(|_| problem.is_of_dates()) else {
        return refused(request, answer);
    };
    let clock = answer.header("date").and_then(http_date);
    let is_old = clock.is_some_and(|clock| clock.unix_seconds() - from.unix_seconds() > OLD_S);
    if is_old && problem.says(AGE) {
        return Verdict::Expired;
    }
    let is_wide = to.unix_seconds() - from.unix_seconds() > NEVER_WIDE_S;
    if is_wide && problem.says(EXCESS) { Verdict::Narrower } else { refused(request, answer) }
}

/// What a text has in it that is about too much.
const EXCESS: &[&str] = &["more than", "exceed", "greater", "longer", "too large", "too long", "too wide", "within"];

/// What a text has in it that is about what is not kept any more.
const AGE: &[&str] = &["month", "retention", "too old", "older", "past"];

/// The form of RFC 9110, section 5.6.7.
pub(super) fn http_date(text: &str) -> Option<Time> {
    Time::from_unix_seconds(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_second())
}

fn forbidden(request: &Request, answer: &Answer) -> Verdict {
    let said = Problem::of(answer).shown(request);
    let mend = format!(
        "the account may not use the Reports API, or not for this product or account; ask Vonage to allow it. Vonage \
         says: {said}"
    );
    Verdict::Misconfigured { word: "forbidden", mend }
}

fn not_found(request: &Request, answer: &Answer) -> Verdict {
    let (path, said) = (&request.path, Problem::of(answer).shown(request));
    let mend = format!("there is no {path} at the host; compare api_url. Vonage says: {said}");
    Verdict::Misconfigured { word: "not_found", mend }
}

fn refused(request: &Request, answer: &Answer) -> Verdict {
    let (status, said) = (answer.status, Problem::of(answer).shown(request));
    let mend = format!("Vonage refuses the request with {status}. It says: {said}");
    Verdict::Misconfigured { word: "refused", mend }
}

#[cfg(test)]
mod tests;
