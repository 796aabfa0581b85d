//! `trunkline send`, and the URLs that webhooks are sent to.

use serde_json::{Value, json};

use crate::harness::program::{Finished, Place};
use crate::harness::webhook::{Webhook, status};
use crate::harness::{CALL_EVENT, CALL_RECORD, DEAD_LETTER, INBOUND, RAW, STATUS, TestApp, value_of};

const TOKEN: &str = "the-token-in-the-url";

const SOURCES: &str = r#"
[[sources]]
name = "vonage-unsigned"
provider = "vonage"
account_id = "abcd1234"
url_tokens = ["the-token-in-the-url"]
[[sources]]
name = "telphin"
provider = "telphin"
account_id = "999"
url_tokens = ["the-token-in-the-url"]
[[sources]]
name = "webex"
provider = "webex"
account_id = "partner"
signature_secrets = ["env:VONAGE_SECRET"]
[[sources]]
name = "vonage-sha256"
provider = "vonage"
account_id = "abcd1234"
signature_secrets = ["env:VONAGE_SECRET"]
sms_signature_method = "sha256"
"#;

/// A place with the configuration of the service.
fn place(app: &TestApp) -> Place {
    let place = Place::new();
    let listen = app.webhook_url("").replace("http://", "");
    let signed = "[[sources]]\nname = \"vonage-eu\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\n\
                  signature_secrets = [\"env:VONAGE_SECRET\"]\n";
    place.file("trunkline.toml", &format!("[server]\nlisten = \"{listen}\"\n{signed}{SOURCES}"));
    place
}

