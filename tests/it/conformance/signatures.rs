//! What is signed, by whom and when.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use trunkline::provider::simulate::{Credentials, Encoding, SignedRequest, as_parameter};
use trunkline::request::Method;
use trunkline::verify::{AuthError, Covered};

use super::subject::{ACCOUNT, DAY_S, SECRET, Specimen, Subject, now, now_plus, subjects};

#[test]
fn whatever_a_signature_covers_can_not_be_changed() {
    for subject in subjects().iter().filter(|subject| subject.info.signs) {
        for specimen in subject.encoded_records() {
            let genuine = specimen.signed();
            match subject.proof(&genuine).covered {
                Covered::Body if genuine.method == Method::Get => assert_changed_queries_are_refused(subject, &genuine),
                Covered::Body => assert_changed_bodies_are_refused(subject, &genuine),
                Covered::Parameters(names) => {
                    assert_changed_parameters_are_refused(subject, specimen.encoding, &genuine, &names);
                }
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

/// A query that is written otherwise may say the same; whatever says something else is refused.
fn assert_changed_queries_are_refused(subject: &Subject, genuine: &SignedRequest) {
    let said = |query: &[u8]| form_urlencoded::parse(query).into_owned().collect::<Vec<_>>();
    for index in 0..genuine.query.len() {
        for mask in [0x01, 0x20] {
            let mut query = genuine.query.clone().into_bytes();
            query[index] ^= mask;
            if said(&query) != said(genuine.query.as_bytes()) {
                let forged = SignedRequest { query: String::from_utf8(query).unwrap(), ..genuine.clone() };
                assert!(subject.take(&forged, now()).is_err(), "{}", forged.query);
            }
        }
    }
    for bytes in forged_parameters(Encoding::Get, genuine.query.as_bytes(), true) {
        let forged = SignedRequest { query: String::from_utf8(bytes).unwrap(), ..genuine.clone() };
        assert!(subject.take(&forged, now()).is_err(), "{}", forged.query);
    }
}

/// Each parameter that is covered, and the signature itself, is changed, left out and repeated, and another is added.
fn assert_changed_parameters_are_refused(
    subject: &Subject,
    encoding: Encoding,
    genuine: &SignedRequest,
    names: &[String],
) {
    let bytes = if encoding == Encoding::Get { genuine.query.as_bytes() } else { &genuine.body };
    let told: HashSet<String> = encoding.read(bytes).unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(!names.is_empty() && names.iter().all(|name| told.contains(name)), "{names:?} of {told:?}");
    assert_eq!(told.len(), names.len() + 1, "all but the signature are covered");
    for forged in forged_parameters(encoding, bytes, false) {
        let text = String::from_utf8_lossy(&forged).into_owned();
        let unsigned = encoding.request(forged);
        let forged = SignedRequest { headers: genuine.headers.clone(), ..unsigned };
        assert!(subject.take(&forged, now()).is_err(), "{text}");
    }
}

/// Other parameters than these: with each one changed, left out and repeated, and with one more. Of an empty one, some
/// signatures tell only whether it is there.
fn forged_parameters(encoding: Encoding, bytes: &[u8], empty_ones_count: bool) -> Vec<Vec<u8>> {
    let genuine = encoding.read(bytes).unwrap();
    let write = |members: Map<String, Value>| encoding.write(&Value::Object(members));
    let with = |name: &str, value: Value| {
        let mut members = genuine.clone();
        members.insert(name.to_owned(), value);
        write(members)
    };
    let mut forged = vec![with("brand-new", json!("x"))];
    for (name, value) in &genuine {
        let text = as_parameter(value);
        forged.push(with(name, json!(format!("{text}1"))));
        forged.extend(repeated(encoding, bytes, name));
        if empty_ones_count || !text.is_empty() {
            let mut without = genuine.clone();
            without.shift_remove(name);
            forged.push(write(without));
        }
    }
    forged
}

/// The same text with another value of one name, before all others and behind them.
fn repeated(encoding: Encoding, bytes: &[u8], name: &str) -> [Vec<u8>; 2] {
    let text = std::str::from_utf8(bytes).unwrap();
    let texts = match encoding {
        Encoding::Json => {
            let (inner, member) = (text.trim_start_matches('{').trim_end_matches('}'), json!(name));
            [format!("{{{member}:\"x\",{inner}}}"), format!("{{{inner},{member}:\"x\"}}")]
        }
        Encoding::Form | Encoding::Get => [format!("{name}=x&{text}"), format!("{text}&{name}=x")],
    };
    texts.map(String::into_bytes)
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
        for specimen in subject.encoded_specimens() {
            let take = |credentials: Credentials| subject.take(&specimen.signed_with(&credentials), now());
            let genuine = take(Credentials::new(ACCOUNT, SECRET)).unwrap();
            assert!(take(Credentials::new(ACCOUNT, "another-secret")).is_err());
            assert!(take(Credentials { tamper: true, ..Credentials::new(ACCOUNT, SECRET) }).is_err());
            assert_eq!(
                take(Credentials { secret: None, ..Credentials::new(ACCOUNT, SECRET) }),
                Err(AuthError::Missing)
            );
            // A signature that names no account leaves it to the configuration and to the body, which is the same.
            match take(Credentials::new("zyxw9876", SECRET)) {
                Err(error) => assert_eq!(error, AuthError::WrongAccount),
                Ok(outcome) => assert_eq!(outcome, genuine),
            }
        }
    }
}

#[test]
fn signed_times_are_believed_in_neither_direction_for_ever() {
    for subject in subjects().iter().filter(|subject| subject.info.signs_time) {
        for request in subject.encoded_specimens().iter().map(Specimen::signed) {
            assert_eq!(subject.take(&request, now_plus(400 * DAY_S)), Err(AuthError::Stale));
            assert_eq!(subject.take(&request, now_plus(-DAY_S)), Err(AuthError::FromTheFuture));
        }
    }
}
