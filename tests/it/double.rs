//! Doubles of providers' APIs over HTTP, and `trunkline double`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunkline::http::double::Doors;

use crate::harness::double::{TestDouble, json, world};
use crate::harness::program::{Place, Running};
use crate::harness::{CALL_RECORD, TestApp, value_of, wait_until};

const COUNTS: &str = "/v1/partners/cdrcountbyorg?startTime=2026-02-03T10:00:00.000Z&endTime=2026-02-03T10:59:59.999Z";

fn fault(then: &str) -> String {
    format!("[[fault]]\nwhen = {{ path = \"/v1/partners/cdrcountbyorg\", nth = 1 }}\nthen = {{ {then} }}\n")
}

async fn double(script: &str) -> TestDouble {
    TestDouble::start("webex", world(), script)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_answers_by_its_clock_and_tells_what_it_was_asked() {
    let double = double(&fault("skew_s = -90, headers = { X-Odd = \"1\" }")).await;
    let skewed = double.get(COUNTS).send().await.unwrap();
    let date = |response: &reqwest::Response| response.headers()["date"].to_str().unwrap().to_owned();
    assert_eq!((skewed.status().as_u16(), date(&skewed)), (200, "Tue, 03 Feb 2026 12:58:30 GMT".to_owned()));
    assert_eq!(skewed.headers()["x-odd"], "1");
    double.turn_clock(60);
    let right = double.get(COUNTS).send().await.unwrap();
    assert_eq!(date(&right), "Tue, 03 Feb 2026 13:01:00 GMT");
    assert!(json(right).await["cdr_counts"].is_array());
    let second = double.get_second("/v1/cdr_feed?a=b").send().await.unwrap();
    assert_eq!(second.status(), 401);
    let log = double.log().await;
    let shown = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        (text("door"), text("method"), text("path"), entry["authorization"].clone(), entry["status"].clone())
    };
    let path = COUNTS.split('?').next().unwrap().to_owned();
    let entry = |door: &str, path: &str, authorization: bool, status: u16| {
        (door.to_owned(), "GET".to_owned(), path.to_owned(), json!(authorization), json!(status))
    };
    let expected = [
        entry("first", &path, true, 200),
        entry("first", &path, true, 200),
        entry("second", "/v1/cdr_feed", false, 401),
    ];
    assert_eq!(log.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!((&log[0]["fault"], &log[1]["fault"], &log[2]["query"]), (&json!(0), &json!(null), &json!("a=b")));
    assert_eq!(log[1]["at"], "2026-02-03T13:01:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_be_another_one_or_cut_off_or_none() {
    let double = double("").await;
    let whole = double.get(COUNTS).send().await.unwrap().bytes().await.unwrap();
    double.play(&fault("status = 503, body = \"<html>\", headers = { Retry-After = \"7\" }")).await;
    let other = double.get(COUNTS).send().await.unwrap();
    assert_eq!((other.status().as_u16(), &other.headers()["retry-after"]), (503, &"7".parse().unwrap()));
    assert_eq!(other.bytes().await.unwrap(), "<html>");
    double.play(&fault("cut_bytes = 10")).await;
    let mut cut = double.get(COUNTS).send().await.unwrap();
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    assert_eq!(cut.chunk().await.unwrap().unwrap(), whole[..10]);
    assert!(cut.chunk().await.is_err(), "the rest never comes");
    double.play(&fault("close = true")).await;
    let none = double.get(COUNTS).send().await.unwrap_err();
    assert!(none.is_request(), "{none:?}");
    assert_eq!(double.get(COUNTS).send().await.unwrap().bytes().await.unwrap(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_askers_at_once_show_in_the_log_and_the_second_is_refused() {
    let double = double(&fault("delay_ms = 60000")).await;
    let first = tokio::spawn(double.get(COUNTS).send());
    wait_until("the first is being answered", async || double.log().await.len() == 1).await;
    let second = double.get(COUNTS).send().await.unwrap();
    assert_eq!((second.status().as_u16(), &second.headers()["retry-after"]), (429, &"2".parse().unwrap()));
    let log = double.log().await;
    assert_eq!((&log[1]["in_flight"], &log[1]["in_flight_for_path"]), (&json!(2), &json!(2)));
    assert_ne!(log[0]["peer"], log[1]["peer"]);
    assert_eq!(log[0]["status"], 200, "it is kept back and no other answer");
    first.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_put_in_place_while_running_and_a_wrong_one_is_explained() {
    let double = double("").await;
    assert_eq!(double.play(&fault("status = 500")).await.status(), 204);
    let wrong = double.play("[[fault]]\nthen = { stauts = 1 }").await;
    assert_eq!(wrong.status(), 400);
    let told = wrong.text().await.unwrap();
    assert!(told.contains("line 2") && told.contains("unknown field `stauts`"), "{told}");
    let statuses = [double.get(COUNTS), double.get(COUNTS)].map(|request| request.send());
    let [first, second] = statuses;
    assert_eq!([first.await.unwrap().status(), second.await.unwrap().status()], [500, 200]);
    assert_eq!(double.play(&"#".repeat(1024 * 1024 + 1)).await.status(), 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_truth_is_told_of_any_stretch() {
    let mut double = double("").await;
    let all = double.facts("").await;
    assert_eq!(all.len(), 360, "up to now");
    let hour = double.facts("from=2026-02-03T11:00:00Z&to=2026-02-03T12:00:00Z").await;
    assert_eq!(hour, all[120..240]);
    double.stop().await;
    assert!(double.get(COUNTS).send().await.is_err());
}

#[test]
fn a_double_listens_on_loopback_alone() {
    let error = Doors::bind(([0, 0, 0, 0], 0).into()).unwrap_err().to_string();
    assert!(error.contains("loopback"), "{error}");
}

const SOURCE: &str = r#"
[[sources]]
name = "webex"
provider = "webex"
signature_secrets = ["the secret of the webhooks"]
"#;

/// The value of a line that a program prints with this beginning.
fn printed(lines: &[String], beginning: &str) -> String {
    let line = lines.iter().find_map(|line| line.trim().strip_prefix(beginning));
    line.unwrap().trim().to_owned()
}

fn start(place: &Place, url: &str) -> (Running, String) {
    let rate = ["--hours", "1", "--rate", "60", "--lose", "30", "--repeat", "20", "--late", "20"];
    let webhooks = ["--webhook-url", url, "--secret", "'the secret of the webhooks'"];
    let arguments = [&["double", "webex", "--listen", "127.0.0.1:0"][..], &rate, &webhooks].concat().join(" ");
    let running = place.start_line(&format!("exec {} {arguments}", env!("CARGO_BIN_EXE_trunkline")));
    let lines = running.stdout.until("Stop it with Ctrl-C.");
    let base = printed(&lines, "base URL");
    let source: Vec<String> = lines.iter().skip_while(|line| !line.starts_with("[reconcile]")).cloned().collect();
    let table: toml::Table = source[..source.len() - 1].join("\n").parse().unwrap();
    assert_eq!(table["sources"][0]["api_url"].as_str(), Some(base.as_str()));
    assert_eq!(table["sources"][0]["signature_secrets"][0].as_str(), Some("the secret of the webhooks"));
    (running, base)
}

/// What the double says of facts up to now.
async fn facts(base: &str) -> Vec<Value> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    json(client.get(format!("{base}/_double/facts")).send().await.unwrap()).await["facts"].as_array().unwrap().clone()
}

fn ids_in(facts: &[Value], states: &[&str]) -> BTreeSet<String> {
    let is_in = |fact: &&Value| states.contains(&fact["webhook"]["state"].as_str().unwrap());
    facts.iter().filter(is_in).map(|fact| fact["record_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_delivers_its_past_to_a_receiver_and_knows_what_it_lost() {
    let app = TestApp::start_with(SOURCE).await;
    let place = Place::new();
    let (mut running, base) = start(&place, &app.webhook_url("/webhooks/webex"));
    let published = || -> BTreeSet<String> {
        app.records(CALL_RECORD)
            .iter()
            .map(|record| value_of(record)["record_id"].as_str().unwrap().to_owned())
            .collect()
    };
    wait_until("what is due has been delivered", async || {
        let taken = ids_in(&facts(&base).await, &["taken"]);
        taken.len() > 20 && published() == taken
    })
    .await;
    let known = facts(&base).await;
    let lost = ids_in(&known, &["lost"]);
    assert!(!lost.is_empty() && lost.is_disjoint(&published()));
    assert!(ids_in(&known, &["refused", "untold"]).is_empty());
    running.signal("TERM");
    assert_eq!(running.wait(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_nobody_takes_is_told_as_refused() {
    let place = Place::new();
    let (running, base) = start(&place, "http://127.0.0.1:1/webhooks/webex");
    running.stdout.until("not taken");
    wait_until("it is told", async || !ids_in(&facts(&base).await, &["refused"]).is_empty()).await;
}

#[test]
fn what_can_not_be_played_is_told() {
    let place = Place::new();
    let script = place.file("faults.toml", "[manners]\nlnik = 1\n").display().to_string();
    for (arguments, code, told) in [
        (&["double", "acme"][..], 1, "there is one of: vonage, webex, telphin"),
        (&["double", "webex", "--listen", "0.0.0.0:0"], 1, "loopback"),
        (&["double", "webex", "--listen", "127.0.0.1:0", "--script", &script], 1, "line 2"),
        (&["double", "webex", "--listen", "127.0.0.1:0", "--script", "absent.toml"], 1, "can not be read"),
        (&["double", "webex", "--webhook-url", "http://127.0.0.1:1"], 2, "--secret"),
        (&["double", "webex", "--rate", "0"], 2, "--rate"),
        (&["double", "webex", "--lose", "101"], 2, "--lose"),
        (&["double"], 2, "<PROVIDER>"),
    ] {
        let finished = place.run(arguments);
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.stderr.contains(told), "{finished:?}");
    }
    let listed = place.run(&["double", "--list"]);
    let names: Vec<&str> = listed.stdout.lines().filter_map(|line| line.split("  ").next()).map(str::trim).collect();
    assert_eq!((listed.code, names), (Some(0), vec!["vonage", "webex", "telphin"]), "{listed:?}");
}
