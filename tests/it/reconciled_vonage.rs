//! `trunkline reconcile` against the double of Vonage's API, through the whole program.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunkline::event::kind::topics;
use trunkline::provider::double::world::{Fates, World};
use trunkline::provider::double::{Bases, Recipient};
use trunkline::providers;

use crate::harness::double::{TestDouble, world};
use crate::harness::program::{Finished, Place};
use crate::harness::webhook::Webhook;
use crate::harness::{CALL_EVENT, CALL_RECORD, DEAD_LETTER, INBOUND, STATUS, TestApp, schema, value_of};

const USAGE_RECORD: &str = "usage-record.v1";
const SECRET: &str = "an invented signature secret";
const WHOLE: [&str; 5] = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T13:00:00Z", "--json"];
const ALL_PRODUCTS: [&str; 2] = ["--product", "MESSAGES,SMS,VOICE-CALL,VERIFY-API"];

/// One customer, a fifth of whose webhooks never come.
fn lossy() -> World {
    World { accounts: 1, fates: Fates { lose_percent: 20, ..Fates::default() }, ..world() }
}

/// The source that gets the webhooks, and that asks the double.
fn source(double: &TestDouble, more: &str) -> String {
    format!(
        "[[sources]]\nname = \"v\"\nprovider = \"vonage\"\nsignature_secrets = [\"{SECRET}\"]\napi_key = \"{}\"\n\
         api_secret = \"{}\"\napi_url = \"{}\"\niat_max_age_s = 31536000\nsms_timestamp_max_age_s = 31536000\n{more}",
        double.credential("api_key"),
        double.credential("api_secret"),
        double.bases.first
    )
}

fn place(app: &TestApp, double: &TestDouble, more: &str) -> Place {
    let place = Place::new();
    let kafka = format!("[kafka]\nbootstrap_servers = \"{}\"\ncreate_topics = false\n", app.brokers());
    let spool = format!("[spool]\ndir = {:?}\n", place.path("spool"));
    place.file("trunkline.toml", &format!("{kafka}{spool}{}", source(double, more)));
    place
}

/// The double an hour after its world, which asks nobody to wait.
fn double(manners: &str) -> TestDouble {
    let double = TestDouble::start("vonage", lossy(), &format!("[manners]\nrates = false\n{manners}"));
    double.turn_clock(3600);
    double
}

/// Sends what the double would have sent by itself.
async fn deliver(app: &TestApp, now: trunkline::event::time::Time) {
    let bases = Bases { first: String::new(), second: String::new() };
    let mut sending = (providers::find("vonage").unwrap().double.unwrap().open)(lossy(), bases);
    let recipient = Recipient { url: app.webhook_url("/webhooks/v"), secret: SECRET.into() };
    while let Some(delivery) = sending.due(&recipient, now) {
        let request = delivery.request;
        let headers = request.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let webhook = Webhook { method: "POST", path: "/webhooks/v".to_owned(), headers, body: request.body };
        assert_eq!(app.send(&webhook).await.status, 200);
    }
}

async fn reconcile(place: &Place, more: &[&str]) -> Finished {
    let arguments = [&["--log", "error", "reconcile", "v"], more].concat();
    tokio::task::block_in_place(|| place.run(&arguments))
}

/// The sums over all streams.
fn total(finished: &Finished, name: &str) -> u64 {
    let mut lines = finished.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let summary = lines.rfind(|line| line["kind"] == "summary").unwrap();
    summary["totals"][name].as_u64().unwrap()
}

fn keys(app: &TestApp) -> BTreeSet<String> {
    let suffixes = [STATUS, INBOUND, CALL_RECORD, USAGE_RECORD];
    suffixes.into_iter().flat_map(|suffix| app.records(suffix)).map(|record| record.key).collect()
}

