//! Replays of dead letters and raw requests. What a mapping makes of a letter is tested beside it.

use std::collections::HashSet;

use serde_json::{Value, json};
use trunkline::event::envelope::Record;
use trunkline::event::headers::Headers;
use trunkline::event::kind::DEAD_LETTER_TOPIC;
use trunkline::replay::{self, Options, Replayable, Step, Summary};

use crate::harness::program::Place;
use crate::harness::webhook::{Webhook, status, without};
use crate::harness::{DEAD_LETTER, RAW, SECRET, SOURCE, STATE, STATUS, TestApp, schema, value_of};

const RAW_ON: &str = "[kafka]\nraw_topic = true\n";

const WITH_WEBEX: &str = r#"
[[sources]]
name = "webex"
provider = "webex"
signature_secrets = ["env:VONAGE_SECRET"]
"#;

const DEAD_LETTERS: Options =
    Options { kept: Replayable::DeadLetters, from: None, to: None, source: None, dry_run: false, again: false };

const RAW_REQUESTS: Options = Options { kept: Replayable::RawRequests, ..DEAD_LETTERS };

/// A dead letter of an older version that did not understand the body.
fn letter(source: &str, provider: &str, id: &str, body: &Value) -> Record {
    let value = json!({
        "schema_version": "1.0", "kind": "dead_letter", "dead_letter_id": id, "raw_id": id, "source_name": source,
        "provider": provider, "received_at": "2026-02-03T12:14:26.103Z",
        "proof": {"verification": "signed", "scheme": "vonage-jwt", "account_id": "abcd1234"},
        "reason": {"code": "unknown_shape", "message": "not known yet"},
        "request": {"method": "POST", "path": format!("/webhooks/{source}"), "query": "", "headers": {},
            "remote_addr": "203.0.113.7"},
        "scope": "request", "body": body.to_string(), "body_encoding": "utf-8"
    });
    schema::assert_valid(&value);
    Record {
        topic: &DEAD_LETTER_TOPIC,
        key: format!("{source}:{id}"),
        placed_by: None,
        headers: Headers::default(),
        value: value.to_string().into_bytes(),
        kind: None,
        identity: None,
    }
}

fn id_of(number: usize) -> String {
    format!("01JK5Q0V8T4Z5M3R7S9W1X2{number:03}")
}

