//! Webex's own API: how many records each customer has, and which.
//!
//! Source: Cisco, "Partner CDR webhook and APIs", "Detailed Call History" and "Integrations and Authorization". What a
//! page of the documentation leaves open is read leniently: see `docs/providers/webex.md`.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::envelope;
use super::fields::{Field, Fields, time};
use crate::event::country;
use crate::event::kind::Kind;
use crate::event::time::Time;
use crate::json::Text;
use crate::provider::Sink;
use crate::provider::api::{
    Access, Answer, Api, Asked, OAuth, Pace, Question, Request, Row, StreamInfo, Talk, Verdict,
};
use crate::section::Section;

mod counts;
mod judge;
mod link;
mod rows;

/// The bases of requests.
const API: &str = "api";
const ANALYTICS: &str = "analytics";
const FEED: &str = "feed";

/// Classes of requests.
const COUNTS: &str = "partner_counts";
const RECORDS: &str = "partner_records";
const HISTORY: &str = "call_history";

const MINUTE: Duration = Duration::from_secs(60);

const PACES: &[Pace] = &[
    Pace { class: COUNTS, requests: 1, per: Duration::from_secs(1), at_once: 1 },
    Pace { class: RECORDS, requests: 5, per: Duration::from_secs(1), at_once: 1 },
    Pace { class: HISTORY, requests: 10, per: MINUTE, at_once: 1 },
];

/// What Webex can be asked for. The first is the default.
pub(super) const STREAMS: &[StreamInfo] = &[
    StreamInfo {
        name: "cdr",
        product: "cdr",
        kinds: &[Kind::CallRecord],
        counted: true,
        primary: false,
        widest_s: 3600,
        margin_s: 0,
        least_delay_s: 330,
        delay_s: 1800,
        again_s: &[43_200, 144_000],
        reach_s: 172_800,
        reach_is_sure: false,
    },
    StreamInfo {
        name: "cdr_feed",
        product: "cdr_feed",
        kinds: &[Kind::CallRecord],
        counted: false,
        primary: true,
        widest_s: 43_200,
        margin_s: 1,
        least_delay_s: 330,
        delay_s: 900,
        again_s: &[86_400],
        reach_s: 2_592_000,
        reach_is_sure: false,
    },
    StreamInfo {
        name: "cdr_stream",
        product: "cdr_stream",
        kinds: &[Kind::CallRecord],
        counted: false,
        primary: true,
        widest_s: 7200,
        margin_s: 0,
        least_delay_s: 120,
        delay_s: 180,
        again_s: &[],
        reach_s: 43_200,
        reach_is_sure: true,
    },
];

