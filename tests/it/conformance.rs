//! What every provider must do, tried on every entry of the list of providers. A provider that joins
//! the list is tested here without a line of its own.

use std::collections::HashSet;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use trunkline::config::{self, Environment};
use trunkline::provider::simulate::Encoding;
use trunkline::providers::PROVIDERS;

mod signatures;
mod subject;

use subject::{DAY_S, Outcome, SECRET, Specimen, Subject, now, now_plus, subjects};

#[test]
fn what_the_simulator_signs_is_understood_and_valid() {
    for subject in subjects() {
        let kinds: Vec<&str> = subject.info.kinds.iter().map(|kind| kind.info().name).collect();
        let mut seen = HashSet::new();
        for specimen in subject.encoded_specimens() {
            let outcome = subject.take_specimen(&specimen);
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
            let outcome = subject.take_bytes(&subject.first(), body);
            assert_eq!(outcome.dead_letters, 0, "{}", path.display());
            let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap().replace('-', "_");
            let named: HashSet<&str> = folder.split('+').collect();
            let made: HashSet<&str> = outcome.events.iter().map(|(_, event)| event["kind"].as_str().unwrap()).collect();
            assert_eq!(made, named, "{}", path.display());
        }
    }
}

#[test]
fn every_encoding_tells_the_same() {
    let told = |subject: &Subject, specimen: &Specimen| {
        let events = subject.take_specimen(specimen).events.into_iter();
        events.map(|(id, event)| (id, as_parameters_tell(event))).collect::<Vec<_>>()
    };
    for subject in subjects() {
        for specimen in subject.specimens() {
            let first = told(subject, &specimen);
            for encoded in specimen.in_every_encoding() {
                assert_eq!(told(subject, &encoded), first, "{:?} of {:#}", encoded.encoding, specimen.body);
            }
        }
    }
}

/// What parameters can tell of a value: no types but text, nothing for `null` and empty values, objects as their text.
fn as_parameters_tell(value: Value) -> Value {
    let is_told = |value: &Value| !value.is_null() && value != "" && *value != json!({});
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, as_parameters_tell(value)));
            members.filter(|(_, value)| is_told(value)).collect()
        }
        Value::Array(elements) => elements.into_iter().map(as_parameters_tell).collect(),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => as_parameters_tell(value),
            _ => text.into(),
        },
        Value::Number(_) | Value::Bool(_) => value.to_string().into(),
        Value::Null => Value::Null,
    }
}

#[test]
fn a_retry_a_day_later_is_genuine_and_has_the_same_ids() {
    for subject in subjects() {
        for specimen in subject.encoded_specimens() {
            let request = specimen.signed();
            let ids = |outcome: Outcome| outcome.events.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
            let first = ids(subject.take(&request, now()).unwrap());
            let retried = ids(subject.take(&request, now_plus(DAY_S)).unwrap());
            assert_eq!(first, retried);
        }
    }
}

#[test]
fn unknown_members_are_kept_and_change_no_id() {
    for subject in subjects() {
        for specimen in subject.encoded_records() {
            let plain = subject.ids(&specimen);
            let extended = specimen.with_member("brand_new", json!({"deep": [1, {"x": "y"}], "empty": ""}));
            let outcome = subject.take_specimen(&extended);
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
        for specimen in subject.encoded_records() {
            let members = specimen.record().iter().rev().map(|(name, value)| (name.clone(), value.clone()));
            let reversed = specimen.with_record(members.collect());
            assert_eq!(subject.ids(&specimen), subject.ids(&reversed));
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
        for specimen in subject.encoded_records() {
            for name in specimen.member_names() {
                for value in &strange {
                    subject.take_specimen(&specimen.with_member(&name, value.clone()));
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
    for subject in subjects() {
        for specimen in subject.encoded_records().iter().filter(|specimen| specimen.encoding == Encoding::Json) {
            for value in values {
                let marked = specimen.with_member("strange", json!("(here)")).body.to_string();
                let outcome = subject.take_bytes(specimen, marked.replacen("\"(here)\"", value, 1));
                assert!(outcome.events.len() + outcome.dead_letters > 0, "{value:.40}");
                let outside = specimen.body.to_string().replacen('{', &format!("{{\"strange\":{value},"), 1);
                let outcome = subject.take_bytes(specimen, outside);
                assert!(outcome.events.len() + outcome.dead_letters > 0, "{value:.40}");
            }
        }
    }
}

#[test]
fn odd_encodings_are_understood_or_kept_as_dead_letters() {
    for subject in subjects().iter().filter(|subject| subject.is_json()) {
        let first = subject.first();
        let text = first.body.to_string();
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_bom = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
        assert!(!subject.take_bytes(&first, with_bom).events.is_empty());
        let binary = vec![0, 159, 146, 150];
        let several = [text.as_bytes(), text.as_bytes()].concat();
        for body in [utf16, binary, several, b"null".to_vec(), b"[".to_vec()] {
            let outcome = subject.take_bytes(&first, body);
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
        assert!(info.simulations.iter().all(|simulation| !simulation.encodings.is_empty()), "{}", info.name);
        let names = info.simulations.iter().flat_map(|simulation| simulation.aliases.iter().chain([&simulation.name]));
        let names: Vec<&&str> = names.collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{}", info.name);
    }
}

#[test]
fn what_dev_proposes_can_be_sent() {
    for info in PROVIDERS {
        assert!(!info.proposals.is_empty(), "{}", info.name);
        for words in info.proposals {
            let (kind, shape) = words.split_once(' ').map_or((*words, None), |(kind, shape)| (kind, Some(shape)));
            let simulation = info.simulation(kind).unwrap_or_else(|| panic!("{words}"));
            assert!(shape.is_none_or(|shape| simulation.shapes.contains(&shape)), "{words}");
        }
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
                subject.take_specimen(&specimen.with_member(&names[pick.index(names.len())], value.clone()));
            }
        }
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(body in prop::collection::vec(any::<u8>(), 8..200)) {
        for subject in subjects() {
            let outcome = subject.take_bytes(&subject.first(), body.clone());
            prop_assert!(outcome.events.len() + outcome.dead_letters > 0);
        }
    }
}
