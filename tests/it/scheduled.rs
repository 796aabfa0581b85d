//! Sources that are compared by schedule, through the whole service: the double of Webex's API runs with the real time.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunkline::event::time::Time;
use trunkline::provider::double::world::{Fates, World};
use trunkline::reconcile::service::NotSwept;

use crate::harness::double::TestDouble;
use crate::harness::program::Place;
use crate::harness::{CALL_EVENT, CALL_RECORD, DEAD_LETTER, STATE, TestApp, client, wait_until};

const HOUR_S: i64 = 3600;

/// The hour in which we are.
fn this_hour() -> Time {
    let now_s = Time::now().unix_seconds();
    Time::from_unix_seconds(now_s - now_s.rem_euclid(HOUR_S)).unwrap()
}

/// The double with three hours that are over, by the clock of the machine.
fn double(script: &str) -> TestDouble {
    let since = this_hour().plus_s(-3 * HOUR_S);
    let world = World { seed: 1, since, facts_per_hour: 60, accounts: 2, fates: Fates::default() };
    let double = TestDouble::start("webex", world, script);
    double.turn_clock(Time::now().unix_seconds() - this_hour().unix_seconds());
    double
}

fn source(double: &TestDouble, more: &str) -> String {
    let base = &double.bases.first;
    let secret = |name: &str| double.credential(name);
    format!(
        "[reconcile]\nstate_keys = [\"0123456789abcdef\"]\n[[sources]]\nname = \"webex-partner\"\nprovider = \"webex\"\n\
         signature_secrets = [\"the secret of webex\"]\nclient_id = \"{}\"\nclient_secret = \"{}\"\nrefresh_token = \"{}\"\n\
         api_url = \"{base}\"\nanalytics_url = \"{base}\"\nfeed_url = \"{base}\"\n\
         [sources.reconcile]\nevery_s = 10\ndelay_s = 330\nagain_s = []\nlookback_s = 10800\n{more}",
        secret("client_id"),
        secret("client_secret"),
        secret("refresh_token"),
    )
}

fn keys(app: &TestApp) -> BTreeSet<String> {
    app.records(CALL_RECORD).into_iter().map(|record| record.key).collect()
}

/// Facts of the hours that are over and old enough.
async fn facts(double: &TestDouble) -> BTreeSet<String> {
    let over = Time::from_unix_seconds((Time::now().unix_seconds() - 330).div_euclid(HOUR_S) * HOUR_S).unwrap();
    let facts = double.facts(&format!("to={over}")).await;
    facts.iter().map(|fact| fact["key"].as_str().unwrap().to_owned()).collect()
}

async fn stream(app: &TestApp) -> Value {
    let (_, told) = app.admin_json("/api/reconcile").await;
    told["sources"][0]["streams"][0].clone()
}

async fn wait_for(app: &TestApp, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    wait_until(what, async || {
        last = stream(app).await;
        holds(&last)
    })
    .await;
    last
}

async fn post(app: &TestApp, path: &str) -> u16 {
    client().post(app.admin_url(path)).send().await.unwrap().status().as_u16()
}

/// Everything that operators can read of a source.
async fn status_of(app: &TestApp) -> String {
    let (_, all) = app.admin_json("/api/reconcile").await;
    let (_, one) = app.admin_json("/api/reconcile/webex-partner").await;
    let (_, ready) = app.admin_json("/readyz").await;
    format!("{all}{one}{ready}{}", app.metrics().await)
}

/// No secret and no number of a call stands where operators or the state topic tell of comparisons.
async fn nothing_private_is_told(app: &TestApp, double: &TestDouble, told: &str) {
    let state: String =
        app.records(STATE).iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect();
    let mut private: Vec<String> = ["client_secret", "refresh_token", "access_token"]
        .iter()
        .map(|name| double.credential(name).to_owned())
        .collect();
    private.push("the secret of webex".to_owned());
    for record in app.records(CALL_RECORD).iter().take(50) {
        let event = crate::harness::value_of(record);
        let number =
            |party: &str| event[party]["number"]["e164"].as_str().or(event[party]["e164"].as_str()).map(str::to_owned);
        private.extend(["from", "to"].iter().filter_map(|party| number(party)));
    }
    assert!(private.len() > 10, "{private:?}");
    for text in private {
        assert!(!told.contains(&text) && !state.contains(&text), "{text} is told");
    }
}

