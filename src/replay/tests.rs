use std::path::{Path, PathBuf};

use std::sync::Arc;

use serde_json::Value;

use super::letter::Letter;
use super::mapping::{self, Mapped};
use crate::config::{self, Environment, Source};
use crate::event::envelope::{Ingest, Mode, Reception, Record};
use crate::event::time::Time;
use crate::provider::simulate::{Credentials, SignedRequest, Signing};
use crate::provider::{Fault, Normalized, ProviderInfo};
use crate::providers::{self, PROVIDERS};
use crate::publish::{dead_letter, raw};
use crate::request::{Method, RawRequest};
use crate::verify::{self, Proof, Verified};

const SECRET: &str = "replay-secret-replay-secret";
const ACCOUNT: &str = "abcd1234";
const RAW_ID: &str = "01JK5Q0V8T4Z5M3R7S9W1X2Y3Z";
const LETTER_ID: &str = "01JK5Q0V8T4Z5M3R7S9W1X2Y40";

fn now() -> Time {
    Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap()
}

fn source(info: &ProviderInfo, more: &str) -> Arc<Source> {
    let (name, key) = (info.name, info.secret_key());
    let text = format!(
        "[reconcile]\nstate_keys = [\"env:SECRET\"]\n[[sources]]\nname = \"subject\"\nprovider = \"{name}\"\n{key} = [\"env:SECRET\"]\n{more}\n"
    );
    let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
    config::load_text("test", &text, &environment).unwrap().settings.sources.remove(0)
}

fn with_account(info: &ProviderInfo) -> Arc<Source> {
    source(info, &format!("account_id = \"{ACCOUNT}\""))
}

fn sign(info: &ProviderInfo, body: Vec<u8>) -> SignedRequest {
    let simulation = &info.simulations[0];
    let encoding = simulation.encoding();
    let signing = Signing { credentials: &Credentials::new(ACCOUNT, SECRET), url: "", now: now(), encoding };
    (simulation.sign)(&signing, body)
}

/// Takes a webhook as the receiver does and hands on what came of the verification.
fn taken<T>(source: &Source, webhook: &SignedRequest, query: &str, then: impl FnOnce(&Verified<'_>) -> T) -> T {
    let headers = webhook.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let by_get = webhook.body.is_empty() && !query.is_empty();
    let request = RawRequest::new(if by_get { Method::Get } else { Method::Post }, "/webhooks/subject/***", now())
        .with_token((!source.info.signs).then_some(SECRET))
        .with_query(query)
        .with_headers(headers)
        .with_remote_addr(Some("203.0.113.7".parse().unwrap()))
        .with_body(&webhook.body, false);
    then(&verify::authenticate(&request, &*source.provider, &source.doors).unwrap())
}

/// What the webhook itself is published as.
fn published(source: &Source, verified: &Verified<'_>) -> Vec<Record> {
    let mut normalized = Normalized::default();
    source.provider.normalize(verified, &mut normalized);
    assert!(normalized.faults.is_empty(), "{:?}", normalized.faults);
    let proof = verified.proof();
    let verification = proof.verification.as_str();
    let ingest = Ingest { via: "webhook", verification, scheme: &proof.scheme, raw_id: RAW_ID.to_owned() };
    let origin =
        Reception { provider: source.info.name, source_name: &source.name, received_at: now(), ingest: &ingest };
    let record = |event: crate::event::Event<'_>| event.into_record(&origin, &source.privacy, Mode::Binary).unwrap();
    normalized.events.into_iter().map(record).collect()
}

fn letter_of(source: &Source, verified: &Verified<'_>, fault: &Fault<'_>) -> Record {
    dead_letter::of_verified(fault, verified, RAW_ID, &source.name, source.info.name).unwrap()
}

fn unknown_shape() -> Fault<'static> {
    Fault::of_request("unknown_shape", "not known yet")
}

