//! What each answer of Telphin means.

use std::time::Duration;

use super::requests::{self, STATISTICS};
use super::said::Said;
use super::{body, times};
use crate::provider::api::{Answer, Request, Verdict};

/// When the quota begins anew, where the answer does not say: it is one of an hour.
const QUOTA: Duration = Duration::from_secs(3600);

/// How long to wait after other answers that ask for it and do not say how long.
const PAUSE: Duration = Duration::from_secs(60);

/// A request for so much is never refused for being wide.
const NEVER_WIDE_S: i64 = 3600;

/// What a message has in it that is about how much time was asked for.
const OF_WIDTH: &[&str] = &["period", "range", "interval", "month", "too large", "too long", "too many"];

/// Judges an answer.
pub(super) fn judge(request: &Request, answer: &Answer) -> Verdict {
    match answer.status {
        204 => Verdict::Empty,
        200..=299 => contents(request, answer),
        400 if is_wide(request) && Said::by(answer).has(OF_WIDTH) => Verdict::Narrower,
        401 => Verdict::Renew,
        403 => forbidden(answer),
        404 => not_found(request, answer),
        408 => Verdict::Again { word: "timeout" },
        423 | 428 => Verdict::Throttled { otherwise: PAUSE },
        429 => too_many(answer),
        400..=499 => refused(answer),
        500..=599 => Verdict::Again { word: "server_error" },
        _ => Verdict::NotUnderstood,
    }
}

fn contents(request: &Request, answer: &Answer) -> Verdict {
    match body::rows(request, answer) {
        Some(0) => Verdict::Empty,
        Some(_) => Verdict::Fine,
        None => Verdict::NotUnderstood,
    }
}

/// Whether a request asks for more than is never too much.
fn is_wide(request: &Request) -> bool {
    let time = |name: &str| {
        let (_, value) = request.query.iter().find(|(known, _)| known == name)?;
        times::time(value.as_str().into())
    };
    let asked = time("start_datetime").zip(time("end_datetime"));
    asked.is_some_and(|(from, to)| to.unix_seconds() - from.unix_seconds() > NEVER_WIDE_S)
}

/// Two refusals share the status: the quota of the hour is gone, or another question is under way.
fn too_many(answer: &Answer) -> Verdict {
    let number = |name: &str| answer.header(name).and_then(|value| value.trim().parse::<u64>().ok());
    let is_quota = Said::by(answer).status == "rate_limit_exceeded" || number("x-ratelimit-remaining") == Some(0);
    match is_quota {
        true => Verdict::Throttled { otherwise: number("x-ratelimit-reset").map_or(QUOTA, Duration::from_secs) },
        false => Verdict::Busy,
    }
}

fn forbidden(answer: &Answer) -> Verdict {
    let said = Said::by(answer);
    let need = match said.status.as_str() {
        "user_blocked" => "the user or the client is blocked at Telphin",
        "app_access_type_deny" => {
            "the application needs the access \"Call API\" or \"All\", which is chosen when it is registered"
        }
        "user_access_type_deny" => "the application's user needs more rights",
        _ => "the application has to be a trusted one of this client",
    };
    let mend = format!("Telphin does not allow it: {need}. Telphin says: {}", said.shown());
    Verdict::Misconfigured { word: "forbidden", mend }
}

fn not_found(request: &Request, answer: &Answer) -> Verdict {
    let said = Said::by(answer);
    let is_of_one = requests::is_of_one_call(request) || request.class == requests::RECORDINGS;
    if is_of_one && said.status != "client_not_found" {
        return Verdict::Empty;
    }
    let mend = match request.class {
        STATISTICS => {
            format!("there is no such client; compare account_id and api_url. Telphin says: {}", said.shown())
        }
        _ => format!("there is no {} at the host; compare api_url. Telphin says: {}", request.path, said.shown()),
    };
    Verdict::Misconfigured { word: "not_found", mend }
}

fn refused(answer: &Answer) -> Verdict {
    let (status, said) = (answer.status, Said::by(answer).shown());
    Verdict::Misconfigured {
        word: "refused",
        mend: format!("Telphin refuses the request with {status}. It says: {said}"),
    }
}

#[cfg(test)]
mod tests;
