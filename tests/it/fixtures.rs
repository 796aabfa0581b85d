//! What the mapping makes of each body below `tests/fixtures`, compared whole with what is written beside it.
//!
//! `<case>.events.json` lies beside the body `<case>.json` or `<case>.form`. `make fixtures` writes these files
//! anew; the difference that git then shows is what a change of the mapping does to consumers.

use std::sync::Arc;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trunkline::config::{self, Environment, Source};
use trunkline::event::envelope::{Ingest, Mode, Reception, Record};
use trunkline::event::time::Time;
use trunkline::provider::{Normalized, ProviderInfo};
use trunkline::providers::PROVIDERS;
use trunkline::request::{Method, RawRequest};
use trunkline::verify;

/// The environment variable with which the expected files are written instead of compared.
const WRITE: &str = "WRITE_FIXTURES";

/// What the name of an expected file ends with.
const EXPECTED: &str = ".events.json";

/// A source that takes anything, and publishes what people wrote, so that the files show it too.
fn source_of(info: &ProviderInfo) -> Arc<Source> {
    let text = format!(
        "[[sources]]\nname = \"fixture\"\nprovider = \"{}\"\naccount_id = \"abcd1234\"\nverification = \"none\"\n\
         [sources.privacy]\nmessage_text = \"keep\"\n",
        info.name
    );
    config::load_text("fixtures", &text, &Environment::new()).unwrap().settings.sources.remove(0)
}

/// Everything that comes of a body: the records, and the fields whose word is in no map.
fn mapped(info: &'static ProviderInfo, source: &Source, body: &[u8]) -> Value {
    let received_at = Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap();
    let raw = RawRequest::new(Method::Post, "/webhooks/fixture", received_at).with_body(body, false);
    let verified = verify::authenticate(&raw, &*source.provider, &source.doors).unwrap();
    let mut normalized = Normalized::default();
    source.provider.normalize(&verified, &mut normalized);
    assert!(normalized.faults.is_empty(), "{:?}", normalized.faults);
    let ingest = Ingest { via: "webhook", verification: "none", scheme: "none", raw_id: "raw".to_owned() };
    let origin = Reception { provider: info.name, source_name: "fixture", received_at, ingest: &ingest };
    let events = normalized.events.into_iter();
    let records = events.map(|event| event.into_record(&origin, &source.privacy, Mode::Binary).unwrap());
    json!({"unmapped": normalized.unmapped, "records": records.map(|record| shown(&record)).collect::<Vec<_>>()})
}

fn shown(record: &Record) -> Value {
    let headers = record.headers.iter().map(|(name, value)| (name.to_owned(), value.into()));
    json!({
        "topic": record.topic.suffix,
        "key": record.key,
        "headers": headers.collect::<serde_json::Map<String, Value>>(),
        "value": serde_json::from_slice::<Value>(&record.value).unwrap(),
    })
}

fn files_of(info: &ProviderInfo) -> BTreeSet<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(info.name);
    let kinds = std::fs::read_dir(folder).unwrap();
    kinds.flat_map(|kind| std::fs::read_dir(kind.unwrap().path()).unwrap()).map(|file| file.unwrap().path()).collect()
}

/// Whether a file is one of those that this test writes, and no body.
pub(crate) fn is_expected(path: &Path) -> bool {
    path.to_str().unwrap().ends_with(EXPECTED)
}

fn expected_of(body: &Path) -> PathBuf {
    body.with_file_name(format!("{}{EXPECTED}", body.file_stem().unwrap().to_str().unwrap()))
}

/// Compares, or writes where that is asked for.
fn check(expected: &Path, made: &Value) {
    let made = format!("{made:#}\n");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(expected, made).unwrap();
        return;
    }
    let written = std::fs::read_to_string(expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
    assert!(made == written, "{}, see `make fixtures`:\n{made}", expected.display());
}

#[test]
fn every_fixture_makes_exactly_the_events_beside_it() {
    for info in PROVIDERS {
        let source = source_of(info);
        let (expected, bodies): (Vec<_>, Vec<_>) = files_of(info).into_iter().partition(|path| is_expected(path));
        for body in &bodies {
            check(&expected_of(body), &mapped(info, &source, &std::fs::read(body).unwrap()));
        }
        let of_bodies: BTreeSet<PathBuf> = bodies.iter().map(|body| expected_of(body)).collect();
        assert_eq!(of_bodies.len(), bodies.len(), "each body of {} has a name of its own", info.name);
        let orphans: Vec<_> = expected.iter().filter(|path| !of_bodies.contains(*path)).collect();
        assert!(orphans.is_empty(), "no body lies beside {orphans:?}");
    }
}
