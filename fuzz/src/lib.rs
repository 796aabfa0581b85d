//! What the fuzz targets share: one open and one signed source of every provider, and one that asks an API.

pub mod answers;

use std::sync::LazyLock;

use serde_json::value::RawValue;
use trunkline::config::{self, Environment, Source};
use trunkline::event::envelope::{Ingest, Mode, Reception};
use trunkline::event::privacy::{Privacy, TextPolicy};
use trunkline::event::time::Time;
use trunkline::provider::Normalized;
use trunkline::providers::PROVIDERS;
use trunkline::publish::dead_letter;
use trunkline::request::{Method, RawRequest};
use trunkline::verify;

static OPEN: LazyLock<Vec<Source>> = LazyLock::new(|| sources(|_| "verification = \"none\"".to_owned()));
static CLOSED: LazyLock<Vec<Source>> =
    LazyLock::new(|| sources(|secret_key| format!("{secret_key} = [\"env:SECRET\"]")));

fn sources(verification: impl Fn(&str) -> String) -> Vec<Source> {
    let block = |name: &str, door: String| {
        format!("[[sources]]\nname = \"{name}\"\nprovider = \"{name}\"\naccount_id = \"abcd1234\"\n{door}\n")
    };
    let text: String = PROVIDERS.iter().map(|info| block(info.name, verification(info.secret_key()))).collect();
    let environment = Environment::from([("SECRET".to_owned(), "a-secret-that-no-fuzzer-finds".to_owned())]);
    config::load_text("fuzz", &text, &environment).expect("the configuration holds").settings.sources
}

/// A request without a token.
fn request(method: Method) -> RawRequest<'static> {
    RawRequest::new(method, "/webhooks/fuzz", Time::from_unix_seconds(1_770_120_866).expect("a time"))
}

/// An authentic body of any bytes makes events or a dead letter, each of them valid JSON.
pub fn take_body(data: &[u8]) {
    let Some((pick, rest)) = data.split_first() else { return };
    let source = &OPEN[usize::from(pick >> 1) % OPEN.len()];
    let query = String::from_utf8_lossy(rest);
    let raw = match pick & 1 {
        0 => request(Method::Post).with_body(rest, false),
        _ => request(Method::Get).with_query(&query),
    };
    let verified = verify::authenticate(&raw, &*source.provider, &source.doors).expect("the source is open");
    let mut normalized = Normalized::default();
    source.provider.normalize(&verified, &mut normalized);
    let ingest = Ingest { via: "webhook", verification: "none", scheme: "none", raw_id: String::new() };
    let origin =
        Reception { provider: source.info.name, source_name: "fuzz", received_at: raw.received_at, ingest: &ingest };
    let privacy = Privacy { message_text: TextPolicy::Keep, ..Privacy::default() };
    for event in normalized.events {
        let record = event.into_record(&origin, &privacy, Mode::Structured).expect("an event is JSON");
        serde_json::from_slice::<&RawValue>(&record.value).expect("a record is JSON");
    }
    for fault in normalized.faults {
        let record = dead_letter::of_fault(&fault, &raw, "fuzz", source.info.name).expect("a dead letter is JSON");
        serde_json::from_slice::<&RawValue>(&record.value).expect("a record is JSON");
    }
}

/// No signature that a fuzzer makes up is ever accepted. The first line of the data is the header.
pub fn forge(data: &[u8]) {
    let Some((pick, rest)) = data.split_first() else { return };
    let source = &CLOSED[usize::from(*pick) % CLOSED.len()];
    let mut parts = rest.splitn(3, |byte| *byte == b'\n');
    let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let name = if name.is_empty() { "authorization" } else { std::str::from_utf8(name).unwrap_or("authorization") };
    let body = parts.next().unwrap_or_default();
    let raw = request(Method::Post).with_headers([(name, value)]).with_body(body, false);
    assert!(verify::authenticate(&raw, &*source.provider, &source.doors).is_err(), "a forged request was accepted");
}