/// Webex's API as one source uses it.
#[derive(Debug)]
struct WebexApi {
    access: Access,
    bases: Vec<(&'static str, Url)>,
    region_urls: Vec<Url>,
    org_id: Option<String>,
    region: Option<country::Id>,
}

/// Reads the keys of the API. Nothing, where none of them is there or something is wrong with them.
pub(super) fn configure(region: Option<country::Id>, section: &mut Section<'_>) -> Option<Box<dyn Api>> {
    let access = access(section);
    let mut base = |key, default: &str| -> Option<Url> {
        let text = section.text_or(key, default);
        base_url(&text, key, section)
    };
    let urls = [
        (API, base("api_url", "https://webexapis.com")),
        (ANALYTICS, base("analytics_url", "https://analytics.webexapis.com")),
        (FEED, base("feed_url", "https://analytics-calling.webexapis.com")),
    ];
    let bases = urls.into_iter().map(|(name, url)| url.map(|url| (name, url))).collect::<Option<Vec<_>>>();
    let region_urls = section.list("region_urls");
    let region_urls = region_urls.iter().filter_map(|text| base_url(text, "region_urls", section)).collect();
    let org_id = section.text("org_id");
    Some(Box::new(WebexApi { access: access?, bases: bases?, region_urls, org_id, region }))
}

fn access(section: &mut Section<'_>) -> Option<Access> {
    let client_id = section.text("client_id");
    let client_secret = section.secret("client_secret");
    let refresh_token = section.secret("refresh_token");
    let access_token = section.secret("access_token");
    if let Some(token) = access_token {
        if refresh_token.is_some() {
            section.problem("access_token", "stands in the place of refresh_token; give one of the two".to_owned());
        }
        section.warning("access_token", "is a token of a person, which ends after 12 hours".to_owned());
        return Some(Access::Bearer(token.value));
    }
    if client_id.is_some() && client_secret.is_some() && refresh_token.is_none() {
        section.problem("refresh_token", "is missing; client_id and client_secret are of no use without it".to_owned());
    }
    if refresh_token.is_some() && client_id.is_none() && client_secret.is_none() {
        section.problem("client_id", "is missing; refresh_token is of no use without it".to_owned());
    }
    Some(Access::OAuth(OAuth {
        base: API,
        path: "/v1/access_token",
        client_id: client_id?,
        client_secret: client_secret?.value,
        refresh_token: Some(refresh_token?.value),
        default_lifetime: Duration::from_secs(600),
    }))
}

/// A host that gets credentials: by HTTPS, or on this machine.
fn base_url(text: &str, key: &'static str, section: &Section<'_>) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
        is_bare && is_safe && url.username().is_empty() && url.password().is_none()
    });
    if url.is_none() {
        let form = "is not the https:// URL of a host, without a path; http:// is for this machine alone";
        section.problem(key, format!("{} {form}", section.shown(key, text)));
    }
    url
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Api for WebexApi {
    fn access(&self) -> &Access {
        &self.access
    }

    fn bases(&self) -> &[(&'static str, Url)] {
        &self.bases
    }

    fn paces(&self) -> &'static [Pace] {
        PACES
    }

    fn scheme(&self) -> &'static str {
        "webex-oauth"
    }

    fn ask(&self, question: &Question) -> Box<dyn Talk> {
        match question {
            Question::Counts(asked) => Box::new(counts::Counts::new(counts_request(asked), self.others(asked))),
            Question::Rows(asked) => Box::new(rows::Rows::new(self.rows_request(asked), self.base_of(asked.stream))),
            Question::Check(now) => {
                let to = now.plus_s(-3600);
                let from = to.plus_s(-60);
                let asked = Asked { stream: "cdr", from, to, account: None, region: None };
                Box::new(counts::Counts::new(counts_request(&asked), Vec::new()))
            }
        }
    }

    fn judge(&self, _request: &Request, answer: &Answer) -> Verdict {
        judge::judge(answer, &self.region_urls)
    }

    fn map<'r>(&self, row: &Row<'r>, out: &mut dyn Sink<'r>) {
        let product = match row.stream {
            "cdr_feed" => "cdr_feed",
            "cdr_stream" => "cdr_stream",
            _ => "cdr_records",
        };
        envelope::normalize_row(row.text, product, row.account_id, self.region, out);
    }

    fn placed_at(&self, row: &Row<'_>) -> Option<Time> {
        Fields::parse(row.text).ok()?.time(Field::ReportTime)
    }

    /// The version of a record is its report time. It is not the time of the event, which is when the call ended.
    fn held_at(&self, value: &[u8]) -> Option<Time> {
        #[derive(Deserialize)]
        struct Held<'h> {
            #[serde(borrow)]
            record_version: Option<Text<'h>>,
        }
        let held: Held<'_> = serde_json::from_slice(value).ok()?;
        time(held.record_version?)
    }
}

impl WebexApi {
    /// Other hosts that may know customers of the partner.
    fn others(&self, asked: &Asked) -> Vec<Request> {
        let elsewhere = |url: &Url| Request { elsewhere: Some(url.clone()), ..counts_request(asked) };
        self.region_urls.iter().map(elsewhere).collect()
    }

    fn base_of(&self, stream: &str) -> Option<Url> {
        let name = if stream == "cdr" { ANALYTICS } else { FEED };
        self.bases.iter().find(|(known, _)| *known == name).map(|(_, url)| url.clone())
    }

    fn rows_request(&self, asked: &Asked) -> Request {
        let (from, to) = span(asked);
        let request = match asked.stream {
            "cdr" => Request::get(ANALYTICS, RECORDS, "/v1/partners/cdrsbyorg"),
            stream => Request::get(FEED, HISTORY, format!("/v1/{stream}")).with("max", rows::MAX.to_string()),
        };
        let request = request.with("startTime", from).with("endTime", to);
        match asked.account.as_ref().or(self.org_id.as_ref()) {
            Some(account) => request.with("orgId", account),
            None => request,
        }
    }
}

fn counts_request(asked: &Asked) -> Request {
    let (from, to) = span(asked);
    Request::get(ANALYTICS, COUNTS, "/v1/partners/cdrcountbyorg").with("startTime", from).with("endTime", to)
}

/// The end is one millisecond before the first instant that is not asked for, so that hours are told apart however
/// the API treats its ends.
fn span(asked: &Asked) -> (String, String) {
    let end_ms = asked.to.unix_ms() - 1;
    (with_milliseconds(asked.from), Time::from_unix_ms(end_ms).map_or_else(String::new, with_milliseconds))
}

/// A time as Webex writes it: always three digits behind the second.
fn with_milliseconds(time: Time) -> String {
    let second = Time::from_unix_seconds(time.unix_seconds()).unwrap_or(time).to_string();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), time.unix_ms().rem_euclid(1000))
}

#[cfg(test)]
mod tests;
