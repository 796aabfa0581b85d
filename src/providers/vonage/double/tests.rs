//! The double by its answers, and beside the receiver: one fact has one id by both ways.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::INFO;
use crate::config;
use crate::event::time::Time;
use crate::provider::Normalized;
use crate::provider::api::Row;
use crate::provider::double::world::{Fates, World};
use crate::provider::double::{Bases, Door, Double, Recipient, Request, Response};
use crate::verify;

const NOW: &str = "2026-02-03T12:14:26Z";
const SECRET: &str = "an-invented-signature-secret";

fn time(text: &str) -> Time {
    Time::parse_iso(text).unwrap()
}

fn world(fates: Fates) -> World {
    let since = World::beginning(6, time(NOW)).unwrap();
    World { seed: 1, since, facts_per_hour: 60, accounts: 2, fates }
}

struct Subject {
    double: Box<dyn Double>,
    credentials: BTreeMap<&'static str, String>,
    now: Time,
}

impl Subject {
    fn new(fates: Fates, manners: &str) -> Self {
        let bases = Bases { first: "http://127.0.0.1:9200".to_owned(), second: "http://127.0.0.1:9201".to_owned() };
        let mut double = (INFO.open)(world(fates), bases);
        double.behave(&format!("[manners]\nrates = false\n{manners}")).unwrap();
        let credentials = double.entrance().credentials.into_iter().collect();
        Self { double, credentials, now: time(NOW) }
    }

    fn request(&self, method: &str, target: &str) -> Request {
        let user = format!("{}:{}", self.credentials["api_key"], self.credentials["api_secret"]);
        Request::new(method, target).with_header("Authorization", &format!("Basic {}", STANDARD.encode(user)))
    }

    fn answer(&mut self, request: &Request) -> Response {
        self.double.answer(request, self.now)
    }

    fn get(&mut self, target: &str) -> Response {
        let request = self.request("GET", target);
        self.answer(&request)
    }

    /// A day of a product's rows of the first account.
    fn target(&self, more: &str) -> String {
        let account = &self.credentials["api_key"];
        format!(
            "/v2/reports/records?account_id={account}&date_start=2026-02-03T00:00:00Z&date_end=2026-02-04T00:00:00%2B0000&{more}"
        )
    }