fn assert_taken(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.starts_with("200 OK"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_tokens_alone_is_sent_to_at_the_url_with_the_token() {
    let app = TestApp::start_with(SOURCES).await;
    let place = place(&app);
    assert_taken(&place.run(&["send", "vonage", "message-status", "--source", "vonage-unsigned"]));
    let tampered = place.run(&["send", "vonage", "message-status", "--source", "vonage-unsigned", "--tamper"]);
    assert!(tampered.code == Some(0) && tampered.stdout.starts_with("401"), "{tampered:?}");
    for finished in [place.run(&["send", "telphin", "call", "--source", "telphin"]), tampered] {
        assert!(!finished.stdout.contains(TOKEN) && !finished.stderr.contains(TOKEN), "{finished:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_not_asked_for_what_has_an_address() {
    let app = TestApp::start_with(SOURCES).await;
    let place = place(&app);
    let proxy = "http://127.0.0.1:1";
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        assert_taken(&place.run_with((variable, proxy), &["send", "vonage", "status", "--source", "vonage-eu"]));
        let url = app.webhook_url("/webhooks/vonage-unsigned").replace("127.0.0.1", "localhost");
        let file = place.file("body.json", &status().to_string()).display().to_string();
        let arguments = ["send", "vonage", "status", "--source", "vonage-unsigned", "--url", &url, "--file", &file];
        assert_taken(&place.run_with((variable, proxy), &arguments));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_at_the_end_of_the_url_of_send_is_as_none() {
    let app = TestApp::start_with(SOURCES).await;
    let place = place(&app);
    for (provider, kind, source) in
        [("vonage", "status", "vonage-eu"), ("vonage", "status", "vonage-unsigned"), ("telphin", "call", "telphin")]
    {
        let url = app.webhook_url(&format!("/webhooks/{source}/"));
        assert_taken(&place.run(&["send", provider, kind, "--source", source, "--url", &url]));
    }
}

#[test]
fn a_token_is_in_no_error() {
    let url = "http://127.0.0.1:1/webhooks/telphin";
    let nobody = Place::new().run(&["send", "telphin", "call", "--url", url, "--secret", TOKEN]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains(url) && !nobody.stderr.contains(TOKEN), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_at_the_end_of_a_webhook_url_is_as_none() {
    let app = TestApp::start_with(SOURCES).await;
    let signed = Webhook::signed(&status());
    assert_eq!(app.send(&signed.to("/webhooks/vonage-eu/")).await.status, 200);
    let unsigned = |path: String| Webhook::unsigned(status().to_string()).to(&path);
    for (path, expected) in [
        (format!("/webhooks/vonage-unsigned/{TOKEN}/"), 200),
        (format!("/webhooks/vonage-unsigned/{TOKEN}"), 200),
        (format!("/webhooks/vonage-unsigned/{TOKEN}//"), 401),
        ("/webhooks/vonage-unsigned/".to_owned(), 401),
        ("/webhooks/".to_owned(), 404),
        ("/webhooks//".to_owned(), 404),
    ] {
        assert_eq!(app.send(&unsigned(path.clone())).await.status, expected, "{path}");
    }
    let unread = Webhook::unsigned("not JSON").to(&format!("/webhooks/vonage-unsigned/{TOKEN}/"));
    assert_eq!(app.send(&unread).await.status, 200);
    assert_eq!(app.value(DEAD_LETTER)["request"]["path"], "/webhooks/vonage-unsigned/***");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_sent_by_the_method_that_is_asked_for() {
    let app = TestApp::start_with(&format!("{SOURCES}[kafka]\nraw_topic = true\n")).await;
    let place = place(&app);
    let by_get = ["send", "telphin", "dial-in", "--source", "telphin", "--method", "get"];
    assert_taken(&place.run(&by_get));
    assert_eq!(app.value(RAW)["request"]["method"], "GET");
    let tampered = place.run(&[&by_get[..], &["--tamper"]].concat());
    assert!(tampered.code == Some(0) && tampered.stdout.starts_with("401"), "{tampered:?}");
}

#[test]
fn a_method_that_a_kind_is_not_sent_by_is_refused_with_those_that_it_is() {
    for (provider, kind, method, possible) in
        [("vonage", "message-status", "get", "json"), ("telphin", "call", "json", "form, get")]
    {
        let finished = Place::new().run(&["send", provider, kind, "--method", method, "--secret", TOKEN]);
        assert_eq!(finished.code, Some(1));
        let wanted = format!("--method {method}: {kind} is sent by: {possible}");
        assert!(finished.stderr.contains(&wanted), "{finished:?}");
    }
    let unknown = Place::new().run(&["send", "telphin", "call", "--method", "put", "--secret", TOKEN]);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("json, form, get"), "{unknown:?}");
    assert!(Place::new().run(&["send", "--list"]).stdout.contains("; --method form|get"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shape_is_named_by_the_third_word_or_by_its_option() {
    let app = TestApp::start_with(SOURCES).await;
    let place = place(&app);
    let send = |more: &[&str]| place.run(&[&["send", "webex", "cdr"], more, &["--source", "webex"]].concat());
    for words in [&["camel"][..], &["--shape", "camel"]] {
        assert_taken(&send(words));
    }
    let unknown = send(&["square"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("the shapes of cdr are: items, "), "{unknown:?}");
    assert_eq!(send(&["camel", "--shape", "items"]).code, Some(2));
    let shapeless = place.run(&["send", "webex", "telephony", "camel", "--source", "webex"]);
    assert!(shapeless.stderr.contains("telephony has one shape only"), "{shapeless:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_signed_as_the_configuration_of_the_source_says_by_every_method() {
    let app = TestApp::start_with(SOURCES).await;
    let place = place(&app);
    // Every encoding of every kind is tried without a program for each.
    for (kind, topic) in [("sms-dlr", STATUS), ("sms-inbound", INBOUND)] {
        for (source, method) in [("vonage-eu", "get"), ("vonage-sha256", "form"), ("vonage-unsigned", "json")] {
            let send = ["send", "vonage", kind, "--source", source, "--method", method];
            assert_taken(&place.run(&send));
            let tampered = place.run(&[&send[..], &["--tamper"]].concat());
            assert!(tampered.code == Some(0) && tampered.stdout.starts_with("401"), "{tampered:?}");
        }
        let mut schemes: Vec<String> = app.records(topic).iter().map(|record| scheme(&value_of(record))).collect();
        schemes.sort();
        assert_eq!(schemes, ["url-token", "vonage-sig-md5hash", "vonage-sig-sha256"]);
    }
}

fn scheme(event: &Value) -> String {
    event["ingest"]["scheme"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_call_is_sent_in_order_and_ends_in_a_record() {
    let app = TestApp::start_with(SOURCES).await;
    let place = place(&app);
    for (method, calls) in [("json", 1), ("get", 2)] {
        let sent = place.run(&["send", "vonage", "voice", "call", "--source", "vonage-eu", "--method", method]);
        assert!(sent.code == Some(0) && sent.stdout.contains("4 of 4 taken"), "{sent:?}");
        assert_eq!(app.records(CALL_RECORD).len(), calls);
    }
    let mut events: Vec<Value> = app.records(CALL_EVENT).iter().map(value_of).collect();
    events.sort_by_key(|event| (event["call_id"].to_string(), event["occurred_at"].to_string()));
    let told: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["initiated", "ringing", "answered", "ended"].repeat(2));
    let record = value_of(&app.records(CALL_RECORD)[0]);
    assert_eq!((&record["outcome"], &record["talk_ms"]), (&json!("answered"), &json!(30_000)));
    assert_eq!(record["ingest"]["verification"], "signed");
}
