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

/// How `ciscospark://` begins in base64. Asking for it first spares every bare id the decoding.
const ENCODED_SCHEME: &str = "Y2lzY29zcGFyazov";

/// The 36 characters of a UUID in base64, which need no padding.
const ENCODED_UUID_CHARS: usize = 48;

/// An organisation's id as the records write it: the bare UUID in lower case. What does not decode is
/// taken as it is.
pub(super) fn organisation(id: Text<'_>) -> Text<'_> {
    lower_case(bare(id))
}

/// An id without what is around it, as the records write ids. That of a call's half is what stands after
/// `callhalf-`. What does not decode is taken as it is.
pub(super) fn bare(id: Text<'_>) -> Text<'_> {
    decode(&id).map_or(id, Text::Owned)
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
pub(super) fn decode(id: &str) -> Option<String> {
    let id = id.trim();
    if !is_id(id) || !(id.len() == ENCODED_UUID_CHARS || id.starts_with(ENCODED_SCHEME)) {
        return None;
    }
    let bytes = STANDARD.decode(id).or_else(|_| URL_SAFE.decode(id)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let inner = match text.strip_prefix("ciscospark://") {
        Some(path) => path.rsplit('/').next().filter(|last| !last.is_empty())?,
        None => Uuid::try_parse(&text).is_ok().then_some(&*text)?,
    };
    let bare = inner.strip_prefix("callhalf-").filter(|half| !half.is_empty()).unwrap_or(inner);
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
        assert_eq!(bare(call.into()), "9850472912:0");
        assert_eq!(bare("9850472912:0".into()), "9850472912:0");
        assert_eq!(bare(encoded(ORGANISATION).into()), ORGANISATION);
        assert_eq!(bare("not base64!".into()), "not base64!");
    }

    #[test]
    fn what_decodes_to_something_else_is_taken_as_it_is() {
        for written in [encoded("hello"), encoded("ciscospark://"), encoded("ciscospark://us/CALL/a\nb"), "====".into()]
        {
            assert_eq!(bare(written.clone().into()), written);
        }
    }
}