fn replayed(source: &Source, letter: &[u8]) -> Mapped {
    mapping::map(&Letter::read(letter).unwrap(), source, Mode::Binary).unwrap()
}

/// The value with what the replay may change, `ingest.via`, put back.
fn as_by_webhook(record: &Record) -> Value {
    let mut value: Value = serde_json::from_slice(&record.value).unwrap();
    assert_eq!(value["ingest"]["via"], "replay");
    value["ingest"]["via"] = "webhook".into();
    value
}

fn assert_same(replayed: &Mapped, published: &[Record], what: &str) {
    assert!(replayed.faults.is_empty(), "{what}: {:?}", replayed.faults);
    assert_eq!(replayed.records.len(), published.len(), "{what}");
    for (again, first) in replayed.records.iter().zip(published) {
        assert_eq!(
            (&again.key, &again.headers, again.identity),
            (&first.key, &first.headers, first.identity),
            "{what}"
        );
        assert_eq!(as_by_webhook(again), serde_json::from_slice::<Value>(&first.value).unwrap(), "{what}");
    }
}

fn fixtures(info: &ProviderInfo) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(info.name);
    let kinds = std::fs::read_dir(folder).unwrap();
    let files = kinds.flat_map(|kind| std::fs::read_dir(kind.unwrap().path()).unwrap());
    let is_body = |path: &PathBuf| !path.to_str().unwrap().ends_with(".events.json");
    let bodies = files.map(|file| file.unwrap().path()).filter(is_body);
    bodies.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn every_fixture_is_replayed_into_exactly_the_events_of_its_webhook() {
    for info in PROVIDERS {
        let source = with_account(info);
        let fixtures = fixtures(info);
        assert!(fixtures.len() >= 10, "{}", info.name);
        for (path, body) in fixtures {
            taken(&source, &sign(info, body), "", |verified| {
                let first = published(&source, verified);
                assert!(!first.is_empty());
                let what = path.display().to_string();
                let letter = letter_of(&source, verified, &unknown_shape());
                assert_same(&replayed(&source, &letter.value), &first, &what);
                let raw = raw::of_verified(verified, RAW_ID, &source.name, info.name).unwrap();
                assert_same(&replayed(&source, &raw.value), &first, &what);
            });
        }
    }
}

#[test]
fn a_request_by_get_is_replayed_from_its_query() {
    for info in PROVIDERS.iter().filter(|info| !info.signs && info.methods.contains(&Method::Get)) {
        let source = with_account(info);
        for (path, body) in fixtures(info) {
            let Ok(query) = String::from_utf8(body) else { continue };
            taken(&source, &sign(info, Vec::new()), query.trim(), |verified| {
                let first = published(&source, verified);
                let letter = letter_of(&source, verified, &unknown_shape());
                assert_same(&replayed(&source, &letter.value), &first, &path.display().to_string());
            });
        }
    }
}

#[test]
fn the_account_that_a_signature_named_is_kept_though_its_token_is_not() {
    let info = providers::find("vonage").unwrap();
    let source = source(info, "");
    let (_, body) = fixtures(info).remove(0);
    taken(&source, &sign(info, body), "", |verified| {
        let first = published(&source, verified);
        let letter = letter_of(&source, verified, &unknown_shape());
        assert!(!String::from_utf8_lossy(&letter.value).contains("Bearer"));
        assert_same(&replayed(&source, &letter.value), &first, "without account_id");
        let mut foreign: Value = serde_json::from_slice(&letter.value).unwrap();
        foreign.as_object_mut().unwrap().remove("proof");
        assert_eq!(replayed(&source, foreign.to_string().as_bytes()).faults, ["wrong_account"]);
    });
}

