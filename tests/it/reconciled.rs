//! `trunkline reconcile` against the double of Webex's API, through the whole program.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunkline::event::time::Time;
use trunkline::provider::double::world::World;
use trunkline::provider::simulate::{Credentials, Encoding, Signing};
use trunkline::providers;
use trunkline::reconcile::window::hour_of;

use crate::harness::double::{self, TestDouble, world};
use crate::harness::program::{Finished, Place};
use crate::harness::webhook::Webhook;
use crate::harness::{CALL_RECORD, DEAD_LETTER, STATE, TestApp, schema, value_of};

const WHOLE: [&str; 4] = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T13:00:00Z"];

/// A place with a source that asks the double, and more keys of it.
fn place(app: &TestApp, double: &TestDouble, more: &str) -> Place {
    let place = Place::new();
    let base = &double.bases.first;
    let secret = |name: &str| double.credential(name);
    place.file(
        "trunkline.toml",
        &format!(
            "[kafka]\nbootstrap_servers = \"{}\"\ncreate_topics = false\n[spool]\ndir = {:?}\n\
             [reconcile]\nstate_keys = [\"0123456789abcdef\"]\n[[sources]]\nname = \"webex-partner\"\nprovider = \"webex\"\n\
             signature_secrets = [\"secret\"]\nclient_id = \"{}\"\nclient_secret = \"{}\"\nrefresh_token = \"{}\"\n\
             api_url = \"{base}\"\nanalytics_url = \"{base}\"\nfeed_url = \"{base}\"\nregion_urls = [\"{}\"]\n{more}",
            app.brokers(),
            place.path("spool"),
            secret("client_id"),
            secret("client_secret"),
            secret("refresh_token"),
            double.bases.second,
        ),
    );
    place
}

/// An hour after the time that is compared.
fn double(script: &str) -> TestDouble {
    let double = TestDouble::start("webex", world(), script);
    double.turn_clock(3600);
    double
}

async fn reconcile(place: &Place, more: &[&str]) -> Finished {
    let arguments = [&["--log", "error", "reconcile", "webex-partner"], more].concat();
    // The double answers on this test's own threads.
    tokio::task::block_in_place(|| place.run(&arguments))
}

