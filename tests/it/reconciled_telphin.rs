//! `trunkline reconcile` against the double of Telphin's API, through the whole program.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunkline::event::time::Time;
use trunkline::provider::double::world::{Fates, World};

use crate::harness::double::{TestDouble, world};
use crate::harness::program::{Finished, Place};
use crate::harness::webhook::Webhook;
use crate::harness::{CALL_EVENT, CALL_RECORD, DEAD_LETTER, TestApp, schema, value_of};

const WHOLE: [&str; 5] = ["--from", "2026-02-03T10:00:00Z", "--to", "2026-02-03T13:00:00Z", "--json"];
const TOKEN: &str = "a-long-random-token";

fn source(double: &TestDouble, more: &str) -> String {
    format!(
        "[[sources]]\nname = \"telphin\"\nprovider = \"telphin\"\naccount_id = \"999\"\nurl_tokens = [\"{TOKEN}\"]\n\
         client_id = \"{}\"\nclient_secret = \"{}\"\napi_url = \"{}\"\n{more}",
        double.credential("client_id"),
        double.credential("client_secret"),
        double.bases.first,
    )
}

fn place(app: &TestApp, double: &TestDouble, more: &str) -> Place {
    let place = Place::new();
    let head = format!(
        "[kafka]\nbootstrap_servers = \"{}\"\ncreate_topics = false\n[spool]\ndir = {:?}\n",
        app.brokers(),
        place.path("spool")
    );
    place.file("trunkline.toml", &format!("{head}{}", source(double, more)));
    place
}

/// An hour after the time that is compared.
fn double(script: &str) -> TestDouble {
    let double = TestDouble::start("telphin", world(), script);
    double.turn_clock(3600);
    double
}

async fn reconcile(place: &Place, more: &[&str]) -> Finished {
    let arguments = [&["--log", "error", "reconcile", "telphin"], &WHOLE[..], more].concat();
    // The double answers on this test's own threads.
    tokio::task::block_in_place(|| place.run(&arguments))
}

fn summary(finished: &Finished) -> Value {
    let last = finished.stdout.lines().last().unwrap_or_else(|| panic!("{finished:?}"));
    serde_json::from_str::<Value>(last).unwrap()["totals"].clone()
}

fn final_keys(app: &TestApp) -> BTreeSet<String> {
    let records = app.records(CALL_RECORD).into_iter().filter(|record| value_of(record)["state"] == "final");
    records.map(|record| record.key).collect()
}