async fn counts_asked(double: &TestDouble) -> usize {
    let log = double.log().await;
    log.iter().filter(|request| request["path"] == "/v1/partners/cdrcountbyorg").count()
}

fn has_swept(stream: &Value) -> bool {
    stream["state"] == "idle" && stream["last_sweep"]["windows"]["complete"].as_u64().is_some_and(|windows| windows > 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_webhooks_missed_is_published_by_schedule_and_remembered() {
    let double = double("");
    let mut app = TestApp::start_with(&source(&double, "")).await;
    let swept = wait_for(&app, "the first sweep", has_swept).await;
    let facts = facts(&double).await;
    assert!(facts.len() > 100 && keys(&app) == facts, "{} of {}: {swept:#}", keys(&app).len(), facts.len());
    assert_eq!(swept["last_sweep"]["missing"], json!(facts.len()), "{swept:#}");
    assert_eq!((&swept["open"], &swept["problem"]), (&json!([]), &Value::Null), "{swept:#}");
    assert!(swept["lag_seconds"].as_i64().unwrap() < 2 * HOUR_S, "{swept:#}");
    let (_, ready) = app.admin_json("/readyz").await;
    let told = &ready["reconcilers"][0];
    assert_eq!(
        (&told["source"], &told["owned"], &told["state"]),
        (&json!("webex-partner"), &json!(true), &json!("idle"))
    );
    let metrics = app.metrics().await;
    for line in [
        "reconcile_owned{source=\"webex-partner\"} 1",
        "reconcile_horizon_seconds{source=\"webex-partner\",stream=\"cdr\"} inf",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let missing = format!("trunkline_reconcile_missing_total{{source=\"webex-partner\"}} {}", facts.len());
    assert!(metrics.contains(&missing), "{missing} is not in {metrics}");

    nothing_private_is_told(&app, &double, &status_of(&app).await).await;
    let asked = counts_asked(&double).await;
    app.stop().await;
    app.start_again(&source(&double, ""));
    wait_for(&app, "the cursor", |stream| stream["state"] == "idle" && !stream["ages"].is_null()).await;
    let again = post(&app, "/-/reconcile/webex-partner").await;
    assert_eq!(again, 202);
    wait_for(&app, "the time of the next sweep", |stream| !stream["next_sweep_at"].is_null()).await;
    assert_eq!((counts_asked(&double).await, app.records(CALL_RECORD).len()), (asked, facts.len()), "nothing is due");
    assert_eq!(post(&app, "/-/reconcile/vonage-eu").await, 404);
    assert_eq!(app.records(DEAD_LETTER).len(), 0);
    let place = Place::new();
    place.file(
        "trunkline.toml",
        &format!(
            "[kafka]\nbootstrap_servers = \"{}\"\n[spool]\ndir = {:?}\n{}",
            app.brokers(),
            place.path("spool"),
            source(&double, "")
        ),
    );
    let status = tokio::task::block_in_place(|| place.run(&["reconcile", "--status"]));
    assert!(status.stdout.contains("SOURCE") && status.stdout.contains("webex-partner  cdr "), "{status:?}");
    let state: Vec<String> = app.records(STATE).into_iter().map(|record| record.key).collect();
    assert!(state.iter().any(|key| key == "reconcile/webex-partner/cdr"), "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_hour_is_tried_again_at_once_when_that_is_asked_for() {
    let double = double("[manners]\ncount_off = 1\n");
    let app = TestApp::start_with(&source(&double, "")).await;
    let swept = wait_for(&app, "the first sweep", |stream| {
        stream["state"] == "idle" && stream["open"].as_array().is_some_and(|open| !open.is_empty())
    })
    .await;
    assert_eq!(swept["open"][0]["why"], "unexplained", "{swept:#}");
    let (_, details) = app.admin_json("/api/reconcile/webex-partner?limit=1").await;
    let open = &details["streams"][0]["open"];
    assert_eq!((open.as_array().unwrap().len(), open[0]["accounts"].as_object().unwrap().is_empty()), (1, false));
    let metrics = app.metrics().await;
    let unexplained = "trunkline_reconcile_unexplained{source=\"webex-partner\",stream=\"cdr\"} 0\n";
    assert!(!metrics.contains(unexplained), "{metrics}");

    double.play("").await;
    assert_eq!(post(&app, "/-/reconcile/webex-partner").await, 202);
    // By itself it would be tried again after an eighth of its age, which is more than this test lasts.
    let mended = wait_for(&app, "the sweep that was asked for", |stream| stream["open"] == json!([])).await;
    assert_eq!(mended["problem"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_processes_compares_a_source_and_the_other_names_it() {
    let double = double("");
    let app = TestApp::start_with(&source(&double, "")).await;
    wait_for(&app, "the first sweep", has_swept).await;
    let (other, _spool) = app.start_beside(&source(&double, ""));
    let elsewhere = other.reconcilers.as_ref().unwrap();
    let told = |owner: &str| elsewhere.json()["sources"][0]["owner"][owner].clone();
    wait_until("what the owner has written", async || !told("instance").is_null()).await;
    let (_, here) = app.admin_json("/api/reconcile").await;
    assert_eq!((told("here"), told("instance")), (json!(false), here["instance"].clone()));
    assert_eq!(elsewhere.json()["sources"][0]["streams"][0]["open"], json!([]));
    let refused = elsewhere.sweep_now("webex-partner");
    assert_eq!(refused, Err(NotSwept::Elsewhere(here["instance"].as_str().map(str::to_owned))));
    let url = format!("http://{}/-/reconcile/webex-partner", other.admin.address);
    let answer = client().post(url).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
        (409, "application/problem+json")
    );
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_read_recordings_copied_and_webhooks_kept_by_schedule() {
    let since = this_hour().plus_s(-3 * HOUR_S);
    let world = World { seed: 2, since, facts_per_hour: 12, accounts: 2, fates: Fates::default() };
    let double = TestDouble::start("telphin", world, "");
    double.turn_clock(Time::now().unix_seconds() - this_hour().unix_seconds());
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start_with(&format!(
        "[server]\npublic_url = \"https://hooks.example.com\"\n[[sources]]\nname = \"telphin\"\nprovider = \"telphin\"\n\
         account_id = \"999\"\nurl_tokens = [\"a-long-random-token\"]\nclient_id = \"{}\"\nclient_secret = \"{}\"\napi_url = \"{}\"\n\
         [sources.reconcile]\nevery_s = 10\nlookback_s = 10800\nagain_s = []\n[sources.recordings]\n\
         copy_to = \"file://{}\"\n[sources.subscriptions]\nkeep = true\n",
        double.credential("client_id"),
        double.credential("client_secret"),
        double.bases.first,
        folder.path().display(),
    ))
    .await;
    wait_for(&app, "the first sweep", has_swept).await;
    let over = Time::from_unix_seconds((Time::now().unix_seconds() - 900).div_euclid(HOUR_S) * HOUR_S).unwrap();
    let facts = double.facts(&format!("to={over}")).await;
    assert!(facts.len() > 20 && keys(&app).len() == facts.len(), "{} of {}", keys(&app).len(), facts.len());
    wait_until("the copies", async || app.records(CALL_EVENT).len() >= 10).await;
    let event = crate::harness::value_of(&app.records(CALL_EVENT)[0]);
    assert_eq!((&event["event"], &event["product"]), (&json!("recording_ready"), &json!("recordings")));
    let made = |request: &Value| request["method"] == "POST" && request["path"].as_str().unwrap().ends_with("/event/");
    wait_until("the webhooks", async || double.log().await.iter().any(made)).await;
}
