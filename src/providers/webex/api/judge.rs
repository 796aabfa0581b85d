//! What an answer of Webex means.

use serde::Deserialize;
use url::Url;

use crate::provider::api::{Answer, Verdict};

/// Regions of Webex itself.
const WEBEX_HOSTS: &str = ".webexapis.com";

/// Text of a 404 that says that there is nothing, and not that there is no such thing.
const NOTHING: &str = "no cdrs";

const THROTTLED: std::time::Duration = std::time::Duration::from_secs(60);

/// The body of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    message: String,
    #[serde(rename = "errorCode")]
    code: Option<u64>,
}

pub(super) fn judge(answer: &Answer, region_urls: &[Url]) -> Verdict {
    let problem: Problem = answer.json().unwrap_or_default();
    match answer.status {
        200..=299 if answer.json::<serde_json::Value>().is_none() => Verdict::NotUnderstood,
        200..=299 => Verdict::Fine,
        400 => bad_request(&problem.message),
        401 => Verdict::Renew,
        403 => misconfigured(
            "forbidden",
            "the token lacks the right: a partner's administrator, or the scope spark-admin:calling_cdr_read and a role \
             with access to the call history",
        ),
        404 if is_empty(&problem) => Verdict::Empty,
        404 => misconfigured("not_found", "there is no such address; look at analytics_url and feed_url"),
        423 | 428 | 429 => Verdict::Throttled { otherwise: THROTTLED },
        451 => elsewhere(&answer.text(), region_urls),
        504 => Verdict::Narrower,
        500..=599 => Verdict::Again { word: "server_error" },
        _ => misconfigured("refused", "the API refuses the request"),
    }
}

fn misconfigured(word: &'static str, mend: &str) -> Verdict {
    Verdict::Misconfigured { word, mend: mend.to_owned() }
}

fn is_empty(problem: &Problem) -> bool {
    problem.message.to_ascii_lowercase().contains(NOTHING) || (problem.code == Some(404) && problem.message.is_empty())
}

/// Times that lie too early or too late are told by a 400 as well.
fn bad_request(message: &str) -> Verdict {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["not older than", "5 minutes"]) {
        Verdict::Again { word: "clock" }
    } else if says(&["duration is more", "more than 12 hours", "60 minutes"]) {
        Verdict::Narrower
    } else if says(&["48 hours", "30 days", "12 hours ago", "retention", "too old", "older than"]) {
        Verdict::Expired
    } else {
        misconfigured("refused", "the API refuses what it is asked; it says no more that could be shown here")
    }
}

/// The first URL in a text, if it is one of Webex's own regions or of those that are configured.
fn elsewhere(text: &str, region_urls: &[Url]) -> Verdict {
    let start = text.find("http").map(|start| text.get(start..).unwrap_or_default());
    let ends = |character: char| character.is_whitespace() || "\"'<>,)\\".contains(character);
    let url = start.and_then(|rest| rest.split(ends).next()).map(|url| url.trim_end_matches('.'));
    let url = url.and_then(|url| Url::parse(url).ok()).filter(|url| is_acceptable(url, region_urls));
    match url {
        Some(mut url) => {
            url.set_path("");
            url.set_query(None);
            Verdict::Elsewhere(url)
        }
        None => misconfigured("wrong_region", "the data lies in another region; give its host in region_urls"),
    }
}

fn is_acceptable(url: &Url, region_urls: &[Url]) -> bool {
    let is_webex = url.scheme() == "https"
        && url.port().is_none()
        && url.domain().is_some_and(|domain| domain.ends_with(WEBEX_HOSTS));
    let is_configured = region_urls.iter().any(|known| known.origin() == url.origin());
    (is_webex || is_configured) && url.username().is_empty() && url.password().is_none()
}