async fn facts(double: &TestDouble) -> BTreeSet<String> {
    let facts = double.facts("to=2026-02-03T13:00:00Z").await;
    facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_gets_its_last_word_once() {
    let app = TestApp::start().await;
    let double = double("[manners]\npage_calls = 50\ncharset = \"cp1251\"\n");
    let place = place(&app, &double, "");
    let first = reconcile(&place, &[]).await;
    let (facts, totals) = (facts(&double).await, summary(&first));
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(facts.len() > 300, "{}", facts.len());
    assert_eq!((&totals["missing"], &totals["published"]), (&json!(facts.len()), &json!(facts.len())));
    assert_eq!(final_keys(&app), facts);
    let event = value_of(&app.records(CALL_RECORD)[0]);
    schema::assert_valid(&event);
    let ingest = &event["ingest"];
    assert_eq!((&ingest["via"], &ingest["scheme"]), (&json!("poll"), &json!("telphin-oauth")));
    assert_eq!(event["product"], "call_history");
    double.play("[manners]\nlegs = \"reversed\"\n").await;
    let again = summary(&reconcile(&place, &["--restart"]).await);
    assert_eq!((&again["held"], &again["published"]), (&json!(facts.len()), &json!(0)));
    assert_eq!((app.records(CALL_RECORD).len(), app.records(DEAD_LETTER).len()), (facts.len(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_which_anything_was_heard_is_updated_and_one_of_which_nothing_was_is_missing() {
    let double = double("");
    let app = TestApp::start_with(&source(&double, "")).await;
    let facts = double.facts("to=2026-02-03T13:00:00Z").await;
    let heard = facts[0]["record_id"].as_str().unwrap().to_lowercase();
    let dialled =
        format!("EventType=dial-in&CallID={heard}&SubCallID=1-a&CallStatus=CALLING&EventTime=1770112800000000");
    let webhook = Webhook::unsigned(dialled).to(&format!("/webhooks/telphin/{TOKEN}"));
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!((app.records(CALL_EVENT).len(), app.records(CALL_RECORD).len()), (1, 0));
    let place = place(&app, &double, "");
    let totals = summary(&reconcile(&place, &[]).await);
    assert_eq!((&totals["updated"], &totals["missing"]), (&json!(1), &json!(facts.len() - 1)));
    assert_eq!(totals["published"], json!(facts.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_and_an_account_that_are_wrong_are_told_and_nothing_is_published() {
    let app = TestApp::start().await;
    for (script, word, mend) in [
        ("[manners]\nzone_min = -60\n", "wrong_zone", "-60"),
        ("[manners]\nclient_id = 1000\n", "wrong_account", "1000"),
        ("[[fault]]\nwhen = { path = \"/api/*\" }\nthen = { status = 403, body = \"{}\" }\n", "forbidden", "trusted"),
    ] {
        let double = double(script);
        let place = place(&app, &double, "");
        let told = reconcile(&place, &[]).await;
        assert!(told.code == Some(1) && told.stderr.contains(word) && told.stderr.contains(mend), "{told:?}");
        let secret = double.credential("client_secret");
        assert!(!told.stdout.contains(secret) && !told.stderr.contains(secret));
        assert_eq!(app.records(CALL_RECORD).len(), 0);
    }
    let double = double("[manners]\nzone_min = -60\n");
    let place = place(&app, &double, "api_utc_offset_min = -60\n");
    assert_eq!(reconcile(&place, &[]).await.code, Some(0));
    assert_eq!(final_keys(&app), facts(&double).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_the_quota_is_left_to_others() {
    let app = TestApp::start().await;
    // It is on the hour, so that the quota begins anew in an hour.
    let double = double("[manners]\nquota_per_hour = 100\nused_by_others = 75\npage_calls = 20\n");
    let place = place(&app, &double, "");
    let put_off = reconcile(&place, &[]).await;
    assert!(put_off.code == Some(4) && put_off.stderr.contains("asked again in 3"), "{put_off:?}");
    let asked = double.log().await.iter().filter(|entry| entry["path"].as_str().unwrap().starts_with("/api/")).count();
    assert_eq!(asked, 6, "19 of 100 are left then");
    let published = app.records(CALL_RECORD).len();
    assert!((1..240).contains(&published), "what was read until then is true: {published}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_page_told_is_found_by_its_recording() {
    let app = TestApp::start().await;
    let double = TestDouble::start("telphin", World { facts_per_hour: 10, ..world() }, "");
    double.turn_clock(3600);
    let place = place(&app, &double, "[sources.reconcile]\nproducts = [\"record\"]\n");
    let empty = "{\"per_page\":100,\"call_history\":[]}".replace('"', "\\\"");
    double
        .play(&format!(
            "[[fault]]\nwhen = {{ path = \"/api/ver1.0/client/999/call_history/\" }}\nthen = {{ body = \"{empty}\" }}\n"
        ))
        .await;
    let found = reconcile(&place, &[]).await;
    let recorded: BTreeSet<String> = double
        .facts("to=2026-02-03T13:00:00Z")
        .await
        .iter()
        .filter(|fact| fact["recording"].is_string())
        .map(|fact| fact["key"].as_str().unwrap().to_owned())
        .collect();
    assert!(found.code == Some(0) && recorded.len() > 10, "{found:?}");
    assert_eq!(final_keys(&app), recorded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_hangup_would_have_told_is_published() {
    let since = Time::parse_iso("2026-02-03T10:00:00Z").unwrap();
    let fates = Fates { lose_percent: 30, ..Fates::default() };
    let double = TestDouble::start("telphin", World { since, fates, ..world() }, "");
    double.turn_clock(3600);
    let app = TestApp::start_with(&source(&double, "")).await;
    let delivered = double.deliver(&app.webhook_url("/webhooks/telphin"), TOKEN).await;
    assert!(delivered > 500, "{delivered}");
    let facts = double.facts("to=2026-02-03T13:00:00Z").await;
    let unheard = |fact: &&Value| fact["webhook"]["due_at"].as_array().unwrap().is_empty();
    let unheard = facts.iter().filter(unheard).count();
    let place = place(&app, &double, "");
    let totals = summary(&reconcile(&place, &[]).await);
    assert_eq!((&totals["missing"], &totals["updated"]), (&json!(unheard), &json!(facts.len() - unheard)));
    assert!(unheard > 20);
    let keys: BTreeSet<String> = facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(final_keys(&app), keys);
    let again = summary(&reconcile(&place, &["--restart"]).await);
    assert_eq!((&again["held"], &again["published"]), (&json!(facts.len()), &json!(0)));
}
