//! The double by its answers: what the page of the provider tells, as tables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::INFO;
use crate::event::time::Time;
use crate::provider::double::world::{Fates, HOUR_MS, World};
use crate::provider::double::{Bases, Delivery, Door, Double, Request, Response};

mod agreement;
mod feeds;
mod partner;
mod tokens;
mod webhooks;

const FIRST: &str = "http://127.0.0.1:9200";
const SECOND: &str = "http://127.0.0.1:9201";
const NOW: &str = "2026-02-03T12:14:26.103Z";

fn time(text: &str) -> Time {
    Time::parse_iso(text).unwrap()
}

fn world() -> World {
    let since = World::beginning(6, time(NOW)).unwrap();
    World { seed: 1, since, facts_per_hour: 60, accounts: 3, fates: Fates::default() }
}

/// A double with the credentials of its client.
struct Subject {
    double: Box<dyn Double>,
    credentials: BTreeMap<&'static str, String>,
    now: Time,
}

impl Subject {
    fn new(world: World) -> Self {
        let double = (INFO.open)(world, Bases { first: FIRST.to_owned(), second: SECOND.to_owned() });
        let credentials = double.entrance().credentials.into_iter().collect();
        Self { double, credentials, now: time(NOW) }
    }

    fn with(manners: &str) -> Self {
        let mut subject = Self::new(world());
        subject.behave(manners);
        subject
    }

    fn behave(&mut self, manners: &str) {
        self.double.behave(&format!("[manners]\n{manners}")).unwrap();
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.credentials["access_token"])
    }

    fn request(&self, method: &str, target: &str) -> Request {
        Request::new(method, target).with_header("Authorization", &self.bearer())
    }

    fn answer(&mut self, request: &Request) -> Response {
        self.double.answer(request, self.now)
    }

    fn get(&mut self, target: &str) -> Response {
        let request = self.request("GET", target);
        self.answer(&request)
    }

    fn get_at(&mut self, door: Door, target: &str) -> Response {
        let request = Request { door, ..self.request("GET", target) };
        self.answer(&request)
    }

    /// All records that a list has, page by page, as its links say; not more than 1000 pages.
    fn pages(&mut self, target: &str) -> Vec<Vec<Value>> {
        let mut next = Some(target.to_owned());
        let mut pages = Vec::new();
        while let Some(target) = next.take().filter(|_| pages.len() < 1000) {
            let response = self.get(&target);
            if response.status == 404 {
                break;
            }
            pages.push(body(&response)["items"].as_array().unwrap().clone());
            next = response.header("Link").map(|link| url(link).strip_prefix(FIRST).unwrap().to_owned());
        }
        pages
    }

    /// The organisation of the client itself, and then the others.
    fn organisation(&self, account: usize) -> String {
        let facts = self.double.facts(world().since, self.now);
        let all = facts.iter().map(|fact| fact["account_id"].as_str().unwrap());
        let (own, others): (Vec<&str>, Vec<&str>) = all.partition(|id| *id == self.credentials["org_id"]);
        let mut others: Vec<&str> = others.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        others.insert(0, own[0]);
        others[account].to_owned()
    }
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}"))
}

fn message(response: &Response) -> String {
    body(response)["message"].as_str().unwrap().to_owned()
}

/// The URL in a link of the ordinary form.
fn url(link: &str) -> &str {
    link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap()
}

/// Parameters for a stretch that begins and ends so many minutes ago.
fn times(from_min: f64, to_min: f64) -> String {
    let moment = |minutes: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "minutes of a test are few")]
        super::calls::stamp(time(NOW).unix_ms() - (minutes * 60_000.0) as i64)
    };
    format!("startTime={}&endTime={}", moment(from_min), moment(to_min))
}

/// Parameters for an hour since the world began.
fn hour(number: i64) -> String {
    let from_ms = world().since.unix_ms() + number * HOUR_MS;
    let [from, to] = [from_ms, from_ms + HOUR_MS - 1].map(super::calls::stamp);
    format!("startTime={from}&endTime={to}")
}

/// Whether the receiver takes a delivery for Webex's.
fn is_signed_with(secret: &str, delivery: &Delivery) -> bool {
    let text = format!("[[sources]]\nname = \"w\"\nprovider = \"webex\"\nsignature_secrets = [\"{secret}\"]\n");
    let loaded = crate::config::load_text("test", &text, &crate::config::Environment::new()).unwrap();
    let source = &loaded.settings.sources[0];
    let request = delivery.request.received("/webhooks/w", delivery.due_at);
    crate::verify::authenticate(&request, &*source.provider, &source.doors).is_ok()
}

