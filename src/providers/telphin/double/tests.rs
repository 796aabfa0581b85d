//! The double by its answers: what the page of the provider tells, as tables.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::provider::double::world::Fates;

const NOW: &str = "2026-02-03T12:14:26.103Z";
const HOUR: &str = "start_datetime=2026-02-03+10:00:00&end_datetime=2026-02-03+10:59:59&order=asc";

fn time(text: &str) -> Time {
    Time::parse_iso(text).unwrap()
}

struct Subject {
    double: Box<dyn Double>,
    credentials: BTreeMap<&'static str, String>,
}

impl Subject {
    fn with(manners: &str, fates: Fates) -> Self {
        let since = World::beginning(3, time(NOW)).unwrap();
        let world = World { seed: 1, since, facts_per_hour: 120, accounts: 3, fates };
        let bases = Bases { first: "http://127.0.0.1:1".to_owned(), second: "http://127.0.0.1:2".to_owned() };
        let mut double = (INFO.open)(world, bases);
        double.behave(&format!("[manners]\n{manners}")).unwrap();
        let credentials = double.entrance().credentials.into_iter().collect();
        Self { double, credentials }
    }

    fn new(manners: &str) -> Self {
        Self::with(manners, Fates::default())
    }

    fn request(&self, method: &str, target: &str) -> Request {
        let bearer = format!("Bearer {}", self.credentials["access_token"]);
        let target = if target.starts_with("/oauth") { target.to_owned() } else { format!("/api/ver1.0{target}") };
        Request::new(method, &target)
            .with_header("authorization", &bearer)
            .with_header("accept-encoding", "gzip, deflate")
    }

    fn ask(&mut self, method: &str, target: &str) -> Response {
        let request = self.request(method, target);
        self.double.answer(&request, time(NOW))
    }

    fn json(&mut self, target: &str) -> Value {
        let response = self.ask("GET", target);
        assert_eq!(response.status, 200, "{target}: {}", String::from_utf8_lossy(&response.body));
        serde_json::from_slice(&response.body).unwrap()
    }
}

#[test]
fn a_token_is_given_for_the_client_s_own_credentials_alone() {
    let mut subject = Subject::new("");
    let (id, secret) = (subject.credentials["client_id"].clone(), subject.credentials["client_secret"].clone());
    let grant = |kind: &str, id: &str, secret: &str| format!("grant_type={kind}&client_id={id}&client_secret={secret}");
    for (form, status) in [
        (grant("client_credentials", &id, &secret), 200),
        (grant("client_credentials", &id, "wrong"), 401),
        (grant("password", &id, &secret), 400),
    ] {
        let request = Request::new("POST", "/oauth/token").with_body(form.clone());
        let response = subject.double.answer(&request, time(NOW));
        assert_eq!(response.status, status, "{form}");
        assert_eq!(subject.ask("POST", &format!("/oauth/token?{form}")).status, status, "in the query");
    }
    let nobody = Request::new("GET", "/api/ver1.0/user/").with_header("accept-encoding", "gzip");
    assert_eq!(subject.double.answer(&nobody, time(NOW)).status, 401);
}