#[test]
fn a_letter_that_proves_nothing_says_so_in_its_events() {
    let info = providers::find("vonage").unwrap();
    let source = with_account(info);
    let (_, body) = fixtures(info).remove(0);
    taken(&source, &sign(info, body), "", |verified| {
        let letter = dead_letter::of_fault(&unknown_shape(), verified.request(), "subject", info.name).unwrap();
        let mapped = replayed(&source, &letter.value);
        let value: Value = serde_json::from_slice(&mapped.records[0].value).unwrap();
        assert_eq!((&value["ingest"]["verification"], &value["ingest"]["scheme"]), (&"none".into(), &"none".into()));
        let letter: Value = serde_json::from_slice(&letter.value).unwrap();
        assert_eq!(value["ingest"]["raw_id"], letter["dead_letter_id"]);
        assert_eq!(mapped.records[0].identity, published(&source, verified)[0].identity);
    });
}

#[test]
fn a_record_of_a_batch_is_read_as_a_record_also_without_what_it_is_known_by() {
    let info = providers::find("webex").unwrap();
    let source = with_account(info);
    let body = include_bytes!("../../tests/fixtures/webex/call-record/items-answered.json").to_vec();
    taken(&source, &sign(info, body.clone()), "", |verified| {
        let first = published(&source, verified);
        let batch: Value = serde_json::from_slice(&body).unwrap();
        let records = batch["items"].as_array().unwrap();
        assert_eq!(records.len(), first.len());
        for (record, first) in records.iter().zip(&first) {
            let mut fault = unknown_shape().at("/items/0");
            fault.record = Some(record.to_string().into());
            let mapped = replayed(&source, &letter_of(&source, verified, &fault).value);
            assert_eq!((mapped.records[0].identity, mapped.records.len()), (first.identity, 1));
        }
        let mut fault = unknown_shape();
        fault.record = Some("{\"Call type\":\"SIP_MEETING\"}".into());
        assert_eq!(replayed(&source, &letter_of(&source, verified, &fault).value).faults, ["missing_id"]);
    });
}