#[test]
fn what_is_asked_must_be_there_and_allowed() {
    let mut subject = Subject::with("");
    let counts = format!("/v1/partners/cdrcountbyorg?{}", hour(1));
    for (request, status, told) in [
        (Request::new("GET", &counts), 401, "valid access token"),
        (Request::new("GET", &counts).with_header("Authorization", "Bearer guessed"), 401, "valid access token"),
        (
            Request::new("GET", &counts).with_header("Authorization", &subject.credentials["access_token"]),
            401,
            "valid access token",
        ),
        (subject.request("POST", &counts), 405, "not allowed"),
        (subject.request("GET", "/v1/access_token"), 405, "not allowed"),
        (subject.request("GET", "/v1/people/me"), 404, "could not be found"),
        (Request { door: Door::Second, ..subject.request("GET", "/v1/webhooks") }, 404, "could not be found"),
        (Request { door: Door::Second, ..subject.request("POST", "/v1/access_token") }, 404, "could not be found"),
        (subject.request("GET", &counts), 200, ""),
    ] {
        let response = subject.answer(&request);
        assert_eq!(response.status, status, "{request:?}");
        assert!(told.is_empty() || message(&response).contains(told), "{response:?}");
        assert!(response.header("trackingid").is_some());
        assert_eq!(told.is_empty(), body(&response).get("trackingId").is_none(), "{response:?}");
    }
}

#[test]
fn a_token_without_the_right_is_refused_by_every_list_of_calls() {
    let mut subject = Subject::with("rights = \"refused\"");
    for path in ["partners/cdrcountbyorg", "partners/cdrsbyorg", "cdr_feed", "cdr_stream"] {
        let response = subject.get(&format!("/v1/{path}?{}", times(60.0, 10.0)));
        assert!(response.status == 403 && message(&response).contains("spark-admin:calling_cdr_read"), "{response:?}");
    }
    assert_eq!(subject.get("/v1/webhooks").status, 200);
}

#[test]
fn a_misspelt_manner_is_told_with_its_line_and_changes_nothing() {
    let mut subject = Subject::with("rights = \"refused\"");
    for (manners, told) in [
        ("lnik = \"repeated\"", "unknown field `lnik`"),
        ("link = \"repaeted\"", "unknown variant `repaeted`"),
        ("page_records = 0", "it is at least 1"),
        ("batch_shape = \"heap\"", "the shapes are: items"),
    ] {
        let error = subject.double.behave(&format!("[manners]\n{manners}")).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains(told), "{error}");
    }
    assert_eq!(subject.get(&format!("/v1/cdr_feed?{}", times(60.0, 10.0))).status, 403);
}

#[test]
fn a_client_is_told_what_it_needs() {
    let subject = Subject::with("");
    let names: Vec<&str> = subject.credentials.keys().copied().collect();
    assert_eq!(names, ["access_token", "client_id", "client_secret", "org_id", "refresh_token"]);
    let source: toml::Table = subject.double.entrance().source.parse().unwrap();
    assert_eq!((source["api_url"].as_str(), source["region_urls"][0].as_str()), (Some(FIRST), Some(SECOND)));
}

const PAGE: &str = include_str!("../../../../docs/double.md");

/// The part of the page that is about this double's manners.
fn manners_of_webex() -> &'static str {
    let part = PAGE.split("### Manners of Webex").nth(1).unwrap();
    part.split("\n### ").next().unwrap()
}

#[test]
fn the_page_names_every_manner_and_its_default() {
    let printed = format!("{:#?}", super::Manners::default());
    let manners: Vec<_> =
        printed.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": ")).collect();
    assert_eq!(manners.len(), 19);
    for (key, default) in manners {
        let letters = |text: &str| text.replace(['_', '"'], "").to_lowercase();
        let rows = manners_of_webex().lines().filter_map(|line| line.strip_prefix(&format!("| `{key}` | ")));
        let values: Vec<String> =
            rows.map(|row| letters(row.split([',', '|']).next().unwrap().trim().trim_matches('`'))).collect();
        assert_eq!(values, [letters(default)], "{key}");
    }
}

#[test]
fn the_scripts_of_the_page_can_be_played() {
    let scripts: Vec<&str> = PAGE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        Subject::with("").double.behave(script).unwrap();
        assert!(!crate::provider::double::script::faults(script).unwrap().is_empty());
    }
}
