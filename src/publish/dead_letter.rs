//! Dead letters: what was authentic and could not be understood, with its bytes.

use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use super::kept::{KeptRequest, Reason};
use crate::event::envelope::Record;
use crate::event::id::{EventId, Identity};
use crate::event::kind::DEAD_LETTER_TOPIC;
use crate::provider::Fault;
use crate::request::RawRequest;
use crate::verify::{Proof, Verified};

/// Codes of the letters whose body is an event that Kafka refused, and not what the provider sent.
pub const REFUSED_EVENT: [&str; 2] = ["record_too_large", "record_invalid"];

/// Makes the dead letter of one fault of a request of which nothing else is known any more.
///
/// # Errors
/// Only if it could not be written as JSON, which its types do not allow.
pub fn of_fault(
    fault: &Fault<'_>,
    request: &RawRequest<'_>,
    source_name: &str,
    provider: &str,
) -> Result<Record, serde_json::Error> {
    let id = Ulid::generate().to_string();
    letter(fault, request, &id, source_name, provider).into_record(&DEAD_LETTER_TOPIC, &id)
}

/// Makes the dead letter of one fault, with all that a replay needs: `raw_id` is the id of the request.
///
/// # Errors
/// Only if it could not be written as JSON, which its types do not allow.
pub fn of_verified(
    fault: &Fault<'_>,
    verified: &Verified<'_>,
    raw_id: &str,
    source_name: &str,
    provider: &str,
) -> Result<Record, serde_json::Error> {
    let id = Ulid::generate().to_string();
    let mut letter = letter(fault, verified.request(), &id, source_name, provider);
    letter.raw_id = Some(raw_id);
    letter.proof = Some(verified.proof());
    letter.into_record(&DEAD_LETTER_TOPIC, &id)
}

/// Makes the dead letter of one row that a provider's API has listed. The same row makes the same letter, so that the
/// duplicate window keeps later readings from writing it again. Its id is therefore made of the row, and tells no time.
/// `raw_id` is the id of the answer.
///
/// # Errors
/// Only if it could not be written as JSON, which its types do not allow.
pub fn of_row(
    fault: &Fault<'_>,
    request: &RawRequest<'_>,
    proof: &Proof,
    raw_id: &str,
    source_name: &str,
    provider: &str,
) -> Result<Record, serde_json::Error> {
    let digest = hex::encode(Sha256::digest(fault.record.as_deref().unwrap_or_default()));
    Kept { fault, request, proof, raw_id, source_name, provider }.known_by(&digest, "")
}

/// Makes the dead letter of an answer of a provider's API that is none: its body is that of `request`. There is one for
/// each stream and hour, since an API that is broken answers everything so. `raw_id` is the id of the answer.
///
/// # Errors
/// Only if it could not be written as JSON, which its types do not allow.
pub fn of_answer(
    fault: &Fault<'_>,
    request: &RawRequest<'_>,
    proof: &Proof,
    raw_id: &str,
    stream: &str,
    (source_name, provider): (&str, &str),
) -> Result<Record, serde_json::Error> {
    let hour = request.received_at.unix_seconds().div_euclid(3600).to_string();
    Kept { fault, request, proof, raw_id, source_name, provider }.known_by(stream, &hour)
}

/// What a letter of something fetched is made of.
struct Kept<'k> {
    fault: &'k Fault<'k>,
    request: &'k RawRequest<'k>,
    proof: &'k Proof,
    raw_id: &'k str,
    source_name: &'k str,
    provider: &'k str,
}

impl Kept<'_> {
    /// A letter that is the same whenever it is made of the same.
    fn known_by(&self, id: &str, x: &str) -> Result<Record, serde_json::Error> {
        let identity = EventId::compute(self.provider, self.source_name, "dead.letter", &Identity { id, x, y: "" });
        let id = Ulid::from_bytes(*identity.as_bytes()).to_string();
        let mut letter = letter(self.fault, self.request, &id, self.source_name, self.provider);
        letter.raw_id = Some(self.raw_id);
        letter.proof = Some(self.proof);
        let record = letter.into_record(&DEAD_LETTER_TOPIC, &id)?;
        Ok(Record { identity: Some((identity, None)), ..record })
    }
}

