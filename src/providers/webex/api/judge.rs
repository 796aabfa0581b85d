//! What each answer of Webex means.
//!
//! The statuses are those of Cisco's pages on the Detailed Call History; those of the partner's endpoints are not
//! public, and taken to be the same. Messages for people hold what Webex says as far as it may be shown.

use std::time::Duration;

use super::body;
use super::hosts::{Hosts, is_same};
use super::requests::{self, CDR_STREAM, COUNTS, FIRST, LEAST_A_PAGE, PAGES, RECORDS, WEBHOOKS};
use super::words::Words;
use crate::event::time::Time;
use crate::provider::api::{Answer, Request, Verdict};

/// How long to wait after an answer that asks for it and does not say how long.
const PAUSE: Duration = Duration::from_secs(60);

/// A request for so much is never refused for being wide.
const NEVER_WIDE_S: i64 = 3600;

/// Until this age a record may not be asked for.
const YOUNG_S: i64 = 300;

/// So often is asked what Webex finds too young. A window is asked for some time after that age, so that it is our clock
/// that is ahead, and no more than minutes.
const YOUNG_TRIES: u32 = 5;

/// Beyond these ages records may be gone, by the shortest time that Cisco has written and a margin for clocks.
const OLD_S: i64 = 48 * 3600 - 120;
const OLD_IN_STREAM_S: i64 = 12 * 3600 - 120;

/// Judges an answer.
pub(super) fn judge(hosts: &Hosts, request: &Request, answer: &Answer) -> Verdict {
    match answer.status {
        204 => Verdict::Empty,
        200..=299 => contents(request, answer),
        400 => bad_request(request, answer),
        401 => Verdict::Renew,
        403 => forbidden(request, answer),
        404 => not_found(request, answer),
        408 => Verdict::Again { word: "timeout" },
        423 | 428 | 429 => Verdict::Throttled { otherwise: PAUSE },
        451 => elsewhere(hosts, request, answer),
        402..=499 => refused(request, answer),
        504 if requests::a_page_of(request).is_some_and(|rows| rows > LEAST_A_PAGE) => Verdict::Narrower,
        500..=599 => Verdict::Again { word: "server_error" },
        _ => Verdict::NotUnderstood,
    }
}

fn contents(request: &Request, answer: &Answer) -> Verdict {
    let rows = match request.class {
        WEBHOOKS => Some(1),
        COUNTS => body::counts(answer).map(|counts| counts.len()),
        _ => body::rows(answer, &mut |_| ()).map(|seen| seen.records),
    };
    match rows {
        Some(0) => Verdict::Empty,
        Some(_) => Verdict::Fine,
        None => Verdict::NotUnderstood,
    }
}

/// Cisco lists no texts. Where one is about times, the provider's own clock decides what it means: a period that
/// is refused for its format must not be taken for one whose records are gone.
fn bad_request(request: &Request, answer: &Answer) -> Verdict {
    let words = Words::of(answer);
    let asked = requests::stretch_of(request);
    let clock = answer.header("date").and_then(http_date);
    let age_s = |time: Time| clock.map(|clock| clock.unix_seconds() - time.unix_seconds());
    let is_wide = asked.is_some_and(|(from, to)| to.unix_seconds() - from.unix_seconds() > NEVER_WIDE_S);
    if is_wide && words.say(&["duration", "range", "interval", "window"]) && words.say(EXCESS) {
        return Verdict::Narrower;
    }
    let is_young = asked.and_then(|(_, to)| age_s(to)).is_some_and(|age_s| age_s < YOUNG_S);
    if words.say(&["not older than"]) || (is_young && words.say(OF_TIMES)) {
        return Verdict::Later { word: "clock", wait: PAUSE, tries: YOUNG_TRIES };
    }
    let old_s = if request.path.ends_with(CDR_STREAM) { OLD_IN_STREAM_S } else { OLD_S };
    let is_old = match asked.and_then(|(from, _)| age_s(from)) {
        Some(age_s) => age_s > old_s && words.say(OF_TIMES),
        None => words.say(&["hours", "days"]),
    };
    if is_old { Verdict::Expired } else { refused(request, answer) }
}

/// What a text has in it that is about too much.
const EXCESS: &[&str] = &["more than", "exceed", "greater", "longer", "too large", "too long", "at most", "maximum"];

/// What a text has in it that is about times.
const OF_TIMES: &[&str] = &["time", "date", "minute", "hour", "day"];

/// The form of RFC 9110, section 5.6.7.
fn http_date(text: &str) -> Option<Time> {
    Time::from_unix_seconds(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_second())
}

fn forbidden(request: &Request, answer: &Answer) -> Verdict {
    let right = match request.class {
        COUNTS | RECORDS => {
            "the scope spark-admin:calling_cdr_read, and a full administrator of the partner organisation"
        }
        WEBHOOKS => "an administrator of the organisation who may manage its webhooks",
        _ => {
            "the scope spark-admin:calling_cdr_read, and an administrator who may read the Detailed Call History; it is \
             not certain that Service Apps may"
        }
    };
    let said = Words::of(answer).shown(request);
    let mend = format!("Webex does not allow it to this token; it needs {right}. Webex says: {said}");
    Verdict::Misconfigured { word: "forbidden", mend }
}

/// An hour without a call is told by a 404, with words for it or with the code alone.
fn not_found(request: &Request, answer: &Answer) -> Verdict {
    let words = Words::of(answer);
    let is_of_records = [COUNTS, RECORDS, FIRST, PAGES].contains(&request.class);
    let is_empty = words.is_code_alone(404) || words.say(&["no cdr", "no call detail record", "no record"]);
    if is_of_records && is_empty {
        return Verdict::Empty;
    }
    let (path, said) = (&request.path, words.shown(request));
    let mend = format!("there is no {path} at the host; compare the URLs of the source. Webex says: {said}");
    Verdict::Misconfigured { word: "not_found", mend }
}

/// A host that sends us to itself helps nobody.
fn elsewhere(hosts: &Hosts, request: &Request, answer: &Answer) -> Verdict {
    let words = Words::of(answer);
    let is_here = |url: &url::Url| hosts.of(request).is_some_and(|here| is_same(here, url));
    match hosts.named_in(words.text()).filter(|url| !is_here(url)) {
        Some(url) => Verdict::Elsewhere(url),
        None => {
            let mend = format!(
                "the records are in another region; if the host that Webex names is to be trusted with the token, add \
                 it to region_urls. Webex says: {}",
                words.shown(request)
            );
            Verdict::Misconfigured { word: "wrong_region", mend }
        }
    }
}

fn refused(request: &Request, answer: &Answer) -> Verdict {
    let (status, said) = (answer.status, Words::of(answer).shown(request));
    Verdict::Misconfigured {
        word: "refused",
        mend: format!("Webex refuses the request with {status}. It says: {said}"),
    }
}

#[cfg(test)]
mod tests;