async fn replay(app: &TestApp, toml: &str, options: &Options) -> (Summary, usize) {
    let mut shown = 0;
    let mut count = |step: Step<'_>| shown += usize::from(matches!(step, Step::WouldPublish(_)));
    let summary = replay::run(&app.settings(toml), options, &mut count).await.unwrap();
    (summary, shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_understood_now_are_published_once() {
    let app = TestApp::start().await;
    let bodies: Vec<Value> = (0..3).map(|_| status()).collect();
    app.publish(bodies.iter().enumerate().map(|(number, body)| letter(SOURCE, "vonage", &id_of(number), body))).await;
    let (first, _) = replay(&app, "", &DEAD_LETTERS).await;
    assert_eq!(first, Summary { read: 3, replayed: 3, events: 3, ..Summary::default() });
    let records = app.records(STATUS);
    let messages: HashSet<Value> = records.iter().map(|record| value_of(record)["message_id"].clone()).collect();
    assert_eq!(messages, bodies.iter().map(|body| body["message_uuid"].clone()).collect());
    for event in records.iter().map(value_of) {
        schema::assert_valid(&event);
        assert_eq!((&event["ingest"]["via"], &event["ingest"]["verification"]), (&json!("replay"), &json!("signed")));
        assert_eq!(event["received_at"], "2026-02-03T12:14:26.103Z");
    }
    assert_eq!(app.records(STATE).len(), 3);

    let (second, _) = replay(&app, "", &DEAD_LETTERS).await;
    assert_eq!(second, Summary { read: 3, done_earlier: 3, ..Summary::default() });
    assert_eq!((app.records(STATUS).len(), app.records(STATE).len()), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_the_id_that_its_webhook_gives() {
    let app = TestApp::start().await;
    let body = status();
    app.publish([letter(SOURCE, "vonage", &id_of(0), &body)]).await;
    replay(&app, "", &DEAD_LETTERS).await;
    assert_eq!(app.post(&body).await.status, 200);
    let records = app.records(STATUS);
    assert_eq!(records.len(), 2);
    for header in ["ce_id", "ce_source", "ce_facthash"] {
        assert_eq!(records[0].headers[header], records[1].headers[header]);
    }
    assert_eq!(records[0].key, records[1].key);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_fails_is_told_not_marked_and_not_written_again() {
    let app = TestApp::start().await;
    let without_id = without(status(), &["message_uuid"]).to_string();
    assert_eq!(app.send(&Webhook::signed_bytes(without_id)).await.status, 200);
    assert_eq!(app.send(&Webhook::signed_bytes("not JSON")).await.status, 200);
    for _ in 0..2 {
        let (summary, _) = replay(&app, "", &DEAD_LETTERS).await;
        let fault = |code: &str| ((SOURCE.to_owned(), code.to_owned()), 1);
        let faults = [fault("invalid_json"), fault("missing_id")].into();
        assert_eq!(summary, Summary { read: 2, failing: 2, faults, ..Summary::default() });
    }
    assert_eq!((app.records(DEAD_LETTER).len(), app.records(STATE).len(), app.records(STATUS).len()), (2, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_letter_that_fails_in_part_the_rest_is_published_once() {
    let app = TestApp::start_with(WITH_WEBEX).await;
    let good = include_str!("../fixtures/webex/call-record/early-record.json");
    let good: Value = serde_json::from_str(good).unwrap();
    let body = json!({"items": [good["reports"][0], {"Report ID": ""}]});
    app.publish([letter("webex", "webex", &id_of(0), &body)]).await;
    let (first, _) = replay(&app, WITH_WEBEX, &DEAD_LETTERS).await;
    assert_eq!((first.read, first.replayed, first.failing), (1, 0, 1));
    assert_eq!((first.events, app.records("call-record.v1").len()), (1, 1));
    let (second, _) = replay(&app, WITH_WEBEX, &DEAD_LETTERS).await;
    assert_eq!((second.failing, second.events, second.done_earlier), (1, 0, 0));
    assert_eq!((app.records("call-record.v1").len(), app.records(STATE).len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_everything_and_changes_nothing() {
    let app = TestApp::start().await;
    app.publish([letter(SOURCE, "vonage", &id_of(0), &status())]).await;
    app.publish([letter(SOURCE, "vonage", &id_of(1), &json!({}))]).await;
    let (summary, shown) = replay(&app, "", &Options { dry_run: true, ..DEAD_LETTERS }).await;
    assert_eq!((summary.read, summary.replayed, summary.events, summary.failing, shown), (2, 1, 1, 1, 1));
    assert_eq!((app.records(STATUS).len(), app.records(STATE).len()), (0, 0));
    replay(&app, "", &DEAD_LETTERS).await;
    let (after, shown) = replay(&app, "", &Options { dry_run: true, ..DEAD_LETTERS }).await;
    assert_eq!((after.done_earlier, after.events, shown), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_kafka_refused_stays_a_letter() {
    let app = TestApp::start().await;
    app.broker.fail_produce(rdkafka::error::RDKafkaErrorCode::MessageSizeTooLarge, 1).unwrap();
    assert_eq!(app.post(&status()).await.status, 200);
    let (summary, _) = replay(&app, "", &DEAD_LETTERS).await;
    assert_eq!(summary.faults, [((SOURCE.to_owned(), "record_too_large".to_owned()), 1)].into());
    assert_eq!((app.records(STATUS).len(), app.records(DEAD_LETTER).len(), app.records(STATE).len()), (0, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_chosen_by_source_and_those_of_unknown_ones_are_counted() {
    let app = TestApp::start().await;
    app.publish([letter(SOURCE, "vonage", &id_of(0), &status())]).await;
    app.publish([letter("gone", "vonage", &id_of(1), &status())]).await;
    app.publish([letter(SOURCE, "another", &id_of(2), &status())]).await;
    let only = Options { source: Some(SOURCE.to_owned()), ..DEAD_LETTERS };
    let (summary, _) = replay(&app, "", &only).await;
    assert_eq!((summary.read, summary.replayed), (2, 1));
    assert_eq!(summary.unknown_sources, [(SOURCE.to_owned(), 1)].into(), "it is a source of another provider now");
    let (summary, _) = replay(&app, "", &DEAD_LETTERS).await;
    assert_eq!((summary.read, summary.done_earlier), (3, 1));
    assert_eq!(summary.unknown_sources, [("gone".to_owned(), 1), (SOURCE.to_owned(), 1)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_requests_are_published_again_under_the_same_ids() {
    let app = TestApp::start_with(RAW_ON).await;
    assert_eq!(app.post(&status()).await.status, 200);
    assert_eq!(app.send(&Webhook::signed_bytes("not JSON")).await.status, 200);
    let (summary, _) = replay(&app, RAW_ON, &RAW_REQUESTS).await;
    assert_eq!((summary.read, summary.replayed, summary.events, summary.failing), (2, 1, 1, 1));
    let records = app.records(STATUS);
    assert_eq!((records.len(), app.records(RAW).len(), app.records(DEAD_LETTER).len()), (2, 2, 1));
    assert_eq!(records[0].headers, records[1].headers);
    let ingest = |index: usize| value_of(&records[index])["ingest"].clone();
    assert_eq!(ingest(0)["raw_id"], ingest(1)["raw_id"]);
    let (second, _) = replay(&app, RAW_ON, &RAW_REQUESTS).await;
    assert_eq!((second.done_earlier, second.events), (1, 0));
    let (again, _) = replay(&app, RAW_ON, &Options { again: true, ..RAW_REQUESTS }).await;
    assert_eq!((again.done_earlier, again.events, app.records(STATUS).len()), (0, 1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_letters_go_in_several_batches() {
    let app = TestApp::start().await;
    let records = (0..1200).map(|number| {
        let id = format!("01JK5Q0V8T4Z5M3R7S9W1X{number:04}");
        letter(SOURCE, "vonage", &id, &status())
    });
    app.publish(records).await;
    let (summary, _) = replay(&app, "", &DEAD_LETTERS).await;
    assert_eq!((summary.read, summary.replayed, summary.events), (1200, 1200, 1200));
    assert_eq!((app.records(STATUS).len(), app.records(STATE).len()), (1200, 1200));
}

fn configuration(app: &TestApp) -> String {
    format!(
        "[kafka]\nbootstrap_servers = \"{}\"\ncreate_topics = false\n[[sources]]\nname = \"{SOURCE}\"\n\
         provider = \"vonage\"\naccount_id = \"abcd1234\"\nsignature_secrets = [\"env:VONAGE_SECRET\"]\n",
        app.brokers()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_what_it_did() {
    let app = TestApp::start().await;
    let body = status();
    app.publish([letter(SOURCE, "vonage", &id_of(0), &body)]).await;
    app.publish([letter("gone", "vonage", &id_of(1), &status())]).await;
    assert_eq!(app.send(&Webhook::signed_bytes("not JSON")).await.status, 200);
    let place = Place::new();
    place.file("trunkline.toml", &configuration(&app));
    let dry = place.run(&["replay", "dead-letter", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.stdout.contains(body["message_uuid"].as_str().unwrap()), "{dry:?}");
    assert_eq!(app.records(STATUS).len(), 0);
    let done = place.run(&["replay", "dead-letter"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    let words: Vec<Vec<&str>> = done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words,
        [
            vec!["read", "3"],
            vec!["replayed", "1"],
            vec!["events", "published", "1"],
            vec!["replayed", "earlier", "0"],
            vec!["still", "failing", "1"],
            vec![SOURCE, "invalid_json", "1"],
            vec!["source", "unknown", "1"],
            vec!["gone", "1"],
        ]
    );
    assert!(!done.stdout.contains(SECRET));
    let nobody = place.run(&["replay", "dead-letter", "--source", "nobody"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("nobody") && nobody.stderr.contains(SOURCE), "{nobody:?}");
}

#[test]
fn the_command_fails_where_no_broker_answers_and_knows_wrong_usage() {
    let place = Place::new();
    let text = "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[[sources]]\nname = \"v\"\nprovider = \"vonage\"\n\
                signature_secrets = [\"env:VONAGE_SECRET\"]\n";
    place.file("trunkline.toml", text);
    let finished = place.run(&["replay", "raw"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("127.0.0.1:1") && finished.stderr.contains("kafka.raw_topic"), "{finished:?}");
    for arguments in [&["replay"][..], &["replay", "spool"], &["replay", "raw", "--from", "yesterday"]] {
        assert_eq!(place.run(arguments).code, Some(2), "{arguments:?}");
    }
}
