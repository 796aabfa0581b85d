//! A provider with one source, and what its simulator makes.

use std::sync::Arc;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use trunkline::config::{self, Environment, Source};
use trunkline::event::envelope::{Ingest, Mode, Reception, Record};
use trunkline::event::time::Time;
use trunkline::provider::simulate::{Credentials, Encoding, Seed, SignedRequest, Signing, Simulation};
use trunkline::provider::{Normalized, ProviderInfo};
use trunkline::providers::PROVIDERS;
use trunkline::publish::dead_letter;
use trunkline::verify::{self, AuthError, Covered, Proof};

use crate::fixtures;
use crate::harness::schema;

pub(super) const SECRET: &str = "conformance-secret-conformance";
/// It ends the URL of what can not be signed.
pub(super) const TOKEN: &str = "conformance-token-conformance";
pub(super) const URL: &str = "https://hooks.example.com/webhooks/subject";
pub(super) const ACCOUNT: &str = "abcd1234";
pub(super) const NOW: &str = "2026-02-03T12:14:26.103Z";
pub(super) const DAY_S: i64 = 86_400;

/// One provider with one source of its own, as the configuration makes it.
pub(super) struct Subject {
    pub(super) info: &'static ProviderInfo,
    pub(super) source: Arc<Source>,
}

/// What became of one request.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) events: Vec<(String, Value)>,
    pub(super) dead_letters: usize,
}

pub(super) fn subjects() -> &'static [Subject] {
    static SUBJECTS: LazyLock<Vec<Subject>> =
        LazyLock::new(|| PROVIDERS.iter().map(|info| Subject { info, source: source_of(info) }).collect());
    &SUBJECTS
}

pub(super) fn source_of(info: &'static ProviderInfo) -> Arc<Source> {
    let secrets = match info.signs {
        true => "signature_secrets = [\"env:SECRET\"]\nurl_tokens = [\"env:TOKEN\"]",
        false => "url_tokens = [\"env:SECRET\", \"env:TOKEN\"]",
    };
    let name = info.name;
    let text =
        format!("[[sources]]\nname = \"subject\"\nprovider = \"{name}\"\naccount_id = \"{ACCOUNT}\"\n{secrets}\n");
    let environment = [("SECRET", SECRET), ("TOKEN", TOKEN)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = Environment::from(environment);
    config::load_text("conformance", &text, &environment).unwrap().settings.sources.remove(0)
}

pub(super) fn now() -> Time {
    Time::parse_iso(NOW).unwrap()
}

pub(super) fn signing(credentials: &Credentials, encoding: Encoding) -> Signing<'_> {
    Signing { credentials, url: URL, now: now(), encoding }
}

pub(super) fn now_plus(seconds: i64) -> Time {
    Time::from_unix_seconds(now().unix_seconds() + seconds).unwrap()
}

impl Subject {
    /// Takes a request as the receiver does, without the network and without Kafka.
    pub(super) fn take(&self, request: &SignedRequest, received_at: Time) -> Result<Outcome, AuthError> {
        let raw = request.received(URL, received_at);
        let verified = verify::authenticate(&raw, &*self.source.provider, &self.source.doors)?;
        let mut normalized = Normalized::default();
        self.source.provider.normalize(&verified, &mut normalized);
        let ingest = Ingest {
            via: "webhook",
            verification: "signed",
            scheme: "test",
            raw_id: "01JK5Q0V8T4Z5M3R7S9W1X2Y3Z".to_owned(),
        };
        let origin = Reception { provider: self.info.name, source_name: "subject", received_at, ingest: &ingest };
        let mut outcome = Outcome { events: Vec::new(), dead_letters: 0 };
        for event in normalized.events {
            let record = event.into_record(&origin, &self.source.privacy, Mode::Binary).unwrap();
            outcome.events.push((event_id(&record), readable(&record)));
        }
        for fault in normalized.faults {
            let record = dead_letter::of_fault(&fault, &raw, "subject", self.info.name).unwrap();
            schema::assert_valid(&readable(&record));
            outcome.dead_letters += 1;
        }
        Ok(outcome)
    }

    /// What is verified of a genuine request.
    pub(super) fn proof(&self, request: &SignedRequest) -> Proof {
        let raw = request.received(URL, now());
        verify::authenticate(&raw, &*self.source.provider, &self.source.doors).unwrap().proof().clone()
    }

    /// Takes an authentic request: every event is valid.
    pub(super) fn take_genuine(&self, request: &SignedRequest) -> Outcome {
        let outcome = self.take(request, now()).unwrap();
        for (_, event) in outcome.events.iter().filter(|(_, event)| !event.is_null()) {
            schema::assert_valid(event);
            assert_sound(event);
        }
        outcome
    }

    /// Takes an authentic body that holds something: nothing of it disappears without a trace.
    pub(super) fn take_specimen(&self, specimen: &Specimen) -> Outcome {
        let outcome = self.take_genuine(&specimen.signed());
        assert!(outcome.events.len() + outcome.dead_letters > 0, "nothing came of {:.300}", specimen.body);
        outcome
    }

    /// Takes any bytes as authentic. Where parameters are signed, bytes that hold none can only come with a token.
    pub(super) fn take_bytes(&self, specimen: &Specimen, bytes: impl Into<Vec<u8>>) -> Outcome {
        let bytes = bytes.into();
        match self.proof(&specimen.signed()).covered {
            Covered::Parameters(_) => {
                let unsigned = specimen.encoding.request(bytes);
                self.take_genuine(&SignedRequest { url_token: Some(TOKEN.to_owned()), ..unsigned })
            }
            _ => self.take_genuine(&specimen.signed_bytes(bytes)),
        }
    }