/// A letter of the published shape, with changes.
fn written(changes: &Value) -> Vec<u8> {
    let mut letter = serde_json::json!({
        "schema_version": "1.0", "kind": "dead_letter", "dead_letter_id": LETTER_ID, "source_name": "subject",
        "provider": "vonage", "received_at": "2026-02-03T12:14:26.103Z",
        "reason": {"code": "unknown_shape", "message": "not known yet"},
        "request": {"method": "POST", "path": "/webhooks/subject", "query": "", "headers": {}, "remote_addr": null},
        "scope": "request", "body": "{}", "body_encoding": "utf-8"
    });
    letter.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    letter.to_string().into_bytes()
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_were() {
    let letter = Letter::read(&written(&serde_json::json!({"body": "/wA=", "body_encoding": "base64"}))).unwrap();
    assert_eq!(letter.request().body, [0xff, 0x00]);
}

#[test]
fn what_could_not_be_decompressed_is_still_known_as_such() {
    let source = with_account(providers::find("vonage").unwrap());
    let faults = |changes| replayed(&source, &written(&changes)).faults;
    assert_eq!(faults(serde_json::json!({"undecodable": true})), ["undecodable_body"]);
    assert_eq!(faults(serde_json::json!({})), ["unknown_shape"]);
}

#[test]
fn an_event_that_kafka_refused_is_no_body_of_a_provider() {
    let source = with_account(providers::find("vonage").unwrap());
    for code in dead_letter::REFUSED_EVENT {
        let changes = serde_json::json!({"reason": {"code": code, "message": "m"}, "scope": "record"});
        assert_eq!(replayed(&source, &written(&changes)).faults, [code]);
    }
}

#[test]
fn what_is_no_letter_is_told_apart() {
    assert!(Letter::read(&written(&serde_json::json!({}))).is_ok());
    for changes in [
        serde_json::json!({"dead_letter_id": null}),
        serde_json::json!({"received_at": "yesterday"}),
        serde_json::json!({"scope": "half"}),
        serde_json::json!({"body": "?", "body_encoding": "base64"}),
        serde_json::json!({"body_encoding": "utf-16"}),
        serde_json::json!({"request": null}),
        serde_json::json!({"proof": {"verification": "sworn", "scheme": "oath"}}),
    ] {
        assert!(Letter::read(&written(&changes)).is_err(), "{changes}");
    }
    assert!(Letter::read(b"not JSON").is_err());
}

#[test]
fn a_range_is_one_of_reception_and_ends_before_its_end() {
    let letter = Letter::read(&written(&serde_json::json!({}))).unwrap();
    let time = |text: &str| Some(Time::parse_iso(text).unwrap());
    let covers = |from, to, source: Option<&str>| {
        let source = source.map(str::to_owned);
        super::Options { kept: super::Replayable::DeadLetters, from, to, source, dry_run: false, again: false }
            .covers(&letter)
    };
    assert!(covers(None, None, None) && covers(None, None, Some("subject")));
    assert!(!covers(None, None, Some("another")));
    assert!(covers(time("2026-02-03T12:14:26.103Z"), time("2026-02-03T12:14:26.104Z"), None));
    assert!(!covers(time("2026-02-03T12:14:26.104Z"), None, None));
    assert!(!covers(None, time("2026-02-03T12:14:26.103Z"), None));
}

/// A source that may ask Webex's API.
fn asking() -> Arc<Source> {
    let keys = "client_id = \"C0123\"\nclient_secret = \"env:SECRET\"\nrefresh_token = \"env:SECRET\"";
    source(providers::find("webex").unwrap(), keys)
}

/// The letter of a row, as a comparison writes it.
fn letter_of_row(source: &Source, row: &str, stream: &str) -> Vec<u8> {
    let fault = Fault { record: Some(row.into()), ..unknown_shape() };
    let query = format!("stream={stream}&endTime=2026-02-03T10%3A00%3A00.000Z");
    let request = RawRequest::new(Method::Get, "/v1/partners/cdrsbyorg", now()).with_query(&query);
    let proof = Proof::of_api("webex-oauth", None);
    dead_letter::of_row(&fault, &request, &proof, RAW_ID, &source.name, source.info.name).unwrap().value
}

#[test]
fn a_row_that_was_fetched_is_mapped_as_the_api_maps_it() {
    let row = r#"{"Report ID":"r-1","Org UUID":"1a2b3c4d-0000-4111-8222-5e6f70809010"}"#;
    let mapped = replayed(&asking(), &letter_of_row(&asking(), row, "cdr"));
    assert_eq!((mapped.records.len(), mapped.faults.len()), (1, 0));
    let event: Value = serde_json::from_slice(&mapped.records[0].value).unwrap();
    assert_eq!(mapped.records[0].key, "webex:1a2b3c4d-0000-4111-8222-5e6f70809010:r-1");
    let ingest = &event["ingest"];
    assert_eq!((&ingest["via"], &ingest["verification"]), (&"replay".into(), &"api".into()));
    assert_eq!((&event["product"], &ingest["raw_id"]), (&"cdr_records".into(), &RAW_ID.into()));
    let feed = replayed(&asking(), &letter_of_row(&asking(), row, "cdr_feed"));
    let event: Value = serde_json::from_slice(&feed.records[0].value).unwrap();
    assert_eq!((&event["product"], &feed.records[0].key), (&"cdr_feed".into(), &mapped.records[0].key));
}

#[test]
fn a_row_that_can_not_be_mapped_is_told_as_failing() {
    let row = r#"{"Report ID":"r-1"}"#;
    let without = source(providers::find("webex").unwrap(), "");
    for (source, stream, code) in [
        (asking(), "cdr", "missing_account"),
        (asking(), "voice-call", "unknown_stream"),
        (asking(), "", "unknown_stream"),
        (without, "cdr", "no_credentials"),
    ] {
        let mapped = replayed(&source, &letter_of_row(&source, row, stream));
        assert_eq!((mapped.records.len(), mapped.faults), (0, vec![code]), "{stream}");
    }
}
