//! Webex's ids: base64 of `ciscospark://us/KIND/<id>`, base64 of the bare id, or the bare id.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use uuid::Uuid;

use crate::event::id::is_id;
use crate::json::Text;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// An organisation's id as the records write it: the bare UUID in lower case. What does not decode is
/// taken as it is.
pub(super) fn organisation(id: Text<'_>) -> Text<'_> {
    lower_case(decode(&id).map_or(id, Text::Owned))
}

/// The id of a call session, as the records write it under `Correlation ID`.
pub(super) fn session(id: Text<'_>) -> Text<'_> {
    decode(&id).map_or(id, Text::Owned)
}

/// The id of one half of a call, as the records write it under `Local call ID`.
pub(super) fn call_half(id: Text<'_>) -> Text<'_> {
    let Some(decoded) = decode(&id) else { return id };
    match decoded.split_once("callhalf-") {
        Some((_, half)) if !half.is_empty() => Text::Owned(half.to_owned()),
        _ => Text::Owned(decoded),
    }
}

/// Text in lower case, copied only where it has to be.
pub(super) fn lower_case(text: Text<'_>) -> Text<'_> {
    match text.chars().any(char::is_uppercase) {
        true => Text::Owned(text.to_lowercase()),
        false => text,
    }
}

/// The id inside a base64 id. A bare UUID happens to be base64 as well, so only what decodes to one of
/// the two known forms counts as decoded.
fn decode(id: &str) -> Option<String> {
    let id = id.trim();
    if !is_id(id) {
        return None;
    }
    let bytes = STANDARD.decode(id).or_else(|_| URL_SAFE.decode(id)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let bare = match text.strip_prefix("ciscospark://") {
        Some(path) => path.rsplit('/').next().filter(|last| !last.is_empty())?,
        None => Uuid::try_parse(&text).is_ok().then_some(&*text)?,
    };
    is_id(bare).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORGANISATION: &str = "1a2b3c4d-0000-4111-8222-5e6f70809010";

    fn encoded(text: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn organisations_are_read_in_all_three_forms() {
        let upper = ORGANISATION.to_uppercase();
        let uri = encoded(&format!("ciscospark://us/ORGANIZATION/{ORGANISATION}"));
        for written in [&uri, uri.trim_end_matches('='), &encoded(&upper), &upper, ORGANISATION] {
            assert_eq!(organisation(written.into()), ORGANISATION, "{written}");
        }
        assert_eq!(organisation("Acme Partner".into()), "acme partner");
    }

    #[test]
    fn calls_are_named_as_in_the_records() {
        let call = encoded("ciscospark://us/CALL/callhalf-9850472912:0");
        assert_eq!(call_half(call.into()), "9850472912:0");
        assert_eq!(call_half("9850472912:0".into()), "9850472912:0");
        assert_eq!(session(encoded(ORGANISATION).into()), ORGANISATION);
        assert_eq!(session("not base64!".into()), "not base64!");
    }

    #[test]
    fn what_decodes_to_something_else_is_taken_as_it_is() {
        for written in [encoded("hello"), encoded("ciscospark://"), encoded("ciscospark://us/CALL/a\nb"), "====".into()]
        {
            assert_eq!(session(written.clone().into()), written);
        }
    }
}