fn record_count(app: &TestApp) -> usize {
    topics().filter(|topic| topic.suffix != CALL_EVENT).map(|topic| app.records(topic.suffix).len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_webhooks_are_found_page_by_page_and_the_second_run_publishes_nothing() {
    let double = double("page_rows = 17");
    let app = TestApp::start_with(&source(&double, "")).await;
    deliver(&app, trunkline::event::time::Time::parse_iso("2026-02-03T14:00:00Z").unwrap()).await;
    let place = place(&app, &double, "");
    let facts = double.facts("from=2026-02-03T10:00:00Z&to=2026-02-03T13:00:00Z").await;
    let of = |product: &str| facts.iter().filter(|fact| fact["product"] == product).count() as u64;
    let calls_told = app.records(CALL_RECORD).len() as u64;
    let all = [&WHOLE[..], &ALL_PRODUCTS].concat();
    let first = reconcile(&place, &all).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let expected: BTreeSet<String> = facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect();
    assert!(expected.is_subset(&keys(&app)) && expected.len() > 300);
    assert_eq!((total(&first, "expected"), total(&first, "new")), (facts.len() as u64, of("VERIFY-API")));
    // A final record replaces the provisional one that a webhook made.
    assert!(total(&first, "updated") <= calls_told && total(&first, "updated") > of("VOICE-CALL") / 2);
    assert!(total(&first, "missing") > 30 && total(&first, "held") > total(&first, "missing"));
    let before = record_count(&app);
    let second = reconcile(&place, &all).await;
    assert_eq!((second.code, total(&second, "published"), record_count(&app)), (Some(0), 0, before), "{second:?}");
    assert_eq!((total(&second, "held"), app.records(DEAD_LETTER).len()), (facts.len() as u64, 0));
    for suffix in [STATUS, INBOUND, CALL_RECORD, USAGE_RECORD] {
        app.records(suffix).iter().for_each(|record| schema::assert_valid(&value_of(record)));
    }
    let usage = value_of(&app.records(USAGE_RECORD)[0]);
    assert_eq!((&usage["product"], &usage["ingest"]["scheme"]), (&json!("verify-api"), &json!("vonage-basic")));
    assert_eq!(usage["columns"]["total_price"], "0.05000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_while_pages_are_read_is_told_and_what_was_listed_is_published() {
    let facts = double("").facts("from=2026-02-03T10:00:00Z&to=2026-02-03T13:00:00Z").await;
    let is_status = |fact: &&Value| fact["product"] == "MESSAGES" && fact["direction"] == "outbound";
    let whole: Vec<&Value> = facts.iter().filter(is_status).collect();
    for (manners, fault, code, rows) in [
        // No window was read whole, and what the first page listed is published.
        ("link = \"repeated\"\npage_rows = 17", "", 1, Some(17)),
        ("rights = \"refused\"", "", 1, Some(0)),
        ("link = \"foreign\"\npage_rows = 17", "", 0, None),
        ("link = \"absent\"\npage_rows = 17", "", 0, None),
        ("items_count = \"all\"\npage_rows = 17", "", 0, None),
        ("", "[[fault]]\nwhen = { nth = 1 }\nthen = { status = 503 }", 0, None),
        ("", "[[fault]]\nwhen = { nth = 1 }\nthen = { status = 429, headers = { Retry-After = \"1\" } }", 0, None),
    ] {
        let double = double(&format!("{manners}\n{fault}"));
        let app = TestApp::start().await;
        let place = place(&app, &double, "");
        let finished = reconcile(&place, &[&WHOLE[..], &["--product", "messages.outbound"]].concat()).await;
        assert_eq!(finished.code, Some(code), "{manners} {fault} {finished:?}");
        let listed = rows.unwrap_or(whole.len());
        assert_eq!(app.records(STATUS).len(), listed, "{manners} {fault}");
        assert!(!format!("{finished:?}").contains(double.credential("api_secret")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_reports_are_those_of_pages() {
    for manners in ["", "rendering = \"flat\"\nprefixed_ids = true\nfile = \"foreign_link\"", "file_rows = 60"] {
        let double = double(manners);
        let app = TestApp::start().await;
        let by_reports = place(&app, &double, "report_mode = \"reports\"\n");
        let all = [&WHOLE[..], &ALL_PRODUCTS].concat();
        let first = reconcile(&by_reports, &all).await;
        assert_eq!(first.code, Some(0), "{manners} {first:?}");
        let facts = double.facts("from=2026-02-03T10:00:00Z&to=2026-02-03T13:00:00Z").await;
        let expected: BTreeSet<String> = facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect();
        assert_eq!((keys(&app), total(&first, "published")), (expected, facts.len() as u64), "{manners}");
        assert_eq!(value_of(&app.records(STATUS)[0])["ingest"]["via"], "report");
        let by_pages = place_of(&app, &double);
        let second = reconcile(&by_pages, &all).await;
        assert_eq!((second.code, total(&second, "published")), (Some(0), 0), "{manners} {second:?}");
        assert_eq!(total(&second, "held"), facts.len() as u64);
    }
}

/// The same source, asking by pages.
fn place_of(app: &TestApp, double: &TestDouble) -> Place {
    place(app, double, "report_mode = \"records\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_file_that_is_not_proven_is_published() {
    for (manners, code) in [("end = \"failed\"", 1), ("file = \"other_columns\"", 1)] {
        let double = double(manners);
        let app = TestApp::start().await;
        let place = place(&app, &double, "report_mode = \"reports\"\n");
        let finished = reconcile(&place, &[&WHOLE[..], &["--product", "SMS"]].concat()).await;
        assert_eq!(finished.code, Some(code), "{manners} {finished:?}");
        assert!(keys(&app).is_empty(), "{manners}");
    }
}

async fn reports(place: &Place, more: &[&str]) -> Finished {
    let arguments = [&["--log", "error", "reports", "v"], more].concat();
    tokio::task::block_in_place(|| place.run(&arguments))
}

const FEBRUARY: [&str; 4] = ["--from", "2026-02-03", "--to", "2026-02-04"];

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_made_listed_and_downloaded_by_hand() {
    let double = double("ready_s = 0");
    let app = TestApp::start().await;
    let place = place(&app, &double, "");
    let refused = reports(&place, &[&["create", "--product", "SMS"][..], &FEBRUARY].concat()).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("direction: is required"), "{refused:?}");
    let create = ["create", "--product", "SMS", "--direction", "outbound", "--wait"];
    let created = reports(&place, &[&create[..], &FEBRUARY].concat()).await;
    assert_eq!(created.code, Some(0), "{created:?}");
    let id = created.stdout.lines().next().unwrap();
    let listed = reports(&place, &["list", "--state", "success"]).await;
    assert!(listed.stdout.starts_with("ID") && listed.stdout.contains(id), "{listed:?}");
    assert_eq!(reports(&place, &["list", "--state", "pending"]).await.stdout.lines().count(), 1);
    let path = place.path("sms.zip");
    let path = path.to_str().unwrap();
    let downloaded = reports(&place, &["download", id, "--output", path]).await;
    assert_eq!(downloaded.code, Some(0), "{downloaded:?}");
    assert!(std::fs::read(path).unwrap().starts_with(b"PK"));
    let again = reports(&place, &["download", id, "--output", path]).await;
    assert!(again.code == Some(1) && again.stderr.contains("sms.zip"), "nothing is overwritten: {again:?}");
    let cancelled = reports(&place, &["cancel", id]).await;
    assert!(cancelled.code == Some(0) && cancelled.stdout.contains("it had ended"), "{cancelled:?}");
    let unknown = reports(&place, &["status", "unknown"]).await;
    assert!(unknown.code == Some(1) && unknown.stderr.contains("no such report"), "{unknown:?}");
    let odd = reports(&place, &["status", "../records"]).await;
    assert!(odd.code == Some(1) && odd.stderr.contains("can be no id"), "{odd:?}");
}