#[test]
fn pages_of_the_history_hold_every_call_once_in_order() {
    let mut subject = Subject::new("page_calls = 20");
    let mut told = Vec::new();
    for page in 1.. {
        let body = subject.json(&format!("/client/@me/call_history/?{HOUR}&page={page}&per_page=100"));
        assert_eq!((&body["per_page"], &body["page"]), (&json!(20), &json!(page)));
        let calls = body["call_history"].as_array().unwrap().clone();
        let is_last = calls.len() < 20;
        told.extend(calls);
        if is_last {
            break;
        }
    }
    let facts = subject.double.facts(time("2026-02-03T10:00:00Z"), time("2026-02-03T11:00:00Z"));
    let ids =
        |list: &[Value], name: &str| list.iter().map(|one| one[name].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((ids(&told, "call_uuid"), facts.len()), (ids(&facts, "record_id"), 120));
    let one = subject.json(&format!("/client/999/call_history/{}", ids(&told, "call_uuid")[5].to_lowercase()));
    assert_eq!(one, told[5]);
    let results: BTreeSet<&str> = told.iter().map(|call| call["result"].as_str().unwrap()).collect();
    assert_eq!(results, BTreeSet::from(["answered", "bridged", "not answered"]));
}

#[test]
fn what_is_wrong_with_a_request_is_refused() {
    let wide = "start_datetime=2026-01-01+00:00:00&end_datetime=2026-03-01+00:00:00";
    for (target, status) in [
        (format!("/client/1000/call_history/?{HOUR}"), 404),
        (format!("/client/@me/call_history/?{wide}"), 400),
        ("/client/@me/call_history/?start_datetime=2026-02-03".to_owned(), 400),
        ("/client/@me/record/".to_owned(), 400),
        ("/client/@me/call_history/0123/".to_owned(), 404),
        (format!("/extension/1/record/?{HOUR}"), 404),
        ("/nothing/".to_owned(), 404),
    ] {
        assert_eq!(Subject::new("").ask("GET", &target).status, status, "{target}");
    }
    let mut subject = Subject::new("");
    let request = Request { in_flight: 1, ..subject.request("GET", &format!("/client/@me/record/?{HOUR}")) };
    assert_eq!(subject.double.answer(&request, time(NOW)).status, 429);
    let plain = Request { headers: request.headers[..1].to_vec(), ..subject.request("GET", "/user/") };
    assert_eq!(subject.double.answer(&plain, time(NOW)).status, 406);
}

#[test]
fn the_quota_of_an_hour_is_told_and_ends() {
    let mut subject = Subject::new("quota_per_hour = 3\nused_by_others = 1");
    let told: Vec<(u16, Option<String>)> = (0..3)
        .map(|_| subject.ask("GET", "/user/"))
        .map(|response| (response.status, response.header("x-ratelimit-remaining").map(ToOwned::to_owned)))
        .collect();
    let expected = [(200, "1"), (200, "0"), (429, "0")].map(|(status, left)| (status, Some(left.to_owned())));
    assert_eq!(told, expected);
    let refused = subject.ask("GET", "/user/");
    assert_eq!(refused.header("X-RateLimit-Reset"), Some("2733"));
    assert!(String::from_utf8_lossy(&refused.body).contains("rate_limit_exceeded"));
}

#[test]
fn recordings_are_listed_fetched_and_deleted_at_their_levels() {
    let mut subject = Subject::new("");
    let list = subject.json(&format!("/client/@me/record/?{HOUR}"));
    let records = list.as_array().unwrap();
    let first = &records[0];
    let (uuid, extension) = (first["record_uuid"].as_str().unwrap().to_owned(), first["extension_id"].clone());
    let of_extension = subject.json(&format!("/extension/{extension}/record/?{HOUR}"));
    let group = subject.json(&format!("/extension_group/77/record/?{HOUR}"));
    let count = |list: &Value| list.as_array().unwrap().len();
    assert!(count(&of_extension) < records.len() && count(&group) < records.len());
    let stats = subject.json(&format!("/client/@me/record/stats/?{HOUR}"));
    assert_eq!(stats["call_records_count"], records.len());
    let file = subject.ask("GET", &format!("/client/@me/record/{uuid}"));
    assert_eq!((file.status, json!(file.body.len())), (200, first["record_file_size"].clone()));
    let link =
        subject.json(&format!("/client/@me/record/{uuid}/storage_url/"))["record_url"].as_str().unwrap().to_owned();
    let stored =
        Request { door: Door::Second, ..Request::new("GET", link.strip_prefix("http://127.0.0.1:2").unwrap()) };
    assert_eq!(subject.double.answer(&stored, time(NOW)).body, file.body, "the store asks for nothing");
    assert_eq!(subject.ask("DELETE", &format!("/client/@me/record/{uuid}")).status, 204);
    assert_eq!(subject.ask("GET", &format!("/client/@me/record/{uuid}")).status, 404);
    assert_eq!(subject.ask("DELETE", &format!("/extension/{extension}/record/?{HOUR}")).status, 204);
    assert_eq!(count(&subject.json(&format!("/extension/{extension}/record/?{HOUR}"))), 0);
}

#[test]
fn subscriptions_are_made_and_removed_one_by_one_or_all() {
    let mut subject = Subject::new("");
    let extensions = subject.json("/client/@me/extension/?page=1&per_page=100");
    assert_eq!(extensions.as_array().unwrap().len(), 4);
    let make = |subject: &mut Subject, event: &str| {
        let body = json!({"event_type": event, "method": "POST", "url": "https://h.example/x"}).to_string();
        let request = subject.request("POST", "/extension/1000101/event/").with_body(body);
        subject.double.answer(&request, time(NOW)).status
    };
    assert_eq!(["hangup", "answer", "nonsense"].map(|event| make(&mut subject, event)), [201, 201, 400]);
    assert_eq!(subject.ask("DELETE", "/extension/1000101/event/1").status, 204);
    assert_eq!(subject.json("/extension/1000101/event/")[0]["event_type"], "answer");
    assert_eq!(subject.ask("DELETE", "/extension/1000101/event/").status, 204);
    assert_eq!(subject.json("/extension/1000101/event/"), json!([]));
}

#[test]
fn webhooks_tell_each_step_and_what_is_lost_is_told() {
    let fates = Fates { lose_percent: 20, repeat_percent: 10, late_percent: 10, ..Fates::default() };
    let mut subject = Subject::with("", fates);
    let recipient = Recipient { url: "http://127.0.0.1:3/webhooks/t".to_owned(), secret: "a-token".into() };
    let (mut by_type, later) = (BTreeMap::<String, usize>::new(), time("2026-02-03T15:14:26Z"));
    while let Some(delivery) = subject.double.due(&recipient, later) {
        assert_eq!(delivery.request.url_token.as_deref(), Some("a-token"));
        let members = crate::provider::simulate::Encoding::Form.read(&delivery.request.body).unwrap();
        *by_type.entry(members["EventType"].as_str().unwrap().to_owned()).or_default() += 1;
        subject.double.delivered(delivery.id, true);
    }
    assert!(by_type["hangup"] > 200 && by_type["answer"] > 200 && by_type["dial-out"] > 20, "{by_type:?}");
    let facts = subject.double.facts(time("2026-02-03T09:00:00Z"), time("2026-02-03T12:00:00Z"));
    let lost: Vec<usize> = facts.iter().map(|fact| fact["webhook"]["lost"].as_array().unwrap().len()).collect();
    assert!(lost.iter().filter(|lost| **lost == 1).count() > 10 && lost.iter().filter(|lost| **lost > 1).count() > 10);
    let is_taken = |fact: &&Value| fact["webhook"]["state"] == "taken";
    assert!(facts.iter().filter(is_taken).count() > 200, "{}", facts[0]);
}

#[test]
fn a_zone_moves_what_is_asked_for_and_names_may_be_in_other_bytes() {
    let mut subject = Subject::new("zone_min = 60\ncharset = \"cp1251\"\nlegs = \"reversed\"");
    let response = subject.ask("GET", &format!("/client/@me/call_history/?{HOUR}&per_page=100"));
    let text = String::from_utf8_lossy(&response.body);
    assert!(text.contains("\"init_time_gmt\":\"2026-02-03 09:") && !text.contains("2026-02-03 10:59"));
    assert!(text.contains('\u{fffd}') && std::str::from_utf8(&response.body).is_err());
}

const PAGE: &str = include_str!("../../../../docs/double.md");

#[test]
fn the_page_names_every_manner_and_its_default() {
    let section = PAGE.split("### Manners of ").find(|section| section.starts_with("Telphin")).unwrap();
    let printed = format!("{:#?}", Manners::default());
    let manners: Vec<_> =
        printed.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": ")).collect();
    assert_eq!(manners.len(), 14);
    for (key, default) in manners {
        let row = section.lines().find_map(|line| line.strip_prefix(&format!("| `{key}` | ")));
        let told = row.unwrap_or_else(|| panic!("{key}")).split([',', '|']).next().unwrap();
        assert_eq!(told.trim().trim_matches('`'), default.to_lowercase(), "{key}");
    }
}

#[test]
fn a_misspelt_manner_is_told_with_its_line() {
    for (manners, told) in [("zone = 3", "unknown field `zone`"), ("page_calls = 0", "it is at least 1")] {
        let error = Subject::new("").double.behave(&format!("[manners]\n{manners}")).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains(told), "{error}");
    }
}
