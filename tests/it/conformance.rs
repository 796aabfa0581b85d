//! What every provider must do, tried on every entry of the list of providers. A provider that joins
//! the list is tested here without a line of its own.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use trunkline::config::{self, Environment, Source};
use trunkline::event::envelope::{Ingest, Mode, Reception, Record};
use trunkline::event::time::Time;
use trunkline::provider::simulate::{Credentials, Seed, SignedRequest, Signing, Simulation};
use trunkline::provider::{Normalized, ProviderInfo};
use trunkline::providers::PROVIDERS;
use trunkline::publish::dead_letter;
use trunkline::verify::{self, AuthError, Covered, Proof};

use crate::fixtures;
use crate::harness::schema;

const SECRET: &str = "conformance-secret-conformance";
const URL: &str = "https://hooks.example.com/webhooks/subject";
const ACCOUNT: &str = "abcd1234";
const NOW: &str = "2026-02-03T12:14:26.103Z";
const DAY_S: i64 = 86_400;

/// One provider with one source of its own, as the configuration makes it.
struct Subject {
    info: &'static ProviderInfo,
    source: Source,
}

/// What became of one request.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<(String, Value)>,
    dead_letters: usize,
}

fn subjects() -> &'static [Subject] {
    static SUBJECTS: LazyLock<Vec<Subject>> =
        LazyLock::new(|| PROVIDERS.iter().map(|info| Subject { info, source: source_of(info) }).collect());
    &SUBJECTS
}

fn source_of(info: &'static ProviderInfo) -> Source {
    let text = format!(
        "[[sources]]\nname = \"subject\"\nprovider = \"{}\"\naccount_id = \"{ACCOUNT}\"\n{} = [\"env:SECRET\"]\n",
        info.name,
        info.secret_key()
    );
    let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
    config::load_text("conformance", &text, &environment).unwrap().settings.sources.remove(0)
}

fn now() -> Time {
    Time::parse_iso(NOW).unwrap()
}

fn signing(credentials: &Credentials) -> Signing<'_> {
    Signing { credentials, url: URL, now: now() }
}

fn now_plus(seconds: i64) -> Time {
    Time::from_unix_seconds(now().unix_seconds() + seconds).unwrap()
}

impl Subject {
    fn sign(&self, simulation: &Simulation, body: Vec<u8>) -> SignedRequest {
        (simulation.sign)(&signing(&Credentials::new(ACCOUNT, SECRET)), body)
    }

    /// Takes a request as the receiver does, without the network and without Kafka.
    fn take(&self, request: &SignedRequest, received_at: Time) -> Result<Outcome, AuthError> {
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
    fn proof(&self, request: &SignedRequest) -> Proof {
        let raw = request.received(URL, now());
        verify::authenticate(&raw, &*self.source.provider, &self.source.doors).unwrap().proof().clone()
    }

    /// Takes an authentic body: every event is valid.
    fn take_body(&self, simulation: &Simulation, body: impl Into<Vec<u8>>) -> Outcome {
        let request = self.sign(simulation, body.into());
        let outcome = self.take(&request, now()).unwrap();
        for (_, event) in outcome.events.iter().filter(|(_, event)| !event.is_null()) {
            schema::assert_valid(event);
            assert_sound(event);
        }
        outcome
    }

    /// Takes an authentic body that holds something: nothing of it disappears without a trace.
    fn take_value(&self, simulation: &Simulation, body: &Value) -> Outcome {
        let outcome = self.take_body(simulation, (simulation.encode)(body));
        assert!(outcome.events.len() + outcome.dead_letters > 0, "nothing came of {body:.300}");
        outcome
    }

    fn ids(&self, simulation: &Simulation, body: &Value) -> Vec<String> {
        self.take_value(simulation, body).events.into_iter().map(|(id, _)| id).collect()
    }

    /// How it sends what its fixtures hold.
    fn first(&self) -> &'static Simulation {
        &self.info.simulations[0]
    }

    fn is_json(&self) -> bool {
        self.sign(self.first(), Vec::new())
            .headers
            .iter()
            .any(|(name, value)| *name == "content-type" && value.contains("json"))
    }

    /// Every webhook that the simulator makes, in every shape.
    fn specimens(&self) -> Vec<Specimen> {
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
            bodies.map(|body| Specimen { body, simulation }).collect::<Vec<_>>()
        };
        let all_shapes = |simulation: &'static Simulation| {
            let others = simulation.shapes.iter().skip(1);
            [""].iter().chain(others).flat_map(move |shape| shaped(simulation, shape)).collect::<Vec<_>>()
        };
        self.info.simulations.iter().flat_map(all_shapes).collect()
    }

    /// The specimens whose record is where the simulation says: those of the default shape.
    fn records(&self) -> Vec<Specimen> {
        self.specimens()
            .into_iter()
            .filter(|specimen| specimen.body.pointer(specimen.simulation.record).is_some())
            .collect()
    }

    fn fixtures(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(self.info.name);
        let kinds = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let files = kinds.flat_map(|kind| std::fs::read_dir(kind.unwrap().path()).unwrap());
        let bodies = files.map(|file| file.unwrap().path()).filter(|path| !fixtures::is_expected(path));
        bodies.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}