    pub(super) fn ids(&self, specimen: &Specimen) -> Vec<String> {
        self.take_specimen(specimen).events.into_iter().map(|(id, _)| id).collect()
    }

    /// How it sends what its fixtures hold.
    pub(super) fn first(&self) -> Specimen {
        self.specimens().remove(0)
    }

    pub(super) fn is_json(&self) -> bool {
        self.first().encoding == Encoding::Json
    }

    /// Every webhook that the simulator makes, in every shape, as it is sent by default.
    pub(super) fn specimens(&self) -> Vec<Specimen> {
        let shaped = |simulation: &'static Simulation, shape: &str| {
            let seed = Seed {
                id: "0d3ee1c4-5a0b-4f6c-9b4f-0123456789ab".to_owned(),
                account_id: ACCOUNT.to_owned(),
                now: now(),
                index: 0,
                records: 2,
                shape: shape.to_owned(),
            };
            let bodies = (simulation.bodies)(&seed).into_iter();
            let encoding = simulation.encoding();
            bodies.map(|body| Specimen { body, simulation, encoding }).collect::<Vec<_>>()
        };
        let all_shapes = |simulation: &'static Simulation| {
            let others = simulation.shapes.iter().skip(1);
            [""].iter().chain(others).flat_map(move |shape| shaped(simulation, shape)).collect::<Vec<_>>()
        };
        self.info.simulations.iter().flat_map(all_shapes).collect()
    }

    /// The same, and also as it is sent by every other method.
    pub(super) fn encoded_specimens(&self) -> Vec<Specimen> {
        self.specimens().iter().flat_map(Specimen::in_every_encoding).collect()
    }

    /// The specimens whose record is where the simulation says: those of the default shape.
    pub(super) fn records(&self) -> Vec<Specimen> {
        self.specimens().into_iter().filter(Specimen::has_record).collect()
    }

    pub(super) fn encoded_records(&self) -> Vec<Specimen> {
        self.encoded_specimens().into_iter().filter(Specimen::has_record).collect()
    }

    pub(super) fn fixtures(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(self.info.name);
        let kinds = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let files = kinds.flat_map(|kind| std::fs::read_dir(kind.unwrap().path()).unwrap());
        let bodies = files.map(|file| file.unwrap().path()).filter(|path| !fixtures::is_expected(path));
        bodies.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}

/// A simulated body, where its first record is, and how it is sent.
pub(super) struct Specimen {
    pub(super) body: Value,
    pub(super) simulation: &'static Simulation,
    pub(super) encoding: Encoding,
}

impl Specimen {
    pub(super) fn signed(&self) -> SignedRequest {
        self.signed_with(&Credentials::new(ACCOUNT, SECRET))
    }

    pub(super) fn signed_with(&self, credentials: &Credentials) -> SignedRequest {
        self.simulation.request(&signing(credentials, self.encoding), &self.body)
    }

    pub(super) fn signed_bytes(&self, bytes: Vec<u8>) -> SignedRequest {
        (self.simulation.sign)(&signing(&Credentials::new(ACCOUNT, SECRET), self.encoding), bytes)
    }

    pub(super) fn in_every_encoding(&self) -> Vec<Self> {
        let encodings = self.simulation.encodings.iter();
        encodings.map(|encoding| Self { encoding: *encoding, ..self.with_body(self.body.clone()) }).collect()
    }

    pub(super) fn has_record(&self) -> bool {
        self.body.pointer(self.simulation.record).is_some()
    }

    pub(super) fn record(&self) -> &Map<String, Value> {
        self.body.pointer(self.simulation.record).and_then(Value::as_object).unwrap()
    }

    pub(super) fn member_names(&self) -> Vec<String> {
        self.record().keys().cloned().collect()
    }

    pub(super) fn with_body(&self, body: Value) -> Self {
        Self { body, simulation: self.simulation, encoding: self.encoding }
    }

    pub(super) fn with_record(&self, record: Map<String, Value>) -> Self {
        let mut body = self.body.clone();
        *body.pointer_mut(self.simulation.record).unwrap() = Value::Object(record);
        self.with_body(body)
    }

    pub(super) fn with_member(&self, name: &str, value: Value) -> Self {
        let mut record = self.record().clone();
        record.insert(name.to_owned(), value);
        self.with_record(record)
    }
}

/// What must hold between the members of an event, whatever a provider sends.
pub(super) fn assert_sound(event: &Value) {
    let kind = event["kind"].as_str().unwrap();
    let has = |name: &str| !event[name].is_null();
    assert_eq!(event["occurred_at_source"] == "received", !has("occurred_at"), "{event:#}");
    assert!(!has("talk_ms") || event["answered"] == true, "talk without an answer: {event:#}");
    match kind {
        "message_status" => assert_eq!(event["is_final"], event["status_rank"].as_u64() > Some(30), "{event:#}"),
        "call_event" => assert_eq!(event["event"] == "ended", has("outcome"), "{event:#}"),
        "call_record" if event["outcome"] == "answered" => assert_eq!(event["answered"], true, "{event:#}"),
        _ => {}
    }
}

pub(super) fn event_id(record: &Record) -> String {
    record.headers.iter().find(|(name, _)| *name == "ce_id").map(|(_, value)| value.to_owned()).unwrap()
}

/// The value as a tree. A number as great as JSON allows and this parser does not is still valid JSON:
/// it is handed on as it was written, and such an event is `null` here.
pub(super) fn readable(record: &Record) -> Value {
    match serde_json::from_slice(&record.value) {
        Ok(value) => value,
        Err(error) if error.to_string().contains("number out of range") => {
            serde_json::from_slice::<&RawValue>(&record.value).unwrap();
            Value::Null
        }
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&record.value)),
    }
}