fn letter<'a>(
    fault: &'a Fault<'_>,
    request: &'a RawRequest<'a>,
    id: &'a str,
    source_name: &'a str,
    provider: &'a str,
) -> KeptRequest<'a> {
    let mut letter = KeptRequest::new("dead_letter", request, fault.record.as_deref(), source_name, provider);
    letter.dead_letter_id = Some(id);
    letter.reason = Some(Reason { code: fault.code, message: &fault.message, pointer: fault.pointer.as_deref() });
    letter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::time::Time;
    use crate::request::Method;

    fn request<'r>(body: &'r [u8], headers: &'r [(&'r str, &'r [u8])]) -> RawRequest<'r> {
        RawRequest::new(Method::Post, "/webhooks/vonage-eu/***", Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap())
            .with_token(Some("a-secret-token"))
            .with_query("a=1")
            .with_headers(headers.iter().copied())
            .with_remote_addr(Some("203.0.113.7".parse().unwrap()))
            .with_body(body, false)
    }

    fn letter(fault: &Fault<'_>, request: &RawRequest<'_>) -> serde_json::Value {
        let record = of_fault(fault, request, "vonage-eu", "vonage").unwrap();
        let letter: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(record.key, format!("vonage-eu:{}", letter["dead_letter_id"].as_str().unwrap()));
        letter
    }

    #[test]
    fn credentials_are_left_out_and_the_rest_is_kept() {
        let headers: &[(&str, &[u8])] = &[
            ("authorization", b"Bearer secret"),
            ("cookie", b"session=secret"),
            ("x-signature", b"abc"),
            ("x-twice", b"1"),
            ("x-twice", b"2"),
        ];
        let letter = letter(&Fault::of_request("unknown_shape", "not ours").at("/a"), &request(b"{\"a\":1}", headers));
        assert_eq!(letter["request"]["headers"], serde_json::json!({"x-signature": "abc", "x-twice": "1, 2"}));
        assert_eq!(
            letter["reason"],
            serde_json::json!({"code": "unknown_shape", "message": "not ours", "pointer": "/a"})
        );
        assert_eq!((&letter["scope"], &letter["body"]), (&"request".into(), &"{\"a\":1}".into()));
        assert_eq!(letter["received_at"], "2026-02-03T12:14:26.103Z");
        assert!(!letter.to_string().contains("secret"));
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_in_base64_and_an_empty_body_gives_way_to_the_query() {
        let fault = Fault::of_request("invalid_utf8", "no text");
        let binary = letter(&fault, &request(&[0xff, 0x00], &[]));
        assert_eq!((&binary["body"], &binary["body_encoding"]), (&"/wA=".into(), &"base64".into()));
        assert_eq!(letter(&fault, &request(b"", &[]))["body"], "a=1");
    }

    #[test]
    fn an_answer_that_is_none_makes_one_letter_for_each_stream_and_hour() {
        let fault = Fault::of_request("not_understood", "no answer of this API");
        let made = |stream: &str, at: &str, raw_id: &str| {
            let at = Time::parse_iso(at).unwrap();
            let request = RawRequest::new(Method::Get, "/v1/rows", at).with_body(b"<html>", false);
            let proof = Proof::of_api("webex-oauth", None);
            let record = of_answer(&fault, &request, &proof, raw_id, stream, ("webex-partner", "webex")).unwrap();
            let letter: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
            assert_eq!((&letter["scope"], &letter["body"]), (&"request".into(), &"<html>".into()));
            assert_eq!((&letter["raw_id"], &letter["proof"]["verification"]), (&raw_id.into(), &"api".into()));
            record.key
        };
        let first = made("cdr", "2026-02-03T12:00:00Z", "a");
        assert_eq!(first, made("cdr", "2026-02-03T12:59:59Z", "b"));
        assert_ne!(first, made("cdr", "2026-02-03T13:00:00Z", "a"));
        assert_ne!(first, made("cdr_feed", "2026-02-03T12:00:00Z", "a"));
    }

    #[test]
    fn a_record_of_a_batch_stands_for_itself() {
        let mut fault = Fault::of_request("missing_id", "no id").at("/items/3");
        fault.record = Some("{\"id\":\"\"}".into());
        let letter = letter(&fault, &request(b"[...]", &[]));
        assert_eq!((&letter["scope"], &letter["body"]), (&"record".into(), &"{\"id\":\"\"}".into()));
    }
}