/// A simulated body, and where its first record is.
struct Specimen {
    body: Value,
    simulation: &'static Simulation,
}

impl Specimen {
    fn signed(&self) -> SignedRequest {
        self.simulation.request(&signing(&Credentials::new(ACCOUNT, SECRET)), &self.body)
    }

    fn record(&self) -> &serde_json::Map<String, Value> {
        self.body.pointer(self.simulation.record).and_then(Value::as_object).unwrap()
    }

    fn member_names(&self) -> Vec<String> {
        self.record().keys().cloned().collect()
    }

    fn with_record(&self, record: serde_json::Map<String, Value>) -> Value {
        let mut body = self.body.clone();
        *body.pointer_mut(self.simulation.record).unwrap() = Value::Object(record);
        body
    }

    fn with_member(&self, name: &str, value: Value) -> Value {
        let mut record = self.record().clone();
        record.insert(name.to_owned(), value);
        self.with_record(record)
    }
}

/// What must hold between the members of an event, whatever a provider sends.
fn assert_sound(event: &Value) {
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

fn event_id(record: &Record) -> String {
    record.headers.iter().find(|(name, _)| *name == "ce_id").map(|(_, value)| value.to_owned()).unwrap()
}

/// The value as a tree. A number as great as JSON allows and this parser does not is still valid JSON:
/// it is handed on as it was written, and such an event is `null` here.
fn readable(record: &Record) -> Value {
    match serde_json::from_slice(&record.value) {
        Ok(value) => value,
        Err(error) if error.to_string().contains("number out of range") => {
            serde_json::from_slice::<&RawValue>(&record.value).unwrap();
            Value::Null
        }
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&record.value)),
    }
}

#[test]
fn what_the_simulator_signs_is_understood_and_valid() {
    for subject in subjects() {
        let kinds: Vec<&str> = subject.info.kinds.iter().map(|kind| kind.info().name).collect();
        let mut seen = HashSet::new();
        for specimen in subject.specimens() {
            let outcome = subject.take_value(specimen.simulation, &specimen.body);
            assert!(!outcome.events.is_empty() && outcome.dead_letters == 0, "{:#}", specimen.body);
            seen.extend(outcome.events.iter().map(|(_, event)| event["kind"].as_str().unwrap().to_owned()));
        }
        assert_eq!(seen, kinds.iter().map(|kind| (*kind).to_owned()).collect(), "{}", subject.info.name);
    }
}

#[test]
fn every_fixture_makes_valid_events_of_the_kinds_its_folder_names() {
    for subject in subjects() {
        let fixtures = subject.fixtures();
        assert!(fixtures.len() >= 10, "{} has {} fixtures", subject.info.name, fixtures.len());
        for (path, body) in fixtures {
            let outcome = subject.take_body(subject.first(), body);
            assert_eq!(outcome.dead_letters, 0, "{}", path.display());
            let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap().replace('-', "_");
            let named: HashSet<&str> = folder.split('+').collect();
            let made: HashSet<&str> = outcome.events.iter().map(|(_, event)| event["kind"].as_str().unwrap()).collect();
            assert_eq!(made, named, "{}", path.display());
        }
    }
}

#[test]
fn whatever_a_signature_covers_can_not_be_changed() {
    for subject in subjects().iter().filter(|subject| subject.info.signs) {
        for specimen in subject.records() {
            let genuine = specimen.signed();
            match subject.proof(&genuine).covered {
                Covered::Body => assert_changed_bodies_are_refused(subject, &genuine),
                Covered::Parameters(names) => assert_changed_parameters_are_refused(subject, &genuine, &names),
                Covered::Nothing => panic!("{} signs nothing of what it says", subject.info.name),
            }
            assert_changed_headers_are_refused(subject, &genuine);
        }
    }
}

fn assert_changed_bodies_are_refused(subject: &Subject, genuine: &SignedRequest) {
    for index in 0..genuine.body.len() {
        for mask in [0x01, 0x20, 0x80] {
            let mut forged = genuine.clone();
            forged.body[index] ^= mask;
            assert!(subject.take(&forged, now()).is_err(), "byte {index} ^ {mask:#x}");
        }
    }
    let mut longer = genuine.clone();
    longer.body.push(b' ');
    let mut shorter = genuine.clone();
    shorter.body.pop();
    let mut empty = genuine.clone();
    empty.body.clear();
    for forged in [longer, shorter, empty] {
        assert!(subject.take(&forged, now()).is_err(), "{} bytes", forged.body.len());
    }
}

