//! What Vonage's own library signs is accepted, and what `trunkline send` signs passes its checks.
//!
//! The library knows the four methods by HMAC and no `md5hash`: its documentation says to leave the method out for that,
//! and then it fails. It signs empty parameters as they are, and what is no text as Python writes it (`True`, `None`),
//! so that only texts and whole numbers are compared.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use trunkline::config::{self, Environment, Source};
use trunkline::event::time::Time;
use trunkline::provider::simulate::{Credentials, Encoding, Seed, SignedRequest, Signing, Simulation};
use trunkline::verify::{self, AuthError, Verification};

use crate::harness::python::{self, Library};
use crate::harness::webhook::vonage;
use crate::harness::{ACCOUNT, SECRET};

const LIBRARY: Library = Library { folder: "vendor-vonage", requirements: "tests/vendor/vonage-requirements.txt" };

/// What the library returns for each call.
fn call(calls: &[Value]) -> Option<Vec<Value>> {
    let results = python::run(&LIBRARY, "tests/vendor/vonage.py", &calls.into())?.as_array().unwrap().clone();
    assert_eq!(results.len(), calls.len());
    Some(results)
}

/// Those that the library knows.
const METHODS: [&str; 4] = ["md5", "sha1", "sha256", "sha512"];

fn source(method: &str) -> Arc<Source> {
    let text = format!(
        "[[sources]]\nname = \"vonage\"\nprovider = \"vonage\"\naccount_id = \"{ACCOUNT}\"\n\
         signature_secrets = [\"env:SECRET\"]\nsms_signature_method = \"{method}\"\n"
    );
    let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
    config::load_text("vendor", &text, &environment).unwrap().settings.sources.remove(0)
}

fn verified(source: &Source, request: &SignedRequest) -> Result<Verification, AuthError> {
    let raw = request.received("/webhooks/vonage", Time::now());
    verify::authenticate(&raw, &*source.provider, &source.doors).map(|verified| verified.proof().verification)
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Parameters of receipts and messages, with what is hard to sign in them.
fn parameters() -> Vec<Map<String, Value>> {
    let common = json!({
        "api-key": ACCOUNT, "msisdn": "447700900000", "to": "AcmeInc", "messageId": "0D3EE1C45A0B4F6C",
        "message-timestamp": "2026-02-03 12:14:26", "timestamp": Time::now().unix_seconds().to_string(),
        "nonce": "2f0c7f6a-0000-4000-8000-5d4c3b2a1908",
    });
    let with = |more: Value| members(&common).into_iter().chain(members(&more)).collect();
    vec![
        with(json!({"status": "delivered", "err-code": "0", "price": "0.03330000", "client-ref": ""})),
        with(json!({"status": "failed", "err-code": "6", "timestamp": Time::now().unix_seconds(), "Z": "1", "_": "2"})),
        with(json!({"text": "a & b = c + d %26 \u{e9}\u{1f4a9}\r\n", "type": "unicode", "keyword": " "})),
    ]
}

#[test]
fn what_the_vendors_library_signs_is_accepted_in_every_encoding() {
    let cases: Vec<_> =
        METHODS.iter().flat_map(|method| parameters().into_iter().map(move |sent| (method, sent))).collect();
    let sign = |(method, sent): &(&&str, Map<String, Value>)| json!({"function": "sign_params", "method": method, "secret": SECRET, "params": sent});
    let Some(signatures) = call(&cases.iter().map(sign).collect::<Vec<_>>()) else { return };
    for ((method, sent), sig) in cases.into_iter().zip(signatures) {
        for encoding in Encoding::ALL {
            let mut sent = sent.clone();
            sent.insert("sig".to_owned(), sig.clone());
            let verified = |sent: &Map<String, Value>| {
                let bytes = encoding.write(&Value::Object(sent.clone()));
                verified(&source(method), &encoding.request(bytes))
            };
            assert_eq!(verified(&sent), Ok(Verification::Signed), "{method} {encoding:?} {sent:?}");
            sent.insert("to".to_owned(), "Another".into());
            assert_eq!(verified(&sent), Err(AuthError::WrongSignature), "{method} {encoding:?}");
        }
    }
}

fn simulated(simulation: &Simulation, credentials: &Credentials, encoding: Encoding) -> SignedRequest {
    let now = Time::now();
    let seed = Seed {
        id: uuid::Uuid::new_v4().to_string(),
        account_id: ACCOUNT.to_owned(),
        now,
        index: 0,
        records: 1,
        shape: String::new(),
    };
    let signing = Signing { credentials, url: "", now, encoding };
    simulation.request(&signing, &(simulation.bodies)(&seed)[0])
}

/// Whatever `send` can make with a secret, right and wrong: how it was signed, the request, and whether it is genuine.
fn everything_sent(names: &[&str]) -> Vec<(Credentials, Encoding, SignedRequest, bool)> {
    let mut sent = Vec::new();
    for simulation in names.iter().map(|name| vonage().simulation(name).unwrap()) {
        for encoding in simulation.encodings {
            for (method, tamper) in METHODS.iter().flat_map(|method| [(*method, false), (*method, true)]) {
                let credentials =
                    Credentials { signature_method: Some(method), tamper, ..Credentials::new(ACCOUNT, SECRET) };
                let request = simulated(simulation, &credentials, *encoding);
                sent.push((credentials, *encoding, request, !tamper));
            }
        }
    }
    sent
}

fn assert_judged(calls: &[Value], genuine: &[bool]) {
    assert!(genuine.contains(&true) && genuine.contains(&false));
    let Some(judged) = call(calls) else { return };
    for ((call, judged), genuine) in calls.iter().zip(judged).zip(genuine) {
        assert_eq!(judged, *genuine, "{call}");
    }
}

#[test]
fn parameters_that_send_signs_pass_the_vendors_check() {
    let sent = everything_sent(&["sms-dlr", "sms-inbound"]);
    let check = |(credentials, encoding, request, _): &(Credentials, Encoding, SignedRequest, bool)| {
        let bytes = if *encoding == Encoding::Get { request.query.as_bytes() } else { &request.body };
        let (method, params) = (credentials.signature_method, encoding.read(bytes));
        json!({"function": "check_signature", "method": method, "secret": SECRET, "params": params})
    };
    let genuine: Vec<bool> = sent.iter().map(|(.., genuine)| *genuine).collect();
    assert_judged(&sent.iter().map(check).collect::<Vec<_>>(), &genuine);
}

#[test]
fn tokens_that_send_signs_pass_the_vendors_check() {
    let sent = everything_sent(&["message-status", "inbound-message-v0.1", "voice"]);
    let check = |(_, _, request, _): &(Credentials, Encoding, SignedRequest, bool)| {
        let authorization = request.headers.iter().find(|(name, _)| *name == "authorization").unwrap();
        let token = authorization.1.strip_prefix("Bearer ").unwrap();
        json!({"function": "verify_signature", "secret": SECRET, "token": token})
    };
    let genuine: Vec<bool> = sent.iter().map(|(.., genuine)| *genuine).collect();
    assert_judged(&sent.iter().map(check).collect::<Vec<_>>(), &genuine);
}