    /// The rows of all pages, as they are linked.
    fn rows(&mut self, more: &str) -> Vec<Value> {
        let (mut target, mut rows) = (self.target(more), Vec::new());
        for _ in 0..1000 {
            let page = body(&self.get(&target));
            rows.extend(page["records"].as_array().unwrap_or_else(|| panic!("{page}")).clone());
            let Some(next) = page["_links"]["next"]["href"].as_str() else { return rows };
            target = next.strip_prefix("http://127.0.0.1:9200").unwrap().to_owned();
        }
        panic!("it does not end")
    }
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

const STREAMS: [(&str, &str); 6] = [
    ("product=MESSAGES&direction=outbound", "messages.outbound"),
    ("product=MESSAGES&direction=inbound", "messages.inbound"),
    ("product=SMS&direction=outbound", "sms.outbound"),
    ("product=SMS&direction=inbound", "sms.inbound"),
    ("product=VOICE-CALL", "voice-call"),
    ("product=VERIFY-API", "verify-api"),
];

#[test]
fn pages_of_every_size_list_every_fact_once() {
    for a_page in [3, 7, 1000] {
        let mut subject = Subject::new(Fates::default(), &format!("page_rows = {a_page}"));
        let mut listed = BTreeSet::new();
        let mut count = 0;
        for (more, _) in STREAMS {
            let rows = subject.rows(more);
            count += rows.len();
            listed.extend(rows.iter().map(|row| row["id"].as_str().unwrap().replace('-', "")));
        }
        let facts = subject.double.facts(time("2026-02-03T00:00:00Z"), subject.now);
        let own = facts.iter().filter(|fact| fact["account_id"] == subject.credentials["api_key"].as_str());
        let over = own.filter(|fact| time(fact["learnt_at"].as_str().unwrap()) <= subject.now);
        let expected: BTreeSet<String> = over.map(|fact| fact["id"].as_str().unwrap().replace('-', "")).collect();
        assert_eq!((count, &listed), (expected.len(), &expected), "{a_page}");
        assert!(count > 100, "{count}");
    }
}

#[test]
fn what_is_not_right_is_refused_as_vonage_does() {
    let mut subject = Subject::new(Fates::default(), "");
    for (more, status, parameter) in [
        ("product=SMS", 422, "direction"),
        ("product=VERIFY-API&direction=outbound", 422, "direction"),
        ("product=VOICE-CALL&direction=outbound", 200, ""),
        ("product=OTHER", 422, "product"),
        ("product=VOICE-CALL&cursor=x&iv=y", 422, "cursor"),
    ] {
        let response = subject.get(&subject.target(more));
        assert_eq!(response.status, status, "{more}");
        assert_eq!(body(&response)["invalid_parameters"][0]["name"].as_str().unwrap_or(""), parameter, "{more}");
    }
    let account = subject.credentials["api_key"].clone();
    for (times, parameter) in [
        ("date_start=2026-02-01T00:00:00Z&date_end=2026-02-03T00:00:00Z", "date_end"),
        ("date_start=2024-02-01T00:00:00Z&date_end=2024-02-01T01:00:00Z", "date_start"),
        ("date_start=2026-02-03T00:00:00+0000&date_end=2026-02-03T01:00:00Z", "date_start"),
    ] {
        let response = subject.get(&format!("/v2/reports/records?product=VOICE-CALL&account_id={account}&{times}"));
        assert_eq!(body(&response)["invalid_parameters"][0]["name"], parameter, "{times}");
    }
    assert_eq!(subject.answer(&Request::new("GET", "/v2/reports/records")).status, 401);
    let request = Request { door: Door::Second, ..subject.request("GET", "/v2/reports/records") };
    assert_eq!(subject.answer(&request).status, 404);
}

#[test]
fn more_than_ten_pages_a_second_are_too_many() {
    let mut subject = Subject::new(Fates::default(), "");
    subject.double.behave("").unwrap();
    let target = subject.target("product=VOICE-CALL");
    let statuses: Vec<u16> = (0..11).map(|_| subject.get(&target).status).collect();
    assert_eq!(statuses, [&[200; 10][..], &[429]].concat());
    subject.now = subject.now.plus_s(1);
    assert_eq!(subject.get(&target).status, 200);
}

/// The report of a product, asked for.
fn create(subject: &mut Subject, product: &str) -> Value {
    let account = subject.credentials["api_key"].clone();
    let asked = json!({"product": product, "account_id": account, "date_start": "2026-02-03T00:00:00Z",
        "date_end": "2026-02-04T00:00:00Z", "include_subaccounts": true});
    let request = subject.request("POST", "/v2/reports").with_body(asked.to_string());
    body(&subject.answer(&request))
}

#[test]
fn a_report_ends_in_time_with_the_rows_of_all_accounts_and_its_file_is_kept_for_a_while() {
    for manners in ["ready_s = 60", "ready_s = 60\nrendering = \"flat\"\nprefixed_ids = true"] {
        let mut subject = Subject::new(Fates::default(), manners);
        let created = create(&mut subject, "VOICE-CALL");
        let state =
            |report: &Value| report["request_status"].as_str().or(report["status"].as_str()).unwrap().to_owned();
        let target = format!("/v2/reports/{}", created["request_id"].as_str().unwrap());
        assert_eq!(state(&created), "PENDING");
        subject.now = subject.now.plus_s(60);
        let ready = body(&subject.get(&target));
        assert_eq!(state(&ready), "SUCCESS");
        let link = ready["_links"]["download_report"]["href"].as_str().or(ready["download_url"].as_str()).unwrap();
        let link = link.strip_prefix("http://127.0.0.1:9200").unwrap().to_owned();
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(subject.get(&link).body)).unwrap();
        let mut table = String::new();
        std::io::Read::read_to_string(&mut archive.by_index(0).unwrap(), &mut table).unwrap();
        let facts = subject.double.facts(time("2026-02-03T00:00:00Z"), time(NOW));
        let calls = facts
            .iter()
            .filter(|fact| fact["product"] == "VOICE-CALL" && time(fact["learnt_at"].as_str().unwrap()) <= time(NOW));
        assert_eq!((table.lines().count() - 1, &ready["items_count"]), (calls.clone().count(), &json!(calls.count())));
        let listed = body(&subject.get("/v2/reports?status=SUCCESS"));
        assert_eq!(listed["reports"][0]["request_id"], created["request_id"]);
        let cancel = subject.request("DELETE", &target);
        assert_eq!(subject.answer(&cancel).status, 409);
        subject.now = subject.now.plus_s(73 * 3600);
        assert_eq!((subject.get(&link).status, subject.get(&target).status), (404, 200));
        subject.now = subject.now.plus_s(24 * 3600);
        assert_eq!(subject.get(&target).status, 404);
    }
}