/// The lines of JSON.
fn lines(finished: &Finished) -> Vec<Value> {
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn summary(finished: &Finished) -> Value {
    lines(finished).pop().unwrap()
}

fn keys(app: &TestApp) -> BTreeSet<String> {
    app.records(CALL_RECORD).into_iter().map(|record| record.key).collect()
}

async fn facts(double: &TestDouble) -> BTreeSet<String> {
    let facts = double.facts("to=2026-02-03T13:00:00Z").await;
    facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_topics_lack_is_published_once() {
    let app = TestApp::start().await;
    let double = double("");
    let place = place(&app, &double, "");
    let first_hour = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T11:00:00Z"];
    let first = reconcile(&place, &first_hour).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let earlier = keys(&app).len() as u64;
    let dry = reconcile(&place, &[&WHOLE[..], &["--json", "--dry-run"]].concat()).await;
    assert_eq!(dry.code, Some(4), "{dry:?}");
    assert_eq!(keys(&app).len() as u64, earlier, "a dry run publishes nothing");
    let whole = reconcile(&place, &[&WHOLE[..], &["--json"]].concat()).await;
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let facts = facts(&double).await;
    let (all, totals) = (facts.len() as u64, summary(&whole)["totals"].clone());
    assert!(earlier > 50 && all > 300, "{earlier} of {all}");
    assert_eq!((&totals["expected"], &totals["held"]), (&json!(all), &json!(earlier)));
    assert_eq!((&totals["missing"], &totals["published"]), (&json!(all - earlier), &json!(all - earlier)));
    assert_eq!(keys(&app), facts);
    let again = reconcile(&place, &[&WHOLE[..], &["--json"]].concat()).await;
    let totals = summary(&again)["totals"].clone();
    assert_eq!((&totals["held"], &totals["published"]), (&json!(all), &json!(0)));
    assert_eq!((app.records(CALL_RECORD).len() as u64, app.records(DEAD_LETTER).len()), (all, 0));
    let event = value_of(&app.records(CALL_RECORD)[0]);
    schema::assert_valid(&event);
    let ingest = &event["ingest"];
    assert_eq!(
        (&ingest["via"], &ingest["verification"], &ingest["scheme"]),
        (&json!("poll"), &json!("api"), &json!("webex-oauth"))
    );
    assert_eq!(event["product"], "cdr_records");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_read_page_by_page_and_the_same_records_have_the_same_ids() {
    let app = TestApp::start().await;
    let double = double("[manners]\npage_records = 40\nrates = false\n");
    let org = format!("org_id = \"{}\"\n", double.credential("org_id"));
    let place = place(&app, &double, &org);
    let hour = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T11:00:00Z", "--json"];
    let counted = reconcile(&place, &hour).await;
    assert_eq!(counted.code, Some(0), "{counted:?}");
    let before = app.records(CALL_RECORD).len();
    let feed = reconcile(&place, &[&hour[..], &["--product", "cdr_feed"]].concat()).await;
    let totals = summary(&feed)["totals"].clone();
    assert!(totals["held"].as_u64().unwrap() > 20, "{feed:?}");
    assert_eq!((&totals["new"], &totals["published"]), (&json!(0), &json!(0)));
    assert_eq!(app.records(CALL_RECORD).len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_and_publishes_nothing_false() {
    let app = TestApp::start().await;
    let refused = "[[fault]]\nwhen = { path = \"/v1/partners/cdrcountbyorg\" }\nthen = { status = 403 }\n";
    let double = double(refused);
    let place = place(&app, &double, "");
    let forbidden = reconcile(&place, &WHOLE).await;
    assert!(forbidden.code == Some(1) && forbidden.stderr.contains("forbidden"), "{forbidden:?}");
    double.play("[[fault]]\nwhen = { path = \"/v1/partners/cdrsbyorg\", first = 1 }\nthen = { body = \"{\\\"items\\\":[]}\" }\n").await;
    let first_hour = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T11:00:00Z", "--json"];
    let short = reconcile(&place, &first_hour).await;
    let totals = summary(&short)["totals"].clone();
    assert!(short.code == Some(4) && totals["unexplained"].as_u64().unwrap() > 0, "{short:?}");
    let mended = reconcile(&place, &first_hour).await;
    assert_eq!((mended.code, &summary(&mended)["totals"]["unexplained"]), (Some(0), &json!(0)), "{mended:?}");
    for finished in [&forbidden, &short, &mended] {
        for name in ["client_secret", "refresh_token", "access_token"] {
            let secret = double.credential(name);
            assert!(!finished.stdout.contains(secret) && !finished.stderr.contains(secret), "{finished:?}");
        }
    }
    let state: String =
        app.records(STATE).iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect();
    assert!(state.contains("\"sealed\"") && !state.contains("double-refresh"), "tokens are sealed");
}

const FIRST_HOUR: [&str; 5] = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T11:00:00Z", "--json"];

#[tokio::test(flavor = "multi_thread")]
async fn without_a_comparison_every_row_is_published_under_its_own_id() {
    let app = TestApp::start().await;
    let double = double("");
    let place = place(&app, &double, "");
    let first = reconcile(&place, &FIRST_HOUR).await;
    let (held, before) = (summary(&first)["totals"]["published"].clone(), keys(&app));
    let again = reconcile(&place, &[&FIRST_HOUR[..], &["--without-comparison"]].concat()).await;
    let totals = summary(&again)["totals"].clone();
    assert_eq!((again.code, &totals["published"], &totals["held"]), (Some(0), &held, &json!(0)), "{again:?}");
    assert_eq!((keys(&app), app.records(CALL_RECORD).len()), (before.clone(), before.len() * 2));
}

/// The rows that the double lists of its first customer in the first hour.
async fn listed(double: &TestDouble) -> Vec<Value> {
    let org = double.credential("org_id");
    let target = format!(
        "/v1/partners/cdrsbyorg?orgId={org}&startTime=2026-02-03T10:00:00.000Z&endTime=2026-02-03T10:59:59.999Z"
    );
    let answer = double::json(double.get(&target).send().await.unwrap()).await;
    answer["items"].as_array().unwrap().clone()
}

/// A webhook with records.
fn webhook(records: &[&Value]) -> Webhook {
    let (info, body) = (providers::find("webex").unwrap(), json!({"items": records}).to_string());
    let credentials = Credentials::new("", "secret");
    let signing = Signing { credentials: &credentials, url: "", now: Time::now(), encoding: Encoding::Json };
    let signed = (info.simulations[0].sign)(&signing, body.into_bytes());
    let headers = signed.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Webhook { method: "POST", path: "/webhooks/webex-partner".to_owned(), headers, body: signed.body }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_feed_for_billing_rows_of_users_that_webhooks_tell_of_are_published() {
    let app = TestApp::start_with(
        "[[sources]]\nname = \"webex-partner\"\nprovider = \"webex\"\nsignature_secrets = [\"secret\"]\n",
    )
    .await;
    let double = double("");
    let place = place(&app, &double, "feed = \"billing\"\n");
    let rows = listed(&double).await;
    let user = |row: &Value| row["User UUID"].as_str().unwrap().to_owned();
    let of_one = rows.iter().filter(|row| user(row) == user(&rows[0])).count() as u64;
    assert!(of_one > 1 && of_one < rows.len() as u64, "{rows:?}");
    assert_eq!(app.send(&webhook(&[&rows[0]])).await.status, 200);
    let told = reconcile(&place, &FIRST_HOUR[..4]).await;
    assert!(told.code == Some(4) && told.stdout.contains("withheld, billing_feed: of users"), "{told:?}");
    assert_eq!(app.records(CALL_RECORD).len() as u64, of_one);
    let known = json!(user(&rows[0]));
    assert!(app.records(CALL_RECORD).iter().all(|record| value_of(record)["user"]["id"] == known));
    let again = reconcile(&place, &FIRST_HOUR).await;
    let totals = summary(&again)["totals"].clone();
    assert_eq!(
        (&totals["held"], &totals["published"]),
        (&json!(of_one), &json!(0)),
        "what was fetched tells of nobody"
    );
    assert_eq!(totals["withheld"], totals["missing"]);
    let asked_for = reconcile(&place, &[&FIRST_HOUR[..], &["--publish-missing", "--restart"]].concat()).await;
    let totals = summary(&asked_for)["totals"].clone();
    assert_eq!((asked_for.code, &totals["published"]), (Some(0), &totals["missing"]), "{asked_for:?}");
    assert!(totals["missing"].as_u64().unwrap() > 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_puts_off_is_left_and_nothing_has_failed() {
    let app = TestApp::start().await;
    let later = "then = { status = 429, headers = { Retry-After = \"1000\" } }\n";
    let double = double(&format!("[[fault]]\nwhen = {{ path = \"/v1/partners/cdrcountbyorg\" }}\n{later}"));
    let place = place(&app, &double, "");
    let put_off = reconcile(&place, &FIRST_HOUR).await;
    assert!(put_off.code == Some(4) && put_off.stderr.contains("asked again in 1000 s"), "{put_off:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_can_not_be_understood_is_a_letter_once_and_its_neighbours_are_published() {
    let app = TestApp::start().await;
    let double = double("");
    let place = place(&app, &double, "");
    let org = double.credential("org_id");
    let (good, bad) =
        (json!({"Report ID": "r-1", "Org UUID": org}), json!({"Report ID": "r-2", "User": "no organisation"}));
    let body = json!({"items": [bad, good]}).to_string().replace('"', "\\\"");
    double
        .play(&format!("[[fault]]\nwhen = {{ path = \"/v1/partners/cdrsbyorg\" }}\nthen = {{ body = \"{body}\" }}\n"))
        .await;
    for _ in 0..2 {
        let told = reconcile(&place, &[&FIRST_HOUR[..], &["--restart"]].concat()).await;
        assert!(summary(&told)["totals"]["unreadable"].as_u64().unwrap() > 0, "{told:?}");
        assert_eq!(told.code, Some(4));
    }
    assert_eq!(keys(&app), BTreeSet::from([format!("webex:{org}:r-1")]));
    let letter = value_of(&app.records(DEAD_LETTER)[0]);
    schema::assert_valid(&letter);
    assert_eq!(
        (&letter["reason"]["code"], &letter["proof"]["verification"]),
        (&json!("missing_account"), &json!("api"))
    );
    assert_eq!((&letter["scope"], &letter["request"]["method"]), (&json!("record"), &json!("GET")));
    assert!(letter["request"]["query"].as_str().unwrap().starts_with("stream=cdr&"));
    let ids: BTreeSet<String> = app.records(DEAD_LETTER).iter().map(|record| record.key.clone()).collect();
    assert_eq!(ids.len(), 1, "each reading makes the same letter");
}

#[test]
fn what_can_not_be_compared_is_told() {
    let place = Place::new();
    place.file(
        "trunkline.toml",
        "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[[sources]]\nname = \"webex-partner\"\nprovider = \"webex\"\n\
         signature_secrets = [\"secret\"]\n[[sources]]\nname = \"telphin\"\nprovider = \"telphin\"\naccount_id = \"999\"\n\
         url_tokens = [\"a-long-random-token\"]\n",
    );
    for (arguments, told) in [
        (&["reconcile", "nobody"][..], "the sources are: webex-partner, telphin"),
        (&["reconcile", "webex-partner"], "has no credentials for its provider's API"),
        (&["reconcile", "telphin"], "has no credentials for its provider's API"),
    ] {
        let finished = place.run(arguments);
        assert!(finished.code == Some(1) && finished.stderr.contains(told), "{finished:?}");
    }
    assert_eq!(place.run(&["reconcile", "webex-partner", "--from", "yesterday"]).code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_asks_the_api_whether_it_may_be_asked() {
    let app = TestApp::start().await;
    let world = World { since: hour_of(Time::now()).plus_s(-3 * 3600), ..world() };
    let double = TestDouble::start("webex", world, "");
    double.turn_clock(Time::now().unix_seconds() - hour_of(Time::now()).unix_seconds());
    let place = place(&app, &double, "");
    let check = || tokio::task::block_in_place(|| place.run(&["--log", "error", "check", "--online"]));
    let holds = check();
    assert!(holds.code == Some(0) && holds.stdout.contains("API answers for cdr"), "{holds:?}");
    let asked: Vec<Value> = double.log().await.iter().map(|request| request["path"].clone()).collect();
    assert_eq!(asked, ["/v1/access_token", "/v1/partners/cdrcountbyorg"]);
    double.play("[manners]\nrights = \"refused\"\n").await;
    let refused = check();
    assert!(refused.code == Some(1), "{refused:?}");
    assert!(refused.stderr.contains("webex-partner: cdr: forbidden: "), "{refused:?}");
    assert!(refused.stderr.contains("spark-admin:calling_cdr_read"), "{refused:?}");
    assert!(app.records(CALL_RECORD).is_empty());
}