/// Each parameter that is covered is changed, left out and repeated, in the query and in the form.
fn assert_changed_parameters_are_refused(subject: &Subject, genuine: &SignedRequest, names: &[String]) {
    assert!(!names.is_empty());
    let fields = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect::<Vec<_>>();
    let written =
        |fields: &[(String, String)]| form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    for (in_query, fields) in [(true, fields(genuine.query.as_bytes())), (false, fields(&genuine.body))] {
        for index in (0..fields.len()).filter(|index| names.contains(&fields[*index].0)) {
            let (mut changed, mut without, mut repeated) = (fields.clone(), fields.clone(), fields.clone());
            changed[index].1.push('x');
            without.remove(index);
            repeated.push((fields[index].0.clone(), "x".to_owned()));
            for forged_fields in [changed, without, repeated] {
                let mut forged = genuine.clone();
                match in_query {
                    true => forged.query = written(&forged_fields),
                    false => forged.body = written(&forged_fields).into_bytes(),
                }
                assert!(subject.take(&forged, now()).is_err(), "{forged_fields:?}");
            }
        }
    }
}

/// A change of letter case alone may be harmless (a scheme's name, hexadecimal digits); any other
/// change of any header that signing added must be refused.
fn assert_changed_headers_are_refused(subject: &Subject, genuine: &SignedRequest) {
    for (at, (name, value)) in genuine.headers.iter().enumerate().filter(|(_, (name, _))| *name != "content-type") {
        for index in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[index] ^= 0x01;
            let mut forged = genuine.clone();
            forged.headers[at].1 = String::from_utf8(bytes).unwrap();
            assert!(subject.take(&forged, now()).is_err(), "{name}, character {index}");
        }
        let mut without = genuine.clone();
        without.headers.remove(at);
        assert!(subject.take(&without, now()).is_err(), "without {name}");
    }
}

#[test]
fn another_secret_and_another_account_are_refused() {
    for subject in subjects().iter().filter(|subject| subject.info.signs) {
        let specimen = &subject.specimens()[0];
        let signed_with =
            |credentials: Credentials| specimen.simulation.request(&signing(&credentials), &specimen.body);
        let genuine = subject.take(&signed_with(Credentials::new(ACCOUNT, SECRET)), now()).unwrap();
        assert!(subject.take(&signed_with(Credentials::new(ACCOUNT, "another-secret")), now()).is_err());
        let tampered = Credentials { tamper: true, ..Credentials::new(ACCOUNT, SECRET) };
        assert!(subject.take(&signed_with(tampered), now()).is_err());
        // A signature that names no account leaves it to the configuration and to the body, which is the same.
        match subject.take(&signed_with(Credentials::new("zyxw9876", SECRET)), now()) {
            Err(error) => assert_eq!(error, AuthError::WrongAccount),
            Ok(outcome) => assert_eq!(outcome, genuine),
        }
    }
}

#[test]
fn a_retry_a_day_later_is_genuine_and_has_the_same_ids() {
    for subject in subjects() {
        for specimen in subject.specimens() {
            let request = specimen.signed();
            let ids = |outcome: Outcome| outcome.events.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
            let first = ids(subject.take(&request, now()).unwrap());
            let retried = ids(subject.take(&request, now_plus(DAY_S)).unwrap());
            assert_eq!(first, retried);
        }
    }
}

#[test]
fn signed_times_are_believed_in_neither_direction_for_ever() {
    for subject in subjects().iter().filter(|subject| subject.info.signs_time) {
        let request = subject.specimens()[0].signed();
        assert_eq!(subject.take(&request, now_plus(400 * DAY_S)), Err(AuthError::Stale));
        assert_eq!(subject.take(&request, now_plus(-DAY_S)), Err(AuthError::FromTheFuture));
    }
}

#[test]
fn unknown_members_are_kept_and_change_no_id() {
    for subject in subjects() {
        for specimen in subject.records() {
            let plain = subject.ids(specimen.simulation, &specimen.body);
            let extended = specimen.with_member("brand_new", json!({"deep": [1, {"x": "y"}], "empty": ""}));
            let outcome = subject.take_value(specimen.simulation, &extended);
            assert_eq!(outcome.dead_letters, 0);
            assert_eq!(plain, outcome.events.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>());
            let (_, event) = &outcome.events[0];
            let content_is_dropped = event["kind"] == "inbound_message";
            assert!(content_is_dropped || !event["provider_data"]["brand_new"].is_null(), "{event:#}");
        }
    }
}