#[test]
fn a_report_can_be_given_up_and_can_end_badly() {
    for (manners, state) in
        [("end = \"failed\"", "FAILED"), ("end = \"never\"", "PENDING"), ("file_rows = 3", "TRUNCATED")]
    {
        let mut subject = Subject::new(Fates::default(), manners);
        let created = create(&mut subject, "VOICE-CALL");
        assert_eq!(created["request_status"], state);
        let cancel = subject.request("DELETE", &format!("/v2/reports/{}", created["request_id"].as_str().unwrap()));
        assert_eq!(subject.answer(&cancel).status, if state == "PENDING" { 200 } else { 409 });
    }
}

/// Runs everything that the double sends and lists through the receiver and the mapping of rows.
#[test]
fn a_fact_has_one_key_by_webhook_and_by_row_and_a_message_one_id() {
    let mut subject = Subject::new(Fates { repeat_percent: 10, lose_percent: 10, ..Fates::default() }, "");
    let key = subject.credentials["api_key"].clone();
    let text = format!(
        "[[sources]]\nname = \"v\"\nprovider = \"vonage\"\nsignature_secrets = [\"{SECRET}\"]\napi_key = \"{key}\"\n\
         api_secret = \"an-invented-secret\"\niat_max_age_s = 31536000\nsms_timestamp_max_age_s = 31536000\n"
    );
    let source = config::load_text("test", &text, &config::Environment::new()).unwrap().settings.sources.remove(0);
    let recipient = Recipient { url: "http://127.0.0.1/webhooks/v".to_owned(), secret: SECRET.into() };
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while let Some(delivery) = subject.double.due(&recipient, subject.now) {
        subject.double.delivered(delivery.id, true);
        let received = delivery.request.received(&recipient.url, subject.now);
        let verified = verify::authenticate(&received, &*source.provider, &source.doors).unwrap();
        let mut normalized = Normalized::default();
        source.provider.normalize(&verified, &mut normalized);
        assert!(normalized.faults.is_empty() && normalized.unmapped.is_empty(), "{:?}", normalized.faults);
        for mut event in normalized.events.into_iter().filter(|event| event.fact.kind().info().name != "call_event") {
            let identity = event.identify("vonage");
            told.entry(identity.key).or_default().insert(format!("{} {:?}", identity.id, identity.fact_hash));
        }
    }
    for (more, stream) in STREAMS {
        for row in subject.rows(more) {
            let text = row.to_string();
            let mut normalized = Normalized::default();
            source.api.as_ref().unwrap().map(&Row { stream, text: &text, account_id: None }, &mut normalized);
            assert!(normalized.faults.is_empty() && normalized.unmapped.is_empty(), "{row}");
            let identity = normalized.events[0].identify("vonage");
            if let Some(ids) = told.get(&identity.key).filter(|_| stream != "voice-call") {
                assert_eq!(ids, &BTreeSet::from([format!("{} {:?}", identity.id, identity.fact_hash)]), "{row}");
            }
        }
    }
    for fact in subject.double.facts(time("2026-02-03T00:00:00Z"), subject.now) {
        let is_told = told.contains_key(fact["key"].as_str().unwrap());
        assert_eq!(is_told, fact["webhook"]["state"] == "taken", "{fact}");
    }
}

#[test]
fn the_page_names_every_manner_and_its_default() {
    let page = include_str!("../../../../docs/double.md")
        .split("### Manners of ")
        .find(|section| section.starts_with("Vonage"))
        .unwrap();
    let printed = format!("{:#?}", super::Manners::default());
    let manners: Vec<_> =
        printed.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": ")).collect();
    assert_eq!(manners.len(), 13);
    for (key, default) in manners {
        let letters = |text: &str| text.replace(['_', '"', '`'], "").to_lowercase();
        let rows = page.lines().filter_map(|line| line.strip_prefix(&format!("| `{key}` | ")));
        let values: Vec<String> = rows.map(|row| letters(row.split([',', '|']).next().unwrap().trim())).collect();
        assert_eq!(values, [letters(default)], "{key}");
    }
}