#[test]
fn the_order_of_members_changes_no_id() {
    for subject in subjects() {
        for specimen in subject.records() {
            let members = specimen.record().iter().rev().map(|(name, value)| (name.clone(), value.clone()));
            let reversed = specimen.with_record(members.collect());
            assert_eq!(subject.ids(specimen.simulation, &specimen.body), subject.ids(specimen.simulation, &reversed));
        }
    }
}

#[test]
fn strange_values_of_any_member_make_a_valid_event_or_a_dead_letter() {
    let deep = |depth: usize| serde_json::from_str::<Value>(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let strange = [
        json!(""),
        json!(" "),
        json!("null"),
        json!(null),
        json!(true),
        json!(0),
        json!(-1.5e-300),
        json!(u64::MAX),
        json!([]),
        json!({}),
        json!([null]),
        json!({"": ""}),
        json!("brand-new-word"),
        json!("x".repeat(100_000)),
        json!("\u{0}\u{1b}[2J\u{202e}\u{1f4a9}"),
        deep(100).unwrap(),
    ];
    for subject in subjects() {
        for specimen in subject.records() {
            for name in specimen.member_names() {
                for value in &strange {
                    subject.take_value(specimen.simulation, &specimen.with_member(&name, value.clone()));
                }
            }
        }
    }
}

#[test]
fn raw_text_that_trees_can_not_hold_makes_a_valid_event_or_a_dead_letter() {
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let nested = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let values = ["1e400", "-1E-400", "123456789012345678901234567890.5", "\"\\ud800\"", "\"\\u0000\"", &deep, &nested];
    for subject in subjects().iter().filter(|subject| subject.is_json()) {
        for specimen in subject.records() {
            for value in values {
                let marked = specimen.with_member("strange", json!("(here)")).to_string();
                let outcome = subject.take_body(specimen.simulation, marked.replacen("\"(here)\"", value, 1));
                assert!(outcome.events.len() + outcome.dead_letters > 0, "{value:.40}");
                let outside = specimen.body.to_string().replacen('{', &format!("{{\"strange\":{value},"), 1);
                let outcome = subject.take_body(specimen.simulation, outside);
                assert!(outcome.events.len() + outcome.dead_letters > 0, "{value:.40}");
            }
        }
    }
}

#[test]
fn odd_encodings_are_understood_or_kept_as_dead_letters() {
    for subject in subjects().iter().filter(|subject| subject.is_json()) {
        let text = subject.specimens()[0].body.to_string();
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_bom = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
        assert!(!subject.take_body(subject.first(), with_bom).events.is_empty());
        let binary = vec![0, 159, 146, 150];
        let several = [text.as_bytes(), text.as_bytes()].concat();
        for body in [utf16, binary, several, b"null".to_vec(), b"[".to_vec()] {
            let outcome = subject.take_body(subject.first(), body);
            assert_eq!((outcome.events.len(), outcome.dead_letters), (0, 1));
        }
    }
}

#[test]
fn every_provider_is_documented_and_its_example_loads() {
    for subject in subjects() {
        let info = subject.info;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(root.join(info.documentation)).unwrap();
        for simulation in info.simulations {
            assert!(page.contains(simulation.name) || page.contains("trunkline send --list"), "{}", simulation.name);
        }
        let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
        assert!(readme.contains(info.documentation), "the README links {}", info.documentation);
        let variables = info.example.split("env:").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        let environment: Environment = variables.map(|name| (name, SECRET.to_owned())).collect();
        let loaded = config::load_text(info.name, info.example, &environment).unwrap();
        assert!(!format!("{:?}{}", loaded.settings, loaded.redacted).contains(SECRET));
    }
}

#[test]
fn providers_and_their_simulations_have_names_of_their_own() {
    let names: HashSet<&str> = PROVIDERS.iter().map(|info| info.name).collect();
    assert_eq!(names.len(), PROVIDERS.len());
    for info in PROVIDERS {
        assert_eq!(info.name, info.name.to_lowercase());
        let names = info.simulations.iter().flat_map(|simulation| simulation.aliases.iter().chain([&simulation.name]));
        let names: Vec<&&str> = names.collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{}", info.name);
    }
}

/// Any JSON value, not too large.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[0-9+ ]{0,17}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{0,12}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_of_any_member_makes_a_valid_event_or_a_dead_letter(pick in any::<prop::sample::Index>(), value in any_json()) {
        for subject in subjects() {
            for specimen in subject.records() {
                let names = specimen.member_names();
                subject.take_value(specimen.simulation, &specimen.with_member(&names[pick.index(names.len())], value.clone()));
            }
        }
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(body in prop::collection::vec(any::<u8>(), 8..200)) {
        for subject in subjects() {
            let outcome = subject.take_body(subject.first(), body.clone());
            prop_assert!(outcome.events.len() + outcome.dead_letters > 0);
        }
    }
}
